"""What became of a create whose answer was lost.

Discord has no idempotency key, but the audit log repeats the reason that came with a request, and ours holds the
attempt's id: an entry with it names what was made. Where the bot may not read the audit log, and while an entry
lags behind, the list decides: something of that name and place, claimed by nobody, whose id says that it was
made during the attempt. Somebody may have renamed or moved it since, so if there is none, but something else was made
in that time that nobody claims, a human decides. The decision is pure; ``evidence`` reads.

"Not found" is only a miss: Discord may carry a request out late. The reconciler creates again after two of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from provider_discord.discord import snowflake
from provider_discord.kinds.timings import KindTimings
from provider_discord.managed.errors import Waiting
from provider_discord.managed.external import Attempt, Resolution, Verdict

Json = Mapping[str, Any]
_ATTEMPT = re.compile(r"(?:^|\s)attempt=(\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was looked at to resolve an attempt.

    Attributes:
        what: The thing in words: ``channel "general"``.
        candidates: Ids of things that answer to the manifest's name, type and place and that nobody claims.
        entries: The audit log's creations of this type since before the attempt; None: the bot may not read it.
        others: Ids of things of that type that answer to another name or place, that were made in the attempt's time,
            and that neither an object nor another's attempt accounts for.
        visible: The thing could be seen and known again in a list, had it been made: nothing hides it from the bot,
            and the manifest is the one that it would have been made from.
        truncated: There are more such entries than were read.
    """

    what: str
    candidates: Collection[str]
    entries: Sequence[Json] | None
    others: Collection[str] = ()
    visible: bool = True
    truncated: bool = False


def decide(attempt: Attempt, evidence: Evidence, *, wall: datetime, timings: KindTimings) -> Resolution:
    """Return the verdict on an attempt.

    Args:
        attempt: The attempt.
        evidence: What was found.
        wall: The time now (UTC).
        timings: How far clocks may differ and how late Discord may be.

    Raises:
        Waiting: Something was made in the attempt's time, but the audit log does not say yet by whom; or it may
            have been, where the bot can't see it.
    """
    during = [found for found in evidence.candidates if made_within(attempt, found, timings=timings)]
    if evidence.entries is None:
        return _by_list(attempt, evidence, during, evidence.others)
    for entry in evidence.entries:
        said = _ATTEMPT.search(str(entry.get("reason") or ""))
        if said and said.group(1) == attempt.id and entry.get("target_id"):
            return Resolution(
                verdict=Verdict.FOUND,
                external_name=str(entry["target_id"]),
                message=f"the audit log shows that attempt {attempt.id} made it",
            )
    if evidence.truncated:
        return _untold(attempt, evidence, [*during, *evidence.others])
    told = {str(entry.get("target_id")) for entry in evidence.entries}
    untold = [found for found in during if found not in told]
    others = [found for found in evidence.others if found not in told]
    lag = timedelta(seconds=timings.audit_lag_seconds)
    if not untold and not others and not evidence.visible and wall < (attempt.ended or attempt.started) + lag:
        msg = f"the list can't tell whether there is a {evidence.what}; waiting for the guild's audit log to tell"
        raise Waiting(msg, retry_after=timings.audit_retry_seconds, quiet=True)
    if not untold and not others:
        return Resolution(
            verdict=Verdict.MISSED,
            message=f"neither the audit log nor the list shows a {evidence.what} made by attempt {attempt.id}",
        )
    if wall < max(map(snowflake.created_at, untold or others)) + lag:
        appeared = f"a {evidence.what}" if untold else f"something of the type of the {evidence.what}"
        msg = (
            f"{appeared} ({', '.join(untold or others)}) appeared while it was being created; waiting for the "
            f"guild's audit log to tell whether it is ours"
        )
        raise Waiting(msg, retry_after=timings.audit_retry_seconds, quiet=True)
    return _by_list(attempt, evidence, untold, others)


def _untold(attempt: Attempt, evidence: Evidence, during: Sequence[str]) -> Resolution:
    """Return the verdict where the audit log has more entries than are read: what it did not say, it may hold."""
    shown = f"; made in that time: {', '.join(during)}" if during else ""
    return Resolution(
        verdict=Verdict.AMBIGUOUS,
        message=(
            f"whether attempt {attempt.id} made the {evidence.what} can't be told: the guild's audit log has too many "
            f"entries since then; set the annotation crossplane.io/external-name to the one to keep{shown}"
        ),
    )


def _by_list(
    attempt: Attempt, evidence: Evidence, during: Sequence[str], others: Collection[str]
) -> Resolution:
    if len(during) == 1:
        return Resolution(
            verdict=Verdict.FOUND,
            external_name=during[0],
            message=f"the only {evidence.what} made during attempt {attempt.id}",
        )
    if during:
        return Resolution(
            verdict=Verdict.AMBIGUOUS,
            message=(
                f"{evidence.what} was made more than once during attempt {attempt.id}: {', '.join(during)}; set the "
                f"annotation crossplane.io/external-name to the one to keep, and give the bot View Audit Log so "
                f"that it can tell by itself"
            ),
        )
    if others:
        remedy = (
            "; give the bot View Audit Log so that it can tell by itself" if evidence.entries is None else ""
        )
        return Resolution(
            verdict=Verdict.AMBIGUOUS,
            message=(
                f"whether attempt {attempt.id} made the {evidence.what} can't be told: none of that name and place was "
                f"made in its time, but something else was that no object claims, and it may be that, renamed or moved "
                f"since: {', '.join(others)}{remedy}"
            ),
        )
    if not evidence.visible:
        return Resolution(
            verdict=Verdict.AMBIGUOUS,
            message=(
                f"whether attempt {attempt.id} made the {evidence.what} can't be told: the bot could not see it, or "
                f"would not know it again since the manifest was changed; "
                f"give the bot View Audit Log, or set the annotation crossplane.io/external-name to its id"
            ),
        )
    return Resolution(
        verdict=Verdict.MISSED, message=f"the list shows no {evidence.what} made during attempt {attempt.id}"
    )


def made_within(attempt: Attempt, found: str, *, timings: KindTimings) -> bool:
    """Tell whether an id was made during the attempt, given clocks that differ and commits that come late.

    If a crash ended it, it ended within its pass: what was made later, people have made.
    """
    skew = timedelta(seconds=timings.audit_skew_seconds)
    made = snowflake.created_at(found)
    if made < attempt.started - skew:
        return False
    ended = attempt.ended or attempt.started + timedelta(seconds=timings.pass_deadline_seconds)
    return made <= ended + timedelta(seconds=timings.late_commit_seconds) + skew


def since(attempt: Attempt, timings: KindTimings) -> datetime:
    """Return from when on the audit log is of interest for an attempt."""
    return attempt.started - timedelta(seconds=timings.audit_skew_seconds)
