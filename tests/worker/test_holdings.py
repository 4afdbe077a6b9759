"""What a process holds in memory, and what it is told about it."""

from datetime import timedelta

import pytest

from django_jobs import clock
from django_jobs.context import Ask
from django_jobs.engines.base import Answer, Extension, Hold
from django_jobs.worker.holdings import Holdings
from tests.worker.making import held

LEASE = 10.0


@pytest.fixture
def holdings(frozen_clock):
    return Holdings(LEASE)


def extended(*job_ids, cancel=()):
    return Extension(Answer.EXTENDED, frozenset(job_ids), frozenset(cancel))


def hold_two(holdings):
    one, two = held(1, 10), held(2, 10)
    holdings.add([one, two], clock.monotonic())
    return one, two


def test_a_job_that_the_claim_does_not_list_any_more_is_told_that_it_is_lost(holdings):
    one, two = hold_two(holdings)
    assert holdings.apply({10: extended(2)}, clock.monotonic()) == set()
    assert (one.context.ask, two.context.ask) == (Ask.LOST, None)


def test_a_missing_claim_means_that_all_its_jobs_are_lost(holdings):
    helds = hold_two(holdings)
    holdings.apply({10: Extension(Answer.MISSING)}, clock.monotonic())
    assert [item.context.ask for item in helds] == [Ask.LOST, Ask.LOST]
    assert holdings.claim_ids() == []


def test_a_busy_claim_loses_nothing_and_is_asked_for_again(holdings):
    one, _ = hold_two(holdings)
    assert holdings.apply({10: Extension(Answer.BUSY)}, clock.monotonic()) == {10}
    assert one.context.ask is None
    assert holdings.claim_ids() == [10]


def test_a_busy_claim_is_not_safe_for_longer(holdings, frozen_clock):
    one, _ = hold_two(holdings)
    frozen_clock.advance(timedelta(seconds=LEASE * 0.8))
    holdings.apply({10: Extension(Answer.BUSY)}, clock.monotonic())
    assert not holdings.is_safe(one.hold)


def test_a_request_to_cancel_reaches_the_job_that_it_names(holdings):
    one, two = hold_two(holdings)
    holdings.apply({10: extended(1, 2, cancel=[2])}, clock.monotonic())
    assert (one.context.ask, two.context.ask) == (None, Ask.CANCEL)
    assert holdings.claim_ids() == [10]


def test_a_job_that_was_cancelled_and_taken_is_lost(holdings):
    one, _ = hold_two(holdings)
    holdings.apply({10: extended(2, cancel=[1])}, clock.monotonic())
    assert one.context.ask is Ask.LOST


def test_answers_about_a_claim_that_was_closed_meanwhile_mean_nothing(holdings):
    one, two = hold_two(holdings)
    holdings.drop([one.hold, two.hold])
    assert holdings.apply({10: Extension(Answer.MISSING)}, clock.monotonic()) == set()
    assert (one.context.ask, two.context.ask) == (None, None)


def test_one_job_may_be_held_under_two_claims(holdings):
    old, new = held(1, 10), held(1, 11)
    holdings.add([old], clock.monotonic())
    holdings.add([new], clock.monotonic())
    holdings.apply({10: Extension(Answer.MISSING), 11: extended(1)}, clock.monotonic())
    assert (old.context.ask, new.context.ask) == (Ask.LOST, None)
    assert holdings.claim_ids() == [11]
    assert len(holdings) == 2


def test_nothing_may_start_after_eight_tenths_of_the_lease(holdings, frozen_clock):
    one, two = hold_two(holdings)
    frozen_clock.advance(timedelta(seconds=LEASE * 0.8 - 0.001))
    assert holdings.is_safe(one.hold)
    assert holdings.doubtful() == []
    frozen_clock.advance(timedelta(seconds=0.001))
    assert not holdings.is_safe(one.hold)
    assert {item.hold for item in holdings.doubtful()} == {one.hold, two.hold}


def test_an_extension_counts_from_when_it_was_sent(holdings, frozen_clock):
    one, _ = hold_two(holdings)
    sent = clock.monotonic()
    frozen_clock.advance(timedelta(seconds=5))
    holdings.apply({10: extended(1, 2)}, sent)
    frozen_clock.advance(timedelta(seconds=3))
    assert not holdings.is_safe(one.hold)


def test_a_clock_that_is_set_back_makes_no_lease_longer(holdings, frozen_clock):
    one, _ = hold_two(holdings)
    frozen_clock.advance(timedelta(seconds=LEASE))
    frozen_clock.advance(timedelta(hours=-1))
    assert not holdings.is_safe(one.hold)


def test_what_is_not_held_is_not_safe(holdings):
    one, two = hold_two(holdings)
    holdings.drop([one.hold])
    assert not holdings.is_safe(one.hold)
    assert holdings.is_safe(two.hold)
    assert not holdings.is_safe(Hold(7, 77))


def test_dropping_the_last_job_of_a_claim_names_the_claim(holdings):
    one, two = hold_two(holdings)
    assert holdings.would_empty([one.hold]) == []
    assert holdings.would_empty([one.hold, two.hold]) == [10]
    assert holdings.drop([one.hold]) == []
    assert holdings.would_empty([two.hold]) == [10]
    assert holdings.drop([two.hold, two.hold]) == [10]
    assert len(holdings) == 0


def test_a_claim_is_extended_while_one_of_its_jobs_is_not_lost(holdings):
    one, two = hold_two(holdings)
    one.context.tell(Ask.LOST)
    assert holdings.claim_ids() == [10]
    two.context.tell(Ask.TIMEOUT)
    assert holdings.claim_ids() == [10]
    two.context.tell(Ask.LOST)
    assert holdings.claim_ids() == []
