"""The value types that manifests may write in more than one way, each read into one form.

A manifest may say ``text`` or ``0``, ``"#5865F2"`` or ``5793266``, ``"1024"`` or ``1024``. The schema lets all of
them through (``x-kubernetes-int-or-string``) and the model holds an int, so that nobody downstream cares.
Where ``kubectl explain`` shows such a field as ``<Object>``, its description lists the forms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

from provider_discord.apis.fields import ChannelType

SNOWFLAKE_PATTERN: Final = r"^([0-9]{15,20})?$"
"""A Discord id, or empty. Fifteen digits reach back to Discord's first months; 64 bits end at twenty."""

Snowflake = Annotated[str, Field(max_length=20, pattern=SNOWFLAKE_PATTERN)]

IMAGE_PATTERN: Final = r"^(data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2})?$"
IMAGE_MAX_LENGTH: Final = 1_400_000
"""Characters of a data URI: about 1 MiB of image, and what still fits into an etcd entry beside the rest."""

ImageData = Annotated[str, Field(max_length=IMAGE_MAX_LENGTH, pattern=IMAGE_PATTERN)]

COLOR_MAX: Final = 0xFFFFFF
PERMISSIONS_MAX: Final = (1 << 63) - 1


def _words_reader(words: Mapping[str, int], make: Callable[[int], int]) -> Callable[[Any], Any]:
    """Return a validator that turns a word, an integer or its decimal string into ``make(integer)``."""
    allowed = ", ".join(f"{number} ({word})" for word, number in words.items())

    def read(value: Any) -> int:
        number = words.get(value) if isinstance(value, str) else None
        if number is None and isinstance(value, str) and value.isdecimal():
            number = int(value)
        if number is None and isinstance(value, int) and not isinstance(value, bool):
            number = value
        if number not in words.values() or number is None:
            msg = f"use one of {allowed}"
            raise ValueError(msg)
        return make(number)

    return read


def int_or_string(**keywords: Any) -> dict[str, Any]:
    """Return the structural schema of a field that takes an integer or a string."""
    return {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "x-kubernetes-int-or-string": True,
        **keywords,
    }


def _words_schema(words: Mapping[str, int]) -> dict[str, Any]:
    forms: list[int | str] = []
    for word, number in words.items():
        forms += [number, str(number), word]
    return int_or_string(enum=forms)


CHANNEL_TYPE_WORDS: Final = {channel_type.word: int(channel_type) for channel_type in ChannelType}
VERIFICATION_LEVELS: Final = {"none": 0, "low": 1, "medium": 2, "high": 3, "very_high": 4}
MESSAGE_NOTIFICATIONS: Final = {"all_messages": 0, "only_mentions": 1}
CONTENT_FILTERS: Final = {"disabled": 0, "members_without_roles": 1, "all_members": 2}
VIDEO_QUALITY_MODES: Final = {"auto": 1, "full": 2}
SORT_ORDERS: Final = {"latest_activity": 0, "creation_date": 1}
FORUM_LAYOUTS: Final = {"not_set": 0, "list_view": 1, "gallery_view": 2}

ChannelTypeValue = Annotated[
    ChannelType,
    BeforeValidator(_words_reader(CHANNEL_TYPE_WORDS, ChannelType)),
    WithJsonSchema(_words_schema(CHANNEL_TYPE_WORDS)),
]
VerificationLevel = Annotated[
    int,
    BeforeValidator(_words_reader(VERIFICATION_LEVELS, int)),
    WithJsonSchema(_words_schema(VERIFICATION_LEVELS)),
]
MessageNotifications = Annotated[
    int,
    BeforeValidator(_words_reader(MESSAGE_NOTIFICATIONS, int)),
    WithJsonSchema(_words_schema(MESSAGE_NOTIFICATIONS)),
]
ContentFilter = Annotated[
    int,
    BeforeValidator(_words_reader(CONTENT_FILTERS, int)),
    WithJsonSchema(_words_schema(CONTENT_FILTERS)),
]
VideoQualityMode = Annotated[
    int,
    BeforeValidator(_words_reader(VIDEO_QUALITY_MODES, int)),
    WithJsonSchema(_words_schema(VIDEO_QUALITY_MODES)),
]
SortOrder = Annotated[
    int,
    BeforeValidator(_words_reader(SORT_ORDERS, int)),
    WithJsonSchema(_words_schema(SORT_ORDERS)),
]
ForumLayout = Annotated[
    int,
    BeforeValidator(_words_reader(FORUM_LAYOUTS, int)),
    WithJsonSchema(_words_schema(FORUM_LAYOUTS)),
]


def _read_permissions(value: Any) -> int:
    """Read a permission bit set: an integer or, since it can pass 2^53, a decimal string."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= PERMISSIONS_MAX:
        msg = 'write the permission bits as a decimal number, such as "3072", or use the names instead'
        raise ValueError(msg)
    return value


PermissionBits = Annotated[
    int,
    BeforeValidator(_read_permissions),
    WithJsonSchema(int_or_string(minimum=0, maxLength=19, pattern="^[0-9]+$")),
]

_HEX_COLOR: Final = re.compile(r"#[0-9A-Fa-f]{6}")


def _read_color(value: Any) -> int:
    """Read a colour: ``"#5865F2"``, an integer 0..16777215, or that as a string."""
    if isinstance(value, str):
        if _HEX_COLOR.fullmatch(value):
            return int(value[1:], 16)
        if value.isdecimal():
            value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= COLOR_MAX:
        msg = 'write a colour as "#RRGGBB" or as an integer from 0 to 16777215'
        raise ValueError(msg)
    return value


Color = Annotated[
    int,
    BeforeValidator(_read_color),
    WithJsonSchema(
        int_or_string(minimum=0, maximum=COLOR_MAX, maxLength=8, pattern="^(#[0-9A-Fa-f]{6}|[0-9]{1,8})$"),
    ),
]
