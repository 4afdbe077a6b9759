"""What the terms of a search mean."""

from datetime import UTC, datetime, timedelta

import pytest

from django_jobs.searching.criteria import Argument, Criteria, read
from django_jobs.searching.terms import split
from django_jobs.states import State

NOW = datetime(2030, 1, 15, 12, 0, tzinfo=UTC)
KIND = "0123456789abcdef"


def meaning(text):
    return read(split(text), NOW)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", {}),
        ("19", {"ids": frozenset({19})}),
        ("#19", {"ids": frozenset({19})}),
        ("id:19,#20", {"ids": frozenset({19, 20})}),
        ("id:19,20 id:20,21", {"ids": frozenset({20})}),
        ('"19"', {"jobs": (("19",),)}),
        ("mail", {"jobs": (("mail",),)}),
        ("mail send", {"jobs": (("mail",), ("send",))}),
        ("job:a,b", {"jobs": (("a", "b"),)}),
        ("task:a name:b", {"jobs": (("a",), ("b",))}),
        (KIND, {"fingerprints": frozenset({KIND})}),
        (f"fp:{KIND}", {"fingerprints": frozenset({KIND})}),
        ('fp:""', {"fingerprints": frozenset({""})}),
        ("state:FAILED,ready", {"states": frozenset({"failed", "ready"})}),
        ("state:retrying", {"states": frozenset({"retrying"})}),
        ("queue:a,b", {"queues": frozenset({"a", "b"})}),
        ('queue:"a,b"', {"queues": frozenset({"a,b"})}),
        ("error:timeout", {"errors": ("timeout",)}),
        ("about:shop.Order:17", {"abouts": frozenset({"shop.order:17"})}),
        ("about:shop.order:a:B", {"abouts": frozenset({"shop.order:a:B"})}),
        ("by:ana by:user=bob", {"origins": ("ana", "user=bob")}),
        ('by:"ana b"', {"origins": ("ana b",)}),
        ("worker:web-1:4711", {"workers": ("web-1:4711",)}),
        ("since:2h", {"since": NOW - timedelta(hours=2)}),
        ("since:2h since:30min", {"since": NOW - timedelta(minutes=30)}),
        ("until:1d until:1w", {"until": NOW - timedelta(days=7)}),
        ("since:2030-01-15T11:00Z", {"since": NOW - timedelta(hours=1)}),
        ("since:2030-01-15", {"since": NOW - timedelta(hours=12)}),
    ],
)
def test_each_term_has_its_meaning(text, fields):
    assert meaning(text) == Criteria(**fields)


@pytest.mark.parametrize(
    ("text", "path", "values"),
    [
        ("args.order:991", ("order",), (991, "991")),
        ('args.order:"991"', ("order",), ("991",)),
        ("args.a.b:x", ("a", "b"), ("x",)),
        ("args.flag:true", ("flag",), (True, "true")),
        ("args.nothing:null", ("nothing",), (None, "null")),
        ("args.x:1e999", ("x",), ("1e999",)),
        ("args.x:NaN", ("x",), ("NaN",)),
        ("args.x:{}", ("x",), ("{}",)),
    ],
)
def test_an_argument_is_what_was_typed_or_the_text(text, path, values):
    assert meaning(text).arguments == (Argument(path, values),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("stat:failed", "There is no “stat:”. Did you mean “state:”?"),
        ("zzz:1", "There is no “zzz:”. To search for the text itself"),
        ("args:991", "Arguments are searched as in args.order:991."),
        ("state:faild", "There is no state “faild”"),
        ("state:faild", "Did you mean “failed”?"),
        ("id:x", "“x” is no number of a job."),
        ("id:" + "9" * 30, "is no number of a job."),
        ("since:yesterday", "“yesterday” is no time."),
        ("since:2030-02-31", "“2030-02-31” is no time."),
        ("since:999999w", "is no time."),
        ('error:""', "Nothing follows “error:”."),
        ("args.api_token:x", "“args.api_token” reads like a secret"),
        ("args.card.password:x", "reads like a secret"),
    ],
)
def test_what_a_term_cannot_mean_is_said(text, problem):
    found = meaning(text).problems
    assert any(problem in each for each in found), found


def test_a_state_is_stored_as_one_of_seven():
    assert meaning("state:retrying,failed").stored_states == {State.SCHEDULED, State.FAILED}
    assert meaning("mail").stored_states is None
