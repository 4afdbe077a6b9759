"""Charts as plain values for `history/chart.html`, which draws them as SVG: bars, and nothing else.

A bar has one or two layers, told apart by colour and by pattern. Numbers for the SVG are texts:
the language of the page must not put a comma into them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from django_jobs.display import duration

HEIGHT = 100
WIDTH = 10
"""Of one point with its gap, in units of the drawing."""

LEAST = 2.0
"""The height of a bar that is not nothing: one failure among thousands must be seen."""

A_DAY = 86_400
Number = float | None


@dataclass(frozen=True, slots=True)
class Layer:
    """A row of numbers with its name; `look` is its colour and pattern in the style sheet."""

    label: str
    look: str
    values: Sequence[Number]


@dataclass(frozen=True, slots=True)
class Shape:
    """A rectangle of the drawing."""

    look: str
    y: str
    height: str


@dataclass(frozen=True, slots=True)
class Bar:
    """What stands at one point: its words, where it is, and its shapes."""

    text: str
    x: str
    shapes: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """An upright line at an instant, and what happened then."""

    x: str
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that the template needs to draw one chart. `rows`: the same as a table."""

    id: str
    title: str
    text: str
    width: str
    top: str
    legend: tuple[Layer, ...]
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    ticks: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Frame:
    """When each point begins and ends, and what happened at which instant."""

    times: Sequence[tuple[datetime, datetime]]
    events: Sequence[tuple[datetime, str]] = ()

    @property
    def width(self) -> int:
        """The width of the drawing."""
        return WIDTH * max(len(self.times), 1)

    def ticks(self) -> tuple[str, ...]:
        """Return the words below the chart: its begin, its middle, its end."""
        middle = self.times[len(self.times) // 2][0]
        return tuple(self.moment(at) for at in (self.times[0][0], middle, self.times[-1][1]))

    def marks(self) -> tuple[Mark, ...]:
        """Return the marks of what happened."""
        begin, end = self.times[0][0], self.times[-1][1]
        return tuple(
            Mark(f"{self.width * ((at - begin) / (end - begin)):.1f}", f"{self.moment(at)} {text}")
            for at, text in self.events
        )

    def moment(self, at: datetime) -> str:
        """Return an instant in words, no finer than a look at the whole needs."""
        local = timezone.localtime(at)
        day = (self.times[-1][1] - self.times[0][0]).total_seconds() > A_DAY
        return date_format(local, "j M H:i" if day else "H:i")

    @cached_property
    def spans(self) -> tuple[str, ...]:
        """When each point begins and ends, in words; all charts of a page share them."""
        return tuple(
            f"{self.moment(begin)}–{date_format(timezone.localtime(end), 'H:i')}"
            for begin, end in self.times
        )


def stacked(id_: str, title: str, text: str, frame: Frame, layers: Sequence[Layer]) -> Chart:
    """Return a chart whose layers stand on each other, the first one at the bottom."""
    sums = [sum(number or 0 for number in numbers) for numbers in _columns(layers)]
    top = nice(max(sums, default=0))
    return _chart(id_, title, text, frame, layers, _Scale(top, count, on_each_other=True))


def nested(
    id_: str,
    title: str,
    text: str,
    frame: Frame,
    layers: Sequence[Layer],
    say: Callable[[float], str] | None = None,
) -> Chart:
    """Return a chart whose layers stand behind each other, the tallest one first; seconds."""
    numbers = [number or 0.0 for layer in layers for number in layer.values]
    top = nice(max(numbers, default=0.0))
    return _chart(id_, title, text, frame, layers, _Scale(top, say or about))


def nice(number: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20, … and their likes that is not less; 1 for nothing."""
    if number <= 0:
        return 1.0
    power = 10.0 ** (len(str(int(number))) - 1)
    while power > number:
        power /= 10
    return next(power * step for step in (1, 2, 5, 10) if power * step >= number)


def about(seconds: float) -> str:
    """Return a span of time in words with two digits that count: it was estimated."""
    for fine in (0.01, 0.1, 1.0):
        if seconds < fine * 100:
            return duration(round(seconds / fine) * fine if fine < 1 else round(seconds))
    return duration(seconds)


def count(number: float) -> str:
    """Return a whole number in words."""
    return number_format(int(number), use_l10n=True, force_grouping=True)


def percent(share: float) -> str:
    """Return a share in words: `0%`, `0.4%`, `12%`; `100%` only where it is the whole."""
    digits = 1 if 0 < share < 0.1 or 0.99 < share < 1 else 0  # noqa: PLR2004 - near an end
    shown = round(share * 100, digits)
    return f"{number_format(shown if share >= 1 else min(shown, 99.9), digits)}%"


@dataclass(frozen=True, slots=True)
class _Scale:
    top: float
    say: Callable[[float], str]
    on_each_other: bool = False

    def height(self, number: Number) -> float:
        """Return how tall a number stands."""
        return max(HEIGHT * number / self.top, LEAST) if number else 0.0

    def shapes(self, layers: Sequence[Layer], numbers: Sequence[Number]) -> tuple[Shape, ...]:
        """Return the rectangles of one point."""
        shapes, below = [], 0.0
        for layer, number in zip(layers, numbers, strict=True):
            height = self.height(number)
            if height:
                y = max(HEIGHT - below - height, 0.0)
                shapes.append(Shape(layer.look, f"{y:.1f}", f"{height:.1f}"))
            below += height if self.on_each_other else 0.0
        return tuple(shapes)

    def words(self, number: Number) -> str:
        """Return a number in words, a dash for none."""
        return "–" if number is None else self.say(number)


def _chart(
    id_: str, title: str, text: str, frame: Frame, layers: Sequence[Layer], scale: _Scale
) -> Chart:
    bars, rows = [], []
    for place, numbers in enumerate(_columns(layers)):
        span = frame.spans[place]
        words = [scale.words(number) for number in numbers]
        rows.append((span, *words))
        shapes = scale.shapes(layers, numbers)
        if shapes:
            told = [f"{layer.label} {word}" for layer, word in zip(layers, words, strict=True)]
            bars.append(Bar(f"{span}: {', '.join(told)}", str(WIDTH * place), shapes))
    return Chart(
        id_,
        title,
        text if bars else _("Nothing in this time."),
        str(frame.width),
        scale.say(scale.top),
        tuple(layers),
        tuple(bars),
        frame.marks(),
        frame.ticks(),
        tuple(rows),
    )


def _columns(layers: Sequence[Layer]) -> list[tuple[Number, ...]]:
    return list(zip(*(layer.values for layer in layers), strict=True))
