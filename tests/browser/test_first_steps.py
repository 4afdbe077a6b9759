"""What somebody sees who has just installed it, in a real browser."""

import pytest

from django_jobs import State
from django_jobs.models import Job
from tests.browser.browsing import says, shows
from tests.crash.conditions import until
from tests.dashboard.pages import PAGE

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_test_job_tells_what_is_missing_and_runs_when_it_is_there(visit, start_worker):
    page = visit(PAGE)
    page.get_by_role("button", name="Run a test job").click()
    says(page, "The test job #")
    shows(page, ".jobs-problem", "python manage.py runworker")
    start_worker()
    until(lambda: Job.objects.filter(state=State.SUCCESSFUL).exists())
    shows(page, "#jobs-headline", "All clear")
