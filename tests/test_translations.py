"""Everything that people read can be said in their language, and the catalogues say all of it."""

import ast
import gettext
import re
from datetime import timedelta
from functools import cache
from io import StringIO
from pathlib import Path

import django
import pytest
from django.conf import settings
from django.core.management import call_command
from django.urls import reverse
from django.utils import translation
from django.utils.translation import templatize

import django_jobs
from django_jobs import operations
from django_jobs.display import ago, as_written, duration, grouped, undated
from django_jobs.models import Batch, BulkOperation, Event, Job, Queue, Schedule, Worker
from django_jobs.reports import explaining, verdict
from django_jobs.states import WORDS, IfFailed, RunOutcome, State, StepState, Wish, spoken
from django_jobs.timetables.planning import Missed, Overlap, TickOutcome
from django_jobs.timetables.timetable import Timetable
from django_jobs.timetables.wording import in_words
from django_jobs.worker.console import banner
from django_jobs.worker.options import WorkerOptions
from tests.conftest import NOON
from tests.dashboard.job_pages import steps_of
from tests.dashboard.pages import trouble, words
from tests.factories import (
    JobFactory,
    JobRunFactory,
    ScheduleFactory,
    TallyFactory,
    TickFactory,
    WorkerFactory,
)

PACKAGE = Path(django_jobs.__file__).parent
CATALOGUES = sorted(PACKAGE.glob("locale/*/LC_MESSAGES/django.po"))
ONE = {"_", "gettext", "gettext_lazy", "gettext_noop"}
CONTEXT = "\x04"
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%|\{\w*\}")
STRING = r"""u?('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
IN_TEMPLATES = re.compile(rf"(\b_|\w*gettext)\({STRING}(?:, {STRING})?")


def calls_in(source):
    """Yield the name and the texts of each call in a module, and whether it is in an f-string."""
    inside = {}
    for node in ast.walk(ast.parse(source)):
        for child in ast.iter_child_nodes(node):
            inside[child] = isinstance(node, ast.JoinedStr) or inside.get(node, False)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            if texts:
                yield node.func.id, texts, inside[node]


def marked_in_code():
    for path in sorted(PACKAGE.rglob("*.py")):
        for name, texts, _ in calls_in(path.read_text()):
            if name in ONE or name == "ngettext":
                yield texts[0]
            elif name in {"pgettext", "pgettext_lazy"}:
                yield CONTEXT.join(texts[:2])


def marked_in_templates():
    for path in sorted(PACKAGE.rglob("*.html")):
        code = templatize(path.read_text(), origin=str(path))
        for name, first, second in IN_TEMPLATES.findall(code):
            texts = [first, second] if name == "pgettext" else [first]
            yield CONTEXT.join(map(ast.literal_eval, texts))


@cache
def marked():
    """Return every text of ours that is there to be translated."""
    return {*marked_in_code(), *marked_in_templates()}


def entries(path):
    """Yield the key and the texts of each entry of a catalogue as it is written."""
    for block in path.read_text().split("\n\n"):
        found = {}
        for field, text in re.findall(
            r'^(msg\w+(?:\[\d\])?) (".*"(?:\n".*")*)', block, re.MULTILINE
        ):
            found[field] = "".join(map(ast.literal_eval, text.split("\n")))
        if found.get("msgid"):
            context = found.get("msgctxt")
            key = CONTEXT.join((context, found["msgid"])) if context else found["msgid"]
            sources = [found["msgid"], found.get("msgid_plural", found["msgid"])]
            texts = [text for field, text in found.items() if field.startswith("msgstr")]
            yield key, sources, texts


def compiled(path):
    """Return the entries of the compiled catalogue by key, each as a list of its texts."""
    with path.with_suffix(".mo").open("rb") as file:
        catalogue = gettext.GNUTranslations(file)._catalog
    found = {}
    for key, text in catalogue.items():
        found.setdefault(key[0] if isinstance(key, tuple) else key, []).append(text)
    found.pop("")
    return found


def test_there_are_texts_and_a_german_catalogue():
    assert {"No failed jobs.", "Delete selected jobs…", "%(number)s newer job – show"} <= marked()
    assert [path.parts[-3] for path in CATALOGUES] == ["de"]


def test_no_text_is_marked_where_makemessages_does_not_look():
    lost = [
        (path.name, texts)
        for path in PACKAGE.rglob("*.py")
        for name, texts, in_text in calls_in(path.read_text())
        if in_text and (name in ONE or name in {"ngettext", "pgettext"})
    ]
    assert lost == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
class TestCatalogue:
    def test_it_has_every_text_and_no_other(self, path):
        known = {key for key, _, _ in entries(path)}
        assert sorted(marked() - known) == []
        assert sorted(known - marked()) == []

    def test_nothing_in_it_is_empty_or_a_guess(self, path):
        assert [key for key, _, texts in entries(path) if not texts or not all(texts)] == []
        assert "#, fuzzy" not in path.read_text()
        assert "\n#~" not in path.read_text()

    def test_what_is_filled_in_stands_in_each_translation(self, path):
        for key, sources, texts in entries(path):
            wanted = [sorted(PLACEHOLDER.findall(source)) for source in sources]
            for place, text in enumerate(texts):
                assert sorted(PLACEHOLDER.findall(text)) == wanted[min(place, 1)], key

    def test_spaces_and_points_at_the_ends_are_the_same(self, path):
        for key, (_, source), texts in entries(path):
            for text in texts:
                assert text[:1].isspace() == source[:1].isspace(), key
                assert text.endswith(".") == source.endswith("."), key

    def test_the_compiled_catalogue_is_of_this_one(self, path):
        assert compiled(path) == {key: texts for key, _, texts in entries(path)}


def test_no_german_word_of_djangos_becomes_another_through_ours():
    # Ours are asked first in all of a project: what means something else needs a context.
    found = Path(django.__file__).parent.rglob("locale/de/LC_MESSAGES/django.po")
    theirs = {key: text for path in sorted(found) for key, text in compiled(path).items()}
    (ours,) = map(compiled, CATALOGUES)
    shared = ours.keys() & theirs.keys()
    assert {"Home", "History", "Go"} <= shared
    assert {key: ours[key] for key in shared if ours[key] != theirs[key]} == {}
    assert "Run" not in ours  # the admin's button since 6.1, in German only in a later release


def test_every_name_of_ours_has_a_word_that_can_be_translated():
    names = (State, RunOutcome, StepState, Wish, IfFailed, Missed, Overlap, TickOutcome)
    assert {spoken(name) for kind in names for name in kind} - {""} <= WORDS.keys()
    known = {key.rpartition(CONTEXT)[2] for key in marked()}
    assert {"stopping", "retrying"} <= WORDS.keys() <= known


@pytest.fixture
def german(settings):
    settings.LANGUAGE_CODE = "de"
    with translation.override("de"):
        yield


class TestGerman:
    @pytest.mark.parametrize(
        ("rule", "said"),
        [
            ({"every": timedelta(minutes=5)}, "alle 5 Minuten"),
            ({"every": timedelta(hours=1)}, "jede Stunde"),
            ({"cron": "0 2 * * *"}, "jeden Tag um 02:00"),
            ({"cron": "0 2 * 1,3 *"}, "jeden Tag im Januar und März um 02:00"),
            ({"cron": "0 2 * * 1,4"}, "jeden Montag und Donnerstag um 02:00"),
            ({"cron": "0 2,14 * * 1-5"}, "montags bis freitags um 02:00 und 14:00"),
            ({"cron": "*/15 8-17 * * *"}, "alle 15 Minuten von 08:00 bis 17:59"),
            ({"cron": "30 1 l * *"}, "am letzten Tag jedes Monats um 01:30"),
            ({"cron": "30 1 1,15 * *"}, "an den Tagen 1 und 15 jedes Monats um 01:30"),
            ({"cron": "0 6 * * mon#1"}, "am ersten Montag jedes Monats um 06:00"),
            ({"cron": "1-50 3 * * *"}, "in den Minuten 1–50 in Stunde 3"),
        ],
    )
    @pytest.mark.usefixtures("german")
    def test_a_schedule_is_said_in_its_order_of_words(self, rule, said):
        assert in_words(Timetable(name="night", **rule)) == said

    @pytest.mark.usefixtures("german")
    def test_spans_and_numbers_are_written_as_germans_do(self):
        assert ago(NOON - timedelta(minutes=65), NOON) == "vor 1 h 5 min"
        assert ago(NOON + timedelta(hours=2), NOON) == "in 2 h"
        assert ago(NOON, NOON) == "gerade eben"
        assert duration(0.25) == "0,25 s"
        assert grouped(12_345) == "12.345"

    def test_spans_keep_their_order_where_a_page_goes_from_right_to_left(self):
        with translation.override("ar"):
            assert duration(65) == "\u20681 min 5 s\u2069"
            assert ago(NOON, NOON + timedelta(hours=2)).startswith("\u2068")
            assert as_written("0 2 * * *") == "\u20660 2 * * *\u2069"
        with translation.override("de"):
            assert duration(65) == "1 min 5 s"
            assert as_written("0 2 * * *") == "0 2 * * *"

    @pytest.mark.django_db
    @pytest.mark.usefixtures("german", "frozen_clock")
    def test_a_job_says_why_it_does_not_run(self):
        job = JobFactory(queue="mail")
        ready, nobody = explaining.explain(job.pk)
        assert ready.text == "Der Job ist bereit: Er kam vor 30 s in die Queue „mail“."
        assert nobody.text == "Kein Worker ist aktiv."
        assert nobody.advice == "Einen starten: python manage.py runworker"

    @pytest.mark.django_db
    @pytest.mark.usefixtures("german", "frozen_clock")
    @pytest.mark.parametrize(
        ("stored", "said"),
        [
            ("its children", "untergeordnete Jobs"),
            ('step "nap"', "Schritt „nap“"),
            ("event order/paid", "Ereignis order/paid"),
            ("what a project wrote", "what a project wrote"),
        ],
    )
    def test_what_a_worker_wrote_about_a_waiting_job_is_said_too(self, stored, said):
        job = JobFactory(waiting=True, waiting_for=stored)
        assert explaining.explain(job.pk)[0].text == f"Der Job wartet auf {said}."

    @pytest.mark.django_db
    @pytest.mark.usefixtures("frozen_clock")
    def test_the_figures_and_what_was_done_have_different_words(self, admin_client, settings):
        settings.LANGUAGE_CODE = "de"
        job = JobFactory(failed=True)
        page = admin_client.get(f"/admin/jobs/job/{job.pk}/change/").content.decode()
        assert '/admin/jobs/history/">Verlauf</a>' in page
        assert f'/admin/jobs/job/{job.pk}/history/">Geschichte</a>' in page
        figures = admin_client.get("/admin/jobs/history/").content.decode()
        assert "<title>Verlauf |" in " ".join(figures.split())

    @pytest.mark.django_db
    @pytest.mark.usefixtures("german", "frozen_clock")
    def test_an_operation_says_what_it_refused(self):
        running = JobFactory(running=True)
        refused = operations.retry([running.pk, 99]).refused
        assert refused[running.pk].startswith("Status „läuft“ seit 2030-01-15 ")
        assert undated(refused[running.pk]) == (
            "Status „läuft“; nur ein beendeter Job kann wiederholt werden"
        )
        assert refused[99] == "diesen Job gibt es nicht; vielleicht wurde er aufgeräumt"

    @pytest.mark.django_db
    @pytest.mark.usefixtures("frozen_clock")
    def test_health_says_its_texts_in_german_and_its_names_in_english(self, admin_client, settings):
        settings.LANGUAGE_CODE = "de"
        JobFactory()
        answer = admin_client.get("/admin/jobs/health.json").json()
        assert answer["level"] == "bad"
        (problem,) = answer["problems"]
        assert (problem["rule"], problem["level"]) == ("no-worker", "bad")
        assert problem["text"] == "Kein Worker ist aktiv: 1 Job wartet."


class TestEnglish:
    """Commands and logs are read by scripts, and compared with what the documentation says."""

    @pytest.mark.django_db
    @pytest.mark.usefixtures("german", "frozen_clock")
    def test_commands_speak_it_in_a_german_project(self):
        job = JobFactory(queue="mail")
        out = StringIO()
        call_command("jobs", "why", str(job.pk), stdout=out)
        call_command("jobs", "status", stdout=out)
        call_command("jobs", "list", stdout=out)
        said = out.getvalue()
        assert 'It is ready: it came into the queue "mail" 30 s ago.' in said
        assert "No worker is alive: 1 job waits." in said
        assert translation.get_language() == "de"
        assert translation.gettext("No failed jobs.") not in said

    @pytest.mark.django_db
    @pytest.mark.usefixtures("german", "frozen_clock")
    def test_a_worker_of_a_german_project_begins_in_it(self):
        ScheduleFactory(name="night", next_run_at=NOON + timedelta(minutes=90), timezone="UTC")
        JobFactory.create_batch(2, run_at=NOON - timedelta(minutes=5))
        lines = "\n".join(banner(WorkerOptions()))
        assert "next: night 13:30 UTC (in 1 h 30 min)" in lines
        assert "waiting   2  oldest 5 min" in lines
        assert translation.get_language() == "de"

    def test_what_is_stored_does_not_depend_on_the_language(self):
        with translation.override("de"):
            assert [state.value for state in State][:2] == ["SCHEDULED", "READY"]
            assert verdict.Level.BAD.value == "bad"


LEFTOVERS = (
    *("Jobs by", "Failed", "Waiting", "Oldest", "Queue it", "Last seen", "alive", "silent"),
    *("ago", "just now", "No worker", "Retry", "Cancel", "Delete", "Resume", "Run now"),
    *("Refresh", "Search", "any", "State", "Reason", "Nothing", "There", "none"),
    *("every", "Arguments", "Enqueue", "Steps", "Attempt", "worker is", "started", "finished"),
    *("seconds", "yes", "Help", "Worker is", "The", "the", "of", "and", "with", "its", "is"),
)


def bulk_operation():
    return BulkOperation.objects.create(
        key="k",
        verb="retry",
        as_of=NOON,
        created_at=NOON,
        created_by="eve",
        high=100,
        expected=10,
        last_id=0,
        done=5,
    )


def everything():
    """One of all that pages show; return the addresses of these pages."""
    trouble()
    failed = JobFactory(failed=True)
    JobRunFactory(job=failed, broken=True)
    running = JobFactory(running=True)
    steps_of(running, 1, 2)
    Job.objects.filter(pk=running.pk).update(has_steps=True)
    JobFactory(scheduled=True)
    schedule = ScheduleFactory(name="night", cron="0 2 * * 1-5")
    paused = ScheduleFactory(name="hourly", paused=True)
    ScheduleFactory(name="late", next_run_at=NOON - timedelta(hours=1))
    for hours, outcome in enumerate(("on_time", "missed", "skipped", "caught_up")):
        planned = NOON - timedelta(hours=hours + 1)
        TickFactory(schedule=schedule, outcome=outcome, planned_at=planned)
    Worker.objects.update(wish=Wish.QUIET, wished_by="eve", wished_at=NOON)
    WorkerFactory(beat_at=NOON - timedelta(hours=1))
    TallyFactory(failed=1)
    event = Event.objects.create(name="order/paid", sent_at=NOON, started=[1], woken=2)
    batch = Batch.objects.create(total=3, pending=1, created_at=NOON)
    bulk = bulk_operation()
    lists = ("job", "queue", "worker", "schedule", "event", "batch", "jobrun", "bulkoperation")
    yield from ("/admin/jobs/", "/admin/jobs/failed/", "/admin/jobs/history/?range=7d")
    yield from (reverse(f"admin:django_jobs_{name}_changelist") for name in lists)
    rows = (failed, running, Queue.objects.first(), Worker.objects.first(), schedule, paused)
    for row in (*rows, event, batch, failed.runs.first(), bulk):
        yield reverse(f"admin:django_jobs_{row._meta.model_name}_change", args=[row.pk])
    yield reverse("admin:django_jobs_schedule_add")
    yield reverse("admin:django_jobs_schedule_backfill", args=[schedule.pk])
    jobs = reverse("admin:django_jobs_job_changelist")
    yield from (f"{jobs}?q=nonsense:1", f"{jobs}?q=state:failed")
    yield reverse("admin:django_jobs_job_bulk") + "?verb=retry&q=state:failed"


@pytest.mark.django_db
@pytest.mark.usefixtures("frozen_clock")
def test_no_page_of_a_german_project_has_english_left(admin_client, settings):
    addresses = list(everything())
    settings.LANGUAGE_CODE = "de"
    for address in addresses:
        response = admin_client.get(address, follow=True)
        assert response.status_code == 200, address
        page = response.content.decode()
        # The values that are typed or stored, and what a job said, are nobody's to translate.
        page = re.sub(r"<(option|datalist|code|pre)\b.*?</\1>", " ", page, flags=re.DOTALL)
        # Django 6.1's own words, which it does not translate.
        page = re.sub(
            r'<h2 id="changelist-search-form".*?</h2>|alt="Search"', " ", page, flags=re.DOTALL
        )
        said = words(page).replace("503 from partner second line", "")
        left = [text for text in LEFTOVERS if re.search(rf"(?<![\w.]){text}(?![\w.])", said)]
        assert left == [], address
        assert '<html lang="de"' in page


def test_german_is_what_a_project_gets_that_asks_for_it():
    assert settings.USE_I18N
    with translation.override("de"):
        assert str(Schedule._meta.verbose_name_plural) == "Zeitpläne"
        assert str(Job._meta.get_field("state").choices[0][1]) == "geplant"
