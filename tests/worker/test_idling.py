"""The line that tells people that an idle worker lives."""

import logging
from datetime import timedelta

import pytest
from django.utils import translation

from django_jobs.models import Job
from django_jobs.worker import process as process_module
from django_jobs.worker import supervisor as supervisor_module
from django_jobs.worker.console import TerminalFormatter
from django_jobs.worker.idling import QUIET, Idling
from django_jobs.worker.options import WorkerOptions
from django_jobs.worker.pools import Board
from django_jobs.worker.process import WorkerProcess
from django_jobs.worker.supervisor import Supervisor
from tests.factories import JobFactory

SLOTS = 3
MINUTE = timedelta(seconds=QUIET)
LINE = "idle · 0 waiting · 0 scheduled"


class Watched:
    """A worker of two processes, and the line that its terminal shows."""

    def __init__(self, engine, caplog, queues=()):
        self.engine, self.caplog = engine, caplog
        self.cells = [[0] * Board.size(SLOTS) for _ in range(2)]
        self.boards = [Board(cells, SLOTS) for cells in self.cells]
        self.service = Idling(queues, self.cells)

    def after(self, clock, span=MINUTE):
        """Let `span` pass; return the lines that this adds."""
        clock.advance(span)
        self.caplog.clear()
        assert self.service.attend(self.engine) == set()
        return [record.getMessage() for record in self.caplog.records]


@pytest.fixture
def watch(engine, caplog, frozen_clock):
    caplog.set_level(logging.INFO, "django_jobs")
    return lambda **values: Watched(engine, caplog, **values)


def test_an_idle_worker_says_so_once_a_minute(watch, frozen_clock):
    watched = watch()
    assert watched.after(frozen_clock, MINUTE - timedelta(seconds=1)) == []
    assert watched.after(frozen_clock, timedelta(seconds=1)) == [LINE]
    assert watched.after(frozen_clock, MINUTE - timedelta(seconds=1)) == []
    assert watched.after(frozen_clock, timedelta(seconds=1)) == [LINE]


def test_it_counts_what_its_queues_have(watch, frozen_clock):
    JobFactory(queue="mail")
    for queue in ("mail", "mail", "default"):
        JobFactory(queue=queue, scheduled=True)
    line = "idle · 1 waiting · {} scheduled".format
    assert watch().after(frozen_clock) == [line(3)]
    assert watch(queues=("mail",)).after(frozen_clock) == [line(2)]


def test_a_german_project_has_the_same_line(watch, frozen_clock):
    Job.objects.bulk_create(JobFactory.build_batch(1_001))
    with translation.override("de"):
        assert watch().after(frozen_clock) == ["idle · 1,001 waiting · 0 scheduled"]


@pytest.mark.parametrize("number", [0, 1])
def test_a_worker_whose_job_runs_is_not_idle(watch, frozen_clock, number):
    watched = watch()
    watched.boards[number].write(1, 7, 70)
    assert watched.after(frozen_clock) == []
    assert watched.after(frozen_clock) == []
    watched.boards[number].end(1, 7, 70)
    watched.boards[number].forget([(7, 70)])
    assert watched.after(frozen_clock) == []
    assert watched.after(frozen_clock) == [LINE]


def test_a_job_between_two_looks_is_noticed(watch, frozen_clock):
    watched = watch()
    watched.after(frozen_clock, MINUTE - timedelta(seconds=1))
    board = watched.boards[1]
    board.write(0, 8, 80)
    board.end(0, 8, 80)
    board.forget([(8, 80)])
    assert watched.after(frozen_clock, timedelta(seconds=1)) == []
    assert watched.after(frozen_clock, MINUTE) == [LINE]


def test_the_database_is_asked_only_for_a_line(watch, frozen_clock, django_assert_num_queries):
    watched = watch()
    with django_assert_num_queries(0):
        watched.after(frozen_clock, timedelta(seconds=30))
    with django_assert_num_queries(2):
        watched.after(frozen_clock, timedelta(seconds=30))


def test_the_line_has_no_mark():
    record = logging.LogRecord("django_jobs", logging.INFO, "", 0, LINE, (), None)
    record.event = "idle"
    shown = TerminalFormatter(coloured=False).format(record)
    assert shown[8:] == "    idle · 0 waiting · 0 scheduled"


def idlings(worker):
    return [service for service in worker._housekeeper._services if isinstance(service, Idling)]


@pytest.mark.usefixtures("own_connections")
@pytest.mark.parametrize("watched", [True, False])
def test_a_worker_has_the_line_once_and_only_where_people_watch(monkeypatch, watched):
    for module in (process_module, supervisor_module):
        monkeypatch.setattr(module, "on_terminal", lambda: watched)
    options = WorkerOptions(threads=1, async_slots=1, processes=2)
    assert len(idlings(WorkerProcess(options))) == watched
    assert len(idlings(Supervisor(options))) == watched
    assert idlings(WorkerProcess(options, alone=False)) == []
