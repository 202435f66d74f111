"""Whose thing is it? An external name is a line of text that people edit, copy and restore.

An object that stood for one thing, and whose external name was moved to another, would write its manifest over a
stranger, and its deletion would delete the stranger. So before a kind looks at what the name says:

- Deleted at Discord is only what the object's own status shows, or its own record of a create. Otherwise the object
  goes and nothing is touched.
- What differs from the status is refused, as long as what the status shows may still be there and nobody has
  acknowledged the change. Where that is gone for certain, the other thing takes its place.

An object without a status (new, or restored from a backup) is imported as its name says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from provider_discord.apis.kinds import CHANNEL, GUILD, ROLE
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds.missing import find_unlisted, was_there
from provider_discord.kinds.names import normalise_role_name, same_name
from provider_discord.kinds.role_plan import EVERYONE
from provider_discord.kinds.visit import Visit
from provider_discord.managed import attempts, meta
from provider_discord.managed.errors import Blocked, ManagedError
from provider_discord.managed.external import (
    Attempt,
    Change,
    Creation,
    External,
    Observation,
    Resolution,
)
from provider_discord.managed.resource import ManagedResource

_Things = Callable[[GuildSnapshot], Mapping[str, Mapping[str, Any]]]


def _channels(snapshot: GuildSnapshot) -> Mapping[str, Mapping[str, Any]]:
    return snapshot.channels


def _roles(snapshot: GuildSnapshot) -> Mapping[str, Mapping[str, Any]]:
    return snapshot.roles


_THINGS: Final[Mapping[str, _Things]] = {CHANNEL.kind: _channels, ROLE.kind: _roles}


@dataclass(frozen=True, slots=True)
class Identified:
    """The verbs of a kind, behind the question whose the thing is."""

    external: External
    visit: Visit

    def observe(self, mr: ManagedResource) -> Observation:
        """Look, if the object may stand for what it names."""
        # Since it connected, the pass may have found out how a create ended, and put that on the object.
        self.visit.mr = mr
        if mr.deleting:
            why = let_go(self.visit)
            return Observation(exists=False, let_go=why) if why else self.external.observe(mr)
        check_name(self.visit)
        if mr.kind == GUILD.kind and mr.external_name is None:
            return self._observe_guild(mr)
        return self.external.observe(mr)

    def create(self, mr: ManagedResource, attempt: Attempt) -> Creation:
        """Create what observe has not found."""
        return self.external.create(mr, attempt)

    def resolve(self, mr: ManagedResource, attempt: Attempt) -> Resolution:
        """Find out what became of an attempt."""
        return self.external.resolve(mr, attempt)

    def update(self, mr: ManagedResource, observation: Observation) -> Change:
        """Put right what differs."""
        return self.external.update(mr, observation)

    def delete(self, mr: ManagedResource, observation: Observation) -> Change:
        """Delete what observe has found to be the object's own."""
        return self.external.delete(mr, observation)

    def _observe_guild(self, mr: ManagedResource) -> Observation:
        """Look at the guild that the status of an object without an annotation shows; by its name only without that."""
        before = str(mr.at_provider.get("id") or "")
        if not before or mr.status.get("observedOnly") or self.visit.claimed_by_others(before):
            return self.external.observe(mr)
        try:
            found = self.external.observe(replace(mr, external_name=before))
        except Blocked as error:
            if error.reason != "NotInGuild":
                raise
            msg = (
                f"this object stands for guild {before} (status.atProvider.id), which the bot is not in any more: add it "
                f"there again; or, to manage another guild, set both {meta.EXTERNAL_NAME} and {meta.ACKNOWLEDGED_NAME} "
                f"to its id: {error}"
            )
            raise Blocked(msg, reason=error.reason) from error
        return replace(found, external_name=before)


def let_go(visit: Visit) -> str:
    """Return why an object that is being deleted goes without touching what it names; "" where that is its own.

    Raises:
        ManagedError: Discord can't tell now.
    """
    mr = visit.mr
    things = _THINGS.get(mr.kind)
    if things is None or mr.external_name is None or mr.seen or _made(visit, mr.external_name):
        return ""
    stood_for = mr.at_provider.get("id")
    if stood_for:
        return (
            f"the annotation {meta.EXTERNAL_NAME} holds {mr.external_name}, but this object stood for {stood_for} "
            f"(status.atProvider.id): nothing was deleted at Discord, neither of the two; whichever shall go has to be "
            f"deleted by hand, or by an object that stands for it"
        )
    return (
        f"this object never saw {mr.external_name}, which its annotation {meta.EXTERNAL_NAME} holds, and has no record of "
        f"having made it: nothing was deleted at Discord"
    )


def check_name(visit: Visit) -> None:
    """Refuse an external name that is another one's, as far as the object itself can tell.

    Raises:
        Blocked: It was changed and what it was may still be there; or a role that is not meant to be @everyone is.
        ManagedError: Discord can't tell now.
    """
    mr = visit.mr
    name, before = mr.external_name, mr.stood_for
    if name is None or not mr.policies.writes:
        return
    if mr.kind == ROLE.kind and not means_everyone(mr) and name == visit.guild_id():
        msg = (
            f"the annotation {meta.EXTERNAL_NAME} holds {name}, which is the guild's own id and so that of @everyone, "
            f"the role that every member has: correct it; if @everyone is meant, set spec.forProvider.everyone: true"
        )
        raise Blocked(msg, reason="ExternalNameInvalid", field="forProvider.everyone")
    if before is None or _made(visit, name, or_lost=True) or _is_gone(visit, before):
        return
    msg = (
        f"the annotation {meta.EXTERNAL_NAME} was changed to {_what(visit, name)}, but this object stands for "
        f"{_what(visit, before)}, which is not known to be gone: nothing is written to either of them; to keep the "
        f'latter, put {meta.EXTERNAL_NAME}: "{before}" back; to let go of it and manage the former by this manifest, '
        f'set the annotation {meta.ACKNOWLEDGED_NAME}: "{name}"'
    )
    raise Blocked(msg, reason="ExternalNameChanged")


def means_everyone(mr: ManagedResource) -> bool:
    """Tell whether a Role's manifest is about @everyone."""
    given = mr.for_provider.get("everyone")
    return given is True or (given is None and mr.for_provider.get("name") == EVERYONE)


def _made(visit: Visit, external_name: str, *, or_lost: bool = False) -> bool:
    """Tell whether the object made what it names, and died before its status could say so.

    Args:
        visit: The pass.
        external_name: What it names.
        or_lost: True as well where it made that once and what it names is not there any more: its kind goes back to what
            the status shows.
    """
    things = _THINGS.get(visit.mr.kind)
    if things is None:
        return False
    if attempts.has_created(visit.mr.obj, external_name):
        return True
    listed, before = things, visit.mr.at_provider.get("id")
    try:
        guild_id = visit.guild_id()
    except Blocked:
        return False
    if attempts.recorded(visit.mr.obj) is not None:
        # It tells for good what was made. The time of the create, by which the rest goes, would fit others, too.
        maker = visit.connection.made.get(external_name)
        if not or_lost or maker is None or maker[0] != visit.mr.uid:
            return False
        now = listed(visit.look(guild_id, decisive=True))
        return external_name not in now and before in now

    def rivals(now: GuildSnapshot) -> Collection[str]:
        found = listed(now)
        # A slip of the pen would not hit on something with the manifest's name, whatever else was made in that second:
        # when several creates are interrupted at once, what the others made is nobody's for a while.
        return () if _bears_the_name(visit.mr, found.get(external_name)) else _ordinary(found)

    if not was_there(visit, guild_id, external_name, listed=rivals):
        return False
    # What was made takes the place of what is gone: as long as the other may be there, the record was about that one.
    if before in {None, external_name}:
        return True
    now = listed(visit.look(guild_id, decisive=True))
    if before in now:
        return or_lost and external_name not in now
    return _is_gone(visit, str(before))


def _bears_the_name(mr: ManagedResource, raw: Mapping[str, Any] | None) -> bool:
    """Tell whether something that is there has the name that the manifest gives."""
    given = mr.for_provider.get("name")
    if raw is None or raw.get("managed") or not isinstance(given, str):
        return False
    if mr.kind == CHANNEL.kind:
        return same_name(given, str(raw.get("name")), int(raw.get("type") or 0))
    return normalise_role_name(given) == raw.get("name")


def _ordinary(listed: Mapping[str, Mapping[str, Any]]) -> Collection[str]:
    """Leave out the roles of bots and integrations, which no object has made."""
    return [found for found, raw in listed.items() if not raw.get("managed")]


def _is_gone(visit: Visit, before: str) -> bool:
    """Tell whether what the object stood for is gone for certain."""
    mr = visit.mr
    things = _THINGS.get(mr.kind)
    if things is None:
        return False
    guild_id = visit.guild_id()
    if mr.at_provider.get("guildId") != guild_id:
        return False
    snapshot = visit.look(guild_id, decisive=not visit.polling)
    if before in things(snapshot):
        return False
    if mr.kind == ROLE.kind:
        return True  # The list of roles is complete.
    try:
        return find_unlisted(visit, snapshot, before) is None
    except Blocked:
        return False


def _what(visit: Visit, external_name: str) -> str:
    """Say what an id is, as far as that is known: its name, and whose it is."""
    mr, known = visit.mr, ""
    if mr.at_provider.get("id") == external_name:
        known = str(mr.at_provider.get("name") or "")
    try:
        if mr.kind == GUILD.kind:
            visit.check_allowed(external_name)
            known = str(visit.look(external_name).guild.get("name") or known)
        else:
            raw = _THINGS[mr.kind](visit.look(visit.guild_id(), decisive=not visit.polling)).get(
                external_name, {}
            )
            known = str(raw.get("name") or known)
    except ManagedError:
        pass  # It is for the message only.
    others = [
        str(claim)
        for claim in visit.equipment.claims.claimants(mr.kind, external_name)
        if claim.key != mr.key and claim.writes
    ]
    about = ", ".join(part for part in (known, f"which is that of {others[0]}" if others else "") if part)
    return f"{mr.kind.lower()} {external_name}" + (f" ({about})" if about else "")
