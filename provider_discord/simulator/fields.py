"""Checks of single values, as a request body's field tables use them.

A check gets the value and a function to complain with, and returns what Discord would store. After a complaint
its result is never used.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from provider_discord.simulator.errors import Complain
from provider_discord.simulator.snowflake import is_snowflake

Check = Callable[[Any, Complain], Any]

_DATA_URI = re.compile(r"data:image/(png|jpeg|gif|webp);base64,(.*)", re.DOTALL)
_INT32 = (1 << 31) - 1
_MAGIC = {
    "png": (b"\x89PNG\r\n\x1a\n",),
    "jpeg": (b"\xff\xd8\xff",),
    "gif": (b"GIF87a", b"GIF89a"),
    "webp": (b"RIFF",),
}


@dataclass(frozen=True, slots=True)
class Image:
    """A decoded image.

    Attributes:
        data: its bytes.
        animated: whether it moves.
    """

    data: bytes
    animated: bool


def text(least: int, most: int) -> Check:
    """Accept a string of this length, trimmed."""

    def check(value: Any, complain: Complain) -> Any:
        if not isinstance(value, str):
            complain("STRING_TYPE_CONVERT", f'Could not interpret "{value}" as string.')
            return None
        trimmed = value.strip()
        if least == 0 and len(trimmed) > most:
            complain("BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")
        elif not least <= len(trimmed) <= most:
            complain("BASE_TYPE_BAD_LENGTH", f"Must be between {least} and {most} in length.")
        return trimmed

    return check


def integer(least: int = 0, most: int = _INT32) -> Check:
    """Accept an integer within these bounds; a decimal string is taken for one."""

    def check(value: Any, complain: Complain) -> Any:
        number = _number(value)
        if number is None:
            complain("NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')
        elif number < least:
            complain("NUMBER_TYPE_MIN", f"int value should be greater than or equal to {least}.")
        elif number > most:
            complain("NUMBER_TYPE_MAX", f"int value should be less than or equal to {most}.")
        return number

    return check


def choice(*values: int | str) -> Check:
    """Accept one of these values."""
    names = ", ".join(str(value) for value in sorted(values, key=str))

    def check(value: Any, complain: Complain) -> Any:
        if value not in values or isinstance(value, bool):
            complain("BASE_TYPE_CHOICES", f"Value must be one of {{{names}}}.")
        return value

    return check


def boolean(value: Any, complain: Complain) -> Any:
    """Accept true or false."""
    if not isinstance(value, bool):
        complain("BOOLEAN_TYPE_CONVERT", "Must be either true or false.")
    return value


def snowflake(value: Any, complain: Complain) -> Any:
    """Accept an id, as a string or a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not is_snowflake(value):
        complain("NUMBER_TYPE_COERCE", f'Value "{value}" is not snowflake.')
    return value


def bits(value: Any, complain: Complain) -> Any:
    """Accept a 64-bit set as a decimal string or an integer; it is stored as the string."""
    number = _number(value)
    if number is None or not 0 <= number < 1 << 63:
        complain("NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')
        return "0"
    return str(number)


def image(value: Any, complain: Complain) -> Any:
    """Accept a data URI of a PNG, JPEG, GIF or WebP image."""
    match = _DATA_URI.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        complain("IMAGE_INVALID", "Invalid image data: expected data:image/(png|jpeg|gif|webp);base64,...")
        return None
    kind, encoded = match.groups()
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        complain("BASE64_TYPE_CONVERT", "Not a valid base64 string.")
        return None
    if not data.startswith(_MAGIC[kind]):
        complain("IMAGE_INVALID", f"Invalid image data: not a {kind}")
        return None
    return Image(data=data, animated=kind == "gif")


def one_of_many(allowed: Collection[str]) -> Check:
    """Accept a string out of a long list that the message does not repeat."""

    def check(value: Any, complain: Complain) -> Any:
        if value not in allowed:
            complain("ENUM_TYPE_COERCE", f'Value "{value}" is not a valid enum value.')
        return value

    return check


def _number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,20}", value):
        return int(value)
    return None
