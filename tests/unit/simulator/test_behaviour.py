"""What no document settles: each answer can be played, and each question is written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from provider_discord.simulator import Behaviour, channels, guilds, moves, roles, views
from provider_discord.simulator.act import Act
from provider_discord.simulator.errors import ApiError, Problem

REPOSITORY = Path(__file__).resolve().parents[3]
Behave = Callable[..., Behaviour]


def hidden(admin: Act) -> str:
    channel = channels.create(admin, {"name": "secret"})
    channels.put_overwrite(admin, channel["id"], admin.guild.id, {"type": 0, "deny": "1024"})
    return str(channel["id"])


def test_every_question_is_in_the_list_of_assumptions() -> None:
    listed = (REPOSITORY / "docs" / "design" / "assumptions.md").read_text()
    missing = [field.name for field in fields(Behaviour) if f"`{field.name}`" not in listed]
    assert missing == []


def test_answers_are_read_from_text() -> None:
    changed = Behaviour().changed(
        hidden_get="not-found", unchanged_counts="false", audit_log_lag_seconds="2.5", obfuscated_flag=4
    )
    assert (changed.hidden_get, changed.unchanged_counts) == ("not-found", False)
    assert (changed.audit_log_lag_seconds, changed.obfuscated_flag) == (2.5, 4)
    for wrong in ({"nope": 1}, {"hidden_get": "maybe"}, {"unchanged_counts": "perhaps"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Behaviour().changed(**wrong)


@pytest.mark.parametrize(
    ("answer", "problem"), [("forbidden", Problem.MISSING_ACCESS), ("not-found", Problem.UNKNOWN_CHANNEL)]
)
def test_a_hidden_channel_refuses(
    admin: Act, bot: Act, behave: Behave, answer: str, problem: Problem
) -> None:
    channel_id = hidden(admin)
    behave(hidden_get=answer)
    with pytest.raises(ApiError) as refused:
        channels.show(bot, channel_id)
    assert refused.value.problem is problem


def test_a_hidden_channel_is_obfuscated(admin: Act, bot: Act, behave: Behave) -> None:
    channel_id = hidden(admin)
    behave(hidden_get="obfuscated", hidden_list="obfuscated")
    for shown in (channels.show(bot, channel_id), channels.show_all(bot)[0]):
        assert (shown["id"], shown["name"], shown["flags"]) == (channel_id, "___hidden___", 1 << 17)
    with pytest.raises(ApiError):
        channels.modify(bot, channel_id, {"name": "x"})


@pytest.mark.parametrize(
    ("answer", "expected"), [("fails-all", "ab"), ("skipped", "ba"), ("keeps-earlier", "ba")]
)
def test_a_bad_entry_in_a_bulk_patch(admin: Act, behave: Behave, answer: str, expected: str) -> None:
    a = channels.create(admin, {"name": "a"})
    channels.create(admin, {"name": "b"})
    behave(bad_bulk_entry=answer)
    entries = [{"id": a["id"], "position": 1}, {"id": "1", "position": 0}]
    if answer == "skipped":
        moves.move_channels(admin, entries)
    else:
        with pytest.raises(ApiError):
            moves.move_channels(admin, entries)
    found = sorted(admin.guild.channels.values(), key=lambda one: one["position"])
    assert "".join(one["name"] for one in found) == expected


def test_a_bad_role_in_a_bulk_patch_is_skipped(admin: Act, behave: Behave) -> None:
    a, b = (roles.create(admin, {"name": name}) for name in "ab")
    behave(bad_bulk_entry="skipped")
    roles.move_roles(admin, [{"id": "1", "position": 1}, {"id": a["id"], "position": 1}])
    assert (a["position"], b["position"]) == (1, 2)


def test_positions_are_kept_verbatim(admin: Act, behave: Behave) -> None:
    behave(channel_positions="verbatim")
    made = channels.create(admin, {"name": "a", "position": 40})
    assert made["position"] == 40
    moves.move_channels(admin, [{"id": made["id"], "position": 7}])
    assert admin.guild.channels[made["id"]]["position"] == 7


def test_new_roles_tie_at_one(admin: Act, behave: Behave) -> None:
    behave(new_role="ties")
    assert [roles.create(admin, {"name": name})["position"] for name in "ab"] == [1, 1]


def test_a_field_that_does_not_fit_is_ignored(admin: Act, behave: Behave) -> None:
    behave(inapplicable_field="ignored")
    assert "topic" not in channels.create(admin, {"name": "v", "type": 2, "topic": "x"})


@pytest.mark.parametrize(
    ("setting", "body", "field"),
    [
        ("flags_on_create", {"name": "f", "type": 15, "flags": 16}, "flags"),
        ("media_nsfw_on_create", {"name": "m", "type": 16, "nsfw": True}, "nsfw"),
    ],
)
def test_a_create_ignores_what_only_patch_documents(
    admin: Act, behave: Behave, setting: str, body: dict[str, Any], field: str
) -> None:
    assert channels.create(admin, body)[field]
    behave(**{setting: "ignored"})
    made = channels.create(admin, body)
    assert not made[field]
    assert channels.modify(admin, made["id"], {field: body[field]})[field]


def test_media_may_need_a_feature(admin: Act, behave: Behave) -> None:
    behave(media_needs_role_subscriptions=True)
    with pytest.raises(ApiError):
        channels.create(admin, {"name": "m", "type": 16})


def test_a_create_may_not_copy_the_parents_overwrites(admin: Act, behave: Behave) -> None:
    overwrites = [{"id": admin.guild.id, "type": 0, "deny": "1024"}]
    category = channels.create(admin, {"name": "c", "type": 4, "permission_overwrites": overwrites})
    behave(create_copies_parent=False)
    made = channels.create(admin, {"name": "x", "parent_id": category["id"]})
    assert made["permission_overwrites"] == []


def test_all_bits_of_overwrites_may_be_checked(admin: Act, bot: Act, behave: Behave) -> None:
    own = next(role for role in bot.guild.roles.values() if role["managed"])
    own["permissions"] = str((1 << 4) | (1 << 28) | (1 << 10))
    theirs = {"id": admin.guild.id, "type": 0, "allow": "0", "deny": str(1 << 2)}
    made = channels.create(admin, {"name": "x", "permission_overwrites": [theirs]})
    ours = {"id": bot.user_id, "type": 1, "allow": "1024"}
    channels.modify(bot, made["id"], {"permission_overwrites": [theirs, ours]})
    behave(overwrite_bits="all")
    with pytest.raises(ApiError):
        channels.modify(bot, made["id"], {"permission_overwrites": [theirs]})


def test_overwrites_for_higher_roles_may_be_refused(admin: Act, bot: Act, behave: Behave) -> None:
    high = roles.create(admin, {"name": "high"})
    roles.move_roles(admin, [{"id": high["id"], "position": 9}])
    overwrite = {"id": high["id"], "type": 0, "allow": "1024"}
    channels.create(bot, {"name": "x", "permission_overwrites": [overwrite]})
    behave(overwrite_hierarchy=True)
    with pytest.raises(ApiError):
        channels.create(bot, {"name": "x", "permission_overwrites": [overwrite]})


def test_overwrites_for_unknown_roles(admin: Act, behave: Behave) -> None:
    body = {"name": "x", "permission_overwrites": [{"id": "1", "type": 0}]}
    with pytest.raises(ApiError) as refused:
        channels.create(admin, body)
    assert refused.value.problem is Problem.UNKNOWN_OVERWRITE
    behave(unknown_overwrite_target=False)
    assert channels.create(admin, body)["permission_overwrites"][0]["id"] == "1"


def test_a_bot_may_be_kept_from_locking_itself_out(bot: Act, behave: Behave) -> None:
    overwrites = [{"id": bot.guild.id, "type": 0, "deny": "1024"}]
    made = channels.create(bot, {"name": "x", "permission_overwrites": overwrites})
    assert channels.show_all(bot) == []
    behave(self_lockout_refused=True)
    with pytest.raises(ApiError):
        channels.create(bot, {"name": "y", "permission_overwrites": overwrites})
    assert list(bot.guild.channels) == [made["id"]]


def test_community_may_ask_for_moderation(admin: Act, behave: Behave) -> None:
    admin.guild.settings["features"] = []
    channel = channels.create(admin, {"name": "x"})
    ids = {"rules_channel_id": channel["id"], "public_updates_channel_id": channel["id"]}
    behave(community="moderation")
    with pytest.raises(ApiError) as refused:
        guilds.modify(admin, {"features": ["COMMUNITY"], **ids})
    assert set(refused.value.errors or {}) == {"verification_level", "explicit_content_filter"}


def test_community_may_not_grant_news(admin: Act, behave: Behave) -> None:
    admin.guild.settings["features"] = []
    channel = channels.create(admin, {"name": "x"})
    ids = {"rules_channel_id": channel["id"], "public_updates_channel_id": channel["id"]}
    behave(community_grants_news=False)
    assert guilds.modify(admin, {"features": ["COMMUNITY"], **ids}).features == ["COMMUNITY"]


def test_features_no_bot_can_set(admin: Act, behave: Behave) -> None:
    admin.guild.settings["features"] = []
    assert guilds.modify(admin, {"features": ["PARTNERED"]}).features == []
    behave(unwritable_features_refused=True)
    with pytest.raises(ApiError):
        guilds.modify(admin, {"features": ["PARTNERED"]})


def test_names_may_come_back_otherwise(admin: Act, behave: Behave) -> None:
    behave(punctuation="stripped", voice_spaces="no-break")
    assert channels.create(admin, {"name": "What's up?"})["name"] == "whats-up"
    assert channels.create(admin, {"name": "War Room", "type": 2})["name"] == "War\N{NO-BREAK SPACE}Room"


def test_unset_fields_may_be_shown(admin: Act, behave: Behave) -> None:
    voice = channels.create(admin, {"name": "v", "type": 2})
    shown = views.channel(voice, behave(unset_fields="shown"))
    assert shown["video_quality_mode"] == 1


def test_the_audit_log_may_tell_more(admin: Act, behave: Behave) -> None:
    a = channels.create(admin, {"name": "a"})
    channels.create(admin, {"name": "b"})
    role = roles.create(admin, {"name": "r"})
    roles.create(admin, {"name": "s"})
    before = len(admin.guild.audit_log)
    channels.modify(admin, a["id"], {"name": "a"})
    moves.move_channels(admin, [{"id": a["id"], "position": 1}])
    roles.move_roles(admin, [{"id": role["id"], "position": 1}])
    assert len(admin.guild.audit_log) == before
    behave(audit_of_unchanged=True, audit_of_reorder=True)
    channels.modify(admin, a["id"], {"name": "a"})
    moves.move_channels(admin, [{"id": a["id"], "position": 0}])
    roles.move_roles(admin, [{"id": role["id"], "position": 2}])
    assert [entry["action_type"] for entry in admin.guild.audit_log[before:]] == [11, 11, 31]


def test_member_counts_may_differ(admin: Act, bot: Act, behave: Behave) -> None:
    role = roles.create(admin, {"name": "r"})
    assert role["id"] not in roles.member_counts(bot)
    behave(member_counts_show_zero=True, member_counts_need_manage_roles=True)
    assert roles.member_counts(bot)[role["id"]] == 0
    own = next(role for role in bot.guild.roles.values() if role["managed"])
    own["permissions"] = "0"
    with pytest.raises(ApiError):
        roles.member_counts(bot)
