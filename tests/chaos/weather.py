"""What befalls requests on their way: a seeded choice of one mishap or none for each request.

Every mishap is one that a careful client must survive: the server never saw the request, or it did the work and
nobody learned so, or it answers that it can't now. A mishap may also be the end of the client itself.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Mishap(StrEnum):
    """What befalls one request."""

    CUT_BEFORE = "cut before it was sent"
    CUT_AFTER = "done, then cut"
    CUT_MIDDLE = "cut in the middle of the answer"
    REFUSED = "refused, not done"
    FAIL_AFTER = "done, then answered 500"
    SLOW = "late"
    KILL_BEFORE = "killed before it was sent"
    KILL_AFTER = "killed once it was done"


NETWORK: Final[Mapping[Mishap, float]] = {
    Mishap.CUT_BEFORE: 3,
    Mishap.CUT_AFTER: 3,
    Mishap.CUT_MIDDLE: 1,
    Mishap.SLOW: 4,
}
SERVER: Final[Mapping[Mishap, float]] = {Mishap.REFUSED: 3, Mishap.FAIL_AFTER: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambush:
    """The client's end at a request.

    Attributes:
        mishap: KILL_BEFORE or KILL_AFTER.
        method: of what request.
        count: the how many-th such request, from 1.
    """

    mishap: Mishap
    method: str
    count: int = 1


class Weather:
    """Decides for one side. May be asked and changed from any thread.

    Args:
        seed: of its choices.
        mishaps: their weights.
        kill: ends the client; True if it lived.
    """

    def __init__(
        self, *, seed: str, mishaps: Mapping[Mishap, float], kill: Callable[[], bool] = lambda: False
    ) -> None:
        self._rand = random.Random(seed)  # noqa: S311 - a seed must repeat
        self._mishaps = dict(mishaps)
        self._kill = kill
        self._lock = threading.Lock()
        self._ambush: Ambush | None = None
        self._left = 0
        self.rate = 0.0
        """How many of a hundred requests, as a share, something befalls."""
        self.watch_seconds = 0.0
        """The longest that a watch is let live; 0: as long as it likes."""
        self.down = False
        """Nobody is let through."""
        self.counts: Counter[str] = Counter()

    def calm(self) -> None:
        """Let everything through from now on."""
        with self._lock:
            self.rate, self.watch_seconds, self.down, self._ambush = 0.0, 0.0, False, None

    def lay(self, ambush: Ambush | None) -> None:
        """Lay an ambush in place of the one before."""
        with self._lock:
            self._ambush = ambush
            self._left = ambush.count if ambush else 0

    def strike(self, method: str) -> Mishap | None:
        """Return what befalls a request."""
        with self._lock:
            if self._ambush is not None and self._ambush.method == method:
                self._left -= 1
                if self._left <= 0:
                    mishap = self._ambush.mishap
                    self._ambush = None
                    return mishap
            if self._rand.random() >= self.rate:
                return None
            mishap = self._rand.choices(list(self._mishaps), weights=list(self._mishaps.values()))[0]
            self.counts[mishap.value] += 1
            return mishap

    def kill(self) -> bool:
        """End the client."""
        return self._kill()

    def delay_seconds(self) -> float:
        """Return how late a late one is."""
        with self._lock:
            return self._rand.uniform(0.02, 0.35)

    def watch_limit_seconds(self) -> float | None:
        """Return how long a new watch may live."""
        with self._lock:
            if not self.watch_seconds:
                return None
            return self._rand.uniform(0.05, self.watch_seconds)

    def refusal(self) -> tuple[int, int | None]:
        """Return a status, and a Retry-After in seconds, to refuse with."""
        with self._lock:
            return self._rand.choice([(500, None), (503, None), (504, None), (429, 1), (409, None)])

    def note(self, what: str) -> None:
        """Count something that the proxy did by itself."""
        with self._lock:
            self.counts[what] += 1
