"""Batches and flows: jobs that belong together, and what comes when all of them have ended."""

from django_jobs.batches.batch import Batch
from django_jobs.batches.children import Child, children_of
from django_jobs.batches.flows import Flow
from django_jobs.batches.settling import Outcome, repair, settle

__all__ = ["Batch", "Child", "Flow", "Outcome", "children_of", "repair", "settle"]
