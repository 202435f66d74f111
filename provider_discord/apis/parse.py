"""From the raw ``forProvider`` of a stored object to its model, with errors that a condition can show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from provider_discord.apis.channel import ChannelParameters
from provider_discord.apis.errors import InvalidField
from provider_discord.apis.fields import ChannelType, fields_of
from provider_discord.apis.kinds import KindDefinition
from provider_discord.apis.tags import ReactionEmoji


def parse_parameters(definition: KindDefinition, for_provider: Mapping[str, Any]) -> BaseModel:
    """Read ``spec.forProvider`` (references already resolved) into the kind's model.

    The API server has checked most of it; what is left are rules that CEL cannot state within its cost
    budget, and objects stored under older rules.

    Raises:
        InvalidField: The first thing that is wrong.
        TypeError: The kind has no parameters.
    """
    if definition.parameters is None:
        msg = f"{definition.kind} has no forProvider"
        raise TypeError(msg)
    try:
        parameters = definition.parameters.model_validate(dict(for_provider))
    except ValidationError as error:
        raise InvalidField.of(error) from None
    if isinstance(parameters, ChannelParameters):
        check_channel(parameters)
    return parameters


def check_channel(parameters: ChannelParameters, channel_type: ChannelType | None = None) -> None:
    """Check what depends on the channel's type, and that no overwrite or tag stands there twice.

    Args:
        parameters: What the manifest says.
        channel_type: The type where the manifest does not tell (an adopted channel); unknown: not checked.

    Raises:
        InvalidField: The first field that does not fit.
    """
    kind = parameters.type if parameters.type is not None else channel_type
    if kind is not None:
        _check_fields_fit(parameters, kind)
    targets: dict[tuple[str | None, str | None], int] = {}
    for index, overwrite in enumerate(parameters.permission_overwrites or ()):
        # The guild's and the bot's ids are not known here; stand-ins tell doubles just as well.
        target = overwrite.target_of(guild_id=parameters.guild_id or "everyone", bot_id="bot")
        if target is not None and target in targets:
            raise InvalidField(
                field=f"permissionOverwrites[{index}]",
                value=target[1],
                remedy=f"permissionOverwrites[{targets[target]}] is for this {target[0]} already; merge the two",
            )
        if target is not None:
            targets[target] = index
    names: set[str] = set()
    for index, tag in enumerate(parameters.available_tags or ()):
        if tag.name in names:
            raise InvalidField(
                field=f"availableTags[{index}].name",
                value=tag.name,
                remedy="there is a tag of this name already; remove one",
            )
        names.add(tag.name)


def _check_fields_fit(parameters: ChannelParameters, channel_type: ChannelType) -> None:
    """Refuse a field that a channel of this type does not have, unless it holds a zero value."""
    for field in fields_of(ChannelParameters):
        if field.discord is None or field.discord.types is None or channel_type in field.discord.types:
            continue
        value = getattr(parameters, field.attribute)
        if value is None or value in (False, 0, "", [], ReactionEmoji()):
            continue
        fitting = ", ".join(t.word for t in ChannelType if t in field.discord.types)
        raise InvalidField(
            field=field.key,
            value=value,
            remedy=f"a channel of type {channel_type.word} has no such setting, only {fitting}; remove it",
        )
