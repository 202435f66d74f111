"""What Discord makes of plain text, as far as it matters for comparing.

Names of channels and roles have rules of their own (``kinds.names``): those are compared to find things, too.
"""

from __future__ import annotations

from provider_discord.apis.fields import ChannelType


def trimmed(text: str, _channel_type: ChannelType | None = None) -> str:
    """Drop white space at both ends, as Discord does with names, topics and descriptions."""
    return text.strip()
