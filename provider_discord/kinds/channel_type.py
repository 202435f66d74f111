"""Types of channels: which can become which, which a guild may have, and which channel a manifest may mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from provider_discord.apis.channel import SAME_CLASS_TYPES, ChannelParameters
from provider_discord.apis.fields import ChannelType
from provider_discord.discord.permissions import is_hidden
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds import names

Json = Mapping[str, Any]
_FEATURES: Final = {ChannelType.ANNOUNCEMENT: "NEWS", ChannelType.STAGE: "COMMUNITY"}


def channel_type_of(raw: Json) -> ChannelType | None:
    """Return a channel's type; None for a type that this release does not manage."""
    try:
        return ChannelType(int(raw["type"]))
    except ValueError:
        return None


def _convertible(one: ChannelType, other: ChannelType) -> bool:
    """Tell whether Discord can turn a channel of one type into the other."""
    return one is other or any(one in types and other in types for types in SAME_CLASS_TYPES)


def exemplar(kind: ChannelType) -> ChannelType:
    """Return the type that stands for all those that Discord can turn into one another."""
    return min(next((types for types in SAME_CLASS_TYPES if kind in types), {kind}))


def lacking_feature(kind: ChannelType | None, snapshot: GuildSnapshot) -> str:
    """Return a remark on a type of channel that the guild does not have yet, "" if there is nothing to remark.

    Discord's own refusal only lists the numbers of the other types (Discord docs, resources/guild, "Guild Features").
    """
    feature = _FEATURES.get(kind) if kind is not None else None
    if kind is None or feature is None or feature in (snapshot.guild.get("features") or ()):
        return ""
    return f" (a guild has {kind.word} channels once it is a Community: set community: true on its Guild)"


def has_type(parameters: ChannelParameters | None, raw: Json) -> bool:
    """Tell whether a channel is, or can be turned into, one of the manifest's type."""
    kind = channel_type_of(raw)
    wanted = parameters.type if parameters is not None else None
    return kind is not None and (wanted is None or _convertible(wanted, kind))


def matches(parameters: ChannelParameters, raw: Json) -> bool:
    """Tell whether a channel answers to a manifest's name, type and parent, so that it might be meant.

    Where the manifest says nothing of a parent, any will do; "" is none.
    """
    kind = channel_type_of(raw)
    if kind is None or parameters.name is None or is_hidden(raw):
        return False
    if not has_type(parameters, raw):
        return False
    if parameters.parent_id is not None and str(raw.get("parent_id") or "") != parameters.parent_id:
        return False
    return names.same_name(parameters.name, str(raw.get("name") or ""), kind)
