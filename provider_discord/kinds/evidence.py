"""Reading the audit log for the resolution of a create; ``creation`` decides by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provider_discord.discord import errors as discord
from provider_discord.discord import snowflake
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds.creation import Action, since
from provider_discord.kinds.missing import entries_of, may_read_audit_log
from provider_discord.kinds.outcomes import translated
from provider_discord.kinds.visit import Visit
from provider_discord.managed.external import Attempt

_PAGE = 100


def entries_back_to(
    visit: Visit, snapshot: GuildSnapshot, *, action: Action, oldest: int
) -> list[Mapping[str, Any]] | None:
    """Return the audit log's entries of one type, newest first, back to an id; None: the bot may not read it.

    Raises:
        ManagedError: Discord can't tell now.
    """
    if not may_read_audit_log(snapshot):
        return None
    found: list[Mapping[str, Any]] = []
    before: str | None = None
    with translated("reading the audit log"):
        for _ in range(visit.timings.audit_pages):
            try:
                log = visit.client.audit_log(
                    snapshot.guild_id, action_type=action, before=before, limit=_PAGE, options=visit.options()
                )
            except discord.Forbidden:
                visit.snapshots.invalidate_member(snapshot.guild_id)
                return None
            page = entries_of(log)
            found += page
            if len(page) < _PAGE or int(page[-1]["id"]) < oldest:
                break
            before = str(page[-1]["id"])
    return found


def creations_since(
    visit: Visit, snapshot: GuildSnapshot, attempt: Attempt, *, action: Action
) -> list[Mapping[str, Any]] | None:
    """Return the entries since before an attempt began; None: the bot may not read the audit log."""
    oldest = snowflake.first_at(since(attempt, visit.timings))
    return entries_back_to(visit, snapshot, action=action, oldest=oldest)
