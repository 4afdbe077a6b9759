"""The claim protocol, tried out completely in the small, and its broken twins."""

import pytest

from tests.engines.protocol_model import Model, Rules, Violation


@pytest.mark.parametrize(
    ("size", "worlds"),
    [
        ({"jobs": 1, "workers": 2, "claims": 2}, 888),
        ({"jobs": 1, "workers": 2, "claims": 3, "operators": False}, 7_621),
        ({"jobs": 2, "workers": 2, "claims": 2, "operators": False}, 13_111),
    ],
    ids=["operators", "three claims", "two jobs"],
)
def test_no_sequence_of_steps_breaks_the_protocol(size, worlds):
    assert Model(Rules(), **size).explore() == worlds  # all of them were visited


TWINS = {
    "fence by state": (Rules(fence="state"), "stale"),
    "fence by worker": (Rules(fence="worker"), "stale"),
    "fence by attempt": (Rules(fence="attempt"), "stale"),
    "claim ids are reused": (Rules(reuse_ids=True), "stale|recorded twice"),
    "rescue deletes the claim first": (Rules(rescue_deletes_first=True), "orphan"),
    "rescue deletes beside a locked job": (Rules(rescue_deletes_skipped=True), "orphan"),
    "close without its guard": (Rules(close_unguarded=True), "orphan"),
    "extension makes a new row": (Rules(extend_creates=True), "not told"),
    "who takes does not shrink the claim": (Rules(taking_shrinks=False), "not told"),
    "the request stands on the claim only": (Rules(request_on_job=False), "starts again"),
    "runs are unique by attempt": (Rules(run_key="attempt"), "recorded twice"),
}


@pytest.mark.parametrize(("rules", "caught"), TWINS.values(), ids=TWINS)
def test_a_protocol_with_one_rule_broken_is_caught(rules, caught):
    with pytest.raises(Violation, match=caught):
        Model(rules, jobs=2, workers=2, claims=3).explore()
