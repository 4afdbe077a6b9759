"""What people type behind a command is taken, or refused in words they understand."""

from argparse import ArgumentTypeError

import pytest
from django.core.management import CommandError, call_command

from django_jobs.management import arguments

BIGGEST = 2**63 - 1


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (["runworker", "--threads", "many"], '"many" is not a whole number'),
        (["runworker", "--processes", "0"], "must be at least 1, got 0"),
        (["runworker", "--grace", "soon"], '"soon" is not a number of seconds'),
        (["runworker", "--grace", "nan"], "must be at least 0, got nan"),
        (["runworker", "--grace=-1"], "must be at least 0, got -1"),
        (["jobs", "show", "mail"], '"mail" is not a whole number'),
        (["jobs", "retry", f"{BIGGEST + 1}"], f"no job has the number {BIGGEST + 1}"),
        (["jobs", "list", "--limit=-5"], "must be at least 1, got -5"),
        (["jobs", "pause", "mail", "--until", "9999999999999d"], "too far in the future"),
        (["jobs", "pause", "mail", "--until", "9999999d"], "too far in the future"),
        (["jobs", "pause", "mail", "--until", "²d"], "neither a time nor a span"),
        (["jobs", "pause", "mail", "--until", "2020-01-01"], '"2020-01-01" is in the past'),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(command, problem):
    with pytest.raises(CommandError, match=problem):
        call_command(*command)


@pytest.mark.parametrize("text", ["19", "#19", f"{BIGGEST}"])
def test_a_job_is_named_by_its_number(text):
    assert arguments.job_id(text) == int(text.removeprefix("#"))


@pytest.mark.parametrize("text", ["0", "-1"])
def test_a_number_that_no_job_has_is_refused(text):
    with pytest.raises(ArgumentTypeError, match="no job has the number"):
        arguments.job_id(text)
