"""A job of our own that shows that jobs run: enqueued, taken by a worker, finished, on record."""

from django_jobs.conf import get_settings
from django_jobs.definitions import job
from django_jobs.handles import JobHandle
from django_jobs.origins import by_hand


@job(max_attempts=1)
def test_job() -> str:
    """Do nothing, and say that it works."""
    return "It works."


def enqueue_test_job(*, by: str = "") -> JobHandle[str]:
    """Enqueue it, once at a time; where the project lists its queues, into the first of them.

    `by`, who wants it, is for people to read.
    """
    queue = [*get_settings().QUEUES, test_job.queue][0]
    definition = test_job.using(queue=queue, unique_key=test_job.name)
    definition.enqueued_by = by_hand(by)
    return definition.enqueue()
