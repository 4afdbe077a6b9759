"""Waiting for something to become true: the crash tests' only way to let time pass."""

import sys
import time

STEP = 0.05
PATIENCE = 30.0


def until(condition, within=PATIENCE, what=""):
    """Return the first true value of `condition()`; fail when there is none `within` seconds.

    `what` is what a failure says: a text, or a function that makes one.
    """
    deadline = time.monotonic() + within
    while not (value := condition()):
        if time.monotonic() >= deadline:
            text = what() if callable(what) else what
            raise AssertionError(f"not within {within:g} s: {text or condition}")
        time.sleep(STEP)
    return value


def seconds_since(instant):
    """Return how long ago `instant` was, by the clock that all processes of a machine share."""
    return time.monotonic() - instant


def say(text):
    """Tell a figure to whoever reads the tests' output (pytest -s, or after a failure)."""
    sys.stdout.write(f"{text}\n")
