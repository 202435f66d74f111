"""What a write needs, told before it is sent: permissions, rank, and that the bot still gets in afterwards.

Discord answers all of this with one 403 that names nothing, counts every 403 of an IP address towards a ban, and does
carry out a write that shuts the bot out of what it just wrote. From the guild's snapshot each can be foreseen, with
the permission that is missing and where to grant it. Every function returns one line, what is wrong and what to
do, or None: go ahead.

What is foreseen wrongly must fail in the safe direction, and refusing what Discord would allow is not safe either:
so only what its documentation rules out is refused (topics/permissions, "Permission Hierarchy"; resources/guild and
resources/channel, the routes), and nothing when the bot's own member is not known. Bits that this release has no name
for are never judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from provider_discord.apis.fields import ChannelType
from provider_discord.discord import permissions
from provider_discord.discord.permissions import (
    ADMINISTRATOR,
    CONNECT,
    MANAGE_CHANNELS,
    MANAGE_ROLES,
    PERMISSIONS,
    VIEW_CHANNEL,
)
from provider_discord.kinds import overwrites
from provider_discord.kinds.permission_fields import KNOWN, describe

Raw = Mapping[str, Any]

_MANAGE_GUILD: Final = PERMISSIONS["MANAGE_GUILD"]
_ACCESS: Final = VIEW_CHANNEL | MANAGE_CHANNELS | MANAGE_ROLES
_ADMIN_FEATURES: Final = frozenset({"COMMUNITY", "DISCOVERABLE"})
_SPOKEN: Final = frozenset({ChannelType.VOICE, ChannelType.STAGE})


class View(permissions.GuildView, Protocol):
    """The part of a guild's snapshot that foresight looks at; ``discord.snapshot.GuildSnapshot`` is one."""

    @property
    def channels(self) -> Mapping[str, Raw]:
        """Channels by id, those that the bot can view."""


def missing_for_channel_write(view: View, channel: Raw | None, body: Raw) -> str | None:
    """Tell why the bot cannot create or modify a channel.

    Args:
        view: The guild.
        channel: The channel as observed; None or empty: it is to be created.
        body: The request's; ``name``, ``parent_id`` and ``permission_overwrites`` count.
    """
    if not _can_judge(view):
        return None
    if not channel:
        return _missing_for_create(view, body)
    missing = _missing_in(view, channel, MANAGE_CHANNELS, "to change it")
    if missing is None and "permission_overwrites" in body:
        observed, target = channel.get("permission_overwrites"), body["permission_overwrites"]
        missing = missing_for_overwrites(
            view, channel, observed, target, parent=_parent(view, {**channel, **body})
        )
    return missing


def missing_for_channel_delete(view: View, channel: Raw) -> str | None:
    """Tell why the bot cannot delete a channel. Guards are another matter."""
    return _missing_in(view, channel, MANAGE_CHANNELS, "to delete it") if _can_judge(view) else None


def missing_for_channel_order(view: View) -> str | None:
    """Tell why the bot cannot order the guild's channels: one permission in the guild, none in the channels."""
    if not _can_judge(view) or _bits(view, None) & MANAGE_CHANNELS:
        return None
    return _lacks(view, MANAGE_CHANNELS, "in the guild", "to order its channels")


def missing_for_overwrites(
    view: View,
    channel: Raw,
    observed_raw: Iterable[Raw] | None,
    target_raw: Iterable[Raw] | None,
    *,
    parent: Raw | None = None,
) -> str | None:
    """Tell why the bot cannot turn a channel's overwrites into others.

    Changing them takes MANAGE_ROLES in the channel. Only permissions that the bot has in the guild, the channel or
    its parent can be newly allowed or denied, unless an overwrite in the channel gives it MANAGE_ROLES; and
    MANAGE_ROLES itself can be set by administrators alone.
    """
    observed, target = list(observed_raw or ()), list(target_raw or ())
    if not _can_judge(view) or overwrites.same(observed, target):
        return None
    missing = _missing_in(view, channel, MANAGE_ROLES, "to change its permission overwrites")
    if missing is not None:
        return missing
    bits = _bits(view, None) | permissions.channel_permissions(view, channel)
    if parent is not None:
        bits |= permissions.channel_permissions(view, parent)
    if _given_manage_roles(view, channel):
        bits |= KNOWN & ~MANAGE_ROLES
    return _missing_bits(view, observed, target, bits)


def missing_for_role_write(view: View, role: Raw | None, body: Raw) -> str | None:
    """Tell why the bot cannot create (``role`` None) or modify a role.

    It must have MANAGE_ROLES, the role must stand below its highest one (@everyone may always be modified), and it
    grants only permissions that it has itself.
    """
    if not _can_judge(view):
        return None
    if role is not None and str(role["id"]) != str(view.guild["id"]):
        missing = _out_of_reach(view, role)
    else:
        missing = _lacks_manage_roles(view, "to create roles" if role is None else "to change @everyone")
    if missing is None and "permissions" in body:
        has = 0 if role is None else permissions.parse_bits(role.get("permissions"))
        granted = permissions.parse_bits(body["permissions"]) & ~has & KNOWN & ~_bits(view, None)
        if granted:
            name = _role_name(body if role is None else role)
            missing = (
                f"the bot cannot grant {describe(granted)} to the role {name} without having it itself: "
                f"{_grant(view, granted)}, or take it out of the manifest"
            )
    return missing


def missing_for_role_delete(view: View, role: Raw) -> str | None:
    """Tell why the bot cannot delete a role. Guards are another matter."""
    return _out_of_reach(view, role) if _can_judge(view) else None


def missing_for_role_order(view: View, role: Raw) -> str | None:
    """Tell why the bot cannot move this role."""
    return _out_of_reach(view, role) if _can_judge(view) else None


def missing_for_guild_write(view: View, body: Raw) -> str | None:
    """Tell why the bot cannot modify the guild: MANAGE_GUILD, and ADMINISTRATOR to switch the larger features."""
    if not _can_judge(view):
        return None
    bits = _bits(view, None)
    if not bits & _MANAGE_GUILD:
        return _lacks(view, _MANAGE_GUILD, "in the guild", "to change its settings")
    if "features" in body:
        switched = set(view.guild.get("features") or ()) ^ set(body["features"])
        larger = sorted(switched & _ADMIN_FEATURES)
        if larger and not bits & ADMINISTRATOR:
            return _lacks(view, ADMINISTRATOR, "in the guild", f"to switch {' and '.join(larger)}")
    return None


def would_lock_out(view: View, channel: Raw, target_raw: Iterable[Raw] | None) -> str | None:
    """Tell which access the bot would lose by giving a channel these overwrites.

    Access is VIEW_CHANNEL, MANAGE_CHANNELS and MANAGE_ROLES there, and to a voice or stage channel the CONNECT
    without which these count for nothing; each as far as the bot has it now: by the snapshot, or for a channel
    that is not in it (a new one) by its permissions in the guild. Channels that are synced with a category follow
    it, so they are looked at too.

    Args:
        view: The guild.
        channel: The channel, before or after the write, or the create call's body: ``id``, ``type``, ``name``.
        target_raw: All overwrites that it would have, inherited ones included.
    """
    if not _can_judge(view):
        return None
    target = list(target_raw or ())
    now = view.channels.get(str(channel.get("id") or ""))
    for one in (channel, *([] if now is None else _followers(view, now))):
        before = now if one is channel else one
        if before is None:
            before = {**channel, "permission_overwrites": []}
        had = permissions.channel_permissions(view, before)
        left = permissions.channel_permissions(view, {**one, "permission_overwrites": target})
        lost = had & ~left & _ACCESS
        if lost:
            unspoken = one.get("type") in _SPOKEN and bool(left & VIEW_CHANNEL) and not left & CONNECT
            needed = CONNECT if unspoken else VIEW_CHANNEL if lost & VIEW_CHANNEL else lost
            where = (
                _label(one) if one is channel else f"{_label(one)}, which is synced with {_label(channel)}"
            )
            return (
                f"these permission overwrites would shut the bot out of {where}: it would lose {describe(lost)}; "
                f"add an overwrite with target: bot that allows {describe(needed)}, or give the bot ADMINISTRATOR"
            )
    return None


def role_would_lock_out(view: View, role: Raw, bits_after: int) -> str | None:
    """Tell which access to the guild the bot would lose by giving a role that it holds, or @everyone, these permissions."""
    if not _can_judge(view):
        return None
    after = _Changed(
        guild=view.guild,
        roles={**view.roles, str(role["id"]): {**role, "permissions": str(bits_after)}},
        member=view.member,
    )
    lost = _bits(view, None) & ~permissions.base_permissions(after) & (_ACCESS | _MANAGE_GUILD)
    if not lost:
        return None
    return (
        f"without them in the role {_role_name(role)} the bot itself would lose {describe(lost)}: "
        f"{_grant(view, lost)} first"
    )


@dataclass(frozen=True, slots=True)
class _Changed:
    """A guild as it would be."""

    guild: Raw
    roles: Mapping[str, Raw]
    member: Raw


def _missing_for_create(view: View, body: Raw) -> str | None:
    parent = _parent(view, body)
    bits = _bits(view, parent)
    if not bits & MANAGE_CHANNELS:
        where = f"in the category {_label(parent)}" if parent is not None else "in the guild"
        return _lacks(view, MANAGE_CHANNELS, where, f"to create {_label(body)}")
    return _missing_bits(view, (), body.get("permission_overwrites"), bits)


def _can_judge(view: View) -> bool:
    return bool(permissions.user_id_of(view)) and str(view.guild.get("id")) in view.roles


def _bits(view: View, parent: Raw | None) -> int:
    """Return what the bot may do in the guild, or there and in a parent category."""
    bits = permissions.base_permissions(view)
    return bits if parent is None else bits | permissions.channel_permissions(view, parent)


def _parent(view: View, channel: Raw) -> Raw | None:
    return view.channels.get(str(channel.get("parent_id") or ""))


def _missing_in(view: View, channel: Raw, needed: int, purpose: str) -> str | None:
    bits = permissions.channel_permissions(view, channel)
    if bits & needed:
        return None
    if not bits & VIEW_CHANNEL:
        needed |= VIEW_CHANNEL
    elif channel.get("type") in _SPOKEN and not bits & CONNECT:
        needed |= CONNECT
    return _lacks(view, needed, f"in {_label(channel)}", purpose)


def _missing_bits(
    view: View, observed_raw: Iterable[Raw] | None, target_raw: Iterable[Raw] | None, bits: int
) -> str | None:
    """Tell which newly allowed or denied permissions are not the bot's to set."""
    if bits & ADMINISTRATOR:
        return None
    before = {one.id: one for one in map(overwrites.Overwrite.from_raw, observed_raw or ())}
    for now in map(overwrites.Overwrite.from_raw, target_raw or ()):
        was = before.get(now.id, overwrites.Overwrite(now.id, now.type))
        new = (now.allow & ~was.allow | now.deny & ~was.deny) & KNOWN
        whose = f"the {now.type.word} {_target_name(view, now.id)}"
        if new & MANAGE_ROLES:
            return (
                f"only an administrator can set MANAGE_ROLES in an overwrite, here for {whose}: "
                f"{_grant(view, ADMINISTRATOR)}, or take it out of the manifest"
            )
        lacking = new & ~bits
        if lacking:
            return (
                f"the bot cannot allow or deny {describe(lacking)} for {whose} without having it itself: "
                f"{_grant(view, lacking)}, or take it out of the manifest"
            )
    return None


def _given_manage_roles(view: View, channel: Raw) -> bool:
    """Tell whether an overwrite of the channel gives the bot MANAGE_ROLES."""
    mine = {permissions.user_id_of(view), *map(str, view.member.get("roles") or ())}
    found = (overwrites.Overwrite.from_raw(raw) for raw in channel.get("permission_overwrites") or ())
    return any(one.id in mine and one.allow & MANAGE_ROLES for one in found)


def _followers(view: View, category: Raw) -> list[Raw]:
    """Return the channels that take over what is done to their category's overwrites: those that equal them."""
    if category.get("type") != ChannelType.CATEGORY:
        return []
    have = category.get("permission_overwrites")
    children = (one for one in view.channels.values() if str(one.get("parent_id")) == str(category["id"]))
    return [one for one in children if overwrites.same(one.get("permission_overwrites"), have)]


def _lacks_manage_roles(view: View, purpose: str) -> str | None:
    return None if _bits(view, None) & MANAGE_ROLES else _lacks(view, MANAGE_ROLES, "in the guild", purpose)


def _out_of_reach(view: View, role: Raw) -> str | None:
    missing = _lacks_manage_roles(view, f"to touch the role {_role_name(role)}")
    if missing is not None or permissions.can_edit_role(view, role):
        return missing
    top = permissions.top_role(view)
    if str(top["id"]) == str(role["id"]):
        return f"the role {_role_name(role)} is the bot's own highest role, which it cannot touch itself"
    return (
        f"the role {_role_name(role)} stands above the bot's highest role {_role_name(top)}: drag the bot's role "
        f"above it (Server Settings > Roles)"
    )


def _lacks(view: View, needed: int, where: str, purpose: str) -> str:
    return f"the bot lacks {describe(needed)} {where} {purpose}: {_grant(view, needed)}"


def _grant(view: View, needed: int) -> str:
    top = permissions.top_role(view)
    if str(top["id"]) == str(view.guild["id"]):
        return f"give the bot a role with {describe(needed)}"
    return f"grant {describe(needed)} to the bot's role {_role_name(top)}"


def _label(channel: Raw | None) -> str:
    if channel is None:
        return "the guild"
    number = f" ({channel['id']})" if "id" in channel else ""
    return f"{channel.get('name') or 'the channel'}{number}"


def _role_name(role: Raw) -> str:
    number = f" ({role['id']})" if "id" in role else ""
    return f"{role.get('name') or 'new'}{number}"


def _target_name(view: View, target_id: str) -> str:
    role = view.roles.get(target_id)
    return target_id if role is None else _role_name(role)
