"""Runs the whole suite on SQLite and on PostgreSQL: `python -m tests.both [pytest's arguments]`.

The two run side by side; the crash tests, which want no others beside them, come last.
"""

import os
import subprocess
import sys
import tempfile

ENGINES = ("sqlite", "postgresql")
NO_TESTS = 5
"""What pytest says when it finds none: of a few chosen tests none may be a crash test."""


def main(arguments):
    """Run pytest on each database, all in any case; return 1 if a run failed or found no test."""
    codes = {engine: [] for engine in ENGINES}
    marked = "-m" in arguments
    _side_by_side("The tests", arguments if marked else ["-m", "not crash", *arguments], codes)
    if not marked:
        _side_by_side("The crash tests", ["-m", "crash", *arguments], codes)
    failed = [engine for engine in ENGINES if set(codes[engine]) - {NO_TESTS} != {0}]
    _say(f"FAILED on {' and '.join(failed)}." if failed else "Passed on both databases.")
    return 1 if failed else 0


def _side_by_side(what, arguments, codes):
    """Run the suite on both databases at once; show the second's output after the first's."""
    first, second = ENGINES
    with tempfile.TemporaryFile() as output:
        later = _start(second, arguments, stdout=output, stderr=subprocess.STDOUT)
        _say(f"{what} on {first} (those on {second} run at the same time):")
        codes[first].append(_start(first, arguments).wait())
        codes[second].append(later.wait())
        _say(f"{what} on {second}:")
        output.seek(0)
        sys.stdout.buffer.write(output.read())


def _start(engine, arguments, **keywords):
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.Popen(command, env={**os.environ, "TEST_ENGINE": engine}, **keywords)


def _say(text):
    sys.stdout.write(f"\n{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
