"""The periodic duties of a worker. Each is safe in every worker at once; none needs a leader."""

from django_jobs.conf import get_settings
from django_jobs.services.base import Service
from django_jobs.services.promoter import Promoter
from django_jobs.services.pruner import Pruner
from django_jobs.services.rescuer import Rescuer
from django_jobs.services.scheduler import Scheduler


def all_services() -> list[Service]:
    """Return a fresh set of all services, in the order in which they run."""
    always: list[Service] = [Promoter(), Rescuer(), Pruner()]
    return [Scheduler(), *always] if get_settings().SCHEDULES_ENABLED else always


__all__ = ["Promoter", "Pruner", "Rescuer", "Scheduler", "Service", "all_services"]
