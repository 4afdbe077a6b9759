import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction

from django_jobs.exceptions import JobError, JobFailed, JobNotFinished, WaitTimeout
from django_jobs.handles import JobHandle, running_job
from django_jobs.models import Job, JobRun
from django_jobs.states import State
from tests import jobs
from tests.factories import JobFactory

pytestmark = pytest.mark.django_db


def handle_of(row):
    """Return a handle on a row that the factory made."""
    handle = JobHandle(row.name)
    handle.fill(row.pk, created=True)
    return handle


def test_a_handle_reads_the_result():
    assert handle_of(JobFactory(successful=True)).result == 3


def test_a_handle_looks_again_only_when_asked():
    handle = jobs.add.enqueue(1)
    Job.objects.filter(pk=handle.id).update(state=State.CANCELLED, finished_at=datetime.now(UTC))
    assert handle.status is State.READY
    assert handle.refresh().status is State.CANCELLED


def test_a_job_that_has_not_ended_has_no_result():
    with pytest.raises(JobNotFinished, match="is ready: no result yet"):
        _ = jobs.add.enqueue(1).result


def test_a_failed_job_gives_its_error_instead_of_a_result():
    with pytest.raises(JobFailed, match="failed: ConnectionError: 503 from partner"):
        _ = handle_of(JobFactory(failed=True)).result


def test_a_cancelled_job_gives_no_result():
    with pytest.raises(JobFailed, match="was cancelled"):
        _ = handle_of(JobFactory(cancelled=True)).result


def test_a_failure_without_a_run_is_still_a_failure():
    row = JobFactory(failed=True)
    JobRun.objects.all().delete()
    with pytest.raises(JobFailed, match="failed"):
        _ = handle_of(row).result


def test_a_job_that_is_gone_says_so():
    handle = jobs.add.enqueue(1)
    Job.objects.all().delete()
    with pytest.raises(JobError, match="is gone: rolled back, or pruned"):
        handle.refresh()


def test_a_handle_shows_its_job():
    handle = jobs.add.enqueue(1)
    assert repr(handle) == f"<JobHandle tests.jobs.add #{handle.id}>"


def test_the_url_is_the_admins_page_of_the_job():
    handle = jobs.add.enqueue(1)
    assert handle.url.startswith("/admin/")
    assert handle.url.endswith(f"/job/{handle.id}/change/")


def test_without_the_admin_there_is_no_url(settings):
    handle = jobs.add.enqueue(1)
    settings.ROOT_URLCONF = "tests.empty_urls"
    assert handle.url == ""


def test_waiting_inside_a_transaction_is_refused():
    handle = jobs.add.enqueue(1)
    with pytest.raises(JobError, match="would never end: the job becomes visible only when"):
        handle.wait()


@pytest.mark.django_db(transaction=True)
def test_waiting_is_refused_while_the_caller_commits_by_hand():
    transaction.set_autocommit(False)
    try:
        handle = jobs.add.enqueue(1)
        with pytest.raises(JobError, match="would never end: the job becomes visible only when"):
            handle.wait()
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)


@pytest.mark.django_db(transaction=True)
def test_waiting_inside_a_job_is_refused():
    handle = jobs.add.enqueue(1)
    token = running_job.set(5)
    try:
        with pytest.raises(JobError, match="inside a job"):
            handle.wait()
    finally:
        running_job.reset(token)


@pytest.mark.django_db(transaction=True)
def test_waiting_ends_when_the_job_does(frozen_clock, monkeypatch):
    handle = jobs.add.enqueue(1)
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            Job.objects.filter(pk=handle.id).update(
                state=State.SUCCESSFUL, finished_at=frozen_clock.now()
            )

    monkeypatch.setattr(frozen_clock, "sleep", sleep)
    assert handle.wait().status is State.SUCCESSFUL
    assert pauses == sorted(pauses)
    assert len(pauses) == 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("timeout", [5, timedelta(seconds=5)])
def test_waiting_gives_up_after_its_time(frozen_clock, timeout):
    began = frozen_clock.now()
    with pytest.raises(WaitTimeout, match="has not ended within 5 s: it is ready"):
        jobs.add.enqueue(1).wait(timeout)
    assert frozen_clock.now() - began == timedelta(seconds=5)


@pytest.mark.django_db(transaction=True)
def test_async_code_can_wait_too():
    row = JobFactory(successful=True)
    handle = handle_of(row)

    async def work():
        return (await handle.await_(5)).status

    assert asyncio.run(work()) is State.SUCCESSFUL
    assert handle.result == 3
    asyncio.run(sync_to_async(connections.close_all)())
