"""What a category holds, when it shall be deleted.

Discord deletes a category and leaves its channels: they lose their place, and what they copied from it is a copy of
nothing. So a category with channels that stay is guarded as a channel with messages is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from provider_discord.apis.kinds import CHANNEL
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds.visit import Visit
from provider_discord.kube.resource import Obj
from provider_discord.managed import meta
from provider_discord.managed.policies import Policies

Json = Mapping[str, Any]
_SHOWN: Final = 5


def holds(visit: Visit, snapshot: GuildSnapshot, category_id: str) -> str:
    """Say which channels of a category stay, as far as the bot sees them; "": none does.

    A channel goes with the category if the object that stands for it is being deleted too, and nothing is known that
    will keep the channel.
    """
    staying = [
        f"{raw.get('name')}"
        for raw in snapshot.channels.values()
        if str(raw.get("parent_id") or "") == category_id and not _goes(visit, raw)
    ]
    if not staying:
        return ""
    names = ", ".join(sorted(staying)[:_SHOWN]) + (" ..." if len(staying) > _SHOWN else "")
    return (
        f"holds a channel that stays ({names})"
        if len(staying) == 1
        else f"holds channels that stay ({names})"
    )


def _goes(visit: Visit, raw: Json) -> bool:
    resource, channel_id = visit.mr.resource, str(raw["id"])
    store = visit.equipment.siblings.stores[resource]
    owner = visit.equipment.claims.owner(CHANNEL.kind, channel_id)
    obj = store.get(owner.key) if owner is not None else None
    return obj is not None and _is_deleted(obj, written_in=raw.get("last_message_id") is not None)


def _is_deleted(obj: Obj, *, written_in: bool) -> bool:
    spec: Mapping[str, Any] = obj.get("spec") or {}
    if (
        not meta.is_deleting(obj)
        or meta.is_paused(obj)
        or not Policies.of(spec.get("managementPolicies")).deletes
    ):
        return False
    return not written_in or (spec.get("forProvider") or {}).get("allowDelete") is True
