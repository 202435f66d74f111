"""The limit over all buckets: so many requests of one token in any second, counted where they arrive.

A client sees when it sends and when it is answered, not when a request arrives. Holding a slot until one second
after the answer is always safe, but costs a whole round trip each second. Part of it can be had back, since the
request that takes over a slot needs its way there as well. The slot may be freed earlier by the way back of the
one plus the way there of the other: which is a round trip again. How short that can be is known from the round
trips seen lately: ``RoundTrips.credit`` is the shortest of them, less as much again as the average is above it.
The steadier the latency, the larger it is; with strong jitter it is nothing. It is too large only while the way
there becomes shorter, by more than all that, than it has been in any of the last requests; the 429 that this can
cost is then obeyed as any other.

Polls are spread over the second once a quarter of the slots is taken, so that slots become free evenly as well
and none of the changes that come meanwhile waits for long.
"""

from __future__ import annotations

import math
from collections import deque

from .priority import Priority
from .timings import DiscordTimings

_SAMPLES = 128
_RESERVED_SLOTS = 25
_RESERVED_FLIGHT = 5
_POLL_HASTE = 0.75


class RoundTrips:
    """The last round trips, and what they allow. Not safe for threads."""

    def __init__(self, *, trusted: int) -> None:
        """Begin without any.

        Args:
            trusted: Samples needed before anything is concluded. More than there can be connections: the first
                request on each also pays for connecting, which the next does not.
        """
        self._trusted = trusted
        self._samples: deque[float] = deque(maxlen=_SAMPLES)
        self._sum = 0.0
        self._shortest = math.inf
        self.credit = 0.0

    def add(self, seconds: float) -> None:
        """Take the time from just before sending to the answer's headers."""
        samples = self._samples
        leaving = samples[0] if len(samples) == _SAMPLES else 0.0
        samples.append(seconds)
        self._sum += seconds - leaving
        self._shortest = min(samples) if leaving == self._shortest else min(self._shortest, seconds)
        if len(samples) > self._trusted:
            self.credit = max(0.0, 2 * self._shortest - self._sum / len(samples))


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
        self._poll_every = _POLL_HASTE * self._hold / self._limit
        self._poll_at = -math.inf
        self._answered: deque[float] = deque()
        self._unanswered: deque[float] = deque()
        self._trips = RoundTrips(trusted=2 * timings.max_in_flight)
        self.in_flight = 0
        self.blocked_until = -math.inf

    @property
    def free(self) -> int:
        """Slots that are free (at the last sweep)."""
        return max(0, self._free_slots())

    def sweep(self, now: float) -> None:
        """Free the slots whose second is over."""
        credit = self._trips.credit
        while self._answered and self._answered[0] - credit <= now:
            self._answered.popleft()
        while self._unanswered and self._unanswered[0] <= now:
            self._unanswered.popleft()

    def room(self, now: float, level: Priority | int = Priority.USER) -> bool:
        """Tell whether one more request of a class may be sent; call ``sweep`` before."""
        if now < self.blocked_until:
            return False
        slots, flight = self._free_slots(), self._flight - self.in_flight
        if level < Priority.POLL:
            return slots > 0 and flight > 0
        if slots <= self._limit // _RESERVED_SLOTS or flight <= self._flight // _RESERVED_FLIGHT:
            return False
        return slots > self._limit * 3 // 4 or now >= self._poll_at

    def next_at(self, now: float) -> float | None:
        """Return the earliest instant at which there can be more room than now, if nothing comes back."""
        if now < self.blocked_until:
            return self.blocked_until
        instants = [self._poll_at, *self._unanswered]
        if self._answered:
            instants.append(self._answered[0] - self._trips.credit)
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

    def ended(self, now: float, *, round_trip: float | None) -> None:
        """A request ended.

        Args:
            now: When.
            round_trip: From sending it to Discord's answer; None where there was none, or none worth a
                conclusion: a refusal comes sooner than other answers.
        """
        self.in_flight -= 1
        if round_trip is None:
            self._unanswered.append(now + self._hold)
        else:
            self._answered.append(now + self._hold)
            self._trips.add(round_trip)

    def block(self, until: float) -> None:
        """Send nothing before."""
        self.blocked_until = max(self.blocked_until, until)

    def _free_slots(self) -> int:
        return self._limit - self.in_flight - len(self._answered) - len(self._unanswered)
