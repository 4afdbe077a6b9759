"""The history: its charts, its numbers, who may see it, what it costs."""

import csv
import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.urls import reverse

from django_jobs.models import Release
from django_jobs.reports.history import RANGES
from tests.conftest import NOON
from tests.dashboard.pages import raw, shown, words
from tests.factories import QueueFactory, TallyFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

HISTORY = "/admin/jobs/history/"
LIVE = f"{HISTORY}live/"
FIGURES = f"{HISTORY}figures.csv"
HTMX = {"hx-request": "true"}
HOSTILE = "<script>alert(1)</script>"
QUERIES = 3
"""Points, parts, versions; two of them from the figures."""

DJANGOS_QUERIES = 2


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()
    yield
    cache.clear()


def page(client, **data):
    response = client.get(HISTORY, data)
    assert response.status_code == 200
    return response.content.decode()


def text(client, **data):
    return words(page(client, **data))


def titles(content, chart):
    """Return the words of the bars of one chart."""
    section = content.partition(f'id="jobs-{chart}"')[2].partition("</section>")[0]
    return re.findall(r'aria-label="([^"]+)"', section)


def day():
    """Some figures of the last hours."""
    TallyFactory(ago=7, succeeded=40)
    TallyFactory(ago=7, succeeded=10, queue="mail", name="shop.send", failed=2, retried=3)
    TallyFactory(ago=100, succeeded=5, failed=1)


def test_the_page_says_in_words_what_it_draws(admin_client):
    day()
    said = text(admin_client)
    for sentence in (
        "Finished per 5 min 58 jobs finished, 3 of them failed.",
        "Most finished from 11:50 on: 52. Failures rise from 0 to 2 in 5 min.",
        "Half of the runs began within 0.12 s, 95% within 0.16 s.",
        "Half of the runs took up to 0.48 s, 95% up to 0.62 s.",
        "5.2% of what finished failed. It is worst from 10:20 on, with 17%.",
    ):
        assert sentence in said


def test_a_rise_of_failures_begins_where_it_was_calm_however_it_wavers(admin_client):
    for ago, failed in ((27, 8), (22, 10), (17, 9), (12, 30)):
        TallyFactory(ago=ago, failed=failed)
    assert "Failures rise from 0 to 30 in 20 min." in text(admin_client)


def test_where_it_was_never_calm_a_rise_begins_at_the_newest_low(admin_client):
    for ago in range(2, 242, 5):
        TallyFactory(ago=ago, failed=30 if ago == 12 else 20 if ago == 17 else 15)
    assert "Failures rise from 15 to 30 in 10 min." in text(admin_client)


def test_each_bar_can_be_reached_and_says_what_it_is(admin_client):
    day()
    content = page(admin_client)
    assert titles(content, "throughput") == [
        "10:20–10:25: succeeded 5, failed 1",
        "11:50–11:55: succeeded 50, failed 2",
    ]
    assert titles(content, "run") == [
        "10:20–10:25: p95 0.62 s, p50 0.48 s",
        "11:50–11:55: p95 0.62 s, p50 0.48 s",
    ]
    assert titles(content, "rate")[1] == "11:50–11:55: failed 3.8%"
    assert content.count('class="jobs-bar" tabindex="0" role="img"') == 8


def test_each_chart_is_a_table_as_well(admin_client):
    day()
    said = text(admin_client)
    assert "As a table When succeeded failed 08:05–08:10 0 0" in said
    assert "11:50–11:55 50 2" in said
    assert "11:50–11:55 0.16 s 0.12 s" in said
    assert "11:55–12:00 – –" in said


def test_colour_is_never_alone(admin_client):
    day()
    content = page(admin_client)
    assert 'fill="url(#jobs-throughput-bad)"' in content
    assert '<pattern id="jobs-throughput-bad"' in content


def test_no_run_is_said_to_be_longer_than_all_of_them(admin_client):
    TallyFactory(succeeded=1, name="shop.quick", run_sum=0.25)
    assert "0.25 s 0.25 s" in text(admin_client).partition("What took longest")[2]


def test_what_took_longest_comes_first(admin_client):
    TallyFactory(succeeded=3, name="shop.quick", run_sum=2.0)
    TallyFactory(succeeded=8, name="shop.slow", failed=2, retried=5, run_sum=4000.0)
    TallyFactory(succeeded=1, name="shop.slow", queue="mail", run_sum=100.0)
    said = text(admin_client).partition("What took longest")[2]
    assert said.startswith(
        " Job Runs Failed / finished p95 run In all shop.slow 16 2 / 11 (18%) 0.62 s 1 h 8 min "
        "shop.quick 3 0 / 3 (0%)"
    )


@pytest.mark.parametrize(("name", "span"), RANGES.items())
def test_every_span_is_drawn_with_a_bounded_number_of_points(admin_client, name, span):
    for ago in range(0, min(span.length, 3000), span.step):
        TallyFactory(ago=ago, span=span.grain)
    count = len(titles(page(admin_client, range=name), "throughput"))
    assert 1 < count <= min(span.length // span.step, 120)


def test_an_unknown_span_is_the_usual_one(admin_client):
    day()
    assert '<a href="/admin/jobs/history/?range=4h" aria-current="page">4 h</a>' in page(
        admin_client, range="9w"
    )


def test_long_spans_read_the_figures_of_hours_and_no_others(admin_client):
    TallyFactory(ago=90, succeeded=7)
    TallyFactory(ago=90, succeeded=9, span=60)
    assert "9 jobs finished" in text(admin_client, range="7d")
    assert "7 jobs finished" in text(admin_client, range="24h")


def test_one_queue_or_one_job_can_be_looked_at(admin_client):
    day()
    assert "12 jobs finished, 2 of them" in text(admin_client, queue="mail")
    assert "46 jobs finished, 1 of them" in text(admin_client, job="tests.jobs.add")
    content = page(admin_client, queue="mail")
    assert "<option selected>mail</option>" in content
    assert "<option>default</option>" in content
    assert "?range=4h&amp;queue=mail&amp;job=shop.send" in content
    assert "tests.jobs.add</a>" not in content


def test_what_is_chosen_stays_chosen_though_nothing_of_it_ran(admin_client):
    said = text(admin_client, queue="gone")
    assert "<option selected>gone</option>" in page(admin_client, queue="gone")
    assert "Nothing in this time." in said
    assert "Nothing has ended in this time." in said


def test_versions_are_marked_where_they_were_first_seen(admin_client):
    day()
    Release.objects.create(version="1.3", seen_at=NOON - timedelta(minutes=60))
    Release.objects.create(version="1.2", seen_at=NOON - timedelta(hours=9))
    content = page(admin_client)
    assert "11:00 version 1.3" in titles(content, "throughput")
    assert 'd="M350.0 0V100"' in content
    assert "1.2" not in titles(content, "throughput")


def test_numbers_of_the_drawing_are_numbers_in_any_language(admin_client, settings):
    settings.LANGUAGE_CODE = "de"
    settings.USE_THOUSAND_SEPARATOR = True
    TallyFactory(succeeded=1234, failed=321)
    content = page(admin_client)
    drawn = re.findall(r'<svg class="jobs-drawing".*?</svg>', content, re.DOTALL)
    shapes = re.findall(r'\s(?:y|height|x|viewBox)="([^"]+)"', "".join(drawn))
    assert shapes
    assert all(re.fullmatch(r"[\d. ]+", shape) for shape in shapes)
    assert "1.555" in content


def test_the_figures_can_be_taken_away_as_a_table(admin_client):
    day()
    response = admin_client.get(FIGURES, {"range": "4h", "queue": "mail"})
    assert response["Content-Type"].startswith("text/csv")
    assert response["Content-Disposition"] == 'attachment; filename="jobs-4h.csv"'
    rows = list(csv.DictReader(response.content.decode().splitlines()))
    assert len(rows) == 48
    [row] = [row for row in rows if row["succeeded"] != "0"]
    assert row["begin"] == "2030-01-15T11:50:00+00:00"
    assert (row["succeeded"], row["failed"], row["retried"]) == ("10", "2", "3")
    assert (row["failure_rate"], row["run_p95"]) == ("0.1667", "0.624")
    assert rows[0]["failure_rate"] == ""


@pytest.mark.parametrize("size", [1, 60])
def test_three_queries_answer_however_much_there_is(admin_client, django_assert_num_queries, size):
    for number in range(size):
        TallyFactory(ago=number, name=f"shop.job{number}", queue=f"q{number}")
        Release.objects.create(version=str(number), seen_at=NOON - timedelta(minutes=number))
    with django_assert_num_queries(QUERIES + DJANGOS_QUERIES):
        page(admin_client)
    with django_assert_num_queries(1 + DJANGOS_QUERIES):
        admin_client.get(FIGURES)


def test_short_spans_keep_fresh_once_a_minute_and_long_ones_do_not(admin_client):
    content = page(admin_client, queue="mail")
    assert f'hx-get="{LIVE}?range=4h&amp;queue=mail"' in content
    assert 'data-interval="60"' in content
    assert "hx-get" not in page(admin_client, range="24h")


def test_the_charts_come_anew(admin_client):
    day()
    content = admin_client.get(LIVE, {"range": "1h"}, headers=HTMX).content.decode()
    found = re.findall(r'id="(jobs-[\w-]+)" hx-swap-oob="true"', content)
    assert found == [
        f"jobs-{name}" for name in ("updated", "throughput", "wait", "run", "rate", "worst")
    ]
    assert "52 jobs finished" in words(content)


def test_who_was_logged_out_comes_back_to_what_was_looked_at(client):
    response = client.get(LIVE, {"range": "1h", "queue": "mail"}, headers=HTMX)
    assert response.status_code == 204
    assert (
        "next=%2Fadmin%2Fjobs%2Fhistory%2F%3Frange%3D1h%26queue%3Dmail" in response["HX-Redirect"]
    )


def test_it_is_for_those_who_may_see_jobs(client, staff):
    assert client.get(HISTORY)["Location"].startswith("/admin/login/")
    assert client.get(FIGURES)["Location"].startswith("/admin/login/")
    allowed = staff("view_queue")
    for address in (HISTORY, LIVE, FIGURES):
        assert allowed.get(address).status_code == 403
        assert allowed.post(address).status_code in {403, 405}


def test_who_may_see_jobs_sees_it(staff):
    assert "Finished per" in text(staff("view_job"))


def test_hostile_names_are_never_markup(admin_client):
    TallyFactory(name=HOSTILE, queue=HOSTILE[:20])
    Release.objects.create(version=HOSTILE, seen_at=NOON)
    content = page(admin_client, queue=HOSTILE[:20], job=HOSTILE)
    assert "<script>alert" not in content
    assert content.count("&lt;script&gt;") > 5


def test_nothing_on_it_needs_an_exception_from_a_strict_policy(admin_client):
    day()
    content = page(admin_client).partition('<div id="content-main"')[2]
    assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:|<script", content)


def test_the_dashboard_leads_there_and_shows_the_last_hours(admin_client):
    WorkerFactory()
    QueueFactory()
    TallyFactory(ago=7, succeeded=300)
    content = raw(admin_client)
    assert content.count(f'href="{reverse("admin:django_jobs_history")}"') == 3
    assert titles(content, "recent") == ["11:50–11:55: succeeded 300, failed 0"]
    said = shown(admin_client)
    assert "Last 4 h, finished per 5 min" in said
    assert "All clear for 5 min 1 worker alive · 0 jobs running · 20 jobs/min · p95 0.62 s" in said


def test_the_dashboard_marks_the_deploys_of_its_hours(admin_client):
    QueueFactory()
    TallyFactory(ago=7)
    for version, minutes in (("1.2", 300), ("1.3", 96), ("1.4", 31)):
        Release.objects.create(version=version, seen_at=NOON - timedelta(minutes=minutes))
    assert titles(raw(admin_client), "recent")[1:] == ["10:24 version 1.3", "11:29 version 1.4"]
    assert "¦ 10:24 version 1.3 · 11:29 version 1.4" in shown(admin_client)


def test_the_dashboard_without_figures_draws_nothing(admin_client):
    QueueFactory()
    assert "Last 4 h, finished per 5 min History Nothing in this time." in shown(admin_client)
    assert "jobs-drawing" not in raw(admin_client)
