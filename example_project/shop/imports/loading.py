"""Writes the rows of a file into the shop, some at a time, and counts them where it writes them."""

from typing import Any

from django.db import transaction

from example_project.shop.imports.reading import Row
from example_project.shop.models import Customer, CustomerImport

BATCH = 100
SHOWN_PROBLEMS = 20


def begin(import_id: int, rows: int) -> CustomerImport:
    """Note how many rows the file has; return the import, with what an earlier run has done."""
    CustomerImport.objects.filter(pk=import_id).update(rows=rows)
    return CustomerImport.objects.get(pk=import_id)


def load_some(import_id: int, rows: list[Row]) -> CustomerImport:
    """Load the next rows and return the import as it is then.

    Where to go on is read under a lock, in the transaction that writes: a batch is in with its
    counts or not at all, and two runs at once do not load one twice.
    """
    with transaction.atomic():
        upload = CustomerImport.objects.select_for_update().get(pk=import_id)
        batch = rows[upload.done : upload.done + BATCH]
        added, changed = _save([row for row in batch if not row.problem])
        bad = [row for row in batch if row.problem]
        upload.done += len(batch)
        upload.added += added
        upload.changed += changed
        upload.bad += len(bad)
        found = [f"line {row.line}: {row.problem}" for row in bad]
        upload.problems = [*upload.problems, *found][:SHOWN_PROBLEMS]
        upload.save(update_fields=["done", "added", "changed", "bad", "problems"])
    return upload


def summary(upload: CustomerImport) -> dict[str, Any]:
    """Return what the job's result says, short however bad the file is."""
    return {
        "rows": upload.rows,
        "done": upload.done,
        "added": upload.added,
        "changed": upload.changed,
        "unchanged": upload.unchanged,
        "bad": upload.bad,
        "problems": upload.problems,
    }


def _save(rows: list[Row]) -> tuple[int, int]:
    """Add or rename the customers of `rows`; return how many were added and renamed."""
    names = {row.email: row.name for row in rows}  # of two rows for one address the last one counts
    known = dict(Customer.objects.filter(email__in=names).values_list("email", "name"))
    added = [email for email in names if email not in known]
    changed = [email for email in names if email in known and known[email] != names[email]]
    Customer.objects.bulk_create(
        # In one order, lest two imports wait for each other.
        (
            Customer(email=email, name=names[email], subscribed=False)
            for email in sorted([*added, *changed])
        ),
        update_conflicts=True,
        unique_fields=["email"],
        update_fields=["name"],
    )
    return len(added), len(changed)
