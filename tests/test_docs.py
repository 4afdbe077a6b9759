"""The documentation says what the code does: tables, diagrams, links, examples."""

import ast
import re
import tomllib
from dataclasses import fields
from inspect import formatannotation
from pathlib import Path

import pytest
from django.core.management import CommandParser

from django_jobs import exceptions, states
from django_jobs.conf import Settings
from django_jobs.management.commands import jobs, runworker
from django_jobs.states import (
    ErrorRecord,
    Interrupted,
    Later,
    Raised,
    Snoozed,
    State,
    Stopped,
    Succeeded,
    Suspended,
)
from tests.browser.screens import SCREENS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
ERROR = ErrorRecord("", "", "", "", "")
WORKERS_MOVES = {
    "returned": Succeeded(),
    "raised, no attempts left": Raised(ERROR),
    "raised, retried later": Raised(ERROR, Later(1)),
    "snoozed": Snoozed(Later(1)),
    "suspended": Suspended(None),
    "stopped": Stopped(),
    "worker stopped or died": Interrupted(),
}


def read(page):
    return (DOCS / page).read_text()


def tables_first_column(page):
    return re.findall(r"^\| `([^`]+)`", read(page), re.MULTILINE)


def diagram():
    """The arrows of the state diagram: {(from, to, label)}."""
    drawn = read("guide/life-of-a-job.md").partition("stateDiagram-v2\n")[2].partition("```")[0]
    return set(re.findall(r"^ +(\S+) --> (\w+): (.+)$", drawn, re.MULTILINE))


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_the_settings_table_is_what_the_code_says():
    rows = []
    for item in fields(Settings):
        default = getattr(Settings(), item.name)
        shown = f'"{default}"' if isinstance(default, str) else default
        kind = formatannotation(item.type)
        rows.append(f"| `{item.name}` | {kind} | `{shown}` | {item.metadata['meaning']} |")
    table = "\n".join(row.replace(" | None |", " or None |") for row in rows)
    assert table in read("reference/settings.md"), f"The table ought to be:\n{table}"


def test_the_diagram_has_every_move_of_an_operator_and_no_other():
    moves = {(start, end) for start, targets in states.MOVES.items() for end in targets}
    assert {(start, end) for start, end, label in diagram() if label == "operator"} == moves


def test_the_diagram_has_every_move_of_a_worker():
    expected = {
        (State.RUNNING, states.after_run(outcome).to, label)
        for label, outcome in WORKERS_MOVES.items()
    }
    drawn = {arrow for arrow in diagram() if arrow[0] == State.RUNNING and arrow[2] != "operator"}
    assert drawn == expected


def test_every_state_is_explained():
    assert set(tables_first_column("guide/life-of-a-job.md")) == set(State)


def test_every_system_check_is_documented_and_no_other():
    source = (ROOT / "django_jobs" / "checks.py").read_text()
    given = set(re.findall(r'id="(django_jobs\.[EW]\d+)"', source))
    settings = {f"django_jobs.{number}" for number in ("E001", "E002")}
    assert set(tables_first_column("reference/checks.md")) == given | settings


def test_every_option_of_the_worker_is_documented():
    parser = CommandParser()
    runworker.Command().add_arguments(parser)
    options = {text for action in parser._actions for text in action.option_strings}
    documented = set(tables_first_column("reference/commands.md"))
    assert options - {"-h", "--help"} == {text for text in documented if text.startswith("--")}


def test_every_subcommand_is_documented():
    parser = CommandParser()
    jobs.Command().add_arguments(parser)
    (subcommands,) = [action.choices for action in parser._actions if action.dest == "subcommand"]
    documented = [
        text.split()[1]
        for text in tables_first_column("reference/commands.md")
        if text.startswith("jobs ")
    ]
    assert documented == list(subcommands)


def test_every_option_of_a_job_is_documented():
    from django_jobs.options import Changes, Options

    page = read("reference/api.md")
    section = page.partition("### `job`")[2].partition("### ")[0]
    assert set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)) == set(Options.__annotations__)
    assert all(f"{name}=…" in section for name in Changes.__annotations__)


def test_the_layers_are_those_of_the_contract():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["id"] == "layers"]
    assert "\n".join(layers) in read("architecture.md")


def test_the_map_names_every_module():
    page = read("architecture.md")
    package = ROOT / "django_jobs"
    modules = [path for path in package.iterdir() if path.suffix == ".py" or path.is_dir()]
    named = {path.stem for path in modules if not path.name.startswith("__")}
    named |= {path.stem for path in (package / "worker").glob("[a-z]*.py")}
    named |= {path.stem for path in (package / "services").glob("[a-z]*.py")}
    assert not {name for name in named if f"`{name}`" not in page}


def test_every_message_is_worded_as_in_the_code():
    said = "\n".join(
        node.value
        for path in (ROOT / "django_jobs").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    shown = re.findall(r"^\| (`.+?`) \| [^|]+\|$", read("reference/messages.md"), re.MULTILINE)
    messages = [message for cell in shown for message in re.findall(r"`([^`]{12,})`", cell)]
    assert messages
    # What is between the names and numbers of an example is what the code says.
    example = re.compile(r"…|; |\"[^\"]*\"|\S*[\d(]\S*|shop\.\S+|\w+:")
    unknown = [
        message
        for message in messages
        if message not in vars(exceptions)
        and not any(
            len(part.strip()) >= 6 and part.strip() in said for part in example.split(message)
        )
    ]
    assert not unknown


def test_every_screen_is_in_a_picture_light_and_dark():
    wanted = {f"{screen.name}-{scheme}.jpg" for screen in SCREENS for scheme in ("light", "dark")}
    assert {path.name for path in (DOCS / "images").iterdir()} == wanted
    assert set(re.findall(r"\]\(\.\./images/(\S+)\)", read("guide/screens.md"))) == wanted


def test_every_decision_is_in_the_index():
    pages = {path.name for path in (DOCS / "decisions").glob("0*.md")}
    assert set(re.findall(r"\]\((\S+)\)", read("decisions/index.md"))) == pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http:", "https:")):
            continue
        name, _, fragment = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        assert found.exists(), target
        headings = re.findall(r"^#+ (.+)$", found.read_text(), re.MULTILINE) if fragment else []
        assert not fragment or fragment in map(anchor, headings), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_example_is_python(page):
    for example in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        ast.parse(example)


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
