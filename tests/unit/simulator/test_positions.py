"""Positions: what bulk writes and creates make of the order of channels and roles."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_discord.simulator import channels, moves, roles, seeding
from provider_discord.simulator.act import Act
from provider_discord.simulator.errors import ApiError, Problem
from provider_discord.simulator.state import Guild, World


def order(guild: Guild) -> list[str]:
    found = sorted(guild.channels.values(), key=lambda one: (one["position"], int(one["id"])))
    return [channel["name"] for channel in found]


def named(guild: Guild, name: str) -> str:
    return next(str(channel["id"]) for channel in guild.channels.values() if channel["name"] == name)


def role_order(guild: Guild) -> list[str]:
    """Highest first."""
    found = sorted(guild.roles.values(), key=lambda one: (-one["position"], int(one["id"])))
    return [role["name"] for role in found]


@pytest.mark.parametrize(
    ("wanted", "expected", "reason"),
    [
        ({"a": 2}, "bcad", "moving down goes behind the one that is there"),
        ({"d": 1}, "adbc", "moving up goes before it"),
        ({"a": 3, "d": 0}, "dbca", "a swap"),
        ({"d": 0, "c": 1, "b": 2, "a": 3}, "dcba", "all of them"),
        ({"b": 1}, "abcd", "where it is"),
        ({"a": 900}, "bcda", "far behind"),
    ],
)
def test_a_bulk_write_moves_channels(admin: Act, wanted: dict[str, int], expected: str, reason: str) -> None:
    for name in "abcd":
        channels.create(admin, {"name": name})
    moves.move_channels(
        admin, [{"id": named(admin.guild, name), "position": at} for name, at in wanted.items()]
    )
    assert "".join(order(admin.guild)) == expected, reason
    assert sorted(channel["position"] for channel in admin.guild.channels.values()) == [0, 1, 2, 3]


@given(st.permutations(range(6)), st.lists(st.integers(0, 20), min_size=6, max_size=6, unique=True))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_writing_a_permutation_into_held_slots_gives_that_order(order_: list[int], slots: list[int]) -> None:
    world = World()
    guild = seeding.new_guild(world, "Home")
    admin = Act(world=world, guild=guild, user_id=guild.settings["owner_id"], trusted=True)
    made = [channels.create(admin, {"name": f"c{number}"}) for number in range(6)]
    for channel, slot in zip(made, sorted(slots), strict=True):
        channel["position"] = slot

    wanted = [
        {"id": made[number]["id"], "position": slot}
        for number, slot in zip(order_, sorted(slots), strict=True)
    ]
    moves.move_channels(admin, wanted)

    assert order(guild) == [f"c{number}" for number in order_]


def test_classes_are_sorted_apart(admin: Act) -> None:
    text = channels.create(admin, {"name": "t"})
    voice = channels.create(admin, {"name": "v", "type": 2})
    category = channels.create(admin, {"name": "c", "type": 4})
    assert [text["position"], voice["position"], category["position"]] == [0, 0, 0]


def test_one_parent_change_in_a_request(admin: Act) -> None:
    category = channels.create(admin, {"name": "c", "type": 4})
    a, b = (channels.create(admin, {"name": name}) for name in "ab")
    moves.move_channels(
        admin, [{"id": a["id"], "parent_id": category["id"]}, {"id": b["id"], "parent_id": None}]
    )
    assert admin.guild.channels[a["id"]]["parent_id"] == category["id"]
    with pytest.raises(ApiError) as refused:
        moves.move_channels(
            admin, [{"id": a["id"], "parent_id": None}, {"id": b["id"], "parent_id": category["id"]}]
        )
    assert refused.value.code == 40009


def test_lock_permissions_copies_the_parents(admin: Act) -> None:
    private = [{"id": admin.guild.id, "type": 0, "allow": "0", "deny": "1024"}]
    category = channels.create(admin, {"name": "c", "type": 4, "permission_overwrites": private})
    a = channels.create(admin, {"name": "a"})
    moves.move_channels(admin, [{"id": a["id"], "parent_id": category["id"], "lock_permissions": True}])
    assert admin.guild.channels[a["id"]]["permission_overwrites"] == private


def test_a_hidden_channel_can_be_put_in_order(admin: Act, bot: Act) -> None:
    a = channels.create(admin, {"name": "a"})
    channels.create(admin, {"name": "b"})
    channels.put_overwrite(admin, a["id"], admin.guild.id, {"type": 0, "deny": "1024"})
    moves.move_channels(bot, [{"id": a["id"], "position": 1}])
    assert order(admin.guild) == ["b", "a"]


def test_a_new_role_lands_at_the_bottom(admin: Act) -> None:
    for name in "abc":
        roles.create(admin, {"name": name})
    assert role_order(admin.guild) == ["a", "b", "c", "@everyone"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [({"c": 3}, "cab"), ({"a": 1}, "bca"), ({"a": 1, "c": 3}, "cba"), ({"b": 3, "a": 2}, "bac")],
)
def test_a_bulk_write_moves_roles(admin: Act, wanted: dict[str, int], expected: str) -> None:
    ids = {name: roles.create(admin, {"name": name})["id"] for name in "abc"}
    roles.move_roles(admin, [{"id": ids[name], "position": at} for name, at in wanted.items()])
    assert role_order(admin.guild) == [*expected, "@everyone"]
    assert sorted(role["position"] for role in admin.guild.roles.values()) == [0, 1, 2, 3]


def test_a_bot_sorts_only_below_its_own_role(admin: Act, bot: Act) -> None:
    low = roles.create(admin, {"name": "low"})
    high = roles.create(admin, {"name": "high"})
    top = max(role["position"] for role in admin.guild.roles.values())
    roles.move_roles(admin, [{"id": high["id"], "position": top + 1}])
    assert role_order(admin.guild) == ["high", "robot", "low", "@everyone"]

    entries: list[list[dict[str, Any]]] = [
        [{"id": high["id"], "position": 1}],
        [{"id": low["id"], "position": admin.guild.roles[high["id"]]["position"]}],
    ]
    for attempt in entries:
        with pytest.raises(ApiError) as refused:
            roles.move_roles(bot, attempt)
        assert refused.value.problem is Problem.MISSING_PERMISSIONS
    assert role_order(admin.guild) == ["high", "robot", "low", "@everyone"]
