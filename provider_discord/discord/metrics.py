"""What the client tells about itself, as a protocol, so that this room stays a library without a registry.

What happens is told when it happens; how things stand is asked for (``ClientState``), since it would change with
every request and is looked at every half minute. Every label is bounded: enumerations, never ids or paths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientState:
    """How one token's client stands now.

    Attributes:
        in_flight: Requests sent and not answered.
        waiting: Calls that wait for their turn.
        buckets: Rate limit buckets known.
        parked: Sub-limits and shared limits in force: fields or routes that wait while others go on.
        global_free: Requests that the limit over all buckets would let through at once.
        circuits: The circuit breaker of each resource type, by its name.
        token_rejected: Whether Discord answered 401.
    """

    in_flight: int
    waiting: int
    buckets: int
    parked: int
    global_free: int
    circuits: Mapping[str, CircuitState]
    token_rejected: bool


class ClientMetrics(Protocol):
    """Receives measurements. Called from many threads; must be quick and must not raise."""

    def client_opened(self, *, client: str, state: Callable[[], ClientState]) -> None:
        """There is a client; ask it whenever its state is wanted. ``client`` is opaque and no label."""

    def client_closed(self, *, client: str) -> None:
        """It is closed; do not ask it again."""

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


class NoMetrics:
    """Measures nothing."""

    def client_opened(self, *, client: str, state: Callable[[], ClientState]) -> None:
        """Do nothing."""

    def client_closed(self, *, client: str) -> None:
        """Do nothing."""

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
