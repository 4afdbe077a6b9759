"""The admin's list of batches."""

import pytest
from django.urls import reverse

from django_jobs import Batch, Flow
from tests import jobs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

LIST = reverse("admin:django_jobs_batch_changelist")


def test_the_list_shows_how_far_each_batch_is(staff):
    with Batch("<album 7>") as batch:
        batch.enqueue_many(jobs.nothing, [()] * 17)
    with Flow(jobs.nothing):
        pass
    page = staff("view_batch").get(LIST)
    assert page.status_code == 200
    text = page.content.decode()
    assert f"&lt;album 7&gt; #{batch.id}" in text
    assert ">17<" in text
    assert text.count(">open<") == text.count(">finished<") == 1


def test_the_page_of_a_batch_is_to_read_only(staff):
    with Batch("album 7") as batch:
        pass
    page = reverse("admin:django_jobs_batch_change", args=[batch.id])
    client = staff("view_batch", "change_batch", "delete_batch")
    text = client.get(page).content.decode()
    assert "2030-01-15 12:00" in text
    assert 'type="submit" value="Save"' not in text
    assert client.post(page, {"name": "x"}).status_code == 403


def test_who_may_not_see_batches_does_not(staff):
    assert staff().get(LIST).status_code == 403
