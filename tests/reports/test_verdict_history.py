"""What the verdict makes of the figures: since when all is clear, shares of failures, time limits."""

from datetime import timedelta

import pytest

from django_jobs.models import Claim, Job
from django_jobs.reports import overview, verdict
from django_jobs.reports.overview import look
from django_jobs.reports.problems import Level, Operation
from tests.conftest import NOON
from tests.factories import JobFactory, TallyFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def ago(**span):
    return NOON - timedelta(**span)


def problems():
    return list(verdict.verdict().problems)


def headline():
    return verdict.verdict().headline


def failing(count, **fields):
    return JobFactory.create_batch(count, failed=True, fingerprint="aaaa", **fields)


def test_where_nothing_ran_nobody_knows_since_when_all_is_clear():
    WorkerFactory()
    assert headline() == "All clear"
    TallyFactory(ago=4 * 60)
    assert headline() == "All clear"


def test_all_is_clear_since_there_are_figures():
    TallyFactory(ago=72)
    assert headline() == "All clear for 1 h 10 min"


def test_a_project_is_not_clear_for_longer_than_it_has_run_jobs():
    TallyFactory(ago=3)
    assert headline() == "All clear"


def test_all_has_been_clear_for_as_long_as_is_looked_at():
    TallyFactory(ago=235)
    TallyFactory(ago=20, failed=4, succeeded=10)
    assert headline() == "All clear for 3 h 55 min or more"


@pytest.mark.parametrize(
    "trouble",
    [
        {"failed": 10, "succeeded": 10_000},
        {"failed": 5, "succeeded": 90},
        {"wait_14": 1},
        {"wait_20": 3},
    ],
)
def test_all_is_clear_since_the_last_trouble(trouble):
    TallyFactory(ago=235)
    TallyFactory(ago=63, **trouble)
    TallyFactory(ago=22)
    TallyFactory(ago=2)
    assert headline() == "All clear for 1 h"


def test_a_few_failures_among_many_jobs_are_no_trouble():
    TallyFactory(ago=235)
    TallyFactory(ago=63, failed=9, succeeded=300)
    TallyFactory(ago=30, failed=4, succeeded=1)
    assert headline() == "All clear for 3 h 55 min or more"


def test_failures_that_add_up_within_a_quarter_of_an_hour_are_trouble():
    TallyFactory(ago=235)
    for minutes in (70, 65, 60):
        TallyFactory(ago=minutes, failed=4, succeeded=1000)
    assert headline() == "All clear for 55 min"


def test_an_error_that_struck_jobs_which_never_ran_ends_it_too():
    TallyFactory(ago=235)
    failing(10, finished_at=ago(minutes=40))
    assert headline() == "All clear for 30 min"


def test_with_a_problem_nothing_is_clear():
    TallyFactory(ago=72)
    failing(10)
    found = verdict.verdict()
    assert (found.headline, found.clear_for) == ("1 problem", "")


@pytest.mark.parametrize(
    ("failed", "finished", "said"), [(5, 99, True), (5, 100, False), (4, 10, False), (5, 0, False)]
)
def test_an_error_that_strikes_more_than_a_twentieth_of_what_finishes_is_a_spike(
    failed, finished, said
):
    WorkerFactory()
    failing(failed, finished_at=ago(minutes=3), name="shop.jobs.send")
    if finished:
        TallyFactory(ago=3, succeeded=finished - failed, failed=failed)
    assert [found.rule for found in problems()] == (["failure-spike"] if said else [])
    if said:
        assert problems()[0].text == (
            "5 jobs of send failed within 15 min, 5% of what finished: "
            "ConnectionError: 503 from partner"
        )


def test_failures_that_the_figures_cannot_know_yet_have_no_share():
    WorkerFactory()
    TallyFactory(ago=10, succeeded=20)
    failing(5, finished_at=ago(seconds=50))
    assert problems() == []


def overdue(**fields):
    values = {"running": True, "name": "tests.jobs.send", "started_at": ago(seconds=81), **fields}
    return JobFactory(**values)


def test_a_run_that_its_time_limit_has_not_ended_can_be_cancelled():
    job = overdue()
    [found] = problems()
    assert found.text == f"send #{job.pk} runs for 1 min 21 s; its time limit is 20 s."
    assert (found.rule, found.level) == ("overdue-run", Level.WARNING)
    fix = found.fix
    assert (fix.operation, fix.target, fix.job_ids) == (Operation.CANCEL, str(job.pk), (job.pk,))


def test_a_run_that_does_not_listen_can_be_taken_from_its_worker():
    overdue(cancel_requested_at=ago(seconds=30))
    [found] = problems()
    assert found.text.endswith("its time limit is 20 s. It was asked to stop 30 s ago.")
    assert found.fix.operation is Operation.FORCE


@pytest.mark.parametrize(
    "fields",
    [
        {"started_at": ago(seconds=80)},
        {"name": "tests.jobs.add", "started_at": ago(days=1)},
        {"name": "gone.jobs.forgotten", "started_at": ago(days=1)},
    ],
)
def test_a_run_within_its_limit_or_without_one_is_no_problem(fields):
    overdue(**fields)
    assert problems() == []


def test_what_a_silent_worker_holds_is_told_as_such():
    overdue()
    Claim.objects.update(expires_at=ago(minutes=14))
    assert [found.rule for found in problems()] == ["silent-worker"]


def test_of_many_such_runs_the_oldest_claims_are_looked_at(monkeypatch):
    monkeypatch.setattr(overview, "MOST_HELD", 2)
    jobs = [overdue() for _ in range(3)]
    assert [run.job_id for run in look("default", NOON).overdue] == [job.pk for job in jobs[:2]]
    Job.objects.filter(pk=jobs[0].pk).update(state="READY", claim_id=None)
    assert len(look("default", NOON).overdue) == 1


def test_the_overview_knows_how_fast_it_goes():
    TallyFactory(ago=2, succeeded=50)
    TallyFactory(ago=16, succeeded=40, queue="mail")
    TallyFactory(ago=1, succeeded=999)
    TallyFactory(ago=17, succeeded=999)
    speed = look("default", NOON).recent.speed
    assert (speed.finished, speed.per_minute) == (90, 6.0)
    assert 0.3 < speed.p95_run < 0.65
