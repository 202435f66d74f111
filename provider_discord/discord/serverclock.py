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

The lesser of both is taken. Requests are told from their first byte on an open connection, since connecting
is no part of the way there. If answers contradict each other (a clock stepped, machines disagree), all is
forgotten and a new *era* begins; what an older era told is then worth nothing, and callers go by their own clock.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

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


class ServerClock:
    """What the last answers tell of the server's clock. Not safe for threads."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float, float]] = deque(maxlen=_SAMPLES)
        self._era = 0
        self._offset: float | None = None
        self._trusted_until = -math.inf

    def learn(self, seconds: float, *, sent_at: float, received_at: float) -> None:
        """Take an answer.

        Args:
            seconds: When the server counted the request, on its clock.
            sent_at: Just before the request's first byte, on ours.
            received_at: When the answer's headers were there.
        """
        samples = self._samples
        while samples and samples[0][2] < received_at - _HORIZON_SECONDS:
            samples.popleft()
        samples.append((sent_at - seconds, received_at - seconds, received_at))
        quickest = max(sent for sent, _, _ in samples)
        latest = min(received for _, received, _ in samples)
        self._offset = None
        if quickest > latest + _PRECISION_SECONDS:
            self._era += 1
            samples.clear()
            return
        count = len(samples)
        if count < _TRUSTED:
            return
        median = sorted(sent for sent, _, _ in samples)[count // 2]
        spread = (quickest - median) * (1 + _TRUSTED / count)
        self._offset = min(latest, quickest + spread) + _PRECISION_SECONDS
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
