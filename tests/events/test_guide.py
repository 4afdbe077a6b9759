"""The first examples of the guide's two pages about events, pasted into one module."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from django_jobs import send_event
from django_jobs.models import Job
from django_jobs.states import RunOutcome
from django_jobs.testing import run_jobs
from tests.models import Purchase

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide"
IN_THE_TESTS = {
    "from shop.models import Order": "from tests.models import Purchase as Order",
    '"status"': '"state"',
    "order.status": "order.state",
    "order.sum": "order.total",
}

pytestmark = pytest.mark.django_db


def example(page):
    found = re.search(
        r"^```python\n(.*?)^(```|# shop/views)", page.read_text(), re.DOTALL | re.MULTILINE
    )
    text = found[1]
    for shown, here in IN_THE_TESTS.items():
        text = text.replace(shown, here)
    return text


@pytest.fixture
def shop(monkeypatch):
    """Return what the jobs of both pages have called."""
    called = []
    module = ModuleType("tests.guide_jobs")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    module.ship = called.append
    exec(example(GUIDE / "events.md") + example(GUIDE / "models.md"), vars(module))
    return called


def test_the_two_pages_of_events_fit_together(shop):
    order = Purchase.objects.create()
    assert set(run_jobs()) == {RunOutcome.SUSPENDED, RunOutcome.SUCCESSFUL}
    order.state = "paid"
    order.save()
    assert run_jobs() == [RunOutcome.SUCCESSFUL]
    assert shop == [order.pk]
    send_event("order/placed", {"order_id": order.pk})
    assert run_jobs().count(RunOutcome.SUCCESSFUL) == 2


@pytest.mark.parametrize(("more", "jobs"), [({}, 0), ({"sum": "99.90"}, 0), ({"sum": 120}, 1)])
def test_the_filter_of_the_guide_answers_for_every_event(shop, more, jobs):
    send_event("order/paid", {"country": "DE", **more})
    assert Job.objects.filter(name__endswith=".check_tax").count() == jobs
