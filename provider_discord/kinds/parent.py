"""The category that a channel shall be in, where it is not listed.

A category that is deleted by its object takes the parent from its channels: that is our own doing, so no drift, and
asking Discord for a parent that is gone is of no use. The channels wait for what becomes of the category: nobody knows
how long, so they say so, and look again with a poll; a category that comes back under another id wakes them.
"""

from __future__ import annotations

import math

from provider_discord.apis.kinds import CHANNEL
from provider_discord.discord.permissions import is_administrator
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds.visibility import Presence
from provider_discord.kinds.visit import Visit
from provider_discord.managed import meta
from provider_discord.managed.errors import Blocked, ManagedError, Waiting


def check_going(visit: Visit, snapshot: GuildSnapshot, parent_id: str | None) -> None:
    """Raise Waiting where the category is gone because the object that stands for it is being deleted."""
    if not parent_id or parent_id in snapshot.channels:
        return
    owner = visit.equipment.claims.owner(CHANNEL.kind, parent_id)
    obj = visit.equipment.siblings.stores[visit.mr.resource].get(owner.key) if owner is not None else None
    if obj is not None and meta.is_deleting(obj):
        msg = f"its category {parent_id} is gone, for {owner} is being deleted: waiting for another parent"
        raise Waiting(msg, retry_after=math.inf, quiet=True)


def why_not_there(visit: Visit, snapshot: GuildSnapshot, parent_id: str | None) -> ManagedError | None:
    """Return why a channel can't be put into a category: as far as is known the guild has none of that id."""
    if not parent_id or parent_id in snapshot.channels:
        return None
    owner = visit.equipment.claims.owner(CHANNEL.kind, parent_id)
    if owner is not None:
        msg = f"its category {parent_id} is not there at the moment; waiting for {owner}"
        return Waiting(msg, retry_after=math.inf, quiet=True)
    known = visit.connection.visibility.known(parent_id)
    if known is not None and known.presence is Presence.GONE:
        what = f"channel {parent_id} is gone ({known.detail})"
    elif is_administrator(snapshot):
        what = f"guild {snapshot.guild_id} has no channel {parent_id}"
    else:
        what = (
            f"guild {snapshot.guild_id} lists no channel {parent_id}: there is none, or it is hidden from the bot (give it View "
            f"Channel there)"
        )
    msg = f'spec.forProvider.parentId: {what}; give the id of a category of this guild, parentIdRef, or "" for none'
    return Blocked(msg, reason="InvalidField", field="forProvider.parentId")
