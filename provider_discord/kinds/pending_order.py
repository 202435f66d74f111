"""Changes of order that a guild's objects ask for, until one of them sends them all.

Sans I/O: it says when to send and to whom it falls, and remembers what Discord refused to move and why, so that one
such object does not spoil every bulk request.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from provider_discord.kinds.order import Gatherer
from provider_discord.kinds.timings import KindTimings

Items = Mapping[str, Any]
Keys = Mapping[str, int]


class PendingOrder:
    """The pending order of one token's guilds, for channels or for roles. Thread-safe."""

    def __init__(self, *, now: Callable[[], float], timings: KindTimings) -> None:
        self._now = now
        self._refused_for = timings.order_refused_seconds
        self._gatherer = Gatherer(
            quiet_seconds=timings.order_quiet_seconds, max_wait_seconds=timings.order_max_wait_seconds
        )
        self._lock = threading.Lock()
        self._asked: dict[str, set[str]] = {}
        self._refused: dict[str, tuple[float, str]] = {}
        self._wrong: dict[tuple[str, bool], tuple[Items, Keys, frozenset[str]]] = {}

    def ask(self, guild_id: str, object_id: str) -> float:
        """Note that an object's place is wrong; return the seconds until somebody should send.

        Only the first time that an object asks prolongs the quiet period: it asks again while it waits.
        """
        with self._lock:
            asked = self._asked.setdefault(guild_id, set())
            is_new = object_id not in asked
            asked.add(object_id)
        if is_new or self._gatherer.due(guild_id, self._now()) is None:
            self._gatherer.mark(guild_id, self._now())
        return self._gatherer.due(guild_id, self._now()) or 0.0

    def take(self, guild_id: str) -> bool:
        """Tell whether it falls to the caller to send the guild's order now; true for one caller only."""
        if not self._gatherer.take(guild_id):
            return False
        with self._lock:
            self._asked.pop(guild_id, None)
        return True

    def refuse(self, object_id: str, why: str) -> None:
        """Leave an object out for a while: Discord refuses to move it."""
        with self._lock:
            self._refused[object_id] = (self._now(), why)

    def why_refused(self, object_id: str) -> str | None:
        """Return why an object is left out; None: it is not."""
        with self._lock:
            found = self._refused.get(object_id)
            if found is None:
                return None
            if self._now() - found[0] >= self._refused_for:
                del self._refused[object_id]
                return None
            return found[1]

    def wrong(
        self, guild_id: str, *, polling: bool, items: Items, keys: Keys, find: Callable[[], frozenset[str]]
    ) -> frozenset[str]:
        """Return what stands wrong, worked out once for all objects of a guild that look at one picture of it.

        Args:
            guild_id: The guild.
            polling: Which of the two questions is asked; each has its own answer.
            items: The snapshot's channels or roles; known again by identity, since snapshots never change.
            keys: The sort keys.
            find: Works it out.
        """
        with self._lock:
            known = self._wrong.get((guild_id, polling))
        if known is not None and known[0] is items and known[1] == keys:
            return known[2]
        found = find()
        with self._lock:
            self._wrong[guild_id, polling] = (items, keys, found)
        return found

    def without_refused(self, keys: dict[str, int]) -> dict[str, int]:
        """Return the sort keys of those that may be moved."""
        with self._lock:
            if not self._refused:
                return keys
        return {object_id: key for object_id, key in keys.items() if self.why_refused(object_id) is None}
