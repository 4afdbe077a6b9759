"""Numbers over time as a line of bars."""

from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"


def bars(numbers: Sequence[int]) -> str:
    """Return one bar for each number, the biggest being the highest."""
    most = max(*numbers, 1)
    return "".join(BARS[-(-number * 7 // most)] for number in numbers)
