"""The rows of schedules say what the code says, but for what people changed."""

from datetime import timedelta

import pytest

from django_jobs import clock, registry
from django_jobs.declarations import cron, every
from django_jobs.definitions import job
from django_jobs.engines import get_engine
from django_jobs.models import Schedule
from django_jobs.schedules import change, pause, reset, sync, syncing
from django_jobs.testing import run_jobs
from tests.conftest import NOON
from tests.factories import ScheduleFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

TOMORROW_AT_TWO = NOON + timedelta(hours=14)


def declare(*schedules, name="tests.nightly"):
    """Declare the job anew, as a deploy does."""
    registry.unregister(name)

    @job(name=name, schedule=list(schedules))
    def nightly(day: int = 0, *, full: bool = False) -> None:
        pass


def row(name="tests.nightly"):
    return Schedule.objects.get(name=name)


def test_a_declared_schedule_gets_its_row_and_starts_with_its_next_planned_time():
    declare(cron("0 2 * * *", timezone="Europe/Paris", jitter=60, args=[7], kwargs={"full": True}))
    assert sync().created == ["tests.nightly"]
    found = row()
    assert (found.job_name, found.source, found.cron) == ("tests.nightly", "code", "0 2 * * *")
    assert (found.timezone, found.jitter) == ("Europe/Paris", timedelta(minutes=1))
    assert (found.args, found.kwargs) == ([7], {"full": True})
    assert found.next_run_at == TOMORROW_AT_TWO - timedelta(hours=1)
    assert found.last_planned_at is None


def test_a_job_may_have_several_schedules():
    declare(cron("0 2 * * *"), every(3600), cron("@weekly", name="weekly"))
    sync()
    assert set(Schedule.objects.values_list("name", flat=True)) == {
        "tests.nightly",
        "tests.nightly#2",
        "weekly",
    }
    assert row("tests.nightly#2").every == timedelta(hours=1)


def test_syncing_again_changes_nothing():
    declare(cron("0 2 * * *", starts_at=NOON), every(90, missed_within=7))
    sync()
    before = list(Schedule.objects.values())
    synced = sync()
    assert not any([synced.created, synced.changed, synced.disabled, synced.enabled])
    assert list(Schedule.objects.values()) == before


def test_a_start_costs_as_much_with_many_schedules_as_with_one(
    monkeypatch, django_assert_max_num_queries
):
    ScheduleFactory.create_batch(20)
    monkeypatch.setattr(clock, "now_or_none", lambda: None)
    with django_assert_max_num_queries(2):
        sync()


def test_a_new_rule_holds_from_now_on():
    declare(cron("0 2 * * *"))
    sync()
    declare(cron("0 3 * * *"))
    assert sync().changed == ["tests.nightly"]
    assert row().next_run_at == TOMORROW_AT_TWO + timedelta(hours=1)


def test_a_deploy_that_leaves_the_rule_alone_keeps_planned_times_that_are_due():
    declare(cron("0 2 * * *"))
    sync()
    Schedule.objects.update(next_run_at=NOON - timedelta(hours=10))
    declare(cron("0 2 * * *", overlap="allow", missed="all"))
    sync()
    assert row().next_run_at == NOON - timedelta(hours=10)
    assert (row().overlap, row().missed) == ("allow", "all")


def test_what_people_changed_survives_deploys_until_they_reset_it():
    declare(cron("0 2 * * *", args=[1]))
    sync()
    change("tests.nightly", cron="30 4 * * *")
    declare(cron("0 3 * * *", args=[2]))
    sync()
    found = row()
    assert (found.cron, found.args) == ("30 4 * * *", [2])
    assert found.declared["cron"] == "0 3 * * *"
    assert found.overrides == ["cron", "every"]
    reset("tests.nightly")
    found = row()
    assert (found.cron, found.overrides) == ("0 3 * * *", [])
    assert found.next_run_at == TOMORROW_AT_TWO + timedelta(hours=1)
    assert not sync().changed


def test_a_cron_rule_can_be_overridden_by_a_span_and_come_back():
    declare(cron("0 2 * * *"))
    sync()
    change("tests.nightly", cron="", every=timedelta(hours=2))
    sync()
    assert (row().cron, row().every) == ("", timedelta(hours=2))
    reset("tests.nightly")
    assert (row().cron, row().every) == ("0 2 * * *", None)


def test_a_pause_survives_deploys():
    declare(cron("0 2 * * *"))
    sync()
    pause("tests.nightly", by="ana", reason="migration")
    declare(cron("0 3 * * *"))
    sync()
    assert (row().next_run_at, row().paused_by, row().cron) == (None, "ana", "0 3 * * *")


def test_a_schedule_that_is_no_longer_declared_is_disabled_and_says_so():
    declare(cron("0 2 * * *"), every(60))
    sync()
    declare(cron("0 2 * * *"))
    assert sync().disabled == ["tests.nightly#2"]
    found = row("tests.nightly#2")
    assert (found.disabled_at, found.next_run_at) == (NOON, None)
    assert found.disabled_reason == "The code no longer declares this schedule."
    assert row().disabled_at is None
    assert sync().disabled == []


def test_a_schedule_that_is_declared_again_goes_on_without_a_flood():
    declare(cron("0 2 * * *"))
    sync()
    declare()
    sync()
    declare(cron("0 2 * * *"))
    assert sync().enabled == ["tests.nightly"]
    assert (row().disabled_at, row().next_run_at) == (None, TOMORROW_AT_TWO)


def test_schedules_of_jobs_that_another_deployment_declares_are_left_alone():
    ScheduleFactory(name="theirs", source="code", job_name="other.jobs.sync")
    before = Schedule.objects.values().get()
    sync()
    assert Schedule.objects.values().get() == before


def test_a_schedule_made_by_hand_keeps_its_name():
    declare(cron("0 2 * * *"))
    ScheduleFactory(name="tests.nightly", job_name="tests.jobs.nothing")
    synced = sync()
    assert (synced.taken, synced.created) == (["tests.nightly"], [])
    assert row().cron == "0 * * * *"


def test_a_schedule_made_by_hand_goes_on_when_its_job_is_back():
    ScheduleFactory(name="mine", disabled=True)
    assert sync().enabled == ["mine"]
    assert row("mine").next_run_at == NOON + timedelta(hours=1)


def test_a_renamed_job_takes_its_schedule_along():
    declare(cron("0 2 * * *", name="report"), name="tests.old")
    sync()
    registry.unregister("tests.old")
    declare(cron("0 2 * * *", name="report"), name="tests.new")
    sync()
    assert row("report").job_name == "tests.new"


def rename():
    """Declare the job of `declare(name="tests.old")` under a new name, as a deploy does."""
    registry.unregister("tests.old")

    @job(name="tests.new", aliases=["tests.old"], schedule=[cron("0 2 * * *"), every(90)])
    def nightly() -> None:
        pass


def test_a_schedule_named_after_a_renamed_job_keeps_its_pause_its_changes_and_its_history():
    declare(cron("0 2 * * *"), every(90), name="tests.old")
    sync()
    pause("tests.old", by="ana", reason="never again")
    change("tests.old#2", overlap="allow")
    ids = [row("tests.old").pk, row("tests.old#2").pk]
    rename()
    assert sync().created == []
    assert [row("tests.new").pk, row("tests.new#2").pk] == ids
    assert (row("tests.new").paused_by, row("tests.new").job_name) == ("ana", "tests.new")
    assert row("tests.new#2").overlap == "allow"
    assert Schedule.objects.count() == 2
    assert sync().changed == []


def test_a_renamed_job_leaves_what_people_made_under_its_former_name_alone():
    ScheduleFactory(name="tests.old", job_name="tests.old")
    rename()
    assert sync().created == ["tests.new", "tests.new#2"]
    assert row("tests.old").source == "admin"


def test_a_rename_that_another_worker_has_made_is_no_error():
    declare(cron("0 2 * * *"), name="tests.old")
    sync()
    rename()
    rows = {"tests.old": row("tests.old")}
    ScheduleFactory(name="tests.new")
    syncing._follow_renames(get_engine("default"), {"tests.new": ("tests.new", None)}, rows)
    assert set(rows) == {"tests.old"}


@pytest.mark.parametrize(
    ("here", "code", "words"),
    [
        ({"jitter": timedelta(minutes=30)}, {"expression": "*/15 * * * *"}, "here, and not by"),
        ({"cron": "*/5 * * * *"}, {"expression": "0 * * * *", "jitter": 600}, "cron, every"),
    ],
)
def test_what_no_longer_goes_together_with_the_code_is_disabled_and_stops_no_worker(
    here, code, words
):
    declare(cron("0 * * * *"), cron("0 2 * * *"))
    sync()
    change("tests.nightly", **here)
    declare(cron(**code), cron("0 3 * * *"))
    assert sync().disabled == ["tests.nightly"]
    assert row().next_run_at is None
    assert "jitter must be less than" in row().disabled_reason
    assert words in row().disabled_reason
    assert row("tests.nightly#2").cron == "0 3 * * *"
    assert sync().disabled == []


def test_a_schedule_goes_on_at_once_when_it_is_reset_or_put_right():
    declare(cron("0 * * * *"))
    sync()
    change("tests.nightly", jitter=timedelta(minutes=30))
    declare(cron("*/15 * * * *"))
    sync()
    change("tests.nightly", jitter=timedelta(minutes=5))
    assert (row().disabled_at, row().next_run_at) == (None, NOON + timedelta(minutes=15))
    Schedule.objects.update(next_run_at=None, disabled_at=NOON, disabled_reason="TypeError: day")
    reset("tests.nightly")
    assert (row().disabled_at, row().jitter) == (None, timedelta())


def test_a_change_brings_no_schedule_back_that_the_code_has_given_up():
    declare(cron("0 2 * * *"), cron("0 3 * * *"))
    sync()
    declare(cron("0 2 * * *"))
    sync()
    change("tests.nightly#2", cron="0 4 * * *")
    assert row("tests.nightly#2").disabled_at == NOON


def test_a_disabled_row_with_nonsense_in_it_stays_disabled_and_stops_no_worker():
    ScheduleFactory(disabled=True, timezone="Mars/Base")
    assert sync().enabled == []
    assert "Mars/Base" in Schedule.objects.get().disabled_reason


def test_a_disabled_schedule_goes_on_only_when_its_arguments_fit_again():
    declare()
    ScheduleFactory(disabled=True, job_name="tests.nightly", kwargs={"gone": 1}, name="hand-made")
    assert sync().enabled == []
    assert "gone" in row("hand-made").disabled_reason
    Schedule.objects.update(kwargs={"day": 1})
    assert sync().enabled == ["hand-made"]


def test_what_was_missed_while_nobody_knew_the_job_follows_the_policy(engine, frozen_clock):
    declare(every(3600, missed="all"))
    sync()
    run_jobs(now=NOON + timedelta(hours=1), schedules=True)
    frozen_clock.advance(timedelta(hours=2))
    engine.doubt([row().pk], "No worker knows the job.", 0, NOON + timedelta(hours=2))
    engine.doubt([row().pk], "No worker knows the job.", 0, NOON + timedelta(hours=3))
    assert row().disabled_at == NOON + timedelta(hours=3)
    frozen_clock.advance(timedelta(hours=3))
    assert sync().enabled == ["tests.nightly"]
    assert row().next_run_at == NOON + timedelta(hours=2)
    assert row().doubted_at is None
    assert len(run_jobs(schedules=True)) == 4


def test_a_new_rule_of_a_schedule_that_nobody_knew_starts_from_now_on(engine, frozen_clock):
    declare(every(3600))
    sync()
    frozen_clock.advance(timedelta(hours=2))
    engine.doubt([row().pk], "No worker knows the job.", 0, NOON + timedelta(hours=1))
    engine.doubt([row().pk], "No worker knows the job.", 0, NOON + timedelta(hours=2))
    declare(every(1800))
    sync()
    assert row().next_run_at == NOON + timedelta(hours=2, minutes=30)
