"""The four charts of the history, each with a sentence that says what it shows."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from django_jobs.admin.charts import Chart, Frame, Layer, about, count, nested, percent, stacked
from django_jobs.display import duration
from django_jobs.models import Release
from django_jobs.reports.history import Point
from django_jobs.reports.recent import Recent
from django_jobs.tallies import Figures, quantile, total

MEDIAN, HIGH = 0.5, 0.95
CALM = 0.1


def charts(points: Sequence[Point], releases: Sequence[Release]) -> tuple[Chart, ...]:
    """Return the charts of what was."""
    frame = framed(points, releases)
    waits = _(
        "Half of the runs began within %(half)s, 95%% within %(high)s. The longest p95 is %(most)s, "
        "from %(when)s on."
    )
    runs = _(
        "Half of the runs took up to %(half)s, 95%% up to %(high)s. The longest p95 is %(most)s, "
        "from %(when)s on."
    )
    return (
        _throughput(points, frame),
        _times(("wait", _("Wait, from due to begun"), waits), points, frame, lambda one: one.waits),
        _times(
            ("run", pgettext("how long it takes", "Run"), runs), points, frame, lambda one: one.runs
        ),
        _failure_rate(points, frame),
    )


def framed(spans: Sequence[Any], releases: Sequence[Release]) -> Frame:
    """Return the frame of what has a `begin` and an `end`, with a mark for each deploy."""
    return Frame(
        [(span.begin, span.end) for span in spans],
        [(row.seen_at, _("version %(name)s") % {"name": row.version}) for row in releases],
    )


def recent_chart(recent: Recent) -> Chart:
    """Return the chart of the dashboard: what finished in the last four hours."""
    stretches, frame = recent.stretches, framed(recent.stretches, recent.releases)
    layers = (
        Layer(_("succeeded"), "ok", [stretch.succeeded for stretch in stretches]),
        Layer(_("failed"), "bad", [stretch.failed for stretch in stretches]),
    )
    finished = sum(stretch.finished for stretch in stretches)
    facts = {"finished": count(finished), "failed": count(sum(one.failed for one in stretches))}
    text = _("%(finished)s jobs finished, %(failed)s of them failed.") % facts
    return stacked("recent", _("Last 4 h, finished per 5 min"), text, frame, layers)


def day_chart(points: Sequence[Point], releases: Sequence[Release]) -> Chart:
    """Return the chart of a queue: what finished in the last 24 hours."""
    chart = _throughput(points, framed(points, releases))
    return replace(chart, title=_("Last 24 h, finished per 30 min"))


def _throughput(points: Sequence[Point], frame: Frame) -> Chart:
    """Return the chart of what finished."""
    layers = (
        Layer(_("succeeded"), "ok", [point.figures.succeeded for point in points]),
        Layer(_("failed"), "bad", [point.figures.failed for point in points]),
    )
    title = _("Finished per %(span)s") % {"span": duration(points[0].end - points[0].begin)}
    sentence = " ".join(_told(points, frame))
    return stacked("throughput", title, sentence, frame, layers)


def _told(points: Sequence[Point], frame: Frame) -> list[str]:
    whole = total(point.figures for point in points)
    busiest = max(points, key=lambda point: point.figures.finished)
    facts = {
        "finished": count(whole.finished),
        "failed": count(whole.failed),
        "when": frame.moment(busiest.begin),
        "most": count(busiest.figures.finished),
    }
    said = [
        _("%(finished)s jobs finished, %(failed)s of them failed.") % facts,
        _("Most finished from %(when)s on: %(most)s.") % facts,
    ]
    if rise := _rise([(point.begin, point.figures.failed) for point in points]):
        low, high, begin, end = rise
        facts = {"low": count(low), "high": count(high), "span": duration(end - begin)}
        said.append(_("Failures rise from %(low)s to %(high)s in %(span)s.") % facts)
    return said


def _rise(numbers: Sequence[tuple[datetime, int]]) -> tuple[int, int, datetime, datetime] | None:
    """Return the way up to the peak from the newest calm before it, if that is worth a word.

    Calm is what has at most a tenth of the peak; where it never was, the newest low is meant.
    """
    peak = max(range(len(numbers)), key=lambda place: numbers[place][1])
    calm = numbers[peak][1] * CALM
    before = [place for place in range(peak) if numbers[place][1] <= calm]
    low = before[-1] if before else _newest_low(numbers, peak)
    (begin, least), (end, most) = numbers[low], numbers[peak]
    return (least, most, begin, end) if most - least > 1 else None


def _newest_low(numbers: Sequence[tuple[datetime, int]], peak: int) -> int:
    low = peak
    while low and numbers[low - 1][1] < numbers[low][1]:
        low -= 1
    return low


def _times(
    words: tuple[str, str, str],
    points: Sequence[Point],
    frame: Frame,
    histogram: Callable[[Figures], list[int]],
) -> Chart:
    id_, title, text = words
    halves = [quantile(histogram(point.figures), MEDIAN) for point in points]
    highs = [quantile(histogram(point.figures), HIGH) for point in points]
    layers = (Layer(_("p95"), "high", highs), Layer(_("p50"), "half", halves))
    whole = histogram(total(point.figures for point in points))
    half, high = quantile(whole, MEDIAN), quantile(whole, HIGH)
    worst = max(range(len(points)), key=lambda place: highs[place] or 0.0)
    facts = {
        "half": about(half or 0.0),
        "high": about(high or 0.0),
        "when": frame.moment(points[worst].begin),
        "most": about(highs[worst] or 0.0),
    }
    return nested(id_, title, text % facts, frame, layers)


def _failure_rate(points: Sequence[Point], frame: Frame) -> Chart:
    rates = [point.figures.failure_rate for point in points]
    whole = total(point.figures for point in points).failure_rate
    worst = max(range(len(points)), key=lambda place: rates[place] or 0.0)
    facts = {
        "rate": percent(whole or 0.0),
        "when": frame.moment(points[worst].begin),
        "most": percent(rates[worst] or 0.0),
    }
    text = _("%(rate)s of what finished failed.") % facts
    if rates[worst]:
        text += " " + _("It is worst from %(when)s on, with %(most)s.") % facts
    layers = (Layer(_("failed"), "bad", rates),)
    return nested("rate", _("Failure rate"), text, frame, layers, percent)
