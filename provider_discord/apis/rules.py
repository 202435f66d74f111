"""CEL rules: what ``kubectl apply`` refuses beyond types and bounds, and how it says so.

Rules about a channel's type come from the field table. A zero value (``false``, 0, ``""``, ``[]``) of a field that
a channel does not have is let through, since manifests written for the Go provider carry such; only a value
that would have to do something is refused. A rule about change lets a field be unset and set again to the
same, because a manifest may hold only the reference; the reconciler refuses what CEL cannot see.

The cost of every rule is estimated when the CRD is applied, from the bounds in the schema. That is why each
list and string has one, and why no rule compares the items of a list with one another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from provider_discord.apis.channel import SAME_CLASS_TYPES, ChannelParameters
from provider_discord.apis.fields import ChannelType, fields_of
from provider_discord.apis.schema import Schema

Rule = dict[str, str]

INVALID: Final = "FieldValueInvalid"
FORBIDDEN: Final = "FieldValueForbidden"
REQUIRED: Final = "FieldValueRequired"


def rule(expression: str, message: str, *, field: str | None = None, reason: str = INVALID) -> Rule:
    """Return one entry of ``x-kubernetes-validations``; ``field`` is where the API server points to."""
    made = {"rule": expression, "message": message, "reason": reason}
    if field is not None:
        made["fieldPath"] = f".{field}"
    return made


def listed(words: Sequence[str], conjunction: str = "or") -> str:
    """Return ``a, b or c``."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {conjunction} {words[-1]}"


def given(field: str, schema: Schema) -> str:
    """Return the CEL test that a field is there; an empty string counts as absent."""
    if schema["properties"][field].get("type") == "string":
        return f"has(self.{field}) && self.{field} != ''"
    return f"has(self.{field})"


def at_most_one(fields: Sequence[str], schema: Schema, message: str) -> Rule:
    """Allow no more than one of some fields."""
    return rule(f"{_count(fields, schema)} <= 1", message, field=fields[0], reason=FORBIDDEN)


def exactly_one(fields: Sequence[str], schema: Schema, message: str) -> Rule:
    """Demand one of some fields."""
    return rule(f"{_count(fields, schema)} == 1", message)


def _count(fields: Sequence[str], schema: Schema) -> str:
    return " + ".join(f"({given(field, schema)} ? 1 : 0)" for field in fields)


def not_both(field: str, other: str, message: str) -> Rule:
    """Refuse two ways of saying the same, even if empty: each would be a statement."""
    return rule(f"!has(self.{field}) || !has(self.{other})", message, field=other, reason=FORBIDDEN)


def _forms(channel_types: frozenset[ChannelType]) -> str:
    """Return the CEL list of every way to write these channel types."""
    forms = [form for t in ChannelType if t in channel_types for form in (f"'{int(t)}'", f"'{t.word}'")]
    return f"[{', '.join(forms)}]"


def _is_zero(key: str, schema: Schema) -> str | None:
    """Return the CEL test that a field holds a zero value, or None where its bounds allow none."""
    value = f"self.{key}"
    if schema.get("x-kubernetes-int-or-string"):
        return f"string({value}) == '0'" if 0 in schema.get("enum", ()) else None
    match schema.get("type"):
        case "string":
            return f"{value} == ''"
        case "boolean":
            return f"!{value}"
        case "array":
            return f"size({value}) == 0"
        case "integer" if schema.get("minimum", 0) <= 0 and 0 in schema.get("enum", (0,)):
            return f"{value} == 0"
        case "object":
            return " && ".join(f"!has({value}.{name})" for name in schema["properties"])
    return None


def _fits_type(properties: Schema) -> Iterator[Rule]:
    """Yield, for each field that not every channel has, the rule that its channel has it."""
    for field in fields_of(ChannelParameters):
        if field.discord is None or field.discord.types is None:
            continue
        keys = [field.key]
        keys += [key for key in (f"{field.key}Ref", f"{field.key}Selector") if key in properties]
        types = field.discord.types
        words = [t.word for t in ChannelType if t in types]
        if len(words) > len(ChannelType) // 2 + 2:
            lacking = listed([t.word for t in ChannelType if t not in types])
            fitting = f"channels of type {lacking} do not have it"
        else:
            fitting = f"only channels of type {listed(words)} have it"
        for key in keys:
            tests = [f"!has(self.{key})"]
            zero = _is_zero(key, properties[key]) if key == field.key else None
            tests += [zero] if zero else []
            tests += ["!has(self.type)", f"string(self.type) in {_forms(types)}"]
            yield rule(
                " || ".join(tests),
                f"{key} does not fit the channel's type: {fitting}; remove it or change type",
                field=key,
                reason=FORBIDDEN,
            )


def _bounded(key: str, limit: int, types: frozenset[ChannelType], *, unit: str) -> Rule:
    """Return the rule that a bound is kept that holds for some channel types only."""
    value = f"size(self.{key})" if unit == "characters" else f"self.{key}"
    words = listed([t.word for t in ChannelType if t in types])
    return rule(
        f"!has(self.{key}) || !has(self.type) || !(string(self.type) in {_forms(types)}) || {value} <= {limit}",
        f"{key} of a channel of type {words} is at most {limit} {unit}".rstrip(),
        field=key,
    )


def immutable(key: str, remedy: str) -> Rule:
    """Refuse a change from one value to another; unset to set and back are let through."""
    return rule(
        f"!has(oldSelf.{key}) || oldSelf.{key} == '' || !has(self.{key}) || self.{key} == '' "
        f"|| self.{key} == oldSelf.{key}",
        f"{key} cannot change once it is set; {remedy}",
        field=key,
    )


def one_way(field: str, schema: Schema) -> Rule:
    """Allow an id, its reference or its selector, but only one of them."""
    return at_most_one(
        (field, f"{field}Ref", f"{field}Selector"),
        schema,
        f"give only one of {field}, {field}Ref and {field}Selector",
    )


def channel_rules(schema: Schema) -> list[Rule]:
    """Return the rules of a Channel's ``forProvider``."""
    classes = list(SAME_CLASS_TYPES)
    classes += [frozenset({t}) for t in ChannelType if not any(t in c for c in SAME_CLASS_TYPES)]
    same_class = ", ".join(_forms(types) for types in classes)
    announcement = frozenset({ChannelType.TEXT, ChannelType.ANNOUNCEMENT})
    return [
        one_way("guildId", schema),
        immutable("guildId", "a channel cannot move to another guild: make a new object"),
        rule(
            f"!has(oldSelf.type) || !has(self.type) || [{same_class}]"
            ".exists(c, string(self.type) in c && string(oldSelf.type) in c)",
            "type cannot change, except between text and announcement: a channel of another type would be a new "
            "channel without the old one's messages; make a new object",
            field="type",
        ),
        one_way("parentId", schema),
        *_fits_type(schema["properties"]),
        _bounded("topic", 1024, announcement, unit="characters"),
        _bounded("userLimit", 99, frozenset({ChannelType.VOICE}), unit="users"),
        _bounded("bitrate", 64000, frozenset({ChannelType.STAGE}), unit="bits per second"),
        rule(
            "!has(self.spoiler) || !self.spoiler || !has(self.nsfw) || !self.nsfw",
            "spoiler and nsfw exclude each other; set one of them to false",
            field="spoiler",
            reason=FORBIDDEN,
        ),
        rule(
            "!has(self.syncPermissions) || !self.syncPermissions || !has(self.permissionOverwrites)",
            "syncPermissions takes the overwrites from the parent category, so permissionOverwrites cannot be given "
            "too; remove one of them",
            field="syncPermissions",
            reason=FORBIDDEN,
        ),
        rule(
            "!has(self.syncPermissions) || !self.syncPermissions || has(self.parentIdRef) || has(self.parentIdSelector) "
            "|| (has(self.parentId) && self.parentId != '')",
            "syncPermissions needs a parent category: give parentId, parentIdRef or parentIdSelector",
            field="syncPermissions",
        ),
        rule(
            "!has(self.syncPermissions) || !self.syncPermissions || !has(self.type) "
            f"|| !(string(self.type) in {_forms(frozenset({ChannelType.CATEGORY}))})",
            "a category has no parent to take its permissions from; remove syncPermissions",
            field="syncPermissions",
            reason=FORBIDDEN,
        ),
    ]


def overwrite_rules(schema: Schema) -> list[Rule]:
    """Return the rules of one entry of ``permissionOverwrites``."""
    return [
        exactly_one(
            ("id", "roleId", "roleIdRef", "roleIdSelector", "memberId", "target"),
            schema,
            "name the target of the overwrite in exactly one way: id with type, roleId, roleIdRef, roleIdSelector, "
            "memberId, or target (everyone or bot)",
        ),
        rule(
            "!has(self.id) || self.id == '' || has(self.type)",
            "type is needed with id: role or member",
            field="type",
            reason=REQUIRED,
        ),
        rule(
            "!has(self.type) || (has(self.id) && self.id != '') || (self.type == 'member') == "
            "((has(self.memberId) && self.memberId != '') || (has(self.target) && self.target == 'bot'))",
            "type contradicts the way in which the target is given; it is needed only with id, remove it",
            field="type",
        ),
        not_both("allow", "allowNames", "allow and allowNames say the same; give only one of them"),
        not_both("deny", "denyNames", "deny and denyNames say the same; give only one of them"),
    ]


def emoji_rules(schema: Schema) -> list[Rule]:
    """Return the rules of anything with an emoji: a custom one or a character."""
    return [
        at_most_one(
            ("emojiId", "emojiName"),
            schema,
            "give only one of emojiId (a custom emoji) and emojiName (a unicode emoji)",
        ),
    ]


def image_source_rules(schema: Schema) -> list[Rule]:
    """Return the rules of an ``...From`` block."""
    return [
        exactly_one(
            ("configMapKeyRef", "secretKeyRef"),
            schema,
            "give exactly one of configMapKeyRef and secretKeyRef",
        ),
    ]


def image_rule(field: str) -> Rule:
    """Refuse an image that is given twice."""
    return not_both(field, f"{field}From", f"{field} and {field}From say the same; give only one of them")


def role_rules(schema: Schema) -> list[Rule]:
    """Return the rules of a Role's ``forProvider``."""
    others = (
        "name",
        "position",
        "hoist",
        "color",
        "colors",
        "icon",
        "iconFrom",
        "unicodeEmoji",
        "mentionable",
    )
    properties = schema["properties"]
    fixed = []
    for key in others:
        zero = "self.name == '@everyone'" if key == "name" else _is_zero(key, properties[key])
        if key == "color":
            zero = "string(self.color) == '0'"
        tests = ["!has(self.everyone)", "!self.everyone", f"!has(self.{key})"]
        tests += [zero] if zero and key not in ("colors", "iconFrom") else []
        fixed.append(
            rule(
                " || ".join(tests),
                f"{key} cannot be set for @everyone, only its permissions can; remove {key}, or everyone",
                field=key,
                reason=FORBIDDEN,
            ),
        )
    return [
        one_way("guildId", schema),
        immutable("guildId", "a role cannot move to another guild: make a new object"),
        rule(
            "(has(oldSelf.everyone) && oldSelf.everyone) == (has(self.everyone) && self.everyone)",
            "everyone cannot change: @everyone and another role are different things; make a new object",
            field="everyone",
        ),
        not_both(
            "permissions",
            "permissionNames",
            "permissions and permissionNames say the same; give only one of them",
        ),
        not_both("color", "colors", "color and colors say the same; give only one of them"),
        image_rule("icon"),
        rule(
            "!has(self.unicodeEmoji) || self.unicodeEmoji == '' || "
            "((!has(self.icon) || self.icon == '') && !has(self.iconFrom))",
            "a role has an icon or a unicodeEmoji, not both; remove one of them",
            field="unicodeEmoji",
            reason=FORBIDDEN,
        ),
        *fixed,
    ]


def guild_rules(schema: Schema) -> list[Rule]:
    """Return the rules of a Guild's ``forProvider``."""
    references = [key.removesuffix("Ref") for key in schema["properties"] if key.endswith("Ref")]
    images = [key.removesuffix("From") for key in schema["properties"] if key.endswith("From")]
    return [*(one_way(field, schema) for field in references), *(image_rule(field) for field in images)]


def required(field: str, schema: Schema, *, alternatives: Sequence[str] = (), unless: str = "") -> Rule:
    """Return the rule on ``spec`` that a field is there where the object may be created, as Crossplane words it.

    Args:
        field: The field of ``forProvider``.
        schema: The schema of ``forProvider``.
        alternatives: Other fields of which one will do.
        unless: A CEL test on ``spec`` that makes it needless.
    """
    creates = "has(self.managementPolicies) && !('*' in self.managementPolicies || 'Create' in self.managementPolicies)"
    tests = [creates]
    if unless:
        tests.append(unless)
    tests += [
        f"({given(key, schema).replace('self.', 'self.forProvider.')})" for key in (field, *alternatives)
    ]
    ways = listed([f"spec.forProvider.{key}" for key in (field, *alternatives)])
    return rule(
        " || ".join(tests),
        f"{ways} is a required parameter",
        field=f"forProvider.{field}",
        reason=REQUIRED,
    )


def spec_rules(kind: str, schema: Schema) -> list[Rule]:
    """Return the rules on ``spec`` of a managed resource: what has to be given so that it can be created."""
    guild = (
        required("guildId", schema, alternatives=("guildIdRef", "guildIdSelector")) if kind != "Guild" else {}
    )
    match kind:
        case "Channel":
            return [required("name", schema), required("type", schema), guild]
        case "Role":
            everyone = "(has(self.forProvider.everyone) && self.forProvider.everyone)"
            return [required("name", schema, unless=everyone), guild]
    return []


def attach(kind: str, schema: Schema) -> Schema:
    """Put a kind's rules into its ``forProvider`` schema, in place, and return it."""
    properties: dict[str, Any] = schema["properties"]
    match kind:
        case "Channel":
            schema["x-kubernetes-validations"] = channel_rules(schema)
            item = properties["permissionOverwrites"]["items"]
            item["x-kubernetes-validations"] = overwrite_rules(item)
            for emoji in (properties["availableTags"]["items"], properties["defaultReactionEmoji"]):
                emoji["x-kubernetes-validations"] = emoji_rules(emoji)
        case "Role":
            schema["x-kubernetes-validations"] = role_rules(schema)
        case "Guild":
            schema["x-kubernetes-validations"] = guild_rules(schema)
    for key, value in properties.items():
        if key.endswith("From"):
            value["x-kubernetes-validations"] = image_source_rules(value)
    return schema


def credentials_rules() -> list[Rule]:
    """Return the rules of a ProviderConfig's ``credentials``."""
    return [
        rule(
            "has(self.secretRef)",
            "secretRef is needed: name the Secret, its namespace and the key that holds the bot's token",
            field="secretRef",
            reason=REQUIRED,
        ),
        *(
            rule(
                f"!has(self.{source})",
                f"{source} is not supported: put the token into a Secret and name it in secretRef",
                field=source,
                reason=FORBIDDEN,
            )
            for source in ("env", "fs")
        ),
    ]
