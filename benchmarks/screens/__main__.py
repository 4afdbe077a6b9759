"""`python -m benchmarks.screens`: fills a database, opens every screen of the admin, prints times."""

import argparse
import json
import os
import subprocess
import sys

from benchmarks.__main__ import ROOT, TITLES, machine
from benchmarks.databases import ENGINES, database

ROWS = {"postgresql": 10_000_000, "sqlite": 1_000_000}


def main() -> None:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.screens", description=__doc__)
    parser.add_argument("--on", choices=ENGINES, action="append", help="one database only")
    parser.add_argument("--rows", type=int, help="jobs; 1,000 or more (default: 10 and 1 million)")
    parser.add_argument("--requests", type=int, default=20, help="of each screen (default: 20)")
    parser.add_argument("--explain", action="store_true", help="print the plans of what is slow")
    given = parser.parse_args()
    if given.rows is not None and given.rows < 1_000:
        parser.error("--rows takes 1,000 or more.")
    print(machine())
    for engine in given.on or ENGINES:
        _measured(engine, given)


def _measured(engine: str, given: argparse.Namespace) -> None:
    """Print the section of one database; raises CalledProcessError where a screen did not come."""
    rows = given.rows or ROWS[engine]
    print(f"\n### {TITLES[engine]}\n", flush=True)
    command = [sys.executable, "-m", "benchmarks.screens.one_database", str(rows)]
    command += [str(given.requests), *(["explain"] if given.explain else [])]
    with database(engine) as entry:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "benchmarks.screens.settings",
            "BENCH_DATABASE": json.dumps(entry),
        }
        subprocess.run(command, cwd=ROOT, env=environment, check=True)


if __name__ == "__main__":
    main()
