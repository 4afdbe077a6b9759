"""Array literals. Writing them by hand costs a tenth of what adapting Python lists does."""

from collections.abc import Iterable


def numbers(values: Iterable[float | None]) -> str:
    """Return the literal of an array of whole or floating numbers; `None` is NULL."""
    return _array("NULL" if value is None else str(value) for value in values)


def texts(values: Iterable[str | None]) -> str:
    """Return the literal of an array of texts; `None` is NULL."""
    return _array("NULL" if value is None else _quoted(value) for value in values)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _array(items: Iterable[str]) -> str:
    return "{" + ",".join(items) + "}"
