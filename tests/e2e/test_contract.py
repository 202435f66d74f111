"""What we send is what Discord's OpenAPI document describes, where that document is at hand."""

from __future__ import annotations

from typing import Any

import pytest
from discord_contract import DiscordContract, find_document

from .conftest import System

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
def contract() -> DiscordContract:
    path = find_document()
    if path is None or not path.exists():
        pytest.skip(
            "Discord's OpenAPI document is not here: set DISCORD_OPENAPI to openapi.json of discord-api-spec"
        )
    return DiscordContract.load(path)


def test_every_request_fits_discords_own_description(system: System, contract: DiscordContract) -> None:
    """One object of each type with everything that it can have, created, changed, ordered and deleted."""
    system.discord.set_guild(
        features=["COMMUNITY", "NEWS", "ROLE_ICONS", "ENHANCED_ROLE_COLORS", "BANNER"], premium_tier=3
    )
    both: dict[str, Any] = {"nsfw": False, "rateLimitPerUser": 5}
    threads: dict[str, Any] = {"defaultAutoArchiveDuration": 1440, "topic": "about"}
    posts: dict[str, Any] = {
        "availableTags": [{"name": "one", "moderated": True}, {"name": "two", "emojiName": "🔥"}],
        "defaultReactionEmoji": {"emojiName": "👍"},
        "defaultSortOrder": "creation_date",
        "defaultThreadRateLimitPerUser": 10,
        "requireTag": True,
    }
    speech: dict[str, Any] = {
        "bitrate": 32000,
        "userLimit": 7,
        "rtcRegion": "rotterdam",
        "videoQualityMode": "full",
    }
    parent: dict[str, Any] = {"parentIdRef": {"name": "hall"}}
    overwrites = [
        {"target": "everyone", "denyNames": ["SEND_MESSAGES"]},
        {"roleIdRef": {"name": "builder"}, "allowNames": ["SEND_MESSAGES"]},
    ]
    objects = [
        system.guild(description="all of it", verificationLevel=1, icon=PIXEL, afkTimeout=300, preferredLocale="de",
                     systemChannelIdRef={"name": "text"}, systemChannelFlags=1, premiumProgressBarEnabled=True),
        system.role("builder", permissionNames=["VIEW_CHANNEL"], hoist=True, mentionable=True, position=2,
                    colors={"primaryColor": 1, "secondaryColor": 2}, unicodeEmoji="🔨"),
        system.role("painter", permissions="1024", color=255, position=1),
        system.channel("hall", type="category", position=1, permissionOverwrites=overwrites),
        system.channel("text", **both, **threads, **parent, defaultThreadRateLimitPerUser=3, position=5, syncPermissions=True),
        system.channel("voice", type="voice", **both, **speech, position=2),
        system.channel("news", type="announcement", nsfw=False, **threads, position=4),
        system.channel("stage", type="stage", **speech, position=1),
        system.channel("forum", type="forum", **both, **threads, **posts, defaultForumLayout="gallery_view", position=3),
        system.channel("media", type="media", **both, **threads, **posts, hideMediaDownloadOptions=True, position=2),
    ]  # fmt: skip
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)

    system.patch(
        "Channel",
        "text",
        {
            "spec": {
                "forProvider": {
                    "topic": "",
                    "parentIdRef": None,
                    "parentId": "",
                    "syncPermissions": None,
                    "position": 1,
                }
            }
        },
    )
    system.patch(
        "Channel", "forum", {"spec": {"forProvider": {"availableTags": [{"name": "uno"}, {"name": "two"}]}}}
    )
    system.patch("Channel", "hall", {"spec": {"forProvider": {"permissionOverwrites": []}}})
    system.patch("Role", "painter", {"spec": {"forProvider": {"color": 0, "position": 9}}})
    system.patch("Guild", "guild", {"spec": {"forProvider": {"description": "", "icon": ""}}})
    system.until_true(*objects)
    for kind, name in (("Channel", "voice"), ("Channel", "hall"), ("Role", "painter"), ("Guild", "guild")):
        system.delete(kind, name)
        system.until(lambda kind=kind, name=name: not system.exists(kind, name), f"{kind} {name} to be gone")  # type: ignore[misc]

    requests = system.discord.requests()
    assert {(entry["method"], entry["route"]) for entry in requests} >= {
        ("POST", "/guilds/{guild_id}/channels"),
        ("PATCH", "/guilds/{guild_id}/channels"),
        ("PATCH", "/channels/{channel_id}"),
        ("DELETE", "/channels/{channel_id}"),
        ("POST", "/guilds/{guild_id}/roles"),
        ("PATCH", "/guilds/{guild_id}/roles"),
        ("PATCH", "/guilds/{guild_id}/roles/{role_id}"),
        ("PATCH", "/guilds/{guild_id}"),
    }
    assert list(contract.log_problems(requests)) == []
