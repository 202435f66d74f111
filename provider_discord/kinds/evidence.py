"""Reading the audit log for the resolution of a create; ``creation`` decides by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
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


@dataclass(frozen=True, slots=True)
class Entries:
    """What was read of the audit log.

    Attributes:
        found: Entries of one type, newest first.
        complete: They reach back as far as was asked; False: there are more than are read for one question.
    """

    found: list[Mapping[str, Any]]
    complete: bool


def entries_back_to(
    visit: Visit, snapshot: GuildSnapshot, *, action: Action, oldest: int, before: int | None = None
) -> Entries | None:
    """Return the audit log's entries of one type back to an id; None: the bot may not read it.

    Args:
        visit: The pass.
        snapshot: The guild.
        action: The type.
        oldest: The id of an entry so old that it is of no interest any more.
        before: The id of an entry so new that it is of none; None: begin with the newest.

    Raises:
        ManagedError: Discord can't tell now.
    """
    if not may_read_audit_log(snapshot):
        return None
    found: list[Mapping[str, Any]] = []
    older_than = None if before is None else str(before)
    with translated("reading the audit log"):
        for _ in range(visit.timings.audit_pages):
            try:
                log = visit.client.audit_log(
                    snapshot.guild_id,
                    action_type=action,
                    before=older_than,
                    limit=_PAGE,
                    options=visit.options(),
                )
            except discord.Forbidden:
                visit.snapshots.invalidate_member(snapshot.guild_id)
                return None
            page = entries_of(log)
            found += page
            if len(page) < _PAGE or int(page[-1]["id"]) < oldest:
                return Entries(found, complete=True)
            older_than = str(page[-1]["id"])
    return Entries(found, complete=False)


def creations_of(
    visit: Visit, snapshot: GuildSnapshot, attempt: Attempt, *, action: Action
) -> Entries | None:
    """Return the entries of an attempt's time; None: the bot may not read the audit log.

    What a busy guild did since then does not count towards what is read.
    """
    timings = visit.timings
    before = None
    if attempt.ended is not None:
        late = timings.late_commit_seconds + timings.audit_lag_seconds + timings.audit_skew_seconds
        before = snowflake.first_at(attempt.ended + timedelta(seconds=late))
    oldest = snowflake.first_at(since(attempt, timings))
    return entries_back_to(visit, snapshot, action=action, oldest=oldest, before=before)
