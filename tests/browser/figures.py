"""Four hours of a shop's work as the figures that its workers would have written."""

import math
from collections import defaultdict
from datetime import timedelta

from django_jobs import clock
from django_jobs.models import Release, Tally
from django_jobs.tallies import COLUMNS, HOUR, Figures, bucket

MINUTES = range(2, 240)
"""How long ago."""

USUAL = (
    # Queue, job, jobs a minute, seconds of wait and run.
    ("mail", "example_project.shop.jobs.send_part", 3, 0.4, 9.0),
    ("webhook", "example_project.shop.jobs.deliver", 9, 0.06, 0.7),
    ("order", "example_project.shop.orders.jobs.follow_order", 6, 0.09, 0.3),
    ("import", "example_project.shop.jobs.import_customers", 1, 1.2, 70.0),
)


def figures(*, trouble):
    """Write the figures; in `trouble` sending fails since half an hour ago."""
    now = int(clock.now().timestamp()) // 60
    rows, hours = [], defaultdict(Figures)
    for ago in MINUTES:
        whole = Figures()
        for place, (queue, name, usual, wait, run) in enumerate(USUAL):
            wave = 1 + 0.45 * math.sin(ago / 31 + place) + 0.2 * math.sin(ago / 5)
            number = max(round(usual * wave), 1)
            failed = number // 2 + 1 if trouble and queue == "mail" and ago < 30 else 0
            part = _figures(number, failed, wait * wave, run * wave)
            whole.add(part)
            rows.append(_row(now - ago, queue, name, part))
            hours[(now - ago) // HOUR * HOUR, queue, name].add(part)
        rows.append(_row(now - ago, "", "", whole))
        hours[(now - ago) // HOUR * HOUR, "", ""].add(whole)
    rows += [_row(*key, part, HOUR) for key, part in hours.items()]
    Tally.objects.bulk_create(rows)
    for version, hours in (("2030.2", 70), ("2030.3", 1.6)):
        seen = clock.now() - timedelta(hours=hours)
        Release.objects.create(version=version, seen_at=seen)


def _figures(number, failed, wait, run):
    found = Figures()
    found.succeeded, found.failed = number - min(failed, number), min(failed, number)
    found.wait_sum, found.run_sum = number * wait, number * run
    found.waits[bucket(wait)] = found.runs[bucket(run)] = number
    return found


def _row(minute, queue, name, found, span=1):
    columns = dict(zip(COLUMNS, found.as_row(), strict=True))
    return Tally(span=span, minute=minute, queue=queue, name=name, **columns)
