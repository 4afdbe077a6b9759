"""Death in the gaps between what a worker does: statements, commits, a job's outside effects.

A process that watches goes from event to event. In a gap between two of them in which too few
have died so far it notes that, and kills itself. Processes that follow each other have thus died
in every gap, without a list of gaps and without a count that a change of the code would shift.

PostgreSQL's BEGIN is no event: it goes out with the statement after it. Nor is the middle of a
statement: what the database then has is what it has before, or after.
"""

import json
import os
import re
import signal
import threading
from collections import Counter
from typing import NamedTuple

from django.db.backends.signals import connection_created

TABLES = re.compile(r"(INSERT INTO|UPDATE|DELETE FROM|FROM)\s+\W?django_jobs_(\w+)")
BYSTANDERS = {"housekeeper", "journal", "listener"}
"""Threads of a worker whose statements have nothing to do with any particular job."""


class Event(NamedTuple):
    """What a process does, and in which step of a job; "" stands for none."""

    step: str
    what: str


class Gap(NamedTuple):
    """Where a process dies."""

    after: Event
    before: Event


class Gaps:
    """The gaps in this process; it passes over them all as long as it does not watch."""

    def __init__(self):
        self._path, self._deaths, self._known = None, 0, Counter()
        self._step, self._last = "", Event("", "start")
        self._lock = threading.Lock()  # nothing else may happen while a thread makes up its mind

    def watch(self, path, deaths):
        """Die in each gap in which fewer than `deaths` processes have died, as `path` notes."""
        self._path, self._deaths = path, deaths
        self._known.update(read(path))
        connection_created.connect(self._attach)

    def come_to(self, step):
        """Take note of the step that a job has come to, or with "" of its end."""
        with self._lock:
            if not self._step:
                self._last = Event("", "job begins")  # whatever the coordinator did meanwhile
            self._step = step

    def before(self, what):
        """Go on to the event `what`, or die."""
        with self._lock:
            # Beside a job the coordinator looks for others, at moments that nobody can foresee.
            aside = self._step and threading.current_thread() is threading.main_thread()
            if self._path and not aside:
                self._pass_or_die(Event(self._step, what))

    def _pass_or_die(self, event):
        gap, self._last = Gap(self._last, event), event
        if self._known[gap] < self._deaths:
            with self._path.open("a") as file:
                file.write(json.dumps(gap) + "\n")
            os.kill(os.getpid(), signal.SIGKILL)

    def _attach(self, connection, **_):
        known = self._execute in connection.execute_wrappers
        if known or threading.current_thread().name in BYSTANDERS:
            return
        connection.execute_wrappers.append(self._execute)
        connection._commit = self._ahead("COMMIT", connection._commit)
        connection._rollback = self._ahead("ROLLBACK", connection._rollback)

    def _execute(self, execute, sql, params, many, context):
        self.before(in_short(sql))
        return execute(sql, params, many, context)

    def _ahead(self, what, act):
        def wrapped():
            self.before(what)
            return act()

        return wrapped


def in_short(sql):
    """Return what a statement does to which tables, without what differs from time to time."""
    return ", ".join(map(" ".join, TABLES.findall(sql))) or sql.split()[0]


def read(path):
    """Return the gap of each death, in order."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [Gap(*(Event(*event) for event in json.loads(line))) for line in lines]


GAPS = Gaps()
