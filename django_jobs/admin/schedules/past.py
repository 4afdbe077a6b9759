"""What became of the last planned times of a schedule, as one line of marks and one of words."""

from collections import Counter
from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from django_jobs.schedules.history import GONE, WORDS, Glimpse
from django_jobs.states import FINAL, State, spoken

MARKS = {State.SUCCESSFUL: "▮", State.FAILED: "✕", State.CANCELLED: "◇"}
NO_JOB, NOT_ENDED, UNKNOWN = "▯", "◌", "·"


def drawn(past: Sequence[Glimpse]) -> SafeString | None:
    """Return both lines, the newest mark at the end; `None` where nothing was planned yet."""
    if not past:
        return None
    marks = format_html_join(
        "", '<span class="schedule-{}">{}</span>', ((_look(one), _mark(one)) for one in past)
    )
    counts = Counter(_word(one) for one in past)
    words = ", ".join(f"{number} {word}" for word, number in counts.most_common())
    line = '<span class="schedule-past" aria-hidden="true">{}</span><br>{}'
    return format_html(line, marks, words)


def _mark(one: Glimpse) -> str:
    if not one.has_job:
        return NO_JOB
    if one.state is None:
        return UNKNOWN
    return MARKS.get(one.state, NOT_ENDED)


def _look(one: Glimpse) -> str:
    return "bad" if one.state is State.FAILED else "plain"


def _word(one: Glimpse) -> str:
    if not one.has_job:
        return str(WORDS[one.outcome])
    if one.state is None:
        return str(GONE)
    return _(spoken(one.state)) if one.state in FINAL else _("not ended")
