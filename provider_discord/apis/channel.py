"""The Channel kind: every field of every channel type that a bot can make (Discord docs, resources/channel).

Which field belongs to which type is told by ``types`` of its declaration; from that come the rules that let
``kubectl apply`` refuse a topic on a voice channel. Discord itself is no judge of that: it once accepted such
a topic and left a channel that nobody could edit (discord-api-docs#5965).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from provider_discord.apis import normalise
from provider_discord.apis.fields import ChannelType, DiscordField, ObservedField
from provider_discord.apis.model import ApiModel
from provider_discord.apis.overwrites import MAX_OVERWRITES, OBSERVED_OVERWRITES, Overwrite
from provider_discord.apis.references import Reference, Selector
from provider_discord.apis.scalars import (
    ChannelTypeValue,
    ForumLayout,
    Name,
    Snowflake,
    SortOrder,
    VideoQualityMode,
)
from provider_discord.apis.tags import MAX_TAGS, OBSERVED_TAGS, ForumTag, ReactionEmoji

_TEXT, _VOICE, _CATEGORY = ChannelType.TEXT, ChannelType.VOICE, ChannelType.CATEGORY
_ANNOUNCEMENT, _STAGE = ChannelType.ANNOUNCEMENT, ChannelType.STAGE
_FORUM, _MEDIA = ChannelType.FORUM, ChannelType.MEDIA

POSTS: Final = frozenset({_FORUM, _MEDIA})
SPEECH: Final = frozenset({_VOICE, _STAGE})
THREADS: Final = frozenset({_TEXT, _ANNOUNCEMENT, _FORUM, _MEDIA})

SAME_CLASS_TYPES: Final = (frozenset({_TEXT, _ANNOUNCEMENT}),)
"""Types that a channel may change between; any other change would have to replace the channel."""

CHANNEL_FLAGS: Final[dict[str, int]] = {
    "require_tag": 1 << 4,
    "hide_media_download_options": 1 << 15,
    "spoiler": 1 << 21,
}
"""Bit of Discord's ``flags`` for each boolean attribute; other bits are kept as they are."""

OverwritePolicy = Literal["Authoritative", "Declared"]


class ChannelParameters(ApiModel):
    """``forProvider`` of a Channel. Absent fields are unmanaged; empty ones are cleared."""

    name: Annotated[
        Name | None,
        DiscordField(name="name", plain=False),
        Field(
            description="Name of the channel, 1 to 100 characters. Discord stores names of text-like "
            "channels in lower case with hyphens; that is not drift.",
        ),
    ] = None
    type: Annotated[
        ChannelTypeValue | None,
        DiscordField(name="type", plain=False),
        Field(
            description="Type of the channel, as a word or Discord's number: text (0), voice (2), category (4), "
            "announcement (5), stage (13), forum (15), media (16). Only text and announcement can be changed "
            "into each other. Announcement and stage channels need a Community guild; not every guild may have "
            "media channels.",
        ),
    ] = None
    guild_id: Annotated[
        Snowflake | None,
        DiscordField(name="guild_id", create=False, update=False, plain=False),
        Field(
            description="Id of the guild that the channel is in. It cannot change. "
            "Give this, guildIdRef or guildIdSelector.",
        ),
    ] = None
    guild_id_ref: Annotated[
        Reference | None, Field(description="The Guild object that the channel is in.")
    ] = None
    guild_id_selector: Annotated[
        Selector | None,
        Field(description="Finds the Guild object that the channel is in by its labels."),
    ] = None
    parent_id: Annotated[
        Snowflake | None,
        DiscordField(
            name="parent_id",
            types=frozenset(ChannelType) - {_CATEGORY},
            plain=False,
            empty=None,
            absent="",
        ),
        Field(
            description='Id of the category that the channel is under; "" moves it to the top. A category '
            "holds at most 50 channels.",
        ),
    ] = None
    parent_id_ref: Annotated[
        Reference | None,
        Field(description="The Channel object of the category that the channel is under."),
    ] = None
    parent_id_selector: Annotated[
        Selector | None,
        Field(description="Finds the category's Channel object by its labels."),
    ] = None
    topic: Annotated[
        str | None,
        DiscordField(name="topic", types=THREADS, normalise=normalise.trimmed, empty=None, absent=""),
        Field(
            max_length=4096,
            description="What the channel is about: up to 1024 characters, in forum and media channels (where it "
            'is the post guidelines) up to 4096. "" removes it.',
        ),
    ] = None
    position: Annotated[
        int | None,
        DiscordField(name="position", plain=False),
        Field(
            ge=0,
            le=2147483647,
            description="Sort key among the managed channels with the same parent and class (categories, text-like, "
            "voice-like): lower comes first. Only the order counts, not the number that Discord "
            "shows. Absent: unmanaged.",
        ),
    ] = None
    nsfw: Annotated[
        bool | None,
        DiscordField(name="nsfw", types=frozenset(ChannelType) - {_CATEGORY}, absent=False),
        Field(description="Age-restricted: members must confirm that they are adults."),
    ] = None
    bitrate: Annotated[
        int | None,
        DiscordField(name="bitrate", types=SPEECH),
        Field(
            ge=8000,
            le=384000,
            description="Audio quality in bits per second, from 8000. Voice channels: up to 96000, with boosts up to "
            "384000; stages: up to 64000.",
        ),
    ] = None
    user_limit: Annotated[
        int | None,
        DiscordField(name="user_limit", types=SPEECH, absent=0),
        Field(
            ge=0,
            le=10000,
            description="How many users may be connected at once: voice up to 99, stage up to 10000; 0 is no limit.",
        ),
    ] = None
    rate_limit_per_user: Annotated[
        int | None,
        DiscordField(
            name="rate_limit_per_user",
            types=frozenset({_TEXT, _VOICE, _STAGE, _FORUM, _MEDIA}),
            absent=0,
        ),
        Field(
            ge=0,
            le=21600,
            description="Slow mode: seconds that a user must wait between messages, in forum and media channels "
            "between posts. 0 to 21600; 0 is off.",
        ),
    ] = None
    default_auto_archive_duration: Annotated[
        Literal[60, 1440, 4320, 10080] | None,
        DiscordField(name="default_auto_archive_duration", types=THREADS),
        Field(
            description="Minutes of inactivity after which new threads are archived, unless chosen "
            "otherwise: 60, 1440, 4320 or 10080.",
        ),
    ] = None
    default_thread_rate_limit_per_user: Annotated[
        int | None,
        DiscordField(
            name="default_thread_rate_limit_per_user",
            types=frozenset({_TEXT, _FORUM, _MEDIA}),
            absent=0,
        ),
        Field(
            ge=0,
            le=21600,
            description="Slow mode that new threads start with, in seconds, 0 to 21600; 0 is off.",
        ),
    ] = None
    rtc_region: Annotated[
        str | None,
        DiscordField(name="rtc_region", types=SPEECH, empty=None, absent=""),
        Field(
            max_length=64,
            pattern=r"^[a-z0-9-]*$",
            description='Voice server region, for example rotterdam; "" lets Discord choose.',
        ),
    ] = None
    video_quality_mode: Annotated[
        VideoQualityMode | None,
        DiscordField(name="video_quality_mode", types=SPEECH, absent=1),
        Field(description="Camera video quality: auto (1) or full (2), which is 720p."),
    ] = None
    available_tags: Annotated[
        list[ForumTag] | None,
        DiscordField(name="available_tags", types=POSTS, plain=False),
        Field(
            max_length=MAX_TAGS,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
            description="Tags that posts can have, at most 20. A tag renamed here is renamed in place, so "
            "posts keep it. Tags that were never listed here are left alone.",
        ),
    ] = None
    require_tag: Annotated[
        bool | None,
        DiscordField(name="flags", types=POSTS, plain=False),
        Field(description="Every new post must have a tag."),
    ] = None
    hide_media_download_options: Annotated[
        bool | None,
        DiscordField(name="flags", types=frozenset({_MEDIA}), plain=False),
        Field(description="Hide the download options of embedded media."),
    ] = None
    spoiler: Annotated[
        bool | None,
        DiscordField(
            name="flags",
            types=frozenset({_TEXT, _VOICE, _ANNOUNCEMENT, _FORUM, _MEDIA}),
            plain=False,
        ),
        Field(description="Mark the channel's content as spoilers. Not together with nsfw."),
    ] = None
    default_reaction_emoji: Annotated[
        ReactionEmoji | None,
        DiscordField(name="default_reaction_emoji", types=POSTS, plain=False),
        Field(description="Emoji of the reaction button on posts; {} removes it."),
    ] = None
    default_sort_order: Annotated[
        SortOrder | None,
        DiscordField(name="default_sort_order", types=POSTS),
        Field(description="How posts are sorted: latest_activity (0) or creation_date (1)."),
    ] = None
    default_forum_layout: Annotated[
        ForumLayout | None,
        DiscordField(name="default_forum_layout", types=frozenset({_FORUM}), absent=0),
        Field(description="How posts are shown: not_set (0), list_view (1) or gallery_view (2)."),
    ] = None
    permission_overwrites: Annotated[
        list[Overwrite] | None,
        DiscordField(name="permission_overwrites", plain=False),
        Field(
            max_length=MAX_OVERWRITES,
            description="Permissions of roles and members in this channel, as a set; their order does not matter. "
            "[] removes all. They are part of the create call, so a private channel is never public.",
        ),
    ] = None
    overwrite_policy: Annotated[
        OverwritePolicy | None,
        Field(
            description="Authoritative (when absent): overwrites that are not listed are removed. "
            "Declared: only the listed targets are managed, for guilds where other bots add theirs.",
        ),
    ] = None
    sync_permissions: Annotated[
        bool | None,
        Field(
            description='Keep the overwrites equal to those of the parent category, as Discord\'s "sync now" does, '
            "also across a move. Instead of permissionOverwrites.",
        ),
    ] = None
    allow_delete: Annotated[
        bool | None,
        Field(
            description="Allow the channel to be deleted at Discord although it has messages or posts, or is a "
            "category that still holds channels. "
            "Without it, deleting this object stops with a condition that says so.",
        ),
    ] = None


_TEXT_SCHEMA: Final[dict[str, Any]] = {"type": "string"}

CHANNEL_OBSERVED: Final = (
    ObservedField(key="id", name="id", schema=_TEXT_SCHEMA, description="Id of the channel."),
    ObservedField(
        key="name",
        name="name",
        schema=_TEXT_SCHEMA,
        description="Name of the channel as Discord stores it.",
    ),
    ObservedField(
        key="type",
        name="type",
        schema={"type": "integer"},
        description="Type of the channel as Discord's number.",
    ),
    ObservedField(
        key="typeName",
        name=None,
        schema=_TEXT_SCHEMA,
        description="Type of the channel as a word, such as text.",
    ),
    ObservedField(
        key="permissionOverwrites",
        name=None,
        schema=OBSERVED_OVERWRITES,
        description="Permission overwrites that the channel has at Discord.",
    ),
    ObservedField(
        key="permissionsSynced",
        name=None,
        schema={"type": "boolean"},
        description="The overwrites equal those of the parent category.",
    ),
    ObservedField(
        key="availableTags",
        name=None,
        schema=OBSERVED_TAGS,
        description="Tags that the channel has at Discord, with their ids.",
    ),
    ObservedField(
        key="flags",
        name="flags",
        schema={"type": "integer", "format": "int64"},
        description="Discord's flags of the channel as a bit set.",
    ),
    ObservedField(
        key="lastMessageId",
        name="last_message_id",
        schema=_TEXT_SCHEMA,
        description="Id of the latest message, in a forum of the latest post; it may have been deleted since.",
    ),
    ObservedField(
        key="hasMessages",
        name=None,
        schema={"type": "boolean"},
        description="The channel has, or once had, messages or posts; it is not deleted without allowDelete.",
    ),
    ObservedField(
        key="createdAt",
        name=None,
        schema={"type": "string", "format": "date-time"},
        description="When the channel was created, as its id tells.",
    ),
    ObservedField(
        key="updatedAt",
        name=None,
        schema={"type": "string", "format": "date-time"},
        description="When this provider last changed the channel.",
    ),
)
