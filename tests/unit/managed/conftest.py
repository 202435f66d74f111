"""Makes this folder's `managed_world` importable, and hands out a world to each test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from managed_world import World


@pytest.fixture
def world() -> Iterator[World]:
    """A cluster and a cloud, with a ProviderConfig that works and a controller on virtual time."""
    made = World()
    made.configure()
    made.run(1)
    yield made
    made.check_invariants()
