import inspect
from datetime import UTC, datetime, timedelta, timezone

import pytest

from django_jobs import Backoff, JobContext, job, registry
from django_jobs.exceptions import InvalidQueue
from tests import jobs, postponed

EDGE = datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))


def test_a_job_is_still_the_function_it_was():
    assert jobs.add(1, right=2) == 3
    assert jobs.add.__name__ == "add"
    assert jobs.add.__module__ == "tests.jobs"
    assert list(inspect.signature(jobs.add).parameters) == ["left", "right"]


def test_a_bare_job_has_the_defaults(settings):
    settings.DJANGO_JOBS = {"MAX_ATTEMPTS": 6, "MAX_LOST": 2}
    definition = jobs.add
    assert definition.name == "tests.jobs.add"
    assert (definition.queue, definition.priority) == ("default", 0)
    assert (definition.max_attempts, definition.max_lost) == (6, 2)
    assert (definition.timeout, definition.retry_on, definition.never_retry) == (None, None, ())
    assert definition.backoff == Backoff()
    assert not definition.is_async
    assert not definition.wants_context


def test_options_are_kept_in_one_form():
    @job(
        timeout=timedelta(minutes=2),
        retry_on=ValueError,
        never_retry=[KeyError, TypeError],
        sensitive="card",
        aliases=["old.name"],
        on_crash="fail",
    )
    def pay(card):
        pass

    assert pay.timeout == 120
    assert pay.retry_on == (ValueError,)
    assert pay.never_retry == (KeyError, TypeError)
    assert pay.sensitive == ("card",)
    assert pay.aliases == ("old.name",)
    assert pay.max_lost == 0


def test_where_a_job_is_declared_is_known_by_file_and_line():
    file, _, line = jobs.add.source.rpartition(":")
    assert file.endswith("tests/jobs.py")
    assert int(line) == inspect.unwrap(jobs.add).__code__.co_firstlineno


def test_an_async_job_is_recognised():
    assert jobs.double.is_async
    assert not jobs.add.is_async


@pytest.mark.parametrize("definition", [jobs.count, postponed.written, postponed.dotted])
def test_the_context_is_asked_for_by_annotation_and_not_part_of_the_call(definition):
    assert definition.wants_context
    assert list(definition.signature.parameters) == ["number"]


@pytest.mark.parametrize("definition", [jobs.add, postponed.plain])
def test_without_that_annotation_there_is_no_context(definition):
    assert not definition.wants_context


def test_called_as_a_function_a_job_gets_a_detached_context():
    assert jobs.count(3) == {"counted": 3, "attempt": 1}


def test_called_with_a_context_a_job_gets_that_one():
    context = JobContext("tests.jobs.count", attempt=7)
    assert jobs.count(context, 3)["attempt"] == 7
    assert postponed.written(number=4, context=context) == 4


def test_a_context_that_is_not_the_first_parameter_is_refused():
    with pytest.raises(TypeError, match='"context: JobContext" must be the first parameter'):

        @job
        def late(number: int, context: JobContext):
            pass


def test_using_returns_a_changed_copy_and_leaves_the_original():
    changed = jobs.send.using(queue="slow", priority=-3, max_attempts=9, unique_key="one")
    assert (changed.queue, changed.priority, changed.max_attempts) == ("slow", -3, 9)
    assert changed.unique_key == "one"
    assert (jobs.send.queue, jobs.send.priority, jobs.send.max_attempts) == ("mail", 5, 3)
    assert jobs.send.unique_key is None
    assert registry.get("tests.jobs.send") is jobs.send


def test_changes_add_up_and_can_be_taken_back():
    later = jobs.add.using(run_after=timedelta(hours=1)).using(priority=1)
    assert later.run_after == timedelta(hours=1)
    assert later.using(run_after=None).run_after is None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"priority": 101}, ValueError, "priority must be between -100 and 100, got 101."),
        ({"priority": 1.5}, TypeError, "priority must be a whole number, got 1.5."),
        ({"priority": True}, TypeError, "priority must be a whole number, got True."),
        ({"max_attempts": 0}, ValueError, "max_attempts must be between 1 and 100, got 0."),
        ({"max_attempts": 101}, ValueError, "max_attempts must be between 1 and 100, got 101."),
        ({"queue": ""}, ValueError, "queue must have 1 to 64 characters, got ''."),
        ({"queue": "q" * 65}, ValueError, "queue must have 1 to 64 characters"),
        ({"queue": 5}, TypeError, "queue must be a text, got 5."),
        ({"unique_key": ""}, TypeError, 'unknown option "unique_key"'),
        ({"timeout": 0}, ValueError, "timeout must be more than 0, got 0. None means no limit."),
        ({"timeout": "60"}, TypeError, "timeout takes seconds or a timedelta, got '60'."),
        ({"backoff": 30}, TypeError, "For a first wait of 30 s: Backoff(first=30)."),
        ({"retry_on": "ValueError"}, TypeError, "retry_on takes exception classes"),
        ({"never_retry": [int]}, TypeError, "never_retry takes exception classes"),
        ({"on_crash": "stop"}, ValueError, 'on_crash must be "retry" or "fail", got \'stop\'.'),
        ({"sensitive": ["cart"]}, ValueError, 'sensitive names "cart", but there is no such'),
        ({"aliases": [1]}, TypeError, "aliases takes texts, got 1."),
        ({"name": ""}, ValueError, "name must be a text of 1 to 255 characters, got ''."),
        ({"quue": "mail"}, TypeError, 'unknown option "quue". Did you mean "queue"?'),
    ],
)
def test_a_wrong_option_is_refused_at_decoration_and_named(options, error, message):
    def pay(card):
        pass

    with pytest.raises(error) as caught:
        job(**options)(pay)
    assert message in str(caught.value)
    if options.get("name") is None:
        assert "pay" in str(caught.value).partition(":")[0]


def test_a_refused_job_is_not_declared():
    def pay():
        pass

    with pytest.raises(ValueError, match="priority"):
        job(name="shop.pay", priority=200)(pay)
    assert registry.find("shop.pay") is None


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"run_after": datetime(2030, 1, 1)}, ValueError, "run_after is naive (no time zone)."),  # noqa: DTZ001
        ({"run_after": timedelta(days=36526)}, ValueError, "must be within 100 years from now"),
        ({"run_after": timedelta.min}, ValueError, "must be within 100 years from now"),
        ({"run_after": EDGE}, ValueError, "must be within 100 years from now"),
        ({"queue": "a\x00b"}, ValueError, "queue has a NUL character or a lone surrogate"),
        ({"unique_key": "\ud800"}, ValueError, "unique_key has a NUL character or a lone surro"),
        ({"run_after": 60}, TypeError, "For seconds: timedelta(seconds=…)."),
        ({"unique_key": ""}, ValueError, "unique_key must have 1 to 255 characters"),
        ({"unique_key": 5}, TypeError, "unique_key must be a text, got 5."),
        ({"timeout": 5}, TypeError, 'unknown option "timeout"'),
    ],
)
def test_a_wrong_change_is_refused_and_named(changes, error, message):
    with pytest.raises(error) as caught:
        jobs.add.using(**changes)
    assert str(caught.value).startswith("tests.jobs.add: ")
    assert message in str(caught.value)


def test_aware_instants_and_none_are_right_times():
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    assert jobs.add.using(run_after=moment).run_after == moment


def test_a_queue_outside_the_projects_list_is_refused_at_decoration(settings):
    settings.DJANGO_JOBS = {"QUEUES": ["default", "mail"]}
    with pytest.raises(InvalidQueue, match=r'"mial" is not in QUEUES .*Did you mean "mail"\?'):

        @job(queue="mial")
        def pay():
            pass


@pytest.mark.parametrize("thing", [len, object(), type("Thing", (), {}), lambda: (yield)])
def test_what_cannot_be_a_job_is_refused(thing):
    with pytest.raises(TypeError):
        job(thing)


def test_a_job_shows_its_name():
    assert repr(jobs.add) == "<job tests.jobs.add>"
