"""Other sessions, each in a thread of its own, for tests about races."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic

from django.db import connection, connections, transaction

DEADLINE = 20.0


class Rival:
    """Another session with an engine of the same kind. What it is told, it does in order."""

    def __init__(self, engine_class):
        self._thread = ThreadPoolExecutor(1)
        self.engine = self.do(lambda: engine_class(connections["default"]))
        self._block = None

    def start(self, work, *arguments):
        """Begin `work` and return its future; `work` gets the engine, if it takes one more."""
        return self._thread.submit(work, *arguments)

    def do(self, work, *arguments):
        """Return what `work` returns."""
        return self.start(work, *arguments).result(DEADLINE)

    def verb(self, name, *arguments, **keywords):
        """Return what the engine's verb returns."""
        return self.do(lambda: getattr(self.engine, name)(*arguments, **keywords))

    def start_verb(self, name, *arguments, **keywords):
        """Begin a verb of the engine and return its future."""
        return self.start(lambda: getattr(self.engine, name)(*arguments, **keywords))

    def sql(self, statement, *params):
        """Run a statement and return its rows."""

        def run():
            with connection.cursor() as cursor:
                cursor.execute(statement, params)
                return cursor.fetchall() if cursor.description else []

        return self.do(run)

    @property
    def pid(self):
        """The number of the session's server process."""
        return self.sql("SELECT pg_backend_pid()")[0][0]

    def begin(self):
        """Open a transaction that stays open until `rollback` or `commit`."""
        self._block = transaction.atomic(using="default")
        self.do(self._block.__enter__)

    @property
    def is_open(self):
        """Whether there is an open transaction."""
        return self._block is not None

    def commit(self):
        """Commit the open transaction."""
        self.do(self._block.__exit__, None, None, None)
        self._block = None

    def rollback(self):
        """Roll the open transaction back."""
        self.do(transaction.set_rollback, True)
        self.commit()

    @contextmanager
    def holding(self, table, row_id):
        """Keep a row locked inside the block, as an atomic step or an operator's page does."""
        self.begin()
        self.sql(f"SELECT 1 FROM {table} WHERE id = %s FOR NO KEY UPDATE", row_id)
        yield
        self.rollback()

    def close(self):
        """End the session."""
        if self._block is not None:
            self.rollback()
        self.do(connections.close_all)
        self._thread.shutdown()


def until(condition, what):
    """Return what `condition` returns as soon as that is true; fail after the deadline."""
    deadline = monotonic() + DEADLINE
    while not (found := condition()):
        assert monotonic() < deadline, f"waited in vain for {what}"
    return found


def waits_for_lock(pid):
    """Say whether the session with that server process waits for a lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s", [pid])
        return cursor.fetchone() == ("Lock",)
