"""What the client tells about itself, as a protocol, so that this room stays a library without a registry.

Every argument is bounded: enumerations and resource types, never ids or paths.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from .errors import Scope
from .priority import Priority
from .routes import Operation, ResourceType


class CallStatus(StrEnum):
    """How a call ended, for the label ``status``."""

    SUCCESS = "success"
    BAD_REQUEST = "bad_request"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    RATE_LIMITED = "rate_limited"
    CIRCUIT_OPEN = "circuit_open"
    UNAVAILABLE = "unavailable"
    AMBIGUOUS = "ambiguous"
    BANNED = "banned"


class RetryReason(StrEnum):
    """Why a request was sent again, for the label ``reason``."""

    CONNECT = "connect"
    TIMEOUT = "timeout"
    TRANSPORT = "transport"
    SERVER_ERROR = "server_error"


class CircuitState(StrEnum):
    """State of a circuit breaker, for the label ``state``."""

    CLOSED = "closed"
    HALF_OPEN = "half-open"
    OPEN = "open"


class ClientMetrics(Protocol):
    """Receives measurements. Called from many threads; must be quick and must not raise."""

    def call_finished(
        self, *, resource_type: ResourceType, operation: Operation, status: CallStatus, seconds: float
    ) -> None:
        """A typed call ended; ``seconds`` includes waiting and retries."""

    def request_sent(self, *, resource_type: ResourceType, operation: Operation, status: int) -> None:
        """One HTTP request was answered with a status; 0 when no answer came."""

    def waited(self, *, priority: Priority, seconds: float) -> None:
        """A call got its turn from the limiter after this long."""

    def rate_limited(self, *, scope: Scope) -> None:
        """Discord answered 429."""

    def retried(self, *, reason: RetryReason) -> None:
        """A request is sent again."""

    def limiter_changed(
        self, *, client: str, in_flight: int, waiting: int, buckets: int, parked: int
    ) -> None:
        """State of one token's limiter; ``client`` is opaque, for summing; ``parked`` counts sub-limits."""

    def invalid_requests(self, *, count: int) -> None:
        """401, 403 and 429 of this process within the window of the guard."""

    def circuit_changed(
        self, *, client: str, resource_type: ResourceType, before: CircuitState, after: CircuitState
    ) -> None:
        """A circuit breaker of one token changed; ``before`` equals ``after`` when it is first made."""

    def token_changed(self, *, client: str, rejected: bool) -> None:
        """Discord rejected a token, or the client of a rejected token was closed."""


class NoMetrics:
    """Measures nothing."""

    def call_finished(
        self, *, resource_type: ResourceType, operation: Operation, status: CallStatus, seconds: float
    ) -> None:
        """Do nothing."""

    def request_sent(self, *, resource_type: ResourceType, operation: Operation, status: int) -> None:
        """Do nothing."""

    def waited(self, *, priority: Priority, seconds: float) -> None:
        """Do nothing."""

    def rate_limited(self, *, scope: Scope) -> None:
        """Do nothing."""

    def retried(self, *, reason: RetryReason) -> None:
        """Do nothing."""

    def limiter_changed(
        self, *, client: str, in_flight: int, waiting: int, buckets: int, parked: int
    ) -> None:
        """Do nothing."""

    def invalid_requests(self, *, count: int) -> None:
        """Do nothing."""

    def circuit_changed(
        self, *, client: str, resource_type: ResourceType, before: CircuitState, after: CircuitState
    ) -> None:
        """Do nothing."""

    def token_changed(self, *, client: str, rejected: bool) -> None:
        """Do nothing."""
