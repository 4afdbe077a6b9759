"""`{% job_progress %}`: what the one who waits for a job sees, and what nobody sees."""

import html
import re

import pytest
from django.core import signing
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.template import Context, Template
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from django_jobs import clock
from django_jobs.handles import JobHandle
from django_jobs.models import Job, JobProgress, JobRun
from django_jobs.progress import WORDS
from django_jobs.states import State, label
from tests import jobs
from tests.conftest import NOON
from tests.factories import JobFactory, JobRunFactory

pytestmark = pytest.mark.django_db

HOSTILE = "<img src=x onerror=alert(1)>"


def rendered(job, options="", **context):
    template = Template("{% load django_jobs %}{% job_progress job " + options + " %}")
    return template.render(Context({"job": job, **context}))


def words(fragment):
    fragment = re.sub(r"<(noscript|progress).*?</\1>", "", fragment, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", fragment)).split())


def address(fragment):
    return html.unescape(re.search(r'hx-get="([^"]+)"', fragment)[1])


def poll(fragment, client=None, by_htmx=True):
    headers = {"HX-Request": "true"} if by_htmx else {}
    return (client or Client()).get(address(fragment), headers=headers)


def report(job, done, total=None, note=""):
    JobProgress.objects.create(
        job_id=job.pk, done=done, total=total, note=note, updated_at=clock.now()
    )


def end(job, state):
    Job.objects.filter(pk=job.pk).update(state=state, claim_id=None, finished_at=clock.now())


def test_a_page_shows_the_state_in_words_and_asks_again():
    fragment = rendered(JobFactory(running=True))
    assert words(fragment) == "In progress"
    assert 'data-state="RUNNING"' in fragment
    assert 'hx-trigger="every 2s"' in fragment
    assert '<noscript><p class="job-progress-refresh"><a href="">Refresh</a></p>' in fragment


def test_a_handle_a_job_and_a_number_are_the_same():
    handle = jobs.nothing.enqueue()
    for job in (handle, Job.objects.get(), handle.id):
        assert words(rendered(job)) == "Waiting to start"


def test_without_a_job_nothing_is_shown():
    assert rendered(None) == rendered(JobHandle("not written yet")) == ""


@pytest.mark.parametrize("job", ["7", True, 1.5], ids=str)
def test_what_is_no_job_is_refused(job):
    with pytest.raises(TypeError, match="job_progress takes a job, its handle or its number"):
        rendered(job)


def test_the_bar_shows_what_the_job_reports():
    job = JobFactory(running=True)
    report(job, 3, 8, "rows read")
    fragment = rendered(job)
    assert '<progress class="job-progress-bar" max="100" value="37"' in fragment
    assert words(fragment) == "In progress 37 % rows read"


@pytest.mark.parametrize(
    ("done", "total", "value"),
    [(9, 8, "100"), (-1, 8, "0"), (3, 0, None), (3, None, None), (10**15, 10**18, "0")],
)
def test_whatever_a_job_reports_there_is_a_bar(done, total, value):
    job = JobFactory(running=True)
    report(job, done, total)
    found = re.search(r'<progress[^>]*max="100"(?: value="(\d+)")?', rendered(job))
    assert found[1] == value


def test_every_state_has_words():
    found = {label(state, 0) for state in State} | {
        label(State.RUNNING, 1, cancel_requested=True),
        label(State.SCHEDULED, 1),
    }
    assert found == set(WORDS)


def test_a_poll_gives_the_same_fragment_anew():
    job = JobFactory(running=True)
    fragment = rendered(job)
    report(job, 1, 2)
    response = poll(fragment)
    assert response.status_code == 200
    assert "no-store" in response.headers["Cache-Control"]
    assert words(response.content.decode()) == "In progress 50 %"
    assert address(response.content.decode()) == address(fragment)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (State.SUCCESSFUL, "Done"),
        (State.FAILED, "This did not work"),
        (State.CANCELLED, "Cancelled"),
    ],
)
def test_the_asking_ends_with_the_job(state, text):
    job = JobFactory(running=True)
    fragment = rendered(job)
    end(job, state)
    response = poll(fragment)
    last = response.content.decode()
    assert response.status_code == 286
    assert response.headers["HX-Trigger"] == "job-finished"
    assert words(last) == text
    assert "hx-get" not in last
    assert "Refresh" not in last
    assert poll(fragment, by_htmx=False).status_code == 200


def test_a_job_that_is_gone_ends_the_asking():
    job = JobFactory(running=True)
    fragment = rendered(job)
    Job.objects.all().delete()
    response = poll(fragment)
    assert response.status_code == 286
    assert words(response.content.decode()) == "Nothing is known of this any more"


def test_a_poll_costs_one_query():
    fragment = rendered(JobFactory(running=True), "show_result=True")
    with CaptureQueriesContext(connections["default"]) as queries:
        poll(fragment)
    assert len(queries) == 1
    assert "kwargs" not in queries[0]["sql"]


# What is not shown.


def test_errors_arguments_and_results_are_not_shown():
    failed = JobFactory(failed=True, args=["secret argument"])
    JobRun.objects.filter(job=failed).update(error="secret error", error_text="secret text")
    successful = JobFactory(successful=True, kwargs={"a": "secret argument"})
    JobRun.objects.filter(job=successful).update(result="secret result")
    for job in (failed, successful):
        assert "secret" not in rendered(job)


def test_the_result_is_shown_to_whom_the_page_shows_it():
    job = JobFactory(successful=True)
    JobRun.objects.filter(job=job).update(result=HOSTILE)
    assert words(rendered(job, "show_result=True")) == f"Done {HOSTILE}"
    assert HOSTILE not in rendered(job, "show_result=True")


@pytest.mark.parametrize("result", [None, True, {"a": 1}, [1]], ids=str)
def test_a_result_that_is_no_text_is_for_templates_of_your_own(result):
    job = JobFactory(successful=True)
    JobRun.objects.filter(job=job).update(result=result)
    assert "job-progress-result" not in rendered(job, "show_result=True")


def test_a_failed_job_has_no_result_even_if_an_earlier_run_had():
    job = JobFactory(failed=True)
    JobRun.objects.filter(job=job).update(result="half")
    assert "half" not in rendered(job, "show_result=True")


def test_hostile_notes_harm_nobody():
    job = JobFactory(running=True)
    report(job, 1, 2, HOSTILE)
    assert HOSTILE not in rendered(job)
    assert html.escape(HOSTILE) in rendered(job)


def test_nothing_needs_inline_styles_or_scripts():
    fragment = rendered(JobFactory(running=True))
    assert not re.search(r"<script|<style|style=|\son\w+=|hx-on|\[", fragment)


# Who may look.


def test_no_login_is_needed(settings):
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    assert poll(rendered(JobFactory(running=True))).status_code == 200


@pytest.mark.parametrize("token", ["7", "WzFd", "WzFd:1abc:xyz", "%00", "a" * 3000], ids=len)
def test_a_number_or_a_made_up_token_is_not_enough(client, token):
    JobFactory(pk=7, running=True)
    with CaptureQueriesContext(connections["default"]) as queries:
        assert client.get(f"/jobs/progress/{token}/").status_code == 404
    assert not queries


def test_a_token_cannot_be_turned_to_another_job_or_to_its_result(client):
    found = address(rendered(JobFactory(running=True)))
    token = found.rstrip("/").rpartition("/")[2]
    _, stamp, signature = token.split(":")
    payload = signing.b64_encode(b'[7,true,"django_jobs/progress.html"]').decode()
    assert client.get(f"/jobs/progress/{payload}:{stamp}:{signature}/").status_code == 404


def test_what_is_signed_for_another_purpose_does_not_count(client):
    token = signing.dumps([JobFactory(running=True).pk, True, "django_jobs/progress.html"])
    assert client.get(f"/jobs/progress/{token}/").status_code == 404


def test_an_address_expires_and_htmx_stops_to_ask(settings, monkeypatch):
    settings.DJANGO_JOBS = {"PROGRESS_MAX_AGE": 60}
    fragment = rendered(JobFactory(running=True))
    later = signing.time.time() + 61
    monkeypatch.setattr(signing.time, "time", lambda: later)
    with CaptureQueriesContext(connections["default"]) as queries:
        response = poll(fragment)
    assert not queries
    assert response.status_code == 286
    assert words(response.content.decode()).startswith("This page is too old.")
    assert poll(fragment, by_htmx=False).status_code == 410


def test_a_poll_does_not_make_an_address_younger(monkeypatch):
    fragment = rendered(JobFactory(running=True))
    later = signing.time.time() + 3600
    monkeypatch.setattr(signing.time, "time", lambda: later)
    assert address(poll(fragment).content.decode()) == address(fragment)


def test_only_reading_is_possible(client):
    found = address(rendered(JobFactory(running=True)))
    assert client.post(found).status_code == 405
    assert client.head(found).status_code == 200


# A project's own ways.


def test_the_interval_is_a_setting(settings):
    settings.DJANGO_JOBS = {"PROGRESS_REFRESH": 0.5}
    with translation.override("de"):
        assert 'hx-trigger="every 0.5s"' in rendered(JobFactory(running=True))


def test_without_refreshing_there_is_a_link(settings):
    settings.DJANGO_JOBS = {"PROGRESS_REFRESH": 0}
    fragment = rendered(JobFactory(running=True))
    assert "hx-get" not in fragment
    assert words(fragment) == "In progress Refresh"


@pytest.fixture
def own_templates(settings):
    """Templates of a project, which come before those of the apps."""

    def use(**templates):
        named = {f"{name}.html": text for name, text in templates.items()}
        options = settings.TEMPLATES[0]["OPTIONS"]
        loaders = [
            ("django.template.loaders.locmem.Loader", named),
            "django.template.loaders.app_directories.Loader",
        ]
        settings.TEMPLATES = [
            {**settings.TEMPLATES[0], "APP_DIRS": False, "OPTIONS": {**options, "loaders": loaders}}
        ]

    return use


def test_a_template_of_the_page_is_kept_while_it_asks(own_templates):
    own_templates(
        report='{% extends "django_jobs/progress.html" %}{% block result %}'
        '{% if progress.is_successful %}<a href="{{ progress.result.url }}">The file</a>{% endif %}'
        "{% endblock %}"
    )
    job = JobFactory(running=True)
    fragment = rendered(job, 'show_result=True template="report.html"')
    assert "The file" not in fragment
    end(job, State.SUCCESSFUL)
    JobRunFactory(job=job, result={"url": "/files/7.csv"})
    assert '<a href="/files/7.csv">The file</a>' in poll(fragment).content.decode()


def test_a_project_without_the_address_is_told_what_to_add(settings):
    settings.ROOT_URLCONF = "tests.empty_urls"
    with pytest.raises(
        ImproperlyConfigured, match=r'path\("jobs/", include\("django_jobs.urls"\)\)'
    ):
        rendered(JobFactory())


@pytest.mark.django_db(databases=["default", "other"])
def test_the_jobs_database_is_asked(settings):
    settings.DJANGO_JOBS = {"DATABASE": "other"}
    job = Job.objects.using("other").create(name="x", run_at=NOON, enqueued_at=NOON)
    with CaptureQueriesContext(connections["default"]) as queries:
        assert words(rendered(job)) == "Waiting to start"
    assert not queries
