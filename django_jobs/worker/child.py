"""What a spawned process runs. It starts from nothing, so this module imports no model."""

import os
import signal
from typing import Any

import django

from django_jobs.worker.exits import HURRY, IN_ORDER, STOPS, end_process
from django_jobs.worker.options import WorkerOptions


def run_child(options: WorkerOptions, cells: Any, order: Any, supervisor_pid: int) -> None:
    """Run one worker process that ends when its supervisor does."""
    django.setup()
    from django_jobs.worker.console import prepare_logging  # noqa: PLC0415 - needs the set-up
    from django_jobs.worker.orders import Orders  # noqa: PLC0415 - needs the set-up
    from django_jobs.worker.process import WorkerProcess  # noqa: PLC0415 - needs the set-up

    prepare_logging()
    process = WorkerProcess(
        options,
        cells=cells,
        orders=Orders(order),
        alone=False,
        orphaned=lambda: os.getppid() != supervisor_pid,
    )
    # A terminal's Ctrl-C and a group's SIGTERM reach children, too: the supervisor alone counts.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: process.request_stop(1))
    signal.signal(HURRY, lambda *_: process.request_stop())
    # Blocked since before our first moment, so that none was lost and none was deadly.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    end_process(process.run(), IN_ORDER)
