"""Reads what is stored of a job whatever it is: another version, or another hand, may have written it.

JSON is read as text, so that what is none stands in nobody's way; instants are moved into what every
time zone has; long texts are cut by the database.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.db import DataError, OperationalError
from django.db.models import DateTimeField, Model, QuerySet, TextField
from django.db.models.functions import Cast, Left, Right

from django_jobs.models import Job
from django_jobs.serializers import NotReadable, load_stored
from django_jobs.states import FINAL

CALL = ("args", "kwargs", "original_args")
HEAVY = (*CALL, "metadata")
"""The columns of a job that hold JSON."""

LONGEST_TEXT = 64 * 1024
"""Characters of one text that are read."""

UNDECODED = "Could not decode to UTF-8"
"""What SQLite's driver says of a text that is none."""

Found = TypeVar("Found")
_FIRST, _LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


class Garbled(ValueError):
    """A row holds what is none of its types, such as an instant that Python does not know."""


def reading_stored(read: Callable[[], Found]) -> Found:
    """Return what `read` reads; raises Garbled where the database's driver cannot."""
    try:
        return read()
    except (DataError, ValueError) as error:  # such as of a day that no month has, or of no text
        raise Garbled(str(error)) from error
    except OperationalError as error:
        if UNDECODED not in str(error):
            raise
        raise Garbled(str(error)) from error


def with_call(jobs: QuerySet[Job]) -> QuerySet[Job]:
    """Return `jobs` with their calls as texts, which `unpack` reads."""
    texts = {f"{column}_text": Cast(column, TextField()) for column in CALL}
    return jobs.defer(*HEAVY).annotate(**texts)


def unpack(job: Any) -> Mapping[str, str]:
    """Give `job` its call; return the texts that are none, by column: they count as empty."""
    unreadable = {}
    for column, is_right, empty in (
        ("args", _is_list, []),
        ("kwargs", _is_object, {}),
        ("original_args", _is_original, None),
    ):
        text = getattr(job, f"{column}_text")
        setattr(job, column, empty)
        try:
            value = empty if text is None else _loaded(text, is_right)
        except NotReadable:
            unreadable[column] = text
        else:
            setattr(job, column, value)
    return unreadable


def _loaded(text: str, is_right: Callable[[Any], bool]) -> Any:
    value = load_stored(text)
    if not is_right(value):
        raise NotReadable
    return value


def with_texts(rows: QuerySet[Any], starts: Collection[str], ends: Collection[str]) -> Any:
    """Return `rows` with the beginnings, or the ends, of long texts, which `take_texts` reads."""
    found: dict[str, Any] = {f"{name}_part": Left(name, LONGEST_TEXT + 1) for name in starts}
    found |= {f"{name}_part": Right(name, LONGEST_TEXT + 1) for name in ends}
    return rows.defer(*starts, *ends).annotate(**found)


def take_texts(row: Any, starts: Collection[str], ends: Collection[str]) -> None:
    """Give a row its long texts, and `is_cut`: whether one of them was too long."""
    row.is_cut = False
    for name in (*starts, *ends):
        text = getattr(row, f"{name}_part") or ""
        row.is_cut = row.is_cut or len(text) > LONGEST_TEXT
        setattr(row, name, text[:LONGEST_TEXT] if name in starts else text[-LONGEST_TEXT:])


def tame(row: Model) -> None:
    """Move the instants of a row, as it was read, into what every time zone has.

    Raises Garbled where one lacks that must be there: SQLite takes any text for an instant.
    """
    instants = (each for each in row._meta.concrete_fields if isinstance(each, DateTimeField))
    for field in instants:
        name = field.attname
        instant = row.__dict__.get(name)
        if instant is not None:
            setattr(row, name, min(max(instant, _FIRST), _LAST))
        elif name in row.__dict__ and not field.null:
            raise Garbled(f"{name} is no instant.")


def tame_job(job: Job) -> None:
    """Do that to a job, which has an instant more when it has ended."""
    tame(job)
    if job.state in FINAL and job.finished_at is None:
        raise Garbled("finished_at is no instant.")


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_original(value: Any) -> bool:
    if value is None:
        return True
    return _is_object(value) and _is_list(value.get("args")) and _is_object(value.get("kwargs"))
