"""Writes the row of a report, once, and settles which job mails it."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from django_jobs.models import Job, Schedule
from example_project.shop.models import NightlyReport
from example_project.shop.nightly import figures
from example_project.shop.watching import watch_one

MOMENT = timedelta(microseconds=1)
TWO_DAYS = timedelta(days=2)


def report_of(planned_at: datetime | None, job_id: int | None) -> NightlyReport:
    """Return the report of a planned time (`None`: of the day on which the job was started by hand).

    Looks before it counts; of two jobs at once the unique constraint lets one write.
    """
    job = Job.objects.filter(pk=job_id).first()
    # By hand: when it was enqueued, which is the same at each attempt, also after midnight.
    until = planned_at or (job.enqueued_at if job else timezone.now())
    day = figures.day_of(until)
    which: dict[str, Any] = {"planned_at": planned_at}
    if planned_at is None:
        which["day"] = day
    before = NightlyReport.objects.filter(**which).first()
    if before is not None:
        return before
    since = _night_before(until, job) or figures.day_before(until)
    counts = figures.count(since, until)
    fresh = {**counts, "day": day, "since": since, "until": until, "job_id": job_id}
    return NightlyReport.objects.get_or_create(**which, defaults=fresh)[0]


def may_mail(report: NightlyReport, job_id: int | None) -> bool:
    """Say whether this job is the one that mails the report, and make it that if nobody else is.

    Not while the job lives that wrote the row, or took over: it mails, at its next attempt if
    need be. A job never runs twice at once, so two mails at once there are not.
    """
    if report.job_id == job_id:
        return True
    if watch_one(report.job_id).live:
        return False
    mine = NightlyReport.objects.filter(pk=report.pk, job_id=report.job_id, mailed_at=None)
    return bool(mine.update(job_id=job_id))


def note_mail(report: NightlyReport, message_id: str) -> None:
    """Record that the provider has the mail: the reason not to send it again."""
    NightlyReport.objects.filter(pk=report.pk).update(
        mailed_at=timezone.now(), message_id=message_id
    )


def _night_before(until: datetime, job: Job | None) -> datetime | None:
    """Return the planned time before this one, so that reports join, also when clocks change."""
    if job is None or job.planned_at is None:
        return None
    schedule = Schedule.objects.filter(pk=job.schedule_id).first()
    times = schedule.timetable.latest(until - TWO_DAYS, until - MOMENT, 1) if schedule else []
    return times[0] if times else None
