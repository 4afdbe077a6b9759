"""Writes the customers into a file. Knows no job, no page and no row of a report."""

import contextlib
import csv
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from django.db.models import Count, Max

from example_project.shop.models import Customer

COLUMNS = ["name", "email", "subscribed", "mails", "last mail"]
STEPS = 10
LARGEST_STEP = 1_000
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Unfinished(Exception):
    """Raise it while writing: the file shall not come to be."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Open a file that takes the place of `path` when the block ends well, and is gone if not.

    Whoever looks at `path` sees the old file or the whole new one, even if the machine stops in
    between, and two writers at once do not mix. (A killed one leaves its draft behind.)
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    number, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(number, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123 - a number
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def write_customers(file: TextIO) -> Iterator[tuple[int, int]]:
    """Write all customers; yield how many are written, of how many, about ten times.

    Read a part at a time: no transaction is open, and no cursor, while the caller has its turn.
    """
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    total = Customer.objects.count()
    step = min(max(1, -(-total // STEPS)), LARGEST_STEP)
    last, written = 0, 0
    while part := _part(last, step):
        writer.writerows(_cells(customer) for customer in part)
        last = part[-1].pk
        written += len(part)
        # Customers may have come in the meantime.
        yield written, max(written, total)


def _part(after: int, step: int) -> list[Customer]:
    counted = Customer.objects.annotate(mails=Count("sentmail"), newest=Max("sentmail__sent_at"))
    return list(counted.filter(pk__gt=after).order_by("pk")[:step])


def _cells(customer: Customer) -> list[str]:
    newest = customer.newest.isoformat(timespec="seconds") if customer.newest else ""
    subscribed = "yes" if customer.subscribed else "no"
    return [_text(customer.name), _text(customer.email), subscribed, str(customer.mails), newest]


def _text(value: str) -> str:
    """Return a cell that a spreadsheet takes for text, not for a formula to carry out."""
    return f"'{value}" if value.startswith(FORMULA) else value
