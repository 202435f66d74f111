"""Two objects that want the same thing: same guild, same type, same place, same name.

Discord would let both be made, and nobody wants two "general": the manifests were applied in a second namespace, or the
object was renamed in Git and the old one is kept by its history. So what another object stands for, and its manifest
wants so, is not made again beside it, unless the ProviderConfig says ``adoption: CreateNew``.

Objects that are applied together are created at the same time by several workers, so those of one name go one after the
other: the second one finds what the first has made.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

from provider_discord.discord.snowflake import is_snowflake
from provider_discord.kinds import names
from provider_discord.kinds.creation import made_within
from provider_discord.kinds.session import Adoption
from provider_discord.kinds.visit import Visit
from provider_discord.managed import attempts, meta
from provider_discord.managed.claims import Claim
from provider_discord.managed.errors import Blocked, ManagedError, Waiting
from provider_discord.managed.external import Attempt
from provider_discord.managed.resource import ManagedResource

Json = Mapping[str, Any]
_TEXT_LIKE: Final = 0
_AGAIN_SECONDS: Final = 1.0
# Two that have both begun an attempt both give way; they must not meet again in step.
_AFTER_ANOTHER_SECONDS: Final = 2.0
_AFTER_THE_ELDER_SECONDS: Final = 3.0


def name_key(name: str) -> str:
    """Return what two names have in common that may be one to Discord, in a channel of whatever type, or a role."""
    return names.channel_name_key(name, _TEXT_LIKE).casefold()


@contextmanager
def alone(visit: Visit, entry: Hashable) -> Iterator[None]:
    """Keep every other object that wants the same from creating it meanwhile.

    Args:
        visit: The pass.
        entry: What tells that it is the same.

    Raises:
        Waiting: Another one creates.
    """
    if not visit.equipment.making.begin(entry):
        raise _being_created(_AFTER_ANOTHER_SECONDS)
    try:
        yield
    finally:
        visit.equipment.making.end(entry)


def check_alone(visit: Visit, entry: Hashable) -> None:
    """Begin no attempt that would find another object of this name creating. Raises `Waiting`."""
    if visit.equipment.making.taken(entry):
        raise _being_created(_AGAIN_SECONDS)


def _being_created(retry_after: float) -> Waiting:
    msg = "another object of this name is being created"
    return Waiting(msg, retry_after=retry_after, quiet=True)


def check_unsettled(
    visit: Visit,
    found: Mapping[str, Json],
    *,
    what: str,
    answers: Callable[[ManagedResource, Json], bool],
    rivals: Callable[[ManagedResource], bool],
    creating: bool,
) -> None:
    """Neither make nor take what an attempt of another object may have made, or may yet make, as its own.

    Nobody waits for ever: what became of an attempt is found out before anything like this is asked.

    Args:
        visit: The pass of the object that would make or adopt something.
        found: What it might adopt, by id.
        what: What it wants, in words.
        answers: Tells whether a thing answers to the manifest of another object.
        rivals: Tells whether another object's manifest asks for the very same.
        creating: An attempt has been begun. Of two that find each other so, the elder is the first to try again.

    Raises:
        Waiting: There is such an attempt.
    """
    mr = visit.mr
    if visit.rules.adoption is Adoption.CREATE_NEW:
        return
    for other, attempt in _unsettled(visit):
        may_be_its = [
            raw for thing, raw in found.items() if made_within(attempt, thing, timings=visit.timings)
        ]
        if attempt.is_of(other):
            concerned = rivals(other) or any(answers(other, raw) for raw in may_be_its)
        else:
            concerned = bool(may_be_its)  # What it was to make is not known any more.
        if concerned:
            younger = (other.created_at, other.uid) < (mr.created_at, mr.uid)
            msg = (
                f"{other.kind} {other.key} has begun to make a {what}, and it is not known yet what came of it: nothing "
                f"is made or adopted here before its condition tells"
            )
            after = _AFTER_THE_ELDER_SECONDS if creating and younger else _AGAIN_SECONDS
            raise Waiting(msg, retry_after=after, quiet=True)


def _unsettled(visit: Visit) -> Iterator[tuple[ManagedResource, Attempt]]:
    """Yield the other objects that may have an attempt open in this guild, with their references resolved.

    Only those that may use this very ProviderConfig count: nobody without rights here shall hold up anybody.
    """
    mr, equipment, rules = visit.mr, visit.equipment, visit.rules
    guild_id = visit.guild_id()
    for obj, opened in equipment.siblings.unsettled(mr.resource):
        other = ManagedResource.of(mr.resource, obj, possible=is_snowflake)
        allowed = rules.allowed_namespaces is None or other.namespace in rules.allowed_namespaces
        if other.uid == mr.uid or other.config_name != mr.config_name or not allowed:
            continue
        if attempts.settled_by_human(opened, other.external_name):
            continue
        with suppress(ManagedError):  # What can't be told may be the same.
            other = equipment.holds.links.resolve(other)
        where = other.for_provider.get("guildId") or other.at_provider.get("guildId")
        if where in {None, guild_id}:
            yield other, opened.attempt


def check_namesakes(
    visit: Visit, found: Iterable[Json], *, what: str, wants: Callable[[ManagedResource, Json], bool]
) -> None:
    """Refuse to make what another object stands for.

    Args:
        visit: The pass of the object that would be made.
        found: The things of its name, type and place.
        what: The thing in words: "channel".
        wants: Tells whether a thing answers to the manifest of another object.

    Raises:
        Blocked: There is one.
        Waiting: Somebody has just made one, and does not claim it yet.
    """
    if visit.rules.adoption is Adoption.CREATE_NEW:
        return
    for raw in found:
        found_id = str(raw["id"])
        claim = _owner(visit, found_id)
        if claim is None:
            maker = visit.connection.made.get(found_id)
            if maker is not None and maker[0] != visit.mr.uid and visit.claimed_by_others(found_id):
                msg = f"another object has just made a {what} of this name, {found_id}"
                raise Waiting(msg, retry_after=_AGAIN_SECONDS, quiet=True)
            continue
        obj = visit.equipment.siblings.stores[visit.mr.resource].get(claim.key)
        if obj is None or not wants(ManagedResource.of(visit.mr.resource, obj, possible=is_snowflake), raw):
            continue  # It is called so only for now.
        going = ", which is being deleted" if meta.is_deleting(obj) else ""
        msg = (
            f"a {what} named {str(raw.get('name'))!r} is there already and belongs to {claim}{going}: no second one is "
            f'made; to have it belong to this object, set the annotation {meta.EXTERNAL_NAME}: "{found_id}" here and '
            f"delete {claim}, which then leaves it alone; to make another one, give it another name, or set spec.adoption: "
            f"CreateNew on ProviderConfig {visit.rules.config}"
        )
        raise Blocked(msg, reason="SameNameExists", field="forProvider.name")


def _owner(visit: Visit, external_name: str) -> Claim | None:
    """Return the claim of another object that writes, or has lost the right to."""
    claims = visit.equipment.claims.claimants(visit.mr.kind, external_name)
    return next((one for one in claims if (one.writes or one.lost) and one.key != visit.mr.key), None)
