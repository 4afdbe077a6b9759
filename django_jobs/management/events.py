"""The subcommands of `manage.py jobs` that are about events."""

import json
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from django_jobs import clock
from django_jobs.conf import get_settings
from django_jobs.display import ago
from django_jobs.events import send_event
from django_jobs.management.arguments import positive
from django_jobs.management.tables import write_table
from django_jobs.models import Event


class EventCommands(BaseCommand):
    """`events` and `send-event`."""

    def add_event_commands(self, commands: Any) -> None:
        """Declare the subcommands."""
        events = commands.add_parser("events", help="newest events first, and what they did")
        events.add_argument("--name", default="", help="a part of the event's name")
        events.add_argument("--problems", action="store_true", help="not handed out, and why")
        events.add_argument("--limit", type=positive, default=20, help="how many (default 20)")
        send = commands.add_parser("send-event", help="send an event")
        send.add_argument("name", help="such as order/paid")
        send.add_argument("--data", type=_data, default={}, help="a JSON object")
        send.add_argument("--id", default=None, help="counts once within 24 hours")

    def do_events(self, name: str, limit: int, *, problems: bool = False, **_: Any) -> None:
        """Print the newest events, one per line."""
        events = Event.objects.using(get_settings().DATABASE)
        if name:
            events = events.filter(name__contains=name)
        if problems:
            events = events.exclude(problem="")
        now = clock.now()
        rows = [
            (f"#{event.pk}", event.name, ago(event.sent_at, now), event.summary)
            for event in events.order_by("-id").defer("data")[:limit]
        ]
        write_table(
            self.stdout, ("ID", "EVENT", "SENT", "WHAT IT DID"), rows, empty="No such events."
        )

    def do_send_event(self, name: str, data: dict[str, Any], **options: Any) -> None:
        """Send an event, and say what it has started."""
        try:
            sent = send_event(name, data, id=options["id"])
        except TypeError as problem:
            raise CommandError(str(problem)) from problem
        if not sent.created:
            text = "its id was seen within 24 hours; it starts and wakes nothing"
        elif sent.jobs:
            text = "it started " + ", ".join(f"{job.name} #{job.id}" for job in sent.jobs)
        else:
            text = "no job listens; what waits for it is woken by a worker"
        self.stdout.write(f"Event #{sent.id} {name} is sent: {text}.")


def _data(text: str) -> dict[str, Any]:
    """Return the object that `text` is (`argparse` tells the user what it is not)."""
    try:
        return dict(json.loads(text))
    except (TypeError, ValueError):
        raise ArgumentTypeError(f'not a JSON object such as {{"order_id": 17}}: {text}') from None
