"""Right calls pass a type checker, wrong ones do not, without stubs for this package."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mypy") is None, reason="mypy is not installed"
)

HEAD = """
from typing import Awaitable
from django.http import HttpRequest
from typing_extensions import assert_type
from django_jobs import Batch, Flow, JobContext, aenqueue, aenqueue_many, enqueue, enqueue_many, job
from django_jobs.handles import JobHandle

@job
def plain(number: int, *, loud: bool = False) -> str: return ""

@job(queue="mail", timeout=60)
def asked(context: JobContext, number: int) -> dict[str, int]: return {}

@job
async def later(number: int) -> float: return 1.0

@job(max_attempts=2)
async def later_asked(context: JobContext, number: int) -> float: return 1.0
"""

RIGHT = """
assert_type(plain.enqueue(1, loud=True), JobHandle[str])
assert_type(asked.enqueue(1).result, dict[str, int])
assert_type(later.enqueue(number=1), JobHandle[float])
assert_type(later_asked.using(priority=3).enqueue(1), JobHandle[float])
assert_type(enqueue(plain, 1), JobHandle[str])
assert_type(enqueue(asked, 1), JobHandle[dict[str, int]])
assert_type(enqueue(later, 1), JobHandle[float])
assert_type(enqueue_many(later, [(1,), {"number": 2}]), list[JobHandle[float]])
assert_type(plain(1), str)
assert_type(asked(1), dict[str, int])
assert_type(asked(JobContext("x"), 1), dict[str, int])
assert_type(later.using(request=HttpRequest()).enqueue(1), JobHandle[float])
enqueue("shop.jobs.send", 1, to="ana")
with Batch("all") as batch, Flow(later, 1) as flow:
    assert_type(batch.enqueue(plain, 1, loud=True), JobHandle[str])
    assert_type(batch.enqueue_many(later, [(1,)]), list[JobHandle[float]])
    assert_type(batch.id, int | None)
    batch.on_finish(asked.using(priority=1), 1)
    batch.on_success("shop.jobs.publish", 1)
    assert_type(flow.parent.result, float)
    assert_type(flow.enqueue(asked, 1), JobHandle[dict[str, int]])
    assert_type(flow.using(if_failed="ignore").flow(plain, 1).parent, JobHandle[str])

async def work() -> None:
    assert_type(await later.aenqueue(1), JobHandle[float])
    assert_type(await plain.aenqueue(1), JobHandle[str])
    assert_type(await aenqueue(later_asked, 1), JobHandle[float])
    assert_type(await later(1), float)
    assert_type(await later.aenqueue_many([(1,)]), list[JobHandle[float]])
    assert_type(await plain.aenqueue_many([{"number": 1}]), list[JobHandle[str]])
    assert_type(await aenqueue_many(asked, [(1,)]), list[JobHandle[dict[str, int]]])
    assert_type(await aenqueue_many(later, [(1,)]), list[JobHandle[float]])
"""

WRONG = """
plain.enqueue("x")
plain.enqueue(1, 2)
plain.enqueue()
plain.enqueue(1, loudd=True)
asked.enqueue("x")
asked.enqueue(1, 2)
later.enqueue("x")
later_asked.enqueue("x")
enqueue(plain, "x")
enqueue(plain)
enqueue(asked, 1, 2)
enqueue(later, "x")
enqueue_many(plain, [1])
one = aenqueue_many(plain, [1])
two = later.aenqueue_many([1])
plain("x")
plain.using(quue="mail")
plain.using(priority="high")
plain.using(request="POST /pay/")
batch.enqueue(plain, "x")
batch.enqueue_many(later, [1])
batch.on_success(plain, "x")
batch.on_failure(plain)
batch.on_finish(asked, 1, 2)
Flow(plain, "x")
flow.enqueue(later, "x")
flow.flow(asked, "x")
job(quue="mail")
"""


def check(folder, text):
    """Return the numbers of the lines in which mypy finds an error."""
    snippet = folder / "snippet.py"
    snippet.write_text(text)
    config = folder / "mypy.ini"
    config.write_text("[mypy]\nstrict = true\nignore_missing_imports = true\n")
    command = ["-m", "mypy", "--config-file", str(config), "--cache-dir", str(folder / "cache")]
    done = subprocess.run(
        [sys.executable, *command, "--follow-imports=silent", str(snippet)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return {int(number) for number in re.findall(r"snippet.py:(\d+): error", done.stdout)}


def test_right_calls_pass_and_every_wrong_one_is_reported(tmp_path):
    text = HEAD + RIGHT + WRONG
    first_wrong = (HEAD + RIGHT).count("\n") + 2
    last_wrong = text.count("\n")
    assert check(tmp_path, text) == set(range(first_wrong, last_wrong + 1))
