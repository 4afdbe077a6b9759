"""The screens that are opened: what each is called, and its address."""

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlencode

from django.core import signing

from benchmarks.screens.amounts import Amounts
from benchmarks.screens.jobs import RARE
from benchmarks.screens.standing import OPERATIONS
from django_jobs.admin.job_list.chips import SHOWN_STATES
from django_jobs.models import Job, Queue
from django_jobs.progress import DEFAULT_TEMPLATE, SALT
from django_jobs.states import State

HOME = "/admin/jobs/"
STOCK = ("jobrun", "event", "batch", "bulkoperation")


class Place(NamedTuple):
    """A screen, and where it is."""

    name: str
    address: str


def places(amounts: Amounts) -> Iterator[Place]:
    """Return all screens."""
    yield Place("dashboard", HOME)
    yield Place("dashboard, refreshed", f"{HOME}live/")
    yield Place("dashboard, for machines", f"{HOME}health.json")
    yield from _lists(amounts)
    yield from _job_pages(amounts)
    yield Place("failed jobs by error", f"{HOME}failed/")
    yield Place("failed jobs by error, refreshed", f"{HOME}failed/live/")
    queue = Queue.objects.get(name="mail").pk
    yield Place("queues", f"{HOME}queue/")
    yield Place("queues, refreshed", f"{HOME}queue/live/")
    yield Place("one queue", f"{HOME}queue/{queue}/change/")
    yield Place("workers", f"{HOME}worker/")
    yield Place("workers, refreshed", f"{HOME}worker/live/")
    yield Place("schedules", f"{HOME}schedule/")
    yield Place("one schedule", f"{HOME}schedule/1/change/")
    for span in ("1h", "4h", "24h", "7d", "30d"):
        yield Place(f"history, {span}", f"{HOME}history/?range={span}")
    yield Place("history of one queue, 30d", f"{HOME}history/?range=30d&queue=mail")
    search = urlencode({"verb": "retry", "q": "state:failed"})
    yield Place("asking before all failed are retried", f"{HOME}job/bulk/?{search}")
    yield Place("one bulk operation", f"{HOME}bulkoperation/{OPERATIONS}/change/")
    for name in STOCK:
        yield Place(f"list of {name}", f"{HOME}{name}/")
        yield Place(f"list of {name}, last page", f"{HOME}{name}/?p={_last_page(name, amounts)}")
    yield Place("panel of a row's jobs", "/admin/auth/group/8/change/")
    token = signing.dumps([amounts.many_steps, False, DEFAULT_TEMPLATE], salt=SALT)
    yield Place("progress of a job", f"/jobs/progress/{token}/")


def _lists(amounts: Amounts) -> Iterator[Place]:
    home, half = f"{HOME}job/", amounts.jobs // 2
    yield Place("jobs", home)
    for word in (*SHOWN_STATES, "retrying"):
        yield Place(f"jobs, state:{word}", f"{home}?{urlencode({'q': f'state:{word}'})}")
    searches = (
        *("queue:mail", "queue:mail state:ready", "queue:mail state:failed", "queue:nowhere"),
        *(f"job:{RARE}", "job:nothing_like_that", "fp:facade0000000010", "fp:facade0000000049"),
        *("error:timeout", "error:nothing", "by:nobody", "worker:web-3", "worker:nowhere", "id:7"),
        *(f"args.order:{half}", f"args.order:{amounts.jobs - 10}", "args.order:-1"),
        *("since:15m", "since:24h", "until:7d", "since:1h state:failed", "queue:mail since:24h"),
    )
    for search in searches:
        yield Place(f"jobs, {search}", f"{home}?{urlencode({'q': search})}")
    yield Place("jobs, a page in the middle", f"{home}?before={half}")
    yield Place("jobs, the page before it", f"{home}?after={half}")
    middle = urlencode({"q": "state:failed", "before": half})
    yield Place("jobs, state:failed, in the middle", f"{home}?{middle}")
    older = urlencode({"q": "queue:mail", "to": half})
    yield Place("jobs, queue:mail, older ones", f"{home}?{older}")
    news = urlencode({"q": "", "newest": amounts.jobs - 2_000})
    yield Place("jobs, what is new", f"{home}news/?{news}")


def _job_pages(amounts: Amounts) -> Iterator[Place]:
    yield Place("job that was tried 20 times", f"{HOME}job/{amounts.many_tries}/change/")
    yield Place("job with 200 steps", f"{HOME}job/{amounts.many_steps}/change/")
    for state in (State.READY, State.RUNNING, State.SCHEDULED, State.WAITING):
        job = Job.objects.filter(state=state).latest("pk").pk
        yield Place(f"job that is {state.lower()}", f"{HOME}job/{job}/change/")
        if state is State.RUNNING:
            yield Place("job that is running, refreshed", f"{HOME}job/{job}/live/")


def _last_page(name: str, amounts: Amounts) -> int:
    rows = {"jobrun": 10_000, "event": amounts.events, "batch": 1_000, "bulkoperation": 40}
    return -(-min(rows[name], 10_000, amounts.jobs // 2) // 50)
