"""Workers that live and serve nobody, as they are to be quiet or to stop: what is said, what mends it."""

import html
import json
from io import StringIO

import pytest
from django.core.management import call_command

from django_jobs.models import Worker
from django_jobs.reports import verdict
from django_jobs.reports.problems import Fix, Operation
from django_jobs.states import Wish
from tests.conftest import NOON
from tests.dashboard.pages import buttons, press, raw, shown
from tests.factories import JobFactory, QueueFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

QUIET = (
    "The worker that serves the queue “mail” is to be quiet (web-1:1): 1 job waits, "
    "the oldest for 0 s."
)


@pytest.fixture(autouse=True)
def _waiting():
    QueueFactory(name="mail")
    JobFactory(queue="mail", run_at=NOON)


def problem():
    """Return the only problem there is."""
    [found] = verdict.verdict().problems
    return found


def quiet(name="web-1:1", **fields):
    return WorkerFactory(name=name, **{"wish": Wish.QUIET, **fields})


def test_the_only_worker_of_a_queue_that_is_quiet_can_go_on():
    quiet()
    WorkerFactory(name="web-2:2", queues=["other"])
    assert problem().text == QUIET
    assert problem().advice == ""
    assert problem().fix == Fix(Operation.GO_ON, "web-1:1")


def test_the_dashboard_lets_it_go_on(admin_client):
    quiet()
    assert QUIET in shown(admin_client)
    assert "runworker --queues" not in shown(admin_client)
    assert buttons(admin_client).count("go-on") == 1
    assert press(admin_client, "go-on", worker="web-1:1")[0].startswith(
        "The worker web-1:1 is to go on."
    )
    assert Worker.objects.get().wish == Wish.NONE
    assert "go-on" not in buttons(admin_client)


def test_who_may_not_tell_workers_has_no_button(staff):
    quiet()
    client = staff("view_job", "change_job", "view_worker")
    assert "is to be quiet (web-1:1)" in shown(client)
    assert "go-on" not in buttons(client)


def test_machines_and_terminals_hear_the_same(admin_client):
    quiet()
    out = StringIO()
    call_command("jobs", "status", stdout=out)
    assert f"- {QUIET}\n  python manage.py jobs workers --resume web-1:1\n" in out.getvalue()
    found = json.loads(admin_client.get("/admin/jobs/health.json").content)
    assert [item["text"] for item in found["problems"]] == [QUIET]


def test_processes_of_one_start_go_on_together():
    quiet("a:1-x", boot="a-x")
    quiet("a:2-x", boot="a-x")
    assert problem().text.startswith(
        "All workers that serve the queue “mail” are to be quiet (a:1-x, a:2-x): 1 job waits"
    )
    assert problem().fix == Fix(Operation.GO_ON, "a:1-x")


def test_of_several_starts_the_workers_page_tells(admin_client):
    for number in range(verdict.NAMED + 2):
        quiet(f"web-{number}:1", boot=f"web-{number}-x")
    assert "(web-0:1, web-1:1, web-2:1, web-3:1, web-4:1 …)" in problem().text
    assert problem().fix is None
    assert problem().advice == "python manage.py jobs workers --resume web-0:1"
    assert "go-on" not in buttons(admin_client)
    part = raw(admin_client).partition('class="jobs-problems"')[2].partition("</ul>")[0]
    assert 'class="jobs-button" href="/admin/jobs/worker/"' in part


def test_workers_that_are_to_stop_are_told_as_that():
    quiet(wish=Wish.STOP)
    assert problem().text.startswith(
        "The worker that serves the queue “mail” is to stop (web-1:1): 1 job waits"
    )
    assert problem().advice == "python manage.py runworker --queues mail"
    assert problem().fix is None


def test_where_one_is_quiet_and_others_are_to_stop_the_quiet_one_is_named():
    quiet("a:1", wish=Wish.STOP)
    quiet("b:2")
    assert "is to be quiet (b:2)" in problem().text


def test_silent_workers_and_those_of_other_queues_are_not_counted():
    quiet(beat_at=NOON.replace(hour=1))
    quiet("web-2:2", queues=["other"])
    assert problem().text.startswith("No living worker serves the queue “mail”")


def test_one_worker_that_serves_is_enough():
    quiet()
    WorkerFactory()
    assert not verdict.verdict().problems


def test_the_name_of_a_worker_is_never_markup(admin_client):
    quiet("<b>x</b>")
    text = raw(admin_client)
    assert "<b>x</b>" not in text
    assert html.escape("<b>x</b>") in text
