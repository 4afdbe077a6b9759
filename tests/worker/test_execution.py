"""How one run ends: whatever a job does becomes an outcome."""

import asyncio
from datetime import timedelta

import pytest

from django_jobs import Cancel, JobContext, NonRetriable, RetryAfter, Snooze, job
from django_jobs.handles import running_job
from django_jobs.states import (
    Later,
    Raised,
    Snoozed,
    State,
    Stopped,
    Succeeded,
    after_run,
)
from django_jobs.worker import execution
from django_jobs.worker.execution import make_context, run_sync
from tests.worker.making import claimed, run

BASE_EXCEPTIONS = [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError]


@pytest.fixture(params=["sync", "async"])
def declare(request):
    """Return a function that declares a job that does what it is given, sync or async."""

    def declare(act, **options):
        def sync_job(*args):
            return act(*args)

        async def async_job(*args):
            return act(*args)

        return job(**options)(sync_job if request.param == "sync" else async_job)

    return declare


def raising(error):
    def act():
        raise error

    return act


def again(outcome):
    """Return the seconds until the next run."""
    assert isinstance(outcome, Raised)
    return outcome.again.seconds


def test_what_a_job_returns_is_its_result(declare):
    outcome = run(declare(lambda a, b: {"sum": a + b}), args="[2,3]")
    assert outcome == Succeeded('{"sum":5}')


def test_returning_nothing_is_a_success_without_a_result(declare):
    assert run(declare(lambda: None)) == Succeeded(None)


def test_arguments_by_name_arrive_by_name():
    @job
    def greet(name, greeting="hello"):
        return f"{greeting} {name}"

    assert run(greet, kwargs='{"name":"Ana","greeting":"hi"}') == Succeeded('"hi Ana"')


def test_a_job_that_asks_for_its_context_gets_it_first():
    @job
    def tell(context: JobContext, extra):
        return [context.job_id, context.queue, context.attempt, context.max_attempts, extra]

    outcome = run(tell, number=7, queue="mail", attempt=2, args='["x"]')
    assert outcome == Succeeded('[7,"mail",2,4,"x"]')


def test_a_running_job_knows_its_number_and_forgets_it_after():
    seen = []

    @job
    def look():
        seen.append(running_job.get())

    run(look, number=7)
    assert (seen, running_job.get()) == ([7], None)


def test_an_exception_is_retried_after_the_backoff(declare):
    outcome = run(declare(raising(ValueError("no")), backoff=lambda _, attempt: 7 * attempt))
    assert outcome.error.message == "no"
    assert outcome.again == Later(7.0)


def test_a_backoff_may_return_a_timedelta(declare):
    outcome = run(declare(raising(ValueError()), backoff=lambda *_: timedelta(minutes=2)))
    assert again(outcome) == 120


def test_the_last_attempt_is_final(declare):
    outcome = run(declare(raising(ValueError("no"))), attempt=4)
    assert outcome.again is None
    assert after_run(outcome).to is State.FAILED


def test_non_retriable_is_final(declare):
    assert run(declare(raising(NonRetriable("no")))).again is None


def test_never_retry_is_final_for_its_classes_only(declare):
    definition = declare(raising(KeyError("x")), never_retry=(LookupError,))
    assert run(definition).again is None
    assert run(declare(raising(ValueError()), never_retry=(LookupError,))).again is not None


def test_retry_on_retries_its_classes_only(declare):
    assert run(declare(raising(KeyError("x")), retry_on=(LookupError,))).again is not None
    assert run(declare(raising(ValueError()), retry_on=(LookupError,))).again is None


@pytest.mark.parametrize(
    ("asked", "granted"),
    [(0, 1), (-5, 1), (90, 90), (timedelta(minutes=3), 180), (10**9, 86400), (10**30, 86400)],
)
def test_retry_after_waits_between_a_second_and_a_day(declare, asked, granted):
    assert again(run(declare(raising(RetryAfter(asked))))) == granted


@pytest.mark.parametrize(("hours", "granted"), [(-1, 1 / 3600), (5, 5), (100, 24)])
def test_retry_after_an_instant_is_bounded_alike(declare, frozen_clock, hours, granted):
    now = frozen_clock.now()
    outcome = run(declare(raising(RetryAfter(now + timedelta(hours=hours)))))
    assert outcome.again == Later(instant=now + timedelta(hours=granted))


def test_retry_after_on_the_last_attempt_is_final(declare):
    assert run(declare(raising(RetryAfter(5))), attempt=4).again is None


def test_a_snooze_costs_no_attempt(declare):
    outcome = run(declare(raising(Snooze(90))), attempt=4)
    assert outcome == Snoozed(Later(90.0))
    assert not after_run(outcome).counts


def test_a_snooze_takes_an_instant(declare, frozen_clock):
    at = frozen_clock.now() + timedelta(days=400)
    assert run(declare(raising(Snooze(at)))) == Snoozed(Later(instant=at))


@pytest.mark.parametrize("wait", [float("inf"), timedelta.max, 10**30, float("nan"), -4])
def test_no_wait_is_too_long_for_a_database(declare, wait):
    outcome = run(declare(raising(Snooze(wait))))
    assert 0 <= outcome.until.seconds <= execution.LONGEST_WAIT
    outcome = run(declare(raising(ValueError()), backoff=lambda *_: wait))
    assert 0 <= again(outcome) <= execution.LONGEST_WAIT


def test_cancel_ends_the_job_with_its_reason(declare):
    assert run(declare(raising(Cancel("sold out")))) == Stopped("sold out")


@pytest.mark.parametrize("kind", BASE_EXCEPTIONS)
def test_exceptions_that_end_programs_end_only_the_job(declare, kind):
    outcome = run(declare(raising(kind("bye"))))
    assert isinstance(outcome, Raised)
    assert outcome.error.type.endswith(kind.__name__)
    assert outcome.again is not None


def test_a_result_that_json_cannot_hold_is_final(declare):
    outcome = run(declare(object))
    assert outcome.error.type.endswith("ResultNotStorable")
    assert "cannot be stored" in outcome.error.message
    assert outcome.again is None


def test_a_result_that_is_too_large_is_final(declare, settings):
    settings.DJANGO_JOBS = {"MAX_RESULT": 100}
    outcome = run(declare(lambda: "x" * 200))
    assert outcome.error.type.endswith("ResultTooLarge")
    assert outcome.again is None


def test_arguments_that_no_longer_fit_are_final_and_say_what_to_do():
    @job
    def greet(name, salutation):
        raise AssertionError("must not run")

    outcome = run(greet, args='["Ana"]')
    assert "greet(name, salutation) no longer takes the arguments" in outcome.error.message
    assert outcome.again is None


def broken_backoff(error, attempt):
    raise SystemExit("no idea")


@pytest.mark.parametrize("backoff", [broken_backoff, lambda *_: "soon", lambda: 3, lambda *_: None])
def test_a_broken_backoff_is_replaced_by_the_default(declare, backoff, caplog):
    outcome = run(declare(raising(ValueError("no")), backoff=backoff))
    assert 15 <= again(outcome) <= 18
    assert outcome.error.message == "no"
    assert "The backoff of" in caplog.text


class Careless(Snooze):
    def __init__(self):
        pass


def test_an_exception_class_with_parts_missing_fails_its_job_only(declare):
    outcome = run(declare(raising(Careless())))
    assert isinstance(outcome, Raised)
    assert outcome.error.type == "AttributeError"


def test_sensitive_arguments_are_masked_in_the_record():
    @job(sensitive=("card",))
    def charge(card, *, api_key):
        raise ValueError(f"{card} refused for {api_key}")

    outcome = run(charge, args='["4111 1111"]', kwargs='{"api_key":"k-12345"}')
    texts = outcome.error.message + outcome.error.text + outcome.error.traceback
    assert "4111" not in texts
    assert "k-12345" not in texts


def test_collected_arguments_are_masked_by_their_own_name_and_by_their_groups():
    @job(sensitive=("pin_code", "parts"))
    def pay(*parts, **options):
        raise ValueError(f"{parts} {options}")

    outcome = run(pay, args='["4111 1111"]', kwargs='{"pin_code":"k-12345","to":"Ana"}')
    assert outcome.error.message == "('•••',) {'pin_code': '•••', 'to': 'Ana'}"


def test_a_broken_backoff_shows_no_secret_of_the_job_in_the_log(caplog):
    @job(sensitive="card", backoff=lambda *_: 1 / 0)
    def charge(card):
        raise ValueError(f"{card} refused")

    run(charge, args='["4111 1111"]')
    assert "ZeroDivisionError" in caplog.text
    assert "••• refused" in caplog.text
    assert "4111" not in caplog.text


def test_a_secret_with_quotes_is_masked_in_every_spelling():
    secret = 'pa"ss\\wörd\n!'

    @job(sensitive=("password",))
    def login(password):
        raise ValueError(f"{password!r} {[password]} {password}")

    import json

    outcome = run(login, args=json.dumps([secret]))
    assert "wörd" not in outcome.error.text + outcome.error.traceback


def test_the_workers_own_frames_are_not_in_the_traceback(declare):
    trace = run(declare(raising(ValueError("no")))).error.traceback
    assert "/execution.py" not in trace
    assert "test_execution.py" in trace


def test_a_failed_job_keeps_no_locals_alive():
    class Big:
        pass

    import gc
    import weakref

    seen = []

    @job
    def hoard():
        big = Big()
        seen.append(weakref.ref(big))
        raise ValueError("no")

    run(hoard)
    gc.collect()
    assert seen[0]() is None


def test_a_name_that_was_the_jobs_before_runs_it():
    @job(aliases=("shop.jobs.old_name",))
    def renamed():
        return "new"

    assert run(renamed) == Succeeded('"new"')
    one = claimed(name="shop.jobs.old_name")
    assert run_sync(one, make_context(one)) == Succeeded('"new"')
