"""How much is measured: for figures that are worth printing, or only to see that it works."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Numbers of jobs, of rounds, and seconds; ours and the baseline take turns in each round."""

    rounds: int = 3
    single: int = 2_000
    bulk: int = 20_000
    drained: int = 40_000
    pickups: int = 40
    gap: tuple[float, float] = (0.1, 0.5)
    settle: float = 3.0
    idle: float = 10.0
    schedules: int = 10_000
    due: int = 1_000
    steps: int = 1_000
    sleepers: int = 10_000


FULL = Scale()
QUICK = Scale(
    rounds=1,
    single=50,
    bulk=500,
    drained=1_000,
    pickups=5,
    gap=(0.05, 0.1),
    settle=0.5,
    idle=1.0,
    schedules=200,
    due=50,
    steps=50,
    sleepers=200,
)
