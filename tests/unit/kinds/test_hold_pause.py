"""What was done while objects were paused is counted whole before the first of it is put back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from provider_discord.managed import conditions, meta
from provider_discord.managed.errors import Blocked, Held, Waiting
from provider_discord.managed.external import Change
from tests.unit.kinds.conftest import Thing, World
from tests.unit.kinds.test_hold_guild import (
    _adopted_channels,
    _guild,
    _lock,
    _look_anew,
    _pass,
    _set,
    _settled,
)

ORDINARY = ["VIEW_CHANNEL", "MANAGE_CHANNELS", "MANAGE_ROLES", "SEND_MESSAGES", "VIEW_AUDIT_LOG"]


def _paused(things: Sequence[Thing]) -> None:
    for thing in things:
        _set(thing, conditions.reconcile_paused("paused by the annotation"))


def _resumed(thing: Thing) -> object:
    """Make the passes that follow on the end of a pause, until one of them comes to a decision."""
    try:
        return _pass(thing)
    except Waiting as waiting:
        _refused(thing, waiting)
        return waiting


def _refused(thing: Thing, why: Exception) -> None:
    """Write what the reconciler does where something is to be made, and may not be yet."""
    there = {one["id"] for one in (*thing.world.discord.channels(), *thing.world.discord.roles())}
    creating = () if thing.id in there else (conditions.creating(),)
    _set(thing, conditions.reconcile_error(str(why)), *creating)


def _flood(world: World) -> None:
    """Hide everything that came before from the one page of deletions that is read."""
    for _ in range(101):
        made = world.discord.create_channel({"name": "junk", "type": 0}, actor="Eve")
        world.discord.delete_channel(made["id"], actor="Eve")


def _made(world: World, mark: int) -> list[str]:
    return [one["route"] for one in world.writes_since(mark) if one["method"] == "POST"]


@pytest.mark.parametrize("administrator", [True, False])
def test_channels_that_were_deleted_while_all_was_paused_stay_deleted(
    world: World, administrator: bool
) -> None:
    """To an administrator nothing is hidden; to others the audit log tells of all at once."""
    guild, channels = _guild(world), _adopted_channels(world, 12)
    _paused([guild, *channels])
    for thing in channels:
        world.discord.delete_channel(thing.id, actor="Eve")
    if administrator:
        _flood(world)
    else:
        world.discord.set_bot_permissions(ORDINARY)
    world.holds.begin_anew()  # A new process does not know what was right before the pause.
    world.session.connection.snapshots.invalidate_member(world.guild_id)
    mark = world.mark()
    for _ in range(6):
        _look_anew(world)
        outcomes = [_resumed(thing) for thing in (*channels, guild)]
    assert _made(world, mark) == []
    assert isinstance(outcomes[0], Held)
    assert all(isinstance(one, Held | Blocked) for one in outcomes[:-1]), [str(one)[:80] for one in outcomes]
    hold = world.holds.peek(world.guild_id, "bot")
    assert hold is not None
    assert hold.vanished == 12, "though only one is probed in a poll"


def test_what_becomes_certain_between_two_passes_counts_at_once(world: World) -> None:
    """Another object has had the same picture counted already, while nobody knew that the channels are gone."""
    channels = _adopted_channels(world, 12)
    role = _settled([world.role("r")])[0]
    _paused(channels)
    world.discord.set_bot_permissions(ORDINARY)
    world.session.connection.snapshots.invalidate_member(world.guild_id)
    for thing in channels:
        world.discord.delete_channel(thing.id, actor="Eve")
    world.discord.edit_role(role.id, {"hoist": True}, actor="Eve")
    role.spec(hoist=False)
    _look_anew(world)
    mark = world.mark()
    for thing in channels:
        _set(thing, conditions.reconcile_error("hidden or gone"))
    assert isinstance(_pass(role), Change), "one thing by itself"
    outcomes = [_resumed(thing) for thing in channels]
    assert _made(world, mark) == []
    assert all(isinstance(one, Held) for one in outcomes), [str(one)[:80] for one in outcomes]


@pytest.mark.parametrize("deleted", [True, False])
def test_objects_that_are_resumed_one_after_another_are_counted_together(world: World, deleted: bool) -> None:
    """One kubectl command takes the annotation from many objects, and the first of them is looked at meanwhile."""
    channels = _adopted_channels(world, 12)
    for thing in channels:
        thing.annotate({meta.PAUSED: "true"})
    _paused(channels)
    if deleted:
        for thing in channels:
            world.discord.delete_channel(thing.id, actor="Eve")
    else:
        _lock(world, channels, actor="Eve")
    _look_anew(world)
    mark = world.mark()
    for thing in channels:
        thing.annotate({meta.PAUSED: None})
        assert isinstance(_resumed(thing), Waiting | Blocked)
    world.advance(world.timings.hold_resume_seconds + 1)
    assert [type(_resumed(thing)) for thing in channels] == [Held] * 12
    assert world.writes_since(mark) == []


def test_one_object_that_is_resumed_is_put_back_after_a_moment(world: World) -> None:
    channels = _adopted_channels(world, 3)
    channels[0].annotate({meta.PAUSED: "true"})
    _paused(channels[:1])
    _lock(world, channels[:1])
    _look_anew(world)
    channels[0].annotate({meta.PAUSED: None})
    assert isinstance(_resumed(channels[0]), Waiting)
    world.advance(world.timings.hold_resume_seconds + 1)
    assert isinstance(_resumed(channels[0]), Change)


def test_what_could_not_be_made_again_for_another_reason_counts_when_it_can(world: World) -> None:
    """The attacker took the bot's permission along, and somebody gives it back."""
    roles = _settled([world.role(f"r{number}") for number in range(12)])
    world.discord.set_bot_permissions(["VIEW_CHANNEL", "VIEW_AUDIT_LOG"])
    world.session.connection.snapshots.invalidate_member(world.guild_id)
    for thing in roles:
        world.discord.delete_role(thing.id, actor="Eve")
    _look_anew(world)
    mark = world.mark()
    for thing in roles:
        refusal = _pass(thing)
        assert isinstance(refusal, Blocked)
        assert refusal.reason == "MissingPermission"
        _refused(thing, refusal)
    world.holds.begin_anew()
    world.discord.set_bot_permissions(["ADMINISTRATOR"])
    world.session.connection.snapshots.invalidate_member(world.guild_id)
    _look_anew(world)
    assert [type(_pass(thing)) for thing in roles] == [Held] * 12
    assert world.writes_since(mark) == []
