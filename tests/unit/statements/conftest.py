"""One world for all tests of statements: it is immutable."""

import pytest

from tests.factories import World, build_world


@pytest.fixture(scope="session")
def world() -> World:
    return build_world()
