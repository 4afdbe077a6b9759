"""A worker looks at its row when others have written, to see what somebody wants of it."""

from datetime import timedelta

from django_jobs.engines.base import Engine
from django_jobs.engines.workers import WorkerCard
from django_jobs.models import Worker
from django_jobs.states import Wish


def test_a_worker_reads_its_row_when_others_have_written_once_a_second_at_most(home, frozen_clock):
    one = home(card=WorkerCard(name="web-1:1"))
    one.tick()
    row = Worker.objects.get()
    Worker.objects.update(wish=Wish.QUIET)
    one.tick()
    assert one.orders.wish is Wish.NONE
    one.keeper.hear(Engine.WRITTEN)
    one.tick()
    assert one.orders.wish is Wish.QUIET
    Worker.objects.update(wish=Wish.NONE)
    one.keeper.hear(Engine.WRITTEN)
    one.tick()
    assert one.orders.wish is Wish.QUIET
    frozen_clock.advance(timedelta(seconds=1))
    one.tick()
    assert one.orders.wish is Wish.NONE
    assert Worker.objects.get().beat_at == row.beat_at


def test_a_worker_that_nobody_has_written_beside_reads_nothing(home, frozen_clock):
    one = home(card=WorkerCard(name="web-1:1"))
    one.tick()
    reads = []

    def watch(execute, sql, *rest):
        reads.extend([sql] if '"wish"' in sql else [])
        return execute(sql, *rest)

    with one.link._engine.connection.execute_wrapper(watch):
        for _ in range(5):
            frozen_clock.advance(timedelta(seconds=1))
            one.tick()
        assert reads == []
        for _ in range(5):
            one.keeper.hear(Engine.WRITTEN)
            one.tick()
    assert len(reads) == 1
    assert reads[0].startswith("SELECT")


def test_a_look_that_found_no_database_is_taken_again(home, frozen_clock, unreachable):
    one = home(card=WorkerCard(name="web-1:1"))
    one.tick()
    Worker.objects.update(wish=Wish.QUIET)
    one.keeper.hear(Engine.WRITTEN)
    unreachable(one, away=True)
    one.tick()
    unreachable(one, away=False)
    frozen_clock.advance(timedelta(seconds=1))
    one.tick()
    assert one.orders.wish is Wish.QUIET
