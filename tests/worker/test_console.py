"""What a worker says on its terminal: the banner, and the form of its lines."""

import json
import logging
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO

import pytest

from django_jobs import clock, trial
from django_jobs.reports import summary
from django_jobs.worker import console
from django_jobs.worker.options import WorkerOptions
from tests.factories import JobFactory


def banner_line(start, **values):
    """Return the line of the banner that begins with `start`."""
    (line,) = [text for text in console.banner(WorkerOptions(**values)) if text.startswith(start)]
    return line


@pytest.mark.django_db
def test_the_banner_says_what_waits_in_the_worker_s_queues(frozen_clock):
    assert banner_line("waiting") == "waiting   nothing"
    for queue, seconds in (("mail", 12), ("mail", 5), ("default", 3700)):
        JobFactory(queue=queue, run_at=clock.now() - timedelta(seconds=seconds))
    assert banner_line("waiting") == "waiting   3  oldest 1 h 1 min"
    assert banner_line("waiting", queues=("mail",)) == "waiting   2  oldest 12 s"
    assert banner_line("waiting", queues=("reports",)) == "waiting   nothing"


@pytest.mark.django_db
def test_the_banner_counts_a_long_line_to_an_end(frozen_clock, monkeypatch):
    monkeypatch.setattr(summary, "CAP", 2)
    JobFactory.create_batch(4, run_at=clock.now() - timedelta(seconds=12))
    assert banner_line("waiting") == "waiting   2+  oldest 12 s or more"


@pytest.mark.django_db
def test_a_job_that_is_ready_by_a_clock_ahead_of_ours_is_not_of_negative_age(frozen_clock):
    JobFactory(run_at=clock.now() + timedelta(seconds=3))
    assert banner_line("waiting") == "waiting   1  oldest 0 s"


@pytest.mark.django_db
def test_the_banner_is_short_and_its_columns_are_aligned(monkeypatch):
    ours = {trial.test_job.name: trial.test_job}  # every project has it
    monkeypatch.setattr(console.registry, "_definitions", ours)
    lines = console.banner(WorkerOptions(queues=("default", "mail"), processes=2))
    assert len(lines) == 7
    assert [line[:10] for line in lines[1:5]] == [
        "queues    ",
        "threads   ",
        "schedules ",
        "waiting   ",
    ]
    assert lines[1].index("jobs known  0") == lines[2].index("async       100")
    assert "reload" not in "".join(lines)
    lines = console.banner(WorkerOptions(processes=2), reloads=True)
    assert len(lines) == 7
    assert lines[2].endswith("async       100  reload on")


def shown(log_format, tracebacks=False, **values):
    """Return what the handler of a worker makes of one record."""
    record = logging.LogRecord("django_jobs.job", 20, "", 0, "add #1 started", (), None)
    record.__dict__.update({"event": "started", "job_id": 1, "created": 1894708800.0, **values})
    return console._formatter(log_format, tracebacks=tracebacks).format(record)


def test_for_people_a_line_has_a_time_and_a_mark():
    assert shown("text").endswith(":00  · add #1 started")
    assert shown("text", event="failed").endswith(":00  ✗ add #1 started")


def test_for_log_files_a_line_is_pairs_in_ascii():
    line = shown("keyvalue", job_name="größe", queue="a b")
    assert line == (
        "time=2030-01-15T12:00:00.000+00:00 level=info event=started job_id=1 "
        'job_name="gr\\u00f6\\u00dfe" queue="a b" message="add #1 started"'
    )


def test_for_collectors_a_line_is_an_object():
    assert json.loads(shown("json")) == {
        "time": "2030-01-15T12:00:00.000+00:00",
        "level": "info",
        "event": "started",
        "job_id": 1,
        "message": "add #1 started",
    }


@pytest.mark.parametrize("log_format", console.FORMATS)
def test_the_traceback_of_a_job_is_shown_where_asked_for(log_format):
    assert "line 7" not in shown(log_format, job_traceback="line 7")
    assert "line 7" in shown(log_format, tracebacks=True, job_traceback="line 7")


class Screen(StringIO):
    """A stream that is a terminal."""

    def isatty(self):
        return True


@contextmanager
def unprepared(monkeypatch):
    """Take the handlers of the loggers away, as in a project that configures none."""
    logger = logging.getLogger("django_jobs")
    with monkeypatch.context() as patch:
        for one in (logging.getLogger(), logger):
            patch.setattr(one, "handlers", [])
        patch.setattr(logger, "propagate", logger.propagate)
        patch.delenv(console.FORMAT_VARIABLE, raising=False)
        patch.delenv(console.TRACEBACKS_VARIABLE, raising=False)
        level = logger.level
        yield
        logger.setLevel(level)


@pytest.mark.parametrize(
    ("log_format", "stream", "watched"),
    [
        (None, Screen(), True),
        ("text", Screen(), True),
        ("keyvalue", Screen(), False),
        ("json", Screen(), False),
        (None, StringIO(), False),
        ("text", StringIO(), False),
    ],
)
def test_people_watch_where_lines_for_people_go_to_a_terminal(
    log_format, stream, watched, monkeypatch
):
    with unprepared(monkeypatch):
        assert not console.on_terminal()
        console.prepare_logging(log_format, stream)
        assert console.on_terminal() is watched


def test_logging_that_a_project_has_set_up_is_left_alone(monkeypatch):
    logger = logging.getLogger("django_jobs")
    handler = logging.NullHandler()
    logger.addHandler(handler)
    try:
        console.prepare_logging("json", StringIO())
        assert logger.handlers == [handler]
    finally:
        logger.removeHandler(handler)
