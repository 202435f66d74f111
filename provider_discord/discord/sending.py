"""One request in its turn: wait for the limiter, send, and hand every 429 back to the limiter.

A 429 is the limiter's business and nobody else's: the ticket keeps its place and waits again, as long as the call's
patience lasts. Every ticket that is taken is given back here, whatever happens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import structlog

from .answers import decoded, is_cloudflare, parse_refusal, seconds_of
from .errors import Banned, Scope
from .guard import InvalidRequestGuard
from .metrics import ClientMetrics
from .prepared import PreparedCall
from .tickets import Refusal, Ticket
from .timings import DiscordTimings
from .transport import Response, Sent, Transport, TransportFailure
from .waiting import Turns

_log = structlog.get_logger()


class Sender:
    """Sends the requests of one token. Safe for many threads."""

    def __init__(
        self,
        *,
        transport: Transport,
        turns: Turns,
        guard: InvalidRequestGuard,
        metrics: ClientMetrics,
        timings: DiscordTimings,
        now: Callable[[], float],
        wall: Callable[[], datetime],
    ) -> None:
        self._transport = transport
        self._turns = turns
        self._guard = guard
        self._metrics = metrics
        self._timings = timings
        self._now = now
        self._wall = wall

    def send(self, call: PreparedCall, *, check: Callable[[], None]) -> Response:
        """Wait for a turn and send; hand every 429 back to the limiter until there is another answer.

        Args:
            call: What to send.
            check: Raises when it may not be sent any more; asked just before each time.

        Raises:
            TransportFailure: No complete answer came.
            DiscordError: It never got its turn, or is no longer welcome.
        """
        since = self._now()
        ticket = self._turns.acquire(call.demand, max_wait_seconds=call.patience(since))
        refusals = 0
        while True:
            waited = self._now() - since
            call.wait_seconds -= waited
            self._metrics.waited(priority=call.demand.priority, seconds=waited)
            try:
                check()
                response = self._send(call)
            except TransportFailure as failed:
                if failed.sent is Sent.NO:
                    self._turns.cancel(ticket)
                else:
                    self._turns.complete(ticket, now=self._now(), headers=None, ok=False, sent_at=0.0)
                raise
            except BaseException:
                self._turns.cancel(ticket)
                raise
            refusal = self._refusal(call, response, ticket)
            if refusal is None:
                self._turns.complete(
                    ticket,
                    now=response.received_at,
                    headers=response.headers,
                    ok=200 <= response.status < 300,
                    sent_at=response.sent_at,
                )
                return response
            refusals += 1
            since = self._now()
            self._turns.refused(
                ticket,
                now=response.received_at,
                headers=response.headers,
                refusal=self._doubted(refusal, refusals),
                max_wait_seconds=call.patience(since),
            )

    def _doubted(self, refusal: Refusal, refusals: int) -> Refusal:
        """Wait longer than a 429 says when obeying the one before it did not help: it may say nothing or 0."""
        if refusals < 2:
            return refusal
        t = self._timings
        least = min(t.retry_initial_seconds * 2 ** (refusals - 2), t.retry_maximum_seconds)
        return replace(refusal, retry_after=max(refusal.retry_after, least))

    def _send(self, call: PreparedCall) -> Response:
        status = 0
        call.sent_at, call.sent_now = self._wall(), self._now()
        try:
            response = self._transport.send(
                method=call.route.route.method,
                path=call.route.path,
                json=call.json,
                params=call.params,
                headers=call.headers,
                deadline=call.deadline,
            )
            status = response.status
            return response
        finally:
            self._metrics.request_sent(
                resource_type=call.route.route.resource_type,
                operation=call.route.route.operation,
                status=status,
            )

    def _refusal(self, call: PreparedCall, response: Response, ticket: Ticket) -> Refusal | None:
        """Return what a 429 says, None for any other answer.

        Raises:
            Banned: Cloudflare answered in Discord's place. The ticket is spent.
        """
        if response.status not in {403, 429}:
            return None
        now, body = response.received_at, decoded(response)
        if is_cloudflare(response, body):
            self._guard.record(now)
            self._turns.complete(ticket, now=now, headers=None, ok=False, sent_at=0.0)
            wait = seconds_of(response.headers.get("retry-after")) or 0.0
            raise Banned(retry_after=self._guard.ban(retry_after=wait, now=now))
        if response.status != 429:
            return None
        refusal = parse_refusal(response.headers, body)
        self._guard.answered()
        if refusal.scope is not Scope.SHARED:
            self._guard.record(now)
        self._metrics.rate_limited(scope=refusal.scope)
        _log.warning(
            "rate limited by Discord (429)",
            route=call.demand.route,
            scope=refusal.scope.value,
            retry_after=refusal.retry_after,
        )
        return refusal
