"""The value types that manifests may write in more than one way, each read into one form.

A manifest may say ``text`` or ``0``, ``"#5865F2"`` or ``5793266``, ``"1024"`` or ``1024``. The schema lets all of
them through (``x-kubernetes-int-or-string``) and the model holds an int, so that nobody downstream cares.
Where ``kubectl explain`` shows such a field as ``<Object>``, its description lists the forms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from provider_discord.apis.fields import ChannelType

_SNOWFLAKE: Final = re.compile(r"[0-9]{15,20}")
"""Fifteen digits reach back to Discord's first months; 64 bits end at twenty."""

SNOWFLAKE_REMEDY: Final = (
    "a Discord id has 15 to 20 digits, in quotes; Discord's clients show it in developer mode as Copy ID"
)


def _read_snowflake(value: str) -> str:
    """Let through an id, or the empty string."""
    if value and not _SNOWFLAKE.fullmatch(value):
        raise ValueError(SNOWFLAKE_REMEDY)
    return value


def ruled(rule: str, message: str, **keywords: Any) -> dict[str, Any]:
    """Return a string's schema with a CEL rule, whose message says more than a pattern's would."""
    validation = {"rule": rule, "message": message}
    return {"type": "string", **keywords, "x-kubernetes-validations": [validation]}


Snowflake = Annotated[
    str,
    AfterValidator(_read_snowflake),
    WithJsonSchema(ruled("self.matches('^([0-9]{15,20})?$')", SNOWFLAKE_REMEDY, maxLength=20)),
]
"""A Discord id, or empty."""

SnowflakeItem = Annotated[
    str,
    AfterValidator(_read_snowflake),
    WithJsonSchema({"type": "string", "maxLength": 20, "pattern": "^[0-9]{15,20}$"}),
]
"""A Discord id in a long list, where a rule for each would cost more than the API server allows."""

IMAGE_PREFIXES: Final = tuple(f"data:image/{kind};base64," for kind in ("png", "jpeg", "gif", "webp"))
IMAGE_MAX_LENGTH: Final = 1_400_000
"""Characters of a data URI: about 1 MiB of image, and what still fits into an etcd entry beside the rest."""

IMAGE_REMEDY: Final = (
    "give the image as a data URI (data:image/png;base64,... or jpeg, gif, webp), or read it from a ConfigMap or "
    "Secret with the field of the same name that ends in From; a URL or a file name is not fetched"
)


def _read_image(value: str) -> str:
    """Let through a data URI of an image that Discord takes, or the empty string."""
    if value and not value.startswith(IMAGE_PREFIXES):
        raise ValueError(IMAGE_REMEDY)
    return value


ImageData = Annotated[
    str,
    AfterValidator(_read_image),
    WithJsonSchema(
        ruled(
            " || ".join(["self == ''", *(f"self.startsWith('{prefix}')" for prefix in IMAGE_PREFIXES)]),
            IMAGE_REMEDY,
            maxLength=IMAGE_MAX_LENGTH,
        ),
    ),
]
"""An image as a data URI, or empty."""

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
        forms += [number, word]
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
    if isinstance(value, int) and value > PERMISSIONS_MAX:
        msg = f"permission bits go up to 2^63-1 ({PERMISSIONS_MAX}); use the names instead"
        raise ValueError(msg)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        msg = 'write the permission bits as a decimal number, such as "3072", or use the names instead'
        raise ValueError(msg)
    return value


PermissionBits = Annotated[
    int,
    BeforeValidator(_read_permissions),
    WithJsonSchema(int_or_string(minimum=0, maxLength=19, pattern="^[0-9]+$")),
]

COLOR_REMEDY: Final = 'write a colour as "#RRGGBB" or as an integer from 0 to 16777215'
_HEX_COLOR: Final = re.compile(r"#[0-9A-Fa-f]{6}")


def _read_color(value: Any) -> int:
    """Read a colour: ``"#5865F2"``, an integer 0..16777215, or that as a string."""
    if isinstance(value, str):
        if _HEX_COLOR.fullmatch(value):
            return int(value[1:], 16)
        if value.isdecimal():
            value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= COLOR_MAX:
        raise ValueError(COLOR_REMEDY)
    return value


Color = Annotated[
    int,
    BeforeValidator(_read_color),
    WithJsonSchema(
        int_or_string(minimum=0, maximum=COLOR_MAX, maxLength=32)
        | {
            "x-kubernetes-validations": [
                {"rule": "string(self).matches('^(#[0-9A-Fa-f]{6}|[0-9]{1,8})$')", "message": COLOR_REMEDY}
            ]
        },
    ),
]

NAME_REMEDY: Final = "a name has at least one character that is not a space"


def _read_name(value: str) -> str:
    """Let through a name that something is left of when Discord trims it."""
    if not value.strip():
        raise ValueError(NAME_REMEDY)
    return value


Name = Annotated[
    str,
    AfterValidator(_read_name),
    WithJsonSchema(ruled(r"self.matches('\\S')", NAME_REMEDY, minLength=1, maxLength=100)),
]
"""The name of a channel or role."""

EMOJI_REMEDY: Final = "give the emoji itself, the character, and not its name"


def _read_emoji(value: str) -> str:
    """Let through what may be a unicode emoji, or the empty string."""
    if value and value.isascii():
        raise ValueError(EMOJI_REMEDY)
    return value


UnicodeEmoji = Annotated[
    str,
    AfterValidator(_read_emoji),
    WithJsonSchema(ruled(r"self == '' || self.matches('[^\\x00-\\x7F]')", EMOJI_REMEDY, maxLength=100)),
]
"""A unicode emoji, or empty."""
