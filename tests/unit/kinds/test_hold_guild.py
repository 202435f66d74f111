"""Hold with the real kinds on a simulated guild: who is counted, who writes, who is told, what is read."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import pytest

from provider_discord.kinds.actors import NOBODY
from provider_discord.kinds.fights import LEFT_ALONE, Fights
from provider_discord.kube.workqueue import Priority
from provider_discord.managed import conditions, meta
from provider_discord.managed.conditions import Condition
from provider_discord.managed.errors import Blocked, Held
from provider_discord.managed.external import Change, Observation
from tests.unit.kinds.conftest import Thing, World

SEND_MESSAGES = 1 << 11
VIEW = [{"target": "everyone", "allowNames": ["VIEW_CHANNEL"]}]


class Recorder:
    """Remembers events."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, str]] = []

    def event(self, obj: dict[str, Any], type_: Any, reason: str, message: str) -> None:
        self.said.append((obj["metadata"]["name"], f"{type_} {reason}", message))


@pytest.fixture
def recorder(world: World) -> Recorder:
    made = Recorder()
    world.holds.links.recorder = made
    return made


def _set(thing: Thing, *given: Condition) -> None:
    generation = thing.mr.generation
    status = thing.obj["status"]
    settled = thing.mr.settled_generation
    status["conditions"] = conditions.merge(
        status.get("conditions"), given, generation=generation, now=thing.world.wall()
    )
    if any(one.type == conditions.SYNCED and one.status for one in given):
        status.pop("lastSyncedGeneration", None)
    elif settled:
        status["lastSyncedGeneration"] = settled
    thing.annotate({})


def _pass(thing: Thing, priority: Priority = Priority.POLL) -> Held | Blocked | Observation | Change:
    """Make one pass and write what the reconciler would into the status."""
    try:
        outcome = thing.reconcile(priority)
    except Held as error:
        _set(thing, conditions.held_back(str(error)), conditions.held(error.cause, error.told or str(error)))
        return error
    except Blocked as error:
        _set(thing, conditions.reconcile_error(str(error)))
        return error
    if isinstance(outcome, Change) and outcome.requeue_after_seconds is not None:
        return outcome
    told = outcome.conditions if isinstance(outcome, Observation) else ()
    _set(thing, conditions.available(), conditions.reconcile_success(), *told)
    return outcome


def _edit(thing: Thing, **fields: Any) -> None:
    """Change the manifest, as kubectl apply does."""
    thing.obj["metadata"]["generation"] += 1
    thing.spec(**fields)


def _settled(things: Iterable[Thing]) -> list[Thing]:
    made = list(things)
    for thing in made:
        thing.settle(Priority.RETRY)
        _set(thing, conditions.available(), conditions.reconcile_success())
    for thing in made:
        _pass(thing)
    return made


def _look_anew(world: World) -> None:
    world.advance(world.timings.poll_snapshot_age_seconds + 1)


def _adopted_channels(world: World, count: int, **fields: Any) -> list[Thing]:
    made = []
    _look_anew(world)
    for number in range(count):
        raw = world.discord.create_channel({"name": f"c{number}", "type": 0})
        made.append(world.channel(f"c{number}", external_name=raw["id"], permissionOverwrites=VIEW, **fields))
    return _settled(made)


def _lock(world: World, things: Iterable[Thing], actor: str = "Mo") -> None:
    for thing in things:
        world.discord.set_overwrite(thing.id, "everyone", deny=SEND_MESSAGES, actor=actor)


def _guild(world: World) -> Thing:
    return _settled([world.guild(external_name=world.guild_id)])[0]


def _told(thing: Thing) -> str:
    found = conditions.find(thing.obj["status"].get("conditions"), conditions.HELD)
    return str(found.get("message", "")) if found.get("status") == "True" else ""


def test_a_lockdown_of_300_channels_is_not_undone_and_is_counted_once(
    world: World, recorder: Recorder
) -> None:
    guild, channels = _guild(world), _adopted_channels(world, 300)
    _lock(world, channels)
    _look_anew(world)
    mark, began = world.mark(), time.process_time()
    outcomes = [_pass(thing) for thing in channels]
    took = time.process_time() - began
    assert all(isinstance(one, Held) for one in outcomes)
    assert world.writes_since(mark) == []
    reads = [one["route"] for one in world.requests(since=mark)]
    assert len([one for one in reads if "audit-logs" in one]) <= world.timings.audit_pages
    assert len(reads) <= 2 + world.timings.audit_pages
    assert took < 8, "a census takes a fraction of a second; one for each object would take minutes"

    _pass(guild)
    assert "300 of the guild's 301 objects differ" in _told(guild)
    assert "Mo (" in _told(guild)
    assert [one[:2] for one in recorder.said] == [("guild", "Warning Held")], "one event, not 300"
    assert "permissionOverwrites[role @everyone" in str(outcomes[7]), "what is held back is named"


def test_a_release_puts_everything_back_and_the_next_raid_is_held_again(
    world: World, recorder: Recorder
) -> None:
    guild, channels = _guild(world), _adopted_channels(world, 12)
    _lock(world, channels)
    _look_anew(world)
    outcomes = [_pass(thing) for thing in (*channels, guild)]
    hold = world.holds.peek(world.guild_id, "bot")
    assert hold is not None
    woken: list[Any] = []
    world.holds.links.wake = woken.extend
    guild.annotate({meta.RELEASE_HOLD: "another"})
    assert isinstance(_pass(channels[0]), Held), "the annotation's value matters"
    guild.annotate({meta.RELEASE_HOLD: hold.id})
    _pass(guild)
    assert len(woken) >= 13, "all are looked at at once"
    assert not _told(guild)
    assert ("guild", "Normal HoldReleased") in [one[:2] for one in recorder.said]
    assert all(isinstance(_pass(thing), Change) for thing in channels)
    assert all(isinstance(_pass(thing), Observation) for thing in channels)
    assert not any(_told(thing) for thing in channels)

    _look_anew(world)
    _lock(world, channels)
    _look_anew(world)
    assert isinstance(_pass(channels[0]), Held), "the annotation is still there, and releases nothing more"
    del outcomes


def test_changed_and_new_manifests_are_applied_in_a_held_guild(world: World) -> None:
    channels = _adopted_channels(world, 12)
    _lock(world, channels)
    _look_anew(world)
    assert isinstance(_pass(channels[0]), Held)
    _edit(channels[0], topic="changed")
    assert isinstance(_pass(channels[0], Priority.CHANGE), Change)
    raw = world.discord.channel(channels[0].id)
    assert (raw["topic"], [one["deny"] for one in raw["permission_overwrites"]]) == ("changed", ["0"])
    assert isinstance(_pass(channels[0]), Observation)
    assert not _told(channels[0])
    new = world.channel("new")
    assert isinstance(_pass(new, Priority.CHANGE), Change)
    assert isinstance(_pass(channels[1]), Held)


def test_a_hold_survives_the_process_and_ends_when_it_was_undone(world: World) -> None:
    guild, channels = _guild(world), _adopted_channels(world, 12)
    _lock(world, channels)
    _look_anew(world)
    for thing in (*channels, guild):
        _pass(thing)
    hold = world.holds.peek(world.guild_id, "bot")
    assert hold is not None
    world.holds.begin_anew()
    for thing in channels[:10]:
        world.discord.set_overwrite(thing.id, "everyone", allow=["VIEW_CHANNEL"], actor="Mo")
    _look_anew(world)
    assert isinstance(_pass(channels[11]), Held), (
        "two that differ are far below the limit, but nobody has decided"
    )
    again = world.holds.peek(world.guild_id, "bot")
    assert again is not None
    assert again.id == hold.id
    for thing in channels[10:]:
        world.discord.set_overwrite(thing.id, "everyone", allow=["VIEW_CHANNEL"], actor="Mo")
    _look_anew(world)
    _pass(guild)
    assert world.holds.peek(world.guild_id, "bot") is None
    assert not _told(guild)


def test_trouble_with_the_last_look_makes_no_raid_harmless(world: World) -> None:
    """An outage at Discord takes Synced from every object; that they were true is still known, by a new process too."""
    channels = _adopted_channels(world, 12)
    for thing in channels:
        _set(thing, conditions.reconcile_error("Discord answered 503"))
    world.holds.begin_anew()
    _lock(world, channels)
    _look_anew(world)
    assert isinstance(_pass(channels[0]), Held)


def test_roles_that_were_deleted_are_not_made_again(world: World) -> None:
    roles = _settled([world.role(f"r{number}") for number in range(12)])
    for thing in roles:
        world.discord.delete_role(thing.id, actor="Eve")
    _look_anew(world)
    mark = world.mark()
    assert all(isinstance(_pass(thing), Held) for thing in roles)
    assert world.writes_since(mark) == []
    world.holds.begin_anew()
    assert isinstance(_pass(roles[3]), Held)
    hold = world.holds.peek(world.guild_id, "bot")
    assert hold is not None
    assert hold.vanished == 12


def test_deleted_channels_are_held_also_if_that_becomes_certain_only_later(world: World) -> None:
    channels = _adopted_channels(world, 12)
    can = ["VIEW_CHANNEL", "MANAGE_CHANNELS", "MANAGE_ROLES", "SEND_MESSAGES"]
    world.discord.set_bot_permissions(can)
    for thing in channels:
        world.discord.delete_channel(thing.id, actor="Eve")
    world.session.connection.snapshots.invalidate_member(world.guild_id)
    for _ in range(2):
        _look_anew(world)
        assert all(isinstance(_pass(thing), Blocked) for thing in channels), "hidden or gone, nobody knows"
    world.discord.set_bot_permissions([*can, "VIEW_AUDIT_LOG"])
    world.session.connection.snapshots.invalidate_member(world.guild_id)
    _look_anew(world)
    mark = world.mark()
    outcomes = [_pass(thing) for thing in channels]
    assert all(isinstance(one, Held) for one in outcomes), [str(one)[:90] for one in outcomes]
    assert world.writes_since(mark) == []


# What is one act, or nobody's.


def test_one_deleted_role_is_one_change_however_many_channels_name_it(world: World) -> None:
    role = _settled([world.role("team")])[0]
    overwrites = [{"roleId": role.id, "allowNames": ["VIEW_CHANNEL"]}]
    channels = _settled(
        [world.channel(f"c{number}", permissionOverwrites=overwrites) for number in range(12)]
    )
    del channels
    world.discord.delete_role(role.id)
    _look_anew(world)
    assert isinstance(_pass(role), Change), "made again, as ever"


def test_one_deleted_category_is_one_change_however_many_channels_were_in_it(world: World) -> None:
    category = _settled([world.channel("hall", type="category")])[0]
    _settled([world.channel(f"c{number}", parentId=category.id) for number in range(12)])
    world.discord.delete_channel(category.id)
    _look_anew(world)
    assert isinstance(_pass(category), Change)


def _categories(world: World, count: int, children: int) -> tuple[list[Thing], list[Thing]]:
    categories = _settled(
        [
            world.channel(f"hall{number}", type="category", permissionOverwrites=VIEW)
            for number in range(count)
        ]
    )
    channels = [
        world.channel(f"c{category.id}-{number}", parentId=category.id, permissionOverwrites=VIEW)
        for category in categories
        for number in range(children)
    ]
    return categories, _settled(channels)


def test_one_category_that_is_locked_with_its_channels_is_one_change(world: World) -> None:
    categories, channels = _categories(world, 1, 12)
    _lock(world, (*categories, *channels))
    _look_anew(world)
    assert isinstance(_pass(channels[0]), Change)


def test_several_categories_that_are_locked_are_a_lockdown(world: World) -> None:
    categories, channels = _categories(world, 3, 4)
    _lock(world, (*categories, *channels))
    _look_anew(world)
    assert isinstance(_pass(channels[0]), Held)


def test_what_our_own_change_of_categories_passes_on_is_nobodys(world: World) -> None:
    categories, channels = _categories(world, 3, 4)
    for category in categories:
        _edit(category, permissionOverwrites=[{"target": "everyone", "denyNames": ["SEND_MESSAGES"]}])
        category.settle()
        _set(category, conditions.available(), conditions.reconcile_success())
    for thing in channels:
        world.discord.set_overwrite(thing.id, "everyone", deny=SEND_MESSAGES)
    _look_anew(world)
    assert isinstance(_pass(channels[0]), Change)


def test_whoever_changes_references_has_changed_what_is_wanted(world: World) -> None:
    channels = _adopted_channels(world, 12)
    for thing in channels:
        thing.obj["spec"]["forProvider"]["topic"] = "what a reference stands for now"
        thing.annotate({})
    _look_anew(world)
    assert isinstance(_pass(channels[0]), Change)


def test_ordinary_hand_edits_are_put_back(world: World) -> None:
    channels = _adopted_channels(world, 12)
    for thing in channels[:5]:
        world.discord.rename_channel(thing.id, "by-hand")
    _look_anew(world)
    assert all(isinstance(_pass(thing), Change) for thing in channels[:5])


def test_who_edits_a_little_at_each_poll_is_noticed(world: World) -> None:
    channels = _adopted_channels(world, 12)
    for first in (0, 4):
        for thing in channels[first : first + 4]:
            world.discord.edit_channel(thing.id, {"name": f"x{thing.id}"})
        _look_anew(world)
        outcomes = [_pass(thing) for thing in channels[first : first + 4]]
    assert all(isinstance(one, Held) for one in outcomes)


def test_a_held_guild_propagates_nothing_to_channels_that_follow_a_category(world: World) -> None:
    """What an attacker allows in a category must not be copied further by us."""
    categories, channels = _categories(world, 4, 2)
    follower = world.channel("follower", parentId=categories[0].id, syncPermissions=True)
    _settled([follower])
    _lock(world, (*categories, *channels))
    _look_anew(world)
    assert isinstance(_pass(follower), Held)
    assert world.discord.channel(follower.id)["permission_overwrites"][0]["deny"] == "0"


def test_in_a_held_guild_only_what_is_wanted_elsewhere_moves(world: World) -> None:
    channels = _settled(
        [world.channel(f"c{number}", position=number, permissionOverwrites=VIEW) for number in range(12)]
    )
    for _ in range(3):
        for thing in channels:
            _pass(thing)
    _lock(world, channels)
    world.discord.move_channels([{"id": channels[2].id, "position": 11}])
    _look_anew(world)
    assert isinstance(_pass(channels[5]), Held)
    assert isinstance(_pass(channels[2]), Held)
    before = _order(world, channels)
    _edit(channels[0], position=8)
    for _ in range(4):
        _pass(channels[0], Priority.CHANGE)
    after = _order(world, channels)
    assert [name for name in after if name != "c0"] == [name for name in before if name != "c0"]
    assert after.index("c0") > after.index("c7")


def _order(world: World, channels: list[Thing]) -> list[str]:
    raws = [world.discord.channel(thing.id) for thing in channels]
    return [raw["name"] for raw in sorted(raws, key=lambda raw: (raw["position"], int(raw["id"])))]


# Who did it, and how it can be switched off.


def test_where_the_audit_log_may_not_be_read_the_actors_are_unknown(world: World) -> None:
    guild, channels = _guild(world), _adopted_channels(world, 12)
    world.discord.set_bot_permissions(
        ["VIEW_CHANNEL", "MANAGE_CHANNELS", "MANAGE_ROLES", "MANAGE_GUILD", "SEND_MESSAGES"]
    )
    _lock(world, channels)
    world.session.connection.snapshots.invalidate_member(world.guild_id)
    _look_anew(world)
    assert isinstance(_pass(channels[0]), Held)
    _pass(guild)
    assert "unknown people (give the bot View Audit Log" in _told(guild)
    assert NOBODY not in _told(guild)


def test_the_audit_log_is_asked_a_few_times_at_most(world: World) -> None:
    guild, channels = _guild(world), _adopted_channels(world, 12)
    world.discord.set_behaviour(audit_log_lag_seconds=3600.0)
    _lock(world, channels)
    for _ in range(6):
        _look_anew(world)
        _pass(channels[0])
        _pass(guild)
    asked = [one for one in world.requests() if "audit-logs" in one["route"]]
    assert len(asked) <= 3
    assert NOBODY in _told(guild)


def test_whoever_wants_no_hold_gets_none_and_is_rid_of_the_one_there_is(world: World) -> None:
    channels = _adopted_channels(world, 12)
    _lock(world, channels)
    _look_anew(world)
    assert isinstance(_pass(channels[0]), Held)
    world.configure(hold={"disabled": True})
    _look_anew(world)
    assert all(isinstance(_pass(thing), Change) for thing in channels)


def test_without_a_guild_object_the_provider_config_releases(world: World) -> None:
    config = world.config()
    world.holds.links.config = lambda _name: config
    channels = _adopted_channels(world, 12)
    _lock(world, channels)
    _look_anew(world)
    said = _pass(channels[0])
    hold = world.holds.peek(world.guild_id, "bot")
    assert hold is not None
    command = f"kubectl annotate providerconfigs.discord.crossplane.io bot {meta.RELEASE_HOLD}={hold.id} --overwrite"
    assert command in str(said)
    config["metadata"]["annotations"] = {meta.RELEASE_HOLD: hold.id}
    assert all(isinstance(_pass(thing), Change) for thing in channels)


# Fights.


def test_a_field_is_left_alone_after_so_many_times_and_others_are_not(world: World) -> None:
    world.configure(hold={"putBackLimit": 3})
    thing = _settled([world.channel("a", topic="ours", nsfw=False)])[0]
    for number in range(3):
        world.discord.edit_channel(thing.id, {"topic": f"theirs {number}"})
        _look_anew(world)
        assert isinstance(_pass(thing), Change)
        assert isinstance(_pass(thing), Observation)
    world.discord.edit_channel(thing.id, {"topic": "theirs", "nsfw": True})
    _look_anew(world)
    assert isinstance(_pass(thing), Change)
    raw = world.discord.channel(thing.id)
    assert (raw["topic"], raw["nsfw"]) == ("theirs", False)
    said = _pass(thing)
    assert isinstance(said, Blocked)
    assert said.reason == "LeftAlone"
    assert "put back 3 times within 60 minutes" in str(said)
    assert 'topic: "theirs" -> "ours"' in str(said)
    object.__setattr__(world.equipment, "fights", Fights())
    assert isinstance(_pass(thing), Blocked), "a new process begins no new fight"
    _edit(thing, topic="ours again")
    assert isinstance(_pass(thing), Change)
    assert LEFT_ALONE not in thing.obj["metadata"]["annotations"]


def test_a_place_in_the_order_can_be_fought_over_too(world: World) -> None:
    world.configure(hold={"putBackLimit": 2})
    things = _settled([world.role(f"r{number}", position=number) for number in range(3)])
    for _ in range(3):
        for thing in things:
            _pass(thing)
    low, top = things[0], things[2]
    outcomes: list[Any] = []
    for _ in range(3):
        place = int(world.discord.role(top.id)["position"])
        world.discord.move_roles([{"id": low.id, "position": place}])
        _look_anew(world)
        outcomes = [_pass(low) for _ in range(3)]
    assert isinstance(outcomes[-1], Blocked)
    assert outcomes[-1].reason == "LeftAlone"
    mark = world.mark()
    _look_anew(world)
    for thing in things:
        _pass(thing)
    assert world.writes_since(mark) == []
