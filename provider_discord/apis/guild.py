"""The Guild kind: settings of a guild that exists. No bot can create or delete one since July 2025.

Fields: Discord docs, resources/guild, "Modify Guild". Feature switches stand as booleans of their own, since
Discord takes the whole array of features and one written from a manifest would clear all the others.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from provider_discord.apis import normalise
from provider_discord.apis.fields import DiscordField, ObservedField
from provider_discord.apis.images import ImageSource
from provider_discord.apis.model import ApiModel
from provider_discord.apis.references import Reference, Selector
from provider_discord.apis.scalars import (
    ContentFilter,
    ImageData,
    MessageNotifications,
    Snowflake,
    VerificationLevel,
)

GUILD_FEATURES: Final[dict[str, str]] = {
    "community": "COMMUNITY",
    "discoverable": "DISCOVERABLE",
    "invites_disabled": "INVITES_DISABLED",
    "raid_alerts_disabled": "RAID_ALERTS_DISABLED",
}
"""Discord's feature for each boolean attribute: the four that a bot can switch."""

GUILD_IMAGES: Final = ("icon", "banner", "splash", "discovery_splash")
"""Attributes that hold an image; each has a sibling ``<attribute>_from``."""

Locale = Literal[
    "ar", "bg", "cs", "da", "de", "el", "en-GB", "en-US", "es-419", "es-ES", "fi", "fr", "he", "hi", "hr", "hu",
    "id", "it", "ja", "ko", "lt", "nl", "no", "pl", "pt-BR", "ro", "ru", "sv-SE", "th", "tr", "uk", "vi", "zh-CN",
    "zh-TW",
]  # fmt: skip


class GuildParameters(ApiModel):
    """``forProvider`` of a Guild. Absent fields are unmanaged; empty ones are cleared."""

    name: Annotated[
        str | None,
        DiscordField(name="name", create=False, normalise=normalise.trimmed),
        Field(
            min_length=2,
            max_length=100,
            description="Name of the guild, 2 to 100 characters. Without the external-name annotation (the guild's "
            "id), the only guild of this name that the bot is in is adopted. Guilds are never created.",
        ),
    ] = None
    description: Annotated[
        str | None,
        DiscordField(name="description", create=False, normalise=normalise.trimmed, empty=None, absent=""),
        Field(
            max_length=300,
            description='What the guild is about, up to 300 characters; "" removes it. Shown for Community guilds.',
        ),
    ] = None
    region: Annotated[
        str | None,
        DiscordField(name="region", create=False, update=False, plain=False),
        Field(
            max_length=64,
            description="Accepted and ignored: Discord moved the region to voice channels (rtcRegion of a Channel).",
        ),
    ] = None
    verification_level: Annotated[
        VerificationLevel | None,
        DiscordField(name="verification_level", create=False),
        Field(
            description="What a member needs before writing: none (0), low (1, a verified e-mail), medium (2, "
            "registered for 5 minutes), high (3, a member for 10 minutes), very_high (4, a verified phone).",
        ),
    ] = None
    default_message_notifications: Annotated[
        MessageNotifications | None,
        DiscordField(name="default_message_notifications", create=False),
        Field(description="What members are notified of by default: all_messages (0) or only_mentions (1)."),
    ] = None
    explicit_content_filter: Annotated[
        ContentFilter | None,
        DiscordField(name="explicit_content_filter", create=False),
        Field(
            description="Whose media are scanned: disabled (0), members_without_roles (1) or all_members (2). "
            "A Community guild requires all_members.",
        ),
    ] = None
    afk_channel_id: Annotated[
        Snowflake | None,
        DiscordField(name="afk_channel_id", create=False, empty=None, absent=""),
        Field(description='Id of the voice channel that idle members are moved to; "" for none.'),
    ] = None
    afk_channel_id_ref: Annotated[
        Reference | None,
        Field(description="The Channel object of the voice channel that idle members are moved to."),
    ] = None
    afk_channel_id_selector: Annotated[
        Selector | None,
        Field(description="Finds the idle channel's Channel object by its labels."),
    ] = None
    afk_timeout: Annotated[
        Literal[60, 300, 900, 1800, 3600] | None,
        DiscordField(name="afk_timeout", create=False),
        Field(description="Seconds after which a member counts as idle: 60, 300, 900, 1800 or 3600."),
    ] = None
    system_channel_id: Annotated[
        Snowflake | None,
        DiscordField(name="system_channel_id", create=False, empty=None, absent=""),
        Field(description='Id of the text channel for join and boost messages; "" for none.'),
    ] = None
    system_channel_id_ref: Annotated[
        Reference | None,
        Field(description="The Channel object of the channel for join and boost messages."),
    ] = None
    system_channel_id_selector: Annotated[
        Selector | None,
        Field(description="Finds the Channel object for join and boost messages by its labels."),
    ] = None
    system_channel_flags: Annotated[
        int | None,
        DiscordField(name="system_channel_flags", create=False, absent=0),
        Field(
            ge=0,
            le=2147483647,
            description="What the system channel does not show, as the sum of: 1 joins, 2 boosts, 4 setup tips, 8 "
            "the wave button on joins, 16 role subscriptions, 32 the sticker button on those.",
        ),
    ] = None
    rules_channel_id: Annotated[
        Snowflake | None,
        DiscordField(name="rules_channel_id", create=False, empty=None, absent=""),
        Field(description='Id of the channel that holds the rules; "" for none. Community guilds need one.'),
    ] = None
    rules_channel_id_ref: Annotated[
        Reference | None,
        Field(description="The Channel object of the channel that holds the rules."),
    ] = None
    rules_channel_id_selector: Annotated[
        Selector | None,
        Field(description="Finds the rules channel's Channel object by its labels."),
    ] = None
    public_updates_channel_id: Annotated[
        Snowflake | None,
        DiscordField(name="public_updates_channel_id", create=False, empty=None, absent=""),
        Field(
            description='Id of the channel where moderators get notices from Discord; "" for none. Community guilds '
            "need one.",
        ),
    ] = None
    public_updates_channel_id_ref: Annotated[
        Reference | None,
        Field(description="The Channel object of the channel for notices from Discord."),
    ] = None
    public_updates_channel_id_selector: Annotated[
        Selector | None,
        Field(description="Finds the Channel object for notices from Discord by its labels."),
    ] = None
    safety_alerts_channel_id: Annotated[
        Snowflake | None,
        DiscordField(name="safety_alerts_channel_id", create=False, empty=None, absent=""),
        Field(description='Id of the channel where moderators get safety alerts from Discord; "" for none.'),
    ] = None
    safety_alerts_channel_id_ref: Annotated[
        Reference | None,
        Field(description="The Channel object of the channel for safety alerts."),
    ] = None
    safety_alerts_channel_id_selector: Annotated[
        Selector | None,
        Field(description="Finds the Channel object for safety alerts by its labels."),
    ] = None
    preferred_locale: Annotated[
        Locale | None,
        DiscordField(name="preferred_locale", create=False),
        Field(description="Language of a Community guild, as a locale such as en-US, de or pt-BR."),
    ] = None
    premium_progress_bar_enabled: Annotated[
        bool | None,
        DiscordField(name="premium_progress_bar_enabled", create=False, absent=False),
        Field(description="Show the boost progress bar above the channel list."),
    ] = None
    community: Annotated[
        bool | None,
        DiscordField(name="features", create=False, plain=False),
        Field(
            description="Make it a Community guild: announcement and stage channels, discovery, welcome screen. Needs "
            "a rules and a public-updates channel, verificationLevel of at least low and "
            "explicitContentFilter all_members; the bot needs ADMINISTRATOR.",
        ),
    ] = None
    discoverable: Annotated[
        bool | None,
        DiscordField(name="features", create=False, plain=False),
        Field(description="List the guild in Discord's directory. The bot needs ADMINISTRATOR."),
    ] = None
    invites_disabled: Annotated[
        bool | None,
        DiscordField(name="features", create=False, plain=False),
        Field(description="Pause all invites, so that nobody new can join."),
    ] = None
    raid_alerts_disabled: Annotated[
        bool | None,
        DiscordField(name="features", create=False, plain=False),
        Field(description="Switch off the alerts about suspicious joins in the safety alerts channel."),
    ] = None
    icon: Annotated[
        ImageData | None,
        DiscordField(name="icon", create=False, plain=False, empty=None, absent=""),
        Field(
            description='Icon of the guild as a data URI (data:image/png;base64,...); "" removes it. Larger images: '
            "iconFrom.",
        ),
    ] = None
    icon_from: Annotated[
        ImageSource | None,
        Field(description="Reads the icon from a ConfigMap or Secret in this object's namespace."),
    ] = None
    banner: Annotated[
        ImageData | None,
        DiscordField(name="banner", create=False, plain=False, empty=None, absent=""),
        Field(
            description='Image above the channel list as a data URI; "" removes it. Needs the feature BANNER. Larger '
            "images: bannerFrom.",
        ),
    ] = None
    banner_from: Annotated[
        ImageSource | None,
        Field(description="Reads the banner from a ConfigMap or Secret in this object's namespace."),
    ] = None
    splash: Annotated[
        ImageData | None,
        DiscordField(name="splash", create=False, plain=False, empty=None, absent=""),
        Field(
            description='Background of invites as a data URI; "" removes it. Needs the feature INVITE_SPLASH. Larger '
            "images: splashFrom.",
        ),
    ] = None
    splash_from: Annotated[
        ImageSource | None,
        Field(
            description="Reads the invite background from a ConfigMap or Secret in this object's namespace."
        ),
    ] = None
    discovery_splash: Annotated[
        ImageData | None,
        DiscordField(name="discovery_splash", create=False, plain=False, empty=None, absent=""),
        Field(
            description='Image in Discord\'s directory as a data URI; "" removes it. Needs the feature DISCOVERABLE. '
            "Larger images: discoverySplashFrom.",
        ),
    ] = None
    discovery_splash_from: Annotated[
        ImageSource | None,
        Field(description="Reads the directory image from a ConfigMap or Secret in this object's namespace."),
    ] = None


_STRING: Final[dict[str, Any]] = {"type": "string"}
_HASH: Final = "Discord's hash of the {}."

GUILD_OBSERVED: Final = (
    ObservedField(key="id", name="id", schema=_STRING, description="Id of the guild."),
    ObservedField(
        key="ownerId", name="owner_id", schema=_STRING, description="User id of the guild's owner."
    ),
    ObservedField(
        key="botIsOwner",
        name=None,
        schema={"type": "boolean"},
        description="The guild belongs to the bot itself.",
    ),
    ObservedField(
        key="features",
        name="features",
        schema={"type": "array", "items": {"type": "string"}},
        description="Everything that is enabled for the guild, by Discord's names.",
    ),
    ObservedField(
        key="memberCount",
        name="approximate_member_count",
        schema={"type": "integer"},
        description="About how many members the guild has.",
    ),
    ObservedField(key="icon", name="icon", schema=_STRING, description=_HASH.format("icon")),
    ObservedField(key="banner", name="banner", schema=_STRING, description=_HASH.format("banner")),
    ObservedField(key="splash", name="splash", schema=_STRING, description=_HASH.format("invite background")),
    ObservedField(
        key="discoverySplash",
        name="discovery_splash",
        schema=_STRING,
        description=_HASH.format("directory image"),
    ),
    ObservedField(
        key="premiumTier",
        name="premium_tier",
        schema={"type": "integer"},
        description="Boost level of the guild, 0 to 3.",
    ),
    ObservedField(
        key="premiumSubscriptionCount",
        name="premium_subscription_count",
        schema={"type": "integer"},
        description="How many boosts the guild has.",
    ),
    ObservedField(
        key="vanityUrlCode",
        name="vanity_url_code",
        schema=_STRING,
        description="Code of the guild's own invite link, if it has one.",
    ),
    ObservedField(
        key="createdAt",
        name=None,
        schema={"type": "string", "format": "date-time"},
        description="When the guild was created, as its id tells.",
    ),
    ObservedField(
        key="updatedAt",
        name=None,
        schema={"type": "string", "format": "date-time"},
        description="When this provider last changed the guild.",
    ),
)
