"""What a category holds, when it shall be deleted.

Discord deletes a category and leaves its channels: they lose their place, and what they copied from it is a copy of
nothing. So a category with channels is guarded as a channel with messages is. Whether one that is being deleted too
will go in the end (messages, threads, a pause, the guild's needs ...) is known only when it is gone, so each counts
until then; its going wakes the category.
"""

from __future__ import annotations

from typing import Final

from provider_discord.discord.snapshot import GuildSnapshot

_SHOWN: Final = 5


def holds(snapshot: GuildSnapshot, category_id: str) -> str:
    """Say which channels a category has, as far as the bot sees them; "": none."""
    inside = sorted(
        f"{raw.get('name')}"
        for raw in snapshot.channels.values()
        if str(raw.get("parent_id") or "") == category_id
    )
    if not inside:
        return ""
    names = ", ".join(inside[:_SHOWN]) + (" ..." if len(inside) > _SHOWN else "")
    return f"still holds a channel ({names})" if len(inside) == 1 else f"still holds channels ({names})"
