"""Jobs that tests enqueue and run. Found by autodiscovery, as those of any app."""

import threading
from pathlib import Path

from django_jobs import JobContext, NonRetriable, job

RECIPIENT = "ana@example.com"


@job
def add(left: int, right: int = 0) -> int:
    return left + right


@job(queue="mail", priority=5, max_attempts=3, timeout=20)
def send(to: str, subject: str = "hello") -> str:
    return f"{subject} to {to}"


@job
def count(context: JobContext, number: int) -> dict[str, int]:
    context.progress(number, number, "counted")
    return {"counted": number, "attempt": context.attempt}


@job
async def double(number: int) -> int:
    return 2 * number


@job
async def double_told(context: JobContext, number: int) -> int:
    context.log(f"doubling {number}")
    return 2 * number


@job(max_attempts=2)
def fail(message: str = "broken") -> None:
    raise RuntimeError(message)


@job
def fail_for_good(message: str = "hopeless") -> None:
    raise NonRetriable(message)


@job(sensitive=("card",), aliases=("tests.jobs.charge_card",), on_crash="fail")
def charge(customer: int, card: str, *, api_key: str = "") -> None:
    pass


@job
def nothing() -> None:
    pass


@job
def wait_for_file(path):
    pause = threading.Event()
    while not Path(path).exists():
        pause.wait(0.02)
