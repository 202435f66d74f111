"""Permission bits as manifests write them, and how they are compared with what Discord holds.

A manifest gives bits as a decimal string or an integer (``permissions``, ``allow``, ``deny``: what the Go
provider takes) or as names beside them (``permissionNames`` ...). Discord adds bits now and then, and a guild
may hold some that this release has no name for. Those are somebody's settings: they are kept in whatever we
send and never count as drift, unless the manifest itself gives them as a number.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Final

from provider_discord.apis.errors import InvalidField
from provider_discord.discord.permissions import PERMISSIONS, UnknownPermission, names_of
from provider_discord.discord.permissions import parse_bits as discord_bits
from provider_discord.discord.permissions import parse_names as parse_permission_names

KNOWN: Final = reduce(or_, PERMISSIONS.values())
"""Every bit that this release has a name for."""

_WIDTH: Final = 63
"""Bits that a mask may have, as in the Go provider's int64; Discord's own go to 1 << 52 so far."""

_BITS_REMEDY: Final = (
    'write the permission bits as a decimal number, such as "3072", or use the names instead'
)


def parse_bits(value: int | str, *, field: str) -> int:
    """Return a mask given as an integer or a decimal string.

    Raises:
        InvalidField: It is neither, or negative, or too wide.
    """
    number = value
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _WIDTH:
        number = int(value)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1 << _WIDTH:
        raise InvalidField(field=field, value=value, remedy=_BITS_REMEDY)
    return number


def parse_names(names: Iterable[str], *, field: str) -> int:
    """Return the mask of permission names.

    Raises:
        InvalidField: A name is not one of Discord's; the remedy suggests the nearest.
    """
    bits = 0
    for index, name in enumerate(names):
        try:
            bits |= parse_permission_names([name])
        except UnknownPermission as error:
            raise InvalidField(field=f"{field}[{index}]", value=name, remedy=str(error)) from None
    return bits


def parse_mask(
    bits: int | str | None, names: Iterable[str] | None, *, field: str, names_field: str
) -> int | None:
    """Return the mask that a pair of fields gives, or None where the manifest gives neither.

    An empty string is the zero value of the Go provider's field and means: no permissions.

    Raises:
        InvalidField: Both are given, or the one given is wrong.
    """
    if bits is not None and names is not None:
        raise InvalidField(
            field=names_field, value=list(names), remedy=f"give {field} or {names_field}, not both"
        )
    if names is not None:
        return parse_names(names, field=names_field)
    if bits is None:
        return None
    return 0 if bits == "" else parse_bits(bits, field=field)


def observed_bits(value: int | str | None) -> int:
    """Return a mask as Discord gave it: a decimal string over REST, an integer in audit logs, missing for none."""
    return discord_bits(value)


def differs(desired: int, observed: int) -> bool:
    """Tell whether the observed mask is drift: bits that we do not know and did not ask for are none."""
    return bool((desired ^ observed) & (KNOWN | desired))


def keep_unknown(desired: int, observed: int) -> int:
    """Return the mask to send: the desired one and the bits Discord holds that this release does not know."""
    return desired | (observed & ~KNOWN)


def describe(bits: int) -> str:
    """Return a mask in words: ``VIEW_CHANNEL, SEND_MESSAGES``, bits without a name as ``1<<60``, or ``none``."""
    names, unknown = names_of(bits)
    words = [*names, *(f"1<<{bit}" for bit in range(unknown.bit_length()) if unknown >> bit & 1)]
    return ", ".join(words) or "none"


def describe_change(observed: int, desired: int) -> tuple[str, str]:
    """Return what is and what shall be, naming only the bits that differ: ``has X, lacks Y``, ``has Y, lacks X``."""
    extra, missing = observed & ~desired & KNOWN, desired & ~observed
    return _has_lacks(extra, missing), _has_lacks(missing, extra)


def _has_lacks(has: int, lacks: int) -> str:
    parts = [f"{verb} {describe(bits)}" for verb, bits in (("has", has), ("lacks", lacks)) if bits]
    return ", ".join(parts) or "the same"
