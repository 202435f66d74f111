"""Order is a matter of the whole guild: few bulk requests, and one refused object spoils nothing for the others."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from provider_discord.kube.workqueue import Priority
from provider_discord.managed.errors import Blocked
from provider_discord.simulator import BadEntry, Effect, NewRole, Permission, Positions

if TYPE_CHECKING:
    from tests.unit.kinds.conftest import Thing, World

_BULK_CHANNELS = "/guilds/{guild_id}/channels"


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
