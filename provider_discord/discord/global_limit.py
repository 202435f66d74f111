"""The limit over all buckets: so many requests of one token in any second, counted where they arrive.

A client sees when it sends and when it is answered, not when a request arrives: somewhere between. So a slot is
held until one second after the answer, and no second at the server sees more than the limit, whatever the latency
is and becomes. That costs a round trip each second. Answers tell when the server counted them, on a clock of its
own, and one could send sooner by that; but Discord has many machines, and clocks that differ by 20 ms are enough
for fifteen 429s in one burst.

Polls are spread over the second, so that slots become free evenly as well and no change that comes meanwhile waits
for long: a second later the slots of a burst come back as a burst, and there is none in between. What polls are late
by they may make up for, up to 0.15 s, else each late wake-up of a thread would slow all of them. A fifth of what may
be in flight is never theirs.
"""

from __future__ import annotations

import math
from collections import deque

from .priority import Priority
from .timings import DiscordTimings

_RESERVED_FLIGHT = 5
_POLL_PACE = 1.1
_POLL_LATENESS_SECONDS = 0.15
"""Tried on virtual time, in steps: 300 polls at 1.09 of the floor, and no change behind them waits 0.3 s."""


class GlobalLimit:
    """Slots of the limit over all buckets. Not safe for threads.

    Attributes:
        in_flight: Requests granted and not ended.
        blocked_until: Nothing is sent before (after a global 429).
    """

    def __init__(self, *, timings: DiscordTimings) -> None:
        self._limit = timings.global_per_second
        self._hold = timings.global_hold_seconds
        self._flight = timings.max_in_flight
        self._poll_every = _POLL_PACE * self._hold / self._limit
        self._poll_at = -math.inf
        self._held: deque[float] = deque()
        self.in_flight = 0
        self.blocked_until = -math.inf

    @property
    def free(self) -> int:
        """Slots that are free (at the last sweep)."""
        return max(0, self._free_slots())

    def sweep(self, now: float) -> None:
        """Free the slots whose second is over."""
        while self._held and self._held[0] <= now:
            self._held.popleft()

    def room(self, now: float, level: Priority | int = Priority.USER) -> bool:
        """Tell whether one more request of a class may be sent; call ``sweep`` before."""
        if now < self.blocked_until:
            return False
        flight = self._flight - self.in_flight
        if self._free_slots() <= 0 or flight <= 0:
            return False
        if level < Priority.POLL:
            return True
        if flight <= self._flight // _RESERVED_FLIGHT:
            return False
        return now >= self._poll_at

    def next_at(self, now: float) -> float | None:
        """Return the earliest instant at which there can be more room than now, if nothing comes back."""
        if now < self.blocked_until:
            return self.blocked_until
        instants = [self._poll_at, *self._held]
        return min((instant for instant in instants if instant > now), default=None)

    def wait(self, now: float) -> float:
        """Return for how many seconds at least there is no room for anything."""
        blocked = max(0.0, self.blocked_until - now)
        at = self.next_at(now)
        if self._free_slots() > 0 or at is None:
            return blocked
        return max(blocked, at - now)

    def take(self, now: float, level: Priority | int) -> None:
        """A request is about to be sent."""
        self.in_flight += 1
        if level >= Priority.POLL:
            self._poll_at = max(self._poll_at, now - _POLL_LATENESS_SECONDS) + self._poll_every

    def give_back(self) -> None:
        """A taken slot was not used."""
        self.in_flight -= 1

    def ended(self, now: float) -> None:
        """A request ended: it was answered, or given up."""
        self.in_flight -= 1
        self._held.append(now + self._hold)

    def block(self, until: float) -> None:
        """Send nothing before."""
        self.blocked_until = max(self.blocked_until, until)

    def _free_slots(self) -> int:
        return self._limit - self.in_flight - len(self._held)
