"""What most tests of engines do: enqueue, claim, finish, look."""

from datetime import UTC, datetime, timedelta

from django_jobs.engines.base import Finish, Hold, NewJob
from django_jobs.models import Claim, Job, JobRun
from django_jobs.states import ErrorRecord, Later, Raised, Snoozed, Succeeded, Suspended, after_run

NOON = datetime(2030, 1, 15, 12, 0, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
LEASE = 60.0
ERROR = ErrorRecord("ValueError", "no such user", "no such user", "Traceback …", "f1")

SUCCESS = after_run(Succeeded())
FAILURE = after_run(Raised(ERROR))
RETRY = after_run(Raised(ERROR, Later(30.0)))
SNOOZE = after_run(Snoozed(Later(30.0)))
SUSPENSION = after_run(Suspended(Later(30.0), "order/paid"))


class Scene:
    """Short hand; everything happens at noon unless the test says otherwise."""

    def __init__(self, engine):
        self.engine = engine

    def enqueue(self, count=1, *, now=NOON, **fields):
        """Insert `count` jobs and return their ids."""
        new = NewJob(**{"name": "tests.jobs.nothing", "queue": "default", **fields})
        return [inserted.job_id for inserted in self.engine.insert([new] * count, now)]

    def claim(self, limit=100, *, queues=None, worker="w1", now=NOON, **keywords):
        """Claim and return the jobs."""
        return self.engine.claim(queues, limit, worker, LEASE, now=now, **keywords)

    def run(self, count=1, *, worker="w1", now=NOON, **fields):
        """Enqueue and claim `count` jobs under one claim; return their holds."""
        self.enqueue(count, now=now, **fields)
        return [job.hold for job in self.claim(count, worker=worker, now=now)]

    def run_one(self, **keywords):
        """Enqueue and claim one job; return its hold."""
        return self.run(1, **keywords)[0]

    def finish(self, *holds, end=SUCCESS, now=LATER, worker="w1", began_ago=5.0, **fields):
        """Finish all `holds` in the same way."""
        finishes = [Finish(Hold(*hold), end, began_ago, **fields) for hold in holds]
        return self.engine.finish(finishes, worker, now)

    def expire_all(self):
        """Let every claim have expired long before noon."""
        Claim.objects.update(expires_at=NOON - timedelta(minutes=1))

    def lose(self, *, worker="w1", now=LATER):
        """Rescue everything that `worker` holds."""
        self.engine.expire(worker, now)
        return self.engine.rescue(100, now)


def job_of(hold):
    """Return the job row of a hold or an id."""
    return Job.objects.get(pk=hold.job_id if isinstance(hold, Hold) else hold)


def run_of(hold):
    """Return the JobRun of a hold."""
    return JobRun.objects.get(job_id=hold.job_id, claim_id=hold.claim_id)


def claim_of(hold):
    """Return the claim row of a hold."""
    return Claim.objects.get(pk=hold.claim_id)
