"""The plain fields of a kind: from a parameters model to request bodies, comparison and ``status.atProvider``.

Everything is derived from the declarations in ``apis`` (``DiscordField``), so a field that needs nothing special
costs one line there and none here. What a manifest leaves out is unmanaged: it is neither compared nor sent.
Comparison is with what Discord stores of a value, not with what was typed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

from pydantic import BaseModel

from provider_discord.apis.fields import KEEP, ChannelType, DiscordField, ModelField, ObservedField, fields_of
from provider_discord.managed.errors import Blocked
from provider_discord.managed.external import FieldDiff

_SHOWN = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One plain field that the manifest manages.

    Attributes:
        key: Its name in the manifest.
        declared: Its declaration.
        value: What Discord will store, in the manifest's terms; this is compared.
        sent: What goes into a request.
    """

    key: str
    declared: DiscordField
    value: Any
    sent: Any


def given(parameters: BaseModel, attribute: str) -> Any:
    """Return an attribute as plain JSON; None if the manifest leaves it out."""
    return plain(getattr(parameters, attribute, None))


def plain(value: Any) -> Any:
    """Return a model's value as plain JSON: no enums, no models."""
    if isinstance(value, BaseModel):
        return {name: plain(item) for name, item in value if item is not None}
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, int | str | float | bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value]


def is_empty(value: Any) -> bool:
    """Tell whether a value clears its field: ``""``, ``[]`` or ``{}``."""
    return value in ("", [], {}) and value is not False


def applies(declared: DiscordField, channel_type: ChannelType | None) -> bool:
    """Tell whether a field exists for channels of this type; always true for what is no channel."""
    return declared.types is None or channel_type is None or channel_type in declared.types


@cache
def fields(model: type[BaseModel]) -> tuple[ModelField, ...]:
    """Return a model's fields; worked out once, since every pass of every object asks."""
    return tuple(fields_of(model))


def managed_fields(
    parameters: BaseModel, channel_type: ChannelType | None = None
) -> Iterator[tuple[ModelField, Any]]:
    """Yield each field that the manifest gives and the channel type has, with its value as plain JSON.

    Zero values (``false``, 0, ``""``, ``[]``) of a field that does not fit the channel type are passed over: the
    manifests of the Go provider are full of them.

    Raises:
        Blocked: A field is given that channels of this type do not have.
    """
    for field in fields(type(parameters)):
        value = given(parameters, field.attribute)
        if value is None or field.discord is None:
            continue
        if not applies(field.discord, channel_type):
            if value:
                word = channel_type.word if channel_type is not None else ""
                have = ", ".join(sorted(t.word for t in field.discord.types or ()))
                msg = (
                    f"spec.forProvider.{field.key}: a {word} channel has no {field.key} (only {have}); "
                    f"remove it from the manifest"
                )
                raise Blocked(msg, reason="InvalidField", field=f"forProvider.{field.key}")
            continue
        yield field, value


def wanted(
    parameters: BaseModel, *, channel_type: ChannelType | None = None, skip: Collection[str] = ()
) -> tuple[Wanted, ...]:
    """Return the plain fields that the manifest manages.

    Args:
        parameters: The parsed ``forProvider``.
        channel_type: The type that the channel has or shall have.
        skip: Manifest names that the kind handles itself.

    Raises:
        Blocked: see ``managed_fields``.
    """
    result = []
    for field, value in managed_fields(parameters, channel_type):
        declared = field.discord
        if declared is None or not declared.plain or field.key in skip:
            continue
        stored = declared.normalise(value, channel_type) if declared.normalise is not None else value
        sent = declared.empty if is_empty(stored) and declared.empty is not KEEP else value
        result.append(Wanted(key=field.key, declared=declared, value=stored, sent=sent))
    return tuple(result)


def observed_value(
    declared: DiscordField, raw: Mapping[str, Any], channel_type: ChannelType | None = None
) -> Any:
    """Return what Discord has for a field, in the manifest's terms."""
    value = raw.get(declared.name)
    if value is None:
        return declared.absent
    return declared.normalise(value, channel_type) if declared.normalise is not None else value


def differences(
    managed: Collection[Wanted], raw: Mapping[str, Any], *, channel_type: ChannelType | None = None
) -> tuple[tuple[FieldDiff, ...], dict[str, Any]]:
    """Compare the managed plain fields with what Discord has.

    Returns:
        What differs, to show, and the body of a PATCH with only that.
    """
    diffs, body = [], {}
    for field in managed:
        if not field.declared.update:
            continue
        observed = observed_value(field.declared, raw, channel_type)
        if observed != field.value:
            diffs.append(FieldDiff(field.key, shown(observed), shown(field.value)))
            body[field.declared.name] = field.sent
    return tuple(diffs), body


def create_body(managed: Collection[Wanted]) -> dict[str, Any]:
    """Return the managed plain fields that a create call takes. Empty ones are left out: they are the default."""
    return {
        field.declared.name: field.sent
        for field in managed
        if field.declared.create and not (is_empty(field.value) and field.sent is None)
    }


def at_provider(
    model: type[BaseModel],
    observed: Collection[ObservedField],
    raw: Mapping[str, Any],
    *,
    channel_type: ChannelType | None = None,
) -> dict[str, Any]:
    """Return what Discord has, under the manifest's names: plain readable fields, then the kind's observed ones.

    What is absent or null at Discord is left out, as is what the kind's own code has to work out.
    """
    result = {}
    for field in fields(model):
        declared = field.discord
        if declared is None or not declared.read or not declared.plain or not applies(declared, channel_type):
            continue
        value = raw.get(declared.name, declared.absent)
        if value is not None:
            result[field.key] = value
    for extra in observed:
        value = raw.get(extra.name) if extra.name is not None else None
        if value is not None:
            result[extra.key] = value
    return result


def terms_of(model: type[BaseModel]) -> dict[str, str]:
    """Return Discord's field names to the manifest's."""
    return {field.discord.name: field.key for field in fields(model) if field.discord is not None}


def shown(value: Any) -> str:
    """Return a value as conditions and events show it: JSON on one line, cut when long; ``none`` for nothing."""
    if value is None:
        return "none"
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
