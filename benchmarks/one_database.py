"""Measures everything on the database of `BENCH_DATABASE` and prints the figures as JSON."""

import json
import platform
import sys
from collections.abc import Iterator
from typing import Any

import django


def main() -> None:
    """`python -m benchmarks.one_database [quick] [PART …]`: in an environment made by `__main__`."""
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415 - needs the set-up
    from django.db import connection  # noqa: PLC0415 - needs the set-up

    from benchmarks.scale import FULL, QUICK  # noqa: PLC0415 - needs the set-up

    call_command("migrate", verbosity=0)
    scale = QUICK if "quick" in sys.argv else FULL
    parts = [part for part in sys.argv[1:] if part != "quick"]
    figures = []
    for figure in _figures(connection.vendor, scale, parts):
        ours = "–" if figure.ours is None else f"{figure.ours:,.2f}"
        print(f"  {figure.name}: {ours} {figure.unit}", file=sys.stderr, flush=True)
        figures.append(figure.as_json())
    print(json.dumps({"server": server(connection), "figures": figures}))
    connection.close()


def _figures(vendor: str, scale: Any, parts: list[str]) -> Iterator[Any]:
    from benchmarks import (  # noqa: PLC0415 - as above
        draining,
        enqueueing,
        eventing,
        idling,
        pickup,
        scheduling,
        stepping,
    )

    if not parts or "enqueue" in parts:
        yield from enqueueing.measure(scale)
    if not parts or "drain" in parts:
        yield from draining.measure(vendor, scale)
    if not parts or "pickup" in parts:
        yield from pickup.measure(vendor, scale)
    if not parts or "idle" in parts:
        yield from idling.measure(vendor, scale)
    if not parts or "schedules" in parts:
        yield from scheduling.measure(scale)
    if not parts or "steps" in parts:
        yield from stepping.measure(scale)
    if not parts or "events" in parts:
        yield from eventing.measure(vendor, scale)


def server(connection: Any) -> str:
    connection.ensure_connection()
    version = ".".join(str(number) for number in connection.get_database_version())
    return f"{connection.display_name} {version}, {_durability(connection)}"


def _durability(connection: Any) -> str:
    if connection.vendor != "postgresql":
        return "WAL, synchronous NORMAL, IMMEDIATE"
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('fsync'), current_setting('synchronous_commit')")
        return "fsync {}, synchronous_commit {}".format(*cursor.fetchone())


if __name__ == "__main__":
    if platform.system() == "Windows":
        sys.exit("The benchmarks need a POSIX system.")
    main()
