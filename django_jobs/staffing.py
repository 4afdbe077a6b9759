"""What people may want of workers: to be quiet, to go on, to stop, to be forgotten.

On PostgreSQL a worker is told to read it at once, on SQLite it does within two seconds of the commit;
whoever hears of nothing reads it with the next sign of life. Processes of one start obey together.
"""

from datetime import timedelta

from django.db import connections, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from django_jobs import clock
from django_jobs.announcements import hurry
from django_jobs.conf import get_settings
from django_jobs.display import grouped
from django_jobs.engines.base import Engine
from django_jobs.exceptions import WorkerBusy, WorkerNotFound
from django_jobs.models import Claim, Worker
from django_jobs.states import Wish

MOST_CLAIMS = 1_000


def quiet(name: str, *, by: str = "") -> bool:
    """Let a worker claim nothing until `go_on`; return False when that was wanted already.

    What it has begun goes on, what it has claimed and not begun is handed back. All processes of
    its start do the same. `by` (at most 150 characters) is for people to read. Raises
    WorkerNotFound for a name that no worker on record has, or one that has gone.
    """
    return _want(name, Wish.QUIET, by)


def go_on(name: str, *, by: str = "") -> bool:
    """Let a quiet worker claim again; return False when it was not quiet, or is to stop.

    Raises WorkerNotFound as `quiet` does.
    """
    return _want(name, Wish.NONE, by)


def stop(name: str, *, by: str = "") -> bool:
    """Let a worker end when what it has begun has ended, however long that takes.

    Returns False when that was wanted already; it cannot be taken back. Whatever started the worker
    may start it again. Raises WorkerNotFound as `quiet` does.
    """
    return _want(name, Wish.STOP, by)


def forget(name: str) -> None:
    """Delete the row of a worker that is silent and holds no job.

    Raises WorkerNotFound as `quiet` does, and WorkerBusy for a worker that lives or holds jobs.
    """
    alias = get_settings().DATABASE
    silent_before = clock.now() - timedelta(seconds=get_settings().LEASE)
    with transaction.atomic(using=alias):
        claims = Claim.objects.using(alias).filter(worker=name).values_list("job_ids", flat=True)
        held = sum(len(ids) for ids in claims[:MOST_CLAIMS])
        if held:
            text = _('the worker "%(name)s" holds jobs (%(number)s); requeue them first')
            raise WorkerBusy(text % {"name": name, "number": grouped(held)})
        rows = _rows(alias).filter(name=name)
        if rows.filter(beat_at__lt=silent_before).delete()[0]:
            return
        if not rows.exists():
            raise _not_found(alias, name)
    raise WorkerBusy(_('the worker "%(name)s" lives') % {"name": name})


def _want(name: str, wish: Wish, by: str) -> bool:
    alias = get_settings().DATABASE
    now = clock.now()
    with transaction.atomic(using=alias):
        row = _rows(alias).filter(name=name).first()
        if row is None:
            raise _not_found(alias, name)
        same = Q(boot=row.boot) if row.boot else Q(pk=row.pk)
        others = _rows(alias).filter(same).exclude(wish__in=[wish, Wish.STOP])
        facts = {"wish": wish, "wished_at": now, "wished_by": by[:150]}
        if wish is Wish.NONE:
            facts |= {"wished_at": None, "wished_by": ""}
        changed = others.update(**facts) > 0
        if changed:
            hurry(connections[alias], Engine.WISHES)
    return changed


def _rows(alias: str) -> "QuerySet[Worker]":
    return Worker.objects.using(alias).order_by()


def _not_found(alias: str, name: str) -> WorkerNotFound:
    has_gone = Worker.everyone.using(alias).filter(name=name).exists()
    text = _('the worker "%(name)s" has gone') if has_gone else ""
    text = text or _('no worker on record is called "%(name)s"')
    return WorkerNotFound(text % {"name": name})
