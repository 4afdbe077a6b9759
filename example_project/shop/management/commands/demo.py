"""`manage.py demo`: everything a stranger needs to see django_jobs work, in one command."""

import contextlib
import http.client
import os
import shutil
import socket
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from django_jobs.models import Worker
from example_project.shop import campaigns
from example_project.shop.demo import files, seed
from example_project.shop.demo.nights import Night, start_twice
from example_project.shop.demo.orders import Orders
from example_project.shop.demo.processes import ChildDied, Group, Stopped
from example_project.shop.demo.report import Check, Report
from example_project.shop.models import Customer, CustomerImport, CustomerReport, Template
from example_project.shop.progress import is_finished
from example_project.shop.reports import preparing
from example_project.shop.views import login_token

HOST = "127.0.0.1"
ORDER_SECONDS = "40"
"""How long orders wait for their payment while somebody watches, unless the environment says."""
ONCE_SECONDS = 60
START_SECONDS = 30
PROCESSES = 2
"""Of the worker that is watched: when one is killed, what it did is taken up by the other at once."""

QUICK = {
    "EMAIL_URL": "outbox:",
    "OUTBOX_LATENCY": "0.02",
    "IMPORT_PAUSE": "0",
    "REPORT_PAUSE": "0",
    "ORDER_PATIENCE": "2",
}
"""What makes haste when nobody watches."""


class Command(BaseCommand):
    """Sets the example up, starts web server and worker, and says where to look."""

    help = (
        "Try django_jobs: set the example up, start a web server and a worker, say where to look."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the command's options."""
        parser.add_argument(
            "--port", type=int, default=8000, help="port of the web server (8000; 0: any free one)"
        )
        parser.add_argument("--postgres", action="store_true", help="use the bundled PostgreSQL")
        parser.add_argument(
            "--reset", action="store_true", help="forget everything that was done before"
        )
        parser.add_argument(
            "--once",
            action="store_true",
            help="run a campaign, an import, two orders and two reports without a browser, print what "
            "happened, exit 0 or 1",
        )

    def handle(self, **options: Any) -> None:
        """Set up and run; raises CommandError (exit code 1) when something is not right."""
        if options["postgres"] and not settings.EMBEDDED_POSTGRES:
            _start_again_on_postgresql()
        self._prepare(reset=options["reset"])
        try:
            if options["once"]:
                self._run_once()
            else:
                self._serve(options["port"])
        except ChildDied as error:
            raise CommandError(str(error)) from error

    def _prepare(self, *, reset: bool) -> None:
        """Bring the database up to date and fill it."""
        call_command("migrate", interactive=False, verbosity=0)
        if reset:
            self._reset()
        seed.fill()
        database = settings.DATABASES["default"]
        self.stdout.write(
            f"Database {connection.vendor}: {database['NAME']}, "
            f"{Customer.objects.count()} customers, {Template.objects.count()} templates."
        )
        self.stdout.flush()  # before the first line of a child, also into a file

    def _reset(self) -> None:
        name = Path(str(settings.DATABASES["default"]["NAME"]))
        if not settings.EMBEDDED_POSTGRES and name.parent != settings.DATA_DIR:
            raise CommandError(
                "--reset empties the example's own databases only, not the one in DATABASE_URL."
            )
        call_command("flush", interactive=False, verbosity=0)
        for folder in (settings.OUTBOX["folder"], settings.MEDIA_ROOT):
            shutil.rmtree(folder, ignore_errors=True)

    def _serve(self, wanted_port: int) -> None:
        password = seed.make_admin()
        port = _free_port(wanted_port)
        if wanted_port not in {0, port}:
            self.stdout.write(f"Port {wanted_port} is taken; using {port}.")
        begun = timezone.now()
        static = [] if settings.DEBUG else ["--insecure"]  # runserver then serves the style, too
        patience = os.environ.get("ORDER_PATIENCE", ORDER_SECONDS)
        here = {"BASE_URL": f"http://{HOST}:{port}", "ORDER_PATIENCE": patience}
        with self._children(here) as children, contextlib.suppress(Stopped):
            worker = ("runworker", "--no-reload", "--processes", str(PROCESSES))
            children.start("worker", *worker, again=True)  # the admin has a button that stops it
            children.start(
                "web server",
                "runserver",
                f"{HOST}:{port}",
                "--noreload",
                *static,
                log=settings.DATA_DIR / "web.log",
            )
            if not children.wait_until(lambda: _answers(port), START_SECONDS):
                raise CommandError(
                    f"The web server does not answer.\n{children.last_words('web server')}"
                )
            children.wait_until(_workers_since(begun, PROCESSES), START_SECONDS)
            self._say_where(port, password)
            self._say_what(begun)
            children.wait_until(lambda: False)
        self.stdout.write("Stopped: web server and worker are gone.")

    def _say_where(self, port: int, password: str) -> None:
        root = f"http://{HOST}:{port}"
        jobs = reverse("admin:app_list", kwargs={"app_label": "django_jobs"})
        who = f"user {seed.ADMIN}, password {password or 'as printed at the first start'}"
        if settings.DEBUG:
            jobs = reverse("shop:enter", args=[login_token(seed.ADMIN)])
        self.stdout.write(f"\nShop   {root}{reverse('shop:home')}\nJobs   {root}{jobs}  ({who})")

    def _say_what(self, begun: datetime) -> None:
        names = Worker.objects.filter(started_at__gte=begun).values_list("name", flat=True)
        numbers = " ".join(name.partition(":")[2].partition("-")[0] for name in names)
        self.stdout.write(
            "First  press “Send the spring campaign”: 38 mails go out within seconds, 2 after a retry\n"
            f"Kill   the worker's processes in the middle of it (kill -9 {numbers}): it goes on\n"
            "Then   the other pages of the shop: orders, webhooks, imports, reports, two schedules\n"
            "Stop   Ctrl-C\n"
        )
        self.stdout.flush()

    def _run_once(self) -> None:
        with self._children(QUICK) as children:
            begun = timezone.now()
            children.start("worker", "runworker", log=settings.DATA_DIR / "worker.log")
            try:
                children.wait_until(_workers_since(begun), START_SECONDS)
                done = _run_the_flows(children)
            except Stopped as error:
                raise CommandError("Stopped before everything was finished.") from error
            code = children.stop()["worker"]
            words = children.last_words("worker")
        self.stdout.write("\n".join(done.lines()))
        if not done.finished:
            raise CommandError(f"Not finished after {ONCE_SECONDS} s. The worker said:\n{words}")
        if code != 0:
            raise CommandError(f"The worker ended with exit code {code}:\n{words}")
        if wrong := [check.text for check in done.checks() if not check.holds]:
            raise CommandError("Not as it should be: " + "; ".join(wrong))

    def _children(self, changes: dict[str, str] | None = None) -> Group:
        manage = settings.PROJECT.parent / "manage.py"
        return Group(manage, {**os.environ, "PYTHONUNBUFFERED": "1", **(changes or {})})


@dataclass(frozen=True, slots=True)
class _Done:
    """What was run, and whether all of it has ended."""

    campaign: Report
    upload: CustomerImport
    table: CustomerReport
    orders: Orders
    night: Night
    finished: bool

    def lines(self) -> Iterator[str]:
        yield from self.campaign.lines()
        yield from map(str, self._of_files())
        yield ""
        yield from self.orders.lines()
        yield ""
        yield from self.night.lines()

    def checks(self) -> list[Check]:
        return [
            *self.campaign.checks(),
            *self._of_files(),
            *self.orders.checks(),
            *self.night.checks(),
        ]

    def _of_files(self) -> list[Check]:
        return files.checks(self.upload, self.table)


def _run_the_flows(children: Group) -> _Done:
    """Run a campaign, an import and two orders, then the reports."""
    campaign = campaigns.start(Template.objects.get(name=next(iter(seed.TEMPLATES))))
    upload, orders = files.import_sample(), Orders.place()
    finished = children.wait_until(
        lambda: is_finished(campaign) and files.has_ended(upload.job_id) and orders.have_ended(),
        ONCE_SECONDS,
    )
    table, nights = preparing.start(), start_twice()
    last = [table.job_id, *nights]
    finished &= children.wait_until(lambda: all(map(files.has_ended, last)), ONCE_SECONDS)
    return _Done(Report(campaign), upload, table, orders, Night(nights), finished)


def _start_again_on_postgresql() -> None:
    """Replace this process: the settings choose the database when they are loaded."""
    connection.close()
    os.environ["DATABASE_URL"] = "embedded:"
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise CommandError("There is no free port.")


def _workers_since(begun: datetime, processes: int = 1) -> Callable[[], bool]:
    """Return what says whether that many processes of workers have come up since `begun`."""
    return lambda: Worker.objects.filter(started_at__gte=begun).count() >= processes


def _answers(port: int) -> bool:
    connected = http.client.HTTPConnection(HOST, port, timeout=5)
    with contextlib.closing(connected), contextlib.suppress(OSError):
        connected.request("GET", "/")
        return connected.getresponse().status == http.HTTPStatus.OK
    return False
