"""How a worker process ends although threads of its jobs do not."""

import subprocess
import sys

import pytest

from django_jobs.worker.exits import CRASHED, FORCED, IN_ORDER

SCRIPT = """
import threading
from django_jobs.worker.exits import end_process
threading.Thread(target=threading.Event().wait).start()
print("last words")
end_process({code}, {added})
"""


@pytest.mark.parametrize("code", [FORCED, CRASHED])
@pytest.mark.parametrize("added", [0, IN_ORDER])
def test_a_process_that_was_forced_or_is_broken_waits_for_no_thread(code, added):
    script = SCRIPT.format(code=code, added=added)
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=False
    )
    assert (ended.returncode, ended.stdout) == (code + added, "last words\n")
