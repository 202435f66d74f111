"""Channels as Discord keeps them: names, defaults, bounds by type, parents, tags, and who may do what."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from provider_discord.simulator import channels, views
from provider_discord.simulator.act import Act, Action
from provider_discord.simulator.errors import ApiError, Problem
from provider_discord.simulator.permissions import Permission
from provider_discord.simulator.state import Guild

VIEW = str(int(Permission.VIEW_CHANNEL))


@pytest.mark.parametrize(
    ("channel_type", "typed", "stored", "reason"),
    [
        (0, "General Chat", "general-chat", "text names are lowercase with hyphens"),
        (0, "  a \t b--c ", "a-b-c", "runs of spaces and hyphens collapse, ends are trimmed"),
        (0, "ÄÖ Ü", "äö-ü", "lowercase is not only ASCII"),
        (5, "Big News", "big-news", "announcement as text"),
        (15, "Help Me", "help-me", "forum as text"),
        (2, "  Voice Room ", "Voice Room", "voice names keep their case"),
        (4, "STAFF only", "STAFF only", "category names keep their case"),
        (13, "Town Hall", "Town Hall", "stage names keep their case"),
    ],
)
def test_names_are_stored_as_discord_does(
    admin: Act, channel_type: int, typed: str, stored: str, reason: str
) -> None:
    made = channels.create(admin, {"name": typed, "type": channel_type})
    assert made["name"] == stored, reason


@pytest.mark.parametrize(
    ("body", "path", "code", "reason"),
    [
        ({}, "name", "BASE_TYPE_REQUIRED", "a name is required"),
        ({"name": ""}, "name", "BASE_TYPE_BAD_LENGTH", "an empty name"),
        ({"name": "x" * 101}, "name", "BASE_TYPE_BAD_LENGTH", "100 characters at most"),
        ({"name": "x", "type": 7}, "type", "BASE_TYPE_CHOICES", "no such type"),
        ({"name": "x", "topic": "x" * 1025}, "topic", "BASE_TYPE_MAX_LENGTH", "1024 for text"),
        ({"name": "x", "type": 15, "topic": "x" * 4097}, "topic", "BASE_TYPE_MAX_LENGTH", "4096 for a forum"),
        ({"name": "x", "type": 2, "bitrate": 7999}, "bitrate", "NUMBER_TYPE_MIN", "8000 at least"),
        (
            {"name": "x", "type": 2, "bitrate": 96_001},
            "bitrate",
            "NUMBER_TYPE_MAX",
            "96 kbit/s without boosts",
        ),
        ({"name": "x", "type": 13, "bitrate": 64_001}, "bitrate", "NUMBER_TYPE_MAX", "64 kbit/s on a stage"),
        ({"name": "x", "type": 2, "user_limit": 100}, "user_limit", "NUMBER_TYPE_MAX", "99 in voice"),
        ({"name": "x", "rate_limit_per_user": 21_601}, "rate_limit_per_user", "NUMBER_TYPE_MAX", "6 hours"),
        (
            {"name": "x", "default_auto_archive_duration": 61},
            "default_auto_archive_duration",
            "BASE_TYPE_CHOICES",
            "",
        ),
        ({"name": "x", "nsfw": "yes"}, "nsfw", "BOOLEAN_TYPE_CONVERT", "a boolean"),
        (
            {"name": "x", "type": 2, "topic": "x"},
            "topic",
            "CHANNEL_FIELD_NOT_APPLICABLE",
            "voice has no topic",
        ),
        ({"name": "x", "bitrate": 64_000}, "bitrate", "CHANNEL_FIELD_NOT_APPLICABLE", "text has no bitrate"),
        (
            {"name": "x", "type": 4, "parent_id": "1"},
            "parent_id",
            "CHANNEL_FIELD_NOT_APPLICABLE",
            "no nesting",
        ),
        ({"name": "x", "parent_id": "1"}, "parent_id", "CHANNEL_PARENT_INVALID", "no such category"),
        ({"name": "x", "flags": 1 << 4}, "flags", "CHANNEL_FLAG_NOT_ALLOWED", "REQUIRE_TAG is for forums"),
        (
            {"name": "x", "flags": 1 << 21, "nsfw": True},
            "flags",
            "CHANNEL_FLAG_NOT_ALLOWED",
            "spoiler or nsfw",
        ),
        (
            {"name": "x", "type": 15, "available_tags": [{"name": "x" * 21}]},
            "available_tags.0.name",
            "BASE_TYPE_BAD_LENGTH",
            "tag names have 20 characters",
        ),
        (
            {"name": "x", "type": 15, "available_tags": [{"name": "a", "emoji_id": "1", "emoji_name": "b"}]},
            "available_tags.0",
            "EMOJI_ID_AND_NAME",
            "one of the two",
        ),
        (
            {"name": "x", "permission_overwrites": [{"id": "1", "type": 0, "allow": "x"}]},
            "permission_overwrites.0.allow",
            "NUMBER_TYPE_COERCE",
            "bits are a number",
        ),
        (
            {"name": "x", "permission_overwrites": [{"type": 0}]},
            "permission_overwrites.0.id",
            "BASE_TYPE_REQUIRED",
            "a target",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_field(
    admin: Act, body: dict[str, Any], path: str, code: str, reason: str
) -> None:
    with pytest.raises(ApiError) as refused:
        channels.create(admin, body)

    assert refused.value.code == 50035
    node: Any = refused.value.errors
    for step in path.split("."):
        node = node[step]
    assert node["_errors"][0]["code"] == code, reason
    assert admin.guild.channels == {}


def test_all_that_is_wrong_is_named_at_once(admin: Act) -> None:
    with pytest.raises(ApiError) as refused:
        channels.create(admin, {"name": "", "type": 2, "bitrate": 1, "user_limit": -1})
    assert set(refused.value.errors or {}) == {"name", "bitrate", "user_limit"}


@pytest.mark.parametrize(
    ("channel_type", "there", "absent"),
    [
        (
            0,
            {"topic": None, "nsfw": False, "rate_limit_per_user": 0},
            {"bitrate", "available_tags", "user_limit"},
        ),
        (2, {"bitrate": 64_000, "user_limit": 0, "rtc_region": None}, {"topic", "video_quality_mode"}),
        (4, {"parent_id": None, "permission_overwrites": []}, {"topic", "nsfw", "last_message_id"}),
        (15, {"available_tags": [], "default_reaction_emoji": None, "default_forum_layout": 0}, {"bitrate"}),
        (16, {"available_tags": [], "default_sort_order": None}, {"default_forum_layout"}),
    ],
)
def test_each_type_shows_its_own_fields(
    admin: Act, channel_type: int, there: dict[str, Any], absent: set[str]
) -> None:
    made = channels.create(admin, {"name": "x", "type": channel_type})
    shown = views.channel(made, admin.behaviour)
    assert there.items() <= shown.items()
    assert not absent & shown.keys()


def test_types_need_their_features(admin: Act) -> None:
    admin.guild.settings["features"] = []
    for channel_type in (5, 13):
        with pytest.raises(ApiError):
            channels.create(admin, {"name": "x", "type": channel_type})


def test_a_channel_in_a_category_copies_its_overwrites(admin: Act) -> None:
    private = [{"id": admin.guild.id, "type": 0, "deny": VIEW}]
    category = channels.create(admin, {"name": "Staff", "type": 4, "permission_overwrites": private})
    child = channels.create(admin, {"name": "talk", "parent_id": category["id"]})
    own = channels.create(admin, {"name": "open", "parent_id": category["id"], "permission_overwrites": []})

    assert child["permission_overwrites"] == [{"id": admin.guild.id, "type": 0, "allow": "0", "deny": VIEW}]
    assert own["permission_overwrites"] == []


def test_null_and_empty_clear(admin: Act) -> None:
    made = channels.create(admin, {"name": "x", "topic": "old", "rate_limit_per_user": 5})
    channels.modify(admin, made["id"], {"topic": "", "rate_limit_per_user": None})
    now = admin.guild.channels[made["id"]]
    assert (now["topic"], now["rate_limit_per_user"]) == (None, 0)


def test_tags_keep_their_ids(admin: Act) -> None:
    forum = channels.create(
        admin, {"name": "f", "type": 15, "available_tags": [{"name": "a"}, {"name": "b"}]}
    )
    a, b = forum["available_tags"]
    assert a["id"] != b["id"]

    renamed = [{"id": b["id"], "name": "B"}, {"name": "c"}]
    now = channels.modify(admin, forum["id"], {"available_tags": renamed})["available_tags"]

    assert [tag["name"] for tag in now] == ["B", "c"]
    assert now[0]["id"] == b["id"]
    assert now[1]["id"] not in {a["id"], b["id"]}
    with pytest.raises(ApiError):
        channels.modify(admin, forum["id"], {"available_tags": [{"id": a["id"], "name": "gone"}]})


def test_only_text_and_announcement_turn_into_each_other(admin: Act) -> None:
    text = channels.create(admin, {"name": "x", "rate_limit_per_user": 5, "topic": "t"})
    news = channels.modify(admin, text["id"], {"type": 5})
    assert news["type"] == 5
    assert news["topic"] == "t"
    assert "rate_limit_per_user" not in news
    back = channels.modify(admin, text["id"], {"type": 0})
    assert back["rate_limit_per_user"] == 0
    with pytest.raises(ApiError):
        channels.modify(admin, text["id"], {"type": 2})


def test_a_guild_has_500_channels_and_a_category_50(admin: Act) -> None:
    category = channels.create(admin, {"name": "c", "type": 4})
    for number in range(50):
        channels.create(admin, {"name": f"x{number}", "parent_id": category["id"]})
    with pytest.raises(ApiError) as full:
        channels.create(admin, {"name": "x", "parent_id": category["id"]})
    assert "CHANNEL_PARENT_MAX_CHANNELS" in json.dumps(full.value.errors)
    for number in range(449):
        channels.create(admin, {"name": f"y{number}"})
    with pytest.raises(ApiError) as many:
        channels.create(admin, {"name": "x"})
    assert many.value.problem is Problem.MAX_CHANNELS


def test_deleting_a_category_orphans_its_channels(admin: Act) -> None:
    category = channels.create(admin, {"name": "c", "type": 4})
    child = channels.create(admin, {"name": "x", "parent_id": category["id"]})
    channels.delete(admin, category["id"])
    assert admin.guild.channels[child["id"]]["parent_id"] is None


def test_a_community_keeps_its_rules_channel(admin: Act) -> None:
    rules = channels.create(admin, {"name": "rules"})
    admin.guild.settings["rules_channel_id"] = rules["id"]
    with pytest.raises(ApiError) as refused:
        channels.delete(admin, rules["id"])
    assert refused.value.code == 50074
    assert rules["id"] in admin.guild.channels


def test_writes_stand_in_the_audit_log(bot: Act) -> None:
    made = channels.create(
        bot,
        {
            "name": "x",
            "permission_overwrites": [{"id": bot.guild.id, "type": 0, "allow": "0", "deny": "2048"}],
        },
    )
    channels.modify(bot, made["id"], {"name": "y", "topic": None})
    channels.delete(bot, made["id"])

    entries = [entry for entry in bot.guild.audit_log if entry["target_id"] == made["id"]]
    assert [entry["action_type"] for entry in entries] == [
        Action.CHANNEL_CREATE,
        Action.CHANNEL_OVERWRITE_CREATE,
        Action.CHANNEL_UPDATE,
        Action.CHANNEL_DELETE,
    ]
    assert {entry["user_id"] for entry in entries} == {bot.user_id}
    assert {entry["reason"] for entry in entries} == {"because"}
    assert entries[2]["changes"] == [{"key": "name", "old_value": "x", "new_value": "y"}]


def hide(admin: Act, channel: dict[str, Any]) -> None:
    channels.put_overwrite(admin, channel["id"], admin.guild.id, {"type": 0, "deny": VIEW})


def test_hidden_channels_are_neither_listed_nor_touched(admin: Act, bot: Act) -> None:
    seen = channels.create(admin, {"name": "seen"})
    hidden = channels.create(admin, {"name": "hidden"})
    hide(admin, hidden)

    assert [channel["id"] for channel in channels.show_all(bot)] == [seen["id"]]
    attempts: list[Callable[[], object]] = [
        lambda: channels.show(bot, hidden["id"]),
        lambda: channels.modify(bot, hidden["id"], {"name": "x"}),
        lambda: channels.delete(bot, hidden["id"]),
    ]
    for attempt in attempts:
        with pytest.raises(ApiError) as refused:
            attempt()
        assert refused.value.problem is Problem.MISSING_ACCESS
    assert admin.guild.channels[hidden["id"]]["name"] == "hidden"


def test_a_hidden_category_shows_through_a_visible_channel(admin: Act, bot: Act) -> None:
    category = channels.create(admin, {"name": "c", "type": 4})
    hide(admin, category)
    assert channels.show_all(bot) == []
    channels.create(admin, {"name": "x", "parent_id": category["id"], "permission_overwrites": []})
    assert {channel["name"] for channel in channels.show_all(bot)} == {"c", "x"}


def test_a_bot_sets_only_bits_it_has(admin: Act, bot: Act) -> None:
    guild: Guild = bot.guild
    role = next(role for role in guild.roles.values() if role["managed"])
    role["permissions"] = str(
        int(Permission.MANAGE_CHANNELS | Permission.MANAGE_ROLES | Permission.VIEW_CHANNEL)
    )
    mute = {"id": guild.id, "type": 0, "deny": str(int(Permission.SPEAK))}
    ban = {"id": guild.id, "type": 0, "deny": str(int(Permission.BAN_MEMBERS))}
    manage = {"id": guild.id, "type": 0, "allow": str(int(Permission.MANAGE_ROLES))}

    channels.create(
        bot, {"name": "fine", "permission_overwrites": [mute]}
    )  # @everyone's SPEAK is the bot's too
    for overwrite, reason in ((ban, "a bit it lacks"), (manage, "MANAGE_ROLES is for administrators")):
        with pytest.raises(ApiError) as refused:
            channels.create(bot, {"name": "x", "permission_overwrites": [overwrite]})
        assert refused.value.problem is Problem.MISSING_PERMISSIONS, reason

    made = channels.create(admin, {"name": "y", "permission_overwrites": [ban]})
    kept = channels.modify(
        bot, made["id"], {"permission_overwrites": [ban, {**mute, "id": bot.user_id, "type": 1}]}
    )
    assert len(kept["permission_overwrites"]) == 2


def test_a_bot_needs_manage_channels_and_manage_roles(admin: Act, bot: Act) -> None:
    made = channels.create(admin, {"name": "x"})
    role = next(role for role in bot.guild.roles.values() if role["managed"])
    role["permissions"] = str(int(Permission.VIEW_CHANNEL))
    with pytest.raises(ApiError):
        channels.modify(bot, made["id"], {"name": "y"})
    role["permissions"] = str(int(Permission.VIEW_CHANNEL | Permission.MANAGE_CHANNELS))
    channels.modify(bot, made["id"], {"name": "y"})
    with pytest.raises(ApiError):
        channels.put_overwrite(bot, made["id"], bot.guild.id, {"type": 0, "deny": "2048"})
    body = {"permission_overwrites": [{"id": bot.guild.id, "type": 0, "deny": "2048"}]}
    with pytest.raises(ApiError):
        channels.modify(bot, made["id"], body)
    assert admin.guild.channels[made["id"]]["permission_overwrites"] == []


def test_overwrites_are_put_and_deleted(admin: Act) -> None:
    made = channels.create(admin, {"name": "x"})
    channels.put_overwrite(admin, made["id"], admin.guild.id, {"type": 0, "deny": 2048})
    stored = admin.guild.channels[made["id"]]["permission_overwrites"]
    assert stored == [{"id": admin.guild.id, "type": 0, "allow": "0", "deny": "2048"}]
    channels.delete_overwrite(admin, made["id"], admin.guild.id)
    assert admin.guild.channels[made["id"]]["permission_overwrites"] == []
    with pytest.raises(ApiError) as missing:
        channels.delete_overwrite(admin, made["id"], admin.guild.id)
    assert missing.value.problem is Problem.UNKNOWN_OVERWRITE
