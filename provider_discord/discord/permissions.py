"""Permissions: names, bits, and what the bot may do where (docs: topics/permissions).

Bits that this release does not know are kept by every function here: Discord adds permissions, and a mask that
passes through us must not lose them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol

PERMISSIONS: Mapping[str, int] = MappingProxyType(
    {
        "CREATE_INSTANT_INVITE": 1 << 0,
        "KICK_MEMBERS": 1 << 1,
        "BAN_MEMBERS": 1 << 2,
        "ADMINISTRATOR": 1 << 3,
        "MANAGE_CHANNELS": 1 << 4,
        "MANAGE_GUILD": 1 << 5,
        "ADD_REACTIONS": 1 << 6,
        "VIEW_AUDIT_LOG": 1 << 7,
        "PRIORITY_SPEAKER": 1 << 8,
        "STREAM": 1 << 9,
        "VIEW_CHANNEL": 1 << 10,
        "SEND_MESSAGES": 1 << 11,
        "SEND_TTS_MESSAGES": 1 << 12,
        "MANAGE_MESSAGES": 1 << 13,
        "EMBED_LINKS": 1 << 14,
        "ATTACH_FILES": 1 << 15,
        "READ_MESSAGE_HISTORY": 1 << 16,
        "MENTION_EVERYONE": 1 << 17,
        "USE_EXTERNAL_EMOJIS": 1 << 18,
        "VIEW_GUILD_INSIGHTS": 1 << 19,
        "CONNECT": 1 << 20,
        "SPEAK": 1 << 21,
        "MUTE_MEMBERS": 1 << 22,
        "DEAFEN_MEMBERS": 1 << 23,
        "MOVE_MEMBERS": 1 << 24,
        "USE_VAD": 1 << 25,
        "CHANGE_NICKNAME": 1 << 26,
        "MANAGE_NICKNAMES": 1 << 27,
        "MANAGE_ROLES": 1 << 28,
        "MANAGE_WEBHOOKS": 1 << 29,
        "MANAGE_GUILD_EXPRESSIONS": 1 << 30,
        "USE_APPLICATION_COMMANDS": 1 << 31,
        "REQUEST_TO_SPEAK": 1 << 32,
        "MANAGE_EVENTS": 1 << 33,
        "MANAGE_THREADS": 1 << 34,
        "CREATE_PUBLIC_THREADS": 1 << 35,
        "CREATE_PRIVATE_THREADS": 1 << 36,
        "USE_EXTERNAL_STICKERS": 1 << 37,
        "SEND_MESSAGES_IN_THREADS": 1 << 38,
        "USE_EMBEDDED_ACTIVITIES": 1 << 39,
        "MODERATE_MEMBERS": 1 << 40,
        "VIEW_CREATOR_MONETIZATION_ANALYTICS": 1 << 41,
        "USE_SOUNDBOARD": 1 << 42,
        "CREATE_GUILD_EXPRESSIONS": 1 << 43,
        "CREATE_EVENTS": 1 << 44,
        "USE_EXTERNAL_SOUNDS": 1 << 45,
        "SEND_VOICE_MESSAGES": 1 << 46,
        # 1 << 47 was USE_CLYDE_AI, gone from the documentation.
        "SET_VOICE_CHANNEL_STATUS": 1 << 48,
        "SEND_POLLS": 1 << 49,
        "USE_EXTERNAL_APPS": 1 << 50,
        "PIN_MESSAGES": 1 << 51,
        "BYPASS_SLOWMODE": 1 << 52,
    }
)

ALL_PERMISSIONS = (1 << 64) - 1
"""What an administrator or the owner has: every bit, also those not known here."""

ADMINISTRATOR = PERMISSIONS["ADMINISTRATOR"]
VIEW_CHANNEL = PERMISSIONS["VIEW_CHANNEL"]
CONNECT = PERMISSIONS["CONNECT"]
MANAGE_ROLES = PERMISSIONS["MANAGE_ROLES"]
MANAGE_CHANNELS = PERMISSIONS["MANAGE_CHANNELS"]

_TIMED_OUT = VIEW_CHANNEL | PERMISSIONS["READ_MESSAGE_HISTORY"]
_NEEDS_CONNECT = (
    MANAGE_CHANNELS
    | MANAGE_ROLES
    | PERMISSIONS["SPEAK"]
    | PERMISSIONS["STREAM"]
    | PERMISSIONS["MUTE_MEMBERS"]
    | PERMISSIONS["DEAFEN_MEMBERS"]
    | PERMISSIONS["MOVE_MEMBERS"]
    | PERMISSIONS["USE_VAD"]
    | PERMISSIONS["PRIORITY_SPEAKER"]
    | PERMISSIONS["REQUEST_TO_SPEAK"]
    | PERMISSIONS["USE_SOUNDBOARD"]
    | PERMISSIONS["USE_EXTERNAL_SOUNDS"]
    | PERMISSIONS["SET_VOICE_CHANNEL_STATUS"]
)
_NEEDS_SEND = (
    PERMISSIONS["MENTION_EVERYONE"]
    | PERMISSIONS["SEND_TTS_MESSAGES"]
    | PERMISSIONS["ATTACH_FILES"]
    | PERMISSIONS["EMBED_LINKS"]
)
_VOICE_TYPES = frozenset({2, 13})

CHANNEL_OBFUSCATED = 1 << 17
"""Channel flag of an object whose contents were withheld because the bot cannot view the channel."""
HIDDEN_NAME = "___hidden___"


class UnknownPermission(ValueError):
    """A permission name that Discord's documentation does not have.

    Attributes:
        name: The name as given.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        near = difflib.get_close_matches(name.upper(), PERMISSIONS, n=1, cutoff=0.6)
        hint = f"; did you mean {near[0]}?" if near else ""
        super().__init__(f"{name!r} is no permission{hint}")


class GuildView(Protocol):
    """The part of a guild's snapshot that decides what the bot may do."""

    @property
    def guild(self) -> Mapping[str, Any]:
        """The guild object; ``id`` and ``owner_id`` are used."""

    @property
    def roles(self) -> Mapping[str, Mapping[str, Any]]:
        """Roles by id, @everyone (the guild's id) among them."""

    @property
    def member(self) -> Mapping[str, Any]:
        """The bot's own member."""


def parse_names(names: Iterable[str]) -> int:
    """Return the bits of the named permissions.

    Raises:
        UnknownPermission: A name is not in the documentation; the message suggests the nearest.
    """
    bits = 0
    for name in names:
        bit = PERMISSIONS.get(name)
        if bit is None:
            raise UnknownPermission(name)
        bits |= bit
    return bits


def names_of(bits: int) -> tuple[tuple[str, ...], int]:
    """Split a mask into the names of its known bits, lowest first, and the bits that are unknown here."""
    known = tuple(name for name, bit in PERMISSIONS.items() if bits & bit)
    return known, bits & ~parse_names(known)


def parse_bits(value: Any) -> int:
    """Return the mask in a ``permissions``, ``allow`` or ``deny`` of Discord: a decimal string, rarely a number.

    Raises:
        ValueError: It is neither.
    """
    if value is None or value == "":
        return 0
    return int(value)


def is_hidden(channel: Mapping[str, Any]) -> bool:
    """Tell whether this channel object is obfuscated: only its id, type, position and parent are true.

    Discord docs, topics/permissions "Channel Visibility": such objects stand for channels that the bot cannot
    view. Their name and overwrites are inventions and must be compared with nothing.
    """
    return bool(int(channel.get("flags") or 0) & CHANNEL_OBFUSCATED) or channel.get("name") == HIDDEN_NAME


def is_owner(view: GuildView) -> bool:
    """Tell whether the bot owns the guild."""
    owner = view.guild.get("owner_id")
    return owner is not None and owner == user_id_of(view)


def is_administrator(view: GuildView) -> bool:
    """Tell whether the bot has every permission everywhere in the guild."""
    return base_permissions(view) == ALL_PERMISSIONS


def user_id_of(view: GuildView) -> str:
    """Return the bot's user id; empty when its member was never read."""
    user = view.member.get("user") or {}
    return str(user.get("id", ""))


def base_permissions(view: GuildView, *, at: datetime | None = None) -> int:
    """Return what the bot may do in the guild, before any channel's overwrites.

    Args:
        view: The guild.
        at: Wall clock, to see whether a timeout of the bot has ended; None takes no timeout into account.

    Returns:
        ALL_PERMISSIONS for the owner and for administrators.
    """
    if is_owner(view):
        return ALL_PERMISSIONS
    everyone = view.roles.get(str(view.guild.get("id", "")), {})
    bits = parse_bits(everyone.get("permissions"))
    for role_id in view.member.get("roles") or ():
        bits |= parse_bits(view.roles.get(role_id, {}).get("permissions"))
    if bits & ADMINISTRATOR:
        return ALL_PERMISSIONS
    return bits & _TIMED_OUT if _timed_out(view.member, at) else bits


def channel_permissions(view: GuildView, channel: Mapping[str, Any], *, at: datetime | None = None) -> int:
    """Return what the bot may do in a channel: base permissions, overwrites, and what they imply.

    The order is Discord's: @everyone's overwrite, all role overwrites together, the bot's own overwrite. Without
    VIEW_CHANNEL nothing is left; without CONNECT a voice or stage channel cannot be managed.

    Args:
        view: The guild.
        channel: Its ``permission_overwrites`` and ``type`` count. Give a copy with other overwrites to learn
            what a planned write would leave the bot with.
        at: See base_permissions.
    """
    bits = base_permissions(view, at=at)
    if bits == ALL_PERMISSIONS:
        return bits
    overwrites = {str(entry["id"]): entry for entry in channel.get("permission_overwrites") or ()}
    bits = _apply(bits, [overwrites.get(str(view.guild.get("id", "")))])
    bits = _apply(bits, [overwrites.get(str(role_id)) for role_id in view.member.get("roles") or ()])
    bits = _apply(bits, [overwrites.get(user_id_of(view))])
    if _timed_out(view.member, at):
        bits &= _TIMED_OUT
    if not bits & VIEW_CHANNEL:
        return 0
    if channel.get("type") in _VOICE_TYPES and not bits & CONNECT:
        bits &= ~_NEEDS_CONNECT
    if not bits & PERMISSIONS["SEND_MESSAGES"]:
        bits &= ~_NEEDS_SEND
    return bits


def rank(role: Mapping[str, Any]) -> tuple[int, int]:
    """Return a key by which roles sort from lowest to highest.

    Equal positions are ordered by id, the older role being the higher one.
    """
    return int(role.get("position") or 0), -int(role["id"])


def top_role(view: GuildView) -> Mapping[str, Any]:
    """Return the bot's highest role; @everyone when it has no other.

    Raises:
        KeyError: The guild has no @everyone, so it is no guild object.
    """
    held = [view.roles[role_id] for role_id in view.member.get("roles") or () if role_id in view.roles]
    return max(held, key=rank, default=view.roles[str(view.guild["id"])])


def can_edit_role(view: GuildView, role: Mapping[str, Any]) -> bool:
    """Tell whether the role is below the bot's highest role, as editing and sorting require.

    The owner stands above every role.
    """
    return is_owner(view) or rank(role) < rank(top_role(view))


def _apply(bits: int, overwrites: Iterable[Mapping[str, Any] | None]) -> int:
    allow = deny = 0
    for entry in overwrites:
        if entry is not None:
            allow |= parse_bits(entry.get("allow"))
            deny |= parse_bits(entry.get("deny"))
    return bits & ~deny | allow


def _timed_out(member: Mapping[str, Any], at: datetime | None) -> bool:
    until = member.get("communication_disabled_until")
    return at is not None and bool(until) and datetime.fromisoformat(str(until)) > at
