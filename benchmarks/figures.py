"""Figures, their baselines and aims, and the table that shows them."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table.

    `ours` and `baseline` are medians of the rounds, in `unit`; `against` says what the baseline
    is. An aim limits the ratio of the two, or `ours` itself when `aim_on_ours`: from below when
    `more_is_better`, else from above.
    """

    name: str
    unit: str
    ours: float | None
    baseline: float | None = None
    against: str = ""
    aim: float | None = None
    aim_on_ours: bool = False
    more_is_better: bool = False

    @property
    def ratio(self) -> float | None:
        """Ours divided by the baseline."""
        if self.ours is None or not self.baseline:
            return None
        return self.ours / self.baseline

    @property
    def aim_text(self) -> str:
        """The aim in words."""
        if self.aim is None:
            return ""
        sign = "≥" if self.more_is_better else "≤"
        unit = f" {self.unit}" if self.aim_on_ours else " × baseline"
        return f"{sign} {self.aim:g}{unit}"

    @property
    def reached(self) -> str:
        """Whether the aim is reached; empty without an aim or without a measurement."""
        value = self.ours if self.aim_on_ours else self.ratio
        if self.aim is None or value is None:
            return ""
        good = value >= self.aim if self.more_is_better else value <= self.aim
        return "yes" if good else "**no**"

    def as_json(self) -> dict[str, object]:
        """Return what the constructor takes."""
        return asdict(self)


def in_turn(
    rounds: int, ours: Callable[[], float], baseline: Callable[[], float]
) -> tuple[float, float]:
    """Measure both by turns, `rounds` times; return the medians."""
    pairs = [(ours(), baseline()) for _ in range(rounds)]
    return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)


def percentile(values: list[float], share: float) -> float:
    """Return the smallest of `values` that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def table(figures: list[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        "| what | figure | baseline | ratio | aim | reached | the baseline is |",
        "|---|---|---|---|---|---|---|",
    ]
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        cells = (
            figure.name,
            _number(figure.ours, figure.unit),
            _number(figure.baseline, figure.unit),
            ratio,
            figure.aim_text,
            figure.reached,
            figure.against,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}"
