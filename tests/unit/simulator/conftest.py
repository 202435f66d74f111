"""A small guild without HTTP: the state machine of the simulator is plain objects."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provider_discord.simulator import Behaviour, seeding
from provider_discord.simulator.act import Act
from provider_discord.simulator.permissions import Permission
from provider_discord.simulator.state import Guild, World

Json = dict[str, Any]
EVERYTHING_BUT_ADMINISTRATOR = (1 << 53) - 1 & ~int(Permission.ADMINISTRATOR)


class Clock:
    """A wall clock that goes when told to."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.instant

    def advance(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(clock: Clock) -> World:
    return World(wall=clock)


@pytest.fixture
def guild(world: World) -> Guild:
    """A guild with Community and all that goes with it."""
    return seeding.new_guild(
        world, "Home", features=["COMMUNITY", "NEWS", "ROLE_ICONS", "ENHANCED_ROLE_COLORS"]
    )


@pytest.fixture
def admin(world: World, guild: Guild) -> Act:
    """A person who may do everything."""
    person = seeding.user_named(world, "Alice")
    seeding.add_member(world, guild, person["id"])
    return Act(world=world, guild=guild, user_id=person["id"], trusted=True)


@pytest.fixture
def bot(world: World, guild: Guild) -> Act:
    """A bot with every permission but ADMINISTRATOR, its role on top of the first three."""
    made = seeding.new_bot(world, "robot", tokens=["token"])
    seeding.add_bot(world, guild, made.user_id, permissions=EVERYTHING_BUT_ADMINISTRATOR)
    return Act(world=world, guild=guild, user_id=made.user_id, reason="because")


@pytest.fixture
def behave(world: World) -> Callable[..., Behaviour]:
    """Choose other answers to what no document settles."""

    def choose(**answers: Any) -> Behaviour:
        world.behaviour = world.behaviour.changed(**answers)
        return world.behaviour

    return choose
