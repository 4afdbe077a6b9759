"""Schedules: their declarations become rows, their planned times become jobs, people act on them.

`pause`, `resume`, `run_now`, `backfill`, `lacking`, `create`, `change`, `reset` and `delete` are
for people; `sync` and `Ticker` are the worker's. Any worker may do any of it at any time: the lock
of the schedule's row decides who does.
"""

from django_jobs.schedules.operating import (
    backfill,
    change,
    create,
    delete,
    lacking,
    pause,
    reset,
    resume,
    run_now,
)
from django_jobs.schedules.syncing import Synced, sync
from django_jobs.schedules.ticking import Dealt, Ticker

__all__ = [
    "Dealt",
    "Synced",
    "Ticker",
    "backfill",
    "change",
    "create",
    "delete",
    "lacking",
    "pause",
    "reset",
    "resume",
    "run_now",
    "sync",
]
