"""`run_jobs`: the jobs of a project's tests, here and now."""

from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.test import TestCase

from django_jobs import JobContext, NonRetriable, Snooze, clock, enqueue, enqueue_many, job
from django_jobs.exceptions import JobNotFound
from django_jobs.models import Claim, Job, JobProgress, JobRun, Queue
from django_jobs.states import State
from django_jobs.testing import run_jobs
from tests.factories import JobFactory
from tests.jobs import add, count, double, fail, fail_for_good


class InATestCase(TestCase):
    """What a project writes."""

    def test_jobs_run_in_the_callers_transaction(self):
        handle = enqueue(add, 2, 3)
        assert run_jobs() == ["successful"]
        assert handle.result == 5
        assert connections["default"].in_atomic_block

    def test_nothing_of_the_test_before_is_there(self):
        assert Job.objects.count() == JobRun.objects.count() == Claim.objects.count() == 0

    def test_an_async_job_sees_what_the_test_wrote(self):
        @job(name="tests.testing.look")
        async def look():
            return await Queue.objects.filter(name="only-here").acount()

        Queue.objects.create(name="only-here")
        handle = enqueue(look)
        assert run_jobs() == ["successful"]
        assert handle.result == 1

    def test_a_job_that_breaks_the_transaction_fails_alone(self):
        @job(name="tests.testing.twice", max_attempts=1)
        def twice(*, durable):
            Queue.objects.create(name="same")
            with transaction.atomic(savepoint=durable):
                Queue.objects.create(name="same")

        enqueue(twice, durable=True)
        enqueue(twice, durable=False)
        enqueue(add, 1)
        assert run_jobs() == ["failed", "failed", "successful"]
        assert JobRun.objects.filter(error_type="django.db.utils.IntegrityError").count() == 2

    def test_what_a_job_writes_goes_with_the_test(self):
        @job(name="tests.testing.write")
        def write():
            with transaction.atomic():
                Queue.objects.create(name="written")

        enqueue(write)
        run_jobs()
        assert Queue.objects.filter(name="written").exists()


@pytest.mark.django_db
class TestRunJobs:
    def test_without_jobs_nothing_happens(self):
        assert run_jobs() == []

    def test_jobs_of_jobs_run_too(self):
        @job(name="tests.testing.parent")
        def parent():
            enqueue(add, 1)

        enqueue(parent)
        assert run_jobs() == ["successful", "successful"]
        assert Claim.objects.count() == 0

    def test_only_what_is_there_at_the_start_runs_on_request(self):
        @job(name="tests.testing.parent")
        def parent():
            enqueue(add, 1)

        enqueue(parent)
        assert run_jobs(until_empty=False) == ["successful"]
        assert run_jobs(until_empty=False) == ["successful"]

    def test_more_than_a_page_is_there_at_the_start(self):
        enqueue_many(add, [(number,) for number in range(230)])
        assert len(run_jobs(until_empty=False)) == 230

    def test_only_the_named_queues_are_run(self):
        enqueue(add.using(queue="mail"), 1)
        enqueue(add, 1)
        assert len(run_jobs(queues=["mail"])) == 1
        assert Job.objects.filter(state=State.READY).count() == 1

    def test_a_retry_runs_when_its_time_has_come(self):
        handle = enqueue(fail)
        assert run_jobs() == ["retried"]
        assert run_jobs() == []
        assert run_jobs(now=clock.now() + timedelta(hours=1)) == ["failed"]
        assert handle.refresh().status is State.FAILED

    def test_a_delayed_job_runs_at_a_pretended_instant(self, frozen_clock):
        enqueue(add.using(run_after=timedelta(days=3)), 1)
        assert run_jobs() == []
        assert run_jobs(now=clock.now() + timedelta(days=3)) == ["successful"]
        assert clock.now() == frozen_clock.now()

    def test_an_error_is_raised_on_request_after_its_end_was_written(self):
        handle = enqueue(fail_for_good, "no way")
        with pytest.raises(NonRetriable, match="no way"):
            run_jobs(raise_errors=True)
        assert handle.refresh().status is State.FAILED

    def test_the_jobs_behind_a_raised_error_can_still_run(self):
        enqueue(fail_for_good)
        handle = enqueue(add, 2)
        with pytest.raises(NonRetriable):
            run_jobs(raise_errors=True)
        assert (handle.refresh().status, Claim.objects.count()) == (State.READY, 0)
        assert run_jobs(raise_errors=True) == ["successful"]
        assert Job.objects.get(pk=handle.id).attempt == 1

    def test_a_name_that_nobody_declares_is_an_error(self):
        stray = JobFactory(name="shop.jobs.gone")
        other = JobFactory()
        with pytest.raises(JobNotFound, match="which nobody declares"):
            run_jobs()
        assert set(Job.objects.values_list("pk", "state")) == {
            (stray.pk, State.READY),
            (other.pk, State.READY),
        }
        assert Claim.objects.count() == 0

    def test_jobs_without_end_are_noticed(self, monkeypatch):
        monkeypatch.setattr("django_jobs.testing.LIMIT", 20)

        @job(name="tests.testing.again")
        def again():
            raise Snooze(0)

        enqueue(again)
        with pytest.raises(RuntimeError, match="do jobs enqueue each other"):
            run_jobs()

    def test_progress_and_log_are_written(self):
        @job(name="tests.testing.talk")
        def talk(context: JobContext):
            context.log("hello")

        enqueue(count, 7)
        enqueue(talk)
        run_jobs()
        assert JobProgress.objects.get().done == 7
        assert JobRun.objects.exclude(log="").get().log.endswith("hello")

    def test_async_jobs_run_too(self):
        handle = enqueue(double, 4)
        run_jobs()
        assert handle.result == 8

    def test_a_job_whose_worker_died_runs_too(self):
        JobFactory(lost_count=1)
        JobFactory(lost_count=1)
        JobFactory()
        assert len(run_jobs()) == 3
