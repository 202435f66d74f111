"""Threads waiting for their turn: the thin shell around the limiter.

Every call of the limiter happens under one lock and is followed by a pump; who is granted is woken through a gate of
its own and needs that lock no more, since to be woken for nothing but a lock costs more than the limiter. One timer thread, started when somebody first has to wait, pumps when time alone frees something.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from .errors import RateLimited, Unavailable
from .ratelimit import Limiter
from .tickets import Demand, Refusal, Ticket, TicketState

_SHORTEST_RETRY_SECONDS = 0.1
_LONGEST_SLEEP_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class TurnNumbers:
    """How the limiter stands; see ``metrics.ClientState``."""

    in_flight: int
    waiting: int
    buckets: int
    parked: int
    global_free: int


class _Gate:
    """Lets one thread through once. A bare lock: an Event would wake it twice, the second time for the Event's lock."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def open(self) -> None:
        self._lock.release()

    def wait(self, seconds: float) -> None:
        self._lock.acquire(timeout=min(max(0.0, seconds), threading.TIMEOUT_MAX))


class Turns:
    """Lets threads wait for leave to send."""

    def __init__(self, limiter: Limiter, *, now: Callable[[], float]) -> None:
        """Wrap a limiter.

        Args:
            limiter: Nobody else may call it.
            now: Monotonic clock in real seconds.
        """
        self._limiter = limiter
        self._now = now
        self._lock = threading.Lock()
        self._timer_news = threading.Condition(self._lock)
        self._timer: threading.Thread | None = None
        self._due: float | None = None
        self._gates: dict[Ticket, _Gate] = {}
        self._closed = False

    def acquire(self, demand: Demand, *, max_wait_seconds: float) -> Ticket:
        """Wait for leave to send. Give the ticket back through complete, refused or cancel.

        Raises:
            RateLimited: It would take, or took, longer than allowed.
            Unavailable: The client is closing.
        """
        with self._lock:
            if self._closed:
                raise _closing(demand)
            now = self._now()
            ticket = self._limiter.submit(demand, now)
            self._pump(now)
            gate = self._gate(ticket, max_wait_seconds)
        if gate is not None:
            self._wait(ticket, gate, max_wait_seconds)
        return ticket

    def refused(
        self,
        ticket: Ticket,
        *,
        now: float,
        headers: Mapping[str, str],
        refusal: Refusal,
        max_wait_seconds: float,
    ) -> None:
        """Discord answered 429: wait again with the same ticket.

        Raises:
            RateLimited: It would take, or took, longer than allowed; the ticket is spent.
            Unavailable: The client is closing.
        """
        with self._lock:
            self._limiter.refused(ticket, now=now, headers=headers, refusal=refusal)
            self._pump(self._now())
            gate = self._gate(ticket, max_wait_seconds)
        if gate is not None:
            self._wait(ticket, gate, max_wait_seconds)

    def complete(
        self,
        ticket: Ticket,
        *,
        now: float,
        headers: Mapping[str, str] | None,
        ok: bool,
        sent_at: float,
    ) -> None:
        """The request ended other than by 429; see Limiter.complete."""
        with self._lock:
            self._limiter.complete(ticket, now=now, headers=headers, ok=ok, sent_at=sent_at)
            self._pump(self._now())

    def cancel(self, ticket: Ticket) -> None:
        """Nothing was sent after all."""
        with self._lock:
            self._limiter.cancel(ticket, self._now())
            self._pump(self._now())

    def parked_fields(self, route: str, major: str) -> list[tuple[frozenset[str], float]]:
        """Return the sub-limits in force; see Limiter.parked_fields."""
        with self._lock:
            return self._limiter.parked_fields(route, major, self._now())

    def numbers(self) -> TurnNumbers:
        """Return how the limiter stands now."""
        with self._lock:
            now, limiter = self._now(), self._limiter
            return TurnNumbers(
                in_flight=limiter.in_flight,
                waiting=limiter.waiting,
                buckets=limiter.buckets,
                parked=limiter.parked(now),
                global_free=limiter.global_free(now),
            )

    def close(self) -> None:
        """Send everybody who waits away, and stop the timer."""
        with self._lock:
            self._closed = True
            for gate in self._gates.values():
                gate.open()
            self._gates.clear()
            self._timer_news.notify_all()
            timer = self._timer
        if timer is not None and timer is not threading.current_thread():
            timer.join(timeout=5.0)

    def _gate(self, ticket: Ticket, seconds: float) -> _Gate | None:
        """Return what to wait for; None when the ticket is granted already. Call it under the lock."""
        if self._granted(ticket):
            return None
        if self._closed:
            self._send_away(ticket)
        if self._limiter.estimate(ticket, self._now()).seconds > seconds:
            self._give_up(ticket)
        gate = self._gates[ticket] = _Gate()
        self._start_timer()
        return gate

    def _wait(self, ticket: Ticket, gate: _Gate, seconds: float) -> None:
        try:
            gate.wait(seconds)
        except BaseException:  # an interrupt: whoever is not there any more must not be given a turn
            with self._lock:
                self._gates.pop(ticket, None)
                self._limiter.cancel(ticket, self._now())
                self._pump(self._now())
            raise
        if self._granted(ticket):
            return
        with self._lock:
            self._gates.pop(ticket, None)
            if self._granted(ticket):
                return
            if self._closed:
                self._send_away(ticket)
            self._give_up(ticket)

    @staticmethod
    def _granted(ticket: Ticket) -> bool:
        return ticket.state is TicketState.GRANTED

    def _give_up(self, ticket: Ticket) -> NoReturn:
        now = self._now()
        estimate = self._limiter.estimate(ticket, now)
        retry_after = max(estimate.seconds, _SHORTEST_RETRY_SECONDS)
        self._limiter.cancel(ticket, now)
        self._limiter.book(ticket, now + retry_after)
        raise RateLimited(
            retry_after=retry_after,
            scope=estimate.scope,
            route=ticket.demand.route,
            fields=tuple(sorted(estimate.fields)),
        )

    def _send_away(self, ticket: Ticket) -> NoReturn:
        self._limiter.cancel(ticket, self._now())
        raise _closing(ticket.demand)

    def _pump(self, now: float) -> None:
        for ticket in self._limiter.pump(now):
            gate = self._gates.pop(ticket, None)
            if gate is not None:
                gate.open()
        # Asked for the very instant that was pumped: with a later one, what came due between would be nobody's.
        before, self._due = self._due, self._limiter.next_at(now)
        if self._due is not None and (before is None or self._due < before):
            self._timer_news.notify_all()

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = threading.Thread(target=self._run_timer, name="discord-turns", daemon=True)
            self._timer.start()

    def _run_timer(self) -> None:
        with self._lock:
            while not self._closed:
                wait = None if self._due is None else self._due - self._now()
                if wait is not None and wait <= 0:
                    self._pump(self._now())
                else:
                    self._timer_news.wait(None if wait is None else min(wait, _LONGEST_SLEEP_SECONDS))


def _closing(demand: Demand) -> Unavailable:
    return Unavailable(retry_after=1.0, route=demand.route, cause="the client is being closed")
