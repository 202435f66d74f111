"""One rate-limit bucket: how many requests may be sent now, told from what answers said.

Discord runs two kinds of bucket and one answer does not tell which (discord-api-docs#7680):

* *fixed*: ``limit`` requests per window; all come back together at the window's end;
* *sliding* (GCRA): one request comes back per ``period``; Reset-After is the time until all are back.

An answer with Reset-After R, sent at s and received at r, says that "all are back" lies in [s+R, r+R], whatever
the latency was, since the server wrote R somewhere between. Two such intervals decide by logic, not by a
tolerance for jitter:

* disjoint although the first window cannot have ended yet: the end moved, the bucket is *sliding*;
* closer to each other than one period, which every further request would have moved it by: it is *fixed*.

Until decided, the latest end counts, which is too early for neither. Only Reset-After is read, against our own
monotonic clock; never X-RateLimit-Reset, which would need synchronised clocks, here and among Discord's machines.

Tokens are ``lowest Remaining seen in this window - requests in flight``: right for answers out of order, and
self-correcting as requests come back. Never more are taken in a window than its limit, for the answers that show
no Remaining.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import Enum

from .timings import DiscordTimings

_PRECISION_SECONDS = 0.005
"""Headers are rounded to milliseconds; several roundings add up to less than this."""
_LARGEST_LIMIT = 1_000_000
_LONGEST_SECONDS = 7 * 86_400.0
"""Longer than any window of Discord's (two days, for roles). A number beyond is a mistake, such as an epoch."""


@dataclass(frozen=True, slots=True)
class RateHeaders:
    """The bucket headers of an answer.

    Attributes:
        limit: Requests per window.
        remaining: Requests left.
        reset_after: Seconds until all are back.
        bucket: The bucket's hash, without the major parameter.
    """

    limit: int
    remaining: int
    reset_after: float
    bucket: str

    @classmethod
    def parse(cls, headers: Mapping[str, str]) -> RateHeaders | None:
        """Read them; None when one is missing or makes no sense (the limiter then assumes nothing).

        Args:
            headers: Names in lower case.
        """
        try:
            found = cls(
                limit=int(headers["x-ratelimit-limit"]),
                remaining=int(headers["x-ratelimit-remaining"]),
                reset_after=float(headers["x-ratelimit-reset-after"]),
                bucket=headers["x-ratelimit-bucket"],
            )
        except (KeyError, ValueError):
            return None
        sane = 0 < found.limit <= _LARGEST_LIMIT and found.remaining >= 0
        sane = sane and 0 <= found.reset_after <= _LONGEST_SECONDS and found.bucket != ""
        return found if sane else None


@dataclass(frozen=True, slots=True)
class Booking:
    """The place of somebody who was told to come back.

    Attributes:
        until: When.
        lapses_at: Who comes later than this begins anew.
        number: Of the ticket that was given up.
        arrived_at: Its arrival, so that who comes again and again ages as who waits does.
    """

    until: float
    lapses_at: float
    number: int
    arrived_at: float


class BucketKind(Enum):
    """How requests come back."""

    UNDECIDED = "undecided"
    FIXED = "fixed"
    SLIDING = "sliding"


class Bucket:
    """State of one bucket. Instants are monotonic seconds; not safe for threads."""

    def __init__(self, *, name: str, hashed: bool, major: str, timings: DiscordTimings) -> None:
        """Make a bucket of which nothing is known: it lets one request through at a time.

        Args:
            name: Discord's hash, or the route where that is not known yet.
            hashed: Whether name is Discord's hash.
            major: Value of the major parameter.
            timings: Margin, and concurrency where there is no limit.
        """
        self.name = name
        self.hashed = hashed
        self.major = major
        self.kind = BucketKind.UNDECIDED
        self.limit: int | None = None
        self.unlimited = False
        self.probing = True
        self.in_flight = 0
        self.blocked_until = -math.inf
        self.used_at = -math.inf
        self.epoch = 0
        self.members: set[tuple[str, str]] = set()
        self.booked: dict[Hashable, Booking] = {}
        self._margin = timings.reset_margin_seconds
        self._concurrency = timings.unlimited_concurrency
        self._remaining = 0
        self._low = self._end = self._latest = -math.inf
        self._live = False
        self._previous = -math.inf
        self._sample: tuple[float, float] | None = None
        self._period = 0.0
        self._length = 0.0
        self._seen_remaining: int | None = None
        self._taken = 0
        self._foreign = 0
        self._spare = 0
        self._books_from = -math.inf

    def booked_by_others(self, identity: Hashable, now: float) -> int:
        """Return how many others were told to come back and are still to come."""
        if not self.booked:
            return 0
        self.booked = {who: booking for who, booking in self.booked.items() if booking.lapses_at > now}
        return sum(1 for who, booking in self.booked.items() if booking.until > now and who != identity)

    # Tokens

    @property
    def capacity(self) -> int | None:
        """How many tokens there are when all are back, less what is left to others; None when not known."""
        if self.limit is None or self.probing or self.unlimited:
            return None
        return max(1, self.limit - self._foreign - self._spare)

    def tokens(self, now: float) -> int:
        """Return how many requests may be sent now; not above 0 means none."""
        if now < self.blocked_until:
            return 0
        if self.unlimited:
            return self._concurrency - self.in_flight
        if self.probing or self.limit is None:
            return 1 - self.in_flight
        if self.kind is BucketKind.SLIDING:
            return self.limit - self._spare - self._used(now) - self.in_flight
        self._roll(now)
        tokens = min(self._remaining - self.in_flight, self.limit - self._taken)
        if tokens <= 0 and not self._live and self.in_flight == 0:
            self.probing = True  # the whole window went unanswered; only another answer can tell more
            return 1
        return tokens

    def free_at(self, now: float, need: int = 1) -> float | None:
        """Return the earliest instant at which there can be so many tokens; None when only an answer can tell."""
        start = max(now, self.blocked_until)
        if self.tokens(start) >= need and start > now:
            return start
        if self.tokens(now) >= need:
            return now
        if self.limit is None or self.unlimited or (self.probing and self.in_flight):
            return start if start > now else None
        if self.kind is BucketKind.SLIDING:
            left = self.limit - self._spare - self.in_flight - need
            at = self._latest + self._margin - left * self._period
            return max(start, at)
        if not self._live:
            return start if start > now else None
        windows = max(0, math.ceil((need - self.tokens(now)) / self.limit) - 1)
        return max(start, self._reset() + self._margin + windows * self._length)

    def take(self, now: float) -> None:
        """A request is about to be sent."""
        self.in_flight += 1
        self._taken += 1
        self.used_at = now

    def give_back(self) -> None:
        """A taken token was not used: nothing was sent."""
        self.in_flight -= 1
        self._taken -= 1

    # What came back. Each of these ends one request in flight.

    def ended(self, *, now: float, counted: bool, unlimited: bool) -> None:
        """A request ended without bucket headers.

        Args:
            now: When.
            counted: Discord may have counted it.
            unlimited: It was a success, so a bucket that never showed headers has no limit.
        """
        self.in_flight -= 1
        if self.limit is None:
            self.unlimited = self.unlimited or unlimited
        elif counted and self.kind is BucketKind.SLIDING:
            self._latest = max(self._latest, now) + self._period
        elif counted:
            self._roll(now)
            if not self._live:  # at worst the window has just begun
                self._live = True
                self._low, self._end, self._latest = -math.inf, now + self._length, now + self._length
            elif self.kind is BucketKind.UNDECIDED:
                self._latest = max(self._latest, now + self._length)
        else:
            self._taken -= 1

    def answered(self, headers: RateHeaders, *, sent_at: float, received_at: float, epoch: int) -> None:
        """A request ended with bucket headers.

        Args:
            headers: The headers.
            sent_at: Just before it was sent.
            received_at: When the headers were there.
            epoch: ``self.epoch`` when it was granted.
        """
        self.in_flight -= 1
        if headers.limit != self.limit:
            self._forget(headers.limit)
            self._taken += 1
        self.probing = self.unlimited = False
        low, end = sent_at + headers.reset_after, received_at + headers.reset_after
        used = headers.limit - headers.remaining
        if used > 0:
            self._period = max(self._period, headers.reset_after / used)
        if epoch < self.epoch:
            self._books_from = max(self._books_from, end)
        if self.kind is BucketKind.SLIDING:
            self._latest = max(self._latest, end)
            return
        self._roll(received_at)
        if epoch < self.epoch and low <= self._previous + _PRECISION_SECONDS:
            self._remaining -= 1  # of the window before, though perhaps of this one
        elif not self._live:
            self._begin(low, end, headers)
        elif low > self._end + _PRECISION_SECONDS:
            if received_at < self._low:
                self.kind = BucketKind.SLIDING
                self._latest = max(self._latest, end)
            else:
                self._close()
                self._taken += 1
                self._begin(low, end, headers)
                self._remaining = headers.remaining
        elif end >= self._low - _PRECISION_SECONDS:
            self._same_window(low, end, headers)

    def exhausted(self, *, retry_after: float, now: float, headers: RateHeaders | None) -> None:
        """A request was refused because the bucket is empty: wait, then probe with one request."""
        self.in_flight -= 1
        self.blocked_until = max(self.blocked_until, now + retry_after + self._margin)
        if self.kind is BucketKind.SLIDING and self.limit is not None:
            # Somebody else takes from it too: leave them one more. It costs bursts, not throughput.
            self._spare = min(self._spare + 1, self.limit // 2)
        self._forget(self.limit if headers is None else headers.limit)
        if headers is not None:
            self._books_from = max(self._books_from, now + headers.reset_after)
        self.probing = True
        self.unlimited = False

    def idle(self, now: float, seconds: float) -> bool:
        """Tell whether nothing would be lost by forgetting this bucket, if nobody waits for it."""
        return self.in_flight == 0 and now > max(self.used_at + seconds, self.blocked_until, self._latest)

    def surplus(self, headers: RateHeaders, *, sent_at: float, epoch: int) -> int:
        """Return how much more an answer says was used than we sent; call it before the answer ends its request.

        Args:
            headers: The answer's.
            sent_at: Just before it was sent.
            epoch: ``self.epoch`` when it was granted.
        """
        if epoch < self.epoch or sent_at < self._books_from:  # of a window that is not wholly in the books
            return 0
        ours = self._taken
        if self.kind is BucketKind.SLIDING:  # nothing ends: what was taken long ago came back
            ours = min(ours, self._used(sent_at) + self.in_flight)
        return headers.limit - headers.remaining - ours

    def _used(self, now: float) -> int:
        # A period that is too short makes this too large: `_latest`, where all are back, is the anchor.
        busy = self._latest + self._margin - now
        return math.ceil(busy / self._period - 1e-9) if busy > 0 and self._period > 0 else 0

    def _reset(self) -> float:
        return self._end if self.kind is BucketKind.FIXED else self._latest

    def _roll(self, now: float) -> None:
        if self._live and now >= self._reset() + self._margin:
            self._close()
            assert self.limit is not None
            self._remaining = max(1, self.limit - self._foreign)

    def _close(self) -> None:
        """The window ended: see how much of it others took, and hold that much back in the next one."""
        if self.limit is not None and self._seen_remaining is not None:
            others = self.limit - self._seen_remaining - self._taken
            self._foreign = max(others, self._foreign // 2, 0)
        self._previous = self._reset()
        self._live = False
        self._seen_remaining = None
        self._taken = self.in_flight
        self._sample = None
        self.epoch += 1

    def _begin(self, low: float, end: float, headers: RateHeaders) -> None:
        fresh = self._low == -math.inf
        self._live = True
        self._low, self._end, self._latest = low, end, end
        self._sample = (low, end)
        self._length = max(self._length, headers.reset_after)
        self._seen_remaining = headers.remaining
        self._remaining = headers.remaining if fresh else min(self._remaining, headers.remaining)

    def _same_window(self, low: float, end: float, headers: RateHeaders) -> None:
        self._remaining = min(self._remaining, headers.remaining)
        seen = headers.remaining if self._seen_remaining is None else self._seen_remaining
        self._seen_remaining = min(seen, headers.remaining)
        self._low = max(self._low, low)
        self._end = min(self._end, end)
        self._latest = max(self._latest, end)
        if self._sample is None:
            self._sample = (low, end)
        elif self.kind is BucketKind.UNDECIDED:
            first_low, first_end = self._sample
            apart = max(end - first_low, first_end - low)
            if apart < 0.9 * self._period:
                self.kind = BucketKind.FIXED

    def _forget(self, limit: int | None) -> None:
        """Start again from nothing but the limit."""
        if self._live:
            self._close()
        self._books_from = max(self._books_from, self._latest)
        if limit != self.limit:
            self._spare = 0
        self.limit = limit
        self.kind = BucketKind.UNDECIDED
        self._low = self._end = self._latest = -math.inf
        self._live = False
        self._period = self._length = 0.0
        self._remaining = 0
        self._taken = self.in_flight
        self._foreign = 0
