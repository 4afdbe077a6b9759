"""Webhooks end to end: jobs that call this project's own partners, and the page about it."""

from datetime import timedelta

import pytest
from django.urls import reverse
from pytest_django.live_server_helper import LiveServer

from django_jobs.models import Job, JobRun
from django_jobs.testing import run_jobs
from example_project.shop import jobs
from example_project.shop.demo import seed
from example_project.shop.models import Delivery, Partner, Receipt
from example_project.shop.webhooks import deliveries

pytestmark = pytest.mark.urls("example_project.urls")
HTMX = {"headers": {"HX-Request": "true"}}


@pytest.fixture(scope="module")
def web_server(django_db_setup):
    """A real web server that is gone after these tests: others fork, and that wants one thread."""
    server = LiveServer("localhost")
    yield server
    server.stop()


@pytest.fixture
def partners(web_server, transactional_db, settings):
    """The demo's partners, on a real web server; the courier is switched off."""
    settings.BASE_URL = web_server.url
    seed.fill()
    return {partner.slug: partner for partner in Partner.objects.all()}


def run_until_nothing_moves(frozen_clock):
    """Run the jobs with all their retries."""
    while run_jobs() or Job.objects.filter(state="SCHEDULED").exists():
        frozen_clock.advance(timedelta(minutes=2))


def job_of(slug):
    return Job.objects.get(pk=Delivery.objects.get(partner__slug=slug).job_id)


def page(client, **headers):
    return client.get(reverse("shop:webhooks"), **headers).content.decode()


def test_every_partner_is_told_by_a_job_of_its_own(partners, frozen_clock):
    deliveries.send_test_event()
    run_until_nothing_moves(frozen_clock)
    states = {slug: (job_of(slug).state, job_of(slug).attempt) for slug in partners}
    assert states == {
        "warehouse": ("SUCCESSFUL", 1),
        "bookkeeper": ("SUCCESSFUL", 3),
        "courier": ("FAILED", 4),
        "old-newspaper": ("FAILED", 1),
    }


def test_the_outcome_is_recorded_with_the_delivery(partners, frozen_clock):
    deliveries.send_test_event()
    run_until_nothing_moves(frozen_clock)
    bookkeeper = Delivery.objects.get(partner__slug="bookkeeper")
    assert (bookkeeper.attempt, bookkeeper.answer) == (3, "200 OK: taken")
    assert bookkeeper.delivered_at
    courier = Delivery.objects.get(partner__slug="courier")
    assert courier.answer == "503 Service Unavailable: Courier is switched off"
    assert courier.delivered_at is None
    newspaper = Delivery.objects.get(partner__slug="old-newspaper")
    assert newspaper.answer == "410 Gone: Old newspaper has moved away"


def test_the_waits_between_the_attempts_grow(partners, frozen_clock):
    deliveries.send_test_event()
    for least in (2, 4, 8):
        run_jobs()
        wait = job_of("courier").run_at - frozen_clock.now()
        assert timedelta(seconds=least) <= wait <= 1.2 * timedelta(seconds=least)
        frozen_clock.advance(wait)


def test_after_the_partner_is_switched_on_a_retry_from_the_page_succeeds(
    client, partners, frozen_clock
):
    deliveries.send_test_event()
    run_until_nothing_moves(frozen_clock)
    delivery = Delivery.objects.get(partner__slug="courier")
    client.post(reverse("shop:switch", args=[partners["courier"].pk]), {"to": "on"})
    response = client.post(reverse("shop:retry", args=[delivery.pk]))
    assert response.headers["Location"] == reverse("shop:webhooks")
    run_jobs()
    assert job_of("courier").state == "SUCCESSFUL"
    assert JobRun.objects.filter(job_id=delivery.job_id).count() == 5
    delivery.refresh_from_db()
    assert delivery.delivered_at


def test_what_was_delivered_is_not_sent_again_by_a_job_that_runs_twice(partners):
    deliveries.send_test_event()
    run_jobs()
    delivery = Delivery.objects.get(partner__slug="warehouse")
    assert jobs.deliver(delivery.pk) == "was delivered before"
    assert Receipt.objects.get(key=delivery.key).calls == 1


def test_a_partner_who_took_it_knows_it_again_when_our_record_was_lost(partners):
    deliveries.send_test_event()
    run_jobs()
    delivery = Delivery.objects.get(partner__slug="warehouse")
    taken_at = Receipt.objects.get(key=delivery.key).taken_at
    Delivery.objects.filter(pk=delivery.pk).update(delivered_at=None)
    assert jobs.deliver(delivery.pk) == "200 OK: taken before"
    receipt = Receipt.objects.get(key=delivery.key)
    assert (receipt.calls, receipt.taken_at) == (2, taken_at)


def test_a_server_that_is_down_is_tried_again(partners, settings):
    settings.BASE_URL = "http://127.0.0.1:9"
    deliveries.send_test_event()
    run_jobs()
    assert job_of("warehouse").state == "SCHEDULED"
    assert "no answer" in Delivery.objects.get(partner__slug="warehouse").answer


def test_a_delivery_that_was_deleted_is_not_tried_again(partners):
    deliveries.send_test_event()
    Delivery.objects.all().delete()
    run_jobs()
    assert set(Job.objects.values_list("state", "attempt")) == {("FAILED", 1)}


def test_the_button_writes_deliveries_and_jobs_and_calls_nobody(client, db):
    seed.fill()
    client.post(reverse("shop:send"))
    assert Delivery.objects.count() == Job.objects.count() == 4
    assert set(Job.objects.values_list("pk", flat=True)) == set(
        Delivery.objects.values_list("job_id", flat=True)
    )
    assert not Receipt.objects.exists()


def test_without_partners_the_page_says_how_to_get_some(client, db):
    client.post(reverse("shop:send"))
    assert page(client).count("manage.py demo") == 2


def test_the_page_shows_attempts_answers_and_the_next_try(client, partners, frozen_clock):
    deliveries.send_test_event()
    run_jobs()
    shown = page(client, **HTMX)
    assert "attempt 1 of 4" in shown
    assert "next try in" in shown
    assert "503 Service Unavailable: busy, call 1 of this delivery" in shown
    assert "hx-trigger" in shown
    run_until_nothing_moves(frozen_clock)
    shown = page(client, **HTMX)
    assert shown.count("delivered") == 2
    assert shown.count(">failed<") == 2
    assert shown.count("Retry</button>") == 2
    assert "hx-trigger" not in shown


def test_without_javascript_the_page_reloads_by_itself_while_something_moves(client, db):
    seed.fill()
    assert "http-equiv" not in page(client)
    deliveries.send_test_event()
    assert '<meta http-equiv="refresh"' in page(client)


def test_what_was_delivered_stays_so_when_its_job_was_pruned(client, partners):
    deliveries.send_test_event()
    run_jobs()
    Job.objects.all().delete()
    shown = page(client)
    assert ">delivered<" in shown
    assert ">gone<" in shown


def test_a_hostile_answer_is_shown_as_text(client, db):
    seed.fill()
    deliveries.send_test_event()
    Delivery.objects.update(answer="503: <script>alert(1)</script>")
    assert "<script>alert" not in page(client)
    assert "&lt;script&gt;alert" in page(client)


def test_a_retry_that_is_not_possible_is_refused_in_words(client, db):
    seed.fill()
    delivery = deliveries.send_test_event()[0]
    response = client.post(reverse("shop:retry", args=[delivery.pk]), follow=True)
    assert "Not retried: it is ready; only a finished job" in response.content.decode()


def test_the_number_of_queries_does_not_grow_with_the_deliveries(
    client, db, django_assert_max_num_queries
):
    seed.fill()
    for _ in range(4):
        deliveries.send_test_event()
    with django_assert_max_num_queries(5):
        assert page(client).count(">ready<") == 16


@pytest.mark.parametrize("name", ["send", "retry", "switch", "hook"])
def test_only_a_post_changes_anything(client, db, name):
    args = {"retry": [1], "switch": [1], "hook": ["courier"]}.get(name, [])
    assert client.get(reverse(f"shop:{name}", args=args)).status_code == 405


@pytest.mark.parametrize("key", ["", "x" * 51])
def test_a_partner_wants_a_key_of_decent_length(client, db, key):
    seed.fill()
    answer = client.post(reverse("shop:hook", args=["warehouse"]), headers={"Idempotency-Key": key})
    assert answer.status_code == 400
    assert not Receipt.objects.exists()


def test_only_a_partner_with_a_switch_can_be_switched(client, db):
    seed.fill()
    steady = Partner.objects.get(slug="warehouse")
    url = reverse("shop:switch", args=[steady.pk])
    assert client.post(url, {"to": "off"}).status_code == 404


def test_what_cannot_be_there_is_not_found(client, db):
    assert client.post(reverse("shop:retry", args=[1])).status_code == 404
    key = {"Idempotency-Key": "1"}
    assert client.post(reverse("shop:hook", args=["nobody"]), headers=key).status_code == 404
