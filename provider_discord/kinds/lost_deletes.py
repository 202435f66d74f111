"""A channel that we began to delete is not listed any more, and no answer has said that it was deleted.

It was listed in the very pass that began to delete it, so either it is gone, by us or by somebody else, or it was
hidden from the bot since. Discord may deny a hidden channel as it denies one that is gone, but hiding leaves traces:
other roles or permissions of the bot's, a category that vanished with it, channels that still are in it. Where there are
none, all that is left is an overwrite that somebody set on this one channel within the time in which our DELETE got lost.
Then its object would go and the channel stay, unmanaged; nothing would be lost by that. So it counts as gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from provider_discord.discord.permissions import base_permissions, is_hidden
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds.visibility import Finding, Presence
from provider_discord.kinds.visit import Visit
from provider_discord.managed import meta
from provider_discord.managed.deletions import BegunDeletion


def sight(snapshot: GuildSnapshot) -> str:
    """Return what decides, beside a channel's own overwrites, whether the bot can see it: to compare, not to read."""
    roles = ",".join(sorted(str(role) for role in snapshot.member.get("roles") or ()))
    user = (snapshot.member.get("user") or {}).get("id")
    return sha256(f"{user} {base_permissions(snapshot):x} {roles}".encode()).hexdigest()[:16]


def after_delete(
    visit: Visit, guild_id: str, channel_id: str, *, begun: BegunDeletion, said: str
) -> tuple[Finding, Mapping[str, Any] | None]:
    """Decide about a channel that is not listed and that Discord says it does not know.

    Args:
        visit: The pass of an object that is being deleted.
        guild_id: The guild.
        channel_id: The channel.
        begun: The record of its deletion.
        said: Discord's message.

    Returns:
        What is known of it now, and the channel, should it be listed again.

    Raises:
        ManagedError: Discord can't tell now.
    """
    visit.snapshots.invalidate_member(guild_id)
    now = visit.look(guild_id, anew=True)
    channel = now.channels.get(channel_id)
    if channel is not None:
        return Finding(Presence.HIDDEN if is_hidden(channel) else Presence.LISTED), channel
    if sight(now) != begun.sight:
        doubt = "since its deletion was begun, the bot's roles or permissions have changed"
    elif any(str(raw.get("parent_id")) == channel_id for raw in now.channels.values()):
        doubt = "its deletion was begun, but there are channels in it"
    elif _category_is_out_of_sight(visit, now):
        doubt = "its deletion was begun, but the category that it was in is not listed either"
    else:
        return Finding(Presence.GONE, "its deletion was begun while it was listed"), None
    return Finding(Presence.UNKNOWN, f"{doubt}: Discord says: {said}"), None


def _category_is_out_of_sight(visit: Visit, now: GuildSnapshot) -> bool:
    """Tell whether the channel's category should be listed, since an object wants it, and is not."""
    mr = visit.mr
    parent = str(mr.at_provider.get("parentId") or "")
    listed = now.channels.get(parent)
    if not parent or (listed is not None and not is_hidden(listed)):
        return False
    owner = visit.equipment.claims.owner(mr.kind, parent)
    wanted = None if owner is None else visit.equipment.siblings.stores[mr.resource].get(owner.key)
    return wanted is not None and not meta.is_deleting(wanted)
