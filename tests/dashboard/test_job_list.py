"""The list of jobs: search, chips, pages, columns, who may do what."""

import html
import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry

from django_jobs import job
from django_jobs.admin.jobs import JobAdmin
from django_jobs.models import BulkOperation, Job
from django_jobs.searching import surveying
from django_jobs.states import State
from tests.conftest import NOON
from tests.factories import JobFactory, QueueFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

LIST = "/admin/jobs/job/"
OWN_QUERIES = 7
HOSTILE = '<script>alert("1")</script>'


def raw(client, address=LIST, **data):
    response = client.get(address, data)
    assert response.status_code == 200
    return response.content.decode()


def text_of(page):
    page = page.partition('<div id="content-main"')[2] or page
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def shown(client, **data):
    return text_of(raw(client, **data))


def listed(client, query="", **data):
    """Return the numbers of the jobs of a page, in its order."""
    page = raw(client, LIST + query, **data)
    return [int(number) for number in re.findall(r'name="_selected_action" value="(\d+)"', page)]


def link(page, label):
    """Return the address of the link with that text."""
    page = page.partition('<div id="content-main"')[2]
    found = re.search(rf'<a [^>]*href="([^"]*)"[^>]*>(?:(?!</a>).)*{label}', page, re.DOTALL)
    assert found, label
    return html.unescape(found[1])


def test_a_row_tells_where_a_job_stands_and_how_long_it_took(admin_client):
    JobFactory(running=True, name="shop.mail", queue="mail")
    JobFactory(failed=True, run_at=NOON - timedelta(seconds=16))
    text = shown(admin_client)
    for said in (
        r"✕ failed add #\d+ ConnectionError: 503 from partner default 4/4 4 s 2 s 10 s ago",
        r"● running mail #\d+ mail 1/4 18 s 12 s 12 s ago",
    ):
        assert re.search(said, text), text


def test_a_ready_job_waits_and_one_that_never_ran_has_no_times(admin_client):
    JobFactory()
    JobFactory(scheduled=True)
    text = shown(admin_client)
    assert re.search(r"○ ready add #\d+ default 0/4 30 s – 30 s ago", text)
    assert re.search(r"◔ scheduled add #\d+ default 0/4 – – 30 s ago", text)


@pytest.mark.parametrize(
    "query",
    ["?state__exact=FAILED&queue=mail", "?state=failed&queue=mail", "?q=state:failed+queue:mail"],
)
def test_links_of_other_pages_and_typed_searches_find_the_same(admin_client, query):
    wanted = JobFactory(failed=True, queue="mail")
    JobFactory(failed=True)
    JobFactory(queue="mail")
    assert listed(admin_client, query) == [wanted.pk]
    assert 'value="state:failed queue:mail"' in raw(admin_client, LIST + query).replace(
        "&quot;", '"'
    )


def test_a_queue_with_an_odd_name_is_found_by_the_link_to_it(admin_client):
    wanted = JobFactory(queue='a,b "c"')
    JobFactory(queue="a")
    assert listed(admin_client, queue='a,b "c"') == [wanted.pk]
    QueueFactory(name='a,b "c"')
    page = raw(admin_client)
    assert listed(admin_client, link(page, "a,b &quot;c&quot;")) == [wanted.pk]
    assert html.escape('queue:"a,b \\"c\\""') in page


@pytest.mark.parametrize(
    ("q", "problem"),
    [
        ("stat:failed", "There is no “stat:”. Did you mean “state:”?"),
        ("state:faild", "Did you mean “failed”?"),
        ('"open', "A quotation mark is not closed."),
        ("since:soon", "“soon” is no time."),
    ],
)
def test_what_is_not_understood_is_said_and_finds_nothing(admin_client, q, problem):
    JobFactory(failed=True)
    text = shown(admin_client, q=q)
    assert f"✕ Not understood: {problem}" in text or problem in text
    assert listed(admin_client, q=q) == []


def test_no_jobs_yet_is_told_apart_from_no_jobs_that_match(admin_client):
    assert "There are no jobs yet." in shown(admin_client)
    JobFactory()
    text = shown(admin_client, q="nowhere")
    assert "No jobs match." in text
    assert "There are no jobs yet." not in text


def test_chips_carry_counts_and_lead_to_the_same_search_with_that_state(admin_client):
    JobFactory.create_batch(3, queue="mail")
    JobFactory.create_batch(2, queue="mail", failed=True)
    JobFactory(failed=True)
    page = raw(admin_client, q="queue:mail")
    assert "✕ failed 2" in text_of(page)
    address = link(page, "failed")
    assert parse_qs(urlsplit(address).query) == {"q": ["queue:mail state:failed"]}
    page = raw(admin_client, LIST + address)
    assert link(page, "failed") == "?q=queue%3Amail"
    assert 'aria-current="true"><span aria-hidden="true">✕' in page


def test_queues_jobs_and_spans_are_to_choose_from_and_can_be_cleared(admin_client):
    @job(name="shop.jobs.pack_up")
    def deliver():
        pass

    QueueFactory(name="mail")
    JobFactory(queue="mail")
    page = raw(admin_client, q="state:ready")
    assert link(page, "mail") == "?q=state%3Aready+queue%3Amail"
    assert link(page, "pack_up") == "?q=state%3Aready+job%3Ashop.jobs.pack_up"
    assert link(page, "24h") == "?q=state%3Aready+since%3A24h"
    page = raw(admin_client, q="queue:mail")
    assert link(page, "any") == "?"
    assert link(page, "Clear") == "?"
    for option in ("queue:mail", "job:shop.jobs.pack_up", "state:failed"):
        assert f'<option value="{option}">' in page


def test_every_qualifier_is_explained_on_the_page(admin_client):
    text = shown(admin_client)
    names = ("id:", "job:", "queue:", "state:", "error:", "fp:", "worker:", "args.", "since:")
    for name in (*names, "until:"):
        assert name in text


def test_pages_lead_to_older_jobs_and_back(admin_client, monkeypatch):
    monkeypatch.setattr(JobAdmin, "list_per_page", 2)
    made = [row.pk for row in JobFactory.create_batch(5, queue="mail")][::-1]
    JobFactory()
    page = raw(admin_client, q="queue:mail")
    seen, addresses = [], []
    while True:
        seen += re.findall(r'name="_selected_action" value="(\d+)"', page)
        if "older ›" not in page:
            break
        addresses.append(link(page, "older"))
        page = raw(admin_client, LIST + addresses[-1])
    assert [int(number) for number in seen] == made
    assert all("q=queue%3Amail" in address for address in addresses)
    back = link(page, "newer")
    assert listed(admin_client, back) == made[2:4]


def test_where_not_all_was_searched_the_page_says_so_and_leads_on(admin_client, monkeypatch):
    monkeypatch.setattr(surveying, "WINDOW", 3)
    old = JobFactory(name="shop.mail")
    JobFactory.create_batch(3)
    page = raw(admin_client, q="mail")
    assert listed(admin_client, q="mail") == []
    first, last = old.pk + 1, old.pk + 3
    assert f"Searched were the jobs #{first} to #{last}" in text_of(page)
    older = link(page, "Search older jobs")
    assert listed(admin_client, older) == [old.pk]
    assert "Search the newest" in raw(admin_client, LIST + older)


@pytest.mark.parametrize("q", ["", "state:failed", "queue:mail error:503", "state:failed queue:a"])
@pytest.mark.parametrize("size", [1, 30])
def test_the_number_of_queries_does_not_depend_on_the_number_of_jobs(
    admin_client, django_assert_max_num_queries, q, size
):
    for number in range(size):
        JobFactory(failed=True, queue="mail", fingerprint="0123456789abcdef")
        JobFactory(running=True)
        QueueFactory(name=f"q{number}")
    with django_assert_max_num_queries(OWN_QUERIES + 2):
        raw(admin_client, q=q)


def test_nothing_counts_or_skips_rows_without_a_bound(admin_client):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    JobFactory.create_batch(3)
    with CaptureQueriesContext(connection) as captured:
        raw(admin_client, before=10**9)
    about_jobs = [query["sql"] for query in captured if "django_jobs_job" in query["sql"]]
    assert about_jobs
    assert not [sql for sql in about_jobs if " OFFSET " in sql]


def test_arguments_are_not_read_for_the_list(admin_client):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    JobFactory(args=["private"])
    with CaptureQueriesContext(connection) as captured:
        raw(admin_client)
    assert not [query for query in captured if '"kwargs"' in query["sql"]]


def test_arguments_are_searched_only_by_those_who_may_see_them(client, staff):
    @job(name="shop.deliver")
    def deliver(order):
        pass

    row = JobFactory(name="shop.deliver", args=[991])
    viewer = staff("view_job")
    assert "You may not see arguments, nor search for them." in shown(viewer, q="args.order:991")
    assert listed(viewer, q="args.order:991") == []
    viewer.logout()
    from django.contrib.auth.models import User

    client.force_login(User.objects.create_superuser("root"))
    assert listed(client, q="args.order:991") == [row.pk]
    assert "reads like a secret" in shown(client, q="args.token:x")


def test_hostile_texts_are_never_markup(admin_client):
    QueueFactory(name=HOSTILE[:64])
    row = JobFactory(failed=True, name=HOSTILE, queue=HOSTILE[:64])
    row.runs.update(error_type=HOSTILE, error=HOSTILE)
    for q in ("", HOSTILE, f'queue:"{HOSTILE}"', f"{HOSTILE}:x"):
        page = raw(admin_client, q=q)
        assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_nothing_on_the_page_needs_an_exception_from_a_strict_policy(admin_client):
    JobFactory(failed=True)
    page = raw(admin_client).partition('<div id="content-main"')[2]
    assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:|<script", page.partition("<svg")[0])


def test_those_who_may_only_look_see_no_controls(staff):
    JobFactory(failed=True)
    page = raw(staff("view_job"))
    assert "_selected_action" not in page
    assert 'name="verb"' not in page


@pytest.mark.parametrize(
    ("granted", "verbs"),
    [("change_job", ["retry", "cancel"]), ("delete_job", ["delete"])],
)
def test_what_may_be_done_to_all_depends_on_the_permission(staff, granted, verbs):
    JobFactory(failed=True)
    page = raw(staff("view_job", granted))
    assert re.findall(r'name="verb" value="(\w+)"', page) == verbs
    assert (f"{verbs[0]}_jobs" in page) is True


def test_deleting_selected_jobs_asks_first(staff):
    client = staff("view_job", "delete_job")
    rows = JobFactory.create_batch(2, failed=True)
    kept = JobFactory(failed=True)
    data = {"action": "delete_jobs", "_selected_action": [row.pk for row in rows]}
    response = client.post(LIST, data, follow=True)
    assert "Delete 2 jobs?" in text_of(response.content.decode())
    assert Job.objects.count() == 3
    fields = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', response.content.decode())
    done = client.post(f"{LIST}bulk/", {k: html.unescape(v) for k, v in fields}, follow=True)
    assert [str(message) for message in done.context["messages"]] == ["2 jobs deleted."]
    assert [row.pk for row in Job.objects.all()] == [kept.pk]
    assert LogEntry.objects.count() == 1


def test_who_may_not_delete_cannot_by_hand_either(staff):
    client = staff("view_job", "change_job")
    row = JobFactory(failed=True)
    client.post(LIST, {"action": "delete_jobs", "_selected_action": [row.pk]})
    assert client.get(f"{LIST}bulk/", {"verb": "delete", "q": ""}).status_code == 403
    assert client.post(f"{LIST}bulk/", {"verb": "delete", "search": "x"}).status_code == 403
    assert Job.objects.count() == 1


def test_a_page_keeps_its_search_through_a_jobs_own_page(admin_client):
    row = JobFactory(failed=True)
    page = raw(admin_client, q="state:failed")
    assert f"{row.pk}/change/?_changelist_filters=q%3Dstate%253Afailed" in page


def test_a_project_may_add_filters_and_columns(admin_client, monkeypatch):
    monkeypatch.setattr(JobAdmin, "list_filter", ("priority",))
    monkeypatch.setattr(JobAdmin, "list_display", ("title", "priority"))
    wanted, other = JobFactory(priority=5), JobFactory(priority=7)
    page = raw(admin_client)
    assert "Priority" in text_of(page)
    assert listed(admin_client, priority=5) == [wanted.pk]
    assert listed(admin_client) == [other.pk, wanted.pk]


def test_unknown_parameters_lead_back_to_the_list(admin_client):
    JobFactory()
    assert admin_client.get(LIST, {"nonsense": 1}).status_code == 302
    for data in ({"before": "x"}, {"after": "-1"}, {"to": "9" * 40}, {"q": "\0"}):
        assert admin_client.get(LIST, data).status_code == 200


def test_fields_that_choose_a_job_find_it_like_the_list(rf, admin_user):
    wanted = JobFactory(failed=True, name="shop.mail")
    JobFactory()
    request = rf.get("/")
    request.user = admin_user
    page = admin.site.get_model_admin(Job)
    rows, _ = page.get_search_results(request, Job.objects.all(), "state:failed mail")
    assert [row.pk for row in rows] == [wanted.pk]
    rows, _ = page.get_search_results(request, Job.objects.all(), "")
    assert len(rows) == 2


def test_operations_at_work_are_named_above_the_list(admin_client):
    JobFactory(state=State.READY)
    values = {"verb": "retry", "search": "", "as_of": NOON, "high": 1, "expected": 1}
    row = BulkOperation.objects.create(key="k", created_at=NOON, last_id=0, **values)
    assert f"The workers are at it: retry #{row.pk}" in shown(admin_client)
