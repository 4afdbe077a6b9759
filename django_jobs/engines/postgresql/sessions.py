"""The session a worker wants: planner switches, limits on waiting, and what to do at a limit."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from django.db import OperationalError, transaction

from django_jobs.conf import get_settings
from django_jobs.engines.orm import ORMEngine

LOCK_NOT_AVAILABLE = "55P03"

PLANNER = {
    "jit": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""Every hot statement has its index, and walks it in order, whatever the statistics say.

They are stale just when it matters: after a bulk enqueue into an empty queue a claim would
fetch and sort all ready jobs by a bitmap. JIT would compile what the switches make look dear.
"""

LIMITS = {
    "lock_timeout": "5s",
    "statement_timeout": "30s",
    "synchronous_commit": "on",
    "client_connection_check_interval": "10s",
}
"""`synchronous_commit`: a claim that a crash takes back could give its id to another one."""

TRANSPORT: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


class Session(ORMEngine):
    """An engine's session."""

    look_every = 10.0

    @staticmethod
    def own_options(options: dict[str, Any], purpose: str, lease: float) -> dict[str, Any]:
        """Return `options` with the session settings of a worker.

        Behind a transaction pooler a session belongs to nobody; there the settings go into
        each transaction instead.
        """
        own = {**TRANSPORT, **options, "application_name": purpose}
        own.pop("pool", None)
        own.pop("isolation_level", None)
        if get_settings().POOLED:
            return {**own, "prepare_threshold": None}
        values = {**_session_settings(lease), "default_transaction_isolation": r"read\ committed"}
        switches = " ".join(f"-c {name}={value}" for name, value in values.items())
        own["options"] = f"{options.get('options', '')} {switches}".strip()
        return own

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Open a transaction, or join the caller's; behind a pooler it carries the settings."""
        opens = not self.connection.in_atomic_block
        with transaction.atomic(using=self.alias, savepoint=False):
            if opens and get_settings().POOLED:
                self._set_locally()
            yield

    def _set_locally(self) -> None:
        values = _session_settings(get_settings().LEASE)
        calls = ", ".join("set_config(%s, %s, true)" for _ in values)
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {calls}", [text for pair in values.items() for text in pair])

    def rows(self, statement: str, params: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run `statement` and return its rows."""
        pooled = get_settings().POOLED and not self.connection.in_atomic_block
        around: AbstractContextManager[None] = self.transaction() if pooled else nullcontext()
        with around, self.connection.cursor() as cursor:
            cursor.execute(statement, params)
            found: list[tuple[Any, ...]] = cursor.fetchall()
            return found

    def patient_rows(
        self, statement: str | None, skipping: str, params: Mapping[str, Any]
    ) -> list[tuple[Any, ...]]:
        """Run `statement`; if there is none, or a lock keeps it waiting too long, `skipping`."""
        if statement is None:
            return self.rows(skipping, params)
        inside = self.connection.in_atomic_block
        guard = transaction.atomic(using=self.alias) if inside else nullcontext()
        try:
            with guard:
                return self.rows(statement, params)
        except OperationalError as error:
            if not self.is_busy(error):
                raise
        return self.rows(skipping, params)

    def is_busy(self, error: Exception) -> bool:
        """Say whether `error` means that others kept a row locked for too long."""
        return getattr(error.__cause__, "sqlstate", None) == LOCK_NOT_AVAILABLE


def _session_settings(lease: float) -> dict[str, str]:
    idle = f"{round(max(lease, 1.0) * 1000)}ms"
    return {**PLANNER, **LIMITS, "idle_in_transaction_session_timeout": idle}
