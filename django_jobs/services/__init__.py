"""The periodic duties of a worker. Each is safe in every worker at once; none needs a leader."""

from django_jobs.conf import get_settings
from django_jobs.services.base import Service
from django_jobs.services.bulk import BulkWorker
from django_jobs.services.promoter import Promoter
from django_jobs.services.pruner import Pruner
from django_jobs.services.relayer import Relayer
from django_jobs.services.rescuer import Rescuer
from django_jobs.services.scheduler import Releaser, Scheduler


def all_services() -> list[Service]:
    """Return a fresh set of all services, in the order in which they run."""
    relayer = Relayer()
    always: list[Service] = [Promoter(relayer.hurry), relayer, Rescuer(), BulkWorker(), Pruner()]
    # Jobs that are there go on where schedules are off: held ones, too.
    return [Scheduler() if get_settings().SCHEDULES_ENABLED else Releaser(), *always]


__all__ = [
    "BulkWorker",
    "Promoter",
    "Pruner",
    "Relayer",
    "Releaser",
    "Rescuer",
    "Scheduler",
    "Service",
    "all_services",
]
