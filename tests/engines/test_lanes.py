"""The order of lanes, and finding them."""

from django.db import connection

from django_jobs.engines.lanes import LANES, in_turn
from django_jobs.states import State


def test_bigger_priorities_come_first_and_queues_of_one_priority_rotate():
    lanes = [("c", 0), ("a", 0), ("b", 0), ("a", 5), ("b", -5)]
    assert in_turn(lanes, 0) == [("a", 5), ("a", 0), ("b", 0), ("c", 0), ("b", -5)]
    assert in_turn(lanes, 1) == [("a", 5), ("b", 0), ("c", 0), ("a", 0), ("b", -5)]
    assert in_turn(lanes, 5) == [("a", 5), ("c", 0), ("a", 0), ("b", 0), ("b", -5)]


def test_no_lanes_are_fine():
    assert in_turn([], 3) == []


def test_every_pair_with_a_ready_job_is_a_lane_and_nothing_else(scene):
    for queue, priority in (("a", 1), ("a", 0), ("b", -7), ("a", 1)):
        scene.enqueue(queue=queue, priority=priority)
    gone = scene.enqueue(queue="c")
    scene.engine.move(gone, State.CANCELLED, [State.READY])
    with connection.cursor() as cursor:
        cursor.execute(LANES)
        assert sorted(cursor.fetchall()) == [("a", 0), ("a", 1), ("b", -7)]
