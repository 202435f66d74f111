"""Who may do what: Discord's permission bits and how roles and overwrites add up to them.

Written from Discord docs, topics/permissions ("Permission Overwrites", "Permission Hierarchy", "Implicit
Permissions", "Permissions For Timed Out Members").
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntFlag
from functools import reduce
from operator import or_

from provider_discord.simulator.errors import Json
from provider_discord.simulator.state import Guild


class Permission(IntFlag):
    """The bits that this simulator looks at, and the rest so that they have names."""

    CREATE_INSTANT_INVITE = 1 << 0
    KICK_MEMBERS = 1 << 1
    BAN_MEMBERS = 1 << 2
    ADMINISTRATOR = 1 << 3
    MANAGE_CHANNELS = 1 << 4
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_AUDIT_LOG = 1 << 7
    PRIORITY_SPEAKER = 1 << 8
    STREAM = 1 << 9
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    SEND_TTS_MESSAGES = 1 << 12
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    USE_EXTERNAL_EMOJIS = 1 << 18
    VIEW_GUILD_INSIGHTS = 1 << 19
    CONNECT = 1 << 20
    SPEAK = 1 << 21
    MUTE_MEMBERS = 1 << 22
    DEAFEN_MEMBERS = 1 << 23
    MOVE_MEMBERS = 1 << 24
    USE_VAD = 1 << 25
    CHANGE_NICKNAME = 1 << 26
    MANAGE_NICKNAMES = 1 << 27
    MANAGE_ROLES = 1 << 28
    MANAGE_WEBHOOKS = 1 << 29
    MANAGE_GUILD_EXPRESSIONS = 1 << 30
    USE_APPLICATION_COMMANDS = 1 << 31
    REQUEST_TO_SPEAK = 1 << 32
    MANAGE_EVENTS = 1 << 33
    MANAGE_THREADS = 1 << 34
    CREATE_PUBLIC_THREADS = 1 << 35
    CREATE_PRIVATE_THREADS = 1 << 36
    USE_EXTERNAL_STICKERS = 1 << 37
    SEND_MESSAGES_IN_THREADS = 1 << 38
    USE_EMBEDDED_ACTIVITIES = 1 << 39
    MODERATE_MEMBERS = 1 << 40
    VIEW_CREATOR_MONETIZATION_ANALYTICS = 1 << 41
    USE_SOUNDBOARD = 1 << 42
    CREATE_GUILD_EXPRESSIONS = 1 << 43
    CREATE_EVENTS = 1 << 44
    USE_EXTERNAL_SOUNDS = 1 << 45
    SEND_VOICE_MESSAGES = 1 << 46
    SET_VOICE_CHANNEL_STATUS = 1 << 48
    SEND_POLLS = 1 << 49
    USE_EXTERNAL_APPS = 1 << 50
    PIN_MESSAGES = 1 << 51
    BYPASS_SLOWMODE = 1 << 52


ALL = reduce(or_, (int(permission) for permission in Permission))
DEFAULT_EVERYONE = int(
    Permission.CREATE_INSTANT_INVITE
    | Permission.ADD_REACTIONS
    | Permission.STREAM
    | Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.READ_MESSAGE_HISTORY
    | Permission.MENTION_EVERYONE
    | Permission.USE_EXTERNAL_EMOJIS
    | Permission.CONNECT
    | Permission.SPEAK
    | Permission.USE_VAD
    | Permission.CHANGE_NICKNAME
    | Permission.USE_APPLICATION_COMMANDS
    | Permission.REQUEST_TO_SPEAK
    | Permission.CREATE_PUBLIC_THREADS
    | Permission.CREATE_PRIVATE_THREADS
    | Permission.SEND_MESSAGES_IN_THREADS
)
_TIMED_OUT = int(Permission.VIEW_CHANNEL | Permission.READ_MESSAGE_HISTORY)


def parse(value: int | str | list[str]) -> int:
    """Return the bits of a number, a decimal string, or a list of names.

    Raises:
        ValueError: a name is unknown.
    """
    if isinstance(value, list):
        try:
            return reduce(or_, (int(Permission[name]) for name in value), 0)
        except KeyError as error:
            msg = f"no such permission: {error.args[0]}"
            raise ValueError(msg) from error
    return int(value)


def guild_permissions(guild: Guild, user_id: str) -> int:
    """Return what a member may do in the guild, before any overwrite; 0 for somebody else."""
    member = guild.members.get(user_id)
    if member is None:
        return 0
    if guild.settings["owner_id"] == user_id:
        return ALL
    bits = int(guild.roles[guild.id]["permissions"])
    for role_id in member["roles"]:
        bits |= int(guild.roles[role_id]["permissions"])
    return ALL if bits & Permission.ADMINISTRATOR else _timed_out(member, bits)


def channel_permissions(guild: Guild, channel: Json, user_id: str) -> int:
    """Return what a member may do in a channel; without VIEW_CHANNEL that is nothing."""
    bits = guild_permissions(guild, user_id)
    member = guild.members.get(user_id)
    if bits == ALL or member is None:
        return bits
    overwrites = {overwrite["id"]: overwrite for overwrite in channel["permission_overwrites"]}
    everyone = overwrites.get(guild.id)
    if everyone is not None:
        bits = bits & ~int(everyone["deny"]) | int(everyone["allow"])
    allow = deny = 0
    for role_id in member["roles"]:
        if role_id in overwrites:
            allow |= int(overwrites[role_id]["allow"])
            deny |= int(overwrites[role_id]["deny"])
    bits = bits & ~deny | allow
    own = overwrites.get(user_id)
    if own is not None:
        bits = bits & ~int(own["deny"]) | int(own["allow"])
    bits = _timed_out(member, bits)
    return bits if bits & Permission.VIEW_CHANNEL else 0


def rank(role: Json) -> tuple[int, int]:
    """Return the key by which roles stand above one another; of two at one position the older is higher."""
    return (role["position"], -int(role["id"]))


def top_rank(guild: Guild, user_id: str) -> tuple[int, int]:
    """Return the rank of a member's highest role; the owner stands above all."""
    if guild.settings["owner_id"] == user_id:
        return (1 << 32, 0)
    member = guild.members.get(user_id)
    held = [] if member is None else [guild.roles[role_id] for role_id in member["roles"]]
    return max((rank(role) for role in held), default=(0, -int(guild.id)))


def _timed_out(member: Json, bits: int) -> int:
    until = member.get("communication_disabled_until")
    if until is None or datetime.fromisoformat(until) <= datetime.now(UTC):
        return bits
    return bits & _TIMED_OUT
