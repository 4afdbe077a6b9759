"""Exceptions as text that is safe to store."""

import pytest

from django_jobs.worker.failures import FINGERPRINT_VERSION, describe, shorten


class Odd(Exception):
    def __str__(self):
        raise RuntimeError("no text today")


class Rude(Exception):
    def __str__(self):
        raise SystemExit(3)


class Shop(Exception):
    pass


def raised(error, place=None):
    """Return `error` with a traceback that ends in `place` (default: here)."""
    try:
        place(error) if place else fail(error)
    except BaseException as caught:  # noqa: BLE001 - tests raise what ends programs, too
        return caught


def fail(error):
    raise error


def fail_elsewhere(error):
    raise error


def text_of(error, **options):
    return describe(raised(error), "shop.jobs.send", **options)


def test_a_record_names_class_first_line_text_and_place():
    record = text_of(Shop("no stock\nof anything"))
    assert record.type == "tests.worker.test_failures.Shop"
    assert record.message == "no stock"
    assert record.text == "no stock\nof anything"
    assert "in fail" in record.traceback
    assert record.traceback.rstrip().endswith("of anything")


def test_a_builtin_exception_is_named_without_its_module():
    assert text_of(ValueError("x")).type == "ValueError"


def test_an_exception_without_a_message_has_an_empty_one():
    assert text_of(ValueError()).message == ""


def test_secrets_are_masked_in_message_text_and_traceback():
    error = Shop("card 4111-1111 refused")
    error.__cause__ = ValueError("gateway saw 4111-1111")
    record = text_of(error, secrets=frozenset({"4111-1111"}))
    assert "4111" not in record.message + record.text + record.traceback
    assert "card ••• refused" in record.traceback
    assert "gateway saw •••" in record.traceback


@pytest.mark.parametrize(
    "message",
    [
        "cannot reach postgres://shop:hunter2@db/shop",
        "GET https://api.test/?token=hunter2 failed",
        "header Authorization: Bearer hunter2hunter2",
        "login failed, password=hunter2",
    ],
)
def test_what_looks_like_a_credential_is_masked(message):
    record = text_of(Shop(message))
    assert "hunter2" not in record.message + record.text + record.traceback


def test_a_secret_at_the_cut_of_a_long_message_does_not_survive_by_half():
    secret = "s3cr3t" * 20
    for before in range(8 * 1024 - 130, 8 * 1024, 7):
        record = text_of(Shop("x" * before + secret + "y" * 40_000), secrets=frozenset({secret}))
        assert "s3cr3t" not in record.text


def test_nul_and_lone_surrogates_are_replaced():
    record = text_of(Shop("a\x00b\ud800c"))
    for text in (record.message, record.text, record.traceback):
        assert "\x00" not in text
        text.encode("utf-8")


def test_a_message_that_cannot_be_made_is_said_so():
    record = text_of(Odd())
    assert record.message == "<its message could not be made: RuntimeError>"
    assert "Odd" in record.traceback


def test_a_message_that_ends_the_process_does_not():
    assert text_of(Rude()).message == "<its message could not be made: SystemExit>"


def test_endless_recursion_is_recorded():
    def deeper(level):
        return deeper(level + 1)

    try:
        deeper(0)
    except RecursionError as error:
        record = describe(error, "shop.jobs.send")
    assert record.type == "RecursionError"
    assert "deeper" in record.traceback
    assert len(record.traceback.encode()) < 17 * 1024


def test_a_message_of_10_mb_keeps_its_head_and_tail():
    record = text_of(Shop("head " + "x" * 10_000_000 + " tail"))
    assert record.text.startswith("head ")
    assert record.text.endswith(" tail")
    assert "bytes left out" in record.text
    assert len(record.text.encode()) < 17 * 1024
    assert len(record.traceback.encode()) < 17 * 1024
    assert len(record.message) <= 255


def test_shortening_never_splits_a_character():
    text = shorten("é" * 1000, 999)
    assert "\N{REPLACEMENT CHARACTER}" not in text
    assert text.startswith("é")
    assert text.endswith("é")


def test_short_text_stays_as_it_is():
    assert shorten("é" * 10, 20) == "é" * 10


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("order 17 is late", "order 4711 is late"),
        ("no stock of 'red shoes'", "no stock of 'blue hats'"),
        ('no key "a"', 'no key "b"'),
        ("mail to ana@example.com bounced", "mail to ben@example.org bounced"),
        ("cannot read https://a.test/x", "cannot read https://b.test/yy?z=1"),
        (
            "job 0b9c2f70-1111-4222-8333-abcdefabcdef is gone",
            "job 9f8e7d6c-aaaa-4bbb-8ccc-123456789abc is gone",
        ),
        ("object at 0x7f3a", "object at 0x91bc"),
    ],
)
def test_failures_that_differ_in_values_only_are_of_one_kind(one, other):
    assert text_of(Shop(one)).fingerprint == text_of(Shop(other)).fingerprint


@pytest.mark.parametrize("other", ["order 17 is lost", "orders are late", ""])
def test_failures_with_other_words_are_of_another_kind(other):
    assert text_of(Shop("order 17 is late")).fingerprint != text_of(Shop(other)).fingerprint


def test_class_job_and_place_make_another_kind():
    known = text_of(Shop("late")).fingerprint
    assert text_of(ValueError("late")).fingerprint != known
    assert describe(raised(Shop("late")), "shop.jobs.other").fingerprint != known
    assert describe(raised(Shop("late"), fail_elsewhere), "shop.jobs.send").fingerprint != known


def test_a_fingerprint_is_16_hex_digits():
    print_of = text_of(Shop("late")).fingerprint
    assert len(print_of) == 16
    int(print_of, 16)
    assert FINGERPRINT_VERSION == "1"


def test_lines_of_libraries_are_not_the_place(tmp_path, monkeypatch):
    library = tmp_path / "site-packages" / "some_library.py"
    library.parent.mkdir()
    library.write_text(
        "def fail(error):\n    raise error\n\ndef fail_too(error):\n    raise error\n"
    )
    monkeypatch.syspath_prepend(library.parent)
    import some_library

    prints = {
        describe(raised(Shop("late"), place), "shop.jobs.send").fingerprint
        for place in (some_library.fail, some_library.fail_too)
    }
    assert len(prints) == 1


def test_an_exception_that_was_never_raised_can_be_described():
    assert describe(Shop("late"), "shop.jobs.send").message == "late"


def test_exception_groups_show_their_members():
    record = text_of(ExceptionGroup("two", [Shop("one"), ValueError("other")]))
    assert "one" in record.traceback
    assert "ValueError: other" in record.traceback
