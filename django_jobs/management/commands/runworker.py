"""`manage.py runworker`: runs jobs until it is stopped."""

import argparse
import logging
import threading
from typing import Any

from django.conf import settings as django_settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from django_jobs.conf import get_settings
from django_jobs.exceptions import InvalidQueue
from django_jobs.management.arguments import positive, seconds
from django_jobs.models import Schedule
from django_jobs.options import check_queue
from django_jobs.schedules import sync
from django_jobs.worker.console import FORMATS, banner, prepare_logging
from django_jobs.worker.exits import MISCONFIGURED, end_process
from django_jobs.worker.options import WorkerOptions, default_threads
from django_jobs.worker.process import WorkerProcess
from django_jobs.worker.reloading import Reloader, follow, heed
from django_jobs.worker.startup import await_database, await_tables
from django_jobs.worker.supervisor import Supervisor

logger = logging.getLogger("django_jobs")

WAIT = 60.0


class Command(BaseCommand):
    """Runs jobs until it is stopped. Exit codes: 0 clean, 1 not started, 2 forced, 3 broken."""

    help = "Run background jobs until Ctrl-C or SIGTERM."
    requires_system_checks = ["django_jobs"]

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--queues", default="", help="Queues to serve, comma-separated (default: all)."
        )
        parser.add_argument("--threads", type=positive, help="Jobs at once per process.")
        parser.add_argument(
            "--async", type=positive, dest="async_slots", help="Async jobs at once per process."
        )
        parser.add_argument("--processes", type=positive, default=1, help="Worker processes.")
        parser.add_argument("--burst", action="store_true", help="Exit when no job is ready.")
        parser.add_argument(
            "--max-jobs", type=positive, help="Exit after this many jobs per process."
        )
        parser.add_argument(
            "--grace", type=seconds, help="Seconds that running jobs get at a stop."
        )
        parser.add_argument("--log-format", choices=FORMATS, help="Form of the log lines.")
        parser.add_argument(
            "--no-wait", action="store_true", help="Do not wait for the database or its tables."
        )
        parser.add_argument(
            "--reload",
            action=argparse.BooleanOptionalAction,
            help="Start anew when code changes (default: with DEBUG, on a terminal).",
        )

    def handle(self, **given: Any) -> None:
        """Run the worker, or watch over another process that does."""
        prepare_logging(given["log_format"], tracebacks=given["verbosity"] > 1)
        options = self._options(given)
        watched = follow()
        if not watched and self._reloads(options, wanted=given["reload"]):
            connections.close_all()
            reloader = Reloader()
            heed(reloader.request_stop, watched=False)
            end_process(reloader.run())
            return
        self._stopped_while_waiting = threading.Event()
        heed(self._stopped_while_waiting.set, watched=watched)
        if not self._is_ready(0.0 if given["no_wait"] else WAIT):
            raise CommandError("The worker did not start.", returncode=MISCONFIGURED)
        _sync_schedules()
        for line in banner(options, reloads=watched):
            self.stdout.write(line)
        self.stdout.flush()
        worker = Supervisor(options) if options.processes > 1 else WorkerProcess(options)
        heed(worker.request_stop, watched=watched)
        if self._stopped_while_waiting.is_set():
            worker.request_stop()
        connections.close_all()
        end_process(worker.run())

    def _reloads(self, options: WorkerOptions, *, wanted: bool | None) -> bool:
        endless = not options.burst and options.max_jobs is None
        if wanted and not endless:
            text = "--reload goes with neither --burst nor --max-jobs."
            raise CommandError(text, returncode=MISCONFIGURED)
        if wanted is not None:
            return wanted
        return endless and django_settings.DEBUG and self.stdout.isatty()

    def _options(self, given: dict[str, Any]) -> WorkerOptions:
        settings = get_settings()
        queues = tuple(name.strip() for name in given["queues"].split(",") if name.strip())
        try:
            for name in queues:
                check_queue(name)
        except InvalidQueue as error:
            raise CommandError(str(error), returncode=MISCONFIGURED) from error
        vendor = connections[settings.DATABASE].vendor
        grace = settings.SHUTDOWN_GRACE if given["grace"] is None else given["grace"]
        return WorkerOptions(
            queues=queues,
            threads=given["threads"] or default_threads(vendor),
            async_slots=given["async_slots"] or settings.ASYNC,
            processes=given["processes"],
            burst=given["burst"],
            max_jobs=given["max_jobs"],
            grace=grace,
        )

    def _is_ready(self, wait: float) -> bool:
        alias = get_settings().DATABASE

        def say(text: str) -> None:
            self.stderr.write(text)
            self.stderr.flush()

        def pause(seconds: float) -> None:
            if self._stopped_while_waiting.wait(seconds):
                raise CommandError("Stopped.", returncode=0)

        if not await_database(alias, wait=wait, say=say, pause=pause):
            return False
        return await_tables(alias, wait=wait, say=say, pause=pause)


def _sync_schedules() -> None:
    """Bring the schedules in line with the code that this worker runs."""
    if not get_settings().SCHEDULES_ENABLED:
        return
    synced = sync()
    for name in synced.taken:
        logger.warning(
            'The code declares a schedule "%s", but somebody has made one of that name by hand, '
            "and that one stays. Rename one of them.",
            name,
        )
    disabled = Schedule.objects.using(get_settings().DATABASE).filter(name__in=synced.disabled)
    for name, reason in disabled.values_list("name", "disabled_reason"):
        logger.warning('The schedule "%s" is disabled. %s', name, reason)
