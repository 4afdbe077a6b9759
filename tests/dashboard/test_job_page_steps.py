import re
from datetime import timedelta

import pytest

from django_jobs.models import JobStep
from django_jobs.reports import closeup
from django_jobs.states import StepState
from tests.conftest import NOON
from tests.dashboard.job_pages import PAYLOAD, raw, said, shown, steps_of
from tests.factories import JobFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def test_steps_are_a_waterfall_of_waits_and_calls(admin_client):
    job = JobFactory(failed=True)
    steps_of(job, "1", None)
    JobStep.objects.filter(position=2).update(
        state=StepState.FAILED, error_type="ValueError", error="<b>no money</b>", attempts=3
    )
    text = raw(admin_client, job)
    words = said(text)
    assert "step-001 ✓ done 1 0.5 s" in words
    assert "step-002 ✕ failed ValueError: <b>no money</b> 3 0.5 s 0.5 s" in words
    bars = re.findall(
        r'<rect class="job-bar-(\w+)[^"]*" x="([\d.]+)%" y="\d" width="([\d.]+)%"', text
    )
    assert [(kind, float(x), float(width)) for kind, x, width in bars] == [
        ("run", 0, 33.33),
        ("wait", 33.33, 33.33),
        ("run", 66.67, 33.33),
    ]


def test_results_of_steps_need_the_permission_and_show_no_secrets(staff):
    client = staff("view_job")
    job = JobFactory()
    steps_of(job, '{"sent": 40, "token": "k-34"}', '"' + "x" * 5000 + '"')
    assert "sent" not in shown(client, job)


def test_results_of_steps_show_no_secrets_and_no_lengths(staff):
    client = staff("view_job", PAYLOAD)
    job = JobFactory()
    steps_of(job, '{"sent": 40, "token": "k-34"}', '"' + "x" * 5000 + '"')
    text = shown(client, job)
    assert '"sent": 40' in text
    assert "5,002 characters" in text
    assert "k-34" not in text
    assert "xxx" not in text


def test_a_sleeping_step_says_until_when(admin_client):
    job = JobFactory()
    steps_of(job, None, None, attempts=0)
    hour = timedelta(hours=1)
    JobStep.objects.filter(position=1).update(state=StepState.SLEEPING, wake_at=NOON - hour)
    JobStep.objects.filter(position=2).update(state=StepState.SLEEPING, wake_at=NOON + hour)
    text = shown(admin_client, job)
    assert "slept until 2030-01-15 11:00:00" in text
    assert "sleeps until 2030-01-15 13:00:00" in text


def test_of_many_steps_the_first_are_listed(admin_client, monkeypatch):
    monkeypatch.setattr(closeup, "MOST_STEPS", 3)
    job = JobFactory()
    steps_of(job, "1", "2", "3", "4")
    text = shown(admin_client, job)
    assert "step-003" in text
    assert "step-004" not in text
    assert "These are the first 3;" in text
