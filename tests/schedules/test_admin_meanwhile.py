"""A schedule that somebody else has deleted while it was being dealt with."""

import pytest

from django_jobs.admin.schedules.actions import VERBS
from django_jobs.exceptions import ScheduleNotFound
from tests.factories import ScheduleFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


@pytest.mark.parametrize("verb", VERBS)
def test_whatever_was_to_be_done_to_it_one_is_told_that_it_is_gone(verb):
    row = ScheduleFactory(source="code", overrides=["cron"])
    type(row).objects.all().delete()
    with pytest.raises(ScheduleNotFound):
        VERBS[verb](row, {}, "ana")
