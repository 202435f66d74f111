"""The limit over all buckets: so many requests of one token in any second, counted where they arrive.

A client sees when it sends and when it is answered, not when a request arrives. Holding a slot until one second
after the answer is always safe, whatever the latency does, but costs the whole way back each second. Most answers
tell when the server counted the request; ``ServerClock`` then says when another one may be sent that arrives a
second after that. Slots of which that is not known are held until a second after the answer.

Polls are spread over the second, so that slots become free evenly as well and no change that comes meanwhile waits
for long: a second later the slots of a burst come back as a burst, and there is none in between.
"""

from __future__ import annotations

import heapq
import math

from .priority import Priority
from .serverclock import ServerClock, ServerInstant
from .timings import DiscordTimings

_RESERVED_SLOTS = 1
_RESERVED_FLIGHT = 5
_POLL_HASTE = 0.9


class GlobalLimit:
    """Slots of the limit over all buckets. Not safe for threads.

    Attributes:
        in_flight: Requests granted and not ended.
        blocked_until: Nothing is sent before (after a global 429).
    """

    def __init__(self, *, timings: DiscordTimings, clock: ServerClock) -> None:
        self._limit = timings.global_per_second
        self._hold = timings.global_hold_seconds
        self._flight = timings.max_in_flight
        self._poll_every = _POLL_HASTE * self._hold / self._limit
        self._poll_at = -math.inf
        self._clock = clock
        self._counted: list[tuple[float, float, int]] = []
        self._held: list[float] = []
        self.in_flight = 0
        self.blocked_until = -math.inf

    @property
    def free(self) -> int:
        """Slots that are free (at the last sweep)."""
        return max(0, self._free_slots())

    def sweep(self, now: float) -> None:
        """Free the slots whose second is over."""
        while self._counted and self._free_at(self._counted[0]) <= now:
            heapq.heappop(self._counted)
        while self._held and self._held[0] <= now:
            heapq.heappop(self._held)

    def room(self, now: float, level: Priority | int = Priority.USER) -> bool:
        """Tell whether one more request of a class may be sent; call ``sweep`` before."""
        if now < self.blocked_until:
            return False
        slots, flight = self._free_slots(), self._flight - self.in_flight
        if level < Priority.POLL:
            return slots > 0 and flight > 0
        if slots <= _RESERVED_SLOTS or flight <= self._flight // _RESERVED_FLIGHT:
            return False
        return now >= self._poll_at

    def next_at(self, now: float) -> float | None:
        """Return the earliest instant at which there can be more room than now, if nothing comes back."""
        if now < self.blocked_until:
            return self.blocked_until
        instants = [self._poll_at, *self._held]
        if self._counted:
            instants.append(self._free_at(self._counted[0]))
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
            self._poll_at = now + self._poll_every

    def give_back(self) -> None:
        """A taken slot was not used."""
        self.in_flight -= 1

    def ended(self, now: float, *, counted_at: float | None) -> None:
        """A request ended.

        Args:
            now: When.
            counted_at: When the server counted it, on its clock; None where it did not say.
        """
        self.in_flight -= 1
        by_our_clock = now + self._hold
        if counted_at is None:
            heapq.heappush(self._held, by_our_clock)
        else:
            instant = self._clock.instant(counted_at + self._hold)
            heapq.heappush(self._counted, (instant.seconds, by_our_clock, instant.era))

    def block(self, until: float) -> None:
        """Send nothing before."""
        self.blocked_until = max(self.blocked_until, until)

    def _free_at(self, slot: tuple[float, float, int]) -> float:
        seconds, by_our_clock, era = slot
        at = self._clock.send_after(ServerInstant(seconds, era))
        return by_our_clock if at is None else min(at, by_our_clock)

    def _free_slots(self) -> int:
        return self._limit - self.in_flight - len(self._counted) - len(self._held)
