"""Reading the audit log for the resolution of a create; ``creation`` decides by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from provider_discord.discord import errors as discord
from provider_discord.discord import snowflake
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.discord.snowflake import is_snowflake
from provider_discord.kinds.audit_log import Action, entries_of, may_read_audit_log
from provider_discord.kinds.creation import made_within, since
from provider_discord.kinds.outcomes import translated
from provider_discord.kinds.visit import Visit
from provider_discord.managed import attempts
from provider_discord.managed.external import Attempt
from provider_discord.managed.resource import ManagedResource

Json = Mapping[str, Any]
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


def unaccounted_for(
    visit: Visit,
    guild_id: str,
    attempt: Attempt,
    *,
    things: Mapping[str, Json],
    answers: Callable[[ManagedResource, Json], bool],
) -> list[str]:
    """Return what was made in an attempt's time and is nobody's, as far as can be told.

    After a restart the attempts of other objects may be open too, and what they have made is claimed by nobody yet:
    where such an attempt explains a single thing, it is left out. It is adopted by that object; an object that halts on
    account of one that is not left out finds it claimed at a later poll.

    Args:
        visit: The pass of the object whose attempt it is.
        guild_id: The guild.
        attempt: The attempt.
        things: All that it may have made, by id, whatever the name.
        answers: Tells whether a thing answers to the manifest of another object of this kind.
    """
    during = {
        found: raw
        for found, raw in things.items()
        if made_within(attempt, found, timings=visit.timings) and not visit.claimed_by_others(found)
    }
    if not during:
        return []
    explained: set[str] = set()
    for other, theirs in _open_attempts(visit, guild_id):
        fitting = [
            found
            for found, raw in during.items()
            if made_within(theirs, found, timings=visit.timings) and answers(other, raw)
        ]
        explained.update(fitting if len(fitting) == 1 else ())
    return [found for found in during if found not in explained]


def _open_attempts(visit: Visit, guild_id: str) -> Iterator[tuple[ManagedResource, Attempt]]:
    """Yield the other objects of this kind whose attempt was made after the manifest that they still have."""
    mr, siblings = visit.mr, visit.equipment.siblings
    for sibling in siblings.of(mr.resource, guild_id):
        obj = siblings.stores[mr.resource].get(sibling.key)
        opened = None if obj is None or sibling.key == mr.key else attempts.open_attempt(obj)
        if obj is not None and opened is not None:
            other = ManagedResource.of(mr.resource, obj, possible=is_snowflake)
            if opened.attempt.is_of(other):
                yield other, opened.attempt
