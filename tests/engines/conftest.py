"""The engines under test and rival sessions.

Every test that takes `engine` runs once for the portable engine and once for the database's
own. This folder is the conformance suite: what an engine promises is tested here, and a
behaviour that only one engine's test checks is a bug.
"""

import pytest
from django.db import connection

from django_jobs.engines import engine_class
from django_jobs.engines.orm import ORMEngine
from tests.engines.albums import Album
from tests.engines.rivals import Rival
from tests.engines.scenes import Scene


@pytest.fixture(params=["portable", "native"])
def engine(request, db):
    """Return an engine on this test's connection."""
    cls = ORMEngine if request.param == "portable" else engine_class(connection)
    return cls(connection)


@pytest.fixture
def scene(engine):
    """Return the short hand for what most tests do with an engine."""
    return Scene(engine)


@pytest.fixture
def album(scene):
    """Return the short hand for batches and flows."""
    return Album(scene)


@pytest.fixture
def rival(engine):
    """Return a maker of other sessions; they end with the test. Needs committed rows."""
    rivals = []

    def make():
        rivals.append(Rival(type(engine)))
        return rivals[-1]

    yield make
    for each in rivals:
        each.close()
