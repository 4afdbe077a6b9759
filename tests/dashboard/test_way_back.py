"""What our screens share with those of the admin around them, whatever Django's version."""

import re
from datetime import timedelta

import pytest

from tests.conftest import NOON
from tests.factories import JobFactory, QueueFactory, ScheduleFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

JOBS = "/admin/jobs/"
OURS = (
    "failed/",
    "queue/",
    "queue/{queue}/change/",
    "worker/",
    "history/",
    "job/bulk/?verb=retry&q=state:failed",
    "schedule/{schedule}/backfill/",
)


def page(client, address):
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def way_back(text):
    """Return the tag of the way back, and the addresses on it."""
    tag, inside = re.search(r'<(\w+) class="breadcrumbs">(.*?)</\1>', text, re.DOTALL).groups()
    return tag, re.findall(r'href="([^"]+)"', inside)


@pytest.mark.parametrize("address", OURS)
def test_the_way_back_is_drawn_as_the_admin_draws_its_own(admin_client, address):
    JobFactory(failed=True)
    numbers = {"queue": QueueFactory().pk, "schedule": ScheduleFactory().pk}
    tag, links = way_back(page(admin_client, JOBS + address.format(**numbers)))
    assert tag == way_back(page(admin_client, "/admin/auth/user/"))[0]
    assert links[:2] == ["/admin/", JOBS]


def test_the_facts_of_a_schedule_stand_once_and_not_in_its_title(admin_client):
    row = ScheduleFactory(next_run_at=NOON + timedelta(hours=1))
    text = page(admin_client, f"{JOBS}schedule/{row.pk}/change/")
    assert text.count('class="schedule-truth"') == 1
    beside_title = text.partition('class="titles-and-tools"')[2]
    depth = 1
    for tag in re.finditer(r"<(/?)div\b", beside_title):
        depth += -1 if tag[1] else 1
        if depth == 0:
            assert "schedule-truth" not in beside_title[: tag.start()]
            break
