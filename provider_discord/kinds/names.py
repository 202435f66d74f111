"""What Discord makes of a name, and when two names are the same to it.

Discord rewrites names silently: a text channel becomes ``lower-case-with-dashes``, the others are trimmed. A
comparison that did not know this would see drift for ever, and each attempt to put it right would cost one of
the two renames that a channel has in ten minutes. Two things are kept apart here:

* ``normalise_*`` is what we send: only what Discord is known to do anyway.
* ``same_*`` is how we compare: looser, because nobody documents the rules and they have changed unannounced
  (in May 2025 voice channels came back with other space characters, nwithan8/tauticord#244; text channels lose
  most ASCII punctuation). What differs in no more than that is no drift, and is the same name to the check that
  keeps us from making a second channel beside one that exists.
"""

from __future__ import annotations

import re
import string
import unicodedata
from typing import Final

from provider_discord.apis.fields import ChannelType

_CASED: Final = frozenset({ChannelType.VOICE, ChannelType.STAGE, ChannelType.CATEGORY})
"""Types whose names keep their case and spaces; every other type, known to us or not, is text-like."""

_DASHES: Final = re.compile(r"[\s-]+")
_SPACES: Final = re.compile(r"\s+")
_DROPPED: Final = str.maketrans("", "", "".join(c for c in string.punctuation if c not in "-_"))
_INVISIBLE: Final = str.maketrans("", "", "\u00ad\u200b\u200c\u2060\ufe0e\ufe0f\ufeff")
"""Characters that show nothing. Not U+200D, which joins emoji: with and without it are different pictures."""


def keeps_case(channel_type: int) -> bool:
    """Tell whether names of this channel type keep their case and spaces (voice, stage, category)."""
    return channel_type in _CASED


def normalise_channel_name(name: str, channel_type: int) -> str:
    """Return the name as Discord stores it: text-like ``my-channel``, voice, stage and category only trimmed."""
    if keeps_case(channel_type):
        return name.strip()
    return _DASHES.sub("-", name.strip()).strip("-").lower() or name.strip().lower()


def same_name(one: str, other: str, channel_type: int) -> bool:
    """Tell whether two channel names are one name to Discord. Symmetric, and true of a name and its normal form."""
    return channel_name_key(one, channel_type) == channel_name_key(other, channel_type)


def channel_name_key(name: str, channel_type: int) -> str:
    """Return what names that are the same have in common: a key for indexes. Not a name to send or show."""
    folded = _folded(name)
    if keeps_case(channel_type):
        return folded
    dashed = normalise_channel_name(folded, channel_type)
    return _DASHES.sub("-", dashed.translate(_DROPPED)).strip("-") or dashed


def normalise_role_name(name: str) -> str:
    """Return a role's name as Discord stores it: trimmed; case, punctuation and emoji stay."""
    return name.strip()


def same_role_name(one: str, other: str) -> bool:
    """Tell whether two role names are one name to Discord."""
    return role_name_key(one) == role_name_key(other)


def role_name_key(name: str) -> str:
    """Return what role names that are the same have in common: a key for indexes. Not a name to send or show."""
    return _folded(name)


def _folded(name: str) -> str:
    """Return the name with compatibility forms, invisible characters and runs of whitespace made one."""
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", name).translate(_INVISIBLE)).strip()
