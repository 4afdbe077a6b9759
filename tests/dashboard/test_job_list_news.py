"""What keeps fresh beside the list of jobs: newer ones, and the states of those that run."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from django_jobs.models import Job
from django_jobs.searching import surveying
from tests.dashboard.test_job_list import LIST, raw, text_of
from tests.factories import JobFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

NEWS = f"{LIST}news/"
HTMX = {"hx-request": "true"}


def probe(page):
    """Return the address that the page asks again and again."""
    found = re.search(r'id="jobs-live" hx-get="([^"]+)"', page)
    return found and found[1].replace("&amp;", "&")


def news(client, address):
    response = client.get(address, headers=HTMX)
    assert response.status_code == 200
    return response.content.decode()


def test_newer_jobs_are_announced_and_the_list_is_left_alone(admin_client):
    JobFactory()
    address = probe(raw(admin_client))
    assert "newer job" not in news(admin_client, address)
    JobFactory.create_batch(2)
    text = news(admin_client, address)
    assert "↻ 2 newer jobs – show" in " ".join(re.sub(r"<[^>]+>", " ", text).split())
    assert f'href="{LIST}?"' in text
    assert 'id="jobs-newer" hx-swap-oob="true"' in text
    assert "<table" not in text


def test_only_newer_jobs_that_match_count(admin_client):
    JobFactory(queue="mail")
    address = probe(raw(admin_client, q="queue:mail"))
    JobFactory()
    assert "newer job" not in text_of(news(admin_client, address))
    JobFactory(queue="mail")
    text = news(admin_client, address)
    assert "1 newer job – show" in text
    assert f'href="{LIST}?q=queue%3Amail"' in text


def test_jobs_that_run_are_shown_as_they_stand_now(admin_client):
    row = JobFactory(running=True)
    JobFactory()
    page = raw(admin_client)
    assert f'id="job-state-{row.pk}" class="jobs-state jobs-ok"><' in page
    address = probe(page)
    assert parse_qs(urlsplit(address).query)["ids"] == [str(row.pk)]
    Job.objects.filter(pk=row.pk).update(cancel_requested_at=row.enqueued_at)
    text = news(admin_client, address)
    assert re.search(rf'id="job-state-{row.pk}"[^>]* hx-swap-oob="true"', text)
    assert "stopping" in text


def test_an_older_page_is_not_asked_for_newer_jobs(admin_client):
    row = JobFactory()
    JobFactory()
    assert probe(raw(admin_client, before=row.pk + 1)) is None
    running = JobFactory(running=True)
    address = probe(raw(admin_client, before=running.pk + 1))
    assert "newest" not in parse_qs(urlsplit(address).query)
    assert "jobs-newer" not in news(admin_client, address)


def test_the_first_job_of_all_is_announced(admin_client):
    address = probe(raw(admin_client))
    JobFactory()
    assert "1 newer job" in news(admin_client, address)


def test_news_cost_few_queries_whatever_came(admin_client, django_assert_max_num_queries):
    rows = JobFactory.create_batch(5, running=True)
    address = probe(raw(admin_client))
    JobFactory.create_batch(20)
    with django_assert_max_num_queries(2 + 4):
        text = news(admin_client, address)
    assert text.count("job-state-") == len(rows)


def test_very_many_newer_jobs_are_not_counted_to_the_end(admin_client, monkeypatch):
    from django_jobs.admin.job_list import news as job_news

    monkeypatch.setattr(job_news, "MOST_NEW", 2)
    JobFactory()
    address = probe(raw(admin_client))
    JobFactory.create_batch(5)
    assert "2+ newer jobs" in news(admin_client, address)


def test_broken_addresses_break_nothing(admin_client):
    JobFactory()
    for query in ("", "?ids=x,-1,²,", "?newest=x", "?q=foo:1&newest=1", "?newest=" + "9" * 40):
        assert admin_client.get(NEWS + query, headers=HTMX).status_code == 200
    assert admin_client.post(NEWS).status_code == 405


def test_who_was_logged_out_is_sent_to_the_login_with_his_search(client):
    response = client.get(NEWS, {"q": "state:failed"}, headers=HTMX)
    assert (response.status_code, response.content) == (204, b"")
    wanted = "/admin/login/?next=%2Fadmin%2Fjobs%2Fjob%2F%3Fq%3Dstate%253Afailed"
    assert response["HX-Redirect"] == wanted


def test_who_may_not_see_jobs_is_refused(staff):
    assert staff("view_queue").get(NEWS, headers=HTMX).status_code == 403


def test_answers_are_not_kept_by_browsers(admin_client):
    assert "no-store" in admin_client.get(NEWS)["Cache-Control"]


def test_refreshing_can_be_switched_off(admin_client, settings):
    settings.DJANGO_JOBS = {"ADMIN_REFRESH": 0}
    JobFactory(running=True)
    assert probe(raw(admin_client)) is None


def test_newer_jobs_are_looked_for_in_a_bounded_part(admin_client, monkeypatch):
    monkeypatch.setattr(surveying, "WINDOW", 2)
    JobFactory()
    address = probe(raw(admin_client, q="add"))
    JobFactory.create_batch(5)
    assert "2 newer jobs" in news(admin_client, address)
