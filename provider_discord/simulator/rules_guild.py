"""What may be in a guild's body (Discord docs, resources/guild, "Modify Guild")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from provider_discord.simulator import fields
from provider_discord.simulator.behaviour import Behaviour, Community
from provider_discord.simulator.errors import ApiError, Complain, Form, Json, Problem
from provider_discord.simulator.state import ANNOUNCEMENT, TEXT, VOICE, Guild, image_hash

LOCALES = frozenset(
    {
        "ar",
        "bg",
        "cs",
        "da",
        "de",
        "el",
        "en-GB",
        "en-US",
        "es-419",
        "es-ES",
        "fi",
        "fr",
        "he",
        "hi",
        "hr",
        "hu",
    }
    | {"id", "it", "ja", "ko", "lt", "nl", "no", "pl", "pt-BR", "ro", "ru", "sv-SE", "th", "tr", "uk", "vi"}
    | {"zh-CN", "zh-TW"}
)
WRITABLE_FEATURES = frozenset({"COMMUNITY", "DISCOVERABLE", "INVITES_DISABLED", "RAID_ALERTS_DISABLED"})
ADMINISTRATOR_FEATURES = frozenset({"COMMUNITY", "DISCOVERABLE"})
MAX_IMAGE_BYTES = 10 * 1024 * 1024
_KEEP = object()


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a guild: its check and what null means."""

    check: fields.Check
    on_null: Any = None


def _image(value: Any, complain: Complain) -> Any:
    image = fields.image(value, complain)
    if not isinstance(image, fields.Image):
        return None
    if len(image.data) > MAX_IMAGE_BYTES:
        raise ApiError(Problem.FILE_TOO_LARGE)
    return image_hash(image.data, animated=image.animated)


FIELDS: dict[str, Field] = {
    "name": Field(fields.text(2, 100), on_null=_KEEP),
    "description": Field(fields.text(0, 300)),
    "region": Field(fields.text(0, 32), on_null=_KEEP),
    "verification_level": Field(fields.choice(0, 1, 2, 3, 4), on_null=0),
    "default_message_notifications": Field(fields.choice(0, 1), on_null=0),
    "explicit_content_filter": Field(fields.choice(0, 1, 2), on_null=0),
    "preferred_locale": Field(fields.one_of_many(LOCALES), on_null="en-US"),
    "afk_timeout": Field(fields.choice(60, 300, 900, 1800, 3600), on_null=_KEEP),
    "afk_channel_id": Field(fields.snowflake),
    "system_channel_id": Field(fields.snowflake),
    "rules_channel_id": Field(fields.snowflake),
    "public_updates_channel_id": Field(fields.snowflake),
    "safety_alerts_channel_id": Field(fields.snowflake),
    "system_channel_flags": Field(fields.integer(0, 0x3F), on_null=_KEEP),
    "premium_progress_bar_enabled": Field(fields.boolean, on_null=_KEEP),
    "icon": Field(_image),
    "splash": Field(_image),
    "discovery_splash": Field(_image),
    "banner": Field(_image),
    "home_header": Field(_image),
}
_CHANNEL_TYPES = {
    "afk_channel_id": {VOICE},
    "system_channel_id": {TEXT, ANNOUNCEMENT},
    "rules_channel_id": {TEXT, ANNOUNCEMENT},
    "public_updates_channel_id": {TEXT, ANNOUNCEMENT},
    "safety_alerts_channel_id": {TEXT, ANNOUNCEMENT},
}
_BOOSTED_IMAGES = {"splash": "INVITE_SPLASH", "discovery_splash": "DISCOVERABLE", "banner": "BANNER"}


def defaults(name: str, owner_id: str) -> Json:
    """Return the stored settings of a new guild."""
    return {
        "name": name,
        "icon": None,
        "description": None,
        "home_header": None,
        "splash": None,
        "discovery_splash": None,
        "features": [],
        "banner": None,
        "owner_id": owner_id,
        "application_id": None,
        "region": "us-west",
        "afk_channel_id": None,
        "afk_timeout": 300,
        "system_channel_id": None,
        "system_channel_flags": 0,
        "widget_enabled": False,
        "widget_channel_id": None,
        "verification_level": 0,
        "default_message_notifications": 0,
        "mfa_level": 0,
        "explicit_content_filter": 0,
        "max_presences": None,
        "max_members": 500_000,
        "max_stage_video_channel_users": 50,
        "max_video_channel_users": 25,
        "vanity_url_code": None,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "preferred_locale": "en-US",
        "rules_channel_id": None,
        "safety_alerts_channel_id": None,
        "public_updates_channel_id": None,
        "premium_progress_bar_enabled": False,
        "nsfw": False,
        "nsfw_level": 0,
        "incidents_data": None,
    }


def read(body: Json, guild: Guild, behaviour: Behaviour) -> Json:
    """Return the stored values that a body asks for.

    Raises:
        ApiError: 50035, or 50101 for what the guild's boosts do not give.
    """
    form = Form()
    asked: Json = {}
    for name, field in FIELDS.items():
        if name not in body:
            continue
        value = body[name]
        if value is None:
            if field.on_null is not _KEEP:
                asked[name] = field.on_null
            continue
        if name in _BOOSTED_IMAGES and _BOOSTED_IMAGES[name] not in guild.features:
            raise ApiError(Problem.BOOSTS)
        asked[name] = (
            field.check(value, form.at(name))
            if name != "description"
            else (field.check(value, form.at(name)) or None)
        )
        if name in _CHANNEL_TYPES:
            _check_channel(guild, asked[name], _CHANNEL_TYPES[name], form.at(name))
    if "features" in body:
        asked["features"] = _features(body["features"], guild, behaviour, form=form)
    _check_community(guild.settings, asked, behaviour, form=form)
    form.done()
    if "COMMUNITY" in guild.features and "COMMUNITY" not in asked.get("features", guild.features):
        # With Community go its channels.
        for name in ("rules_channel_id", "public_updates_channel_id"):
            asked[name] = None
    return asked


def _check_channel(
    guild: Guild, channel_id: Any, types: set[int], complain: Callable[[str, str], None]
) -> None:
    channel = guild.channels.get(channel_id) if isinstance(channel_id, str) else None
    if channel is None:
        complain("CHANNEL_INVALID", "Channel does not exist.")
    elif channel["type"] not in types:
        complain("CHANNEL_TYPE_INVALID", "Invalid channel type.")


def _features(value: Any, guild: Guild, behaviour: Behaviour, *, form: Form) -> list[str]:
    """Return the features after a body's array: the writable ones as asked, the others as they were."""
    before = guild.features
    if value is None:
        return before
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        form.add(("features",), "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
        return before
    refused = [item for item in value if item not in WRITABLE_FEATURES and item not in before]
    if refused and behaviour.unwritable_features_refused:
        form.add(("features",), "ENUM_TYPE_COERCE", f'Value "{refused[0]}" is not a valid enum value.')
    asked = [item for item in dict.fromkeys(value) if item in WRITABLE_FEATURES]
    fixed = [item for item in before if item not in WRITABLE_FEATURES]
    if behaviour.community_grants_news:
        fixed = [
            item for item in fixed if item != "NEWS" or "COMMUNITY" in asked or "COMMUNITY" not in before
        ]
        if "COMMUNITY" in asked and "NEWS" not in fixed:
            fixed.append("NEWS")
    return sorted({*asked, *fixed})


def _check_community(before: Json, asked: Json, behaviour: Behaviour, *, form: Form) -> None:
    """Complain about what would leave a Community guild without what it needs; what it lacks already may stay."""
    wanted = {**before, **asked}
    if "COMMUNITY" not in wanted["features"]:
        return
    enabling = "COMMUNITY" not in before["features"]
    for name in ("rules_channel_id", "public_updates_channel_id"):
        if wanted[name] is None and (enabling or before[name] is not None):
            form.add((name,), "BASE_TYPE_REQUIRED", "Required for Community guilds")
    if behaviour.community is Community.MODERATION:
        if wanted["verification_level"] < 1 and (enabling or "verification_level" in asked):
            form.add(
                ("verification_level",), "NUMBER_TYPE_MIN", "int value should be greater than or equal to 1."
            )
        if wanted["explicit_content_filter"] != 2 and (enabling or "explicit_content_filter" in asked):
            form.add(("explicit_content_filter",), "BASE_TYPE_CHOICES", "Value must be one of {2}.")
