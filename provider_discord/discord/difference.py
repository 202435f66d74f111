"""What differs between two pictures of a guild, as far as somebody must look at it again.

Counts and last messages change by themselves. A *position* is a bare number that Discord renumbers at will, after
our own bulk writes too: what people mean by it is the order, so a number that leaves the order of the siblings as it
was is no news. Without that, one channel made or moved would wake every object of the guild.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Json = Mapping[str, Any]

_VOLATILE_CHANNEL = frozenset(
    {"last_message_id", "last_pin_timestamp", "message_count", "total_message_sent", "position"}
)
_VOLATILE_ROLE = frozenset({"position"})
_VOLATILE_GUILD = frozenset(
    {
        "roles",
        "emojis",
        "stickers",
        "approximate_member_count",
        "approximate_presence_count",
        "premium_subscription_count",
    }
)
_CATEGORY = 4
_VOICE = frozenset({2, 13})


class Picture(Protocol):
    """A guild at one moment; ``discord.snapshot.GuildSnapshot`` is one."""

    @property
    def guild(self) -> Json:
        """The guild object."""

    @property
    def channels(self) -> Mapping[str, Json]:
        """Channels by id."""

    @property
    def roles(self) -> Mapping[str, Json]:
        """Roles by id."""


@dataclass(frozen=True, slots=True)
class SnapshotChange:
    """What a refresh showed that our own writes do not explain.

    Attributes:
        channel_ids: Channels that appeared, changed, stand elsewhere among their siblings or are no longer listed.
        role_ids: Roles that appeared, changed, stand elsewhere or are gone.
        guild_changed: Whether the guild's own settings changed.
    """

    channel_ids: frozenset[str] = frozenset()
    role_ids: frozenset[str] = frozenset()
    guild_changed: bool = False

    def __bool__(self) -> bool:
        return bool(self.channel_ids or self.role_ids or self.guild_changed)


def difference(before: Picture, after: Picture) -> SnapshotChange:
    """Return what differs, leaving out what changes by itself: counts, last messages, numbers of an order that stays."""
    return SnapshotChange(
        channel_ids=_changed(before.channels, after.channels, _VOLATILE_CHANNEL)
        | _moved(before.channels, after.channels, block=_block, place=_channel_place),
        role_ids=_changed(before.roles, after.roles, _VOLATILE_ROLE)
        | _moved(before.roles, after.roles, block=lambda _role: None, place=_role_place),
        guild_changed=_without(before.guild, _VOLATILE_GUILD) != _without(after.guild, _VOLATILE_GUILD),
    )


def _changed(
    before: Mapping[str, Json], after: Mapping[str, Json], volatile: frozenset[str]
) -> frozenset[str]:
    return frozenset(
        key
        for key in before.keys() | after.keys()
        if (was := before.get(key)) is not (now := after.get(key))
        and (was is None or now is None or _without(was, volatile) != _without(now, volatile))
    )


def _moved(
    before: Mapping[str, Json],
    after: Mapping[str, Json],
    *,
    block: Callable[[Json], Hashable],
    place: Callable[[Json], tuple[int, int]],
) -> frozenset[str]:
    """Return what stands elsewhere among those siblings that both pictures show."""
    both = before.keys() & after.keys()
    if all(before[key].get("position") == after[key].get("position") for key in both):
        return frozenset()
    siblings: dict[Hashable, list[str]] = {}
    for key in both:
        where = block(after[key])
        if where == block(before[key]):
            siblings.setdefault(where, []).append(key)
    found: set[str] = set()
    for keys in siblings.values():
        was = sorted(keys, key=lambda key: place(before[key]))
        now = sorted(keys, key=lambda key: place(after[key]))
        found |= {one for one, other in zip(was, now, strict=True) if one != other}
    return frozenset(found)


def _block(channel: Json) -> Hashable:
    """Return the parent and the sort of channel that are shown together (Discord docs, resources/channel)."""
    kind = channel.get("type")
    if kind == _CATEGORY:
        return "category"
    return channel.get("parent_id"), kind in _VOICE


def _channel_place(channel: Json) -> tuple[int, int]:
    return int(channel.get("position") or 0), int(channel["id"])


def _role_place(role: Json) -> tuple[int, int]:
    return int(role.get("position") or 0), -int(role["id"])


def _without(value: Json, volatile: frozenset[str]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key not in volatile}
