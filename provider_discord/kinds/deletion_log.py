"""Which channels or roles were deleted, by the audit log: read once, and then only what is new of it.

Whatever is missing asks here, and all of a guild share what is read. One read goes back to where the one before it
began; the first goes back to the time when the missing thing was made, for none is deleted before that. So somebody who
deletes three hundred channels at once is understood at the first look, and a bot that makes and deletes channels all
day costs a page a look. Discord keeps 45 days of the log (docs, resources/audit-log).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

from provider_discord.discord import snowflake
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds.audit_log import Action, may_read_audit_log
from provider_discord.kinds.evidence import Entries, entries_back_to
from provider_discord.kinds.visibility import Span
from provider_discord.kinds.visit import Visit


def take_in_deletions(
    visit: Visit, snapshot: GuildSnapshot, thing_id: str, *, action: Action, listed: Collection[str]
) -> None:
    """Record what the audit log shows as deleted, if it is the guild's turn to have it read.

    Args:
        visit: The pass.
        snapshot: The guild.
        thing_id: What is missing. Deletions from before it was made are of no interest to it.
        action: The deletions of channels, or of roles.
        listed: The ids of what is there, whatever the log says.

    Raises:
        ManagedError: Discord can't tell now.
    """
    if not may_read_audit_log(snapshot):
        return
    made, what, visibility = (
        int(thing_id),
        f"{action.name} of {snapshot.guild_id}",
        visit.connection.visibility,
    )
    if visibility.may_read(what):
        span, settled = visibility.deletions_read(what), _settled(visit)
        oldest = made if span is None else span.settled
        entries = entries_back_to(visit, snapshot, action=action, oldest=oldest)
        if entries is None:
            return
        _take_in(visit, entries, listed)
        newest = max(_ids(entries), default=oldest)
        if span is None or not (entries.complete or min(_ids(entries)) <= span.newest):
            span = Span(_bottom(entries, oldest), newest, settled)
        visibility.read_deletions(what, Span(span.bottom, max(newest, span.newest), settled))
    span = visibility.deletions_read(what)
    if span is not None and made < span.bottom and visibility.may_read(f"older {what}"):
        entries = entries_back_to(visit, snapshot, action=action, oldest=made, before=span.bottom)
        if entries is None:
            return
        _take_in(visit, entries, listed)
        visibility.read_deletions(what, replace(span, bottom=_bottom(entries, made)))


def _take_in(visit: Visit, entries: Entries, listed: Collection[str]) -> None:
    deleted = {str(entry.get("target_id")) for entry in entries.found}
    visit.connection.visibility.gone(deleted.difference(listed), "the audit log shows its deletion")


def _settled(visit: Visit) -> int:
    lag = timedelta(seconds=visit.timings.audit_lag_seconds + visit.timings.audit_skew_seconds)
    return snowflake.first_at(visit.equipment.wall() - lag)


def _ids(entries: Entries) -> list[int]:
    return [int(entry["id"]) for entry in entries.found]


def _bottom(entries: Entries, oldest: int) -> int:
    return oldest if entries.complete else min(_ids(entries))
