import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_jobs.masking import MASK, mask_broken, mask_text, mask_value, secrets_in


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("postgres://ana:hunter2@db/shop", "hunter2"),
        ("GET https://x.test/a?token=abc123&page=2", "abc123"),
        ("GET https://x.test/a?page=2&api_key=abc123", "abc123"),
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ("login failed: password=hunter2", "hunter2"),
        ("login failed: password: hunter2", "hunter2"),
    ],
)
def test_what_looks_like_a_credential_is_masked(text, hidden):
    masked = mask_text(text)
    assert hidden not in masked
    assert MASK in masked


@pytest.mark.parametrize(
    "text", ["https://x.test/a?page=2", "12:30@noon", "the password is wrong", "basic idea"]
)
def test_ordinary_text_is_left_alone(text):
    assert mask_text(text) == text


def test_masking_twice_changes_nothing_more():
    once = mask_text("postgres://ana:hunter2@db/shop?token=abc password=x")
    assert mask_text(once) == once


@given(st.text(min_size=3), st.text(), st.text())
def test_a_known_secret_never_survives(secret, before, after):
    masked = mask_text(before + secret + after, [secret])
    assert secret not in masked.replace(MASK, "") or secret in MASK


def test_of_two_overlapping_secrets_the_longer_one_goes_first():
    assert mask_text("key=abcdef", ["abc", "abcdef"]) == f"key={MASK}"


def test_listed_arguments_and_telling_names_are_secret_at_any_depth():
    values = {
        "card": {"number": 4111111111111111, "holder": "Ana"},
        "options": [{"api_key": "k-123", "page": "two"}],
        "to": "ben",
    }
    assert secrets_in(values, ["card"]) == {"4111111111111111", "Ana", "k-123"}


@pytest.mark.parametrize("name", ["author", "author_id", "authors"])
def test_who_wrote_something_is_no_secret(name):
    assert secrets_in({name: 123}, []) == frozenset()


@pytest.mark.parametrize("name", ["auth", "oauth_code", "authorization", "x_auth", "authority"])
def test_what_lets_somebody_in_is_a_secret(name):
    assert secrets_in({name: "k-123"}, []) == {"k-123"}


def test_texts_too_short_to_hide_anything_are_not_secrets():
    assert secrets_in({"password": "ab", "token": True}, []) == frozenset()


def test_shown_values_keep_their_shape_but_not_their_secrets():
    value = {"password": "x", "rows": [{"token": [1, None], "page": 2}]}
    assert mask_value(value) == {"password": MASK, "rows": [{"token": [MASK, None], "page": 2}]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"password": "hunter2", "a": 1', '{"password": •••, "a": 1'),
        ('{"token": {"x": "hunter2"}, "b": [1', '{"token": •••'),
        ("{'api_key': 'hunter2', 'b': 2}", "{'api_key': •••, 'b': 2}"),
        ('{"x":{"password":"hunter2"}}}', '{"x":{"password":•••}}}'),
        ('{"my secret key": "hun ter2", "b": 1', '{"my secret key": •••, "b": 1'),
        (r'{"p\u0061ssword": "hunter2"', r'{"p\u0061ssword": •••'),
        (r'{"secret": "hun\"ter2", "x": 3', '{"secret": •••, "x": 3'),
        ('{"secret": "hunter2', '{"secret": •••'),
        ('{"password" : 12345, "y": 2', '{"password" : •••, "y": 2'),
        ('{"pin": 1234, "order": 7', '{"pin": •••, "order": 7'),
        ('{"author_id": 7, "order": 7', '{"author_id": 7, "order": 7'),
        ("https://ana:hunter2@shop", "https://ana:•••@shop"),
        ("", ""),
    ],
)
def test_a_text_that_should_be_json_is_masked_by_the_names_in_it(text, expected):
    assert mask_broken(text, ["pin"]) == expected


@pytest.mark.parametrize("text", ['"' * 99, "a:" * 99, "\\" * 99, "a" * 999, "[" * 99, "'\"" * 99])
def test_masking_a_broken_text_without_names_changes_nothing(text):
    assert mask_broken(text) == text
