"""The guild itself: its settings, its audit log, its members.

Written from Discord docs, resources/guild and resources/audit-log.
"""

from __future__ import annotations

from datetime import datetime

from provider_discord.simulator import rules_guild, views
from provider_discord.simulator.act import Act, Action, differences
from provider_discord.simulator.errors import ApiError, Json, Problem
from provider_discord.simulator.permissions import Permission
from provider_discord.simulator.state import Guild, World


def modify(act: Act, body: Json) -> Guild:
    """Modify the guild's settings."""
    act.need(Permission.MANAGE_GUILD)
    guild = act.guild
    asked = rules_guild.read(body, guild, act.behaviour)
    toggled = set(asked.get("features", guild.features)) ^ set(guild.features)
    if toggled & rules_guild.ADMINISTRATOR_FEATURES:
        act.need(Permission.ADMINISTRATOR)
    before = dict(guild.settings)
    guild.settings.update(asked)
    changes = differences(before, guild.settings)
    if changes or act.behaviour.audit_of_unchanged:
        act.log(Action.GUILD_UPDATE, guild.id, changes=changes)
    return guild


def audit_log(
    act: Act,
    *,
    user_id: str | None,
    target_id: str | None,
    action_type: int | None,
    before: str | None,
    after: str | None,
    limit: int,
) -> Json:
    """Return the response of the audit log: newest first, with `after` oldest first."""
    act.need(Permission.VIEW_AUDIT_LOG)
    now = act.world.wall()
    found = [
        entry
        for entry in act.guild.audit_log
        if datetime.fromisoformat(entry["_visible_at"]) <= now
        and (user_id is None or entry["user_id"] == user_id)
        and (target_id is None or entry["target_id"] == target_id)
        and (action_type is None or entry["action_type"] == action_type)
        and (before is None or int(entry["id"]) < int(before))
        and (after is None or int(entry["id"]) > int(after))
    ]
    found.sort(key=lambda entry: int(entry["id"]), reverse=after is None)
    return views.audit_log(act.world, found[:limit])


def member(act: Act, user_id: str) -> Json:
    """Return the response of a member's GET."""
    stored = act.guild.members.get(user_id)
    if stored is None:
        raise ApiError(Problem.UNKNOWN_MEMBER if user_id in act.world.users else Problem.UNKNOWN_USER)
    return views.member(act.world, stored)


def members(world: World, guild: Guild, *, after: int, limit: int) -> list[Json]:
    """Return a page of members in the order of their ids."""
    user_ids = sorted((user_id for user_id in guild.members if int(user_id) > after), key=int)
    return [views.member(world, guild.members[user_id]) for user_id in user_ids[:limit]]


def messages(act: Act, channel: Json, *, before: int | None, after: int | None, limit: int) -> list[Json]:
    """Return a page of a channel's messages, newest first; none without READ_MESSAGE_HISTORY."""
    if not act.permissions_in(channel) & Permission.READ_MESSAGE_HISTORY:
        return []
    found = [
        message
        for message in act.guild.messages.get(channel["id"], [])
        if (before is None or int(message["id"]) < before) and (after is None or int(message["id"]) > after)
    ]
    page = found[:limit] if after is not None else found[-limit:]
    return [views.message(act.world, message) for message in reversed(page)]
