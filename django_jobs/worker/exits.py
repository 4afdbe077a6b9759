"""How a worker process is told to end, and how it ends: signals and exit codes."""

import os
import signal
import sys

HURRY = signal.SIGUSR1
"""What a supervisor sends for a second stop; a repeated SIGTERM may be the group's."""

STOPS = {signal.SIGINT, signal.SIGTERM, HURRY}
"""The signals that ask a worker process to stop."""

CLEAN, MISCONFIGURED, FORCED, CRASHED = 0, 1, 2, 3

IN_ORDER = 100
"""Added to the exit code of a child that ends in good order: no job's `os._exit(0)` is that."""


def end_process(code: int, added: int = 0) -> None:
    """End this process with the exit code `code` of a worker, plus `added`.

    Forced or broken at once: a job that did not stop may have left threads behind, and Python
    would wait for them; nobody would start another process in the place of one that waits.
    Returns when there is nothing to say (0).
    """
    # Python gives signals back to the system while it ends; one more stop would change the code.
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    if code in (FORCED, CRASHED):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code + added)
    if code + added:
        raise SystemExit(code + added)
