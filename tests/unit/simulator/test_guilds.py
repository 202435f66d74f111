"""The guild's settings, its audit log and its permissions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Protocol

import pytest

from provider_discord.simulator import channels, guilds, permissions, roles
from provider_discord.simulator.act import Act
from provider_discord.simulator.errors import ApiError, Json, Problem
from provider_discord.simulator.permissions import ALL, Permission
from provider_discord.simulator.state import timestamp, utc_now


class Clock(Protocol):
    def advance(self, seconds: float) -> None: ...


def entries(act: Act, **wanted: Any) -> list[Json]:
    query: dict[str, Any] = {
        "user_id": None,
        "target_id": None,
        "action_type": None,
        "before": None,
        "after": None,
        "limit": 50,
    }
    found: list[Json] = guilds.audit_log(act, **{**query, **wanted})["audit_log_entries"]
    return found


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({"name": "x"}, "name", "2 characters at least"),
        ({"afk_timeout": 61}, "afk_timeout", "one of five"),
        ({"verification_level": 5}, "verification_level", "0 to 4"),
        ({"preferred_locale": "xx"}, "preferred_locale", "no such locale"),
        ({"description": "x" * 301}, "description", "300 characters"),
        ({"system_channel_id": "1"}, "system_channel_id", "no such channel"),
        ({"icon": "x"}, "icon", "no data URI"),
        ({"system_channel_flags": 64}, "system_channel_flags", "no such flag"),
    ],
)
def test_bad_settings_are_refused_by_field(admin: Act, body: Json, field: str, reason: str) -> None:
    admin.guild.settings["features"] = []
    with pytest.raises(ApiError) as refused:
        guilds.modify(admin, body)
    assert set(refused.value.errors or {}) == {field}, reason


def test_an_afk_channel_is_a_voice_channel(admin: Act) -> None:
    admin.guild.settings["features"] = []
    text = channels.create(admin, {"name": "x"})
    voice = channels.create(admin, {"name": "x", "type": 2})
    with pytest.raises(ApiError):
        guilds.modify(admin, {"afk_channel_id": text["id"]})
    assert guilds.modify(admin, {"afk_channel_id": voice["id"]}).settings["afk_channel_id"] == voice["id"]


def test_community_needs_its_channels_and_an_administrator(admin: Act, bot: Act) -> None:
    admin.guild.settings["features"] = ["BANNER"]
    channel = channels.create(admin, {"name": "x"})
    ids = {"rules_channel_id": channel["id"], "public_updates_channel_id": channel["id"]}
    with pytest.raises(ApiError) as refused:
        guilds.modify(admin, {"features": ["BANNER", "COMMUNITY"]})
    assert set(refused.value.errors or {}) == set(ids)
    with pytest.raises(ApiError) as forbidden:
        guilds.modify(bot, {"features": ["BANNER", "COMMUNITY"], **ids})
    assert forbidden.value.problem is Problem.MISSING_PERMISSIONS

    changed = guilds.modify(admin, {"features": ["COMMUNITY"], **ids})
    assert changed.features == ["BANNER", "COMMUNITY", "NEWS"]
    with pytest.raises(ApiError):
        guilds.modify(admin, {"rules_channel_id": None})

    changed = guilds.modify(admin, {"features": []})
    assert changed.features == ["BANNER"]
    assert changed.settings["rules_channel_id"] is None


def test_a_community_that_lacks_its_channels_can_be_changed_otherwise(admin: Act) -> None:
    assert "COMMUNITY" in admin.guild.features
    assert guilds.modify(admin, {"name": "Renamed"}).settings["name"] == "Renamed"


def test_boosted_images_need_their_feature(admin: Act) -> None:
    admin.guild.settings["features"] = []
    with pytest.raises(ApiError) as refused:
        guilds.modify(admin, {"banner": "data:image/png;base64,iVBORw0KGgo="})
    assert refused.value.problem is Problem.BOOSTS


def test_the_audit_log_is_read_by_actor_action_and_id(admin: Act, bot: Act) -> None:
    a = channels.create(bot, {"name": "a"})
    channels.create(admin, {"name": "b"})
    roles.create(bot, {"name": "r"})

    assert [entry["action_type"] for entry in entries(bot)] == [30, 10, 10]
    assert [entry["target_id"] for entry in entries(bot, user_id=bot.user_id, action_type=10)] == [a["id"]]
    newest = entries(bot)[0]["id"]
    assert len(entries(bot, before=newest)) == 2
    assert entries(bot, after=newest) == []
    assert [entry["action_type"] for entry in entries(bot, after="0", limit=1)] == [10]
    own = next(role for role in bot.guild.roles.values() if role["managed"])
    own["permissions"] = "0"
    with pytest.raises(ApiError):
        entries(bot)


def test_entries_show_up_late(admin: Act, clock: Clock) -> None:
    admin.world.behaviour = admin.world.behaviour.changed(audit_log_lag_seconds=10)
    channels.create(admin, {"name": "a"})
    assert entries(admin) == []
    clock.advance(10)
    assert len(entries(admin)) == 1


def test_permissions_add_up_as_documented(admin: Act, bot: Act) -> None:
    guild = admin.guild
    view, send = int(Permission.VIEW_CHANNEL), int(Permission.SEND_MESSAGES)
    own = next(role for role in guild.roles.values() if role["managed"])
    own["permissions"] = "0"
    guild.roles[guild.id]["permissions"] = str(view | send)
    channel = channels.create(admin, {"name": "x"})

    def bits(*overwrites: Json) -> int:
        channel["permission_overwrites"] = list(overwrites)
        return permissions.channel_permissions(guild, channel, bot.user_id)

    deny = {"id": guild.id, "type": 0, "allow": "0", "deny": str(view)}
    assert bits() == view | send
    assert bits(deny) == 0, "without VIEW_CHANNEL nothing is left"
    assert bits(deny, {"id": own["id"], "type": 0, "allow": str(view), "deny": str(send)}) == view
    member = {"id": bot.user_id, "type": 1, "allow": str(send), "deny": "0"}
    assert bits({"id": own["id"], "type": 0, "allow": "0", "deny": str(send)}, member) == view | send
    own["permissions"] = str(int(Permission.ADMINISTRATOR))
    assert bits(deny) == ALL, "no overwrite concerns an administrator"


def test_a_timed_out_member_only_looks_and_reads(admin: Act, bot: Act) -> None:
    until = timestamp(utc_now() + timedelta(hours=1))
    admin.guild.members[bot.user_id]["communication_disabled_until"] = until
    allowed = Permission.VIEW_CHANNEL | Permission.READ_MESSAGE_HISTORY
    assert permissions.guild_permissions(admin.guild, bot.user_id) == allowed
