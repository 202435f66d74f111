"""What a channel shall be, against what it is: the differences, and the one PATCH or POST that settles them.

Pure, given the guild's snapshot. The plain fields come from the table; here is what a table can't say: the parent
and the overwrites that go with it, text and announcement channels turned into each other, flags of which only some
bits are ours, tags that keep their ids.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from provider_discord.apis.channel import CHANNEL_FLAGS, CHANNEL_OBSERVED, ChannelParameters
from provider_discord.apis.errors import InvalidField
from provider_discord.apis.fields import ChannelType, fields_of
from provider_discord.discord import snowflake
from provider_discord.discord.permissions import is_hidden, names_of
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds import names, overwrites, table, tags
from provider_discord.kinds.channel_type import channel_type_of
from provider_discord.kinds.outcomes import invalid
from provider_discord.kinds.plan import Difference, Plan
from provider_discord.managed import meta
from provider_discord.managed.errors import Blocked
from provider_discord.managed.external import FieldDiff

Json = Mapping[str, Any]
TAGS_ANNOTATION: Final = "discord.crossplane.io/tags"
_BIRTH: Final = timedelta(seconds=1)
"""What is made in one request has ids no further apart."""
TERMS: Final = {**table.terms_of(ChannelParameters), "flags": "flags"}
_OWN: Final = frozenset({"name"})
_FLAG_FIELDS: Final = {
    field.attribute: field for field in fields_of(ChannelParameters) if field.attribute in CHANNEL_FLAGS
}


def plan_update(
    parameters: ChannelParameters,
    raw: Json,
    *,
    snapshot: GuildSnapshot,
    bot_id: str,
    remembered_tags: str | None,
    seen: Json | None = None,
) -> Plan:
    """Compare a channel with its manifest. Its place among its siblings is not looked at here.

    Args:
        parameters: The manifest.
        raw: The channel.
        snapshot: Its guild.
        bot_id: The bot's user id.
        remembered_tags: The annotation with the tags' memory.
        seen: ``status.atProvider`` as last written.

    Raises:
        Blocked: The manifest asks for what can't be.
    """
    observed_type = channel_type_of(raw)
    wanted_type = parameters.type if parameters.type is not None else observed_type
    body: dict[str, Any] = {}
    diffs: list[FieldDiff] = []

    if parameters.name is not None and wanted_type is not None:
        now = str(raw.get("name") or "")
        if not names.same_name(parameters.name, now, wanted_type):
            wanted_name = names.normalise_channel_name(parameters.name, wanted_type)
            diffs.append(FieldDiff("name", table.shown(now), table.shown(wanted_name)))
            body["name"] = wanted_name
    if observed_type is not None and wanted_type is not None and wanted_type is not observed_type:
        diffs.append(FieldDiff("type", observed_type.word, wanted_type.word))
        body["type"] = int(wanted_type)

    fields = table.wanted(parameters, channel_type=wanted_type, skip=_OWN)
    plain_diffs, plain_body = table.differences(fields, raw, channel_type=wanted_type)
    diffs += plain_diffs
    body |= plain_body

    for diff, key, value in (
        *_flags(parameters, raw),
        *_reaction(parameters, raw),
        *_parent(parameters, raw),
    ):
        diffs.append(diff)
        body[key] = value

    overwrite_plan = _overwrites(parameters, raw, snapshot=snapshot, bot_id=bot_id)
    if overwrite_plan is not None:
        shown = _shown_overwrites(raw)
        # A channel that follows its category was left behind by it, unless somebody changed the channel itself.
        follows = bool(parameters.sync_permissions) and (seen or {}).get("permissionOverwrites") == shown
        diffs += (replace(diff, own=follows) for diff in overwrite_plan.diffs)
        # With a move they go along even if they are right: no moment in which the new parent's would hold.
        if overwrite_plan.changed or "parent_id" in body:
            body["permission_overwrites"] = list(overwrite_plan.target)

    annotations: dict[str, str | None] = {}
    tag_plan = _tags(parameters, raw, remembered_tags)
    if tag_plan is not None:
        if tag_plan.changed:
            diffs += tag_plan.diffs
            body["available_tags"] = list(tag_plan.body)
        annotations = _memory(tag_plan, raw, remembered_tags)
    return Plan(raw=raw, body=body, diffs=tuple(diffs), annotations=annotations)


def create_body(parameters: ChannelParameters, *, snapshot: GuildSnapshot, bot_id: str) -> dict[str, Any]:
    """Return the whole body of the create call: fields, parent, overwrites and tags at once.

    Raises:
        Blocked: The manifest lacks a name or a type, or asks for what can't be.
    """
    if parameters.name is None or parameters.type is None:
        missing = "name" if parameters.name is None else "type"
        msg = f"spec.forProvider.{missing} is missing: a channel can't be made without it"
        raise Blocked(msg, reason="InvalidField", field=f"forProvider.{missing}")
    kind = parameters.type
    body: dict[str, Any] = {"name": names.normalise_channel_name(parameters.name, kind), "type": int(kind)}
    body |= table.create_body(table.wanted(parameters, channel_type=kind, skip=_OWN))
    parent = parent_of(parameters, {}, snapshot=snapshot)
    if parameters.parent_id:
        body["parent_id"] = parameters.parent_id
    synced = (
        _overwrites(parameters, {}, snapshot=snapshot, bot_id=bot_id) if parameters.sync_permissions else None
    )
    if synced is not None:
        body["permission_overwrites"] = list(synced.target)
    elif parameters.permission_overwrites is not None:
        policy = _policy(parameters)
        desired = _desired(parameters, snapshot=snapshot, bot_id=bot_id)
        # Only some targets are declared: for the others the channel starts as its category is.
        start = _inherited(parameters, parent) if policy is overwrites.Policy.DECLARED else ()
        body["permission_overwrites"] = list(overwrites.plan(desired, start, policy=policy).target)
    tag_plan = _tags(parameters, {}, None)
    if tag_plan is not None and tag_plan.body:
        body["available_tags"] = list(tag_plan.body)
    flags = sum(bit for attribute, bit in CHANNEL_FLAGS.items() if getattr(parameters, attribute))
    if flags:
        # Discord may pass over them in a create; then the first look puts them right.
        body["flags"] = flags
    if parameters.default_reaction_emoji is not None and parameters.default_reaction_emoji.to_discord():
        body["default_reaction_emoji"] = parameters.default_reaction_emoji.to_discord()
    return body


def parent_of(parameters: ChannelParameters | None, raw: Json, *, snapshot: GuildSnapshot) -> Json | None:
    """Return the category that the channel is or shall be under; None for none, or one that the bot can't see.

    A hidden category may be listed, with overwrites that are an invention; what is built on them would be too.

    Raises:
        Blocked: The manifest names something that is no category.
    """
    wanted = parameters.parent_id if parameters is not None else None
    parent_id = raw.get("parent_id") if wanted is None else wanted
    parent = snapshot.channels.get(str(parent_id)) if parent_id else None
    if wanted and parent is not None and parent.get("type") != ChannelType.CATEGORY:
        msg = f"spec.forProvider.parentId: {wanted} is not a category"
        raise Blocked(msg, reason="InvalidField", field="forProvider.parentId")
    return None if parent is None or is_hidden(parent) else parent


def tags_memory(parameters: ChannelParameters, raw: Json, remembered: str | None) -> dict[str, str | None]:
    """Return what to remember of a channel's tags after it was written; only what changes.

    Args:
        parameters: The manifest.
        raw: The channel as Discord answered.
        remembered: The annotation as it stands.
    """
    plan = _tags(parameters, raw, remembered)
    return {} if plan is None else _memory(plan, raw, remembered)


def tags_at_birth(raw: Json) -> dict[str, str | None]:
    """Return what to remember of the tags of a channel that a lost create turns out to have made.

    The manifest may have changed since, so what it asked for then can't be told by it. But a tag whose id is as old
    as the channel's was made with it; what somebody has added by hand is younger.
    """
    born = snowflake.created_at(str(raw["id"]))
    made = {
        str(tag.get("name") or ""): str(tag["id"])
        for tag in raw.get("available_tags") or ()
        if abs(snowflake.created_at(str(tag["id"])) - born) < _BIRTH
    }
    return {TAGS_ANNOTATION: tags.encode(made)} if made else {}


def effective_overwrites(body: Json, raw: Json, *, snapshot: GuildSnapshot) -> list[Json]:
    """Return the overwrites that a channel has once a body was applied to it."""
    if "permission_overwrites" in body:
        return list(body["permission_overwrites"])
    if raw:
        return list(raw.get("permission_overwrites") or ())
    parent = _shown_parent(body, snapshot)
    return list((parent or {}).get("permission_overwrites") or ())


def status(raw: Json, *, snapshot: GuildSnapshot) -> dict[str, Any]:
    """Return ``status.atProvider`` of a channel."""
    kind = channel_type_of(raw)
    shown = table.at_provider(ChannelParameters, CHANNEL_OBSERVED, raw, channel_type=kind)
    shown["guildId"] = snapshot.guild_id
    shown["position"] = int(raw.get("position") or 0)
    if kind is not None:
        shown["typeName"] = kind.word
    parent_id = str(raw.get("parent_id") or "")
    parent = _shown_parent(raw, snapshot)
    if parent_id:
        shown["parentId"] = parent_id
    if parent is not None:
        shown["permissionsSynced"] = overwrites.same(
            raw.get("permission_overwrites"), parent.get("permission_overwrites")
        )
    shown["permissionOverwrites"] = _shown_overwrites(raw)
    if raw.get("available_tags") is not None:
        shown["availableTags"] = [_shown_tag(tag) for tag in raw["available_tags"]]
    emoji = raw.get("default_reaction_emoji")
    if emoji:
        shown["defaultReactionEmoji"] = _without_none(
            {"emojiId": emoji.get("emoji_id"), "emojiName": emoji.get("emoji_name")}
        )
    flags = int(raw.get("flags") or 0)
    for attribute, declared in _FLAG_FIELDS.items():
        if declared.discord is not None and kind is not None and table.applies(declared.discord, kind):
            shown[declared.key] = bool(flags & CHANNEL_FLAGS[attribute])
    if kind is not ChannelType.CATEGORY:
        shown["hasMessages"] = raw.get("last_message_id") is not None
    shown["createdAt"] = meta.to_rfc3339(snowflake.created_at(raw["id"]))
    return shown


def _tags(parameters: ChannelParameters, raw: Json, remembered: str | None) -> tags.TagPlan | None:
    if parameters.available_tags is None:
        return None
    try:
        memory = tags.decode(remembered, channel=str(raw.get("id") or ""))
        return tags.plan_tags(parameters.available_tags, raw.get("available_tags"), memory)
    except InvalidField as error:
        raise invalid(error) from error


def _memory(plan: tags.TagPlan, raw: Json, remembered: str | None) -> dict[str, str | None]:
    text = tags.encode(plan.memory, channel=str(raw["id"]))
    return {} if text == remembered else {TAGS_ANNOTATION: text}


def _policy(parameters: ChannelParameters) -> overwrites.Policy:
    return overwrites.Policy(parameters.overwrite_policy or overwrites.Policy.AUTHORITATIVE.value)


def _desired(
    parameters: ChannelParameters, *, snapshot: GuildSnapshot, bot_id: str
) -> tuple[overwrites.Overwrite, ...]:
    try:
        return overwrites.resolve_desired(
            parameters.permission_overwrites or (), guild_id=snapshot.guild_id, bot_id=bot_id
        )
    except InvalidField as error:
        raise invalid(error) from error


def _overwrites(
    parameters: ChannelParameters, raw: Json, *, snapshot: GuildSnapshot, bot_id: str
) -> overwrites.OverwritePlan | None:
    labels = {role_id: str(role.get("name")) for role_id, role in snapshot.roles.items()}
    observed = raw.get("permission_overwrites")
    if parameters.sync_permissions:
        parent = parent_of(parameters, raw, snapshot=snapshot)
        if parent is None:
            parent_id = parameters.parent_id if parameters.parent_id is not None else raw.get("parent_id")
            lacking = (
                f"the bot can't see its parent {parent_id}: give the bot View Channel there"
                if parent_id
                else "it has no parent: give parentId, or permissionOverwrites instead"
            )
            msg = f"spec.forProvider.syncPermissions can't be followed, because {lacking}"
            raise Blocked(msg, reason="InvalidField", field="forProvider.syncPermissions")
        return overwrites.plan_copy(parent.get("permission_overwrites"), observed, labels=labels)
    if parameters.permission_overwrites is None:
        return None
    desired = _desired(parameters, snapshot=snapshot, bot_id=bot_id)
    return overwrites.plan(desired, observed, policy=_policy(parameters), labels=labels)


def _inherited(parameters: ChannelParameters, parent: Json | None) -> Sequence[Json]:
    """Return the overwrites that a new channel takes from its category, for targets that are not declared.

    Raises:
        Blocked: The bot can't see the category: without its overwrites a private channel would begin as a public one.
    """
    if parent is None and parameters.parent_id:
        msg = (
            f"spec.forProvider.overwritePolicy: Declared starts from the overwrites of the parent "
            f"{parameters.parent_id}, which the bot can't see: give the bot View Channel there, or list all overwrites "
            f"with overwritePolicy: Authoritative"
        )
        raise Blocked(msg, reason="InvalidField", field="forProvider.overwritePolicy")
    return (parent or {}).get("permission_overwrites") or ()


def _shown_parent(raw: Json, snapshot: GuildSnapshot) -> Json | None:
    """Return the parent that a channel or body names, if the bot can see it."""
    parent = snapshot.channels.get(str(raw.get("parent_id") or ""))
    return None if parent is None or is_hidden(parent) else parent


def _flags(parameters: ChannelParameters, raw: Json) -> list[Difference]:
    """Compare the bits of ``flags`` that have a field; all others are kept."""
    observed = int(raw.get("flags") or 0)
    wanted = observed
    diffs = []
    for attribute, bit in CHANNEL_FLAGS.items():
        value = getattr(parameters, attribute)
        if value is None or value is bool(observed & bit):
            continue
        wanted = wanted | bit if value else wanted & ~bit
        diffs.append(FieldDiff(_FLAG_FIELDS[attribute].key, json.dumps(not value), json.dumps(value)))
    return [(diff, "flags", wanted) for diff in diffs]


def _reaction(parameters: ChannelParameters, raw: Json) -> list[Difference]:
    if parameters.default_reaction_emoji is None:
        return []
    wanted = parameters.default_reaction_emoji.to_discord()
    observed = raw.get("default_reaction_emoji") or {}
    now = {key: observed.get(key) or None for key in ("emoji_id", "emoji_name")}
    if wanted is not None and wanted["emoji_id"]:
        now["emoji_name"] = None  # Discord may tell a custom emoji's name beside its id.
    seen = now if any(now.values()) else None
    if _same_emoji(seen, wanted):
        return []
    diff = FieldDiff("defaultReactionEmoji", _emoji(seen), _emoji(wanted))
    return [(diff, "default_reaction_emoji", wanted)]


def _same_emoji(one: Json | None, other: Json | None) -> bool:
    if one is None or other is None:
        return one is other
    (one_name, one_id), (other_name, other_id) = (
        (tags.plain_emoji(emoji["emoji_name"]), emoji["emoji_id"]) for emoji in (one, other)
    )
    return (one_name, one_id) == (other_name, other_id)


def _emoji(value: Json | None) -> str:
    return "none" if value is None else str(value["emoji_name"] or value["emoji_id"])


def _parent(parameters: ChannelParameters, raw: Json) -> list[Difference]:
    if parameters.parent_id is None or channel_type_of(raw) is ChannelType.CATEGORY:
        return []
    now = str(raw.get("parent_id") or "")
    if now == parameters.parent_id:
        return []
    return [
        (
            FieldDiff("parentId", now or "none", parameters.parent_id or "none"),
            "parent_id",
            parameters.parent_id or None,
        )
    ]


def _shown_overwrites(raw: Json) -> list[dict[str, Any]]:
    return [_shown_overwrite(one) for one in raw.get("permission_overwrites") or ()]


def _shown_overwrite(raw: Json) -> dict[str, Any]:
    one = overwrites.Overwrite.from_raw(raw)
    return {
        "id": one.id,
        "type": one.type.word,
        "allow": one.allow,
        "deny": one.deny,
        "allowNames": list(names_of(one.allow)[0]),
        "denyNames": list(names_of(one.deny)[0]),
    }


def _shown_tag(raw: Json) -> dict[str, Any]:
    shown = {
        "id": raw.get("id"),
        "name": raw.get("name"),
        "moderated": bool(raw.get("moderated")),
        "emojiId": raw.get("emoji_id"),
        "emojiName": raw.get("emoji_name"),
    }
    return _without_none(shown)


def _without_none(values: Json) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
