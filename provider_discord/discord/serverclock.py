"""The server's clock against ours, read from answers, so that nothing waits for the way back of an answer.

An answer with bucket headers tells when Discord counted the request, on its own clock: X-RateLimit-Reset less
X-RateLimit-Reset-After. That clock may be wrong by hours; it is only compared with itself. Each such instant A
of a request written at s and answered at r bounds the difference D between the clocks (ours less the server's):

* the request arrived before its answer did, so D <= r - A. At ``A + 1 + min(r - A)`` of ours it is therefore *surely*
  a second after A at the server, whatever the latency is and becomes;
* the request needed some time to arrive: s - A = D - way there. What is sent at ``A + 1 + max(s - A)`` arrives
  a second after A, unless its way there is shorter than that of all the last requests. That is much sooner.
  A *spread* is added for a way there that is shorter still: half of the requests needed that much more than
  the quickest, more while there are few of them.

The lesser of both is taken. A request is sent when its first byte leaves on an open connection; the first one on a
connection says nothing of the way there, since what is behind the connection is set up meanwhile. If answers contradict each other (a clock stepped, machines disagree), all is
forgotten and a new *era* begins; what an older era told is then worth nothing, and callers go by their own clock.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

_SAMPLES = 64
_TRUSTED = 20
_HORIZON_SECONDS = 30.0
_PRECISION_SECONDS = 0.003
"""Two headers rounded to milliseconds, on two answers."""


@dataclass(frozen=True, slots=True)
class ServerInstant:
    """An instant on the server's clock.

    Attributes:
        seconds: Since its epoch.
        era: In which it was read.
    """

    seconds: float
    era: int

    def plus(self, seconds: float) -> ServerInstant:
        """Return a later instant."""
        return ServerInstant(self.seconds + seconds, self.era)


class _Bounds(NamedTuple):
    """Between what the clocks' difference is by one answer, and when that came."""

    least: float
    most: float
    received_at: float


class ServerClock:
    """What the last answers tell of the server's clock. Not safe for threads."""

    def __init__(self) -> None:
        self._answers: deque[_Bounds] = deque(maxlen=_SAMPLES)
        self._ways_there: deque[_Bounds] = deque(maxlen=_SAMPLES)
        self._era = 0
        self._offset: float | None = None
        self._trusted_until = -math.inf

    def learn(self, seconds: float, *, sent_at: float, received_at: float, fresh: bool = False) -> None:
        """Take an answer.

        Args:
            seconds: When the server counted the request, on its clock.
            sent_at: Just before the request's first byte, on ours.
            received_at: When the answer's headers were there.
            fresh: Whether the connection was opened for it.
        """
        answers, ways_there = self._answers, self._ways_there
        for samples in (answers, ways_there):
            while samples and samples[0].received_at < received_at - _HORIZON_SECONDS:
                samples.popleft()
        new = _Bounds(sent_at - seconds, received_at - seconds, received_at)
        answers.append(new)
        latest = min(bounds.most for bounds in answers)
        if max(bounds.least for bounds in answers) > latest + _PRECISION_SECONDS:
            self._era += 1
            answers.clear()
            ways_there.clear()
            answers.append(new)
        if not fresh:
            ways_there.append(new)
        self._offset = None
        if len(answers) < _TRUSTED:
            return
        offset, count = latest, len(ways_there)
        if count >= _TRUSTED:
            least = sorted(bounds.least for bounds in ways_there)
            quickest, median = least[-1], least[count // 2]
            offset = min(latest, quickest + (quickest - median) * (1 + _TRUSTED / count))
        self._offset = offset + _PRECISION_SECONDS
        self._trusted_until = received_at + _HORIZON_SECONDS

    def instant(self, seconds: float) -> ServerInstant:
        """Mark an instant that an answer told with the era in which it did."""
        return ServerInstant(seconds, self._era)

    def send_after(self, instant: ServerInstant | None) -> float | None:
        """Return when, on our clock, a request may be sent that must not arrive before an instant.

        Returns:
            None when that is not known well enough, or the instant is too far from the last answer.
        """
        if instant is None or self._offset is None or instant.era != self._era:
            return None
        at = instant.seconds + self._offset
        return at if at <= self._trusted_until else None
