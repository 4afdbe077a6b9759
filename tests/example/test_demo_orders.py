"""What `demo --once` checks of the orders: it must see what went wrong."""

import pytest

from django_jobs.models import Job
from django_jobs.testing import run_jobs
from example_project.shop.demo.orders import Orders
from example_project.shop.models import Order
from example_project.shop.orders import letters
from tests.conftest import NOON
from tests.example.test_orders import DAY

pytestmark = pytest.mark.usefixtures("clocks")


@pytest.fixture
def done(shop, outbox):
    """One order was paid, the other one not, and two days have gone by."""
    orders = Orders.place()
    assert not orders.have_ended()
    for days in range(3):
        run_jobs(now=NOON + days * DAY, raise_errors=True)
    assert orders.have_ended()
    return orders


def wrong(orders):
    return [check.text for check in orders.checks() if not check.holds]


def test_all_is_well_when_one_is_shipped_and_one_is_given_up(done):
    assert wrong(done) == []
    lines = "\n".join(done.lines())
    assert "shipped, job #" in lines
    assert "given up, never paid, job #" in lines
    assert "mails: thanks\n" in lines
    assert "ok   order never paid: given up, job successful, mails: reminder" in lines


def test_a_second_mail_is_seen(done):
    letters.thank(done.paid.pk)
    assert wrong(done) == ["order paid at once: shipped, job successful, mails: thanks, thanks"]


def test_a_missing_mail_is_seen(done, outbox):
    next(outbox.glob("order-*-reminder/*.eml")).unlink()
    assert wrong(done) == ["order never paid: given up, job successful, mails: none"]


def test_an_order_that_stands_elsewhere_is_seen(done):
    Order.objects.update(status="placed")
    assert len(wrong(done)) == 2


def test_a_job_that_did_not_succeed_is_seen(done):
    Job.objects.filter(pk=done.paid.job_id).update(state="FAILED")
    assert wrong(done) == ["order paid at once: shipped, job failed, mails: thanks"]
