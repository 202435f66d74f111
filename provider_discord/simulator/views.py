"""What Discord shows of its objects: the response bodies.

Stored objects hold None for an optional field that was never set; most such fields are left out of a response
rather than shown as null (the shapes follow Discord's OpenAPI document).
"""

from __future__ import annotations

from provider_discord.simulator.behaviour import Behaviour, Unset
from provider_discord.simulator.errors import Json
from provider_discord.simulator.permissions import Permission, guild_permissions
from provider_discord.simulator.state import Bot, Guild, World

_LEFT_OUT_WHEN_UNSET = {
    "video_quality_mode": 1,
    "default_auto_archive_duration": 4320,
    "default_thread_rate_limit_per_user": 0,
}
_HIDDEN_NAME = "___hidden___"


def channel(stored: Json, behaviour: Behaviour) -> Json:
    """Return the channel object."""
    shown: Json = {}
    for key, value in stored.items():
        if key in _LEFT_OUT_WHEN_UNSET and value is None:
            if behaviour.unset_fields is Unset.SHOWN:
                shown[key] = _LEFT_OUT_WHEN_UNSET[key]
        elif key == "permission_overwrites":
            shown[key] = [dict(overwrite) for overwrite in value]
        elif key == "available_tags":
            shown[key] = [dict(tag) for tag in value]
        else:
            shown[key] = value
    return shown


def obfuscated_channel(stored: Json, behaviour: Behaviour) -> Json:
    """Return what is shown of a channel that must not be seen; only id, type, position and parent are true."""
    return {
        "id": stored["id"],
        "type": stored["type"],
        "guild_id": stored["guild_id"],
        "position": stored["position"],
        "parent_id": stored["parent_id"],
        "name": _HIDDEN_NAME,
        "flags": behaviour.obfuscated_flag,
        "permission_overwrites": [
            {"id": stored["guild_id"], "type": 0, "allow": "0", "deny": str(int(Permission.VIEW_CHANNEL))}
        ],
    }


def role(stored: Json) -> Json:
    """Return the role object; `color` mirrors the primary colour."""
    shown = {key: value for key, value in stored.items() if key != "tags"}
    shown["color"] = stored["colors"]["primary_color"]
    shown["colors"] = dict(stored["colors"])
    if stored.get("tags"):
        shown["tags"] = dict(stored["tags"])
    return shown


def roles(guild: Guild) -> list[Json]:
    """Return the guild's roles, oldest first."""
    return [role(guild.roles[role_id]) for role_id in sorted(guild.roles, key=int)]


def guild(stored: Guild, *, with_counts: bool = False) -> Json:
    """Return the guild object."""
    shown = {
        "id": stored.id,
        **stored.settings,
        "features": list(stored.features),
        "roles": roles(stored),
        "emojis": [],
        "stickers": [],
    }
    if with_counts:
        shown["approximate_member_count"] = len(stored.members)
        shown["approximate_presence_count"] = len(stored.members)
    return shown


def my_guild(stored: Guild, user_id: str, *, with_counts: bool = False) -> Json:
    """Return an item of the list of the bot's guilds."""
    shown: Json = {
        "id": stored.id,
        "name": stored.settings["name"],
        "icon": stored.settings["icon"],
        "banner": stored.settings["banner"],
        "owner": stored.settings["owner_id"] == user_id,
        "permissions": str(guild_permissions(stored, user_id)),
        "features": list(stored.features),
    }
    if with_counts:
        shown["approximate_member_count"] = len(stored.members)
        shown["approximate_presence_count"] = len(stored.members)
    return shown


def user(stored: Json) -> Json:
    """Return the public user object."""
    return {
        "id": stored["id"],
        "username": stored["username"],
        "avatar": None,
        "discriminator": "0000" if stored["bot"] else "0",
        "public_flags": 0,
        "flags": 0,
        "bot": stored["bot"],
        "banner": None,
        "accent_color": None,
        "global_name": None if stored["bot"] else stored["username"],
        "avatar_decoration_data": None,
        "collectibles": None,
        "primary_guild": None,
    }


def me(stored: Json) -> Json:
    """Return the bot's own user object."""
    return {
        **user(stored),
        "mfa_enabled": True,
        "locale": "en-US",
        "premium_type": 0,
        "email": None,
        "verified": True,
    }


def application(world: World, bot: Bot) -> Json:
    """Return the bot's own application."""
    stored = world.users[bot.user_id]
    owner = {"id": "1", "username": "simulator", "bot": False}
    return {
        "id": bot.user_id,
        "name": stored["username"],
        "icon": None,
        "description": "",
        "type": None,
        "bot": user(stored),
        "bot_public": True,
        "bot_require_code_grant": False,
        "verify_key": "0" * 64,
        "flags": 1 << 15 if bot.guild_members_intent else 0,
        "flags_new": str(1 << 15 if bot.guild_members_intent else 0),
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "owner": user(owner),
        "approximate_guild_count": sum(1 for _ in world.guilds_of(bot.user_id)),
        "approximate_user_install_count": 0,
        "approximate_user_authorization_count": 0,
        "explicit_content_filter": 0,
        "team": None,
        "eligible_oauth2_scopes": ["bot", "applications.commands"],
    }


def member(world: World, stored: Json) -> Json:
    """Return the guild member object."""
    return {
        "avatar": None,
        "banner": None,
        "communication_disabled_until": stored["communication_disabled_until"],
        "flags": 0,
        "joined_at": stored["joined_at"],
        "nick": stored["nick"],
        "pending": False,
        "premium_since": None,
        "roles": list(stored["roles"]),
        "user": user(world.users[stored["user_id"]]),
        "mute": False,
        "deaf": False,
    }


def message(world: World, stored: Json) -> Json:
    """Return the message object."""
    return {
        "id": stored["id"],
        "channel_id": stored["channel_id"],
        "type": 0,
        "content": stored["content"],
        "mentions": [],
        "mention_roles": [],
        "mention_everyone": False,
        "attachments": [],
        "embeds": [],
        "timestamp": stored["timestamp"],
        "edited_timestamp": None,
        "flags": 0,
        "components": [],
        "author": user(world.users[stored["author_id"]]),
        "pinned": False,
        "tts": False,
    }


def audit_log(world: World, entries: list[Json]) -> Json:
    """Return the audit log response around these entries."""
    user_ids = dict.fromkeys(entry["user_id"] for entry in entries)
    return {
        "audit_log_entries": [
            {key: value for key, value in entry.items() if not key.startswith("_")} for entry in entries
        ],
        "users": [user(world.users[user_id]) for user_id in user_ids if user_id in world.users],
        "integrations": [],
        "webhooks": [],
        "guild_scheduled_events": [],
        "threads": [],
        "application_commands": [],
        "auto_moderation_rules": [],
    }
