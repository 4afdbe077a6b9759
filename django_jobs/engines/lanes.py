"""Lanes: the (queue, priority) pairs that have ready jobs, and the order to look at them.

A claim that names its lanes reads only the rows it takes, however many queues, priorities
and waiting jobs there are. The statement is the same on every database.
"""

from collections import defaultdict
from collections.abc import Iterable

Lane = tuple[str, int]

LANES = """
WITH RECURSIVE q(queue) AS (
    SELECT min(queue) FROM django_jobs_job WHERE state = 'READY'
    UNION ALL
    SELECT (SELECT min(queue) FROM django_jobs_job WHERE state = 'READY' AND queue > q.queue)
    FROM q WHERE q.queue IS NOT NULL
), lane(queue, priority) AS (
    SELECT q.queue, (
        SELECT max(priority) FROM django_jobs_job WHERE state = 'READY' AND queue = q.queue)
    FROM q WHERE q.queue IS NOT NULL
    UNION ALL
    SELECT lane.queue, (
        SELECT max(priority) FROM django_jobs_job
        WHERE state = 'READY' AND queue = lane.queue AND priority < lane.priority)
    FROM lane WHERE lane.priority IS NOT NULL
)
SELECT queue, priority FROM lane WHERE priority IS NOT NULL
"""
"""A loose index scan: one index look-up per lane, not one per ready job."""


def in_turn(lanes: Iterable[Lane], turn: int) -> list[Lane]:
    """Return `lanes`, bigger priority first; queues of equal priority begin with the `turn`-th."""
    queues: dict[int, list[str]] = defaultdict(list)
    for queue, priority in sorted(lanes):
        queues[priority].append(queue)
    ordered: list[Lane] = []
    for priority in sorted(queues, reverse=True):
        names = queues[priority]
        first = turn % len(names)
        ordered += [(name, priority) for name in names[first:] + names[:first]]
    return ordered
