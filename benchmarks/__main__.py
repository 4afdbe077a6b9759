"""`python -m benchmarks`: measures both databases, prints tables, writes docs/performance.md."""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import django

from benchmarks.databases import ENGINES, database
from benchmarks.figures import Figure, table

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
PARTS = ("enqueue", "drain", "pickup", "idle", "schedules", "steps", "events")
TITLES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}


def main() -> None:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few jobs: only to see that it works")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    parser.add_argument("--on", choices=ENGINES, action="append", help="one database only")
    parser.add_argument("--part", choices=PARTS, action="append", help="one part only")
    given = parser.parse_args()
    if given.write and (given.quick or given.on or given.part):
        parser.error("--write is for whole runs.")
    text = "\n".join([machine(), *(_measured(engine, given) for engine in given.on or ENGINES)])
    print(text)
    if given.write:
        _write(text)


def _measured(engine: str, given: argparse.Namespace) -> str:
    """Return the section of one database."""
    print(f"{TITLES[engine]} …", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.one_database", *(given.part or ())]
    with database(engine) as entry, tempfile.TemporaryDirectory(prefix="djbench-") as folder:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "BENCH_DATABASE": json.dumps(entry),
            "BENCH_FOLDER": folder,
        }
        done = subprocess.run(
            [*command, "quick"] if given.quick else command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
        )
    answer = json.loads(done.stdout)
    figures = [Figure(**values) for values in answer["figures"]]
    return f"\n### {TITLES[engine]}\n\n{answer['server']}.\n\n{table(figures)}"


def machine() -> str:
    """Say when and on what this was measured, without names."""
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, "
        f"{platform.machine()}, Python {platform.python_version()}, "
        f"Django {django.get_version()}."
    )


def _write(text: str) -> None:
    page = PAGE.read_text()
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        sys.exit(f"{PAGE.name} has no markers {BEGIN} and {END}.")
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    main()
