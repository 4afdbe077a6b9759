"""Workers killed between any two statements of a job that consists of steps, gap by gap."""

import os
from collections import Counter

import pytest

from django_jobs import enqueue
from django_jobs.models import Job, JobRun, JobStep
from django_jobs.states import RunOutcome, State
from tests.crash import gaps
from tests.crash.conditions import say
from tests.crash.invariants import bookings, check_finished_steps_stay_finished
from tests.crash.jobs import atread, step_name, tread
from tests.crash.successors import SUCCESSORS

DEATHS = int(os.environ.get("TEST_GAP_DEATHS", "1"))
"""With 2 more than 200 workers die for the job of 20 steps, whatever the database."""
WITHIN = 120.0 * DEATHS
LOAD = "FROM job_step"


@pytest.mark.parametrize(("job", "steps"), [(tread, 20), (atread, 6)], ids=["sync", "async"])
def test_a_finished_step_never_runs_again_whichever_statements_a_worker_dies_between(
    workers, ledger, profile, tmp_path, job, steps
):
    profile(MAX_LOST=100, LEASE=60.0)
    path = tmp_path / "deaths"
    enqueue(job, steps)
    tree = workers(str(path), str(DEATHS), told=SUCCESSORS)
    assert tree.exit_code(WITHIN) == 0, tree.text()
    deaths = gaps.read(path)
    say_figures(deaths, ledger)
    check_finished_steps_stay_finished(ledger)
    check_effects_outside(ledger, steps, deaths)
    check_effects_inside(steps)
    check_rows(steps)
    check_gaps(deaths, steps)
    check_no_gap_is_left(ledger)
    assert "Traceback" not in tree.text()


def say_figures(deaths, ledger):
    sent, booked = effects_outside(ledger), bookings()
    say(
        f"{len(deaths)} kills in {len(set(deaths))} gaps, {len(job_ids())} jobs\n"
        f"outside: {sent.total()} effects under {len(sent)} keys, "
        f"{effects_off_record(deaths)} kills between an effect and its record\n"
        f"inside: {len(booked)} effects, {booked.total() - len(booked)} done again"
    )


def check_effects_outside(ledger, steps, deaths):
    """Nothing but a death before the record costs another effect, and that under the same key."""
    sent = effects_outside(ledger)
    evens = range(0, steps, 2)
    assert sent.keys() == {(pk, n, f"{pk}:{step_name(n)}") for pk in job_ids() for n in evens}
    assert 0 < sent.total() - len(sent) <= effects_off_record(deaths)


def check_effects_inside(steps):
    numbers = [f"{number}{half}" for number in range(1, steps, 2) for half in "ab"]
    assert bookings() == Counter(f"{pk}/{number}" for pk in job_ids() for number in numbers)


def check_rows(steps):
    jobs = Job.objects.values_list("state", "attempt", "lost_count")
    assert set(jobs) == {(State.SUCCESSFUL, 1, 0)}
    done = JobStep.objects.filter(state="done", attempts=1)
    assert done.count() == JobStep.objects.count() == len(jobs) * steps
    runs = JobRun.objects.exclude(outcome=RunOutcome.LOST).values_list("job_id", "outcome")
    assert sorted(runs) == [(pk, RunOutcome.SUCCESSFUL) for pk in job_ids()]


def check_gaps(deaths, steps):
    """Look for gaps that must be there: none would be left, either, if none were noticed."""
    for name in map(step_name, range(steps)):
        inside = {
            (after.what, before.what)
            for after, before in deaths
            if (after.step, before.step) == (name, name)
        }
        saving = {before for _, before in inside if "INSERT INTO job_step" in before}
        if name.startswith("send"):
            assert "effect" in {after for after, _ in inside}
        else:
            assert ("INSERT INTO queue", "INSERT INTO queue") in inside
            assert "COMMIT" in {before for after, before in inside if after in saving}
        assert saving
        assert [after for after, before in deaths if after.step == name != before.step]


def check_no_gap_is_left(ledger):
    """The last job went through all of them, and met no death."""
    last = job_ids()[-1]
    assert len({entry.pid for entry in ledger.entries() if entry.job_id == last}) == 1
    assert JobRun.objects.filter(job_id=last).count() == 1


def effects_outside(ledger):
    sent = [entry for entry in ledger.begins() if entry.key]
    return Counter((entry.job_id, entry.attempt, entry.key) for entry in sent)


def effects_off_record(deaths):
    return sum(
        after.step == before.step and after.step.startswith("send") and after.what != LOAD
        for after, before in deaths
    )


def job_ids():
    return sorted(Job.objects.values_list("pk", flat=True))
