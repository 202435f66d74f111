"""Order is a matter of the whole guild: few bulk requests, and one refused object spoils nothing for the others."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from provider_discord.kube.workqueue import Priority
from provider_discord.managed.errors import Blocked
from provider_discord.managed.external import Change
from provider_discord.simulator import BadEntry, Effect, NewRole, Permission, Positions

if TYPE_CHECKING:
    from tests.unit.kinds.conftest import Thing, World

_BULK_CHANNELS = "/guilds/{guild_id}/channels"
_ICON = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def _channel_order(world: World) -> list[str]:
    found = sorted(world.discord.channels(), key=lambda c: (c["position"], int(c["id"])))
    return [c["name"] for c in found]


def _role_order(world: World) -> list[str]:
    """Return the roles from the highest to the lowest, without the bot's and @everyone."""
    found = sorted(world.discord.roles(), key=lambda r: (-r["position"], int(r["id"])))
    return [r["name"] for r in found if r["position"] > 0 and not r["managed"]]


def _settle(things: list[Thing], priority: Priority = Priority.CHANGE) -> None:
    for _ in range(4):
        for thing in things:
            thing.settle(priority)


@pytest.mark.parametrize("positions", list(Positions))
def test_channels_are_put_in_order_by_one_request(world: World, positions: Positions) -> None:
    world.discord.set_behaviour(channel_positions=str(positions))
    things = [world.channel(name, position=key) for name, key in (("c", 30), ("a", 10), ("b", 20))]
    for thing in things:
        thing.reconcile()
    mark = world.mark()
    _settle(things)
    assert _channel_order(world) == ["a", "b", "c"]
    assert len(world.writes_since(mark)) == 1
    mark = world.mark()
    world.advance(61)
    _settle(things, Priority.POLL)
    assert world.writes_since(mark) == []


def test_a_channel_dragged_by_hand_goes_back(world: World) -> None:
    things = [world.channel(name, position=key) for key, name in enumerate("abcde")]
    for thing in things:
        thing.reconcile()
    _settle(things)
    world.discord.move_channels([{"id": things[4].id, "position": 0}])
    assert _channel_order(world)[0] == "e"
    world.advance(61)
    _settle(things, Priority.POLL)
    assert _channel_order(world) == list("abcde")


@pytest.mark.parametrize("kind", ["channel", "role"])
def test_what_is_made_at_the_same_time_finds_its_siblings(world: World, kind: str) -> None:
    """By the guild in its status, as long as the manifest has but a reference: before the pass that looks at its place."""
    make = world.channel if kind == "channel" else world.role
    made = make("made", position=1)
    made.reconcile()
    assert made.at_provider == {"id": made.id, "guildId": world.guild_id}
    assert made.observe().requeue_after_seconds is None


@pytest.mark.parametrize("kind", ["channel", "role"])
def test_what_is_adopted_at_the_same_time_looks_at_its_place_again(world: World, kind: str) -> None:
    create = world.discord.create_channel if kind == "channel" else world.discord.create_role
    make = world.channel if kind == "channel" else world.role
    adopted = make("theirs", external_name=create({"name": "theirs"})["id"], position=1)
    assert adopted.observe().requeue_after_seconds == world.timings.order_quiet_seconds
    assert adopted.observe().requeue_after_seconds is None, "its siblings have seen it now"


def test_unmanaged_and_paused_channels_keep_their_places(world: World) -> None:
    things = [world.channel("b", position=2), world.channel("a", position=1)]
    things[0].reconcile()
    world.discord.create_channel({"name": "theirs", "type": 0})
    things[1].reconcile()
    _settle(things)
    assert _channel_order(world) == ["a", "theirs", "b"]


def test_a_changed_sort_key_moves_at_once(world: World) -> None:
    things = [world.channel(name, position=key) for key, name in enumerate("abc")]
    for thing in things:
        thing.reconcile()
    _settle(things)
    things[0].spec(position=9).settle()
    assert _channel_order(world) == ["b", "c", "a"]


def test_roles_are_put_in_order_below_the_bots(world: World) -> None:
    things = [world.role(name, position=key) for name, key in (("low", 1), ("high", 3), ("middle", 2))]
    for thing in things:
        thing.reconcile()
    _settle(things)
    assert _role_order(world) == ["high", "middle", "low"]
    mark = world.mark()
    world.advance(61)
    _settle(things, Priority.POLL)
    assert world.writes_since(mark) == []


def test_no_room_below_the_bots_role_is_said_and_not_tried_again_and_again(world: World) -> None:
    world.discord.set_behaviour(new_role=str(NewRole.TIES))
    things = [world.role(name, position=key) for name, key in (("low", 1), ("high", 3), ("middle", 2))]
    for thing in things:
        thing.reconcile()
    things[0].reconcile()
    mark = world.mark()
    for _ in range(5):
        with pytest.raises(Blocked, match="drag the bot's own role"):
            things[0].reconcile()
    assert len(world.requests(since=mark, status=403)) == 1


def test_equal_and_absent_sort_keys_are_unmanaged(world: World) -> None:
    things = [world.channel("b", position=0), world.channel("a", position=0), world.channel("c")]
    for thing in things:
        thing.reconcile()
    _settle(things)
    assert _channel_order(world) == ["b", "a", "c"]
    assert not [w for w in world.requests(writes=True) if w["method"] == "PATCH"]


@pytest.mark.parametrize("bad_entry", [BadEntry.FAILS_ALL])
def test_a_role_above_the_bot_is_said_and_spoils_nothing(world: World, bad_entry: BadEntry) -> None:
    world.discord.set_behaviour(bad_bulk_entry=str(bad_entry))
    boss = world.discord.create_role({"name": "boss"})
    world.discord.set_bot_permissions(int(Permission.MANAGE_ROLES))
    bot_role = next(r for r in world.discord.roles() if r["managed"])
    world.discord.move_roles([{"id": boss["id"], "position": bot_role["position"] + 5}])
    things = [world.role("low", position=1), world.role("high", position=2)]
    for thing in things:
        thing.reconcile()
    above = world.role("boss", external_name=boss["id"], position=0, hoist=True)
    with pytest.raises(Blocked, match="above"):
        above.reconcile()
    _settle(things)
    assert _role_order(world)[-2:] == ["high", "low"]


def test_a_refused_batch_is_sent_again_in_parts_and_the_order_comes_all_the_same(world: World) -> None:
    names = list("abcdef")
    things = [world.channel(name, position=-ord(name) + 200) for name in names]
    for thing in things:
        thing.reconcile()
    world.discord.add_fault(Effect.STATUS, status=400, method="PATCH", route=_BULK_CHANNELS)
    _settle(things)
    assert _channel_order(world) == names[::-1]
    assert len(world.requests(status=400)) == 1


def test_when_every_batch_is_refused_each_object_says_so_and_the_requests_end(world: World) -> None:
    things = [world.channel(name, position=-ord(name) + 200) for name in "abcdef"]
    for thing in things:
        thing.reconcile()
    world.discord.add_fault(Effect.STATUS, status=400, method="PATCH", route=_BULK_CHANNELS, times=0)
    for _ in range(3):
        for thing in things:
            with contextlib.suppress(Blocked):
                thing.reconcile()
    mark = world.mark()
    for thing in things:
        with pytest.raises(Blocked, match="can't be moved"):
            thing.reconcile()
    assert world.writes_since(mark) == []
    assert len(world.requests(status=400)) <= 20


def test_many_workers_make_and_order_a_guild_without_getting_into_each_others_way(world: World) -> None:
    names = [f"c{number:02}" for number in range(40)]
    things = [world.channel(name, position=key) for key, name in enumerate(names)]

    world.hasty = False
    with ThreadPoolExecutor(8) as pool:
        for _ in range(6):
            list(pool.map(lambda thing: thing.reconcile(), reversed(things)))
            world.advance(1.1)
    assert _channel_order(world) == names
    writes = world.requests(writes=True)
    assert len([w for w in writes if w["method"] == "POST"]) == len(names)
    assert len(writes) <= len(names) + 3


def test_a_difference_says_where_an_object_stands_and_where_it_shall(world: World) -> None:
    channels = [world.channel(name, position=key) for name, key in (("b", 2), ("a", 1))]
    roles = [world.role(name, position=key) for name, key in (("high", 2), ("low", 1))]
    for thing in (*channels, *roles):
        thing.reconcile()
    world.discord.move_roles(
        [{"id": thing.id, "position": position} for position, thing in enumerate(roles, start=1)]
    )
    world.advance(61)
    assert [str(diff) for diff in channels[1].observe().diff] == ["position: below b -> above b"]
    assert [str(diff) for diff in roles[0].observe().diff] == ["position: below low -> above low"]


def test_only_what_somebody_moved_is_drift(world: World) -> None:
    things = [world.channel(name, position=10 * key) for key, name in enumerate("abcde", start=1)]
    for thing in things:
        thing.reconcile()
    _settle(things)
    first = world.channel("first", position=1)
    first.reconcile()
    assert all(diff.own for thing in (first, *things) for diff in thing.observe().diff), "made by us"
    assert first.observe().diff
    _settle([first, *things])
    things[0].spec(position=99)
    assert all(diff.own for thing in (first, *things) for diff in thing.observe().diff), "another sort key"
    assert things[0].observe().diff
    _settle([first, *things])
    world.advance(61)
    world.discord.move_channels([{"id": things[3].id, "position": 0}])
    dragged = {
        thing.id for thing in (first, *things) for diff in thing.observe(Priority.RETRY).diff if not diff.own
    }
    assert dragged == {things[3].id}, "its neighbours are out of order, but nobody touched them"
    _settle([first, *things])
    assert _channel_order(world) == ["first", "b", "c", "d", "e", "a"]


def test_a_channel_that_its_manifest_moves_into_a_category_is_drift_for_nobody(world: World) -> None:
    category = world.channel("staff", type="category")
    category.reconcile()
    inside = world.channel("inside", position=1, parentId=category.id)
    outside = world.channel("outside", position=0)
    for thing in (inside, outside):
        thing.reconcile()
    _settle([category, inside, outside])
    outside.spec(parentId=category.id)
    outside.reconcile()
    assert all(diff.own for thing in (inside, outside) for diff in thing.observe().diff)


def test_a_403_for_channels_is_nobodys_in_particular_and_ends_at_once(world: World) -> None:
    things = [world.channel(name, position=-ord(name) + 200) for name in "abcdef"]
    for thing in things:
        thing.reconcile()
    things[0].reconcile()
    mark = world.mark()
    world.discord.set_bot_permissions(int(Permission.VIEW_CHANNEL))
    with pytest.raises(Blocked) as refused:
        things[0].reconcile()
    assert refused.value.reason == "MissingPermission"
    assert len(world.requests(since=mark, status=403)) == 1
    for thing in things:
        with pytest.raises(Blocked, match="MANAGE_CHANNELS"):
            thing.reconcile()
    assert len(world.requests(since=mark, status=403)) == 1, "it is foreseen now"
    assert world.requests(since=mark, route="/guilds/{guild_id}/members/{user_id}"), (
        "its roles may have changed"
    )
    world.discord.set_bot_permissions(int(Permission.VIEW_CHANNEL | Permission.MANAGE_CHANNELS))
    world.advance(61)
    _settle(things)
    assert _channel_order(world) == list("fedcba")


def test_what_discord_carried_out_of_a_refused_batch_is_looked_at(world: World) -> None:
    """It may keep what stood before the entry that it refuses."""
    things = [world.channel(name, position=-ord(name) + 200) for name in "abcd"]
    for thing in things:
        thing.reconcile()
    world.discord.add_fault(
        Effect.STATUS, status=400, method="PATCH", route=_BULK_CHANNELS, after_commit=True
    )
    things[0].reconcile()
    mark = world.mark()
    things[0].reconcile()
    assert len(world.writes_since(mark)) == 1, "all of it was carried out; nothing is sent again"
    assert _channel_order(world) == list("dcba")


@pytest.mark.parametrize(
    ("kind", "fields", "annotation"),
    [
        ("channel", {"availableTags": [{"name": "bug"}]}, "discord.crossplane.io/tags"),
        ("role", {"icon": _ICON}, "discord.crossplane.io/images"),
    ],
)
def test_trouble_with_the_order_does_not_lose_what_was_written_before(
    world: World, kind: str, fields: dict[str, Any], annotation: str
) -> None:
    world.discord.set_guild(features=["ROLE_ICONS"])
    if kind == "channel":
        things = [world.channel(name, type="forum", position=key) for name, key in (("b", 2), ("a", 1))]
    else:
        things = [world.role(name, position=key) for name, key in (("b", 2), ("a", 1))]
    for thing in things:
        thing.reconcile()
    if kind == "role":
        world.discord.move_roles([{"id": things[0].id, "position": 1}, {"id": things[1].id, "position": 2}])
        world.advance(61)
    thing = things[1]
    world.discord.add_fault(
        Effect.STATUS, status=400, method="PATCH", route=f"/guilds/{{guild_id}}/{kind}s", times=0
    )
    thing.reconcile()
    change = thing.spec(**fields).reconcile()
    assert isinstance(change, Change)
    assert change.wrote
    assert change.requeue_after_seconds is not None, "it is not settled yet"
    assert annotation in thing.mr.annotations
    mark = world.mark()
    with pytest.raises(Blocked, match="can't be moved"):
        thing.reconcile()
    assert world.writes_since(mark) == []
