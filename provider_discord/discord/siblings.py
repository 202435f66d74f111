"""Whether the buckets of one hash are one: Discord names a hash, and does not say whether major parameters split it.

As a rule they do, and each channel has a bucket of its own. Where they do not, all channels share one window, and a
client that believes otherwise is refused over and over. Every answer bears witness, for it tells Remaining and when
all are back:

* *For one bucket*: somebody used up at least half of it, not by way of this major parameter, while we sent at
  least as much by way of others. Several majors must say so, before anything contradicts it. Somebody else who takes
  a part of each bucket does not look like this.
* *Against it*: more answers than the most that any of them says was used, though one bucket would have counted them
  all; or a window that ends earlier than that of a request before it, since no bucket's end moves back.

What contradicts is deduced, not guessed: it decides at once and undoes what was learnt. Otherwise what was learnt is
kept as long as something bears it out now and then. So of requests that are sent after the second witness none is
refused for want of knowing; only those that were already under way.
"""

from __future__ import annotations

import math
from collections import Counter, deque

from .bucket import RateHeaders

_TOLERANCE_SECONDS = 0.1
"""Of Discord's clocks. Windows of buckets that are apart differ by more than that, as a rule."""
_MOST_REMEMBERED = 1_000


class Siblings:
    """The buckets of one hash. Instants are monotonic seconds; not safe for threads.

    Attributes:
        shared: Whether they are one.
        seen_at: When something was heard of them last.
        borne_out_at: When something last spoke for one bucket.
    """

    def __init__(self) -> None:
        """Begin with buckets that are apart."""
        self.shared = False
        self.seen_at = self.borne_out_at = -math.inf
        self._witnesses: set[str] = set()
        self._latest: tuple[float, float]
        self._limit = -1
        self._begin(0)

    @property
    def least_remaining(self) -> int:
        """The lowest Remaining that an answer showed in the present window."""
        return max(0, self._limit - self._most_used)

    def counted_of(self, major: str) -> int:
        """Return how many requests of one major were counted in the present window."""
        return self._counts[major]

    def lately(self, now: float) -> int:
        """Return how many requests were counted within the longest time to a reset seen, at most the limit."""
        return sum(at > now - self._length for at in self._lately)

    def saw(
        self,
        headers: RateHeaders,
        *,
        major: str,
        sent_at: float,
        received_at: float,
        accepted: bool,
        witness: bool,
    ) -> None:
        """Take in an answer.

        Args:
            headers: Its bucket headers.
            major: Of the request.
            sent_at: Just before it was sent.
            received_at: When the headers were there.
            accepted: False for a 429.
            witness: Whether it tells of use that can only be other majors'.
        """
        self.seen_at = received_at
        low, end = sent_at + headers.reset_after, received_at + headers.reset_after
        another_window = sent_at >= self._end or (received_at > self._low and low > self._end)
        if headers.limit != self._limit or another_window:
            self._begin(headers.limit)
        latest_low, latest_received = self._latest
        moved_back = sent_at >= latest_received and end < latest_low - _TOLERANCE_SECONDS
        if low > latest_low:
            self._latest = low, received_at
        if accepted and end >= self._low - _TOLERANCE_SECONDS:
            self._count(headers, major, sent_at, received_at)
        if moved_back or self._too_many():
            self.shared = False
            self._witnesses.clear()
        elif witness:
            self.borne_out_at = received_at
            self._witnesses.add(major)
            # Of a small bucket half is soon used up by somebody else.
            self.shared = self.shared or len(self._witnesses) >= max(2, 5 - headers.limit)

    def _begin(self, limit: int) -> None:
        if limit != self._limit:
            self._limit, self._length = limit, 0.0
            self._latest = -math.inf, -math.inf
            self._lately: deque[float] = deque(maxlen=min(limit, _MOST_REMEMBERED))
            self._witnesses.clear()
        self._counts: Counter[str] = Counter()
        self._most_used = 0
        self._period = 0.0
        self._first_sent: float = math.inf
        self._last_received: float = -math.inf
        self._low: float = -math.inf
        self._end: float = math.inf

    def _count(self, headers: RateHeaders, major: str, sent_at: float, received_at: float) -> None:
        used = headers.limit - headers.remaining
        self._counts[major] += 1
        self._lately.append(received_at)
        self._length = max(self._length, headers.reset_after)
        self._most_used = max(self._most_used, used)
        if used > 0:
            self._period = max(self._period, headers.reset_after / used)
        self._first_sent = min(self._first_sent, sent_at)
        self._last_received = max(self._last_received, received_at)
        self._low = max(self._low, sent_at + headers.reset_after)
        self._end = min(self._end, received_at + headers.reset_after)

    def _too_many(self) -> bool:
        """Tell whether one bucket would have counted more than the answers say; a sliding one regains some meanwhile."""
        missing = self._counts.total() - self._most_used - (1 if self._limit > 2 else 0)
        if missing <= 0:
            return False
        span = self._last_received - self._first_sent
        return self._period == 0 or missing > span / self._period
