"""What may be in a channel's body: one row a field, with the types that have it, its bounds and its default.

Written from Discord docs, resources/guild ("Create Guild Channel") and resources/channel ("Modify Channel").
`read_create` and `read_modify` turn a body into the stored values it asks for; permissions, parents and limits,
which need the guild, are in `channels`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from provider_discord.simulator import fields
from provider_discord.simulator.behaviour import Behaviour, Inapplicable, OnCreate, Punctuation, Spaces
from provider_discord.simulator.errors import Complain, Form, Json
from provider_discord.simulator.rules_tags import read_reaction, read_tags
from provider_discord.simulator.state import ANNOUNCEMENT, CATEGORY, FORUM, MEDIA, STAGE, TEXT, VOICE, Guild

KEEP = object()
"""As `on_null`: null leaves the field as it is."""

REQUIRE_TAG, HIDE_MEDIA_DOWNLOAD, IS_SPOILER = 1 << 4, 1 << 15, 1 << 21
SETTABLE_FLAGS: dict[int, int] = {
    TEXT: IS_SPOILER,
    VOICE: IS_SPOILER,
    CATEGORY: 0,
    ANNOUNCEMENT: IS_SPOILER,
    STAGE: 0,
    FORUM: REQUIRE_TAG | IS_SPOILER,
    MEDIA: REQUIRE_TAG | HIDE_MEDIA_DOWNLOAD | IS_SPOILER,
}
_KNOWN_FLAGS = REQUIRE_TAG | HIDE_MEDIA_DOWNLOAD | IS_SPOILER
_BITRATES = {0: 96_000, 1: 128_000, 2: 256_000, 3: 384_000}
_LOWERCASE = frozenset({TEXT, ANNOUNCEMENT, FORUM, MEDIA})
_PUNCTUATION = re.compile(r"""[!"#$%&'()*+,./:;<=>?@\[\\\]^`{|}~]""")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a channel.

    Attributes:
        types: the channel types that have it.
        check: its check, given the channel's type and the guild.
        default: what a new channel has (given the type).
        on_null: what null means.
        create_types: further types that have it on create alone.
    """

    types: frozenset[int]
    check: Callable[[int, Guild], fields.Check]
    default: Any = None
    on_null: Any = None
    create_types: frozenset[int] = frozenset()


def _always(check: fields.Check) -> Callable[[int, Guild], fields.Check]:
    return lambda _type, _guild: check


def _topic(channel_type: int, _guild: Guild) -> fields.Check:
    check = fields.text(0, 4096 if channel_type in (FORUM, MEDIA) else 1024)
    return lambda value, complain: check(value, complain) or None


def _bitrate(channel_type: int, guild: Guild) -> fields.Check:
    tier = _BITRATES[guild.settings["premium_tier"]]
    if "VIP_REGIONS" in guild.features:
        tier = max(tier, _BITRATES[3])
    return fields.integer(8000, 64_000 if channel_type == STAGE else tier)


def _user_limit(channel_type: int, _guild: Guild) -> fields.Check:
    return fields.integer(0, 10_000 if channel_type == STAGE else 99)


def _flags(channel_type: int, _guild: Guild) -> fields.Check:
    number = fields.integer()

    def check(value: Any, complain: Complain) -> Any:
        bits = number(value, complain)
        wrong = (bits or 0) & _KNOWN_FLAGS & ~SETTABLE_FLAGS[channel_type]
        if wrong:
            complain("CHANNEL_FLAG_NOT_ALLOWED", f"Flag {wrong} does not apply to this channel type.")
        return bits

    return check


_ALL = frozenset({TEXT, VOICE, CATEGORY, ANNOUNCEMENT, STAGE, FORUM, MEDIA})
_VOICES = frozenset({VOICE, STAGE})
_POSTS = frozenset({FORUM, MEDIA})
_SLOWMODE = fields.integer(0, 21_600)

FIELDS: dict[str, Field] = {
    "position": Field(_ALL, _always(fields.integer()), on_null=KEEP),
    "parent_id": Field(_ALL - {CATEGORY}, _always(fields.snowflake)),
    "permission_overwrites": Field(_ALL, _always(lambda value, _complain: value), on_null=()),
    "flags": Field(_ALL, _flags, default=0, on_null=KEEP),
    "topic": Field(frozenset({TEXT, ANNOUNCEMENT}) | _POSTS, _topic),
    "nsfw": Field(_ALL - {CATEGORY}, _always(fields.boolean), default=False, on_null=False),
    "rate_limit_per_user": Field(_ALL - {CATEGORY, ANNOUNCEMENT}, _always(_SLOWMODE), default=0, on_null=0),
    "bitrate": Field(_VOICES, _bitrate, default=64_000, on_null=64_000),
    "user_limit": Field(_VOICES, _user_limit, default=0, on_null=0),
    "rtc_region": Field(_VOICES, _always(fields.text(1, 32))),
    "video_quality_mode": Field(_VOICES, _always(fields.choice(1, 2))),
    "default_auto_archive_duration": Field(
        frozenset({TEXT, ANNOUNCEMENT}) | _POSTS, _always(fields.choice(60, 1440, 4320, 10_080))
    ),
    "default_thread_rate_limit_per_user": Field(
        frozenset({TEXT}) | _POSTS, _always(_SLOWMODE), create_types=frozenset({ANNOUNCEMENT})
    ),
    "available_tags": Field(_POSTS, _always(lambda value, _complain: value), default=(), on_null=()),
    "default_reaction_emoji": Field(_POSTS, _always(lambda value, _complain: value)),
    "default_sort_order": Field(_POSTS, _always(fields.choice(0, 1))),
    "default_forum_layout": Field(frozenset({FORUM}), _always(fields.choice(0, 1, 2)), default=0, on_null=0),
    "default_tag_setting": Field(
        _POSTS, _always(fields.choice("match_some", "match_all")), default="match_some", on_null="match_some"
    ),
}


def normalise_name(name: str, channel_type: int, behaviour: Behaviour) -> str:
    """Return the name as Discord stores it.

    Names of text, announcement, forum and media channels are lowercase, with hyphens for white space; the other
    types keep theirs, trimmed.
    """
    name = name.strip()
    if channel_type not in _LOWERCASE:
        if behaviour.voice_spaces is Spaces.NO_BREAK:
            name = name.replace(" ", "\N{NO-BREAK SPACE}")
        return name
    if behaviour.punctuation is Punctuation.STRIPPED:
        name = _PUNCTUATION.sub("", name)
    return re.sub(r"-{2,}", "-", re.sub(r"\s+", "-", name.lower()))


def defaults(channel_type: int) -> Json:
    """Return what a channel of this type has before anything is asked for."""
    stored: Json = {
        "last_message_id": None,
        "parent_id": None,
        "permission_overwrites": [],
        "flags": 0,
        "topic": None,
    }
    if channel_type == CATEGORY:
        stored.pop("last_message_id")
        stored.pop("topic")
    if channel_type in _VOICES:
        stored.pop("topic")
    for name, field in FIELDS.items():
        if channel_type in field.types | field.create_types and name != "position":
            stored[name] = list(field.default) if isinstance(field.default, tuple) else field.default
    return stored


def read_type(body: Json, guild: Guild, behaviour: Behaviour, *, form: Form) -> int:
    """Return the type that a create asks for; text without one."""
    asked = body.get("type")
    allowed = [TEXT, VOICE, CATEGORY, FORUM]
    if "NEWS" in guild.features:
        allowed.append(ANNOUNCEMENT)
    if "COMMUNITY" in guild.features:
        allowed.append(STAGE)
    if not behaviour.media_needs_role_subscriptions or "ROLE_SUBSCRIPTIONS_ENABLED" in guild.features:
        allowed.append(MEDIA)
    if asked is None:
        return TEXT
    value = fields.choice(*allowed)(asked, form.at("type"))
    return value if value in _ALL and isinstance(value, int) else TEXT


def read_name(body: Json, channel_type: int, behaviour: Behaviour, *, form: Form) -> str:
    """Return the name that a body asks for, normalised."""
    if body.get("name") is None:
        form.add(("name",), "BASE_TYPE_REQUIRED", "This field is required")
        return ""
    name = fields.text(1, 100)(body["name"], form.at("name"))
    if not isinstance(name, str):
        return ""
    normalised = normalise_name(name, channel_type, behaviour)
    if name and not normalised:
        form.add(("name",), "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
    return normalised


def read_fields(
    body: Json, channel_type: int, guild: Guild, behaviour: Behaviour, *, form: Form, creating: bool
) -> Json:
    """Return the stored values that a body asks for, but for name, type and permission_overwrites."""
    asked: Json = {}
    for name, field in FIELDS.items():
        if name not in body or name == "permission_overwrites":
            continue
        value = body[name]
        types = field.types | field.create_types if creating else field.types
        if channel_type not in types:
            if value is not None and behaviour.inapplicable_field is Inapplicable.REFUSED:
                form.add((name,), "CHANNEL_FIELD_NOT_APPLICABLE", "Does not apply to this channel type.")
            continue
        if creating and _ignored_on_create(name, channel_type, behaviour):
            continue
        if value is None:
            if field.on_null is not KEEP:
                asked[name] = list(field.on_null) if isinstance(field.on_null, tuple) else field.on_null
        elif name == "available_tags":
            asked[name] = read_tags(value, form=form)
        elif name == "default_reaction_emoji":
            asked[name] = read_reaction(value, form=form)
        else:
            asked[name] = field.check(channel_type, guild)(value, form.at(name))
    return asked


def _ignored_on_create(name: str, channel_type: int, behaviour: Behaviour) -> bool:
    if name == "flags":
        return behaviour.flags_on_create is OnCreate.IGNORED
    return name == "nsfw" and channel_type == MEDIA and behaviour.media_nsfw_on_create is OnCreate.IGNORED
