from dataclasses import fields

import pytest
from django.core.checks import run_checks

from django_jobs.conf import Settings, get_settings, problems


def test_every_key_has_a_meaning_and_a_default():
    for item in fields(Settings):
        assert item.metadata["meaning"]
    assert Settings().DATABASE == "default"


def test_given_keys_replace_the_defaults(settings):
    settings.DJANGO_JOBS = {"MAX_ATTEMPTS": 7}
    assert get_settings().MAX_ATTEMPTS == 7
    assert get_settings().LEASE == 60


def test_the_lease_is_extended_at_a_quarter_of_its_length(settings):
    settings.DJANGO_JOBS = {"LEASE": 20}
    assert get_settings().extend_interval == 5


def test_an_unknown_key_is_reported_with_the_nearest_one():
    assert problems({"MAX_ATEMPTS": 3}) == [
        ("E001", 'DJANGO_JOBS: unknown key "MAX_ATEMPTS". Did you mean "MAX_ATTEMPTS"?')
    ]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("MAX_ATTEMPTS", 0, "must be at least 1, got 0."),
        ("MAX_ATTEMPTS", 101, "must be at most 100, got 101."),
        ("MAX_ATTEMPTS", "3", "must be of type int, got '3'."),
        ("MAX_ATTEMPTS", True, "must be of type int, got True."),
        ("MAX_ATTEMPTS", None, "must not be None."),
        ("LISTEN", 1, "must be of type bool, got 1."),
        ("QUEUES", "mail", "must be of type list[str], got 'mail'."),
        ("QUEUES", [1], "must be of type list[str], got [1]."),
        ("DATABASE", 1, "must be of type str, got 1."),
    ],
)
def test_a_wrong_value_is_reported_with_its_key(key, value, message):
    assert problems({key: value}) == [("E002", f'DJANGO_JOBS["{key}"] {message}')]


@pytest.mark.parametrize(
    "values",
    [{}, {"THREADS": None}, {"THREADS": 3}, {"QUEUES": ("a",)}, {"LEASE": 5}, {"LISTEN": False}],
)
def test_right_values_are_no_problem(values):
    assert problems(values) == []


def test_a_wrong_value_keeps_the_default_and_is_shown_by_the_check(settings):
    settings.DJANGO_JOBS = {"LEASE": -1}
    assert get_settings().LEASE == 60
    assert "django_jobs.E002" in [item.id for item in run_checks(tags=["django_jobs"])]


def test_settings_that_are_no_dict_are_reported(settings):
    settings.DJANGO_JOBS = ["LEASE"]
    assert get_settings() == Settings()
    assert problems(["LEASE"]) == [("E002", "DJANGO_JOBS must be a dict, not list.")]
