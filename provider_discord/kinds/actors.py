"""Who did it: the people whom the audit log names for what differs. For a human who has to decide, not for us."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from provider_discord.discord import errors as discord
from provider_discord.discord import snowflake
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds.audit_log import Action, entries_of, may_read_audit_log
from provider_discord.kinds.hold_links import Asker

_PAGE: Final = 100
_SHOWN: Final = 5
_MADE: Final = frozenset({Action.CHANNEL_CREATE, Action.ROLE_CREATE})
"""Whoever made something has not changed it."""
_FORBIDDEN: Final = "unknown people (give the bot View Audit Log, and their names stand here)"
NOBODY: Final = "unknown people (the audit log does not name them)"


def actors_of(asker: Asker, snapshot: GuildSnapshot, *, targets: Collection[str], since: datetime) -> str:
    """Return in words who changed these things since then, and how often each; never the bot itself.

    Args:
        asker: The pass that asks; it reads a few pages at most.
        snapshot: The guild.
        targets: Discord ids.
        since: Older entries are of no interest.

    Raises:
        DiscordError: Discord can't tell now.
    """
    if not may_read_audit_log(snapshot):
        return _FORBIDDEN
    acts: Counter[str] = Counter()
    names: dict[str, str] = {}
    oldest, before, complete = snowflake.first_at(since), None, False
    for _ in range(asker.timings.audit_pages):
        try:
            log = asker.connection.client.audit_log(
                snapshot.guild_id, before=before, limit=_PAGE, options=asker.options()
            )
        except discord.Forbidden:
            asker.connection.snapshots.invalidate_member(snapshot.guild_id)
            return _FORBIDDEN
        names |= _names(log)
        entries = entries_of(log)
        for entry in entries:
            user_id = str(entry.get("user_id") or "")
            counts = user_id not in {"", asker.bot_id} and entry.get("action_type") not in _MADE
            if counts and int(entry["id"]) >= oldest and str(entry.get("target_id")) in targets:
                acts[user_id] += 1
        complete = len(entries) < _PAGE or int(entries[-1]["id"]) < oldest
        if complete:
            break
        before = str(entries[-1]["id"])
    return _in_words(acts, names, complete=complete)


def _names(log: Any) -> dict[str, str]:
    users = log.get("users") if isinstance(log, Mapping) else ()
    return {str(user["id"]): str(user.get("username") or "") for user in users or ()}


def _in_words(acts: Counter[str], names: Mapping[str, str], *, complete: bool) -> str:
    if not acts:
        return NOBODY
    words = [
        f"{names[user_id]} ({user_id}) with {count} acts"
        if names.get(user_id)
        else f"{user_id} with {count} acts"
        for user_id, count in acts.most_common(_SHOWN)
    ]
    more = len(acts) - _SHOWN
    rest = [f"{more} other people"] if more > 0 else []
    return ", ".join(words + rest) + ("" if complete else " or more")
