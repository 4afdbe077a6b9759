"""Many workers, many planned times, deaths inside the tick: each planned time has one job."""

import signal
from datetime import timedelta

from django_jobs import clock
from django_jobs.models import Job, Schedule, Tick
from tests.crash.conditions import until
from tests.crash.invariants import drained, unfinished
from tests.crash.jobs import DIE_IN_TICK
from tests.crash.processes import kill
from tests.factories import ScheduleFactory

SCHEDULES = 100
TIMES = 10
WORKERS = 8
SECOND = timedelta(seconds=1)


def make_schedules(starts_at):
    """Return 100 schedules with ten planned times each, a second apart."""
    return ScheduleFactory.create_batch(
        SCHEDULES,
        job_name="tests.crash.jobs.effect",
        cron="",
        every=SECOND,
        starts_at=starts_at,
        ends_at=starts_at + (TIMES - 1) * SECOND,
        next_run_at=starts_at,
        overlap="allow",
        missed="all",
    )


def all_dealt_with():
    return not Schedule.objects.filter(next_run_at__isnull=False).exists()


def planned_times_of_jobs():
    return sorted(Job.objects.values_list("schedule_id", "planned_at"))


def test_a_worker_that_dies_inside_a_tick_leaves_nothing_and_the_next_one_does_it(workers, ledger):
    make_schedules(clock.now().replace(microsecond=0) - TIMES * SECOND)
    death = ledger.path.with_name(DIE_IN_TICK)
    death.touch()
    dying = workers()
    assert dying.exit_code() == -signal.SIGKILL
    assert (Job.objects.count(), Tick.objects.count()) == (0, 0)
    death.unlink()
    workers()
    until(all_dealt_with, what=lambda: list(Schedule.objects.values()))
    assert len(set(planned_times_of_jobs())) == Job.objects.count() == SCHEDULES * TIMES


def test_eight_workers_give_each_of_a_thousand_planned_times_one_job(workers, ledger):
    trees = [workers("--threads", "2") for _ in range(WORKERS)]
    for tree in trees:
        tree.ready()
    starts_at = clock.now().replace(microsecond=0) + 2 * SECOND
    schedules = make_schedules(starts_at)
    until(lambda: Job.objects.count() >= SCHEDULES * TIMES // 3, what="a third of the jobs")
    kill(trees[0].pid)
    until(all_dealt_with, within=60.0, what=lambda: list(Schedule.objects.values()))
    expected = [
        (schedule.pk, starts_at + number * SECOND)
        for schedule in schedules
        for number in range(TIMES)
    ]
    assert planned_times_of_jobs() == expected
    ticks = Tick.objects.filter(job_id__isnull=False).values_list("schedule_id", "planned_at")
    assert sorted(ticks) == expected
    until(drained, within=120.0, what=unfinished)
    done = {entry.job_id for entry in ledger.ends()}
    assert done == set(Job.objects.values_list("pk", flat=True))
