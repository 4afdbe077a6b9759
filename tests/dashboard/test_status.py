"""The line about the jobs on a page of the project's."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.template import engines

from tests.dashboard.pages import failing, trouble
from tests.factories import QueueFactory, WorkerFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]

PAGE = "{% load django_jobs %}[{% jobs_status %}]"


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()
    yield
    cache.clear()


def shown(request=None):
    return engines["django"].from_string(PAGE).render({}, request)


@pytest.fixture
def look(rf, admin_user):
    """Return a request of the superuser."""
    request = rf.get("/admin/")
    request.user = admin_user
    return request


def test_a_page_says_that_all_is_clear(look):
    WorkerFactory()
    QueueFactory()
    mark = '<span aria-hidden="true">✓</span>'
    line = f'[<a class="jobs-status jobs-ok" href="/admin/jobs/">{mark} Jobs: All clear</a>]'
    assert shown(look) == line


def test_a_page_says_how_much_is_wrong(look):
    trouble()
    assert "jobs-bad" in shown(look)
    assert "✕</span> Jobs: 3 problems</a>" in shown(look)


def test_however_often_it_is_shown_the_jobs_are_looked_at_once(look, django_assert_num_queries):
    failing(3)
    with django_assert_num_queries(7):
        shown(look)
        shown(look)


def test_who_may_not_see_jobs_is_told_nothing(look, django_user_model):
    trouble()
    for user in (AnonymousUser(), django_user_model.objects.create_user("eve", is_staff=True)):
        look.user = user
        assert shown(look) == "[]"
    assert shown() == "[]"
