"""The nightly report of `demo --once`: started by hand, twice, and what must hold then."""

from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from django_jobs import schedules
from django_jobs.models import Job, Schedule, Tick
from django_jobs.states import State
from django_jobs.timetables.wording import in_words
from example_project.shop import jobs, mail, outbox
from example_project.shop.demo.report import Check
from example_project.shop.models import NightlyReport
from example_project.shop.nightly import figures


def start_twice() -> list[int]:
    """Start the report by hand, twice at once; return the ids of the jobs."""
    return [schedules.run_now(jobs.nightly_report.name) for _ in range(2)]


class Night:
    """Reads what became of the jobs once: from the tables of the schedule, the shop and the outbox."""

    def __init__(self, job_ids: list[int]) -> None:
        self.schedule = Schedule.objects.get(name=jobs.nightly_report.name)
        self.ticks = list(Tick.objects.filter(job_id__in=job_ids).order_by("pk"))
        self.jobs = {job.pk: job for job in Job.objects.filter(pk__in=job_ids)}
        # One, unless midnight was between the two jobs.
        days = {figures.day_of(job.enqueued_at) for job in self.jobs.values()}
        self.days = len(days)
        self.reports = list(NightlyReport.objects.filter(planned_at=None, day__in=days))

    def lines(self) -> Iterator[str]:
        """Yield the schedule, its new ticks with their jobs, the report, and whether all is right."""
        timetable = self.schedule.timetable
        coming = timetable.preview(timezone.now(), 1)[0]
        yield (
            f"Schedule  {in_words(timetable)} ({self.schedule.cron}, {self.schedule.timezone}), "
            f"next {coming.local:%Y-%m-%d %H:%M %Z} = {coming.at:%H:%M} UTC"
        )
        for tick in self.ticks:
            job = self.jobs[tick.job_id]
            yield f"Tick      {tick.outcome} at {tick.made_at:%H:%M:%S}: job #{job.pk} {job.state}"
        for report in self.reports:
            yield (
                f"Report    {report.day}: mails {report.mails}, webhooks delivered "
                f"{report.delivered} and failed {report.failed}, imports {report.imports}, "
                f"customers {report.customers}"
            )
        yield ""
        yield from map(str, self.checks())

    def checks(self) -> list[Check]:
        """Return what must hold when both jobs have ended, now or in a run earlier today."""
        folder = Path(settings.OUTBOX["folder"])
        tags = [mail.report_tag(report) for report in self.reports]
        mails = [one for tag in tags for one in outbox.delivered(folder, tag)]
        successful = all(job.state == State.SUCCESSFUL for job in self.jobs.values())
        once = len(self.reports) == len(mails) == self.days
        noted = {report.message_id for report in self.reports} == {one.message_id for one in mails}
        return [
            Check(
                successful and len(self.ticks) == len(self.jobs) and once and noted,
                f"nightly report started by hand {len(self.jobs)} times; ticks: {len(self.ticks)}, "
                f"reports: {len(self.reports)}, mails to the owner: {len(mails)}",
            )
        ]
