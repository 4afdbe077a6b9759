"""The periodic duties of a worker. Each is safe in every worker at once; none needs a leader."""

from django_jobs.services.base import Service
from django_jobs.services.promoter import Promoter
from django_jobs.services.pruner import Pruner
from django_jobs.services.rescuer import Rescuer


def all_services() -> list[Service]:
    """Return a fresh set of all services, in the order in which they run."""
    return [Promoter(), Rescuer(), Pruner()]


__all__ = ["Promoter", "Pruner", "Rescuer", "Service", "all_services"]
