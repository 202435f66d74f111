"""A circuit breaker for one token and resource type: what keeps failing is left alone for a while.

pybreaker counts and keeps the state, fed with outcomes only. Admission, the clock, the single probe and the
dropping of late results are ours, because pybreaker holds a lock during calls, uses the wall clock, lets
everybody in when half open, and lets a straggler from before the trip restart the timer.

What is a failure: no answer (connection, timeout) and 5xx. Any other answer says that Discord is alive. Rate
limits, refusals of our own and Cloudflare's ban page say nothing and are *abandoned*.

The longer it has been failing, the longer is the pause before the next probe: a second at first, then a twentieth of
the outage so far, 20 s at most. So the end of an outage is noticed soon by its own measure, for a probe a second and
less. It is one outage until the circuit stayed closed for the longest pause. A create asks only after that longest
pause, because one that fails has an unknown outcome that must be looked up; mostly something else asked before.
"""

from __future__ import annotations

import contextlib
import math
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

import pybreaker
import structlog

from .errors import CircuitOpen
from .metrics import CircuitState
from .routes import ResourceType
from .timings import DiscordTimings

_log = structlog.get_logger()
_SHARE_OF_OUTAGE = 1 / 20
_JITTER = 0.25
_STATES = {
    pybreaker.STATE_CLOSED: CircuitState.CLOSED,
    pybreaker.STATE_HALF_OPEN: CircuitState.HALF_OPEN,
    pybreaker.STATE_OPEN: CircuitState.OPEN,
}


class _Failure(Exception):
    """Tells pybreaker that something failed."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to try. Give it back through success, failure or abandon, exactly once."""

    epoch: int
    probe: bool


class Breaker:
    """One circuit. Instants are monotonic seconds."""

    def __init__(
        self,
        resource_type: ResourceType,
        *,
        timings: DiscordTimings,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Make a closed circuit.

        Args:
            resource_type: What it is about.
            timings: Pauses and thresholds.
            chance: Uniform in [0, 1), so that circuits that opened together do not probe together.
        """
        self._resource_type = resource_type
        self._first_seconds = timings.breaker_first_reset_seconds
        self._longest_seconds = timings.breaker_reset_seconds
        self._chance = chance
        self._lock = threading.Lock()
        self._circuit = pybreaker.CircuitBreaker(
            fail_max=timings.breaker_failures,
            reset_timeout=float("inf"),
            success_threshold=timings.breaker_successes,
            throw_new_error_on_trip=False,
        )
        self._state = CircuitState.CLOSED
        self._failed = False
        self._epoch = 0
        self._outage_began_at = self._opened_at = self._closed_at = -math.inf
        self._pause = 0.0
        self._probing = False
        self._answered = False

    @property
    def state(self) -> CircuitState:
        """Closed, half-open or open."""
        return self._state

    def standing(self, now: float) -> CircuitState:
        """Return the state to tell people.

        It is open until something was answered, also while a probe is under way and between two probes. When nobody
        asked for the longest pause it is half-open: of what is seldom called (the audit log) the next probe may be
        hours away, and nobody is to be told all that time that Discord fails.
        """
        with self._lock:
            if self._state is CircuitState.CLOSED:
                return self._state
            failing = self._probing or now < self._opened_at + self._longest_seconds
            return CircuitState.OPEN if failing and not self._answered else CircuitState.HALF_OPEN

    def admit(self, now: float, *, idempotent: bool = True) -> Permit:
        """Return leave to try.

        Args:
            now: Monotonic.
            idempotent: Whether a failure has no unknown outcome; what is not asks after the longest pause alone.

        Raises:
            CircuitOpen: It is open, or another probe is under way.
        """
        with self._lock:
            if self._state is CircuitState.CLOSED:
                return Permit(self._epoch, probe=False)
            opened = self._state is CircuitState.OPEN
            left = self._left(now) if opened else 0.0
            if not (idempotent or self._answered) and now < self._opened_at + self._longest_seconds:
                left = max(left, self._first_seconds)
            if left > 0:
                raise CircuitOpen(retry_after=left, resource_type=self._resource_type)
            if opened:
                self._circuit.half_open()
                self._changed()
            if self._probing:
                raise CircuitOpen(retry_after=self._first_seconds, resource_type=self._resource_type)
            self._probing = True
            return Permit(self._epoch, probe=True)

    def check(self, permit: Permit, now: float) -> None:
        """Ask again just before sending, after the wait for a rate limit.

        Raises:
            CircuitOpen: It opened meanwhile. The permit is still to be abandoned.
        """
        if permit.epoch == self._epoch:
            return
        with self._lock:
            if not permit.probe and self._state is not CircuitState.CLOSED:
                left = max(self._left(now), self._first_seconds)
                raise CircuitOpen(retry_after=left, resource_type=self._resource_type)

    def success(self, permit: Permit, now: float) -> None:
        """Discord answered."""
        self._feed(permit, None, now)

    def failure(self, permit: Permit, now: float) -> None:
        """No answer, or a 5xx."""
        self._feed(permit, _Failure(), now)

    def abandon(self, permit: Permit) -> None:
        """Nothing was sent, or what came back says nothing about Discord."""
        with self._lock:
            if permit.probe and permit.epoch == self._epoch:
                self._probing = False

    def _feed(self, permit: Permit, failure: _Failure | None, now: float) -> None:
        with self._lock:
            if permit.epoch != self._epoch:
                return  # a straggler from before the last change says nothing about now
            before = self._state
            if before is CircuitState.CLOSED and failure is None and not self._failed:
                return  # nearly always: nothing is counted
            self._failed = failure is not None
            if permit.probe:
                self._probing = False
                self._answered = self._answered or failure is None

            def outcome() -> None:
                if failure is not None:
                    raise failure

            with contextlib.suppress(_Failure):
                self._circuit.call(outcome)
            self._changed()
            after = self._state
            if after is before:
                return
            if after is CircuitState.OPEN:
                self._opened(now, told=before is CircuitState.HALF_OPEN)
            elif after is CircuitState.CLOSED:
                self._closed_at = now
                _log.info(
                    "circuit breaker closed: Discord answers again", resource_type=self._resource_type.value
                )

    def _opened(self, now: float, *, told: bool) -> None:
        if not told and now >= self._closed_at + self._longest_seconds:
            self._outage_began_at = now
        self._opened_at, self._answered = now, False
        pause = max(self._first_seconds, (now - self._outage_began_at) * _SHARE_OF_OUTAGE)
        self._pause = min(pause * (1 + _JITTER * (2 * self._chance() - 1)), self._longest_seconds)
        if not told:
            _log.warning(
                "circuit breaker open: Discord keeps failing",
                resource_type=self._resource_type.value,
                retry_after=round(self._pause, 1),
            )

    def _left(self, now: float) -> float:
        return self._opened_at + self._pause - now

    def _changed(self) -> None:
        """Follow pybreaker's state."""
        state = _STATES[self._circuit.current_state]
        if state is not self._state:
            self._state = state
            self._epoch += 1
            self._probing = False
