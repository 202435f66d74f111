"""A circuit breaker for one token and resource type: what keeps failing is left alone for a while.

pybreaker counts and keeps the state, fed with outcomes only. Admission, the clock, the single probe and the
dropping of late results are ours, because pybreaker holds a lock during calls, uses the wall clock, lets
everybody in when half open, and lets a straggler from before the trip restart the timer.

What is a failure: no answer (connection, timeout) and 5xx. Any other answer says that Discord is alive. Rate
limits, refusals of our own and Cloudflare's ban page say nothing and are *abandoned*.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pybreaker
import structlog

from .errors import CircuitOpen
from .metrics import CircuitState
from .routes import ResourceType
from .timings import DiscordTimings

_log = structlog.get_logger()
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

    def __init__(self, resource_type: ResourceType, *, timings: DiscordTimings) -> None:
        self._resource_type = resource_type
        self._reset_seconds = timings.breaker_reset_seconds
        self._lock = threading.Lock()
        self._circuit = pybreaker.CircuitBreaker(
            fail_max=timings.breaker_failures,
            reset_timeout=float("inf"),
            success_threshold=timings.breaker_successes,
            throw_new_error_on_trip=False,
        )
        self._epoch = 0
        self._opened_at = 0.0
        self._probing = False

    @property
    def state(self) -> CircuitState:
        """Closed, half-open or open."""
        return _STATES[self._circuit.current_state]

    def standing(self, now: float) -> CircuitState:
        """Return the state as a caller would find it.

        An open circuit whose time is over lets a probe through. Of what is seldom called (the audit log) the probe
        may be hours away, and nobody is to be told all that time that Discord fails.
        """
        with self._lock:
            over = self.state is CircuitState.OPEN and now >= self._opened_at + self._reset_seconds
            return CircuitState.HALF_OPEN if over else self.state

    def admit(self, now: float) -> Permit:
        """Return leave to try.

        Raises:
            CircuitOpen: It is open, or another probe is under way.
        """
        with self._lock:
            before = self.state
            if before is CircuitState.OPEN:
                left = self._opened_at + self._reset_seconds - now
                if left > 0:
                    raise CircuitOpen(retry_after=left, resource_type=self._resource_type)
                self._circuit.half_open()
                self._changed()
            if self.state is CircuitState.CLOSED:
                return Permit(self._epoch, probe=False)
            if self._probing:
                raise CircuitOpen(retry_after=1.0, resource_type=self._resource_type)
            self._probing = True
            return Permit(self._epoch, probe=True)

    def check(self, permit: Permit, now: float) -> None:
        """Ask again just before sending, after the wait for a rate limit.

        Raises:
            CircuitOpen: It opened meanwhile. The permit is still to be abandoned.
        """
        with self._lock:
            if permit.epoch != self._epoch and not permit.probe and self.state is not CircuitState.CLOSED:
                left = max(0.0, self._opened_at + self._reset_seconds - now)
                raise CircuitOpen(retry_after=max(left, 1.0), resource_type=self._resource_type)

    def success(self, permit: Permit) -> None:
        """Discord answered."""
        self._feed(permit, None, 0.0)

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
            if permit.probe:
                self._probing = False
            before = self.state

            def outcome() -> None:
                if failure is not None:
                    raise failure

            try:
                self._circuit.call(outcome)
            except _Failure:
                if self.state is CircuitState.OPEN:
                    self._opened_at = now
            if self.state is not before:
                self._changed()

    def _changed(self) -> None:
        self._epoch += 1
        self._probing = False
        after = self.state
        if after is CircuitState.OPEN:
            _log.warning(
                "circuit breaker open: Discord keeps failing",
                resource_type=self._resource_type.value,
                retry_after=self._reset_seconds,
            )
        elif after is CircuitState.CLOSED:
            _log.info(
                "circuit breaker closed: Discord answers again", resource_type=self._resource_type.value
            )
