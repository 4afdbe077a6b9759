"""The one settings object: every key of `DJANGO_JOBS` with its type, default and meaning.

Reads Django's settings when a value is first asked for; checks report what is wrong with
them, with the key named.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cache
from inspect import formatannotation
from typing import Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed

from django_jobs import link_templates
from django_jobs.registry import nearest

NAME = "DJANGO_JOBS"


def _meaning(
    text: str,
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    check: Callable[[Any], str | None] | None = None,
) -> Any:
    metadata = {"meaning": text, "low": low, "high": high, "check": check}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The values of `DJANGO_JOBS`. Times are seconds, sizes are bytes."""

    DATABASE: str = _meaning("alias of the database that holds the jobs", "default")
    QUEUES: list[str] = _meaning("allowed queue names; empty: any name", [])
    AUTODISCOVER: list[str] = _meaning("modules searched for jobs in every app", ["jobs"])
    THREADS: int | None = _meaning(
        "jobs at once per process; None: 10 on PostgreSQL, 4 on SQLite", None, low=1, high=500
    )
    ASYNC: int = _meaning("async jobs at once per process", 100, low=1, high=10_000)
    MAX_ATTEMPTS: int = _meaning("attempts of a job without max_attempts", 4, low=1, high=100)
    MAX_LOST: int = _meaning("worker deaths that a job survives", 3, low=0, high=100)
    LEASE: float = _meaning("how long a silent worker keeps its jobs", 60.0, low=0.5)
    POLL_INTERVAL: float = _meaning(
        "longest wait between two looks for jobs; twice that after a long quiet time", 1.0, low=0.01
    )
    SHUTDOWN_GRACE: float = _meaning("how long running jobs may go on at a stop", 30.0, low=0)
    MAX_ARGUMENTS: int = _meaning("size limit of a job's arguments", 64 * 1024, low=100)
    MAX_RESULT: int = _meaning("size limit of a job's result", 256 * 1024, low=100)
    RETENTION_SUCCESSFUL: float = _meaning("days that successful jobs are kept", 7.0, low=0)
    RETENTION_FAILED: float = _meaning("days that failed and cancelled jobs are kept", 30.0, low=0)
    UNKNOWN_JOB_PATIENCE: float = _meaning(
        "how long a job waits for a worker that knows its name", 3600.0, low=0
    )
    RETENTION_TICKS: float = _meaning("days that the history of schedules is kept", 30.0, low=1)
    RETENTION_EVENTS: float = _meaning("days that events are kept", 7.0, low=1)
    RETENTION_HISTORY: float = _meaning(
        "days that the figures of the history are kept", 90.0, low=2
    )
    SCHEDULES_ENABLED: bool = _meaning("False: no schedule enqueues anything", True)
    LISTEN: bool = _meaning(
        "wake workers at once: LISTEN on PostgreSQL, a look for commits on SQLite", True
    )
    POOLED: bool = _meaning("a transaction pooler such as PgBouncer is in between", False)
    LOG_JOBS: str = _meaning('"folded" (above 200 jobs a second) or "all"', "folded")
    ADMIN_AUTO: bool = _meaning("the admin's dashboard appears by itself", True)
    ADMIN_PREFIX: str = _meaning("where in the admin the pages of jobs are", "jobs")
    ADMIN_REFRESH: float = _meaning(
        "seconds between two refreshes of the dashboard; 0: only by hand", 5.0, low=0
    )
    ADMIN_HEALTH_TOKEN: str = _meaning(
        "whoever sends it as a bearer token may read health.json; empty: nobody", ""
    )
    ADMIN_LINKS: dict[str, str] = _meaning(
        "links to other tools by label, with places such as {job_id}",
        {},
        check=link_templates.wrong_with,
    )
    PROGRESS_REFRESH: float = _meaning(
        "seconds between two looks of a page with job_progress; 0: only by hand", 2.0, low=0
    )
    PROGRESS_MAX_AGE: float = _meaning(
        "how long a page with job_progress may go on looking", 86_400.0, low=1
    )
    WARN_NO_WORKER: float = _meaning("age of the newest sign of a worker that is suspicious", 60.0)

    WARN_JOBS: int = _meaning(
        "so many jobs on record are a problem (PostgreSQL, estimated); 0: never", 10_000_000, low=0
    )

    @property
    def extend_interval(self) -> float:
        """Seconds between two extensions of the leases: a quarter of the lease."""
        return self.LEASE / 4


def problems(values: Any) -> list[tuple[str, str]]:
    """Return (check id, message) for each thing that is wrong with `values`."""
    if not isinstance(values, dict):
        return [("E002", f"{NAME} must be a dict, not {type(values).__name__}.")]
    known = {item.name: item for item in fields(Settings)}
    found: list[tuple[str, str]] = []
    for key, value in values.items():
        if key not in known:
            match = nearest(str(key), list(known))
            hint = f' Did you mean "{match}"?' if match else ""
            found.append(("E001", f'{NAME}: unknown key "{key}".{hint}'))
        elif problem := _problem(known[key], value):
            found.append(("E002", f'{NAME}["{key}"] {problem}'))
    return found


@cache
def get_settings() -> Settings:
    """Return the settings; keys that are unknown or wrong keep their default (see the checks)."""
    values = getattr(django_settings, NAME, {})
    known = {item.name: item for item in fields(Settings)}
    if not isinstance(values, dict):
        return Settings()
    usable = {
        key: value
        for key, value in values.items()
        if key in known and not _problem(known[key], value)
    }
    return Settings(**usable)


def _problem(item: Any, value: Any) -> str | None:
    kind = formatannotation(item.type)
    if value is None:
        return None if "None" in kind else "must not be None."
    kind = kind.removesuffix(" | None")
    if not _fits(kind, value):
        return f"must be of type {kind}, got {value!r}."
    low, high = item.metadata["low"], item.metadata["high"]
    if low is not None and value < low:
        return f"must be at least {low}, got {value!r}."
    if high is not None and value > high:
        return f"must be at most {high}, got {value!r}."
    check = item.metadata["check"]
    return check(value) if check is not None else None


def _fits(kind: str, value: Any) -> bool:
    if kind == "list[str]":
        return isinstance(value, (list, tuple)) and all(isinstance(text, str) for text in value)
    if kind == "dict[str, str]":
        texts = [*value, *value.values()] if isinstance(value, dict) else [None]
        return all(isinstance(text, str) for text in texts)
    if isinstance(value, bool):
        return kind == "bool"
    types: dict[str, Any] = {"str": str, "int": int, "float": (int, float), "bool": bool}
    return isinstance(value, types[kind])


def _forget(*, setting: str, **_: Any) -> None:
    if setting == NAME:
        get_settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="django_jobs.conf")
