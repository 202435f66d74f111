"""Hands out a world to each test, and makes its module importable."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.unit.managed.managed_world import World


@pytest.fixture
def world() -> Iterator[World]:
    """A cluster and a cloud, with a ProviderConfig that works and a controller on virtual time."""
    made = World()
    made.configure()
    made.run(1)
    yield made
    made.check_invariants()
