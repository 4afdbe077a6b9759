"""Promises of `add_tallies`, `prune_tallies`, `forget_releases`, and of the waits of a claim."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection

from django_jobs.engines.workers import WorkerCard
from django_jobs.models import Release, Tally
from django_jobs.tallies import HOUR, Counted, Figures
from tests.engines.scenes import LATER, NOON

MINUTE = int(NOON.timestamp()) // 60 + 7
HOUR_OF_IT = MINUTE - 7


def figures(succeeded=1, seconds=0.5, **values):
    made = Figures()
    made.succeeded = succeeded
    made.wait_sum = made.run_sum = seconds * succeeded
    made.waits[6] = made.runs[6] = succeeded
    for name, value in values.items():
        setattr(made, name, value)
    return made


def counted(minute=MINUTE, queue="mail", name="shop.send", **values):
    return Counted(minute, queue, name, figures(**values))


def rows(*columns, **filters):
    columns = columns or ("span", "minute", "queue", "name", "succeeded")
    found = Tally.objects.filter(**filters).exclude(name="").order_by("span", "minute")
    return list(found.values_list(*columns))


def row_of(**filters):
    return Tally.objects.exclude(name="").get(**filters)


def test_what_is_added_stands_in_its_minute_and_in_its_hour(engine):
    engine.add_tallies([counted(succeeded=3, failed=1)])
    assert rows() == [
        (1, MINUTE, "mail", "shop.send", 3),
        (HOUR, HOUR_OF_IT, "mail", "shop.send", 3),
    ]
    row = row_of(span=1)
    assert (row.failed, row.retried, row.run_sum, row.run_6, row.run_7) == (1, 0, 1.5, 3, None)


def test_more_is_added_to_what_is_there(engine):
    more = figures(succeeded=2, seconds=1.0)
    more.runs[6], more.runs[9] = 0, 2
    engine.add_tallies([counted(succeeded=3)])
    engine.add_tallies([Counted(MINUTE, "mail", "shop.send", more), counted(MINUTE + 1)])
    assert rows("span", "minute", "succeeded") == [
        (1, MINUTE, 5),
        (1, MINUTE + 1, 1),
        (HOUR, HOUR_OF_IT, 6),
    ]
    first = row_of(span=1, minute=MINUTE)
    assert (first.run_sum, first.run_6, first.run_9, first.run_0) == (3.5, 3, 2, None)


def test_queues_and_names_are_kept_apart(engine):
    engine.add_tallies([counted(), counted(queue="other"), counted(name="shop.print")])
    assert len(rows(span=1)) == 3
    engine.add_tallies([])
    assert len(rows()) == 6


def test_all_jobs_together_have_a_row_of_their_own(engine):
    engine.add_tallies([counted(succeeded=3), counted(queue="other", failed=2)])
    engine.add_tallies([counted(MINUTE + 1)])
    whole = Tally.objects.filter(queue="", name="").order_by("span", "minute")
    assert list(whole.values_list("span", "minute", "succeeded", "failed", "run_6")) == [
        (1, MINUTE, 4, 2, 4),
        (1, MINUTE + 1, 1, 0, 1),
        (HOUR, HOUR_OF_IT, 5, 2, 5),
    ]


def test_all_of_it_is_added_or_nothing(engine, transactional_db):
    with pytest.raises((DatabaseError, OverflowError)):
        engine.add_tallies([counted(), counted(name="x", succeeded=10**20)])
    assert rows() == []


@pytest.mark.django_db(transaction=True)
def test_workers_that_add_to_the_same_rows_at_once_lose_and_double_nothing(engine, rival):
    """Each has rows of its own, too, and names them in another order."""
    names = [f"shop.job{number}" for number in range(8)]
    rivals = [rival() for _ in range(3)]
    work = []
    for _ in range(5):
        for place, each in enumerate(rivals):
            order = names[place:] + names[:place]
            batch = [counted(name=name) for name in order] + [counted(name=f"own.{place}")]
            work.append(each.start_verb("add_tallies", batch))
    for done in work:
        done.result(60)
    assert {succeeded for *_, succeeded in rows(name__startswith="shop.")} == {15}
    assert {succeeded for *_, succeeded in rows(name__startswith="own.")} == {5}
    assert {row.succeeded for row in Tally.objects.filter(name="")} == {3 * 5 * 9}
    assert len(rows()) == 2 * 11


def test_old_minutes_go_first_and_old_hours_much_later(engine):
    for minute in (MINUTE - 3000, MINUTE - 100, MINUTE):
        engine.add_tallies([counted(minute)])
    assert engine.prune_tallies(MINUTE - 2880, 0, 10) == 2
    assert [minute for _, minute, *_ in rows(span=1)] == [MINUTE - 100, MINUTE]
    assert len(rows(span=HOUR)) == 3
    assert engine.prune_tallies(0, MINUTE - 2880, 10) == 2
    assert len(rows(span=HOUR)) == 2


def test_pruning_takes_the_oldest_and_no_more_than_it_may(engine):
    for minute in range(MINUTE, MINUTE + 5):
        engine.add_tallies([counted(minute)])
    assert engine.prune_tallies(MINUTE + 9, 0, 4) == 4
    assert [minute for _, minute, *_ in rows(span=1)] == [MINUTE + 2, MINUTE + 3, MINUTE + 4]


@pytest.mark.django_db(transaction=True)
def test_where_nothing_is_old_nothing_is_locked_or_written(engine, rival):
    engine.add_tallies([counted()])
    other = rival()
    if connection.vendor == "sqlite":
        other.begin()
        other.sql("UPDATE django_jobs_tally SET failed = 0")
    assert engine.prune_tallies(MINUTE, HOUR_OF_IT, 10) == 0
    assert engine.forget_releases(MINUTE, 10) == 0


def test_the_first_worker_of_a_version_marks_it(engine):
    engine.beat(WorkerCard(name="one", version="1.0"), NOON)
    engine.beat(WorkerCard(name="two", version="1.0"), LATER)
    engine.beat(WorkerCard(name="three", version="1.1"), LATER)
    engine.beat(WorkerCard(name="four"), LATER)
    engine.leave("one")
    engine.beat(WorkerCard(name="one", version="1.0"), LATER)
    assert list(Release.objects.values_list("version", "seen_at")) == [
        ("1.1", LATER),
        ("1.0", NOON),
    ]


def test_old_versions_are_forgotten_unless_a_worker_still_has_them(engine):
    engine.beat(WorkerCard(name="one", version="1.0"), NOON)
    engine.beat(WorkerCard(name="two", version="1.1"), NOON)
    engine.leave("one")
    assert engine.forget_releases(int((NOON - timedelta(days=1)).timestamp()) // 60, 10) == 0
    assert engine.forget_releases(int(LATER.timestamp()) // 60, 10) == 1
    assert Release.objects.get().version == "1.1"


def test_a_claim_says_how_long_each_job_has_been_due(scene):
    scene.enqueue(now=NOON - timedelta(seconds=90))
    scene.enqueue(now=NOON - timedelta(milliseconds=250))
    assert [job.waited for job in scene.claim()] == pytest.approx([90.0, 0.25], abs=0.001)


def test_a_rescued_job_says_its_name(scene):
    scene.run_one(name="shop.send")
    [lost] = scene.lose()
    assert lost.name == "shop.send"
