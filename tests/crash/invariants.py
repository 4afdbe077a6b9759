"""What must be true after any crash, once the faults have stopped and the queue has drained."""

from collections import Counter

from django_jobs.models import Claim, Job, JobRun, Queue
from django_jobs.states import FINAL, RunOutcome, State
from tests.crash.processes import worker_pid

HARMLESS = {RunOutcome.SUCCESSFUL, RunOutcome.LOST, RunOutcome.RELEASED}


def drained():
    """Say whether every job has ended."""
    return not Job.objects.exclude(state__in=FINAL).exists()


def unfinished():
    """Return what a failure to drain wants to tell."""
    jobs = Job.objects.exclude(state__in=FINAL).values_list("pk", "state", "claim_id", "lost_count")
    return f"unfinished: {list(jobs)}, claims: {list(Claim.objects.values())}"


def check_invariants(ledger, database):
    """Compare the jobs' effects with what the database says about them.

    `database` knows the acknowledged enqueues (`enqueued`: ids), and which worker processes
    were never killed (`survivors`: pids); those must have accounted for everything they did.
    Only for jobs that never fail by themselves.
    """
    _check_nothing_lost(ledger, database.enqueued)
    _check_runs()
    _check_late_writes(ledger, database.survivors)
    _check_nothing_left()


def check_finished_steps_stay_finished(ledger):
    """Begins and ends in the ledger are those of steps: none begins after it has ended."""
    ended = set()
    for entry in ledger.entries():
        step = (entry.job_id, entry.attempt)
        if entry.what == "end":
            ended.add(step)
        elif entry.what == "begin":
            assert step not in ended, f"step {step} ran again after it had finished"


def bookings():
    """Return how often each step of each job has had its effects in the database."""
    names = Queue.objects.filter(name__contains="/").values_list("name", flat=True)
    return Counter(name.rpartition("/")[0] for name in names)


def _check_nothing_lost(ledger, enqueued):
    states = dict(Job.objects.values_list("pk", "state"))
    assert sorted(states) == sorted(enqueued), "acknowledged enqueues and jobs differ"
    assert set(states.values()) <= {State.SUCCESSFUL}, Counter(states.values())
    effects = {entry.job_id for entry in ledger.ends()}
    assert not set(states) - effects, "successful without an effect"


def _check_runs():
    runs = list(JobRun.objects.values("job_id", "claim_id", "attempt", "outcome", "fenced_at"))
    claims = Counter((run["job_id"], run["claim_id"]) for run in runs)
    assert set(claims.values()) <= {1}, "two runs under one claim"
    assert {run["outcome"] for run in runs} <= HARMLESS
    successes = Counter(run["job_id"] for run in runs if run["outcome"] == RunOutcome.SUCCESSFUL)
    losses = Counter(run["job_id"] for run in runs if run["outcome"] == RunOutcome.LOST)
    for job in Job.objects.all():
        assert successes[job.pk] == 1, f"{job} succeeded {successes[job.pk]} times"
        assert losses[job.pk] <= job.max_lost
        assert job.lost_count == 0, "a success forgives the losses"
        assert job.attempt == 1, "being lost costs no attempt"


def _check_late_writes(ledger, survivors):
    """Each end in a process that lived on is one accepted success or one refused late write."""
    accounted = Counter()
    for run in JobRun.objects.exclude(worker=""):
        if run.outcome == RunOutcome.SUCCESSFUL or run.fenced_at is not None:
            accounted[run.job_id, worker_pid(run.worker)] += 1
        if run.fenced_at is not None:
            assert run.outcome != RunOutcome.SUCCESSFUL, "a success was refused"
    for (job_id, pid), count in Counter((e.job_id, e.pid) for e in ledger.ends()).items():
        if pid in survivors:
            assert accounted[job_id, pid] == count, f"job #{job_id} in process {pid}"


def _check_nothing_left():
    assert not Job.objects.filter(state=State.RUNNING).exists()
    assert not Job.objects.exclude(claim_id=None).exists()
    assert not Claim.objects.exists()
