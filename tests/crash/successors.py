"""Worker processes, each in the place of the one that died, until they have died in every gap.

Job follows job until one of them meets no death. The processes are forked by one that has
imported everything, but has neither a thread nor a connection: a start takes hundredths of a
second instead of a second. What is forked becomes a complete worker.
"""

import os
import signal
import sys
from pathlib import Path

from django.db import connections

from django_jobs import enqueue, registry
from django_jobs.conf import get_settings
from django_jobs.engines import get_engine
from django_jobs.models import Claim, Job
from django_jobs.worker.options import WorkerOptions
from django_jobs.worker.process import WorkerProcess
from tests.crash.gaps import GAPS
from tests.crash.invariants import drained

SUCCESSORS = ("-c", f"import django; django.setup(); from {__name__} import main; main()")
"""What Python is told, before the path of the deaths and the number of them in each gap."""

DRAINED = 100
"""Exit code of a process that found no job left."""


def main():
    """Let worker after worker die; end with 0, or with the code of one that ended otherwise."""
    died = False
    while True:
        code = _forked(lambda again=died: _work(Path(sys.argv[1]), int(sys.argv[2]), again=again))
        if code not in {0, DRAINED, -signal.SIGKILL}:
            sys.exit(code)
        if code == DRAINED and not died:
            return
        died = code == -signal.SIGKILL or (died and code != DRAINED)


def _forked(work):
    pid = os.fork()
    if not pid:
        os._exit(work())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _work(path, deaths, *, again):
    """Take over from the dead and run what is ready; when nothing is, enqueue a job `again`."""
    _bury()
    if drained():
        if again:
            newest = Job.objects.latest("pk")
            enqueue(registry.get(newest.name), *newest.args)
        return DRAINED
    connections.close_all()
    GAPS.watch(path, deaths)
    return WorkerProcess(WorkerOptions(burst=True, threads=1, async_slots=1)).run()


def _bury():
    """Take their jobs from all workers: they are dead, and no lease need end to prove it."""
    engine = get_engine(get_settings().DATABASE)
    for worker in set(Claim.objects.values_list("worker", flat=True)):
        engine.expire(worker)
    engine.rescue(100)
