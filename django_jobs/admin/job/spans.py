"""Lengths of time as places on a drawing, in per cent of its width. Pure arithmetic."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

THINNEST = 0.4
"""Whatever has happened is seen, however short it was."""


def percent(share: float) -> str:
    """Return a share of the width as an attribute of SVG takes it, whatever the language."""
    return f"{min(max(share, 0.0), 1.0) * 100:.2f}%"


def on_scale(start: datetime, end: datetime, left: datetime, right: datetime) -> tuple[str, str]:
    """Return (place, width) of a span of time on a scale from `left` to `right`."""
    whole = max((right - left).total_seconds(), 0.001)
    width = max((end - start).total_seconds() / whole, THINNEST / 100)
    place = min((start - left).total_seconds() / whole, 1 - width)
    return percent(place), percent(width)


def in_turn(spans: Sequence[timedelta]) -> list[tuple[float, float]]:
    """Return (place, width) of spans that follow each other, as shares of the width.

    Longer ones are wider, but by their logarithm: hours between two tries leave the tries visible.
    """
    weights = [1 + math.log10(1 + 10 * max(span.total_seconds(), 0.0)) for span in spans]
    whole = sum(weights) or 1.0
    places = _sums(weights)
    return [(place / whole, weight / whole) for place, weight in zip(places, weights, strict=True)]


def _sums(weights: Iterable[float]) -> list[float]:
    places, place = [], 0.0
    for weight in weights:
        places.append(place)
        place += weight
    return places
