from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jobs.states import (
    FINAL,
    IDLE,
    LIVE,
    MOVES,
    ErrorRecord,
    Interrupted,
    Later,
    Raised,
    RunOutcome,
    Snoozed,
    State,
    Stopped,
    Succeeded,
    Suspended,
    TimedOut,
    after_run,
    as_choices,
    label,
    may_move,
)
from tests.conftest import NOON

ERROR = ErrorRecord("ValueError", "no", "no", "", "abc")

later = st.one_of(
    st.floats(0, 1e6).map(lambda seconds: Later(seconds=seconds)),
    st.integers(0, 10**6).map(lambda number: Later(instant=NOON + timedelta(seconds=number))),
)
outcomes = st.one_of(
    st.none().map(lambda _: Succeeded()),
    st.just(Succeeded('"done"')),
    st.builds(Raised, st.just(ERROR), st.none() | later),
    st.builds(TimedOut, st.just(ERROR), st.none() | later),
    st.builds(Snoozed, later),
    st.builds(Suspended, st.none() | later, st.none() | st.just("order/paid")),
    st.builds(Stopped, st.text(max_size=5)),
    st.just(Interrupted()),
)


def test_every_state_is_either_live_or_final():
    assert set(State) == LIVE | FINAL
    assert not LIVE & FINAL


def test_idle_states_are_the_live_ones_that_do_not_run():
    assert {State.RUNNING} == LIVE - IDLE


def test_success_keeps_the_result_and_counts():
    transition = after_run(Succeeded("3"))
    assert (transition.to, transition.outcome) == (State.SUCCESSFUL, RunOutcome.SUCCESSFUL)
    assert (transition.result, transition.counts) == ("3", True)


def test_an_error_with_another_attempt_schedules_the_job():
    transition = after_run(Raised(ERROR, Later(seconds=9)))
    assert (transition.to, transition.outcome) == (State.SCHEDULED, RunOutcome.RETRIED)
    assert (transition.again, transition.error) == (Later(seconds=9), ERROR)


def test_an_error_without_another_attempt_fails_the_job():
    transition = after_run(Raised(ERROR))
    assert (transition.to, transition.outcome) == (State.FAILED, RunOutcome.FAILED)


@pytest.mark.parametrize(
    ("again", "state"), [(None, State.FAILED), (Later(seconds=1), State.SCHEDULED)]
)
def test_a_time_out_is_recorded_as_one_whether_it_is_retried_or_not(again, state):
    transition = after_run(TimedOut(ERROR, again))
    assert (transition.to, transition.outcome) == (state, RunOutcome.TIMED_OUT)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Snoozed(Later(seconds=1)), State.SCHEDULED),
        (Suspended(None, "order/paid"), State.WAITING),
        (Interrupted(), State.READY),
    ],
)
def test_endings_that_are_nobodys_fault_cost_no_attempt(outcome, state):
    transition = after_run(outcome)
    assert (transition.to, transition.counts) == (state, False)


def test_a_stopped_job_is_cancelled_with_its_reason():
    transition = after_run(Stopped("not needed"))
    assert (transition.to, transition.reason) == (State.CANCELLED, "not needed")


@given(outcomes)
def test_a_job_that_may_run_again_is_never_final_and_a_final_one_has_no_next_time(outcome):
    transition = after_run(outcome)
    assert transition.to is not State.RUNNING
    assert not (transition.to in FINAL and transition.again)
    assert transition.counts or transition.to not in FINAL


@given(st.lists(st.sampled_from(sorted(State)), max_size=8), st.sampled_from(sorted(State)))
def test_no_sequence_of_moves_makes_a_job_run_or_succeed(targets, state):
    for target in targets:
        if may_move(state, target):
            assert target in {State.READY, State.CANCELLED}
            state = target


def test_every_final_state_can_be_retried_and_every_live_one_cancelled():
    assert all(State.READY in MOVES[state] for state in FINAL)
    assert all(State.CANCELLED in MOVES[state] for state in LIVE)


@pytest.mark.parametrize(
    ("state", "attempt", "asked", "word"),
    [
        (State.READY, 0, False, "ready"),
        (State.SCHEDULED, 0, False, "scheduled"),
        (State.SCHEDULED, 1, False, "retrying"),
        (State.RUNNING, 1, False, "running"),
        (State.RUNNING, 1, True, "stopping"),
        (State.CANCELLED, 1, True, "cancelled"),
    ],
)
def test_people_read_finer_words_than_the_stored_ones(state, attempt, asked, word):
    assert label(state, attempt, cancel_requested=asked) == word


def test_choices_are_the_stored_value_with_a_readable_word():
    assert ("timed_out", "timed out") in as_choices(RunOutcome)


def test_a_state_that_is_none_is_its_own_word():
    assert label("ASLEEP", 3, cancel_requested=True) == "asleep"
