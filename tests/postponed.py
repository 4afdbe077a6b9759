"""Jobs whose annotations are text: postponed, and known to type checkers only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import django_jobs
from django_jobs import job

if TYPE_CHECKING:
    from django_jobs import JobContext


@job
def written(context: JobContext, number: int) -> int:
    return number


@job
def dotted(context: django_jobs.JobContext, number: int) -> int:
    return number


@job
def plain(number: int) -> int:
    return number
