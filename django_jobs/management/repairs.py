"""The subcommands of `manage.py jobs` about errors that are known, and about workers."""

from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from django_jobs import clock, muting, staffing
from django_jobs.conf import get_settings
from django_jobs.display import ago
from django_jobs.management.arguments import instant
from django_jobs.management.tables import write_table
from django_jobs.reports.workers import WorkerState, report
from django_jobs.states import Wish

BY = "manage.py jobs"


class RepairCommands(BaseCommand):
    """`mute`, `unmute` and `workers`."""

    def add_repair_commands(self, commands: Any) -> None:
        """Declare the subcommands."""
        mute = commands.add_parser("mute", help="keep an error out of the verdict")
        mute.add_argument("fingerprint")
        text = "an ISO time, or 30m, 2h, 1d from now (default 24h)"
        mute.add_argument("--until", type=instant, help=text)
        unmute = commands.add_parser("unmute", help="let the verdict tell of an error again")
        unmute.add_argument("fingerprint")
        workers = commands.add_parser("workers", help="who works, and on what")
        wanted = workers.add_mutually_exclusive_group()
        for name, text in WANTED.items():
            wanted.add_argument(f"--{name}", metavar="NAME", help=text)

    def do_mute(self, fingerprint: str, until: datetime | None = None, **_: Any) -> None:
        """Mute an error."""
        changed = muting.mute(fingerprint, by=BY, until=until)
        word = "is muted" if changed else "was muted already"
        self.stdout.write(f'The error "{fingerprint}" {word}.')

    def do_unmute(self, fingerprint: str, **_: Any) -> None:
        """Make an error loud again."""
        changed = muting.unmute(fingerprint)
        word = "is muted no more" if changed else "was not muted"
        self.stdout.write(f'The error "{fingerprint}" {word}.')

    def do_workers(self, **options: Any) -> None:
        """Print all workers, or tell one of them what to do."""
        for name in WANTED:
            if options.get(name):
                self._want(name, options[name])
                return
        found = report(get_settings().DATABASE, clock.now())
        write_table(
            self.stdout,
            ("WORKER", "STATE", "LAST SEEN", "QUEUES", "JOBS", "VERSION", "HOLDS NOW"),
            [_line(worker, found.now) for worker in found.workers],
            empty="No workers. Start one: python manage.py runworker",
        )

    def _want(self, wanted: str, worker: str) -> None:
        if wanted == "forget":
            staffing.forget(worker)
            self.stdout.write(f"The worker {worker} is forgotten.")
            return
        operation, said = OPERATIONS[wanted]
        if not operation(worker, by=BY):
            raise CommandError(f"The worker {worker} was told so already, or is to stop.")
        self.stdout.write(f"The worker {worker} {said}, with its next sign of life.")


WANTED = {
    "quiet": "let it claim nothing more",
    "resume": "let a quiet one go on",
    "stop": "let it end after its running jobs",
    "forget": "delete the row of one that is silent and holds nothing",
}
OPERATIONS = {
    "quiet": (staffing.quiet, "is to be quiet"),
    "resume": (staffing.go_on, "is to go on"),
    "stop": (staffing.stop, "is to stop after its running jobs"),
}


def _line(worker: WorkerState, now: datetime) -> tuple[str, ...]:
    row = worker.row
    state = "alive" if worker.alive else "silent"
    if row is not None and row.wish:
        state += ", is to stop" if row.wish == Wish.STOP else ", quiet"
    more = " …" if worker.held > len(worker.jobs) else ""
    return (
        worker.name,
        state,
        "" if row is None else ago(row.beat_at, now),
        "" if row is None else ", ".join(row.queues) or "all",
        f"{worker.held:,}" + ("" if row is None else f"/{row.threads}"),
        "" if row is None else row.version,
        ", ".join(job.title for job in worker.jobs) + more,
    )
