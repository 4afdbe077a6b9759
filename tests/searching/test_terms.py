"""Splitting a search into its terms and writing it again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jobs.searching.terms import LONGEST, Term, Terms, joined, split


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("  mail  ", [Term("", "mail")]),
        ("state:failed mail", [Term("state", "failed"), Term("", "mail")]),
        ('"two words"', [Term("", "two words", quoted=True)]),
        ('error:"no \\"such\\" \\\\ user"', [Term("error", 'no "such" \\ user', quoted=True)]),
        ("args.order.id:7", [Term("args.order.id", "7")]),
        ("queue:a:b", [Term("queue", "a:b")]),
        ("#19", [Term("", "#19")]),
        ("12:30", [Term("", "12:30")]),
        ('"state:failed"', [Term("", "state:failed", quoted=True)]),
        ('fp:""', [Term("fp", "", quoted=True)]),
        ('a"b"', [Term("", "a"), Term("", "b", quoted=True)]),
    ],
)
def test_a_search_is_split_into_words_and_qualified_values(text, terms):
    assert split(text) == Terms(tuple(terms))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('mail "open', "A quotation mark is not closed."),
        ("state: failed", "Nothing follows “state:”."),
        ("state:", "Nothing follows “state:”."),
        ("x" * (LONGEST + 1), "The search is longer than 1,000 characters."),
        ("x " * 21, "At most 20 terms can be searched for."),
    ],
)
def test_what_cannot_be_read_is_said(text, problem):
    assert split(text).problems == (problem,)


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_exception(text):
    terms = split(text)
    assert terms.problems or not split(str(terms)).problems


@given(
    st.lists(
        st.builds(
            Term,
            st.sampled_from(["", "state", "args.a.b", "x-y"]),
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
        ),
        max_size=8,
    )
)
def test_what_is_written_is_read_as_the_same(terms):
    written = str(Terms(tuple(terms)))
    if len(written) < LONGEST and written == written.strip():
        found = [(term.name, term.value) for term in split(written).terms]
        assert found == [(term.name, term.value) for term in terms]


def test_a_term_takes_the_place_of_all_of_its_name():
    terms = split("mail state:failed queue:a state:ready")
    assert str(terms.having("state", "running")) == "mail queue:a state:running"
    assert str(terms.having("state")) == "mail queue:a"


def test_the_same_term_twice_is_one():
    assert str(joined([split("state:failed mail"), split("mail queue:a")])) == (
        "state:failed mail queue:a"
    )


def test_values_of_arguments_can_be_hidden():
    assert str(split("args.order:991 mail").hiding_payload()) == "args.order:••• mail"
