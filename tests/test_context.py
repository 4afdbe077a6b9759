"""What a running job knows about itself and may say."""

from datetime import timedelta

import pytest

from django_jobs.context import LINE_LENGTH, LOG_BYTES, LOG_LINES, Ask, JobContext


@pytest.fixture
def context(frozen_clock):
    return JobContext("shop.jobs.send", job_id=7, max_attempts=4)


def test_a_detached_context_stands_for_no_job(frozen_clock):
    context = JobContext.detached("shop.jobs.send")
    assert (context.name, context.job_id, context.attempt) == ("shop.jobs.send", None, 1)
    context.progress(1, 2)
    context.log("fine")
    assert not context.should_stop()


def test_nobody_asks_it_to_stop_at_first(context):
    assert not context.should_stop()
    assert context.ask is None
    assert context.obeyed is None


@pytest.mark.parametrize("ask", list(Ask))
def test_it_obeys_what_it_was_told(context, ask):
    context.tell(ask)
    assert context.obeyed is None
    assert context.should_stop()
    assert context.obeyed is ask


def test_a_weighty_reason_outranks_a_lighter_one(context):
    context.tell(Ask.SHUTDOWN)
    context.tell(Ask.CANCEL)
    context.tell(Ask.TIMEOUT)
    assert context.ask is Ask.CANCEL


def test_listeners_hear_each_new_reason_once(context):
    heard = []
    context.on_tell(heard.append)
    for ask in (Ask.SHUTDOWN, Ask.SHUTDOWN, Ask.LOST, Ask.CANCEL):
        context.tell(ask)
    assert heard == [Ask.SHUTDOWN, Ask.LOST]


def test_a_late_listener_hears_what_was_told_before(context):
    context.tell(Ask.TIMEOUT)
    heard = []
    context.on_tell(heard.append)
    assert heard == [Ask.TIMEOUT]


def test_only_the_newest_progress_is_kept(context):
    context.progress(1, 10, "one")
    context.progress(2, 10, "two")
    assert context.has_news
    assert context.take_progress() == (2, 10, "two")
    assert context.take_progress() is None
    assert not context.has_news


def test_progress_takes_what_a_column_can_hold(context):
    context.progress(2**63 - 1, 2**63 - 1)
    for done, total in ((2**63, None), (0, 2**63), (-(2**63) - 1, None)):
        with pytest.raises(ValueError, match="progress"):
            context.progress(done, total)


def test_log_lines_carry_their_instant(context, frozen_clock):
    at = frozen_clock.now()
    context.log("one")
    frozen_clock.advance(timedelta(seconds=65))
    context.log(2)
    progress, lines = context.take_news()
    assert progress is None
    assert lines == ((at, "one"), (at + timedelta(seconds=65), "2"))
    assert context.take_news() == (None, ())
    assert context.log_tail == "12:00:00 one\n12:01:05 2"


def test_secrets_are_masked_in_lines_and_notes(context):
    context.find_secrets = lambda: frozenset({"hunter2"})
    context.log("login with hunter2")
    context.progress(1, 2, "hunter2")
    progress, lines = context.take_news()
    assert lines[0][1] == "login with •••"
    assert progress[2] == "•••"
    assert "hunter2" not in context.log_tail


def test_secrets_are_looked_for_only_when_they_are_needed(context):
    looked = []

    def look():
        looked.append(1)
        return frozenset({"hunter2"})

    context.find_secrets = look
    assert not looked
    context.log("a")
    context.log("b")
    assert looked == [1]


def test_what_no_database_stores_is_cleaned(context):
    context.log("a\x00b\ud800")
    context.progress(1, None, "a\x00b")
    progress, lines = context.take_news()
    assert "\x00" not in lines[0][1] + progress[2]
    lines[0][1].encode("utf-8")


def test_long_lines_and_notes_are_cut(context):
    context.log("x" * 5000)
    context.progress(1, None, "y" * 5000)
    progress, lines = context.take_news()
    assert len(lines[0][1]) == LINE_LENGTH
    assert len(progress[2]) == 255


def test_a_million_lines_leave_the_newest(context):
    for number in range(LOG_LINES * 2):
        context.log(f"line {number}")
    _, lines = context.take_news()
    assert len(lines) == LOG_LINES
    assert lines[-1][1] == f"line {LOG_LINES * 2 - 1}"
    assert len(context.log_tail.splitlines()) == LOG_LINES


def test_the_tail_is_bounded_by_bytes(context):
    for _ in range(LOG_LINES):
        context.log("é" * 1000)
    assert len(context.log_tail.encode()) <= LOG_BYTES


def test_news_that_could_not_be_written_come_again_before_newer_ones(context):
    context.log("one")
    context.progress(1)
    progress, lines = context.take_news()
    context.log("two")
    context.put_back(progress, lines)
    progress, lines = context.take_news()
    assert progress == (1, None, "")
    assert [text for _, text in lines] == ["one", "two"]


def test_newer_progress_wins_over_what_was_put_back(context):
    context.progress(1)
    progress, lines = context.take_news()
    context.progress(2)
    context.put_back(progress, lines)
    assert context.take_progress() == (2, None, "")


def test_lines_that_cannot_be_written_do_not_fill_the_memory(context):
    for _ in range(3):
        for number in range(LOG_LINES):
            context.log(number)
        context.put_back(*context.take_news())
        context.log("newest")
    _, lines = context.take_news()
    assert len(lines) <= LOG_LINES + 1
    assert lines[-1][1] == "newest"
