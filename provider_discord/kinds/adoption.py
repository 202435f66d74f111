"""Something of the same name is there already, and it is not ours: adopt it, refuse, or go on as told.

Making a second "general" beside the first is the classic accident of such tools, and adopting a stranger's channel
would be worse. So by default nothing is done, and the condition names what was found and the ways out.

What the object's own status shows is no stranger's: an object that was replaced from a file, and so has lost its
annotation, finds it again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from provider_discord.kinds.session import Adoption
from provider_discord.kinds.visit import Visit
from provider_discord.managed.errors import Blocked, Waiting

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Match:
    """Something that answers to the manifest's name and that no object claims."""

    id: str
    name: str


def own_by_status(visit: Visit, listed: Collection[str], *, creating: bool = False) -> str | None:
    """Return the id that the object's status shows, if it is there and nobody else claims it by now.

    Args:
        visit: The pass of an object that has no external name, or that of something that is gone.
        listed: The ids of what is there and may be meant.
        creating: The create call comes next: nothing can be adopted any more in this pass.

    Raises:
        Waiting: Look again and adopt.
    """
    seen = str(visit.mr.at_provider.get("id") or "")
    if visit.mr.status.get("observedOnly"):
        return None  # Somebody pointed the object at it to look at it; that makes it nobody's.
    if seen not in listed or visit.claimed_by_others(seen):
        return None
    if creating:
        msg = f"{seen}, which status.atProvider shows, is there after all; it will be adopted again"
        raise Waiting(msg, retry_after=1.0, quiet=True)
    return seen


def same_name_check(
    visit: Visit, found: Sequence[Match], *, what: str, name: str, creating: bool
) -> str | None:
    """Decide about things of the same name.

    Args:
        visit: The pass; its ProviderConfig says what to do.
        found: What was found.
        what: The thing in words: "channel".
        name: The manifest's name.
        creating: The create call comes next: nothing can be adopted any more in this pass.

    Returns:
        The id to adopt; None: go on as if nothing had been found.

    Raises:
        Blocked: Nothing may be created.
        Waiting: Look again and adopt.
    """
    adoption = visit.rules.adoption
    if not found or adoption is Adoption.CREATE_NEW:
        return None
    if adoption is Adoption.BY_NAME and len(found) == 1:
        if not creating:
            return found[0].id
        msg = f"a {what} named {name!r} has just appeared ({found[0].id}); it will be adopted"
        raise Waiting(msg, retry_after=1.0, quiet=True)
    ids = ", ".join(match.id for match in found[:_SHOWN]) + (" ..." if len(found) > _SHOWN else "")
    config = visit.rules.config
    if len(found) == 1:
        ways = (
            f'to adopt it, set the annotation crossplane.io/external-name: "{found[0].id}", or spec.adoption: ByName '
            f"on ProviderConfig {config}; to make another one, spec.adoption: CreateNew"
        )
        msg = f"a {what} named {name!r} exists already and no object claims it, so none is created; {ways}: {ids}"
    else:
        ways = (
            f"to adopt one, set the annotation crossplane.io/external-name to its id; to make another one, set "
            f"spec.adoption: CreateNew on ProviderConfig {config}"
        )
        msg = f"{len(found)} {what}s named {name!r} exist already and no object claims them, so none is created; {ways}: {ids}"
    raise Blocked(msg, reason="SameNameExists", field="forProvider.name")
