"""Two objects that want the same thing: same guild, same type, same place, same name.

Discord would let both be made, and nobody wants two "general": the manifests were applied in a second namespace, or the
object was renamed in Git and the old one is kept by its history. So what another object stands for, and its manifest
wants so, is not made again beside it, unless the ProviderConfig says ``adoption: CreateNew``.

Objects that are applied together are created at the same time by several workers, so those of one name go one after the
other: the second one finds what the first has made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from provider_discord.discord.snowflake import is_snowflake
from provider_discord.kinds import names
from provider_discord.kinds.session import Adoption
from provider_discord.kinds.visit import Visit
from provider_discord.managed import meta
from provider_discord.managed.claims import Claim
from provider_discord.managed.errors import Blocked, Waiting
from provider_discord.managed.resource import ManagedResource

Json = Mapping[str, Any]
_TEXT_LIKE: Final = 0
_AGAIN_SECONDS: Final = 1.0


@contextmanager
def alone(visit: Visit) -> Iterator[None]:
    """Keep every other object of this kind, guild and name from creating meanwhile.

    Raises:
        Waiting: Another one creates.
    """
    mr = visit.mr
    name = names.channel_name_key(str(mr.for_provider.get("name") or ""), _TEXT_LIKE).casefold()
    entry = (mr.kind, visit.guild_id(), name)
    if not visit.equipment.making.begin(entry):
        msg = "another object of this name is being created"
        raise Waiting(msg, retry_after=_AGAIN_SECONDS, quiet=True)
    try:
        yield
    finally:
        visit.equipment.making.end(entry)


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
