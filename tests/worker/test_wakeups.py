"""When a worker looks for jobs."""

from datetime import timedelta

import pytest

from django_jobs.worker.wakeups import Rhythm


@pytest.fixture
def rhythm(frozen_clock):
    return Rhythm(poll_interval=1.0)


def waits(rhythm, clock, looks):
    """Return the waits before each of `looks` looks that find nothing."""
    seen = []
    for _ in range(looks):
        rhythm.found(0, 10)
        seen.append(round(rhythm.wait, 3))
        clock.advance(timedelta(seconds=rhythm.wait))
        assert rhythm.due
    return seen


def test_a_new_worker_looks_at_once(rhythm):
    assert rhythm.due
    assert rhythm.wait == 0


def test_a_polling_worker_looks_every_20_ms_doubling_to_500_ms(rhythm, frozen_clock):
    assert waits(rhythm, frozen_clock, 8) == [0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5, 0.5]


def test_a_polling_worker_never_waits_longer_than_the_poll_interval(frozen_clock):
    assert waits(Rhythm(poll_interval=0.05), frozen_clock, 4) == [0.02, 0.04, 0.05, 0.05]


def test_a_polling_worker_that_found_nothing_for_a_minute_looks_every_two_intervals(
    rhythm, frozen_clock
):
    assert waits(rhythm, frozen_clock, 121)[-3:] == [0.5, 2.0, 2.0]
    rhythm.found(1, 10)
    assert rhythm.wait == pytest.approx(0.02)


def test_a_listening_worker_falls_back_to_the_poll_interval_after_two_looks(rhythm, frozen_clock):
    rhythm.listening = True
    assert waits(rhythm, frozen_clock, 4) == [0.05, 1.0, 1.0, 1.0]


def test_a_listening_worker_that_was_idle_for_long_looks_half_as_often(rhythm, frozen_clock):
    rhythm.listening = True
    assert waits(rhythm, frozen_clock, 11)[-3:] == [1.0, 2.0, 2.0]
    rhythm.wake()
    assert waits(rhythm, frozen_clock, 3) == [0.05, 1.0, 1.0]


def test_a_full_claim_means_looking_again_at_once(rhythm):
    rhythm.found(10, 10)
    assert rhythm.due


def test_a_claim_that_came_back_less_than_full_waits_a_moment(rhythm, frozen_clock):
    waits(rhythm, frozen_clock, 6)
    rhythm.found(3, 10)
    assert not rhythm.due
    assert rhythm.wait == pytest.approx(0.02)


def test_a_wake_up_is_followed_by_quick_looks(rhythm, frozen_clock):
    rhythm.listening = True
    waits(rhythm, frozen_clock, 4)
    rhythm.wake()
    assert rhythm.due
    assert waits(rhythm, frozen_clock, 2) == [0.05, 1.0]


def test_hours_of_silence_do_not_overflow(rhythm, frozen_clock):
    assert waits(rhythm, frozen_clock, 2000)[-1] == 2.0


def test_a_look_that_finds_all_it_asked_for_means_a_backlog():
    rhythm = Rhythm(1.0)
    rhythm.found(10, 10)
    assert rhythm.backlogged
    rhythm.found(9, 10)
    assert not rhythm.backlogged


def test_a_rhythm_follows_the_wake_ups_of_another(rhythm, frozen_clock):
    other = Rhythm(1.0)
    other.listening = True
    rhythm.follow(other)
    rhythm.found(0, 10)
    rhythm.follow(other)
    assert not rhythm.due
    other.wake()
    rhythm.follow(other)
    assert rhythm.due
    rhythm.found(0, 10)
    assert rhythm.wait == pytest.approx(0.05)
