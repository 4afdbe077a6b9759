"""Handing back jobs that have not started, so that none is forgotten when somebody locks its row."""

from collections.abc import Collection

from django_jobs import clock
from django_jobs.engines.base import Engine, Hold


def let_go(
    engine: Engine,
    holds: Collection[Hold],
    *,
    delay: float = 0.0,
    unknown: bool = False,
    patient: bool = True,
) -> set[Hold]:
    """Hand back `holds`; return those that are not ours any more, handed back or taken away.

    The others are locked by somebody. They must be kept and tried again: as long as another job
    of their claim runs here, the claim is extended, and nobody rescues them.
    """
    released = engine.release(
        list(holds), delay=delay, unknown=unknown, patient=patient, now=clock.now_or_none()
    )
    rest = set(holds) - released
    return set(holds) - engine.still_held(rest) if rest else released
