"""How commands print what people read: aligned tables, pairs of title and text."""

from collections.abc import Iterable, Sequence
from typing import Any


def write_table(
    out: Any, titles: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str
) -> None:
    """Write `rows` under `titles` in aligned columns, or the text `empty`."""
    if not rows:
        out.write(empty)
        return
    widths = [max(len(row[index]) for row in (titles, *rows)) for index in range(len(titles))]
    for row in (titles, *rows):
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=True)]
        out.write("  ".join(cells).rstrip())


def write_facts(out: Any, facts: Iterable[tuple[str, str]]) -> None:
    """Write each title and text on a line."""
    for title, text in facts:
        out.write(f"{title:<10}{text}" if len(title) < 10 else f"{title} {text}")  # noqa: PLR2004 - the column
