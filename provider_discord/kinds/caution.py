"""What becomes of an observation where people seem to change things on purpose: in a held guild, and in a fight.

A kind observes as if nothing were the matter; what it found goes through here. An object whose manifest has not
changed since it was true may not write while its guild is held (``holds``), and leaves alone a field that it has put
back too often (``fights``). Changed manifests and new objects are not concerned.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final

from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds import fights
from provider_discord.kinds.census import digest
from provider_discord.kinds.fights import LEFT_ALONE, head_of
from provider_discord.kinds.hold import Cause, Hold
from provider_discord.kinds.hold_news import described
from provider_discord.kinds.visit import Visit
from provider_discord.managed import conditions
from provider_discord.managed.errors import Blocked, Held, Waiting
from provider_discord.managed.external import FieldDiff, Observation

_SHOWN: Final = 5


def settled(visit: Visit) -> bool:
    """Tell whether the object's manifest is the one that was true at Discord once."""
    return visit.mr.settled_generation == visit.mr.generation != 0


def considered(visit: Visit, snapshot: GuildSnapshot, found: Observation) -> Observation:
    """Return an observation with what the guild's hold makes of it.

    Args:
        visit: The pass.
        snapshot: What the observation was made by.
        found: The observation.
    """
    mr, holds = visit.mr, visit.equipment.holds
    if mr.deleting:
        return found
    if found.exists and not found.diff:
        holds.well(mr, snapshot.guild_id)
        visit.equipment.fights.well(mr.uid)
        if holds.peek(snapshot.guild_id, visit.rules.config) is not None:
            # Who was held back may have gone meanwhile, and then nobody else asks whether anything differs.
            holds.ask(visit, snapshot)
        return _free(visit, found)
    if not settled(visit):
        return _free(visit, found)
    if not found.exists or any(not diff.own for diff in found.diff):
        holds.noticed(mr, snapshot.guild_id)
    writes = mr.policies.updates if found.exists else mr.policies.creates
    if found.refusal is not None or not writes or _merely_neighbours(found):
        return found if holds.current(visit, snapshot.guild_id) is not None else _free(visit, found)
    wait = holds.resuming(mr)
    if wait > 0:
        msg = "it was paused until now and differs; whether much of the guild does is seen in a moment"
        return replace(found, refusal=Waiting(msg, retry_after=wait, quiet=True))
    hold = holds.ask(visit, snapshot, gone="" if found.exists else mr.uid)
    if hold is None:
        return _free(visit, found)
    return replace(found, refusal=_held(visit, snapshot, hold, found))


def told(visit: Visit, snapshot: GuildSnapshot, found: Observation) -> Observation:
    """Return the Guild's own observation with the condition ``Held`` of its guild."""
    holds = visit.equipment.holds
    hold = None if visit.rules.hold.disabled or visit.mr.deleting else holds.look(visit, snapshot)
    if hold is None:
        return _free(visit, found)
    message = f"{described(hold)}; to put everything back: {holds.news.way_out(snapshot.guild_id, visit.rules.config, hold)}"
    others = tuple(one for one in found.conditions if one.type != conditions.HELD)
    refusal = found.refusal
    if isinstance(refusal, Held):
        # One condition for both: that the guild is held, and that this object is held back too.
        refusal = Held(str(refusal), cause=hold.cause.value, told=message)
    return replace(found, conditions=(*others, conditions.held(hold.cause.value, message)), refusal=refusal)


def check_creation(visit: Visit, snapshot: GuildSnapshot) -> None:
    """Ask once more before something that vanished is made anew: the guild was just read again.

    Raises:
        Held: The guild is held by now.
    """
    if not settled(visit):
        return
    hold = visit.equipment.holds.ask(visit, snapshot, gone=visit.mr.uid)
    if hold is not None:
        raise _held(visit, snapshot, hold, Observation(exists=False))


def _merely_neighbours(found: Observation) -> bool:
    """Tell whether an object is only beside another one that has to move; it is not this one that is written for."""
    return found.exists and all(diff.own and diff.field == "position" for diff in found.diff)


def _held(visit: Visit, snapshot: GuildSnapshot, hold: Hold, found: Observation) -> Held:
    """Return the refusal. Only what stays the same is in it: hundreds of objects write it into their status."""
    differs = "; ".join(str(diff) for diff in found.diff[:_SHOWN]) if found.exists else "it is gone"
    more = len(found.diff) - _SHOWN
    why = (
        "Discord's incident actions are active in the guild"
        if hold.cause is Cause.INCIDENT
        else "many of the guild's objects were changed at Discord at once"
    )
    msg = (
        f"{hold.mark}: {why}, so nothing is put back; to put everything back: "
        f"{visit.equipment.holds.news.way_out(snapshot.guild_id, visit.rules.config, hold)}; to accept what is there, change the "
        f"manifest; held back: {differs}{f'; and {more} more' if more > 0 else ''}"
    )
    return Held(msg, cause=hold.cause.value)


def _free(visit: Visit, found: Observation) -> Observation:
    """Take back the condition of a hold that is over, or never concerned this manifest."""
    if not _is_marked(visit):
        return found
    return replace(found, conditions=(*found.conditions, conditions.not_held()))


def _is_marked(visit: Visit) -> bool:
    raw = conditions.find(visit.mr.status.get("conditions"), conditions.HELD)
    return raw.get("status") == "True"


# Fights.


def left_alone(visit: Visit) -> dict[str, int]:
    """Return the fields that this object leaves alone, each with how often it was put back; 0: it is not known any more."""
    if visit.rules.hold.disabled:
        return {}
    kept, often = dict.fromkeys(fights.left_alone(visit.mr.obj), 0), {}
    if visit.equipment.fights.knows(visit.mr.uid):
        often = visit.equipment.fights.often(
            visit.mr.uid, _version(visit), rules=visit.rules.hold, now=visit.equipment.now()
        )
    return kept | often


def fought_over(alone: Collection[str], diffs: Iterable[FieldDiff]) -> tuple[FieldDiff, ...]:
    """Return the differences that are in fields that are left alone."""
    return tuple(diff for diff in diffs if head_of(diff.field) in alone)


def put_back(visit: Visit, diffs: Iterable[FieldDiff]) -> None:
    """Count what was written."""
    fields = {diff.field for diff in diffs if not diff.own}
    visit.equipment.fights.put_back(
        visit.mr.uid, _version(visit), fields, settled=settled(visit), now=visit.equipment.now()
    )


def with_fights(
    visit: Visit, found: Observation, *, alone: dict[str, int], fought: Collection[FieldDiff]
) -> Observation:
    """Return an observation with what is left alone, remembered and told.

    Args:
        visit: The pass.
        found: What was found when nothing of that is managed.
        alone: What is left alone, see ``left_alone``.
        fought: What differs in it.
    """
    kept = visit.mr.annotations.get(LEFT_ALONE)
    if not alone:
        return found if kept is None else _remembering(found, None)
    since = fights.left_alone_since(visit.mr.obj)
    now = visit.equipment.wall()
    if not fought and since is not None:
        window = visit.rules.hold.put_back_window_seconds
        return _remembering(found, None) if (now - since).total_seconds() > window else found
    fresh = alone.keys() - fights.left_alone(visit.mr.obj)
    for _ in fresh:
        visit.equipment.holds.links.metrics.left_alone(visit.mr.kind)
    found = _remembering(found, fights.remember(visit.mr.obj, alone, wall=now))
    if not fought or found.diff or found.refusal is not None or not visit.mr.policies.updates:
        return found
    return replace(found, diff=tuple(fought), refusal=_fight(visit, alone, fought))


def _fight(visit: Visit, alone: dict[str, int], fought: Collection[FieldDiff]) -> Blocked:
    rules = visit.rules.hold
    minutes = round(rules.put_back_window_seconds / 60)
    names = ", ".join(sorted({head_of(diff.field) for diff in fought}))
    often = max(*alone.values(), rules.put_back_limit)
    msg = (
        f"spec.forProvider: {names} was put back {often} times within {minutes} minutes and changed again each time, so "
        f"it is left alone: find out who changes it (the guild's audit log), then change the manifest, or remove the "
        f"annotation {LEFT_ALONE} to put it back again: {'; '.join(str(diff) for diff in fought)}"
    )
    return Blocked(msg, reason="LeftAlone", field=f"forProvider.{names}")


def _remembering(found: Observation, text: str | None) -> Observation:
    return replace(found, annotations={**found.annotations, LEFT_ALONE: text})


def _version(visit: Visit) -> tuple[int, int]:
    return visit.mr.generation, digest(visit.mr.for_provider)
