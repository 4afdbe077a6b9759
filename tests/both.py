"""Runs the whole suite twice, on SQLite and on PostgreSQL: `python -m tests.both`."""

import os
import subprocess
import sys


def main(arguments):
    """Run pytest once per database, both in any case; return 1 if one of them failed."""
    failed = []
    for engine in ("sqlite", "postgresql"):
        _say(f"The tests on {engine}:")
        command = [sys.executable, "-m", "pytest", *arguments]
        if subprocess.call(command, env={**os.environ, "TEST_ENGINE": engine}):
            failed.append(engine)
    _say(f"FAILED on {' and '.join(failed)}." if failed else "Passed on both databases.")
    return 1 if failed else 0


def _say(text):
    sys.stdout.write(f"\n{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
