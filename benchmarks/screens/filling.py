"""Fills the big tables by SQL: jobs, runs, steps, events and figures. One text for both databases."""

from collections.abc import Iterator
from time import time

from django.db import connection

from benchmarks.screens.amounts import DAYS, KINDS, SUBJECTS, Amounts
from benchmarks.screens.jobs import NAMES, PLACE, QUEUES, RARE
from django_jobs.tallies import BUCKETS

CHUNK = 500_000
"""Jobs in one transaction."""

CLAIMS = 20
LATEST = 150
"""So many failures struck in the last minutes, one every five seconds."""

DAY, HOUR, MINUTE = 86_400, 3_600, 60
TRACE = "Traceback (most recent call last):\n" + "".join(
    f'  File "/srv/shop/{part}.py", line {line}, in {part}\n    return call(order, **values)\n'
    for line, part in enumerate(("jobs", "orders", "clients", "sessions", "adapters") * 4, 80)
)


ARGUMENTS = """'{"order": ' || i || ', "email": "customer' || (i % 5000) || '@shop.test"}'"""
RESULT = """'{"sent": ' || id || '}'"""


class Dialect:
    """What the two databases call differently."""

    def __init__(self) -> None:
        self.postgresql = connection.vendor == "postgresql"

    def at(self, seconds: str) -> str:
        """Return an instant, given in seconds since 1970."""
        if self.postgresql:
            return f"to_timestamp({seconds})"
        return f"strftime('%Y-%m-%d %H:%M:%f000', {seconds}, 'unixepoch')"

    def json(self, text: str) -> str:
        """Return a text as JSON."""
        return f"({text})::jsonb" if self.postgresql else f"({text})"

    def numbers(self, first: int, last: int) -> str:
        """Return a table of the numbers `i` from the first to the last."""
        if self.postgresql:
            return f"generate_series({first}, {last}) AS numbers(i)"
        more = f"SELECT {first} AS i UNION ALL SELECT i + 1 FROM numbers WHERE i < {last}"
        return f"(WITH RECURSIVE numbers(i) AS ({more}) SELECT i FROM numbers) AS numbers"

    def chosen(self, values: tuple[str, ...], number: str) -> str:
        """Return one of `values` by a number."""
        cases = " ".join(f"WHEN {place} THEN '{value}'" for place, value in enumerate(values))
        return f"CASE {number} {cases} END"


def fill(amounts: Amounts) -> Iterator[tuple[str, int]]:
    """Fill everything; yield what was filled and how many rows that were."""
    dialect, now = Dialect(), time()
    for first in range(1, amounts.jobs + 1, CHUNK):
        _run(_jobs(dialect, amounts, now, first, min(first + CHUNK - 1, amounts.jobs)))
    yield "jobs", amounts.jobs
    yield "runs", _run(_runs(dialect, amounts)) + _run(_retried_runs(dialect))
    yield "steps", _run(_steps(dialect, amounts))
    yield "events", _run(_events(dialect, amounts, now))
    minutes = _run(_tallies(dialect, 1, 2 * DAY // MINUTE, now))
    yield "tallies", minutes + _run(_tallies(dialect, 60, 90 * DAY // HOUR, now))


def analyze() -> None:
    """Let the database know what it has, as its autovacuum or a worker does."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("VACUUM (ANALYZE)")
            cursor.execute("CHECKPOINT")
        else:
            cursor.execute("ANALYZE")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _run(statement: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.rowcount)


def _jobs(dialect: Dialect, amounts: Amounts, now: float, first: int, last: int) -> str:
    at, json = dialect.at, dialect.json
    begin, pace = now - DAYS * DAY, (DAYS * DAY - MINUTE) / amounts.jobs
    failed = amounts.stride(amounts.failed)
    ago = f"({amounts.jobs} - i) / {failed}"
    ended = f"""CASE WHEN state = 'FAILED' AND {ago} < {LATEST} THEN {now:.3f} - ({ago}) * 5.0
        WHEN state = 'FAILED' THEN enqueued + 300.0 ELSE enqueued + 1.5 + i % 11 END"""
    due = f"""CASE state WHEN 'SCHEDULED' THEN {now:.3f} + i % {DAY}
        WHEN 'WAITING' THEN {now:.3f} + {DAY} + i % {DAY} ELSE enqueued END"""
    kind = f"(CASE WHEN state = 'FAILED' THEN {_kind(failed)} ELSE i END)"
    final = "state IN ('SUCCESSFUL', 'FAILED', 'CANCELLED')"
    tried = f"({final} OR state IN ('RUNNING', 'WAITING') OR state = 'SCHEDULED' AND i % 3 = 0)"
    return f"""
    INSERT INTO django_jobs_job (
        id, name, queue, priority, args, kwargs, state, run_at, attempt, max_attempts, max_lost,
        claim_id, enqueued_at, started_at, finished_at, fingerprint, has_steps, waiting_for,
        version, about)
    SELECT i,
        CASE WHEN i % 100000 = 77 THEN '{RARE}'
             ELSE '{PLACE}' || {dialect.chosen(NAMES, f"({kind} % {len(NAMES)})")} END,
        {dialect.chosen(QUEUES, f"({kind} / 3 % {len(QUEUES)})")},
        0, {json("'[]'")},
        {json(ARGUMENTS)},
        state,
        {at(due)},
        CASE WHEN state = 'FAILED' THEN 4 WHEN {tried} THEN 1 ELSE 0 END, 4, 3,
        CASE WHEN state = 'RUNNING' THEN 1 + i / 2 % {CLAIMS} END,
        {at("enqueued")},
        CASE WHEN {tried} THEN {at(f"({ended}) - 1.1")} END,
        CASE WHEN {final} THEN {at(ended)} END,
        CASE WHEN state = 'FAILED' THEN 'facade00000000' || (10 + {_kind(failed)}) ELSE '' END,
        i > {amounts.jobs - 200_000} AND i % 40 = 5, CASE WHEN state = 'WAITING' THEN 'order/paid' END,
        'v42', CASE WHEN i % 50 = 7 THEN 'auth.group:' || (1 + i / 50 % {SUBJECTS}) END
    FROM (SELECT i, {begin:.3f} + i * {pace:.9f} AS enqueued, {_state(amounts)} AS state
          FROM {dialect.numbers(first, last)}) AS jobs
    """


def _state(amounts: Amounts) -> str:
    backlog = amounts.jobs - 2 * amounts.ready
    return f"""CASE
        WHEN i % {amounts.stride(amounts.failed)} = 0 THEN 'FAILED'
        WHEN i > {backlog} AND i % 2 = 1 THEN 'READY'
        WHEN i > {backlog - 2 * amounts.running} AND i % 2 = 1 AND i <= {backlog} THEN 'RUNNING'
        WHEN i % {amounts.stride(amounts.scheduled)} = 1 THEN 'SCHEDULED'
        WHEN i % {amounts.stride(amounts.waiting)} = 2 THEN 'WAITING'
        WHEN i % 83 = 3 THEN 'CANCELLED'
        ELSE 'SUCCESSFUL' END"""


def _kind(stride: int) -> str:
    """Return which error it was: some are frequent, some rare; each is one of one job."""
    number = f"i / {stride}"
    return f"""CASE WHEN {number} % 3 = 0 THEN 0 WHEN {number} % 3 = 1 THEN {number} / 3 % 6
        ELSE {number} / 3 % {KINDS} END"""


def _runs(dialect: Dialect, amounts: Amounts) -> str:
    trace = TRACE.replace("'", "''")
    words = "'Timeout ' || substr(fingerprint, 15) || ': 503 from partner for order ' || id"
    bad = "state = 'FAILED'"
    return f"""
    INSERT INTO django_jobs_job_run (
        job_id, claim_id, attempt, outcome, started_at, finished_at, worker, result, error_type,
        error, error_text, traceback, fingerprint, log)
    SELECT id, id, attempt, lower(state), started_at, finished_at,
        'web-' || (id % 6) || ':4711', {dialect.json(RESULT)},
        CASE WHEN {bad} THEN 'shop.clients.Unavailable' ELSE '' END,
        CASE WHEN {bad} THEN {words} ELSE '' END,
        CASE WHEN {bad} THEN {words} ELSE '' END,
        CASE WHEN {bad} THEN '{trace}' ELSE '' END, fingerprint, ''
    FROM django_jobs_job
    WHERE finished_at IS NOT NULL AND (id > {amounts.jobs - amounts.with_runs} OR {bad})
    ORDER BY id
    """


def _retried_runs(dialect: Dialect) -> str:
    del dialect
    return f"""
    INSERT INTO django_jobs_job_run (
        job_id, claim_id, attempt, outcome, started_at, finished_at, worker, error_type, error,
        error_text, traceback, fingerprint, log)
    SELECT id, id, 1, 'retried', started_at, started_at, 'web-1:4711', 'builtins.ConnectionError',
        'reset by peer', 'reset by peer', '{TRACE.replace("'", "''")}', 'facade0000000099', ''
    FROM django_jobs_job WHERE state = 'SCHEDULED' AND attempt = 1
    """


def _steps(dialect: Dialect, amounts: Amounts) -> str:
    return f"""
    INSERT INTO django_jobs_job_step (
        job_id, key, position, state, result, attempts, error_type, error, started_at, finished_at,
        claim_id)
    SELECT id, 'step-' || i, i, 'done', '{{"ok": true}}', 1, '', '', enqueued_at, enqueued_at, id
    FROM django_jobs_job CROSS JOIN {dialect.numbers(1, 5)}
    WHERE id > {amounts.jobs - 200_000} AND has_steps
    """


def _events(dialect: Dialect, amounts: Amounts, now: float) -> str:
    at, json = dialect.at, dialect.json
    when = f"{now:.3f} - ({amounts.events} - i) * {7 * DAY / amounts.events:.6f}"
    return f"""
    INSERT INTO django_jobs_event (
        name, data, sent_at, is_repeated, is_heard, handed_out_at, started, woken, problem)
    SELECT {dialect.chosen(("order/paid", "order/sent", "user/new", "stock/low"), "i % 4")},
        '{{"order": ' || i || '}}', {at(when)}, FALSE, TRUE, {at(f"{when} + 0.2")},
        {json("'[' || i || ']'")}, i % 2, CASE WHEN i % 5000 = 0 THEN 'Nobody knows it.' ELSE '' END
    FROM {dialect.numbers(1, amounts.events)}
    """


def _tallies(dialect: Dialect, span: int, points: int, now: float) -> str:
    """Return the statement for the newest figures, of all jobs together and of each one."""
    newest = int(now) // MINUTE // span * span
    filled = [f"wait_{place}" for place in range(2, 9)] + [f"run_{place}" for place in range(3, 12)]
    assert len(filled) < 2 * BUCKETS
    names = {0: ("", "")} | {
        place: (QUEUES[place % len(QUEUES)], PLACE + name) for place, name in enumerate(NAMES, 1)
    }
    queues, jobs = (tuple(pair[part] for pair in names.values()) for part in (0, 1))
    share = f"CASE WHEN part.i = 0 THEN {len(NAMES)} ELSE 1 END * {span}"
    return f"""
    INSERT INTO django_jobs_tally (
        span, minute, queue, name, succeeded, failed, retried, cancelled, put_off, wait_sum,
        run_sum, {", ".join(filled)})
    SELECT {span}, {newest} - point.i * {span}, {dialect.chosen(queues, "part.i")},
        {dialect.chosen(jobs, "part.i")}, 14 * {share}, {share}, {share}, 0, 0, 30.0 * {share},
        45.0 * {share}, {", ".join(share for _ in filled)}
    FROM (SELECT i FROM {dialect.numbers(0, points - 1)}) AS point
    CROSS JOIN (SELECT i FROM {dialect.numbers(0, len(NAMES))}) AS part
    """
