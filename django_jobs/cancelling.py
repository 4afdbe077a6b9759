"""What cancels jobs that begin anew: their `cancel_on`, compared with the arguments they have now.

Those of a new job are written where it is enqueued.
"""

from collections.abc import Collection
from datetime import datetime

from django_jobs import registry
from django_jobs.engines.base import Engine
from django_jobs.engines.events import WaitFor
from django_jobs.enqueueing import cancels
from django_jobs.exceptions import InvalidEvent
from django_jobs.models import Job


def let_cancel_anew(engine: Engine, job_ids: Collection[int], now: datetime | None = None) -> None:
    """Let events cancel these jobs as the code says now. The caller has their rows locked.

    What cannot be compared, with arguments that today's function would not take, is cancelled by
    no event: that is no reason to refuse an operator.
    """
    declared = [each for each in registry.definitions() if each.cancel_on]
    names = {name for each in declared for name in (each.name, *each.aliases)}
    if not names or not job_ids:
        return
    rows = Job.objects.using(engine.connection.alias).filter(pk__in=job_ids, name__in=names)
    engine.let_cancel_anew({row.pk: _cancels(row) for row in rows}, now)


def _cancels(row: Job) -> tuple[WaitFor, ...]:
    try:
        return tuple(cancels(registry.get(row.name), tuple(row.args), row.kwargs))
    except (InvalidEvent, LookupError, TypeError):
        return ()
