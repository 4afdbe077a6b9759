"""Reads a file of customers: decides for each row whether it is good, and why not. Writes nothing."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models.fields.files import FieldFile

MAX_BYTES = 1_000_000
MAX_ROWS = 20_000
COLUMNS = ("name", "email")
LONGEST_NAME, LONGEST_EMAIL = 100, 254
SHOWN = 60
"""Characters of a bad cell that are shown."""


class BadFile(ValueError):
    """The file cannot be read, now or later."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the file; `problem` says why it is not a customer, "" when it is one."""

    line: int
    name: str
    email: str
    problem: str = ""


def read(file: Any) -> list[Row]:
    """Return the rows of an open binary file, the bad ones among them.

    Raises BadFile when it is not a table of customers at all.
    """
    return list(_rows(_text(file)))


def read_stored(file: FieldFile) -> list[Row]:
    """Return the rows of a file that was kept; raises BadFile also when it is gone."""
    try:
        with file.open("rb") as opened:
            return read(opened)
    except FileNotFoundError as error:
        raise BadFile("The file is not there any more. Please upload it again.") from error


def _text(file: Any) -> str:
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise BadFile(f"The file is too big: {MAX_BYTES:,} bytes are the most.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFile("The file is not text in UTF-8.") from error
    if "\0" in text:
        raise BadFile("The file is not text: there are zero bytes in it.")
    return str(text)


def _rows(text: str) -> Iterator[Row]:
    head = text.partition("\n")[0]
    delimiter = ";" if head.count(";") > head.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        if missing := [column for column in COLUMNS if column not in header]:
            raise BadFile(f"The first line names no column {' and no column '.join(missing)}.")
        # Blank lines are no rows.
        for count, cells in enumerate(filter(any, reader), start=1):
            if count > MAX_ROWS:
                raise BadFile(f"The file has too many rows: {MAX_ROWS:,} are the most.")
            yield _row(reader.line_num, header, cells)
    except csv.Error as error:
        raise BadFile(f"Line {reader.line_num} is no CSV: {error}.") from error


def _row(line: int, header: list[str], cells: list[str]) -> Row:
    if len(cells) != len(header):
        counts = f"cells: {len(cells)}, in the first line: {len(header)}"
        return Row(line, "", "", f"{counts}: {_shown(','.join(cells))}")
    name, email = (cells[header.index(column)].strip() for column in COLUMNS)
    return Row(line, name, email.lower(), _problem(name, email))


def _problem(name: str, email: str) -> str:
    if not name:
        return "no name"
    if len(name) > LONGEST_NAME:
        return f"the name is longer than {LONGEST_NAME} characters: {_shown(name)}"
    if not name.isprintable():
        return f"the name is not printable: {_shown(name)}"
    try:
        validate_email(email)
    except ValidationError:
        return f"no address: {_shown(email)}" if email else "no address"
    if len(email) > LONGEST_EMAIL:
        return f"the address is longer than {LONGEST_EMAIL} characters: {_shown(email)}"
    return ""


def _shown(text: str) -> str:
    """Return a cell in quotes, short, and with what is not printable escaped."""
    short = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return repr(short)
