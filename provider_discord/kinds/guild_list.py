"""The guilds that a bot is in, and those that turned out to be beyond its reach.

Every object of a guild that the bot was thrown out of asks for it at every poll, and each such answer counts
towards Discord's limit of invalid requests, which is per IP address. So one answer stands for all of them for a
while. The same goes for the list by which guilds are found by their name.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from provider_discord.kinds.timings import KindTimings

Guilds = Sequence[dict[str, Any]]


class GuildList:
    """What one token can reach. Thread-safe."""

    def __init__(self, *, now: Callable[[], float], timings: KindTimings) -> None:
        self._now = now
        self._timings = timings
        self._lock = threading.Lock()
        self._listing = threading.Lock()
        self._list: tuple[float, Guilds] | None = None
        self._beyond: dict[str, tuple[float, str]] = {}

    def all(self, fetch: Callable[[], Guilds], *, max_age_seconds: float) -> Guilds:
        """Return the list of the bot's guilds, fetching it if it is too old; one fetch at a time.

        Args:
            fetch: Gets the list; what it raises is passed on.
            max_age_seconds: How old the list may be.
        """
        asked = self._now()
        with self._listing:
            if self._list is None or self._list[0] < asked - max_age_seconds:
                self._list = (self._now(), fetch())
            return self._list[1]

    def why_beyond(self, guild_id: str, *, max_age_seconds: float) -> str | None:
        """Return why a guild was out of reach when it was last asked for, if that was not long ago."""
        with self._lock:
            found = self._beyond.get(guild_id)
            if found is None or found[0] < self._now() - max_age_seconds:
                return None
            return found[1]

    def beyond(self, guild_id: str, why: str) -> None:
        """Remember that Discord says that the bot is not in this guild."""
        with self._lock:
            self._beyond[guild_id] = (self._now(), why)

    def reached(self, guild_id: str) -> None:
        """Remember that the guild can be reached."""
        with self._lock:
            self._beyond.pop(guild_id, None)
