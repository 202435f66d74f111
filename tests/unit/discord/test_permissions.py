"""Permissions as Discord's documentation computes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_discord.discord.permissions import (
    ALL_PERMISSIONS,
    PERMISSIONS,
    UnknownPermission,
    base_permissions,
    can_edit_role,
    channel_permissions,
    is_administrator,
    is_hidden,
    names_of,
    parse_bits,
    parse_names,
    rank,
    top_role,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)
EVERYONE, LOW, HIGH, BOT = "100", "201", "202", "9"
VIEW, SEND, MANAGE_CHANNELS, CONNECT = (
    PERMISSIONS[name] for name in ("VIEW_CHANNEL", "SEND_MESSAGES", "MANAGE_CHANNELS", "CONNECT")
)


@dataclass
class View:
    guild: Mapping[str, Any] = field(default_factory=lambda: {"id": EVERYONE, "owner_id": "1"})
    roles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    member: Mapping[str, Any] = field(default_factory=dict)


def view(
    *, everyone: int = VIEW | SEND, low: int = 0, high: int = 0, owner: str = "1", timeout: str | None = None
) -> View:
    return View(
        guild={"id": EVERYONE, "owner_id": owner},
        roles={
            EVERYONE: {"id": EVERYONE, "position": 0, "permissions": str(everyone)},
            LOW: {"id": LOW, "position": 1, "permissions": str(low)},
            HIGH: {"id": HIGH, "position": 2, "permissions": str(high)},
            "203": {"id": "203", "position": 3, "permissions": "8"},
        },
        member={"user": {"id": BOT}, "roles": [LOW, HIGH], "communication_disabled_until": timeout},
    )


def overwrite(target: str, *, allow: int = 0, deny: int = 0) -> dict[str, Any]:
    return {"id": target, "type": 1 if target == BOT else 0, "allow": str(allow), "deny": str(deny)}


@pytest.mark.parametrize(
    ("guild", "expected", "reason"),
    [
        (view(), VIEW | SEND, "@everyone's"),
        (view(low=MANAGE_CHANNELS), VIEW | SEND | MANAGE_CHANNELS, "all roles add up"),
        (view(high=8), ALL_PERMISSIONS, "ADMINISTRATOR is everything"),
        (view(owner=BOT), ALL_PERMISSIONS, "so is the owner"),
        (view(low=1 << 60), VIEW | SEND | 1 << 60, "unknown bits are kept"),
        (view(low=CONNECT, timeout="2026-11-23T00:00:00+00:00"), VIEW, "a timeout leaves only reading"),
        (
            view(timeout="2026-11-21T00:00:00+00:00"),
            VIEW | SEND,
            "an expired timeout lingers and counts nothing",
        ),
        (view(high=8, timeout="2026-11-23T00:00:00+00:00"), ALL_PERMISSIONS, "administrators are exempt"),
    ],
)
def test_base_permissions(guild: View, expected: int, reason: str) -> None:
    assert base_permissions(guild, at=NOW) == expected
    assert is_administrator(guild) is (expected == ALL_PERMISSIONS)


@pytest.mark.parametrize(
    ("guild", "overwrites", "kind", "expected", "reason"),
    [
        (view(), [], 0, VIEW | SEND, "no overwrites"),
        (view(), [overwrite(EVERYONE, deny=SEND)], 0, VIEW, "@everyone is denied"),
        (view(), [overwrite(EVERYONE, deny=VIEW)], 0, 0, "without VIEW_CHANNEL nothing is left"),
        (
            view(),
            [overwrite(EVERYONE, deny=VIEW), overwrite(LOW, allow=VIEW)],
            0,
            VIEW | SEND,
            "a role is let in",
        ),
        (
            view(),
            [overwrite(HIGH, deny=VIEW), overwrite(LOW, allow=VIEW)],
            0,
            VIEW | SEND,
            "among roles, allow wins whatever their rank",
        ),
        (
            view(),
            [overwrite(LOW, allow=VIEW), overwrite(BOT, deny=VIEW)],
            0,
            0,
            "the member's own counts last",
        ),
        (view(), [overwrite("203", allow=MANAGE_CHANNELS)], 0, VIEW | SEND, "a role that the bot lacks"),
        (view(high=8), [overwrite(BOT, deny=VIEW)], 0, ALL_PERMISSIONS, "ADMINISTRATOR passes overwrites"),
        (view(owner=BOT), [overwrite(BOT, deny=VIEW)], 0, ALL_PERMISSIONS, "so does the owner"),
        (view(low=MANAGE_CHANNELS), [], 2, VIEW | SEND, "a voice channel without CONNECT cannot be managed"),
        (
            view(low=MANAGE_CHANNELS | CONNECT),
            [],
            2,
            VIEW | SEND | MANAGE_CHANNELS | CONNECT,
            "with it, it can",
        ),
        (
            view(low=PERMISSIONS["ATTACH_FILES"]),
            [overwrite(EVERYONE, deny=SEND)],
            0,
            VIEW,
            "without SEND_MESSAGES nothing can be attached",
        ),
        (
            view(timeout="2026-11-23T00:00:00+00:00"),
            [overwrite(BOT, allow=SEND | MANAGE_CHANNELS)],
            0,
            VIEW,
            "overwrites do not end a timeout",
        ),
    ],
)
def test_channel_permissions(
    guild: View, overwrites: list[dict[str, Any]], kind: int, expected: int, reason: str
) -> None:
    channel = {"id": "5", "type": kind, "permission_overwrites": overwrites}
    assert channel_permissions(guild, channel, at=NOW) == expected


def test_rank_and_what_the_bot_may_edit() -> None:
    guild = view()
    assert top_role(guild)["id"] == HIGH
    assert can_edit_role(guild, guild.roles[LOW])
    assert not can_edit_role(guild, guild.roles[HIGH]), "its own top role is not below itself"
    assert not can_edit_role(guild, guild.roles["203"])
    assert can_edit_role(view(owner=BOT), guild.roles["203"])
    assert can_edit_role(guild, {"id": "300", "position": 2}), "of equal position, the younger is lower"
    assert rank({"id": "1", "position": 4}) > rank({"id": "2", "position": 4})
    assert top_role(View(guild=guild.guild, roles=guild.roles, member={}))["id"] == EVERYONE


def test_the_names_are_those_of_the_documentation() -> None:
    assert len(PERMISSIONS) == 52
    assert len(set(PERMISSIONS.values())) == 52
    assert PERMISSIONS["BYPASS_SLOWMODE"] == 1 << 52
    assert PERMISSIONS["PIN_MESSAGES"] == 1 << 51
    assert PERMISSIONS["SET_VOICE_CHANNEL_STATUS"] == 1 << 48
    assert PERMISSIONS["CREATE_EVENTS"] == 1 << 44
    assert PERMISSIONS["CREATE_GUILD_EXPRESSIONS"] == 1 << 43
    assert PERMISSIONS["MODERATE_MEMBERS"] == 1 << 40


@settings(derandomize=True, deadline=None)
@given(st.integers(0, (1 << 64) - 1))
def test_no_bit_is_lost_between_names_and_masks(bits: int) -> None:
    names, unknown = names_of(bits)
    assert parse_names(names) | unknown == bits
    assert parse_names(names) & unknown == 0


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownPermission, match="did you mean SEND_MESSAGES"):
        parse_names(["VIEW_CHANNEL", "SEND_MESAGES"])
    with pytest.raises(UnknownPermission, match=r"'xyzzy' is no permission$"):
        parse_names(["xyzzy"])


def test_masks_come_in_several_shapes() -> None:
    assert [parse_bits(value) for value in ("1024", 1024, None, "", 0)] == [1024, 1024, 0, 0, 0]
    with pytest.raises(ValueError, match="abc"):
        parse_bits("abc")


@pytest.mark.parametrize(
    ("channel", "hidden"),
    [
        ({"name": "general", "flags": 0}, False),
        ({"name": "general", "flags": 1 << 17}, True),
        ({"name": "___hidden___"}, True),
        ({"name": "general", "flags": None}, False),
        ({"name": "general", "flags": 1 << 4}, False),
    ],
)
def test_hidden_channels_are_recognised(channel: dict[str, Any], hidden: bool) -> None:
    assert is_hidden(channel) is hidden
