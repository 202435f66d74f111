"""Order: one bulk PATCH settles it, what is not ours keeps its place, and no number is written for nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from provider_discord.discord.permissions import rank
from provider_discord.kinds.order import (
    PositionEntry,
    channel_place,
    misplaced_channels,
    misplaced_roles,
    moved_channels,
    moved_roles,
    plan_channel_order,
    plan_role_order,
    role_place,
)

Raw = dict[str, Any]

TEXT, VOICE, CATEGORY, ANNOUNCEMENT, STAGE, FORUM = 0, 2, 4, 5, 13, 15


def channel(number: int, position: int, kind: int = TEXT, parent: str | None = None) -> Raw:
    return {"id": str(number), "position": position, "type": kind, "parent_id": parent, "name": f"c{number}"}


def text(*positions: int) -> list[Raw]:
    """Text channels 1, 2, 3 ... at these positions."""
    return [channel(number, position) for number, position in enumerate(positions, start=1)]


def everyone() -> Raw:
    return {"id": "1", "position": 0, "name": "@everyone"}


def role(number: int, position: int) -> Raw:
    return {"id": str(number), "position": position, "name": f"r{number}"}


def shown(channels: Iterable[Raw]) -> list[int]:
    """The channels of one block from top to bottom, as Discord sorts them."""
    return [int(one["id"]) for one in sorted(channels, key=lambda one: (one["position"], int(one["id"])))]


def hierarchy(roles: Iterable[Raw]) -> list[int]:
    """The roles from the lowest to the highest."""
    return [int(one["id"]) for one in sorted(roles, key=rank)]


def verbatim(items: Sequence[Raw], entries: Sequence[PositionEntry]) -> list[Raw]:
    """Discord as it would be if it stored the numbers that it is given."""
    wanted = {entry.id: entry.position for entry in entries}
    return [{**item, "position": wanted.get(item["id"], item["position"])} for item in items]


def renumbering_channels(items: Sequence[Raw], entries: Sequence[PositionEntry]) -> list[Raw]:
    """Discord as it would be if it numbered all channels of the guild anew with every write."""
    return _densely(verbatim(items, entries), lambda one: (one["position"], int(one["id"])), first=0)


def renumbering_roles(items: Sequence[Raw], entries: Sequence[PositionEntry]) -> list[Raw]:
    return _densely(verbatim(items, entries), rank, first=0)


def _densely(items: Sequence[Raw], key: Callable[[Raw], Any], *, first: int) -> list[Raw]:
    places = {one["id"]: place for place, one in enumerate(sorted(items, key=key), start=first)}
    return [{**item, "position": places[item["id"]]} for item in items]


def as_dict(entries: Iterable[PositionEntry]) -> dict[str, int]:
    return {entry.id: entry.position for entry in entries}


@pytest.mark.parametrize(
    ("channels", "keys", "entries", "reason"),
    [
        (text(0, 1, 2), {"1": 10, "2": 20, "3": 30}, {}, "keys are no positions: the order is right"),
        (text(0, 1, 2), {"1": 5, "2": 5, "3": 5}, {}, "equal keys: unmanaged among each other"),
        (text(0, 1, 2), {}, {}, "nobody wants anything"),
        (text(4, 7, 9), {"3": 1, "1": 2}, {"1": 9, "3": 4}, "a swap around one that is not ours"),
        (text(0, 1, 2), {"1": 3, "2": 1, "3": 2}, {"1": 3}, "one dragged to the top is one entry"),
        (
            text(0, 0, 0),
            {"3": 1, "1": 2, "2": 3},
            {"1": 1, "2": 2},
            "ties are sorted by id until they are written",
        ),
        (
            [*text(0, 0), channel(9, 0)],
            {"1": 2, "2": 1},
            {"1": 1, "9": 2},
            "one that is not ours is raised where it is tied, and keeps its place",
        ),
        (
            [channel(1, 0), channel(2, 1, VOICE), channel(3, 2, ANNOUNCEMENT), channel(4, 3, STAGE)],
            {"1": 4, "2": 3, "3": 2, "4": 1},
            {"1": 3, "2": 4},
            "text-like and voice-like channels are blocks of their own",
        ),
        (
            [
                channel(1, 0, parent="7"),
                channel(2, 1, parent="8"),
                channel(7, 0, CATEGORY),
                channel(8, 1, CATEGORY),
            ],
            {"1": 2, "2": 1},
            {},
            "channels of two parents are no siblings",
        ),
        (
            [channel(7, 0, CATEGORY), channel(8, 3, CATEGORY), channel(1, 1)],
            {"7": 2, "8": 1, "1": 0},
            {"7": 4},
            "categories are ordered among themselves",
        ),
        ([*text(0, 1), channel(3, 0, 11, "1")], {"3": 9, "1": 1, "2": 2}, {}, "threads have no place"),
        (text(0, 1), {"1": 2, "77": 1}, {}, "a channel that is not listed has no place"),
    ],
)
def test_plans_channels(
    channels: list[Raw], keys: dict[str, int], entries: dict[str, int], reason: str
) -> None:
    assert as_dict(plan_channel_order(channels, keys)) == entries, reason


BOT_TOP: Final = 50


@pytest.mark.parametrize(
    ("roles", "keys", "entries", "reason"),
    [
        ([role(2, 1), role(3, 2)], {"2": 1, "3": 2}, {}, "the higher key stands higher"),
        ([role(2, 1), role(3, 2)], {"2": 2, "3": 1}, {"2": 3}, "a swap"),
        ([role(2, 1), role(3, 1)], {"2": 2, "3": 1}, {}, "of two tied roles the older is higher"),
        ([role(2, 1), role(3, 1)], {"2": 1, "3": 2}, {"3": 2}, "which is not always what is wanted"),
        ([role(2, 1), role(3, 11)], {"2": 9, "3": 1}, {}, "a role above the bot's is nobody's to move"),
        ([role(2, 9), role(3, 8)], {"2": 1, "3": 2}, {"2": 7}, "never as high as the bot's role"),
    ],
)
def test_plans_roles(roles: list[Raw], keys: dict[str, int], entries: dict[str, int], reason: str) -> None:
    bot = role(BOT_TOP, 10)
    planned = plan_role_order([everyone(), *roles, bot], {**keys, "1": 7, str(BOT_TOP): 0}, bot_top=bot)
    assert as_dict(planned) == entries, reason


def test_below_a_low_bot_ties_that_come_out_right_save_numbers() -> None:
    bot = role(2, 3)
    roles = [everyone(), bot, role(5, 1), role(6, 1), role(7, 1)]
    keys = {"7": 2, "5": 1, "6": 3}
    planned = plan_role_order(roles, keys, bot_top=bot)
    assert all(1 <= entry.position < 3 for entry in planned)
    after = verbatim(roles, planned)
    assert hierarchy(after) == [1, 5, 7, 6, 2]
    assert plan_role_order(after, keys, bot_top=bot) == []


def test_without_room_below_the_bot_every_role_is_numbered_anew_in_its_order() -> None:
    bot = role(2, 1)
    roles = [everyone(), bot, role(5, 1), role(6, 1), role(9, 4)]
    planned = plan_role_order(roles, {"5": 1, "6": 2}, bot_top=bot)
    assert as_dict(planned) == {"5": 1, "6": 2, "2": 3, "9": 4}
    assert hierarchy(verbatim(roles, planned)) == [1, 5, 6, 2, 9]


def test_a_bot_that_has_no_role_moves_none() -> None:
    assert plan_role_order([everyone(), role(2, 1), role(3, 2)], {"2": 2, "3": 1}, bot_top=everyone()) == []


def test_misplaced_are_both_sides_and_moved_is_what_was_dragged() -> None:
    keys = {str(number): number for number in range(1, 6)}
    channels = text(1, 2, 3, 4, 0)  # 5 was dragged to the top
    assert misplaced_channels(channels, keys) == {"1", "2", "3", "4", "5"}
    assert moved_channels(channels, keys) == {"5"}
    assert channel_place("5", channels, keys) == (
        "above c1, c2, c3 and 1 more",
        "below c1, c2, c3 and 1 more",
    )
    assert channel_place("2", channels, keys) == ("below c5", "above c5")
    assert channel_place("2", text(0, 1, 2, 3, 4), keys) is None
    assert channel_place("99", channels, keys) is None


def test_the_place_of_a_role_is_told_upwards() -> None:
    bot = role(9, 5)
    roles = [everyone(), role(2, 1), role(3, 2), bot]
    keys = {"2": 2, "3": 1}
    assert misplaced_roles(roles, keys, bot_top=bot) == {"2", "3"}
    assert len(moved_roles(roles, keys, bot_top=bot)) == 1
    assert role_place("2", roles, keys, bot_top=bot) == ("below r3", "above r3")
    assert role_place("9", roles, {**keys, "9": 0}, bot_top=bot) is None


POSITIONS: Final = st.integers(0, 6) | st.integers(0, 40)


@st.composite
def siblings(draw: st.DrawFn, *, size: int = 9) -> tuple[list[int], dict[str, int]]:
    """Positions of the siblings 2, 3, 4 ... and the keys of those of them that are managed."""
    positions = draw(st.lists(POSITIONS, min_size=1, max_size=size))
    ids = [str(number) for number in range(2, len(positions) + 2)]
    keys = {one: draw(st.integers(0, 5)) for one in ids if draw(st.booleans())}
    return positions, keys


def check_order(before: list[int], after: list[int], keys: Mapping[str, int]) -> None:
    """What is not ours keeps its place; what is ours is sorted, equal keys as they were."""
    for place, number in enumerate(before):
        assert (str(number) in keys) == (str(after[place]) in keys)
        if str(number) not in keys:
            assert after[place] == number
    managed = [number for number in before if str(number) in keys]
    assert [number for number in after if str(number) in keys] == sorted(managed, key=lambda n: keys[str(n)])


@given(siblings(), st.sampled_from([verbatim, renumbering_channels]), st.lists(POSITIONS, max_size=3))
@settings(deadline=None, derandomize=True, max_examples=400)
def test_one_write_settles_channels(
    drawn: tuple[list[int], dict[str, int]],
    write: Callable[[Sequence[Raw], Sequence[PositionEntry]], list[Raw]],
    elsewhere: list[int],
) -> None:
    positions, keys = drawn
    block = [channel(number, position) for number, position in enumerate(positions, start=2)]
    others = [channel(100 + number, position, parent="7") for number, position in enumerate(elsewhere)]
    planned = plan_channel_order([*block, *others], keys)
    assert {entry.id for entry in planned} <= {one["id"] for one in block}
    assert all(entry.position >= 0 for entry in planned)
    assert bool(planned) is bool(misplaced_channels(block, keys)) is bool(moved_channels(block, keys))
    assert misplaced_channels(block, keys) == {one for one in keys if channel_place(one, block, keys)}
    after = write([*block, *others], planned) if planned else [*block, *others]
    assert plan_channel_order(after, keys) == []
    check_order(shown(block), shown(one for one in after if one["parent_id"] is None), keys)


@given(siblings(), st.sampled_from([verbatim, renumbering_roles]), st.integers(1, 45))
@settings(deadline=None, derandomize=True, max_examples=400)
def test_one_write_settles_roles(
    drawn: tuple[list[int], dict[str, int]],
    write: Callable[[Sequence[Raw], Sequence[PositionEntry]], list[Raw]],
    bot_position: int,
) -> None:
    positions, keys = drawn
    bot = role(60, bot_position)
    roles = [everyone(), bot, *(role(number, max(1, at)) for number, at in enumerate(positions, start=2))]
    below = [one for one in roles if rank(one) < rank(bot) and one["id"] != "1"]
    planned = plan_role_order(roles, keys, bot_top=bot)
    assert bool(planned) is bool(misplaced_roles(roles, keys, bot_top=bot))
    after = write(roles, planned) if planned else roles
    bot_after = next(one for one in after if one["id"] == "60")
    assert plan_role_order(after, keys, bot_top=bot_after) == []
    ours = {one["id"]: keys[one["id"]] for one in below if one["id"] in keys}
    check_order(hierarchy(roles), hierarchy(after), ours)
    if len(below) < bot_position:
        assert all(1 <= entry.position < bot_position for entry in planned)


@given(siblings(size=5))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_no_plan_writes_fewer(drawn: tuple[list[int], dict[str, int]]) -> None:
    positions, keys = drawn
    block = [channel(number, min(position, 6)) for number, position in enumerate(positions, start=2)]
    planned = plan_channel_order(block, keys)
    assume(planned)
    goal = shown(verbatim(block, planned))
    at = {int(one["id"]): one["position"] for one in block}

    def cost(numbers: Sequence[int]) -> tuple[int, int]:
        written = [one for one, number in zip(goal, numbers, strict=True) if at[one] != number]
        return sum(str(one) not in keys for one in written), len(written)

    def strict(numbers: Sequence[int]) -> bool:
        pairs = itertools.pairwise(zip(goal, numbers, strict=True))
        return all(
            high > low or (high == low and one < other and (at[one], at[other]) == (low, high))
            for (one, low), (other, high) in pairs
        )

    possible = itertools.combinations_with_replacement(range(12), len(goal))
    best = min(cost(numbers) for numbers in possible if strict(numbers))
    assert (
        cost(
            [
                one["position"]
                for one in sorted(verbatim(block, planned), key=lambda o: goal.index(int(o["id"])))
            ]
        )
        == best
    )


def test_a_full_guild_is_planned_quickly_enough_to_be_asked_often() -> None:
    channels = [channel(number, number % 7) for number in range(1, 501)]
    keys = {str(number): -number for number in range(1, 501)}
    planned = plan_channel_order(channels, keys)
    assert plan_channel_order(verbatim(channels, planned), keys) == []
