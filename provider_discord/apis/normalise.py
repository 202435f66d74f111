"""What Discord makes of what is typed, as far as it matters for comparing.

Each function is idempotent and is applied to the desired *and* to the observed value, so that two spellings
that Discord stores alike never count as drift. Sources: ``docs/design/assumptions.md`` for what no document
says; that text channels are lowercased and hyphenated, and that spaces of voice channels came back as other
space characters since 2025, was seen by users of other tools.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from provider_discord.apis.fields import ChannelType

_HYPHENATED: Final = frozenset(
    {ChannelType.TEXT, ChannelType.ANNOUNCEMENT, ChannelType.FORUM, ChannelType.MEDIA},
)
_GAPS: Final = re.compile(r"[\s\-]+")
_SPACES: Final = re.compile(r"\s+")


def channel_name(name: str, channel_type: ChannelType | None) -> str:
    """Fold a channel's name: ``My  Chan`` is ``my-chan`` in a text-like channel; others keep their case."""
    folded = _SPACES.sub(" ", unicodedata.normalize("NFKC", name)).strip()
    if channel_type in _HYPHENATED:
        return _GAPS.sub("-", folded).lower()
    return folded


def trimmed(text: str, _channel_type: ChannelType | None = None) -> str:
    """Drop white space at both ends, as Discord does with names, topics and descriptions."""
    return text.strip()
