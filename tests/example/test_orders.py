"""Orders: placed, paid or not, followed to their end by one job each, however long that takes."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.urls import reverse

from django_jobs import State, jobs_about
from django_jobs.models import Event, Job, JobRun, JobStep
from django_jobs.testing import run_jobs
from example_project.shop.models import Customer, Order
from example_project.shop.orders import moves
from tests.conftest import NOON

pytestmark = [pytest.mark.urls("example_project.urls"), pytest.mark.usefixtures("clocks")]

DAY = timedelta(days=1)
HTMX = {"headers": {"HX-Request": "true"}}


@pytest.fixture
def order(shop):
    """An order of Ada's."""
    return moves.place(Customer.objects.get(email="ada@example.com"))


def status_of(order):
    order.refresh_from_db()
    return order.status


def result():
    return JobRun.objects.filter(outcome="successful").get().result


def subjects(provider):
    return [mail.subject for mail in provider]


REMINDER = "Your order waits for its payment"
THANKS = "Your order is on its way"


# What becomes of an order


def test_an_order_has_its_event_and_its_job_in_one_transaction(shop):
    with transaction.atomic():
        order = moves.place()
        assert Event.objects.get().name == "order/placed"
        assert Job.objects.get().args[0]["data"] == {
            "model": "shop.order",
            "pk": order.pk,
            "created": True,
            "changed": {},
            "customer": order.customer_id,
            "what": order.what,
            "cents": order.cents,
        }
        transaction.set_rollback(True)
    assert not Event.objects.exists()
    assert not Job.objects.exists()


def test_the_job_that_follows_an_order_is_about_it(order):
    [job] = jobs_about(order)
    assert job.short_name == "follow_order"


def test_the_page_of_an_order_in_the_admin_shows_its_job(admin_client, order):
    address = reverse("admin:shop_order_change", args=[order.pk])
    shown = admin_client.get(address).content.decode().partition('id="jobs-panel"')[2]
    assert f"follow_order #{Job.objects.get().pk}" in shown


def test_an_order_that_waits_holds_nothing(order, provider):
    run_jobs(raise_errors=True)
    job = Job.objects.get()
    assert (job.state, job.claim_id, job.run_at) == (State.WAITING, None, NOON + DAY)
    order.refresh_from_db()
    assert (order.status, order.job_id) == ("placed", job.pk)
    assert not provider


def test_an_order_that_is_paid_is_shipped_with_thanks(order, provider, clocks):
    run_jobs(raise_errors=True)
    clocks.advance(DAY / 2)
    assert moves.pay(order.pk)
    run_jobs(raise_errors=True)
    assert status_of(order) == "shipped"
    assert (order.paid_at, order.reminded_at) == (NOON + DAY / 2, None)
    assert result() == "paid, shipped"
    (mail,) = provider
    assert (mail.subject, mail.to) == (THANKS, ["Ada Test <ada@example.com>"])
    assert order.price in mail.body


def test_an_order_that_is_paid_before_a_worker_looks_is_shipped(order, provider, clocks):
    assert moves.pay(order.pk)
    clocks.advance(timedelta(hours=3))
    run_jobs(raise_errors=True)
    assert status_of(order) == "shipped"
    assert subjects(provider) == [THANKS]


def test_an_order_that_is_not_paid_is_reminded_of_once_and_given_up(order, provider, clocks):
    run_jobs(raise_errors=True)
    clocks.advance(DAY - timedelta(seconds=1))
    run_jobs(raise_errors=True)
    assert not provider
    run_jobs(now=NOON + DAY, raise_errors=True)
    assert subjects(provider) == [REMINDER]
    assert status_of(order) == "placed"
    run_jobs(now=NOON + 2 * DAY - timedelta(seconds=1), raise_errors=True)
    assert status_of(order) == "placed"
    run_jobs(now=NOON + 2 * DAY, raise_errors=True)
    assert status_of(order) == "given up"
    assert subjects(provider) == [REMINDER]
    assert result() == "given up, not paid in time"
    assert not moves.pay(order.pk)


def test_an_order_that_is_paid_after_the_reminder_is_shipped(order, provider, clocks):
    run_jobs(raise_errors=True)
    clocks.advance(DAY)
    run_jobs(raise_errors=True)
    clocks.advance(DAY / 2)
    moves.pay(order.pk)
    run_jobs(raise_errors=True)
    assert status_of(order) == "shipped"
    assert subjects(provider) == [REMINDER, THANKS]


def test_a_payment_that_comes_when_the_time_is_just_over_counts(
    order, provider, clocks, monkeypatch
):
    """The wait is over, the job not yet at the end."""
    give_up = moves.give_up

    def pay_first(pk):
        moves.pay(pk)
        return give_up(pk)

    run_jobs(raise_errors=True)
    clocks.advance(DAY)
    run_jobs(raise_errors=True)
    clocks.advance(DAY)
    monkeypatch.setattr(moves, "give_up", pay_first)
    run_jobs(raise_errors=True)
    assert status_of(order) == "shipped"
    assert subjects(provider) == [REMINDER, THANKS]


def test_a_payment_between_the_two_waits_counts(order, provider, clocks, monkeypatch):
    from example_project.shop.orders import letters

    remind = letters.remind

    def remind_late(pk):
        sent = remind(pk)
        moves.pay(pk)
        return sent

    run_jobs(raise_errors=True)
    clocks.advance(DAY)
    monkeypatch.setattr(letters, "remind", remind_late)
    run_jobs(raise_errors=True)
    assert status_of(order) == "shipped"


def test_an_order_that_its_customer_cancels_is_left_alone(order, provider, clocks):
    run_jobs(raise_errors=True)
    assert moves.cancel(order.pk)
    run_jobs(raise_errors=True)
    assert Job.objects.get().state == State.CANCELLED
    clocks.advance(3 * DAY)
    assert run_jobs() == []
    assert status_of(order) == "cancelled"
    assert not provider


def test_an_order_that_is_cancelled_before_a_worker_looks_is_left_alone(order, provider):
    assert moves.cancel(order.pk)
    run_jobs()
    assert status_of(order) == "cancelled"
    assert not provider


def test_one_order_knows_nothing_of_another(shop, provider):
    paid, waiting, cancelled = (moves.place() for _ in range(3))
    run_jobs(raise_errors=True)
    moves.pay(paid.pk)
    moves.cancel(cancelled.pk)
    run_jobs(raise_errors=True)
    assert [status_of(each) for each in (paid, waiting, cancelled)] == [
        "shipped",
        "placed",
        "cancelled",
    ]
    assert Job.objects.get(pk=waiting.job_id).state == State.WAITING


def test_a_busy_mailbox_is_tried_again_and_the_order_shipped_once(
    order, provider, answer_with, busy, clocks
):
    answer_with("ada@example.com", busy)
    moves.pay(order.pk)
    run_jobs()
    shipped = JobStep.objects.get(key="ship").finished_at
    assert status_of(order) == "shipped"
    answer_with("ada@example.com", None)
    provider.clear()
    clocks.advance(timedelta(seconds=10))
    run_jobs(raise_errors=True)
    assert subjects(provider) == [THANKS]
    assert JobStep.objects.get(key="ship").finished_at == shipped
    assert (status_of(order), order.ended_at) == ("shipped", NOON)


def test_only_an_order_that_waits_can_be_paid_or_cancelled(order):
    assert moves.pay(order.pk)
    assert not moves.pay(order.pk)
    assert not moves.cancel(order.pk)
    assert not moves.pay(4711)
    assert list(Event.objects.order_by("pk").values_list("name", flat=True)) == [
        "order/placed",
        "order/paid",
    ]


# The page


def page(client, **options):
    return client.get(reverse("shop:orders"), **options).content.decode()


def test_the_page_places_pays_and_cancels(client, shop, provider):
    assert "None yet" in page(client)
    for _ in range(2):
        assert client.post(reverse("shop:place-order")).status_code == 302
    second, first = Order.objects.all()
    assert page(client).count("waiting for a worker") == 2
    run_jobs(raise_errors=True)
    client.post(reverse("shop:pay-order", args=[first.pk]))
    client.post(reverse("shop:cancel-order", args=[second.pk]))
    run_jobs(raise_errors=True)
    shown = page(client)
    assert "shipped</span>" in shown
    assert "cancelled by the customer</span>" in shown
    assert "hx-get" not in shown
    assert 'id="pay-' not in shown
    assert subjects(provider) == [THANKS]


def test_the_page_says_what_comes_next(client, order, provider, clocks):
    run_jobs(raise_errors=True)
    assert "reminder in 1\xa0day" in page(client)
    clocks.advance(DAY - timedelta(seconds=7))
    assert "reminder in 7\xa0s" in page(client)
    clocks.advance(timedelta(seconds=7))
    run_jobs(raise_errors=True)
    shown = page(client)
    assert "given up in 1\xa0day" in shown
    assert "reminded 12:00:00 UTC" in shown
    assert "waits 1\xa0day\n" in shown


def test_htmx_gets_only_the_orders_while_something_may_happen(client, order):
    shown = page(client, **HTMX)
    assert "<h1>" not in shown
    assert f'hx-get="{reverse("shop:orders")}"' in shown
    assert "csrfmiddlewaretoken" in shown


def test_who_comes_too_late_is_told(client, order):
    moves.cancel(order.pk)
    response = client.post(reverse("shop:pay-order", args=[order.pk]), follow=True)
    said = f"Not paid: Order #{order.pk} is cancelled by the customer."
    assert said in response.content.decode()
    response = client.post(reverse("shop:cancel-order", args=[order.pk]), follow=True)
    assert "Not cancelled: " in response.content.decode()
    assert client.post(reverse("shop:pay-order", args=[4711])).status_code == 404


def test_without_customers_nobody_orders(client, db):
    response = client.post(reverse("shop:place-order"), follow=True)
    assert "There is no customer to order" in response.content.decode()
    assert not Order.objects.exists()


def test_only_a_post_changes_anything(client, order):
    for url in ("place-order", "pay-order", "cancel-order"):
        arguments = [] if url == "place-order" else [order.pk]
        assert client.get(reverse(f"shop:{url}", args=arguments)).status_code == 405
    assert status_of(order) == "placed"


def test_what_went_wrong_is_shown(client, order, answer_with, busy):
    answer_with("ada@example.com", busy)
    moves.pay(order.pk)
    run_jobs()
    assert "451 mailbox is busy" in page(client)


def test_names_are_shown_as_they_are(client, shop):
    customer = Customer.objects.create(name="<b>Eve", email="eve@example.com")
    moves.place(customer)
    assert "&lt;b&gt;Eve" in page(client)


def test_the_number_of_queries_does_not_depend_on_the_orders(
    client, shop, django_assert_num_queries
):
    for _ in range(5):
        moves.place()
    run_jobs()
    with django_assert_num_queries(4):
        page(client)


def test_the_admin_places_and_pays_orders_too(client, shop, provider):
    boss = get_user_model().objects.create_superuser("boss", "boss@example.com", "secret")
    client.force_login(boss)
    ada = Customer.objects.get(email="ada@example.com")
    form = {"customer": ada.pk, "what": "Tea", "cents": 300, "status": "placed"}
    assert client.post(reverse("admin:shop_order_add"), form).status_code == 302
    order = Order.objects.get()
    run_jobs(raise_errors=True)
    change = reverse("admin:shop_order_change", args=[order.pk])
    assert client.post(change, {**form, "status": "paid"}).status_code == 302
    run_jobs(raise_errors=True)
    assert status_of(order) == "shipped"
    assert subjects(provider) == [THANKS]
    assert client.get(reverse("admin:shop_order_changelist")).status_code == 200
