"""Batches and flows as tests of engines write them, verb by verb."""

from django_jobs.engines.base import NewJob
from django_jobs.engines.batches import Member
from django_jobs.engines.endings import NEVER
from django_jobs.models import Batch
from django_jobs.states import IfFailed, Later, State
from tests.engines.scenes import NOON

DONE, FAILED, CANCELLED = State.SUCCESSFUL, State.FAILED, State.CANCELLED
CALLBACK = NewJob("tests.jobs.nothing", "after", "[1]", '{"a":"\\u00e4"}', watched=True)


class Album:
    """Short hand: a batch, or a flow, of jobs that are READY."""

    def __init__(self, scene):
        self.engine, self.scene = scene.engine, scene

    def batch(self, count, parent_id=None, policy=IfFailed.FAIL):
        """Write a batch of `count` jobs; return its number and their ids."""
        batch_id = self.engine.open_batch("album", parent_id, NOON)
        ids = self.add(batch_id, count, policy)
        self.engine.count_members(batch_id, 0)
        return batch_id, ids

    def add(self, batch_id, count, policy=IfFailed.FAIL):
        """Write jobs and members; they are not counted yet."""
        ids = self.scene.enqueue(count, watched=True)
        self.engine.add_members(batch_id, [Member(pk, "shop.resize", policy) for pk in ids])
        return ids

    def flow(self, count, policy=IfFailed.FAIL):
        """Write a flow; return its parent, its batch and its children."""
        (parent_id,) = self.scene.enqueue(watched=True, later=Later(instant=NEVER))
        self.engine.let_wait(parent_id)
        return (parent_id, *self.batch(count, parent_id, policy))

    def finish(self, *ids):
        """End these jobs."""
        holds = [job.hold for job in self.scene.claim() if job.id in ids]
        assert len(holds) == len(ids)
        self.scene.finish(*holds)


def row_of(batch_id):
    """Return the counts of a batch."""
    row = Batch.objects.get(pk=batch_id)
    return row.total, row.pending, row.successful, row.failed, row.cancelled
