"""What a muted error means to the verdict, and when that ends."""

from datetime import timedelta

import pytest

from django_jobs import clock, muting
from django_jobs.exceptions import ErrorNotFound
from django_jobs.models import MutedError
from django_jobs.muting import is_quiet
from django_jobs.reports import verdict
from tests.conftest import NOON
from tests.factories import JobFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def failing(count, fingerprint="aaaa"):
    JobFactory.create_batch(count, failed=True, fingerprint=fingerprint, finished_at=clock.now())


def rules():
    return [found.rule for found in verdict.verdict().problems]


@pytest.fixture(autouse=True)
def _worker():
    WorkerFactory(beat_at=NOON + timedelta(days=2))


def test_a_muted_error_is_no_problem_and_others_are():
    failing(10)
    assert rules() == ["failure-spike"]
    assert muting.mute("aaaa", by="ana")
    assert rules() == []
    failing(10, "bbbb")
    assert rules() == ["failure-spike"]


def test_it_is_loud_again_when_the_time_is_over(frozen_clock):
    failing(10)
    muting.mute("aaaa", until=NOON + timedelta(minutes=10))
    frozen_clock.advance(timedelta(minutes=9))
    assert rules() == []
    frozen_clock.advance(timedelta(minutes=1))
    assert rules() == ["failure-spike"]


def test_it_is_loud_again_when_it_has_grown_tenfold():
    failing(2)
    muting.mute("aaaa")
    failing(17)
    assert rules() == []
    failing(1)
    assert rules() == ["failure-spike"]


def test_an_error_that_is_loud_again_can_be_muted_again(frozen_clock):
    failing(1)
    assert muting.mute("aaaa", by="ana")
    assert not muting.mute("aaaa", by="bob")
    failing(9)
    assert muting.mute("aaaa", by="bob")
    row = MutedError.objects.get()
    assert (row.muted_by, row.count) == ("bob", 10)
    frozen_clock.advance(timedelta(days=1))
    assert muting.mute("aaaa", by="eve")
    assert MutedError.objects.get().muted_by == "eve"


def test_to_unmute_what_is_not_muted_changes_nothing(frozen_clock):
    assert not muting.unmute("aaaa")
    failing(1)
    muting.mute("aaaa")
    assert muting.unmute("aaaa")
    assert not muting.unmute("aaaa")
    muting.mute("aaaa")
    frozen_clock.advance(timedelta(days=2))
    assert not muting.unmute("aaaa")
    assert not MutedError.objects.exists()


def test_rows_that_are_over_are_cleared_away(frozen_clock):
    failing(1)
    failing(1, "bbbb")
    muting.mute("aaaa")
    frozen_clock.advance(timedelta(days=2))
    muting.mute("bbbb")
    assert [row.fingerprint for row in MutedError.objects.all()] == ["bbbb"]


@pytest.mark.parametrize("until", [NOON, NOON.replace(tzinfo=None) + timedelta(days=1)])
def test_an_end_that_is_past_or_naive_is_refused(until):
    failing(1)
    with pytest.raises(ValueError, match="naive or past"):
        muting.mute("aaaa", until=until)


@pytest.mark.parametrize("fingerprint", ["", "nope"])
def test_what_no_job_failed_of_cannot_be_muted(fingerprint):
    failing(1, "")
    with pytest.raises(ErrorNotFound, match="no failed job has the fingerprint"):
        muting.mute(fingerprint)


@pytest.mark.parametrize(
    ("then", "now", "quiet"),
    [
        (1, 9, True),
        (1, 10, False),
        (1_000, 9_999, True),
        (1_000, 10_000, False),
        (1_001, 10_000, False),  # no more are counted
        (5_000, 9_999, True),
        (5_000, 10_000, False),
        (5_001, 10_000, True),
        (10_000, 10_001, True),
    ],
)
def test_growth_beyond_what_is_counted_is_heard_all_the_same(then, now, quiet):
    row = MutedError(count=then, muted_until=NOON + timedelta(hours=1))
    assert is_quiet(row, now, NOON) is quiet
