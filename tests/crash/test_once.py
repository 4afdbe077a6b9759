"""Many workers, many jobs, no fault: each job runs once."""

import time
from collections import Counter

from django_jobs import enqueue_many
from django_jobs.models import Claim, JobRun
from django_jobs.states import RunOutcome
from tests.crash.conditions import say, seconds_since, until
from tests.crash.invariants import drained, unfinished
from tests.crash.jobs import effect

JOBS = 10_000
WORKERS = 8


def test_eight_workers_run_each_of_ten_thousand_jobs_exactly_once(workers, ledger, profile):
    profile(LEASE=60.0, LOG_JOBS="folded")
    tree = workers("--processes", str(WORKERS), "--threads", "2").ready(WORKERS)
    began_at = time.monotonic()
    ids = [job.id for job in enqueue_many(effect, [()] * JOBS)]
    until(drained, within=120.0, what=unfinished)
    say(f"{JOBS} jobs in {seconds_since(began_at):.1f} s")
    until(lambda: not Claim.objects.exists(), what=unfinished)
    assert Counter(entry.job_id for entry in ledger.begins()) == Counter(ids)
    assert Counter(entry.job_id for entry in ledger.ends()) == Counter(ids)
    assert JobRun.objects.count() == JOBS
    assert not JobRun.objects.exclude(outcome=RunOutcome.SUCCESSFUL).exists()
    pids = {entry.pid for entry in ledger.begins()}
    say(f"{len(pids)} processes took part")
    assert len(pids) > 1
    assert tree.stop() == 0
    for complaint in ("Traceback", "locked", "refused", "Lost the database"):
        assert complaint not in tree.text()
