"""The rules of the code itself: sizes, and which module may do what. An exception needs an ADR."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "django_jobs"
LONGEST_FUNCTION = 40
LONGEST_FILE = 400
DEEPEST_NESTING = 3
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SQL = re.compile(
    r"\bSELECT\s+[\w*(]|\bINSERT INTO\b|\bUPDATE\s+\w+\s+SET\b|\bDELETE FROM\b"
    r"|^\s*(UN)?LISTEN \w|^\s*NOTIFY \w+\s*([,;]|$)|\bpg_notify\b"
)
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}
WRITERS = {"update", "aupdate", "create", "acreate", "get_or_create", "update_or_create", "Job"}
PURE = (
    *("states", "retries", "clock", "serializers", "masking", "registry", "exceptions", "binding"),
    *("timetables", "declarations", "origins"),
)


def sources(*folders):
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found
    return found


def own_code():
    return [path for path in sources("django_jobs") if "migrations" not in path.parts]


def outside_engines():
    return [path for path in own_code() if (PACKAGE / "engines") not in path.parents]


def parse(path):
    return ast.parse(path.read_text(), filename=str(path))


def place(path, node=None):
    return f"{path.relative_to(ROOT)}:{node.lineno if node else 1}"


def docstring_of(node):
    first = node.body[0] if node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return first
    return None


def length(function):
    """Lines from `def` to the end; the docstring is for people and costs nothing."""
    docstring = docstring_of(function)
    saved = docstring.end_lineno - docstring.lineno + 1 if docstring else 0
    return function.end_lineno - function.lineno + 1 - saved


def nesting(node, depth=0):
    """How deep blocks stand in each other; `elif` and `except` open no new level."""
    deepest = depth
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, FUNCTIONS):
                continue
            is_elif = name == "orelse" and isinstance(node, ast.If) and isinstance(child, ast.If)
            step = isinstance(child, BLOCKS) and not is_elif
            deepest = max(deepest, nesting(child, depth + step))
    return deepest


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]


def texts(tree):
    """The string constants of a module that are not docstrings or comments in string form."""
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node


def reads_a_clock(node):
    if isinstance(node, ast.Import):
        return any(alias.name == "time" for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        names = {alias.name for alias in node.names}
        return node.module == "time" or (node.module == "django.utils.timezone" and "now" in names)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return (node.value.id, node.attr) in {*CLOCKS, ("timezone", "now")}
    return False


def writes_a_state(node):
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(isinstance(one, ast.Attribute) and one.attr == "state" for one in targets)
    if isinstance(node, ast.Call) and any(keyword.arg == "state" for keyword in node.keywords):
        return getattr(node.func, "attr", getattr(node.func, "id", "")) in WRITERS
    return False


def offenders(paths, offends):
    return [place(path, node) for path in paths for node in ast.walk(parse(path)) if offends(node)]


def test_no_function_is_longer_than_a_screen():
    too_long = [
        f"{place(path, function)} {function.name}: {length(function)} lines"
        for path in sources("django_jobs", "example_project", "tests", "benchmarks")
        for function in functions(parse(path))
        if length(function) > LONGEST_FUNCTION
    ]
    assert not too_long


def test_no_file_is_longer_than_a_sitting():
    lengths = {
        path: len(path.read_text().splitlines())
        for path in sources("django_jobs", "example_project", "tests", "benchmarks")
    }
    assert not {place(path): count for path, count in lengths.items() if count > LONGEST_FILE}


def test_no_code_is_nested_deeper_than_three():
    too_deep = [
        f"{place(path, function)} {function.name}"
        for path in sources("django_jobs", "example_project")
        for function in functions(parse(path))
        if nesting(function) > DEEPEST_NESTING
    ]
    assert not too_deep


def test_every_module_says_what_it_owns():
    silent = [
        place(path)
        for path in own_code()
        if path.read_text() and not ast.get_docstring(parse(path))
    ]
    assert not silent


def test_no_module_is_a_drawer_for_odds_and_ends():
    drawers = {"utils", "helpers", "common", "core", "misc", "manager", "handler"}
    assert not [place(path) for path in own_code() if path.stem in drawers]


def test_only_the_clock_reads_the_time():
    assert not offenders([path for path in own_code() if path.stem != "clock"], reads_a_clock)


def test_only_engines_speak_sql():
    speaking = [
        place(path, node)
        for path in outside_engines()
        for node in texts(parse(path))
        if SQL.search(node.value)
    ]
    assert not speaking


def test_only_engines_open_a_cursor():
    def opens_one(node):
        return isinstance(node, ast.Attribute) and node.attr in {"cursor", "raw", "executemany"}

    assert not offenders(outside_engines(), opens_one)


def test_only_engines_write_a_state():
    assert not offenders(outside_engines(), writes_a_state)


@pytest.mark.parametrize("module", PURE)
def test_the_vocabulary_knows_no_database(module):
    def imports_it(node):
        if isinstance(node, ast.Import):
            return any(alias.name.startswith("django.db") for alias in node.names)
        return isinstance(node, ast.ImportFrom) and (node.module or "").startswith("django.db")

    package = PACKAGE / module
    paths = sources(package) if package.is_dir() else [package.with_suffix(".py")]
    assert not offenders(paths, imports_it)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import time", True),
        ("from time import monotonic", True),
        ("now = timezone.now()", True),
        ("now = datetime.now(UTC)", True),
        ("now = clock.now()", False),
    ],
)
def test_the_rule_about_clocks_sees_its_offenders(source, found):
    assert any(reads_a_clock(node) for node in ast.walk(ast.parse(source))) is found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("job.state = State.READY", True),
        ("Job.objects.filter(pk=1).update(state=State.READY)", True),
        ("Job.objects.filter(state=State.READY)", False),
        ("state = job.state", False),
    ],
)
def test_the_rule_about_states_sees_its_offenders(source, found):
    assert any(writes_a_state(node) for node in ast.walk(ast.parse(source))) is found


def test_nesting_counts_blocks_and_not_branches():
    source = """
def choose(value):
    if value == 1:
        return 1
    elif value == 2:
        for one in value:
            with one:
                return 2
"""
    assert nesting(functions(ast.parse(source))[0]) == DEEPEST_NESTING


def test_a_docstring_does_not_lengthen_a_function():
    source = 'def tell():\n    """One.\n\n    Two.\n    """\n    return 1\n'
    assert length(functions(ast.parse(source))[0]) == len(["def", "return"])
