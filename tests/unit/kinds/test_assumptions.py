"""Whatever Discord answers where no document says: a whole guild settles, and then nothing is written any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from provider_discord.kinds.session import INVITED_WITH
from provider_discord.kube.workqueue import Priority
from provider_discord.simulator import (
    BadEntry,
    Checked,
    Community,
    HiddenGet,
    HiddenList,
    Inapplicable,
    NewRole,
    OnCreate,
    Positions,
    Punctuation,
    Spaces,
    Unset,
)

if TYPE_CHECKING:
    from tests.unit.kinds.conftest import Thing, World

VIEW = 1 << 10
_ANSWERS: list[dict[str, Any]] = [
    {},
    *({"hidden_get": one} for one in HiddenGet),
    *({"hidden_list": one} for one in HiddenList),
    {"category_shown_by_child": False},
    *({"bad_bulk_entry": one} for one in BadEntry),
    *({"channel_positions": one} for one in Positions),
    *({"new_role": one} for one in NewRole if one is not NewRole.TIES),
    *({"inapplicable_field": one} for one in Inapplicable),
    *({"flags_on_create": one} for one in OnCreate),
    *({"media_nsfw_on_create": one} for one in OnCreate),
    {"create_copies_parent": False},
    *({"overwrite_bits": one} for one in Checked),
    {"overwrite_hierarchy": True},
    {"unknown_overwrite_target": False},
    {"self_lockout_refused": True},
    *({"community": one} for one in Community),
    {"community_grants_news": False},
    {"unwritable_features_refused": True},
    *({"punctuation": one} for one in Punctuation),
    *({"voice_spaces": one} for one in Spaces),
    *({"unset_fields": one} for one in Unset),
    {"unchanged_counts": False},
    {"audit_of_reorder": True},
    {"member_counts_show_zero": True},
]


def _guild(world: World) -> list[Thing]:
    world.discord.set_guild(features=["COMMUNITY", "NEWS", "ROLE_ICONS"])
    helper = world.role("Helper!", permissionNames=["VIEW_CHANNEL"], color="#123456", hoist=True, position=2)
    member = world.role("member", permissionNames=[], position=1)
    staff = world.channel(
        "Staff Area",
        type="category",
        position=2,
        permissionOverwrites=[
            {"target": "everyone", "denyNames": ["VIEW_CHANNEL"]},
            {"target": "bot", "allowNames": ["VIEW_CHANNEL"]},
        ],
    )
    public = world.channel("Public", type="category", position=1)
    for thing in (helper, member, staff, public):
        thing.reconcile()
    inside = [
        world.channel("What's New? (news)", type="announcement", parentId=public.id, topic=" t ", position=2),
        world.channel("General  Chat", parentId=public.id, position=1, rateLimitPerUser=3),
        world.channel("Voice  Lounge: A & B", type="voice", parentId=public.id, bitrate=64000, rtcRegion=""),
        world.channel("Main Stage", type="stage", parentId=public.id),
        world.channel("help", type="forum", requireTag=True, availableTags=[{"name": "a"}, {"name": "b"}]),
        world.channel("art", type="media", nsfw=True, hideMediaDownloadOptions=True),
        world.channel("plans", parentId=staff.id, syncPermissions=True, position=2),
        world.channel(
            "secrets",
            parentId=staff.id,
            position=1,
            permissionOverwrites=[
                {"target": "everyone", "denyNames": ["VIEW_CHANNEL"]},
                {"target": "bot", "allowNames": ["VIEW_CHANNEL"]},
                {"roleId": helper.id, "allowNames": ["VIEW_CHANNEL"]},
            ],
        ),
    ]
    return [helper, member, staff, public, *inside]


@pytest.mark.parametrize(
    "answers", _ANSWERS, ids=lambda answers: ",".join(f"{k}={v}" for k, v in answers.items())
)
def test_a_guild_settles_and_then_stays(world: World, answers: dict[str, Any]) -> None:
    world.discord.set_behaviour(**{name: str(answer) for name, answer in answers.items()})
    things = _guild(world)
    for _ in range(3):
        for thing in things:
            thing.settle()
        world.advance(3)
    for _ in range(2):
        world.advance(61)
        mark = world.mark()
        for thing in things:
            thing.settle(Priority.POLL)
        assert world.writes_since(mark) == []
        assert len(world.requests(since=mark)) == 2
    secrets = world.discord.channel("secrets")
    assert any(o["id"] == world.guild_id and int(o["deny"]) & VIEW for o in secrets["permission_overwrites"])
    plans = world.discord.channel("plans")
    assert any(o["id"] == world.guild_id and int(o["deny"]) & VIEW for o in plans["permission_overwrites"])


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"overwrite_bits": Checked.ALL},
        {"self_lockout_refused": True},
        {"create_copies_parent": False},
        {"category_shown_by_child": False},
        {"hidden_list": HiddenList.OBFUSCATED},
    ],
    ids=str,
)
def test_a_guild_settles_for_a_bot_that_is_no_administrator(world: World, answers: dict[str, Any]) -> None:
    world.discord.set_behaviour(**{name: str(answer) for name, answer in answers.items()})
    world.discord.set_bot_permissions(INVITED_WITH)
    things = _guild(world)
    for _ in range(3):
        for thing in things:
            thing.settle()
        world.advance(3)
    world.advance(61)
    mark = world.mark()
    for thing in things:
        thing.settle(Priority.POLL)
    assert world.writes_since(mark) == []
    assert len(world.requests(since=mark)) == 2
