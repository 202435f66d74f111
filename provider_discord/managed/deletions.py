"""The record of a delete on the object itself: evidence for whoever finds the thing missing, and does not know why.

A delete whose answer is lost (a connection cut, a process killed) leaves a thing of which nobody can tell whether it
is gone or merely out of sight. So before the request leaves, the object says that it does: of which external resource,
for which object, and by what the provider could see it then. What may follow from that, the kind decides.

The record is about one external name and one UID, so a copy of the annotation, or one from a backup, says nothing. It
is withdrawn when the delete is refused: what is missing later was not deleted by us. While it is merely tried again
(a rate limit, no answer) it stays.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from provider_discord.managed import meta
from provider_discord.managed.resource import ManagedResource


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunDeletion:
    """A delete that was about to be sent, and was not refused as far as is known.

    Attributes:
        sight: By what the external resource could be seen then, in the kind's own words.
    """

    sight: str


def begun_deletion(mr: ManagedResource) -> BegunDeletion | None:
    """Read the record of an object that is being deleted; None: there is none that is about it as it is now."""
    text = mr.annotations.get(meta.DELETE_ATTEMPT)
    if text is None or not mr.deleting or mr.external_name is None:
        return None
    record = meta.parse_record(text)
    if (record.get("id"), record.get("uid")) != (mr.external_name, mr.uid):
        return None
    return BegunDeletion(sight=str(record.get("sight") or ""))


def begun(mr: ManagedResource, *, sight: str, at: datetime) -> dict[str, str | None]:
    """Return the annotations to set before the request is sent; those that are there, where they say the same."""
    known = begun_deletion(mr)
    if known is not None and known.sight == sight:
        return {meta.DELETE_ATTEMPT: mr.annotations[meta.DELETE_ATTEMPT]}
    record = {"id": mr.external_name, "uid": mr.uid, "started": meta.to_rfc3339_micro(at), "sight": sight}
    return {meta.DELETE_ATTEMPT: json.dumps(record, separators=(",", ":"))}


def withdrawn() -> dict[str, str | None]:
    """Return the annotations after a delete that was refused: nothing was deleted."""
    return {meta.DELETE_ATTEMPT: None}
