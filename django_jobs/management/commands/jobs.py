"""`manage.py jobs …`: look at jobs and act on them from a terminal. Needs no worker.

What is about schedules and events stands in modules of their own.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser, no_translations
from django.db import DatabaseError, connections

from django_jobs import clock, operations, registry
from django_jobs.conf import get_settings
from django_jobs.display import ago, call_text, duration, json_text
from django_jobs.engines.endings import NEVER
from django_jobs.exceptions import JobError
from django_jobs.management.arguments import instant, job_id, positive
from django_jobs.management.events import EventCommands
from django_jobs.management.groups import GroupCommands
from django_jobs.management.repairs import RepairCommands
from django_jobs.management.schedules import ScheduleCommands
from django_jobs.management.tables import write_facts, write_table
from django_jobs.models import Batch, BatchJob, Job, JobLog, JobProgress, JobRun, JobStep
from django_jobs.operations import OperationResult
from django_jobs.origins import spoken
from django_jobs.reports.explaining import reasons
from django_jobs.reports.problems import Fix, Level, Operation
from django_jobs.reports.summary import its_children, summarise, with_error
from django_jobs.reports.verdict import verdict
from django_jobs.states import FINAL, State

MOST_PARENTS = 5
"""A job may be in several flows; so many parents are named."""


class Command(ScheduleCommands, EventCommands, RepairCommands, GroupCommands):
    """The command `jobs` with its subcommands."""

    help = "Look at jobs and schedules, and act on them."
    # It must work while something is wrong; some checks of Django's need the database.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the subcommands."""
        commands = parser.add_subparsers(dest="subcommand", required=True, metavar="SUBCOMMAND")
        _add_list(commands.add_parser("list", help="newest jobs first"))
        show = commands.add_parser("show", help="everything about one job")
        show.add_argument("ids", metavar="ID", type=job_id, nargs=1)
        why = commands.add_parser("why", help="why a job does not run, and what to do")
        why.add_argument("ids", metavar="ID", type=job_id, nargs=1)
        for name, text in ACTIONS.items():
            action = commands.add_parser(name, help=text)
            action.add_argument("ids", metavar="ID", type=job_id, nargs="+")
            if name == "retry":
                action.add_argument("--from-start", action="store_true", help="forget its steps")
            if name in ("cancel", "requeue"):
                action.add_argument("--force", action="store_true", help="take it from its worker")
        pause = commands.add_parser("pause", help="start nothing of a queue")
        pause.add_argument("queue")
        pause.add_argument("--reason", default="", help="for others to read")
        pause.add_argument("--until", type=instant, help="an ISO time, or 30m, 2h, 1d from now")
        resume = commands.add_parser("resume", help="go on with a paused queue")
        resume.add_argument("queue")
        commands.add_parser("definitions", help="the jobs that this project declares")
        status = commands.add_parser("status", help="what is wrong; how many jobs, which workers")
        status.add_argument("--check", action="store_true", help="exit with 1 when it is bad")
        self.add_schedule_commands(commands)
        self.add_event_commands(commands)
        self.add_repair_commands(commands)
        self.add_group_commands(commands)

    @no_translations  # as Django's own: scripts read it, whatever people speak
    def handle(self, *_args: Any, subcommand: str, **options: Any) -> None:
        """Run one subcommand; what goes wrong is told without a traceback."""
        method: Callable[..., None] = getattr(self, "do_" + subcommand.replace("-", "_"))
        try:
            method(**options)
        except JobError as problem:
            raise CommandError(str(problem)) from problem
        except DatabaseError as problem:
            raise CommandError(_trouble(problem)) from problem

    def do_list(self, state: str, queue: str, name: str, limit: int, **_: Any) -> None:
        """Print the newest jobs, one per line."""
        filters = {"state": state, "queue": queue, "name__contains": name}
        jobs: Any = with_error(Job.objects.using(get_settings().DATABASE)).filter(
            **{key: value for key, value in filters.items() if value}
        )
        now = clock.now()
        rows = [
            (
                f"#{job.pk}",
                job.short_name,
                job.label,
                job.queue,
                f"{job.attempt}/{job.max_attempts}",
                ago(job.finished_at or job.started_at or job.enqueued_at, now),
                _remark(job),
            )
            for job in jobs.order_by("-id")[:limit]
        ]
        titles = ("ID", "JOB", "STATE", "QUEUE", "ATTEMPT", "LAST CHANGE", "REMARK")
        write_table(self.stdout, titles, rows, empty="No such jobs.")

    def do_show(self, ids: list[int], **_: Any) -> None:
        """Print everything about one job."""
        alias = get_settings().DATABASE
        job = _job(ids[0])
        write_facts(self.stdout, _facts(job, clock.now()))
        progress = JobProgress.objects.using(alias).filter(pk=job.pk).first()
        if progress:
            write_facts(self.stdout, [("progress", f"{progress} {progress.note}".rstrip())])
        for step in JobStep.objects.using(alias).filter(job_id=job.pk):
            self.stdout.write(f"step {step.key}: {step.summary(ended=job.state in FINAL)}")
        known = ""
        for run in JobRun.objects.using(alias).filter(job=job.pk).order_by("id"):
            self._run(run, known)
            known = run.traceback
        lines = JobLog.objects.using(alias).filter(job_id=job.pk).order_by("-id")[:100]
        for line in reversed(lines):
            self.stdout.write(f"  {line.at:%H:%M:%S} {line.line}")

    def do_why(self, ids: list[int], **_: Any) -> None:
        """Print why a job does not run."""
        job = _job(ids[0])
        self.stdout.write(f"{job}: {job.label}")
        for reason in reasons(job):
            self.stdout.write(f"- {reason.text}")
            if reason.advice:
                self.stdout.write(f"  {reason.advice}")

    def do_retry(self, ids: list[int], *, from_start: bool = False, **_: Any) -> None:
        """Retry finished jobs."""
        self._report("retried", operations.retry(ids, from_start=from_start))

    def do_cancel(self, ids: list[int], *, force: bool = False, **_: Any) -> None:
        """Cancel jobs."""
        self._report("cancelled", operations.cancel(ids, force=force))

    def do_requeue(self, ids: list[int], *, force: bool = False, **_: Any) -> None:
        """Take running jobs from a silent worker."""
        self._report("requeued", operations.requeue(ids, force=force))

    def do_run_now(self, ids: list[int], **_: Any) -> None:
        """Make scheduled jobs ready."""
        self._report("made ready", operations.run_now(ids))

    def do_pause(self, queue: str, reason: str, until: datetime | None, **_: Any) -> None:
        """Pause a queue."""
        changed = operations.pause_queue(queue, by="manage.py jobs", reason=reason, until=until)
        suffix = f", until {until:%Y-%m-%d %H:%M %Z}" if until else ""
        word = "is paused" if changed else "was paused already"
        self.stdout.write(f'Queue "{queue}" {word}{suffix}. Running jobs go on.')

    def do_resume(self, queue: str, **_: Any) -> None:
        """Resume a queue."""
        changed = operations.resume_queue(queue)
        self.stdout.write(f'Queue "{queue}" {"goes on" if changed else "was not paused"}.')

    def do_definitions(self, **_: Any) -> None:
        """Print the declared jobs."""
        rows = [
            (
                definition.name,
                definition.queue,
                str(definition.max_attempts),
                duration(definition.timeout) if definition.timeout else "none",
                definition.source,
            )
            for definition in registry.declared()
        ]
        titles = ("NAME", "QUEUE", "ATTEMPTS", "TIMEOUT", "DECLARED AT")
        write_table(
            self.stdout, titles, rows, empty="No jobs are declared. Put @job functions in jobs.py."
        )

    def do_status(self, *, check: bool = False, **_: Any) -> None:
        """Print what is wrong, then counts, the oldest job of each queue, and the workers."""
        now, found = clock.now(), verdict()
        self.stdout.write(f"{found.headline}.")
        for problem in found.problems:
            self.stdout.write(f"- {problem.text}")
            if advice := problem.advice or _advice(problem.fix):
                self.stdout.write(f"  {advice}")
        self.stdout.write("")
        summary = summarise(get_settings().DATABASE, now)
        for title, number in summary.counts:
            self.stdout.write(f"{title:<12}{number}")
        self.stdout.write("")
        queues = [
            (item.name, item.waiting, ago(item.oldest, now), "paused" if item.paused else "")
            for item in summary.queues
        ]
        write_table(
            self.stdout,
            ("QUEUE", "WAITING", "OLDEST", ""),
            queues,
            empty="No queues were seen yet.",
        )
        if summary.more_queues:
            self.stdout.write("There are more queues; these are the first by name.")
        self.stdout.write("")
        workers = [
            (item.name, ", ".join(item.queues) or "all", ago(item.beat_at, now), item.word)
            for item in summary.workers
        ]
        empty = "No workers. Start one: python manage.py runworker"
        write_table(self.stdout, ("WORKER", "QUEUES", "LAST SEEN", ""), workers, empty=empty)
        if summary.more_workers:
            self.stdout.write("There are more workers; these were heard of last.")
        if check and found.level is Level.BAD:
            raise CommandError(f"{found.headline}, the worst of them bad.")

    def _run(self, run: JobRun, known: str) -> None:
        took = f" in {duration(run.finished_at - run.started_at)}" if run.started_at else ""
        at = f"{run.finished_at:%Y-%m-%d %H:%M:%S}"
        where = f" on {run.worker}" if run.worker else ""
        # A parent that its child has failed was never tried.
        which = f"attempt {run.attempt}: " if run.attempt else ""
        self.stdout.write(f"{which}{run.outcome}{took}, {at}{where}")
        if run.result is not None:
            self.stdout.write(f"  result  {json_text(run.result)}")
        repeated = run.traceback and run.traceback == known
        trace = "(the same traceback)" if repeated else run.traceback
        texts = (run.error_text or run.error, trace, run.log)
        for line in "\n".join(text for text in texts if text).splitlines():
            self.stdout.write(f"  {line}")

    def _report(self, done: str, result: OperationResult) -> None:
        if result.done:
            self.stdout.write(f"{_count(result.done)} {done}: {_listed(result.done)}.")
        if result.asked:
            text = "asked to stop; a running job ends at its next look"
            self.stdout.write(f"{_count(result.asked)} {text}: {_listed(result.asked)}.")
        if result.refused:
            reasons = [f"#{job_id} not {done}: {why}." for job_id, why in result.refused.items()]
            raise CommandError("\n".join(reasons))


def _trouble(problem: DatabaseError) -> str:
    first = str(problem).strip().partition("\n")[0].rstrip(".")
    if connections[get_settings().DATABASE].connection is None:
        return f"The jobs database does not answer: {first}. Is it running?"
    return (
        f"The jobs database answers: {first}. If tables are missing, run: python manage.py migrate"
    )


ACTIONS = {
    "retry": "run finished jobs again",
    "cancel": "cancel waiting jobs, ask running ones to stop",
    "requeue": "take running jobs from a worker that is silent",
    "run-now": "make scheduled jobs ready at once",
}


def _add_list(parser: Any) -> None:
    states = [state.value for state in State]
    parser.add_argument("--state", type=str.upper, choices=states, default="")
    parser.add_argument("--queue", default="")
    parser.add_argument("--name", default="", help="a part of the job's name")
    parser.add_argument("--limit", type=positive, default=20, help="how many (default 20)")


def _job(number: int) -> Job:
    job = Job.objects.using(get_settings().DATABASE).filter(pk=number).first()
    if job is None:
        raise CommandError(f"Job #{number}: {operations.NOT_FOUND}.")
    return job


def _advice(fix: Fix | None) -> str:
    if fix is None:
        return ""
    if fix.operation is Operation.RESUME:
        return f"python manage.py jobs resume {fix.target}"
    if fix.operation is Operation.GO_ON:
        return f"python manage.py jobs workers --resume {fix.target}"
    verb = "cancel --force" if fix.operation is Operation.FORCE else fix.operation.value
    ids = " ".join(str(job_id) for job_id in fix.job_ids)
    return f"python manage.py jobs {verb} {ids}" + (" …" if fix.count > len(fix.job_ids) else "")


def _facts(job: Job, now: datetime) -> Iterable[tuple[str, str]]:
    yield "job", f"#{job.pk} {job.name}"
    yield "call", call_text(job.name, job.args, job.kwargs)
    yield from _original(job)
    yield "state", f"{job.label}, attempt {job.attempt} of {job.max_attempts}"
    if job.state not in FINAL and registry.find(job.name) is None:
        yield "unknown", f'nothing here has this name; renamed? @job(aliases=["{job.name}"])'
    if job.waiting_for:
        yield "waits for", _waits_for(job)
    for parent in _parents(job):
        yield "child of", f"{parent}, {parent.label}"
    yield "queue", f"{job.queue}, priority {job.priority}"
    moments = {
        "enqueued": job.enqueued_at,
        "run at": job.run_at if job.state == State.SCHEDULED else None,
        "until": job.run_at if job.state == State.WAITING and job.run_at < NEVER else None,
        "started": job.started_at,
        "finished": job.finished_at,
    }
    for title, at in moments.items():
        if at:
            yield title, f"{at:%Y-%m-%d %H:%M:%S %Z} ({ago(at, now)})"
    if job.lost_count:
        yield "lost", f"{job.lost_count} of at most {job.max_lost} workers died under it"
    origin = spoken(job.enqueued_by or "")
    texts = {"about": job.about, "origin": origin, "key": job.unique_key}
    yield from ((title, text) for title, text in texts.items() if text)


def _original(job: Job) -> Iterable[tuple[str, str]]:
    """Yield the call that the job was enqueued with, if somebody has changed its arguments."""
    if first := job.original_args:
        call = call_text(job.name, first["args"], first["kwargs"])
        yield "original", f"{call}; its arguments were changed"


def _waits_for(job: Job) -> str:
    children = its_children(job)[0] if job.state == State.WAITING else ""
    return children or job.waiting_for or ""


def _parents(job: Job) -> list[Job]:
    """Return the parents of the flows that a job is in, those that are left."""
    alias = get_settings().DATABASE
    flows = BatchJob.objects.using(alias).filter(job_id=job.pk).values("batch_id")
    parents = Batch.objects.using(alias).filter(pk__in=flows, parent_id__isnull=False)
    jobs = Job.objects.using(alias).filter(pk__in=parents.values("parent_id"))
    return list(jobs.exclude(pk=job.pk).order_by("pk")[:MOST_PARENTS])


def _remark(job: Any) -> str:
    """Return the error of a listed job, or else what it waits for."""
    if job.error_type:
        return f"{job.error_type}: {job.error_line}"
    return f"waits for {job.waiting_for}" if job.waiting_for else ""


def _count(ids: Iterable[int]) -> str:
    number = len(list(ids))
    return f"{number} job" if number == 1 else f"{number} jobs"


def _listed(ids: Iterable[int]) -> str:
    return ", ".join(f"#{job_id}" for job_id in sorted(ids))
