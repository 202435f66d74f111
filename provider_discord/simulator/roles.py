"""Roles: create, modify, order, delete.

Written from Discord docs, resources/guild and topics/permissions: a member manages only roles below its own
highest one and grants only permissions that it has; @everyone (id = the guild's) and managed roles stay.
"""

from __future__ import annotations

from typing import Any

from provider_discord.simulator import rules_role
from provider_discord.simulator.act import Act, Action, differences
from provider_discord.simulator.behaviour import BadEntry, NewRole
from provider_discord.simulator.errors import ApiError, Json, Problem
from provider_discord.simulator.moves import read_entries
from provider_discord.simulator.ordering import place_roles
from provider_discord.simulator.permissions import ALL, Permission, rank

MAX_ROLES = 250


def create(act: Act, body: Json) -> Json:
    """Create a role at position 1 and return it as stored."""
    guild = act.guild
    act.need(Permission.MANAGE_ROLES)
    asked = rules_role.read(body, guild, creating=True)
    if len(guild.roles) >= MAX_ROLES:
        raise ApiError(Problem.MAX_ROLES)
    role: Json = {"id": act.world.new_id(), "position": 1, **rules_role.defaults(guild), **asked}
    if "permissions" in asked:
        _may_grant(act, "0", role["permissions"])
    if act.behaviour.new_role is NewRole.SHIFTS:
        for other in guild.roles.values():
            if other["id"] != guild.id:
                other["position"] += 1
    guild.roles[role["id"]] = role
    names = ("name", "permissions", "colors", "hoist", "mentionable", "icon", "unicode_emoji")
    act.log(Action.ROLE_CREATE, role["id"], changes=differences({}, {name: role[name] for name in names}))
    return role


def modify(act: Act, role_id: str, body: Json) -> Json:
    """Modify a role and return it as stored."""
    act.need(Permission.MANAGE_ROLES)
    role = act.guild.role(role_id)
    if role_id != act.guild.id:
        _must_outrank(act, role)
    asked = rules_role.read(body, act.guild, creating=False)
    if "permissions" in asked:
        _may_grant(act, role["permissions"], asked["permissions"])
    before = dict(role)
    role.update(asked)
    changes = differences(before, role)
    if changes or act.behaviour.audit_of_unchanged:
        act.log(Action.ROLE_UPDATE, role_id, changes=changes)
    return role


def delete(act: Act, role_id: str) -> None:
    """Delete a role; members lose it and so do the channels' overwrites."""
    act.need(Permission.MANAGE_ROLES)
    guild = act.guild
    role = guild.role(role_id)
    if role_id == guild.id or role["managed"]:
        raise ApiError(Problem.INVALID_ROLE)
    _must_outrank(act, role)
    del guild.roles[role_id]
    for other in guild.roles.values():
        if other["position"] > role["position"]:
            other["position"] -= 1
    for member in guild.members.values():
        member["roles"] = [one for one in member["roles"] if one != role_id]
    for channel in guild.channels.values():
        channel["permission_overwrites"] = [
            one for one in channel["permission_overwrites"] if one["id"] != role_id
        ]
    names = ("name", "permissions", "colors", "hoist", "mentionable")
    act.log(Action.ROLE_DELETE, role_id, changes=[{"key": name, "old_value": role[name]} for name in names])


def move_roles(act: Act, entries: Any) -> None:
    """Do what a bulk PATCH of role positions asks for."""
    act.need(Permission.MANAGE_ROLES)
    guild = act.guild
    wanted: dict[str, int] = {}
    failure: ApiError | None = None
    for entry in read_entries(entries):
        try:
            role = guild.role(entry["id"])
            if role["id"] == guild.id:
                raise ApiError(Problem.INVALID_ROLE)
            if entry["position"] is None or entry["position"] == role["position"]:
                continue
            _must_outrank(act, role)
            if entry["position"] >= act.rank[0]:
                raise ApiError(Problem.MISSING_PERMISSIONS)
            wanted[role["id"]] = max(1, entry["position"])
        except ApiError as error:
            if act.behaviour.bad_bulk_entry is BadEntry.FAILS_ALL:
                raise
            if act.behaviour.bad_bulk_entry is BadEntry.KEEPS_EARLIER:
                failure = error
                break
    before = {role_id: guild.roles[role_id]["position"] for role_id in wanted}
    if wanted:
        place_roles(guild, wanted)
    if act.behaviour.audit_of_reorder:
        for role_id, position in before.items():
            changes = differences({"position": position}, {"position": guild.roles[role_id]["position"]})
            if changes:
                act.log(Action.ROLE_UPDATE, role_id, changes=changes)
    if failure is not None:
        raise failure


def member_counts(act: Act) -> dict[str, int]:
    """Return how many members each role has, without @everyone."""
    if act.behaviour.member_counts_need_manage_roles:
        act.need(Permission.MANAGE_ROLES)
    counts = {role_id: 0 for role_id in act.guild.roles if role_id != act.guild.id}
    for member in act.guild.members.values():
        for role_id in member["roles"]:
            counts[role_id] += 1
    if act.behaviour.member_counts_show_zero:
        return counts
    return {role_id: count for role_id, count in counts.items() if count}


def _must_outrank(act: Act, role: Json) -> None:
    if rank(role) >= act.rank:
        raise ApiError(Problem.MISSING_PERMISSIONS)


def _may_grant(act: Act, before: str, after: str) -> None:
    if (int(before) ^ int(after)) & ALL & ~act.permissions:
        raise ApiError(Problem.MISSING_PERMISSIONS)
