"""Owns what one field of a cron text means: the values that it names, or why it is refused.

Takes a stricter view than most crons: what two traditions read differently is no value here.
"""

import re
from dataclasses import dataclass
from hashlib import sha256

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
EVERY_MONTH_HAS = 28
ITEM = re.compile(
    r"(?:(?P<star>\*)|(?P<hash>h)(?:\((?P<first>\w+)-(?P<last>\w+)\))?"
    r"|(?P<low>\w+)(?:-(?P<high>\w+))?)(?P<slash>/(?P<step>\d+))?",
    re.ASCII,
)
NTH = re.compile(r"(?P<day>\w+)#(?P<nth>[1-5])", re.ASCII)


class Refused(Exception):
    """Why a field is refused; the caller adds the whole text."""


@dataclass(frozen=True, slots=True)
class Field:
    """One of the five fields: its name, its numbers `low` … `high`, and how many values they are.

    `allowed` says it to people. `wraps`: a range may pass the end (22-2). `names`: what may
    stand for the numbers.
    """

    name: str
    low: int
    high: int
    size: int
    allowed: str
    wraps: bool = False
    names: tuple[str, ...] = ()

    @property
    def top(self) -> int:
        """The last value of `*`; a second number for Sunday is not among them."""
        return self.low + self.size - 1

    def values(self, part: str, seed: str) -> list[int]:
        """Return the values that the lower-case `part` names, rising.

        `H` draws by `seed`, always the same. Raises Refused.
        """
        if part == "*":
            return [*range(self.low, self.top + 1)]
        return sorted({value for item in part.split(",") for value in self._item(item, seed)})

    def nth(self, part: str) -> list[str]:
        """Return the items of a list such as `fri#2,fri#4` with numbers; raises Refused."""
        items = set()
        for item in part.split(","):
            match = NTH.fullmatch(item)
            if match is None:
                raise Refused(f'{self.name} takes "#" as in fri#2 (1 to 5) alone, got "{item}".')
            items.add(f"{self._number(match['day']) % self.size}#{match['nth']}")
        return sorted(items)

    def _item(self, item: str, seed: str) -> list[int]:
        match = ITEM.fullmatch(item)
        if item.startswith("r"):
            raise Refused(f"{self.name}: R (random) is not supported; H draws by the name.")
        if match is None or item == "*":
            forms = f"{self.allowed}, lists, ranges, steps, H, or * alone"
            raise Refused(f'{self.name} cannot be "{item}"; allowed: {forms}.')
        step = int(match["step"] or 1)
        if not 1 <= step <= self.size:
            raise Refused(f"{self.name} step must be 1–{self.size}, got {step}.")
        low, high = self._bounds(match)
        if match["hash"]:
            count = high - low + 1
            low += _draw(f"{self.name} {seed}", min(step, count) if match["slash"] else count)
            high = high if match["slash"] else low
        return [self.low + (value - self.low) % self.size for value in range(low, high + 1, step)]

    def _bounds(self, match: re.Match[str]) -> tuple[int, int]:
        if match["star"]:
            return self.low, self.top
        if match["hash"] and not match["first"]:
            return self.low, min(self.top, EVERY_MONTH_HAS) if self is DAY else self.top
        low = self._number(match["first"] or match["low"])
        end = match["last"] or match["high"]
        if end is None:
            return low, max(low, self.top) if match["slash"] else low
        high = self._number(end)
        if high >= low:
            return low, high
        if not self.wraps:
            raise Refused(f"{self.name} range must rise, got {match[0]}.")
        return low, high + self.size

    def _number(self, text: str) -> int:
        if text in self.names:
            return self.names.index(text) + self.low
        if not text.isdigit() or not self.low <= int(text) <= self.high:
            raise Refused(f"{self.name} must be {self.allowed}, got {text}.")
        return int(text)


def _draw(seed: str, count: int) -> int:
    # Not hash(): every process of every deploy must draw the same.
    return int.from_bytes(sha256(seed.encode()).digest()[:8]) % count


MINUTE = Field("minute", 0, 59, 60, "0–59")
HOUR = Field("hour", 0, 23, 24, "0–23", wraps=True)
DAY = Field("day of month", 1, 31, 31, "1–31 or L alone")
MONTH = Field("month", 1, 12, 12, "1–12 or jan–dec", wraps=True, names=MONTHS)
WEEKDAY = Field("day of week", 0, 7, 7, "0–7 or sun–sat", wraps=True, names=WEEKDAYS)
