"""Who and what enqueued a job: what a request tells, and what nobody can make it tell."""

import gc
import uuid
import weakref
from types import SimpleNamespace

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, RequestFactory
from django.urls import path, resolve
from django.utils.functional import SimpleLazyObject

from django_jobs import Batch, Flow, JobContext, job
from django_jobs.models import Job
from django_jobs.origins import LONGEST, Origin, by_hand, of_request, spoken
from django_jobs.testing import run_jobs
from tests import jobs

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


def checkout(request, _number=0):
    jobs.nothing.using(request=request).enqueue()
    return HttpResponse()


async def acheckout(request):
    if "load" in request.GET:
        await request.auser()
    if "look" in request.GET:
        await sync_to_async(bool)(request.user)
    await jobs.nothing.using(request=request).aenqueue()
    return HttpResponse()


async def acheckout_in_a_thread(request):
    await sync_to_async(lambda: jobs.nothing.using(request=request).enqueue())()
    return HttpResponse()


urlpatterns = [
    path("checkout/<int:_number>/", checkout, name="checkout"),
    path("nameless/", checkout),
    path("acheckout/", acheckout, name="acheckout"),
    path("athread/", acheckout_in_a_thread, name="athread"),
]


@pytest.fixture
def ana():
    return get_user_model().objects.create_user("ana")


def origins():
    return list(Job.objects.order_by("id").values_list("enqueued_by", flat=True))


def request_to(where="/checkout/17/", user=None, **headers):
    request = RequestFactory().post(where, headers=headers)
    if user is not None:
        request.user = user
    return request


def named(username):
    return SimpleNamespace(is_authenticated=True, get_username=lambda: username)


def test_a_job_says_in_which_view_and_request_and_for_which_user_it_was_enqueued(client, ana):
    client.force_login(ana)
    client.post("/checkout/17/?token=s3cret", headers={"X-Request-ID": "7f3a"})
    assert origins() == ["view=checkout request=7f3a user=ana"]


def test_what_is_not_known_is_left_out(client):
    client.post("/checkout/17/")
    client.post("/nameless/")
    jobs.nothing.enqueue()
    assert origins() == ["view=checkout", "view=tests.test_origins.checkout", None]


def test_without_a_view_the_method_and_the_path_are_named_without_the_query():
    text = of_request(request_to("/caf\u00e9 7/?token=s3cret", AnonymousUser()))
    assert text == "view=POST /caf%C3%A9%207/"


def test_a_bare_request_says_nothing():
    assert of_request(HttpRequest()) is None


def test_the_attribute_id_of_a_request_goes_before_its_header():
    request, number = request_to(**{"X-Request-ID": "theirs"}), uuid.uuid4()
    request.resolver_match = resolve("/checkout/17/")
    request.id = number
    assert of_request(request) == f"view=checkout request={number}"
    request.id = 0
    assert of_request(request) == "view=checkout request=0"
    request.id = object()
    assert of_request(request) == "view=checkout request=theirs"


@pytest.mark.parametrize(
    "value", ["POST /pay/", 7, object(), HttpRequest, SimpleNamespace()], ids=str
)
def test_what_is_no_request_is_refused(value):
    with pytest.raises(TypeError, match="nothing: request takes the HttpRequest of a view, got "):
        jobs.nothing.using(request=value)


def test_a_request_that_wraps_djangos_is_one():
    request = request_to(user=named("ana"))
    jobs.nothing.using(request=SimpleNamespace(_request=request)).enqueue()
    assert origins() == ["view=POST /checkout/17/ user=ana"]


def test_no_request_means_no_origin():
    copy = jobs.nothing.using(request=request_to())
    copy.using(request=None).enqueue()
    copy.using(priority=3).enqueue()
    assert origins() == [None, "view=POST /checkout/17/"]


def test_nothing_keeps_the_request():
    request = request_to(user=named("ana"))
    gone, copy = weakref.ref(request), jobs.nothing.using(request=request)
    del request
    gc.collect()
    assert gone() is None
    assert copy.enqueued_by == "view=POST /checkout/17/ user=ana"


def test_each_of_many_jobs_says_it():
    add = jobs.add.using(request=request_to(user=named("ana")))
    add.enqueue_many([(1,), (2,)])
    with Batch("all") as batch:
        batch.enqueue(add, 3)
        batch.enqueue(jobs.add, 4)
    assert origins() == ["view=POST /checkout/17/ user=ana"] * 3 + [None]


def test_children_and_what_a_job_enqueues_do_not_inherit_it():
    @job(name="tests.origins.parent")
    def parent(context: JobContext) -> None:
        context.step.invoke("child", jobs.nothing)
        jobs.nothing.enqueue()

    with Flow(parent.using(request=request_to())) as flow:
        flow.enqueue(jobs.nothing)
    run_jobs()
    texts = dict(Job.objects.values_list("name", "enqueued_by").filter(enqueued_by__isnull=False))
    assert texts == {"tests.origins.parent": "view=POST /checkout/17/"}
    assert Job.objects.count() == 4


@pytest.mark.parametrize(
    ("where", "user"),
    [
        ("/acheckout/", ""),
        ("/acheckout/?load=1", " user=ana"),
        ("/acheckout/?look=1", " user=ana"),
        ("/athread/", " user=ana"),
    ],
    ids=["not loaded", "by auser()", "by somebody before", "in a thread"],
)
def test_in_an_async_view_a_user_is_named_that_is_loaded(ana, where, user):
    async def visit():
        client = AsyncClient()
        await client.aforce_login(ana)
        return await client.post(where)

    assert async_to_sync(visit)().status_code == 200
    assert origins() == [f"view={where.strip('/').partition('/')[0]}{user}"]


def test_in_an_event_loop_a_lazy_user_is_left_alone():
    loads = []
    request = request_to(user=SimpleLazyObject(lambda: loads.append(1) or named("ana")))

    async def enqueue():
        await jobs.nothing.using(request=request).aenqueue()

    async_to_sync(enqueue)()
    assert (origins(), loads) == (["view=POST /checkout/17/"], [])
    jobs.nothing.using(request=request).enqueue()
    assert (origins()[1], loads) == ("view=POST /checkout/17/ user=ana", [1])


@pytest.mark.parametrize(
    "user",
    [AnonymousUser(), None, SimpleNamespace(), SimpleNamespace(is_authenticated=True)],
    ids=["anonymous", "none", "unlike a user", "without a name"],
)
def test_who_has_no_username_is_not_named(user):
    assert of_request(request_to(user=user)) == "view=POST /checkout/17/"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("7\x00f", "7\N{REPLACEMENT CHARACTER}f"),
        ("7f user=admin", "7f_user=admin"),
        ("7f\r\n\t user=admin", "7f_user=admin"),
        ("\x1b[31m7\u202ef", "\N{REPLACEMENT CHARACTER}[31m7\N{REPLACEMENT CHARACTER}f"),
        ("\ud8007", "?7"),
        ("x" * 1000, "x" * 63 + "…"),
        ("<script>", "<script>"),
    ],
    ids=["NUL", "a second user", "lines", "terminal", "surrogate", "long", "markup"],
)
def test_a_hostile_id_stays_one_short_word(given, kept):
    request = request_to(user=named("ana"))
    request.id = given
    jobs.nothing.using(request=request).enqueue()
    (text,) = origins()
    assert Origin.read(text) == Origin("POST /checkout/17/", kept, "ana")


def test_the_longest_origin_fits():
    request = request_to("/" + "p" * 500, named("\u00e4" * 500), **{"X-Request-ID": "i" * 500})
    text = of_request(request)
    jobs.nothing.using(request=request).enqueue()
    assert LONGEST - 5 < len(text) <= LONGEST
    assert origins() == [text]
    assert len(by_hand("x" * 500)) == LONGEST


def test_an_origin_is_read_as_it_was_written():
    whole = Origin("GET /a=b/", "7f3a", "Ana B user=x request=9")
    for origin in (whole, whole._replace(view=""), whole._replace(request=""), Origin(user="ana")):
        assert Origin.read(str(origin)) == origin


def test_an_origin_is_spoken_in_words():
    assert spoken("view=shop:pay request=7f user=ana b") == "shop:pay, request 7f, user ana b"
    assert spoken("user=ana") == "user ana"
    assert spoken("manage.py jobs") == "manage.py jobs"
    assert by_hand("") is None
