"""The demo's processes, with a script in the place of `manage.py`."""

import os

import pytest

from example_project.shop.demo.processes import ChildDied, Group

SCRIPT = """
import pathlib, sys, time
begun = pathlib.Path(__file__).with_name("begun")
with begun.open("a") as file:
    file.write("once\\n")
if len(begun.read_text().split()) == 1:
    sys.exit(int(sys.argv[1]))
time.sleep(600)
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "manage.py"
    path.write_text(SCRIPT)
    return path


def begun(script):
    path = script.with_name("begun")
    return len(path.read_text().split()) if path.exists() else 0


def test_what_ends_in_good_order_is_started_anew_where_that_is_wanted(script):
    with Group(script, dict(os.environ)) as children:
        children.start("worker", "0", again=True)
        assert children.wait_until(lambda: begun(script) == 2, 30)


@pytest.mark.parametrize(("code", "again"), [("0", False), ("3", True)])
def test_what_else_ends_ends_the_demo(script, code, again):
    with Group(script, dict(os.environ)) as children:
        children.start("worker", code, again=again)
        with pytest.raises(ChildDied, match=rf"The worker ended \(exit code {code}\)"):
            children.wait_until(lambda: begun(script) == 2, 30)
