"""The effects of the crash tests' jobs, outside every database: one line each, in one file.

A line is appended by a single write, so lines of many processes do not mix and a killed
process leaves none by halves. Times are monotonic: comparable across processes, not machines.
"""

import json
import os
import time
from collections import Counter
from typing import NamedTuple

VARIABLE = "TEST_LEDGER"


class Entry(NamedTuple):
    """One effect: `what` is "begin" or "end"."""

    what: str
    job_id: int
    attempt: int
    pid: int
    at: float
    key: str


def note(what, job_id, attempt, key=""):
    """Append an effect of this process to the ledger that the environment names.

    `key` is what the receiver of such an effect would know it by.
    """
    line = json.dumps([what, job_id, attempt, os.getpid(), time.monotonic(), key]) + "\n"
    file = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


class Ledger:
    """The test's view of the file."""

    def __init__(self, path):
        self.path = path
        self.path.touch()

    def entries(self):
        """Return every effect so far, in the order in which they were written."""
        lines = self.path.read_text().splitlines()
        return [Entry(*json.loads(line)) for line in lines]

    def begins(self, job_id=None):
        """Return the begins, all of them or those of one job."""
        return self._of("begin", job_id)

    def ends(self, job_id=None):
        """Return the ends, all of them or those of one job."""
        return self._of("end", job_id)

    def running(self):
        """Return the begins that no end has followed yet in the same process."""
        ended = Counter((entry.job_id, entry.pid) for entry in self.ends())
        running = []
        for entry in reversed(self.begins()):
            if ended[entry.job_id, entry.pid]:
                ended[entry.job_id, entry.pid] -= 1
            else:
                running.append(entry)
        return running[::-1]

    def _of(self, what, job_id):
        return [
            entry
            for entry in self.entries()
            if entry.what == what and job_id in {None, entry.job_id}
        ]
