"""Looking for a channel that its guild's list does not show; see ``visibility`` for what the answers mean."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any, Final

from provider_discord.discord import errors as discord
from provider_discord.discord import snowflake
from provider_discord.discord.permissions import (
    VIEW_CHANNEL,
    channel_permissions,
    is_administrator,
    is_hidden,
)
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds.audit_log import Action, may_read_audit_log
from provider_discord.kinds.deletion_log import take_in_deletions
from provider_discord.kinds.lost_deletes import after_delete
from provider_discord.kinds.outcomes import UNKNOWN_CHANNEL, translated
from provider_discord.kinds.visibility import Finding, Presence
from provider_discord.kinds.visit import Visit
from provider_discord.managed import deletions, meta
from provider_discord.managed.errors import Blocked

_LATER: Final = "it will be looked for at a later poll"


def find_unlisted(visit: Visit, snapshot: GuildSnapshot, channel_id: str) -> Mapping[str, Any] | None:
    """Find out about a channel that is not listed.

    Returns:
        The channel, if it turns out to be there and visible after all; None: it is gone for certain, or, to an
        object that is being deleted, not there.

    Raises:
        Blocked: It is hidden, or hidden or gone, or another guild's, or as far as can be told there never was one.
        ManagedError: Discord can't tell now.
    """
    visibility = visit.connection.visibility
    finding = visibility.known(channel_id)
    channel: Mapping[str, Any] | None = None
    if finding is None:
        with translated(f"looking for channel {channel_id}"):
            finding, channel = _look(visit, snapshot, channel_id)
    if finding.presence is Presence.ABSENT and was_there(
        visit, snapshot.guild_id, channel_id, listed=lambda now: now.channels
    ):
        visibility.gone([channel_id], finding.detail)
        return None
    if finding.presence is Presence.GONE or (finding.presence is Presence.ABSENT and visit.mr.deleting):
        return None
    if finding.presence is Presence.LISTED and channel is not None:
        return channel
    raise Blocked(visit.with_way_out(_explain(channel_id, finding, snapshot)), reason=_reason(finding))


def was_there(
    visit: Visit, guild_id: str, thing_id: str, *, listed: Callable[[GuildSnapshot], Collection[str]]
) -> bool:
    """Tell whether this object has seen, or made, a channel or role, be it there or not.

    Its status tells, or this process's memory, or where the process died between the two: the object's record of a
    create that succeeded.

    Args:
        visit: The pass.
        guild_id: The guild.
        thing_id: The external name.
        listed: Takes the ids of the things of this kind out of a snapshot.

    Raises:
        ManagedError: Discord can't tell now.
    """
    seen, maker = visit.mr.at_provider, visit.connection.made.get(thing_id)
    if seen.get("id") == thing_id or (maker is not None and maker[0] == visit.mr.uid):
        return True
    return _is_on_record(visit, guild_id, thing_id, listed=listed)


def _is_on_record(
    visit: Visit, guild_id: str, thing_id: str, *, listed: Callable[[GuildSnapshot], Collection[str]]
) -> bool:
    """Tell whether the object's annotations say that it made the thing, and nothing speaks against it.

    Backups keep them and people copy them, and then they are about another guild, or another time: so the object must be
    older than the create. The thing must be of the create's time; but an id with a wrong digit at its end was made in
    the same second, so there must be nothing of that time that nobody claims.
    """
    mr, skew = visit.mr, timedelta(seconds=visit.timings.audit_skew_seconds)
    begun = meta.from_rfc3339(mr.annotations.get(meta.CREATE_PENDING))
    ended = meta.from_rfc3339(mr.annotations.get(meta.CREATE_SUCCEEDED))
    if begun is None or ended is None or ended < mr.created_at:
        return False
    if mr.at_provider.get("guildId") not in {None, guild_id}:
        return False
    # The annotations have whole seconds.
    first, end = snowflake.first_at(begun - skew), snowflake.first_at(ended + skew + timedelta(seconds=1))
    if not first <= int(thing_id) < end:
        return False
    now = listed(visit.look(guild_id, decisive=True))
    others = (found for found in now if found != thing_id)
    return not any(first <= int(found) < end and not visit.claimed_by_others(found) for found in others)


def _look(visit: Visit, snapshot: GuildSnapshot, channel_id: str) -> tuple[Finding, Mapping[str, Any] | None]:
    """Read the audit log and probe the channel, as far as the guild's turns allow."""
    visibility, guild_id = visit.connection.visibility, snapshot.guild_id
    take_in_deletions(visit, snapshot, channel_id, action=Action.CHANNEL_DELETE, listed=snapshot.channels)
    known = visibility.known(channel_id)
    if known is not None and known.presence is Presence.GONE:
        return known, None
    if not visibility.may_probe(guild_id, channel_id):
        return visibility.last(channel_id) or Finding(Presence.UNKNOWN, _LATER), None
    finding, channel = _probe(visit, snapshot, channel_id)
    if finding.presence is Presence.GONE:
        visibility.gone([channel_id], finding.detail)
    elif finding.presence is not Presence.LISTED:
        visibility.undecided(channel_id, finding)
    return finding, channel


def _probe(
    visit: Visit, snapshot: GuildSnapshot, channel_id: str
) -> tuple[Finding, Mapping[str, Any] | None]:
    """GET the channel."""
    try:
        channel = visit.client.channel(channel_id, options=visit.options())
    except discord.NotFound as error:
        if error.code == UNKNOWN_CHANNEL and is_administrator(snapshot):
            return _confirmed(visit, snapshot.guild_id, channel_id)
        begun = deletions.begun_deletion(visit.mr)
        if error.code == UNKNOWN_CHANNEL and begun is not None:
            return after_delete(visit, snapshot.guild_id, channel_id, begun=begun, said=error.message)
        return Finding(Presence.UNKNOWN, f"Discord says: {error.message}"), None
    except discord.Forbidden as error:
        return Finding(Presence.HIDDEN, f"Discord says: {error.message}"), None
    elsewhere = str(channel.get("guild_id") or "")
    if elsewhere != snapshot.guild_id:
        return Finding(Presence.ELSEWHERE, elsewhere), None
    if is_hidden(channel) or not channel_permissions(snapshot, channel) & VIEW_CHANNEL:
        return Finding(Presence.HIDDEN, "Discord does not show its contents"), None
    visit.snapshots.record_channel(snapshot.guild_id, channel)
    return Finding(Presence.LISTED), channel


def _confirmed(visit: Visit, guild_id: str, channel_id: str) -> tuple[Finding, Mapping[str, Any] | None]:
    """Look once more at all that "not there" stands on: the list, and that the bot is an administrator *now*.

    Its own member is read rarely, and a bot that lost the role an hour ago would take every channel that is hidden
    from it since then for deleted.
    """
    visit.snapshots.invalidate_member(guild_id)
    now = visit.look(guild_id, anew=True)
    channel = now.channels.get(channel_id)
    if channel is not None and not is_hidden(channel):
        return Finding(Presence.LISTED), channel
    if channel is None and is_administrator(now):
        return Finding(Presence.ABSENT, "Discord does not know it, and nothing is hidden from the bot"), None
    return Finding(Presence.UNKNOWN, "the bot is no administrator any more"), None


def _reason(finding: Finding) -> str:
    wrong = finding.presence in {Presence.ELSEWHERE, Presence.ABSENT}
    return "ExternalNameInvalid" if wrong else "HiddenOrGone"


def _explain(channel_id: str, finding: Finding, snapshot: GuildSnapshot) -> str:
    annotation = "the annotation crossplane.io/external-name"
    if finding.presence is Presence.ELSEWHERE:
        where = f"guild {finding.detail}" if finding.detail else "no guild"
        return (
            f"channel {channel_id} belongs to {where}, not to guild {snapshot.guild_id}: correct {annotation} or "
            f"spec.forProvider.guildId"
        )
    if finding.presence is Presence.ABSENT:
        return (
            f"no channel {channel_id} is known: Discord has none, this object never saw it, and the audit log does not "
            f"show its deletion: correct {annotation}, or remove it to make a new channel"
        )
    if finding.presence is Presence.HIDDEN:
        return (
            f"channel {channel_id} is hidden from the bot: give the bot View Channel there (an overwrite for its "
            f"role), or remove {annotation} to make a new one: {finding.detail}"
        )
    if finding.detail == _LATER:
        return f"channel {channel_id} is not listed and was not looked for yet: nothing is done until then; {_LATER}"
    tell = "Administrator" if may_read_audit_log(snapshot) else "View Audit Log (or Administrator)"
    return (
        f"channel {channel_id} is not listed: hidden from the bot, or deleted. Nothing is done until that is "
        f"certain; {tell} would tell. Mind a typo in {annotation}. If it was deleted, remove {annotation} to make a new one; if not, give the "
        f"bot View Channel there: {finding.detail}"
    )
