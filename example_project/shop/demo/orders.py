"""The orders of `demo --once`: one is paid, one is not, and what must hold when both have ended."""

from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from example_project.shop import outbox
from example_project.shop.demo.report import Check
from example_project.shop.models import Customer, Order
from example_project.shop.orders import letters, moves
from example_project.shop.watching import watch_one


class Orders:
    """Two orders: the first is paid at once, the second never."""

    def __init__(self, paid: Order, unpaid: Order) -> None:
        self.paid, self.unpaid = paid, unpaid

    @classmethod
    def place(cls) -> "Orders":
        """Place both, and pay the first."""
        # Not those whose mailbox is busy at first: each step is to be called once.
        reachable = Customer.objects.exclude(email__in=settings.OUTBOX["refuse_once"])
        first, second = reachable.order_by("pk")[:2]
        paid, unpaid = moves.place(first), moves.place(second)
        assert paid, "the shop has customers"
        assert unpaid
        moves.pay(paid.pk)
        return cls(paid, unpaid)

    def have_ended(self) -> bool:
        """Say whether both jobs have begun, and do nothing any more."""
        self._look()
        jobs = [order.job_id for order in (self.paid, self.unpaid)]
        return all(job_id and not watch_one(job_id).live for job_id in jobs)

    def lines(self) -> Iterator[str]:
        """Yield one line for each order, and whether all is right."""
        self._look()
        for order in (self.paid, self.unpaid):
            mails = ", ".join(self._mails(order)) or "none"
            yield (
                f"Order     {order.what}, {order.price}: {order.get_status_display()}, job "
                f"#{order.job_id} {watch_one(order.job_id).word}; mails: {mails}"
            )
        yield ""
        yield from map(str, self.checks())

    def checks(self) -> list[Check]:
        """Return what must hold when both jobs have ended."""
        self._look()
        return [
            self._check(self.paid, "paid at once", "shipped", "thanks"),
            self._check(self.unpaid, "never paid", "given up", "reminder"),
        ]

    def _check(self, order: Order, what: str, status: str, mail: str) -> Check:
        mails, word = self._mails(order), watch_one(order.job_id).word
        holds = (order.status, mails, word) == (status, [mail], "successful")
        return Check(
            holds,
            f"order {what}: {order.status}, job {word}, mails: {', '.join(mails) or 'none'}",
        )

    def _mails(self, order: Order) -> list[str]:
        """Return which mails about the order lie in the outbox, each as often as it does."""
        folder = Path(settings.OUTBOX["folder"])
        return [
            kind
            for kind in letters.KINDS
            for _ in outbox.delivered(folder, letters.tag(order, kind))
        ]

    def _look(self) -> None:
        for order in (self.paid, self.unpaid):
            order.refresh_from_db()
