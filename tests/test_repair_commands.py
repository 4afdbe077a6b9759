"""`manage.py jobs mute`, `unmute`, `workers` and `groups`."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError

from django_jobs.models import MutedError, Worker
from tests.conftest import NOON
from tests.factories import ClaimFactory, JobFactory, WorkerFactory
from tests.test_jobs_command import run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def test_an_error_is_muted_and_made_loud_again():
    JobFactory(failed=True, fingerprint="aaaa")
    assert run("mute", "aaaa", "--until", "2h") == ['The error "aaaa" is muted.']
    row = MutedError.objects.get()
    assert (row.muted_by, row.muted_until) == ("manage.py jobs", NOON + timedelta(hours=2))
    assert run("mute", "aaaa") == ['The error "aaaa" was muted already.']
    assert run("unmute", "aaaa") == ['The error "aaaa" is muted no more.']
    assert run("unmute", "aaaa") == ['The error "aaaa" was not muted.']


def test_an_error_that_nobody_knows_is_told():
    with pytest.raises(CommandError, match="no failed job has the fingerprint"):
        run("mute", "nope")


def test_workers_are_listed():
    assert run("workers") == ["No workers. Start one: python manage.py runworker"]
    WorkerFactory(name="web-1:1", queues=["mail"], wish="quiet", version="1.4")
    WorkerFactory(name="web-2:2", beat_at=NOON - timedelta(minutes=5))
    WorkerFactory(name="web-3:3", wish="stop")
    job = JobFactory(running=True)
    ClaimFactory._meta.model.objects.update(worker="gone:1")
    assert run("workers")[1:] == [
        "web-1:1 alive, quiet 3 s ago mail 0/4 1.4",
        "web-3:3 alive, is to stop 3 s ago all 0/4",
        f"gone:1 silent 1 add #{job.pk}",
        "web-2:2 silent 5 min ago all 0/4",
    ]


def test_a_worker_is_told_what_to_do():
    WorkerFactory(name="web-1:1")
    [line] = run("workers", "--quiet", "web-1:1")
    assert line == "The worker web-1:1 is to be quiet, with its next sign of life."
    row = Worker.objects.get()
    assert (row.wish, row.wished_by) == ("quiet", "manage.py jobs")
    run("workers", "--resume", "web-1:1")
    run("workers", "--stop", "web-1:1")
    assert Worker.objects.get().wish == "stop"
    with pytest.raises(CommandError, match="was told so already, or is to stop"):
        run("workers", "--resume", "web-1:1")


def test_a_silent_worker_is_forgotten():
    WorkerFactory(name="web-1:1", beat_at=NOON - timedelta(minutes=5))
    assert run("workers", "--forget", "web-1:1") == ["The worker web-1:1 is forgotten."]
    with pytest.raises(CommandError, match="no worker on record is called"):
        run("workers", "--forget", "web-1:1")


def test_two_things_at_once_are_refused():
    with pytest.raises(CommandError, match="not allowed with argument"):
        run("workers", "--quiet", "a", "--stop", "b")


def test_groups_are_made_once_and_keep_what_they_were_given():
    first, second = run("groups")
    assert first.startswith('"Jobs viewers" is made; permissions added: 7.')
    assert second.startswith('"Jobs operators" is made; permissions added: 16.')
    viewers = Group.objects.get(name="Jobs viewers")
    extra = Permission.objects.get(codename="view_user")
    viewers.permissions.add(extra)
    viewers.permissions.remove(Permission.objects.get(codename="view_event"))
    first, second = run("groups")
    assert first == '"Jobs viewers" was there; permissions added: 1.'
    assert second == '"Jobs operators" was there; permissions added: 0.'
    assert viewers.permissions.filter(pk=extra.pk).exists()
    assert Group.objects.count() == 2


@pytest.mark.parametrize(
    ("group", "may", "may_not"),
    [
        ("Jobs viewers", ["view_job", "view_worker"], ["change_job", "view_job_payload"]),
        (
            "Jobs operators",
            ["change_job", "delete_job", "change_worker", "view_job_payload", "change_schedule"],
            [],
        ),
    ],
)
def test_members_may_what_the_group_is_for(group, may, may_not, client):
    run("groups")
    user = User.objects.create_user("ana", is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    assert all(user.has_perm(f"django_jobs.{name}") for name in may)
    assert not any(user.has_perm(f"django_jobs.{name}") for name in may_not)
    client.force_login(user)
    for page in ("", "job/", "queue/", "worker/", "failed/", "schedule/", "event/", "batch/"):
        assert client.get(f"/admin/jobs/{page}").status_code == 200


def test_without_the_permissions_migrate_is_asked_for():
    Permission.objects.filter(codename="change_worker").delete()
    with pytest.raises(CommandError, match=r"Run: python manage\.py migrate"):
        run("groups")
