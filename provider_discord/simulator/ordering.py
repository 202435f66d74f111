"""Positions: what a write of some of them makes of all.

Discord shows channels of one class (categories; voice and stage; the rest) by position, ties by id, the older
first; of two roles at one position the older stands higher. A write names the wanted positions of some; where
it collides with one that stays, the moved one goes past it in the direction of its move.
"""

from __future__ import annotations

from collections.abc import Mapping

from provider_discord.simulator.behaviour import Positions
from provider_discord.simulator.errors import Json
from provider_discord.simulator.state import CATEGORY, STAGE, VOICE, Guild


def class_of(channel_type: int) -> str:
    """Return the class within which a channel of this type is sorted."""
    if channel_type == CATEGORY:
        return "category"
    return "voice" if channel_type in (VOICE, STAGE) else "text"


def next_channel_position(guild: Guild, channel_type: int) -> int:
    """Return the position of a new channel: behind the others of its class."""
    wanted = class_of(channel_type)
    return (
        max((c["position"] for c in guild.channels.values() if class_of(c["type"]) == wanted), default=-1) + 1
    )


def place_channels(guild: Guild, wanted: Mapping[str, int], *, positions: Positions) -> None:
    """Put channels at these positions and, if Discord does, renumber each class from 0."""
    if not wanted:
        return
    if positions is Positions.VERBATIM:
        for channel_id, position in wanted.items():
            guild.channels[channel_id]["position"] = position
        return
    touched = {class_of(guild.channels[channel_id]["type"]) for channel_id in wanted}
    for one in touched:
        members = [channel for channel in guild.channels.values() if class_of(channel["type"]) == one]
        members.sort(key=lambda channel: _key(channel, wanted, older_first=True))
        for position, channel in enumerate(members):
            channel["position"] = position


def place_roles(guild: Guild, wanted: Mapping[str, int]) -> None:
    """Put roles at these positions and renumber them all from 1; @everyone stays at 0."""
    members = [role for role in guild.roles.values() if role["id"] != guild.id]
    members.sort(key=lambda role: _key(role, wanted, older_first=False))
    for position, role in enumerate(members, start=1):
        role["position"] = position


def _key(item: Json, wanted: Mapping[str, int], *, older_first: bool) -> tuple[int, int, int]:
    age = int(item["id"]) if older_first else -int(item["id"])
    was = item["position"]
    if item["id"] not in wanted:
        return (was, 0, age)
    position = wanted[item["id"]]
    return (position, (position > was) - (position < was), age)
