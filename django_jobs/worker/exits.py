"""How a worker process ends: its exit codes, and the last line of each."""

import os
import sys

CLEAN, MISCONFIGURED, FORCED, CRASHED = 0, 1, 2, 3

IN_ORDER = 100
"""Added to the exit code of a child that ends in good order: no job's `os._exit(0)` is that."""


def end_process(code: int, added: int = 0) -> None:
    """End this process with the exit code `code` of a worker, plus `added`.

    After a forced end at once: a job that did not stop may have left threads behind, and
    Python would wait for them. Returns when there is nothing to say (0).
    """
    if code == FORCED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code + added)
    if code + added:
        raise SystemExit(code + added)
