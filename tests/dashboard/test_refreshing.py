import copy
import re
from pathlib import Path

import pytest
from django.core.cache import cache
from django.core.cache.backends.base import BaseCache

import django_jobs
from django_jobs.admin import refreshing
from django_jobs.models import Queue
from tests.conftest import NOON
from tests.dashboard.pages import PAGE, failing, press, raw, trouble
from tests.factories import JobFactory, QueueFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

LIVE = "/admin/jobs/live/"
HTMX = {"hx-request": "true"}
SCRIPT = Path(django_jobs.__file__).parent / "static" / "django_jobs" / "jobs.js"


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()
    yield
    cache.clear()


def live(client, **data):
    return client.get(LIVE, data, headers=HTMX)


def regions(text):
    return re.findall(r'<(?:section|span)[^>]*? id="(jobs-[\w-]+)" hx-swap-oob="true"', text)


def test_the_regions_come_anew_to_be_put_into_the_page(admin_client):
    trouble()
    page = raw(admin_client)
    found = regions(live(admin_client).content.decode())
    assert found == [
        f"jobs-{name}"
        for name in (
            *("updated", "verdict", "counts", "groups"),
            *("recent", "queues", "workers", "newest", "schedules"),
        )
    ]
    assert all(f'id="{name}"' in page for name in found)
    assert "hx-swap-oob" not in page


def test_only_regions_that_the_user_may_see_come(staff):
    trouble()
    found = regions(live(staff("view_job")).content.decode())
    seen = ("updated", "verdict", "counts", "groups", "recent", "newest")
    assert found == [f"jobs-{name}" for name in seen]


def test_buttons_that_come_anew_work(admin_client):
    trouble()
    page = live(admin_client).content.decode()
    assert 'name="csrfmiddlewaretoken"' in page
    assert 'action="/admin/jobs/do/resume/"' in page


def test_many_who_look_cost_one_overview(admin_client, django_assert_num_queries):
    trouble()
    with django_assert_num_queries(7 + 2):
        live(admin_client)
    with django_assert_num_queries(2):
        live(admin_client)


def test_what_was_just_done_is_seen_at_once(admin_client):
    WorkerFactory()
    QueueFactory(name="mail", paused=True)
    JobFactory(queue="mail", run_at=NOON)
    assert "was paused by ana" in live(admin_client).content.decode()
    press(admin_client, "resume", queue="mail")
    assert "was paused by ana" not in live(admin_client).content.decode()


def test_who_was_logged_out_is_sent_to_the_login_with_the_whole_page(client):
    response = live(client)
    assert (response.status_code, response.content) == (204, b"")
    assert response["HX-Redirect"] == "/admin/login/?next=%2Fadmin%2Fjobs%2F"


def test_who_may_not_see_jobs_any_more_is_refused(staff):
    assert live(staff("view_queue")).status_code == 403


def test_the_page_of_a_new_project_is_loaded_anew_when_something_happens(admin_client):
    assert f'hx-get="{LIVE}?new=1"' in raw(admin_client)
    assert live(admin_client, new=1).status_code == 200
    cache.clear()
    failing(1)
    assert live(admin_client, new=1)["HX-Refresh"] == "true"
    assert f'hx-get="{LIVE}"' in raw(admin_client)


def test_answers_are_not_kept_by_browsers(admin_client):
    assert "no-store" in live(admin_client)["Cache-Control"]
    assert admin_client.post(LIVE).status_code == 405


def test_refreshing_can_be_switched_off(admin_client, settings):
    settings.DJANGO_JOBS = {"ADMIN_REFRESH": 0}
    page = raw(admin_client)
    assert "jobs.js" not in page
    assert "htmx" not in page
    assert '<a href="" class="jobs-again">Refresh</a>' in page


@pytest.mark.parametrize("lacking", ["app", "file"])
def test_without_htmx_the_page_is_the_same(admin_client, monkeypatch, settings, lacking):
    if lacking == "app":
        settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "django_htmx"]
    else:
        monkeypatch.setattr(refreshing, "SCRIPTS", ("htmx-9.js",))
    trouble()
    page = raw(admin_client)
    assert "jobs.js" not in page
    assert "Retry all 10" in page


def test_scripts_carry_the_nonce_of_a_strict_policy(admin_client, settings):
    templates = copy.deepcopy(settings.TEMPLATES)
    templates[0]["OPTIONS"]["context_processors"].append(f"{__name__}.nonce")
    settings.TEMPLATES = templates
    page = raw(admin_client)
    for asset in ("jobs.css", "jobs.js", "htmx"):
        assert re.search(rf'{asset}[^>]*nonce="n-123"', page)


def nonce(_request):
    return {"csp_nonce": "n-123"}


def test_the_script_is_small_and_evaluates_nothing():
    text = SCRIPT.read_text()
    assert len(text) < 3_000
    assert not re.search(r"\beval\b|new Function|innerHTML", text)


def test_htmx_is_told_to_evaluate_nothing(admin_client):
    page = raw(admin_client)
    assert '"allowEval":false' in page
    assert '"includeIndicatorStyles":false' in page
    assert not re.search(r'hx-(on|vals|vars)|hx-trigger="[^"]*\[', page)
    assert PAGE in page


class BrokenCache(BaseCache):
    """A cache that is down."""

    def __init__(self, *_):
        super().__init__({})

    def add(self, *_, **__):
        raise ConnectionError("no answer")

    get = set = delete = touch = has_key = add


@pytest.fixture
def cache_is_down(settings):
    settings.CACHES = {"default": {"BACKEND": "tests.dashboard.test_refreshing.BrokenCache"}}


@pytest.mark.usefixtures("cache_is_down")
@pytest.mark.parametrize("screen", ["", "failed/", "queue/", "worker/"])
def test_the_screens_keep_fresh_while_the_cache_is_down(admin_client, caplog, screen):
    trouble()
    assert admin_client.get(f"{PAGE}{screen}").status_code == 200
    found = regions(admin_client.get(f"{PAGE}{screen}live/", headers=HTMX).content.decode())
    assert len(found) > 1
    assert "Django's cache fails: ConnectionError: no answer" in caplog.text


@pytest.mark.usefixtures("cache_is_down")
def test_what_is_pressed_while_the_cache_is_down_is_done_and_told(admin_client):
    QueueFactory(name="mail")
    said = press(admin_client, "pause", queue="mail")
    assert said == ["The queue “mail” is paused; its running jobs go on."]


def test_what_the_database_refuses_is_not_taken_for_a_fault_of_the_cache(admin_client, monkeypatch):
    def refuse(*_):
        raise RuntimeError("the database says no")

    monkeypatch.setattr(refreshing, "look", refuse)
    with pytest.raises(RuntimeError):
        live(admin_client)


def test_one_look_serves_people_of_other_rights_and_languages(admin_client, staff, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    trouble()
    operator = live(admin_client).content.decode()
    Queue.objects.all().delete()  # whoever looks anew would see that
    german = admin_client.get(LIVE, headers={**HTMX, "accept-language": "de"}).content.decode()
    viewer = live(staff("view_job")).content.decode()
    assert "Retry all 10" in operator
    assert "Retry" not in viewer
    assert "reports" in operator
    assert 'id="jobs-queues"' not in viewer
    assert "Probleme" in german
    assert "reports" in german
