"""One call, from the outside in: deadline, retry, guard and latches, circuit breaker, limiter, transport.

Each layer does one thing, and the order is what makes them right together: every attempt pays a token of the
limiter; a 429 belongs to the limiter and never reaches the retry; waiting and being turned away never reach the
breaker; an open circuit spends no token. What was true before the wait for a turn is asked again after it.

Only what is safe is repeated. A request with any method but POST may be repeated whatever happened to it; a POST
only when it cannot have been executed. Else its outcome is ambiguous, and the caller has to find out.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
import tenacity

from .answers import decoded, seconds_of
from .breaker import Breaker, Permit
from .errors import (
    AmbiguousOutcome,
    BadRequest,
    Banned,
    CircuitOpen,
    DiscordError,
    Forbidden,
    NotFound,
    RateLimited,
    TokenInvalid,
    Unavailable,
    api_error,
)
from .guard import ForbiddenBackoff, InvalidRequestGuard
from .metrics import CallStatus, ClientMetrics, ClientState, RetryReason
from .options import CallOptions
from .prepared import PreparedCall, prepare
from .ratelimit import Limiter
from .routes import CompiledRoute, ResourceType
from .sending import Sender
from .timings import DiscordTimings
from .transport import Response, Sent, Transport, TransportFailure
from .waiting import Turns

_log = structlog.get_logger()
_clients = itertools.count(1)

_STATUSES: tuple[tuple[type[DiscordError], CallStatus], ...] = (
    (RateLimited, CallStatus.RATE_LIMITED),
    (TokenInvalid, CallStatus.UNAUTHORIZED),
    (Forbidden, CallStatus.FORBIDDEN),
    (NotFound, CallStatus.NOT_FOUND),
    (CircuitOpen, CallStatus.CIRCUIT_OPEN),
    (AmbiguousOutcome, CallStatus.AMBIGUOUS),
    (Banned, CallStatus.BANNED),
    (BadRequest, CallStatus.BAD_REQUEST),
)


class _Attempt(Exception):
    """An attempt failed in a way that the next one may not.

    Attributes:
        failure: What went wrong, in words.
        reason: For metrics.
        maybe_executed: Whether Discord can have done it.
        retry_after: Seconds that it asked to be left alone for.
    """

    def __init__(
        self, failure: str, *, reason: RetryReason, maybe_executed: bool, retry_after: float = 0.0
    ) -> None:
        super().__init__(failure)
        self.failure = failure
        self.reason = reason
        self.maybe_executed = maybe_executed
        self.retry_after = retry_after


class _Deadline(tenacity.stop.stop_base):
    """Stops retries that would begin after the deadline."""

    def __init__(self, deadline: float, now: Callable[[], float]) -> None:
        self._deadline = deadline
        self._now = now

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        return self._now() + retry_state.upcoming_sleep >= self._deadline


class Caller:
    """The layers of one token."""

    def __init__(
        self,
        *,
        transport: Transport,
        guard: InvalidRequestGuard,
        timings: DiscordTimings,
        metrics: ClientMetrics,
        now: Callable[[], float],
        wall: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        self._transport = transport
        self._may_send = may_send
        self._guard = guard
        self._timings = timings
        self._metrics = metrics
        self._now = now
        self._wall = wall
        self._sleep = sleep
        self._id = str(next(_clients))
        self._turns = Turns(Limiter(timings=timings), now=now)
        self._sender = Sender(
            transport=transport,
            turns=self._turns,
            guard=guard,
            metrics=metrics,
            timings=timings,
            now=now,
            wall=wall,
        )
        self._forbidden = ForbiddenBackoff(timings=timings)
        self._breakers = {kind: Breaker(kind, timings=timings) for kind in ResourceType}
        self._idle = threading.Condition()
        self._calls = 0
        self._closed = False
        self._token_rejected = False
        metrics.client_opened(client=self._id, state=self.state)

    @property
    def token_rejected(self) -> bool:
        """Whether Discord answered 401."""
        return self._token_rejected

    def state(self) -> ClientState:
        """Return how things stand, for metrics."""
        numbers = self._turns.numbers()
        return ClientState(
            in_flight=numbers.in_flight,
            waiting=numbers.waiting,
            buckets=numbers.buckets,
            parked=numbers.parked,
            global_free=numbers.global_free,
            circuits={kind: breaker.standing(self._now()) for kind, breaker in self._breakers.items()},
            token_rejected=self._token_rejected,
        )

    def forgive(self) -> None:
        """Forget all repeated 403s."""
        self._forbidden.clear()

    def parked_fields(self, route: CompiledRoute) -> list[tuple[frozenset[str], float]]:
        """Return the sub-limits in force on this route and major."""
        return self._turns.parked_fields(route.route.name, route.major)

    def close(self, grace_seconds: float) -> bool:
        """See DiscordClient.close."""
        with self._idle:
            self._closed = True
        self._turns.close()
        with self._idle:
            finished = self._idle.wait_for(lambda: self._calls == 0, timeout=grace_seconds)
        self._transport.close()
        self._metrics.client_closed(client=self._id)
        if not finished:
            _log.warning("closed with requests under way", calls=self._calls)
        return finished

    def call(
        self,
        route: CompiledRoute,
        *,
        json: Any,
        params: Mapping[str, Any] | None,
        options: CallOptions,
    ) -> Any:
        """Make the call and return the decoded body. See DiscordClient.request."""
        with self._idle:
            if self._closed:
                raise Unavailable(retry_after=1.0, route=route.route.name, cause="the client is closed")
            self._calls += 1
        started = self._now()
        status = CallStatus.UNAVAILABLE
        try:
            prepared = prepare(
                route, json=json, params=params, options=options, timings=self._timings, now=started
            )
            body = self._with_retries(prepared)
            status = CallStatus.SUCCESS
        except DiscordError as exc:
            status = next((known for kind, known in _STATUSES if isinstance(exc, kind)), status)
            raise
        else:
            return body
        finally:
            self._metrics.call_finished(
                resource_type=route.route.resource_type,
                operation=route.route.operation,
                status=status,
                seconds=self._now() - started,
            )
            with self._idle:
                self._calls -= 1
                if self._closed:
                    self._idle.notify_all()

    # Deadline and retry

    def _with_retries(self, call: PreparedCall) -> Any:
        try:
            return self._attempt(
                call
            )  # nearly all calls end here; making a retry ready costs as much as the limiter
        except _Attempt as failed:
            first: _Attempt | None = failed
        t, route = self._timings, call.route.route
        earlier: list[_Attempt] = []

        def attempt() -> Any:
            nonlocal first
            failed, first = first, None
            if failed is not None:
                raise failed
            return self._attempt(call)

        def before_sleep(state: tenacity.RetryCallState) -> None:
            failed = state.outcome.exception() if state.outcome else None
            if isinstance(failed, _Attempt):
                earlier.append(failed)
                self._metrics.retried(reason=failed.reason)
                _log.debug("retrying", route=route.name, attempt=state.attempt_number, cause=failed.failure)

        def may_repeat(failed: BaseException) -> bool:
            if not isinstance(failed, _Attempt) or failed.retry_after > t.retry_maximum_seconds:
                return False
            return route.idempotent or not failed.maybe_executed

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(may_repeat),
            stop=tenacity.stop_after_attempt(t.max_attempts) | _Deadline(call.deadline, self._now),
            wait=tenacity.wait_exponential(multiplier=t.retry_initial_seconds, max=t.retry_maximum_seconds)
            + tenacity.wait_random(0, t.retry_initial_seconds),
            sleep=self._sleep,
            before_sleep=before_sleep,
            reraise=True,
        )
        failure: DiscordError
        try:
            return retrying(attempt)
        except NotFound:
            if route.method == "DELETE" and any(failed.maybe_executed for failed in earlier):
                return None  # an attempt before this one did it
            raise
        except _Attempt as failed:
            failure = self._give_up(call, failed)
        raise failure

    def _give_up(self, call: PreparedCall, failed: _Attempt) -> DiscordError:
        route = call.route.route
        if route.idempotent or not failed.maybe_executed:
            return Unavailable(
                retry_after=max(self._timings.unavailable_retry_seconds, failed.retry_after),
                route=route.name,
                cause=failed.failure,
            )
        _log.warning("outcome of a create is unknown", route=route.name, cause=failed.failure)
        # The wall clock may have been set meanwhile, and which reading was right is not known: tell both.
        took, ended = timedelta(seconds=self._now() - call.sent_now), self._wall()
        return AmbiguousOutcome(
            route=route.name,
            sent_at=min(call.sent_at, ended - took),
            ended_at=max(ended, call.sent_at + took),
            cause=failed.failure,
        )

    # One attempt

    def _attempt(self, call: PreparedCall) -> Any:
        now, demand = self._now(), call.demand
        self._check_token()
        self._forbidden.admit(str(demand.identity), priority=demand.priority, now=now)
        self._guard.admit(priority=demand.priority, route=demand.route, now=now)
        breaker = self._breakers[call.route.route.resource_type]
        try:
            permit = breaker.admit(now, idempotent=call.route.route.idempotent)
        except CircuitOpen:
            self._guard.unanswered()
            raise
        failure: _Attempt
        try:
            response = self._sender.send(call, check=lambda: self._check(call, breaker, permit))
        except TransportFailure as failed:
            if failed.sent is Sent.NO and failed.reason is not RetryReason.CONNECT:
                breaker.abandon(permit)  # it never left us, which says nothing about Discord
            else:
                breaker.failure(permit, self._now())
            self._guard.unanswered()
            maybe = failed.sent is Sent.MAYBE
            failure = _Attempt(str(failed), reason=failed.reason, maybe_executed=maybe)
        except BaseException:
            breaker.abandon(permit)
            self._guard.unanswered()
            raise
        else:
            if response.status >= 500:
                breaker.failure(permit, self._now())
            else:
                breaker.success(permit, self._now())
            self._guard.answered()
            return self._result(call, response)
        raise failure

    def _result(self, call: PreparedCall, response: Response) -> Any:
        """Turn a complete answer into what the caller gets.

        Raises:
            DiscordError: By status.
            _Attempt: 5xx, or a body that is not what belongs there.
        """
        body, identity = decoded(response), str(call.demand.identity)
        good, garbled = 200 <= response.status < 300, isinstance(body, str)
        whole = not garbled and call.route.route.answer.fits(body)
        if good and whole:
            self._forbidden.allowed(identity)
            return body
        error = api_error(status=response.status, body=body, route=call.demand.route)
        # A page is somebody else's between us and Discord, which answers in JSON: no proof against a token or a thing.
        if response.status >= 500 or good or (garbled and response.status in {401, 404}):
            text = "the answer was not JSON" if garbled else "the answer was not what belongs there"
            raise _Attempt(
                str(error) if response.status >= 500 else text,
                reason=RetryReason.SERVER_ERROR,
                maybe_executed=True,
                retry_after=self._left_alone(response) if response.status >= 500 else 0.0,
            )
        if response.status == 401:
            self._guard.record(response.received_at)
            self._reject_token()
            raise TokenInvalid from error
        if isinstance(error, Forbidden):
            self._guard.record(response.received_at)
            self._forbidden.refused(identity, error, now=response.received_at)
        raise error

    def _left_alone(self, response: Response) -> float:
        """Return for how long a failing server asks to be left alone; no longer than Cloudflare's bans at least are."""
        return min(seconds_of(response.headers.get("retry-after")) or 0.0, self._timings.ban_minimum_seconds)

    # Latches and measurements

    def _check(self, call: PreparedCall, breaker: Breaker, permit: Permit) -> None:
        """Ask again, after the wait for a turn, what was asked before it."""
        self._check_token()
        self._guard.check_ban(self._now())
        breaker.check(permit, self._now())
        self._check_in_time(call)

    def _check_token(self) -> None:
        if self._token_rejected:
            raise TokenInvalid

    def _check_in_time(self, call: PreparedCall) -> None:
        """Send nothing too late, however long the process was held up: another one may be at work in our place."""
        cause = ""
        if not self._may_send():
            cause = "it was not sent, because this process may not send any more (it does not lead)"
        elif self._now() >= call.deadline:
            cause = "it was not sent, because its time had run out"
        if cause:
            raise Unavailable(
                retry_after=self._timings.unavailable_retry_seconds, route=call.route.route.name, cause=cause
            )

    def _reject_token(self) -> None:
        with self._idle:
            first, self._token_rejected = not self._token_rejected, True
        if first:
            _log.warning("security: bot token rejected by Discord (401): nothing more is sent with it")
