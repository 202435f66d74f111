"""Changes of order that a guild's objects ask for, until one of them sends them all.

Sans I/O: it says when to send and to whom it falls, and remembers what Discord refused to move and why, so that one
such object does not spoil every bulk request. It also remembers which objects stood right among each other: if one of
them no longer does, and its manifest is the same, somebody moved it. An object that has just been made, or whose
sort key has changed, puts its neighbours out of order too, but nobody has touched them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from provider_discord.kinds.timings import KindTimings

Items = Mapping[str, Any]
Keys = Mapping[str, int]
Find = Callable[[Keys], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Disorder:
    """What stands wrong in a guild.

    Attributes:
        wrong: What is to be put right.
        dragged: Of all, the fewest that somebody must have moved; what we made or changed ourselves explains the rest.
    """

    wrong: frozenset[str]
    dragged: frozenset[str]


class Gatherer:
    """Gathers the changes of order of a guild, so that many objects share one bulk PATCH.

    A guild is due once nothing was marked for the quiet period, or the first mark is as old as the longest wait.
    Whoever finds it due takes it and plans for all. Instants are monotonic seconds of the caller's clock; every
    method may be called from any thread.
    """

    def __init__(self, *, quiet_seconds: float, max_wait_seconds: float) -> None:
        """Make a gatherer with nothing marked.

        Args:
            quiet_seconds: How long after a mark nothing further must come.
            max_wait_seconds: How long the first mark waits at most.
        """
        self._quiet_seconds = quiet_seconds
        self._max_wait_seconds = max_wait_seconds
        self._lock = threading.Lock()
        self._marks: dict[str, tuple[float, float]] = {}

    def mark(self, guild: str, now: float) -> None:
        """Note that the guild's order is to be put right."""
        with self._lock:
            first, _ = self._marks.get(guild, (now, now))
            self._marks[guild] = (first, now)

    def due(self, guild: str, now: float) -> float | None:
        """Return how many seconds remain until the guild is due: 0 when it is, None when nothing is marked."""
        with self._lock:
            marks = self._marks.get(guild)
        if marks is None:
            return None
        first, last = marks
        return max(0.0, min(last + self._quiet_seconds, first + self._max_wait_seconds) - now)

    def take(self, guild: str) -> bool:
        """Take the guild's marks away. True for one caller only: the one that now has to plan and write."""
        with self._lock:
            return self._marks.pop(guild, None) is not None


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
        self._looked: dict[tuple[str, bool], tuple[Items, Keys, Disorder]] = {}
        self._stood: dict[str, dict[str, tuple[int, Hashable]]] = {}
        """Sort key and block of what stood right when last looked at, by guild and id."""

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
            # What is sent may go through in part; how things stand afterwards is our doing until they stand right.
            self._stood[guild_id] = {}
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

    def look(
        self,
        guild_id: str,
        *,
        polling: bool,
        items: Items,
        keys: Keys,
        block: Callable[[Any], Hashable],
        misplaced: Find,
        moved: Find,
    ) -> Disorder:
        """Return what stands wrong, worked out once for all objects of a guild that look at one picture of it.

        Drift is put right by whom it concerns least: a poll sees the one that was dragged, not the twenty that it
        was dragged past. A changed manifest is another matter: it is at odds with its neighbours, and nobody but
        its own pass is awake.

        Args:
            guild_id: The guild.
            polling: Which of the two questions is asked; each has its own answer.
            items: The snapshot's channels or roles; known again by identity, since snapshots never change.
            keys: The sort keys.
            block: What two items must have in common to be siblings.
            misplaced: Works out what stands wrong, on either side.
            moved: Works out the fewest that must have been moved.
        """
        with self._lock:
            known = self._looked.get((guild_id, polling))
            stood = self._stood.get(guild_id)
        if known is not None and known[0] is items and known[1] == keys:
            return known[2]
        out_of_place = misplaced(keys)
        now = {one: (key, block(items[one])) for one, key in keys.items() if one in items}
        same = (
            now if stood is None else {one: now[one] for one in stood.keys() & now if stood[one] == now[one]}
        )
        found = Disorder(
            wrong=moved(keys) if polling else out_of_place,
            dragged=moved({one: key for one, (key, _) in same.items()}) if out_of_place else frozenset(),
        )
        right = {one: at for one, at in now.items() if one not in out_of_place}
        with self._lock:
            self._looked[guild_id, polling] = (items, keys, found)
            if self._stood.get(guild_id) is stood:
                self._stood[guild_id] = right if stood is None else {**same, **right}
        return found

    def without_refused(self, keys: dict[str, int]) -> dict[str, int]:
        """Return the sort keys of those that may be moved."""
        with self._lock:
            if not self._refused:
                return keys
        return {object_id: key for object_id, key in keys.items() if self.why_refused(object_id) is None}
