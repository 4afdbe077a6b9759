"""How many jobs a worker claims."""

from datetime import timedelta

import pytest

from django_jobs.worker.buffering import MOST, STUCK_AFTER, Appetite, Kind


@pytest.fixture
def appetite(frozen_clock):
    return Appetite(threads=4, async_slots=10)


def test_without_experience_it_claims_as_many_jobs_as_there_are_threads(appetite):
    assert appetite.wish(0, 0)[1] == 4
    assert appetite.wish(3, 0)[1] == 1
    assert appetite.wish(4, 10) == appetite.wish(9, 11) == (Kind.SYNC, 0)


def test_the_buffer_is_twice_what_ended_within_100_ms(appetite, frozen_clock):
    appetite.ended(3)
    frozen_clock.advance(timedelta(milliseconds=60))
    appetite.ended(5)
    assert appetite.buffer == 16
    frozen_clock.advance(timedelta(milliseconds=60))
    assert appetite.buffer == 10
    frozen_clock.advance(timedelta(milliseconds=100))
    assert appetite.buffer == 0


def test_the_buffer_has_an_end(appetite):
    appetite.ended(10_000)
    assert appetite.buffer == MOST
    assert appetite.wish(4, 0)[1] == MOST


def test_slow_jobs_keep_nothing_from_other_workers(appetite, frozen_clock):
    appetite.ended(1)
    frozen_clock.advance(timedelta(seconds=1))
    assert appetite.wish(4, 10) == (Kind.SYNC, 0)


def test_jobs_that_wait_behind_long_ones_are_stuck(appetite, frozen_clock):
    appetite.claimed(5, 0)
    appetite.ended(1)
    assert not appetite.is_stuck(5, 0)
    frozen_clock.advance(timedelta(seconds=STUCK_AFTER))
    assert not appetite.is_stuck(4, 10)
    assert appetite.is_stuck(5, 0)
    assert appetite.is_stuck(0, 11)


def test_async_jobs_that_come_and_go_make_nothing_move_in_the_threads(appetite, frozen_clock):
    frozen_clock.advance(timedelta(seconds=STUCK_AFTER))
    appetite.claimed(3, 3)
    appetite.ended(2, 2)
    assert appetite.is_stuck(5, 0)
    assert not appetite.is_stuck(0, 11)


def test_long_jobs_in_the_threads_leave_the_loop_its_own(appetite):
    assert appetite.wish(4, 0) == (Kind.ASYNC, 10)
    assert appetite.wish(4, 10) == (Kind.SYNC, 0)


def test_long_jobs_on_the_loop_leave_the_threads_their_own(appetite):
    appetite.claimed(10, 10)
    assert appetite.wish(0, 10) == (Kind.SYNC, 4)


def test_of_a_claim_of_the_wrong_kind_only_twice_what_runs_at_once_is_kept(appetite):
    assert appetite.surplus(0, 0, [False] * 10) == {8, 9}
    assert appetite.surplus(4, 0, [False] * 4 + [True] * 3) == set()
    assert appetite.surplus(0, 10, [True, False] * 11) == {17, 19, 20, 21}


def test_a_look_for_one_kind_of_jobs_teaches_nothing_about_the_mix(appetite):
    appetite.claimed(3, 3, Kind.ASYNC)
    assert appetite.wish(0, 0) == (Kind.ANY, 4)


@pytest.mark.parametrize("move", ["ended", "claimed"])
def test_nothing_is_stuck_while_jobs_come_and_go(appetite, frozen_clock, move):
    frozen_clock.advance(timedelta(seconds=STUCK_AFTER))
    if move == "ended":
        appetite.ended(1)
    else:
        appetite.claimed(1, 0)
    assert not appetite.is_stuck(5, 0)


def test_async_jobs_alone_fill_the_loop(appetite):
    appetite.claimed(4, 4)
    assert appetite.wish(0, 4)[1] == 6
    assert appetite.wish(0, 10) == (Kind.SYNC, 4)


def test_a_mix_is_claimed_so_that_neither_place_overflows(appetite):
    for _ in range(60):
        appetite.claimed(10, 5)
    assert appetite.wish(0, 0)[1] in {7, 8}
    assert appetite.wish(3, 0)[1] in {1, 2}
    assert appetite.wish(0, 9)[1] in {1, 2}
    assert appetite.wish(4, 0) == (Kind.ASYNC, 10)
    assert appetite.wish(0, 10) == (Kind.SYNC, 4)


def test_an_empty_claim_teaches_nothing(appetite):
    appetite.claimed(0, 0)
    appetite.ended(0)
    assert appetite.wish(0, 0)[1] == 4
