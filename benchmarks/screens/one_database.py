"""Fills the database of `BENCH_DATABASE`, opens every screen, and prints the table."""

import sys
from time import perf_counter
from typing import Any

import django


def main() -> None:
    """`… JOBS REQUESTS [explain]`: in an environment made by `__main__`."""
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415 - needs the set-up
    from django.db import connection  # noqa: PLC0415 - needs the set-up

    from benchmarks.one_database import server  # noqa: PLC0415 - needs the set-up
    from benchmarks.screens.amounts import Amounts  # noqa: PLC0415 - needs the set-up

    call_command("migrate", verbosity=0)
    amounts = Amounts(int(sys.argv[1]))
    print(f"{server(connection)}.\n", flush=True)
    _look(amounts, _filled(amounts), int(sys.argv[2]), explain="explain" in sys.argv)
    connection.close()


def _filled(amounts: Any) -> Any:
    """Fill the tables; return the user who looks."""
    from benchmarks.screens.filling import analyze, fill  # noqa: PLC0415 - needs the set-up
    from benchmarks.screens.standing import stand  # noqa: PLC0415 - needs the set-up

    begin = perf_counter()
    for what, number in fill(amounts):
        print(f"  {number:,} {what} after {perf_counter() - begin:,.0f} s", file=sys.stderr)
    user = stand(amounts)
    analyze()
    print(f"  filled in {perf_counter() - begin:,.0f} s", file=sys.stderr, flush=True)
    return user


def _look(amounts: Any, user: Any, requests: int, *, explain: bool) -> None:
    from django.test import Client  # noqa: PLC0415 - needs the set-up

    from benchmarks.screens.places import places  # noqa: PLC0415 - needs the set-up
    from benchmarks.screens.watching import look, plan  # noqa: PLC0415 - needs the set-up

    client = Client()
    client.force_login(user)
    print("| screen | queries | p50 | p95 | slowest statement | under the aim |")
    print("|---|---|---|---|---|---|", flush=True)
    for place in places(amounts):
        seen = look(client, place, requests)
        slowest, good = seen.slowest, "yes" if seen.is_good else "**no**"
        times = f"{seen.p50:,.0f} ms | {seen.p95:,.0f} ms | {slowest.took:,.1f} ms"
        print(f"| {place.name} | {seen.queries} | {times} | {good} |", flush=True)
        if explain and not seen.is_good:
            print(f"{place.address}\n{slowest.sql}\n{plan(slowest)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
