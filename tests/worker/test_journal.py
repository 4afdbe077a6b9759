"""What a worker says about its jobs, and how much of it."""

import logging
from datetime import timedelta

import pytest
from django.urls import set_script_prefix

from django_jobs import signals
from django_jobs.states import (
    ErrorRecord,
    Interrupted,
    Later,
    Raised,
    Snoozed,
    Stopped,
    Succeeded,
    Suspended,
    TimedOut,
    after_run,
)
from django_jobs.worker import journal as journal_module
from django_jobs.worker.journal import FOLD_ABOVE, End, Folding, Journal, Start, log
from tests.worker.making import claimed, until

ERROR = ErrorRecord("shop.errors.NoStock", "no shoes", "no shoes", "", "f" * 16)


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "django_jobs.job")
    return lambda: [record.getMessage() for record in caplog.records]


def end(outcome=None, number=1, *, fenced=False, result="", **changes):
    job = claimed(number, **changes)
    return End(job, after_run(outcome or Succeeded()), 0.42, fenced, result)


@pytest.mark.parametrize(
    ("event", "level", "text"),
    [
        (Start(claimed(18)), "INFO", "add #18 started"),
        (end(number=18), "INFO", "add #18 0.42 s"),
        (end(number=18, result="40"), "INFO", "add #18 0.42 s -> 40"),
        (
            end(Raised(ERROR, Later(9.0))),
            "WARNING",
            "add #1 attempt 1/4 failed: NoStock: no shoes  retry in 9 s",
        ),
        (
            end(Raised(ERROR, Later(9.0), charged=False, step='step "pay", attempt 3')),
            "WARNING",
            'add #1 step "pay", attempt 3/4 failed: NoStock: no shoes  retry in 9 s',
        ),
        (
            end(Raised(ERROR), attempt=4),
            "ERROR",
            "add #1 failed after 4 attempts: NoStock: no shoes  /admin/django_jobs/job/1/change/",
        ),
        (
            end(Raised(ERROR), number=3),
            "ERROR",
            "add #3 failed after 1 attempt: NoStock: no shoes  /admin/django_jobs/job/3/change/",
        ),
        (
            end(TimedOut(ERROR)),
            "ERROR",
            "add #1 failed after 1 attempt: NoStock: no shoes  /admin/django_jobs/job/1/change/",
        ),
        (end(Snoozed(Later(90))), "INFO", "add #1 snoozed, runs again in 90 s"),
        (end(Stopped("sold out")), "INFO", "add #1 cancelled: sold out"),
        (end(Stopped()), "INFO", "add #1 cancelled"),
        (end(Interrupted()), "INFO", "add #1 released, handed back"),
        (
            end(fenced=True),
            "WARNING",
            "add #1 ended after its lease was lost; nothing was written, it runs or ran elsewhere",
        ),
    ],
)
def test_every_event_has_its_sentence(event, level, text, caplog, said):
    log(event)
    assert said() == [text]
    assert caplog.records[0].levelname == level


@pytest.fixture
def addresses_anew():
    """Forget the address of the admin, before the test and after it."""
    journal_module._any_page.cache_clear()
    yield
    journal_module._any_page.cache_clear()
    set_script_prefix("/")


@pytest.mark.usefixtures("addresses_anew")
@pytest.mark.parametrize("urls", ["tests.empty_urls", "tests.there_is_no_such_module"])
def test_without_a_page_in_the_admin_a_failure_names_none(urls, said, settings):
    settings.ROOT_URLCONF = urls
    log(end(Raised(ERROR)))
    assert said() == ["add #1 failed after 1 attempt: NoStock: no shoes"]


@pytest.mark.usefixtures("addresses_anew")
def test_the_page_of_a_failed_job_stands_under_the_projects_script_name(said, settings):
    settings.FORCE_SCRIPT_NAME = "/shop1/"
    log(end(Raised(ERROR), number=7))
    assert said()[0].endswith("  /shop1/admin/django_jobs/job/7/change/")


@pytest.mark.usefixtures("addresses_anew")
def test_the_address_of_the_admin_is_resolved_once(said, monkeypatch):
    asked = []

    def admin_path(job_id):
        asked.append(job_id)
        return f"/a/{job_id}/"

    monkeypatch.setattr(journal_module, "admin_path", admin_path)
    for number in (1, 2, 3):
        log(end(Raised(ERROR), number=number))
    log(end(Raised(ERROR, Later(9.0)), number=4))
    assert [text.rpartition("  ")[2] for text in said()[:3]] == ["/a/1/", "/a/2/", "/a/3/"]
    assert "/a/" not in said()[3]
    assert len(asked) == 1


def test_a_retry_at_an_instant_says_when(said, frozen_clock):
    log(end(Raised(ERROR, Later(instant=frozen_clock.now()))))
    assert said()[0].endswith("retry at 2030-01-15 12:00:00 UTC")


def test_lines_carry_facts_for_machines(caplog, said):
    log(end(number=18, queue="mail", attempt=2))
    record = caplog.records[0]
    assert (record.event, record.job_id, record.queue) == ("successful", 18, "mail")
    assert (record.job_name, record.attempt, record.seconds) == ("tests.jobs.add", 2, 0.42)


def test_above_a_number_of_events_a_second_starts_and_successes_are_folded(frozen_clock, said):
    folding = Folding()
    for number in range(FOLD_ABOVE + 10):
        folding.take(Start(claimed(number)))
    for number in range(7):
        folding.take(end(number=number))
    assert len(said()) == FOLD_ABOVE
    assert folding.pending
    frozen_clock.advance(timedelta(seconds=1))
    folding.take(Start(claimed(999)))
    assert said()[-2:] == ["add: 10 more started, 7 more finished", "add #999 started"]
    assert not folding.pending


@pytest.mark.parametrize(
    "event",
    [
        end(Raised(ERROR)),
        end(Raised(ERROR, Later(1))),
        end(TimedOut(ERROR)),
        end(fenced=True),
        end(Stopped("by hand")),
    ],
)
def test_failures_are_never_folded(event, frozen_clock, said):
    folding = Folding()
    for number in range(FOLD_ABOVE):
        folding.take(Start(claimed(number)))
    folding.take(event)
    assert len(said()) == FOLD_ABOVE + 1


def test_each_job_name_has_a_folded_line_of_its_own(frozen_clock, said):
    folding = Folding()
    for number in range(FOLD_ABOVE):
        folding.take(Start(claimed(number)))
    folding.take(Start(claimed(1, name="shop.jobs.b")))
    folding.take(end(number=2, name="shop.jobs.a"))
    folding.flush()
    assert said()[-2:] == [
        "a: 0 more started, 1 more finished",
        "b: 1 more started, 0 more finished",
    ]


def test_nothing_is_folded_when_all_is_asked_for(frozen_clock, settings, said):
    settings.DJANGO_JOBS = {"LOG_JOBS": "all"}
    folding = Folding()
    for number in range(FOLD_ABOVE + 10):
        folding.take(Start(claimed(number)))
    assert len(said()) == FOLD_ABOVE + 10


@pytest.fixture
def journal():
    journal = Journal()
    journal.start()
    yield journal
    journal.stop(10)


def test_the_journal_writes_what_it_was_given_before_it_ends(said):
    journal = Journal()
    journal.start()
    journal.write([Start(claimed(1))])
    journal.write([])
    journal.write([end()])
    journal.stop(10)
    assert said() == ["add #1 started", "add #1 0.42 s"]


def test_folded_lines_are_written_although_nothing_follows(journal, said):
    journal.write([Start(claimed(number)) for number in range(FOLD_ABOVE + 5)])
    until(lambda: said()[-1:] == ["add: 5 more started, 0 more finished"])


@pytest.fixture
def heard():
    """What receivers of the signals were told."""
    heard = []

    def hear(sender, signal, **values):
        heard.append((sender, values["claimed"].id, values.get("transition")))

    def fail(**_):
        raise RuntimeError("a receiver is broken")

    for signal in (signals.job_started, signals.job_finished):
        signal.connect(fail)
        signal.connect(hear)
    yield heard
    for signal in (signals.job_started, signals.job_finished):
        signal.disconnect(fail)
        signal.disconnect(hear)


@pytest.mark.django_db(transaction=True)
def test_receivers_are_told_of_starts_and_ends(journal, heard):
    done = end()
    journal.write([Start(claimed(1)), done, end(number=2, fenced=True)])
    until(lambda: len(heard) == 2)
    assert heard == [("tests.jobs.add", 1, None), ("tests.jobs.add", 1, done.transition)]


@pytest.mark.django_db(transaction=True)
def test_the_journal_outlives_a_receiver_that_exits(journal, said):
    def leave(**_):
        raise SystemExit

    signals.job_started.connect(leave)
    try:
        journal.write([Start(claimed(1))])
        journal.write([Start(claimed(2))])
        until(lambda: "add #2 started" in said())
    finally:
        signals.job_started.disconnect(leave)


def test_the_journal_outlives_a_filter_that_breaks(journal, said):
    def refuse(record):
        raise RuntimeError("a filter is broken")

    logger = logging.getLogger("django_jobs.job")
    logger.addFilter(refuse)
    try:
        journal.write([Start(claimed(1))])
        until(journal._inbox.empty)
    finally:
        logger.removeFilter(refuse)
    journal.write([Start(claimed(2))])
    until(lambda: said()[-1:] == ["add #2 started"])


def test_a_job_that_waits_says_for_what_and_until_when(said, frozen_clock):
    log(end(Suspended(Later(instant=frozen_clock.now()), "event order/paid")))
    log(end(Suspended(None, "a job of double")))
    assert said() == [
        "add #1 waits for event order/paid, until 2030-01-15 12:00:00 UTC",
        "add #1 waits for a job of double",
    ]
