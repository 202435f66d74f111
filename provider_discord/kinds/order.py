"""Order of channels and roles: sort keys in manifests become the fewest positions in one bulk PATCH.

Discord's ``position`` is a bare number: shared, with gaps, and renumbered at will. What people mean by it is an
order, so a manifest's position is a *sort key* among the managed siblings, and drift is a wrong relative order and
nothing else. Siblings are the channels of one parent that Discord shows in one block (categories among
themselves; voice and stage below the text-like ones), and the roles below the bot's own.

What a plan guarantees, if Discord keeps the order of the numbers that it is given:

* Applied in one call it is settled: planning again gives nothing, also where numbers were tied before, whether
  Discord stores the numbers verbatim or renumbers.
* Managed objects are permuted within the places that they hold, so every other object keeps its place among its
  siblings, in number as in order, and so do managed ones with equal keys among themselves.
* The number of another object changes only where it is tied with its neighbours, or they are too close, so that
  there is no number for what belongs between them. First as few of the others as possible are written, then as few
  objects as possible.
* A number that is written never ties with a neighbour's, so that nothing depends on how ties are broken; except
  below a bot whose role stands too low for that, where a second call may be needed if Discord breaks them
  otherwise. Ties that stand and stand right are left alone.

Tie rules: Discord docs, resources/channel ("position ... channels with the same position are sorted by id") and
discord-api-docs#6947; of two roles the older is the higher one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from provider_discord.apis.fields import ChannelType
from provider_discord.discord.permissions import rank

Raw = Mapping[str, Any]

_VOICE: Final = frozenset({ChannelType.VOICE, ChannelType.STAGE})
_THREADS: Final = frozenset({10, 11, 12})
_FAR: Final = (1 << 31) - 1
"""The highest position there can be: Discord's are 32-bit (OpenAPI document)."""
_SHOWN: Final = 3
_YOUNGEST: Final = 1 << 64

Block = tuple[str, str]


@dataclass(frozen=True, slots=True)
class PositionEntry:
    """One entry of a bulk PATCH of positions."""

    id: str
    position: int

    def to_raw(self) -> dict[str, Any]:
        """Return the entry as it stands in the request."""
        return {"id": self.id, "position": self.position}


@dataclass(frozen=True, slots=True)
class _Item:
    """One sibling. ``age`` orders those with one position, ascending."""

    id: str
    position: int
    age: int

    @property
    def place(self) -> tuple[int, int]:
        return self.position, self.age


def plan_channel_order(channels_raw: Iterable[Raw], keys: Mapping[str, int]) -> list[PositionEntry]:
    """Return the entries for one ``PATCH /guilds/{id}/channels`` that puts the managed channels in order.

    Args:
        channels_raw: The guild's channels as listed.
        keys: Sort key of each channel that is ours to move, by id; the lower one is shown above. Channels that
            are not listed, and keys of unknown channels, count for nothing.
    """
    entries: list[PositionEntry] = []
    for siblings in _channel_groups(channels_raw):
        order = _ordered(siblings, keys)
        if order != siblings:
            entries += _renumbered(order, keys, floor=0) or []
    return entries


def plan_role_order(
    roles_raw: Iterable[Raw], keys: Mapping[str, int], *, bot_top: Raw
) -> list[PositionEntry]:
    """Return the entries for one ``PATCH /guilds/{id}/roles`` that puts the managed roles in order.

    Only roles below the bot's highest role are ordered, never @everyone. Where the bot's role stands so low that
    there are fewer numbers below it than roles (all new roles share position 1), ties that come out right are
    used; if even that does not do, every role is numbered anew, those above the bot in their order: as clients do
    with any move. Discord may refuse that with 50013; then the remedy is to drag the bot's role higher once.

    Args:
        roles_raw: All roles of the guild.
        keys: Sort key of each role that is ours to move, by id; the higher one stands higher.
        bot_top: The bot's highest role.
    """
    below, above = _roles(roles_raw, bot_top)
    order = _ordered(below, keys)
    if order == below:
        return []
    ceiling = int(bot_top["position"]) - 1
    entries = _renumbered(order, keys, floor=1, ceiling=ceiling)
    if entries is None:
        entries = _squeezed(order, ceiling=ceiling)
    if entries is None:
        entries = [PositionEntry(item.id, position) for position, item in enumerate(order + above, start=1)]
    return entries


def misplaced_channels(channels_raw: Iterable[Raw], keys: Mapping[str, int]) -> frozenset[str]:
    """Return the managed channels that stand on the wrong side of another managed sibling.

    Both sides of such a pair are in it, so that whichever is looked at first sees what is to be put right.
    """
    return frozenset(one for siblings in _channel_groups(channels_raw) for one in _inverted(siblings, keys))


def misplaced_roles(roles_raw: Iterable[Raw], keys: Mapping[str, int], *, bot_top: Raw) -> frozenset[str]:
    """Return the managed roles below the bot that stand on the wrong side of another one; see misplaced_channels."""
    return frozenset(_inverted(_roles(roles_raw, bot_top)[0], keys))


def moved_channels(channels_raw: Iterable[Raw], keys: Mapping[str, int]) -> frozenset[str]:
    """Return the fewest managed channels whose being moved accounts for the disorder.

    One channel dragged over twenty others misplaces twenty-one, and moved is one: this is what to count.
    """
    return frozenset(one for siblings in _channel_groups(channels_raw) for one in _moved(siblings, keys))


def moved_roles(roles_raw: Iterable[Raw], keys: Mapping[str, int], *, bot_top: Raw) -> frozenset[str]:
    """Return the fewest managed roles whose being moved accounts for the disorder; see moved_channels."""
    return frozenset(_moved(_roles(roles_raw, bot_top)[0], keys))


def channel_place(
    channel_id: str, channels_raw: Iterable[Raw], keys: Mapping[str, int]
) -> tuple[str, str] | None:
    """Say where a managed channel stands and where it shall: ``("below general", "above general")``.

    None if it stands right among its managed siblings, or is not one of them: cheap enough to ask at every look.
    """
    channels = list(channels_raw)
    block = next((channel_block(channel) for channel in channels if str(channel["id"]) == channel_id), None)
    if block is None or channel_id not in keys:
        return None
    beside = [
        channel for channel in channels if channel_block(channel) == block and str(channel["id"]) in keys
    ]
    siblings = sorted((_channel_item(channel) for channel in beside), key=lambda item: item.place)
    behind, before = _stands(channel_id, siblings, keys)
    if not behind and not before:
        return None
    names = {str(channel["id"]): str(channel.get("name")) for channel in beside}
    return (
        _in_words((("below", behind), ("above", before)), names),
        _in_words((("above", behind), ("below", before)), names),
    )


def role_place(
    role_id: str, roles_raw: Iterable[Raw], keys: Mapping[str, int], *, bot_top: Raw
) -> tuple[str, str] | None:
    """Say where a managed role below the bot stands and where it shall; see channel_place."""
    roles = list(roles_raw)
    behind, before = _stands(role_id, _roles(roles, bot_top)[0], keys)
    if not behind and not before:
        return None
    names = {str(role["id"]): str(role.get("name")) for role in roles}
    return (
        _in_words((("above", behind), ("below", before)), names),
        _in_words((("below", behind), ("above", before)), names),
    )


def _channel_groups(channels_raw: Iterable[Raw]) -> list[list[_Item]]:
    """Return the channels of each block that Discord sorts by itself, from top to bottom."""
    groups: dict[Block, list[_Item]] = {}
    for channel in channels_raw:
        block = channel_block(channel)
        if block is not None:
            groups.setdefault(block, []).append(_channel_item(channel))
    return [sorted(group, key=lambda item: item.place) for group in groups.values()]


def channel_block(channel: Raw) -> Block | None:
    """Return what a channel's siblings have in common: parent and sort, which are shown together; None for a thread."""
    kind = channel.get("type")
    if kind in _THREADS:
        return None
    if kind == ChannelType.CATEGORY:
        return "", "category"
    return str(channel.get("parent_id") or ""), "voice" if kind in _VOICE else "text"


def _channel_item(channel: Raw) -> _Item:
    return _Item(id=str(channel["id"]), position=int(channel.get("position") or 0), age=int(channel["id"]))


def _roles(roles_raw: Iterable[Raw], bot_top: Raw) -> tuple[list[_Item], list[_Item]]:
    """Return the roles below the bot's highest one, without @everyone, and the others, each from the lowest up."""
    below: list[_Item] = []
    above: list[_Item] = []
    for role in roles_raw:
        position, age = rank(role)
        item = _Item(id=str(role["id"]), position=position, age=age)
        if item.place >= rank(bot_top):
            above.append(item)
        elif not (position == 0 and role.get("name") == "@everyone"):
            below.append(item)
    return sorted(below, key=lambda item: item.place), sorted(above, key=lambda item: item.place)


def _ordered(siblings: Sequence[_Item], keys: Mapping[str, int]) -> list[_Item]:
    """Return the siblings with the managed ones sorted into the places that these hold together."""
    managed = iter(sorted((item for item in siblings if item.id in keys), key=lambda item: keys[item.id]))
    return [next(managed) if item.id in keys else item for item in siblings]


def _renumbered(
    order: Sequence[_Item], keys: Mapping[str, int], *, floor: int, ceiling: int = _FAR
) -> list[PositionEntry] | None:
    """Return the positions to write, each strictly between its neighbours'; None if there is no room for that."""
    kept = _kept(order, keys, floor=floor, ceiling=ceiling)
    if kept is None:
        return None
    slots = sorted(item.position for item in order)
    entries: list[PositionEntry] = []
    last, start = floor - 1, 0
    for stop in [*kept, len(order)]:
        limit = order[stop].position if stop < len(order) else ceiling + 1
        for index in range(start, stop):
            # The number that its place had, where that fits: it disturbs least what we cannot see.
            last = max(last + 1, min(slots[index], limit - (stop - index)))
            entries.append(PositionEntry(order[index].id, last))
        last, start = limit, stop + 1
    return entries


def _kept(order: Sequence[_Item], keys: Mapping[str, int], *, floor: int, ceiling: int) -> list[int] | None:
    """Return the indexes of the items that keep their number: most of those not ours, then most of all.

    The best chain in which each follows the one before it with room for what is to come between; None if there is
    no room even when all numbers are written.
    """
    count = len(order)
    best: list[_Chain | None] = []
    complete = _Chain(0, 0, None) if count <= ceiling - floor + 1 else None
    for index, item in enumerate(order):
        starts = _Chain(0, 0, None) if item.position - index >= floor else None
        follows = (
            _Chain(chain.others, chain.total, before)
            for before, chain in enumerate(best)
            if chain is not None and _follows(order, before, index)
        )
        chain = max((one for one in (starts, *follows) if one is not None), key=_Chain.worth, default=None)
        if chain is not None:
            others = chain.others + (item.id not in keys)
            chain = _Chain(others, chain.total + 1, chain.before)
            # The last may keep a number that it shares with the bot's role: it was found to be below that.
            if index == count - 1 or item.position + count - 1 - index <= ceiling:
                end = _Chain(chain.others, chain.total, index)
                complete = end if complete is None else max(complete, end, key=_Chain.worth)
        best.append(chain)
    if complete is None:
        return None
    indexes: list[int] = []
    last = complete.before
    while last is not None:
        indexes.append(last)
        chain = best[last]
        assert chain is not None
        last = chain.before
    return indexes[::-1]


@dataclass(frozen=True, slots=True)
class _Chain:
    """A chain of items that keep their numbers: how many are not ours, how many in all, and the one before the last."""

    others: int
    total: int
    before: int | None

    def worth(self) -> tuple[int, int]:
        return self.others, self.total


def _follows(order: Sequence[_Item], before: int, after: int) -> bool:
    """Tell whether both can keep their numbers, and all between them have room for theirs."""
    one, other = order[before], order[after]
    if after == before + 1:
        return one.place < other.place
    return other.position - one.position >= after - before


def _squeezed(order: Sequence[_Item], *, ceiling: int) -> list[PositionEntry] | None:
    """Return the positions to write where ties that come out right save numbers; None if there is no room even so."""
    lowest: list[_Item] = []
    for item in order:
        position = 1
        if lowest:
            position = lowest[-1].position + (lowest[-1].age >= item.age)
        lowest.append(_Item(item.id, position, item.age))
    if lowest[-1].position > ceiling:
        return None
    entries: list[PositionEntry] = []
    top, follower = ceiling, _YOUNGEST
    for item, low in zip(reversed(order), reversed(lowest), strict=True):
        top -= item.age >= follower
        position = min(max(item.position, low.position), top)
        if position != item.position:
            entries.append(PositionEntry(item.id, position))
        top, follower = position, item.age
    return entries[::-1]


def _inverted(siblings: Sequence[_Item], keys: Mapping[str, int]) -> list[str]:
    """Return the managed siblings that stand before a lower or behind a higher key."""
    managed = [item for item in siblings if item.id in keys]
    found: set[str] = set()
    for items, sign in ((managed, 1), (managed[::-1], -1)):
        highest: int | None = None
        for item in items:
            key = keys[item.id] * sign
            if highest is not None and key < highest:
                found.add(item.id)
            highest = key if highest is None else max(highest, key)
    return [item.id for item in managed if item.id in found]


def _moved(siblings: Sequence[_Item], keys: Mapping[str, int]) -> list[str]:
    """Return the managed siblings outside a longest sequence of them that is in order."""
    managed = [item for item in siblings if item.id in keys]
    ends: list[int] = []
    ending_at: list[int] = []
    before: list[int | None] = []
    for index, item in enumerate(managed):
        length = bisect_right(ends, keys[item.id])
        before.append(ending_at[length - 1] if length else None)
        ends[length:] = [keys[item.id], *ends[length + 1 :]]
        ending_at[length:] = [index, *ending_at[length + 1 :]]
    in_order: set[int] = set()
    last = ending_at[-1] if ending_at else None
    while last is not None:
        in_order.add(last)
        last = before[last]
    return [item.id for index, item in enumerate(managed) if index not in in_order]


def _stands(item_id: str, siblings: Sequence[_Item], keys: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """Return the siblings that a managed one wrongly stands behind, and those that it wrongly stands before."""
    place = next((index for index, item in enumerate(siblings) if item.id == item_id), None)
    if place is None or item_id not in keys:
        return [], []
    key = keys[item_id]
    behind = [item.id for item in siblings[:place] if keys.get(item.id, key) > key]
    before = [item.id for item in siblings[place + 1 :] if keys.get(item.id, key) < key]
    return behind, before


def _in_words(parts: Iterable[tuple[str, Sequence[str]]], names: Mapping[str, str]) -> str:
    """Return ``above general, rules and 3 more; below help``."""
    words = []
    for word, ids in parts:
        if ids:
            shown = ", ".join(names.get(one, one) for one in ids[:_SHOWN])
            more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
            words.append(f"{word} {shown}{more}")
    return "; ".join(words)
