"""Putting channels and roles in order: all pending changes of a guild in one bulk request.

An object that stands wrong does not move itself. It asks (``PendingOrder``), comes back when the gathering is over,
and the first to come back plans and sends for all. A bulk request that Discord refuses is sent again without the
offender: named by Discord where it tells the entry's index, else found by halves. Its object says so.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from provider_discord.discord import errors as discord
from provider_discord.discord.permissions import top_role
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds import order
from provider_discord.kinds.order import PositionEntry
from provider_discord.kinds.outcomes import translated
from provider_discord.kinds.pending_order import PendingOrder
from provider_discord.kinds.visit import Visit
from provider_discord.managed.errors import Blocked, ManagedError
from provider_discord.managed.external import Change, FieldDiff

_MAX_REQUESTS = 8


class Orderly(Protocol):
    """What differs between the order of channels and that of roles."""

    @property
    def noun(self) -> str:
        """What is ordered, in the plural."""

    @property
    def ranked(self) -> bool:
        """Whether a 403 can be one item's: Discord lets a bot move roles below its own, but channels all or none."""

    @property
    def remedy(self) -> str:
        """What to do when Discord says that a permission is missing."""

    def pending(self, visit: Visit) -> PendingOrder:
        """Return where changes of this order are gathered."""

    def items(self, snapshot: GuildSnapshot) -> Mapping[str, Any]:
        """Return what is ordered, by id."""

    def block(self, item: Mapping[str, Any]) -> Hashable:
        """Return what an item's siblings have in common."""

    def place(
        self, snapshot: GuildSnapshot, keys: Mapping[str, int], object_id: str
    ) -> tuple[str, str] | None:
        """Say in words where an object stands and where it shall; None: it stands right."""

    def misplaced(self, snapshot: GuildSnapshot, keys: Mapping[str, int]) -> frozenset[str]:
        """Return what stands wrong, on either side."""

    def moved(self, snapshot: GuildSnapshot, keys: Mapping[str, int]) -> frozenset[str]:
        """Return the fewest that must have been moved."""

    def plan(self, snapshot: GuildSnapshot, keys: Mapping[str, int]) -> Sequence[PositionEntry]:
        """Return what to send."""

    def send(self, visit: Visit, guild_id: str, entries: Sequence[Mapping[str, Any]]) -> None:
        """Send it and record it."""


@dataclass(frozen=True, slots=True)
class ChannelOrder:
    """Channels: siblings of one parent and class."""

    noun: str = "channels"
    ranked: bool = False
    remedy: str = "give the bot Manage Channels in the guild"

    def pending(self, visit: Visit) -> PendingOrder:
        """Return where changes of this order are gathered."""
        return visit.connection.channel_order

    def items(self, snapshot: GuildSnapshot) -> Mapping[str, Any]:
        """Return what is ordered, by id."""
        return snapshot.channels

    def block(self, item: Mapping[str, Any]) -> Hashable:
        """Return what an item's siblings have in common."""
        return order.channel_block(item)

    def place(
        self, snapshot: GuildSnapshot, keys: Mapping[str, int], object_id: str
    ) -> tuple[str, str] | None:
        """Say in words where a channel stands and where it shall."""
        return order.channel_place(object_id, snapshot.channels.values(), keys)

    def misplaced(self, snapshot: GuildSnapshot, keys: Mapping[str, int]) -> frozenset[str]:
        """Return what stands wrong."""
        return order.misplaced_channels(snapshot.channels.values(), keys)

    def moved(self, snapshot: GuildSnapshot, keys: Mapping[str, int]) -> frozenset[str]:
        """Return the fewest that must have been moved."""
        return order.moved_channels(snapshot.channels.values(), keys)

    def plan(self, snapshot: GuildSnapshot, keys: Mapping[str, int]) -> Sequence[PositionEntry]:
        """Return what to send."""
        return order.plan_channel_order(snapshot.channels.values(), keys)

    def send(self, visit: Visit, guild_id: str, entries: Sequence[Mapping[str, Any]]) -> None:
        """Send it and record it."""
        visit.client.modify_channel_positions(guild_id, list(entries), options=visit.options(writing=True))
        visit.snapshots.record_channel_positions(guild_id, entries)


@dataclass(frozen=True, slots=True)
class RoleOrder:
    """Roles: those below the bot's highest."""

    noun: str = "roles"
    ranked: bool = True
    remedy: str = (
        "drag the bot's own role to the top once (Server Settings > Roles), so that there is room below it"
    )

    def pending(self, visit: Visit) -> PendingOrder:
        """Return where changes of this order are gathered."""
        return visit.connection.role_order

    def items(self, snapshot: GuildSnapshot) -> Mapping[str, Any]:
        """Return what is ordered, by id."""
        return snapshot.roles

    def block(self, item: Mapping[str, Any]) -> Hashable:
        """Return what an item's siblings have in common: all roles are siblings."""
        del item
        return None

    def place(
        self, snapshot: GuildSnapshot, keys: Mapping[str, int], object_id: str
    ) -> tuple[str, str] | None:
        """Say in words where a role stands and where it shall."""
        return order.role_place(object_id, snapshot.roles.values(), keys, bot_top=top_role(snapshot))

    def misplaced(self, snapshot: GuildSnapshot, keys: Mapping[str, int]) -> frozenset[str]:
        """Return what stands wrong."""
        return order.misplaced_roles(snapshot.roles.values(), keys, bot_top=top_role(snapshot))

    def moved(self, snapshot: GuildSnapshot, keys: Mapping[str, int]) -> frozenset[str]:
        """Return the fewest that must have been moved."""
        return order.moved_roles(snapshot.roles.values(), keys, bot_top=top_role(snapshot))

    def plan(self, snapshot: GuildSnapshot, keys: Mapping[str, int]) -> Sequence[PositionEntry]:
        """Return what to send."""
        return order.plan_role_order(snapshot.roles.values(), keys, bot_top=top_role(snapshot))

    def send(self, visit: Visit, guild_id: str, entries: Sequence[Mapping[str, Any]]) -> None:
        """Send it and record it."""
        answer = visit.client.modify_role_positions(
            guild_id, list(entries), options=visit.options(writing=True)
        )
        visit.snapshots.record_role_positions(guild_id, answer or entries)


def position_diff(
    visit: Visit, what: Orderly, snapshot: GuildSnapshot, object_id: str, position: int | None
) -> FieldDiff | None:
    """Return the difference in ``position``: the object stands on the wrong side of a managed sibling.

    Args:
        visit: The pass.
        what: Channels or roles.
        snapshot: The guild.
        object_id: The object's Discord id.
        position: Its sort key; None: unmanaged.
    """
    if position is None:
        return None
    pending = what.pending(visit)
    keys = sort_keys(visit, snapshot.guild_id) | {object_id: position}
    if visit.equipment.holds.peek(snapshot.guild_id, visit.rules.config) is not None:
        keys = {**_without_dragged(visit, what, snapshot, keys), object_id: position}
    if pending.why_refused(object_id) is None:
        keys = pending.without_refused(keys)
    found = pending.look(
        snapshot.guild_id,
        polling=visit.polling,
        items=what.items(snapshot),
        keys=keys,
        block=what.block,
        misplaced=lambda keys: what.misplaced(snapshot, keys),
        moved=lambda keys: what.moved(snapshot, keys),
    )
    if object_id not in found.wrong:
        return None
    stands, shall = what.place(snapshot, keys, object_id) or ("out of order", f"by sort key {position}")
    return FieldDiff("position", stands, shall, own=object_id not in found.dragged)


def sort_keys(visit: Visit, guild_id: str) -> dict[str, int]:
    """Return the sort keys of the guild's managed objects of this kind, by Discord id."""
    return visit.equipment.siblings.sort_keys(visit.mr.resource, guild_id)


def _without_dragged(
    visit: Visit, what: Orderly, snapshot: GuildSnapshot, keys: Mapping[str, int]
) -> dict[str, int]:
    """Return the sort keys without what somebody has moved: in a held guild that stays where it is.

    What has another place now by its manifest finds it among those that stand right.
    """
    siblings = visit.equipment.siblings.of(visit.mr.resource, snapshot.guild_id)
    settled = {one.external_name for one in siblings if one.settled}
    unchanged = {object_id: key for object_id, key in keys.items() if object_id in settled}
    dragged = what.moved(snapshot, unchanged)
    return {object_id: key for object_id, key in keys.items() if object_id not in dragged}


def with_order(
    change: Change, visit: Visit, what: Orderly, guild_id: str, *, object_id: str, position: int | None
) -> Change:
    """Return a change together with what becomes of the object's place.

    Args:
        change: What was written before.
        visit: The pass.
        what: Channels or roles.
        guild_id: The guild.
        object_id: The object's Discord id.
        position: Its sort key, if it stands in the wrong place; None: it does not.

    Raises:
        ManagedError: See ``put_in_order``; not if something was written, which must not be forgotten: the order's
            trouble shows again at the next look.
    """
    if position is None:
        return change
    try:
        ordered = put_in_order(visit, what, visit.look(guild_id), object_id, position)
    except ManagedError:
        if not change.wrote:
            raise
        return replace(change, requeue_after_seconds=visit.timings.order_quiet_seconds)
    return replace(
        change,
        wrote=change.wrote or ordered.wrote,
        requeue_after_seconds=ordered.requeue_after_seconds,
    )


def put_in_order(
    visit: Visit, what: Orderly, snapshot: GuildSnapshot, object_id: str, position: int
) -> Change:
    """Ask for the object's place, and send the guild's order if that falls to this pass.

    Raises:
        Blocked: Discord refuses to move this object.
        ManagedError: see ``outcomes``.
    """
    guild_id, pending = snapshot.guild_id, what.pending(visit)
    _check_refused(pending, object_id)
    wait = pending.ask(guild_id, object_id)
    if wait > 0:
        return Change(wrote=False, requeue_after_seconds=wait)
    if not pending.take(guild_id):
        return Change(wrote=False, requeue_after_seconds=visit.timings.order_quiet_seconds)
    keys = pending.without_refused(sort_keys(visit, guild_id) | {object_id: position})
    with translated(f"ordering the {what.noun} of guild {guild_id}"):
        try:
            wrote = _Batch(visit, what, guild_id).settle(keys)
        except discord.DiscordError:
            pending.ask(guild_id, object_id)
            raise
    _check_refused(pending, object_id)
    return Change(wrote=wrote)


def _check_refused(pending: PendingOrder, object_id: str) -> None:
    why = pending.why_refused(object_id)
    if why is not None:
        msg = f"spec.forProvider.position: it can't be moved; {why}"
        raise Blocked(msg, reason="Refused", field="forProvider.position")


class _Batch:
    """One guild's order on its way, with a bound on the requests that a refusal may cost."""

    def __init__(self, visit: Visit, what: Orderly, guild_id: str) -> None:
        self._visit = visit
        self._what = what
        self._guild_id = guild_id
        self._requests = 0
        self._refused: set[str] = set()

    def settle(self, keys: dict[str, int]) -> bool:
        """Send what these objects need; return whether anything was written."""
        # The first look shows all that people did meanwhile; later ones have our own writes in addition, and what
        # Discord may have carried out of a request that it refused.
        snapshot = self._visit.look(self._guild_id, anew=self._requests == 0)
        others = _without_dragged(self._visit, self._what, snapshot, keys)
        if others != keys and self._visit.equipment.holds.ask(self._visit, snapshot) is not None:
            keys = others
        entries = [entry.to_raw() for entry in self._what.plan(snapshot, keys)]
        if not entries or self._requests >= _MAX_REQUESTS:
            return False
        self._requests += 1
        try:
            with self._visit.writing(self._guild_id):
                self._what.send(self._visit, self._guild_id, entries)
        except discord.Forbidden as error:
            if not self._what.ranked:
                raise
            return self._without_offender(error, keys, entries, self._what.misplaced(snapshot, keys))
        except discord.BadRequest as error:
            self._visit.snapshots.invalidate(self._guild_id)
            return self._without_offender(error, keys, entries, self._what.misplaced(snapshot, keys))
        return True

    def _without_offender(
        self,
        error: discord.ApiError,
        keys: dict[str, int],
        entries: Sequence[Mapping[str, Any]],
        misplaced: frozenset[str],
    ) -> bool:
        """Go on without what was refused: what Discord named, else what the halves show, else all of it."""
        offender = _named(error, entries)
        if offender in keys:
            self._refuse([offender], error)
            return self.settle({key: value for key, value in keys.items() if key != offender})
        involved = sorted(misplaced, key=lambda one: keys[one])
        refused_before, wrote = len(self._refused), False
        if len(involved) > 2:
            middle = len(involved) // 2
            for half in (involved[:middle], involved[middle:]):
                wrote = self.settle({one: keys[one] for one in half}) or wrote
        if wrote or len(self._refused) > refused_before:
            return wrote
        # Each half is right in itself, or there are no halves: the whole is refused, unless it was carried out all the same.
        still = self._what.misplaced(self._visit.look(self._guild_id), keys)
        self._refuse([one for one in involved if one in still], error)
        return not still

    def _refuse(self, object_ids: Sequence[str], error: discord.ApiError) -> None:
        remedy = f"{self._what.remedy}: " if isinstance(error, discord.Forbidden) else ""
        for object_id in object_ids:
            self._what.pending(self._visit).refuse(object_id, f"{remedy}Discord says: {error.message}")
            self._refused.add(object_id)


def _named(error: discord.ApiError, entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the id of the entry that Discord names by its index in a 50035, "" if it names none."""
    for field in error.fields:
        head = field.path.split(".", 1)[0]
        if head.isdigit() and int(head) < len(entries):
            return str(entries[int(head)]["id"])
    return ""
