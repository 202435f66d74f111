"""Missing is not deleted: what is known of channels that are not in a guild's list.

Since November 2026 the list leaves out channels that the bot cannot view, so absence proves nothing. A channel is
gone only when the audit log shows its deletion, or when a GET of it answers 404 to a bot that has ADMINISTRATOR,
from which nothing is hidden, and it is known to have been there: an id with a wrong digit is answered alike.
Everything else is *hidden or gone*: nobody may create or delete on its account. (For what we have
begun to delete ourselves there is one more kind of evidence, see ``lost_deletes``.)

Looking costs some of the audit log and a GET, and a GET of a hidden channel may count as an invalid request. So a
guild is looked into once in a poll interval: the audit log settles all deletions together (``deletion_log``), and one
channel is probed. Ids are never used again, so "gone" holds for ever; anything else is looked at again at a later poll.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from provider_discord.kinds.timings import KindTimings

_REMEMBERED = 20_000


class Presence(Enum):
    """What is known of a channel that is not listed."""

    GONE = "gone"
    ABSENT = "absent"
    """There is none of that id now; whether there ever was one, the object that asks must know."""
    HIDDEN = "hidden"
    UNKNOWN = "unknown"
    ELSEWHERE = "elsewhere"
    LISTED = "listed"


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict on one channel, and why. For ``ELSEWHERE``, ``detail`` is the other guild's id."""

    presence: Presence
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """What has been read of an audit log without a gap.

    Attributes:
        bottom: The id down to which.
        newest: The newest entry that was there.
        settled: The id before which no entry could turn up late any more.
    """

    bottom: int
    newest: int
    settled: int


class Visibility:
    """Verdicts on channels and the turns in which guilds are looked into, for one token. Sans I/O, thread-safe."""

    def __init__(self, *, now: Callable[[], float], timings: KindTimings) -> None:
        self._now = now
        self._period = timings.probe_seconds
        self._lock = threading.Lock()
        self._gone: OrderedDict[str, str] = OrderedDict()
        self._undecided: OrderedDict[str, tuple[float, Finding]] = OrderedDict()
        self._read: dict[str, float] = {}
        self._probed: dict[str, float] = {}
        self._waiting: dict[str, dict[str, float]] = {}
        self._spans: dict[str, Span] = {}

    def known(self, channel_id: str) -> Finding | None:
        """Return the verdict that still holds; None: look."""
        with self._lock:
            if channel_id in self._gone:
                return Finding(Presence.GONE, self._gone[channel_id])
            found = self._undecided.get(channel_id)
            if found is None or self._now() - found[0] >= self._period:
                return None
            return found[1]

    def last(self, channel_id: str) -> Finding | None:
        """Return the latest verdict however old: what to say while the guild has had its look for now."""
        with self._lock:
            found = self._undecided.get(channel_id)
            return found[1] if found else None

    def may_read(self, what: str) -> bool:
        """Take the turn to read something of a guild (its audit log); False: it was read in this period."""
        return self._take(self._read, what)

    def deletions_read(self, what: str) -> Span | None:
        """Return what has been read of a guild's audit log entries of one type."""
        with self._lock:
            return self._spans.get(what)

    def read_deletions(self, what: str, span: Span) -> None:
        """Note what has been read of them by now."""
        with self._lock:
            self._spans[what] = span

    def may_probe(self, guild_id: str, channel_id: str) -> bool:
        """Take the guild's turn to GET one channel; False: it had one in this period, or others come first.

        Those of which nothing is known yet come first, for as long as they go on asking.
        """
        with self._lock:
            now, last = self._now(), self._probed.get(guild_id)
            waiting = self._waiting.setdefault(guild_id, {})
            for other in [other for other, asked in waiting.items() if now - asked > 2 * self._period]:
                del waiting[other]
            new = channel_id not in self._undecided
            if (last is not None and now - last < self._period) or (waiting and not new):
                if new:
                    waiting[channel_id] = now
                return False
            waiting.pop(channel_id, None)
            self._probed[guild_id] = now
            return True

    def gone(self, channel_ids: Iterable[str], why: str) -> None:
        """Record that channels are gone for ever."""
        with self._lock:
            for channel_id in channel_ids:
                self._gone[channel_id] = why
                self._undecided.pop(channel_id, None)
            while len(self._gone) > _REMEMBERED:
                self._gone.popitem(last=False)

    def undecided(self, channel_id: str, finding: Finding) -> None:
        """Record a verdict that may change."""
        with self._lock:
            self._undecided[channel_id] = (self._now(), finding)
            self._undecided.move_to_end(channel_id)
            while len(self._undecided) > _REMEMBERED:
                self._undecided.popitem(last=False)

    def seen(self, channel_id: str) -> None:
        """Forget a verdict: the channel is listed."""
        with self._lock:
            self._undecided.pop(channel_id, None)

    def _take(self, turns: dict[str, float], guild_id: str) -> bool:
        with self._lock:
            now = self._now()
            last = turns.get(guild_id)
            if last is not None and now - last < self._period:
                return False
            turns[guild_id] = now
            return True
