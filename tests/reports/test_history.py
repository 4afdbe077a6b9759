"""What others may ask about what was."""

from itertools import pairwise

import pytest

from django_jobs.reports.history import RANGES, parts, points, speeds
from tests.conftest import NOON
from tests.factories import TallyFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("frozen_clock")]


def test_each_queue_has_a_speed_of_the_newest_whole_minutes(django_assert_num_queries):
    TallyFactory(ago=2, queue="mail", succeeded=20, failed=10)
    TallyFactory(ago=16, queue="mail", succeeded=15, name="shop.other")
    TallyFactory(ago=5, queue="reports", succeeded=0, retried=1, run_6=None, run_15=1)
    TallyFactory(ago=1, queue="new", succeeded=5)
    TallyFactory(ago=17, queue="old", succeeded=5)
    TallyFactory(ago=2, queue="mail", span=60, succeeded=999)
    with django_assert_num_queries(1):
        found = speeds("default", NOON)
    assert set(found) == {"mail", "reports"}
    assert (found["mail"].finished, found["mail"].per_minute) == (45, 3.0)
    assert 0.3 < found["mail"].p95_run < 0.65
    assert 0.07 < found["mail"].p95_wait < 0.17
    assert found["reports"].per_minute == 0
    assert found["reports"].p95_run > 100


def test_points_cover_their_span_without_gaps():
    for span in RANGES.values():
        found = points("default", span, NOON)
        assert len(found) == span.length // span.step <= 120
        assert found[0].begin <= NOON < found[-1].end
        assert all(one.end == other.begin for one, other in pairwise(found))


def test_the_newest_point_holds_what_has_just_been_written():
    TallyFactory(ago=0, succeeded=3)
    TallyFactory(ago=0, succeeded=4, queue="mail")
    found = points("default", RANGES["4h"], NOON)
    assert found[-1].figures.succeeded == 7
    assert sum(point.figures.succeeded for point in found) == 7


def test_over_a_day_parts_are_of_whole_hours():
    TallyFactory(ago=90, succeeded=7)
    TallyFactory(ago=90, succeeded=9, span=60)
    TallyFactory(ago=24 * 60 + 30, succeeded=5, span=60)
    [part] = parts("default", RANGES["24h"], NOON)
    assert part.figures.succeeded == 9


def test_parts_begin_with_what_ran_longest():
    TallyFactory(run_sum=1.0, name="a")
    TallyFactory(run_sum=9.0, name="b")
    assert [part.name for part in parts("default", RANGES["1h"], NOON)] == ["b", "a"]
