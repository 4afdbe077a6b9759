"""Links to other tools: which templates are taken, and that no value leads elsewhere."""

import pytest

from django_jobs.conf import get_settings, problems
from django_jobs.link_templates import fill, is_about_run, wrong_with


@pytest.mark.parametrize(
    "template",
    [
        "https://logs.example.com",
        "http://logs:8080/?q={job_id}",
        "https://logs.example.com/{name}#run={attempt}",
    ],
)
def test_an_address_with_places_is_taken(template):
    assert wrong_with({"Logs": template}) is None


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("javascript:alert(1)", "must begin with"),
        ("//logs.example.com/", "must begin with"),
        ("https://{queue}/", "must begin with"),
        ("https://user@logs.example.com/", "must begin with"),
        ("{name}", "must begin with"),
        ("", "must begin with"),
        ("https://x/{secret}", "has no value for {secret}"),
        ("https://x/{job_id!r}", "must quote"),
        ("https://x/{0.__class__}", "must quote"),
        ('https://x/"><script>', "must quote"),
        ("https://x/a b", "must quote"),
    ],
)
def test_anything_else_is_refused_with_the_reason(template, problem):
    assert problem in (wrong_with({"Logs": template}) or "")


def test_a_link_needs_a_label():
    assert wrong_with({" ": "https://x/"}) == "needs a label for each link."


@pytest.mark.parametrize(
    "value", ["../../x", "//evil.com", "?a=b&c", "#x", 'a"><script>', "a\nb", "é"]
)
def test_values_are_quoted_so_that_they_stay_values(value):
    address = fill("https://x/{queue}?q={queue}", {"queue": value})
    head, _, tail = address.removeprefix("https://x/").partition("?q=")
    assert head == tail
    assert not set(head) & set('/?#&"<>\n ')


def test_a_value_that_is_unknown_is_left_out():
    assert fill("https://x/{worker}/{job_id}", {"job_id": 7}) == "https://x//7"


def test_a_link_is_about_an_attempt_when_it_needs_one():
    assert is_about_run("https://x/{job_id}/{worker}")
    assert not is_about_run("https://x/{job_id}/{queue}")


@pytest.mark.parametrize(
    "value", [{"Logs": "ftp://x"}, {"Logs": 7}, ["https://x"], {1: "https://x"}]
)
def test_the_check_names_a_setting_that_is_unusable_and_the_default_stands(settings, value):
    [(number, message)] = problems({"ADMIN_LINKS": value})
    assert number == "E002"
    assert 'DJANGO_JOBS["ADMIN_LINKS"]' in message
    settings.DJANGO_JOBS = {"ADMIN_LINKS": value}
    assert get_settings().ADMIN_LINKS == {}
