"""A hold neither ends nor stays by accident: objects nobody can judge, strangers' objects, old pictures, lost conditions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest

from provider_discord.kinds.hold import Cause, Hold
from provider_discord.kinds.hold_links import NoHoldMetrics
from provider_discord.kube.resource import key_of
from provider_discord.managed import conditions, meta
from provider_discord.managed.errors import Held, Waiting
from provider_discord.managed.external import Change, Observation
from provider_discord.managed.resource import ManagedResource
from tests.unit.kinds.conftest import Thing, World
from tests.unit.kinds.test_hold_guild import (
    _adopted_channels,
    _edit,
    _guild,
    _lock,
    _look_anew,
    _pass,
    _set,
    _settled,
)


def _hold(world: World) -> Hold:
    hold = world.holds.peek(world.guild_id, "bot")
    assert hold is not None
    return hold


def _raided(world: World, count: int = 12) -> list[Thing]:
    channels = _adopted_channels(world, count)
    _lock(world, channels)
    _look_anew(world)
    assert all(isinstance(_pass(thing), Held) for thing in channels)
    return channels


def _unresolved(_mr: ManagedResource) -> ManagedResource:
    msg = "the Guild that it refers to has no id yet"
    raise Waiting(msg)


def test_what_cannot_be_judged_does_not_end_a_hold(world: World) -> None:
    """The Guild object is deleted and made anew: for a moment no reference to it can be resolved."""
    guild = _guild(world)
    channels = _raided(world)
    hold, resolve = _hold(world), world.holds.links.resolve
    world.holds.links.resolve = _unresolved
    _look_anew(world)
    _pass(guild)
    world.holds.links.resolve = resolve
    assert all(isinstance(_pass(thing), Held) for thing in channels), "the same picture is not judged twice"
    assert _hold(world).id == hold.id


def test_an_object_that_breaks_the_count_stops_nobody_else(world: World) -> None:
    channels = _adopted_channels(world, 4)
    resolve = world.holds.links.resolve

    def broken(mr: ManagedResource) -> ManagedResource:
        if mr.name == "c3":
            raise ZeroDivisionError
        return resolve(mr)

    world.holds.links.resolve = broken
    _lock(world, channels[:1])
    _look_anew(world)
    assert isinstance(_pass(channels[0]), Change)


def test_a_strangers_guild_object_releases_nothing(world: World) -> None:
    """Whoever may make a Guild in a namespace of their own can write any id into it."""
    channels = _raided(world)
    hold = _hold(world)
    stranger = world.make("Guild", "a-strangers", external_name=world.guild_id)
    stranger.annotate({meta.RELEASE_HOLD: hold.id})
    _look_anew(world)
    said = _pass(channels[0])
    assert isinstance(said, Held)
    assert "a-strangers" not in str(said), "nor is anybody sent there"
    assert _hold(world).id == hold.id


def test_strangers_objects_hide_nothing_from_the_count(world: World) -> None:
    """Older ones that name the same channels, and a thousand that name anything, in a namespace without rights."""
    channels = _adopted_channels(world, 12)
    _look_anew(world)
    names = [thing.id for thing in channels] + [str(9 * 10**17 + number) for number in range(200)]
    for number, name in enumerate(names):
        one = world.channel(f"a-strangers-{number}", external_name=name)
        one.obj["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
        one.annotate({})
        claim = next(
            claim
            for claim in world.equipment.claims.claimants("Channel", name)
            if claim.key == key_of(one.obj)
        )
        world.equipment.claims.register(name, replace(claim, writes=False))
    _lock(world, channels)
    _look_anew(world)
    assert all(isinstance(_pass(thing), Held) for thing in channels)
    assert _hold(world).total == len(channels)


def test_an_old_picture_ends_no_hold(world: World) -> None:
    """A pass that took long asks with the guild as it was before the raid."""
    channels = _adopted_channels(world, 12)
    visit = channels[0].connect().visit  # type: ignore[attr-defined]
    before = visit.look(world.guild_id, anew=True)
    _lock(world, channels)
    _look_anew(world)
    assert isinstance(_pass(channels[1]), Held)
    hold = _hold(world)
    assert world.holds.ask(visit, before) == hold
    assert _hold(world) == hold


def test_a_hold_ends_with_the_objects_that_it_held(world: World) -> None:
    """Without a Guild object too: else a single slip, months later, would be held for it."""
    channels = _adopted_channels(world, 13)
    _lock(world, channels[1:])
    _look_anew(world)
    assert all(isinstance(_pass(thing), Held) for thing in channels[1:])
    for thing in channels[1:]:
        world.stores[thing.resource].remove(thing.obj)
    _look_anew(world)
    assert isinstance(_pass(channels[0]), Observation)
    assert world.holds.peek(world.guild_id, "bot") is None


def _changed(guild: Thing) -> None:
    _edit(guild, systemChannelFlags=0)


def _made_anew(guild: Thing) -> None:
    status = guild.obj["status"]
    status["conditions"] = [one for one in status["conditions"] if one["type"] != conditions.HELD]
    guild.annotate({})


def _told_of_an_earlier_end(guild: Thing) -> None:
    _made_anew(guild)
    _set(guild, conditions.not_held())
    guild.obj["status"]["conditions"][-1]["lastTransitionTime"] = "2020-01-01T00:00:00Z"
    guild.annotate({})


@pytest.mark.parametrize("lost", [_changed, _made_anew, _told_of_an_earlier_end])
def test_a_new_process_goes_on_with_a_hold_that_the_guild_object_does_not_tell_of(
    world: World, lost: Callable[[Thing], None]
) -> None:
    guild = _guild(world)
    channels = _raided(world)
    _pass(guild)
    hold = _hold(world)
    world.holds.begin_anew()
    lost(guild)
    for thing in channels[:10]:
        world.discord.set_overwrite(thing.id, "everyone", allow=["VIEW_CHANNEL"], actor="Mo")
    _look_anew(world)
    assert isinstance(_pass(channels[11]), Held), "two that differ are few, but nobody has decided"
    assert _hold(world).id == hold.id


def test_a_condition_that_outlived_its_hold_begins_none(world: World) -> None:
    """A paused object keeps the condition of a hold that has ended since."""
    guild = _guild(world)
    channels = _raided(world)
    _pass(guild)
    world.advance(2)
    for thing in channels:
        world.discord.set_overwrite(thing.id, "everyone", allow=["VIEW_CHANNEL"], actor="Mo")
    _look_anew(world)
    _pass(guild)
    _pass(guild)
    world.holds.begin_anew()
    world.discord.set_overwrite(channels[0].id, "everyone", deny=["SEND_MESSAGES"], actor="Mo")
    _look_anew(world)
    assert isinstance(_pass(channels[0]), Change)


def test_a_release_in_the_middle_of_an_incident_puts_back_all_or_nothing(world: World) -> None:
    """The incident is a hold of its own; what one reading shows must not be put back by halves."""
    guild = _guild(world)
    channels = _raided(world)
    hold = _hold(world)
    end = meta.to_rfc3339(world.wall() + timedelta(hours=1))
    world.discord.set_guild(incidents_data={"invites_disabled_until": end, "dms_disabled_until": None})
    _look_anew(world)
    _pass(guild)
    guild.annotate({meta.RELEASE_HOLD: hold.id})
    assert all(isinstance(_pass(thing), Held) for thing in (*channels[:3], *channels[9:]))
    assert _hold(world).cause is Cause.INCIDENT
    guild.annotate({meta.RELEASE_HOLD: _hold(world).id})
    assert all(isinstance(_pass(thing), Change) for thing in channels)


def test_a_copy_that_leads_again_counts_no_hold_that_it_does_not_know_of(world: World) -> None:
    """It was released while another copy led."""
    told: dict[str, int] = {}

    class Metrics(NoHoldMetrics):
        def held(self, cause: str, *, guilds: int) -> None:
            told[cause] = guilds

    world.holds.links.metrics = Metrics()
    _raided(world)
    assert told[Cause.MASS_DRIFT] == 1
    world.holds.begin_anew()
    assert told[Cause.MASS_DRIFT] == 0


@pytest.mark.parametrize("kind", ["Channel", "Role"])
def test_a_field_that_a_new_release_begins_to_compare_is_nobodys_doing(world: World, kind: str) -> None:
    """The release before took the manifests for true, and its status did not show the field."""
    things = _settled_of(world, kind)
    field = _FIELDS[kind]
    for thing in things:
        _differ(world, thing)
        del thing.obj["status"]["atProvider"][field]
        thing.annotate({})
    world.configure(hold={"minimumResources": 0, "percentage": 0})
    world.holds.begin_anew()
    _look_anew(world)
    assert [type(_pass(thing)) for thing in things] == [Change] * len(things)
    assert world.holds.peek(world.guild_id, "bot") is None


@pytest.mark.parametrize("wanted", ["", "ours"])
def test_what_was_changed_while_no_process_was_there_still_counts(world: World, wanted: str) -> None:
    """A channel without a topic has none in its status either, and that was right."""
    channels = _adopted_channels(world, 12, topic=wanted)
    for thing in channels:
        assert thing.at_provider.get("topic", "") == wanted
        world.discord.edit_channel(thing.id, {"topic": "defaced"}, actor="Eve")
    world.holds.begin_anew()
    _look_anew(world)
    assert isinstance(_pass(channels[0]), Held)


_FIELDS: Final = {"Channel": "topic", "Role": "hoist"}


def _settled_of(world: World, kind: str) -> list[Thing]:
    if kind == "Channel":
        return _adopted_channels(world, 3, topic="ours")
    return _settled([world.role(f"r{number}", hoist=True) for number in range(3)])


def _differ(world: World, thing: Thing) -> None:
    if thing.resource.kind == "Channel":
        world.discord.edit_channel(thing.id, {"topic": "as it was before"})
    else:
        world.discord.edit_role(thing.id, {"hoist": False})
