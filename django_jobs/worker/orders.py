"""What somebody wants of this worker, shared by the processes of one start.

One process hears of it first, with its sign of life or by a look at its row, and the others obey
within a tick.
"""

from collections.abc import MutableSequence
from dataclasses import replace

from django_jobs import clock
from django_jobs.engines.base import Engine
from django_jobs.engines.workers import WorkerCard
from django_jobs.states import Wish

CODES = (Wish.NONE, Wish.QUIET, Wish.STOP)


class Orders:
    """One number that supervisor and children see: a cell of shared memory, or of our own."""

    def __init__(self, cell: MutableSequence[int] | None = None) -> None:
        self._cell: MutableSequence[int] = [0] if cell is None else cell
        self._heard = self.wish

    @property
    def wish(self) -> Wish:
        """What is to be obeyed now."""
        return CODES[self._cell[0]]

    def hear(self, wish: Wish) -> None:
        """Take what the database says; a stop is never taken back.

        Only what has changed counts: the row of a process that was born a moment ago may say
        what the others have just been released from.
        """
        if wish is not self._heard and self.wish is not Wish.STOP:
            self._cell[0] = CODES.index(wish)
        self._heard = wish


class SignOfLife:
    """What a worker tells people about itself, and how it hears what they want."""

    def __init__(self, card: WorkerCard, orders: Orders) -> None:
        self.name = card.name
        self._card = card
        self._orders = orders

    def give(self, engine: Engine) -> None:
        """Write it, and take the answer."""
        card = replace(self._card, wish=self._orders.wish)
        self._orders.hear(engine.beat(card, clock.now_or_none()))

    def look(self, engine: Engine) -> None:
        """Take the answer without writing; before the first sign there is none."""
        wish = engine.wish_of(self.name)
        if wish is not None:
            self._orders.hear(wish)
