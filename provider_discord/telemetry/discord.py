"""The metrics about Discord, and what the Discord client tells them.

The client knows no registry: it reports through a protocol of its own (`discord.metrics.ClientMetrics`), which
`DiscordInstruments` satisfies. Gauges that several tokens share are sums: each client reports its own part.
"""

from __future__ import annotations

import threading
from enum import IntEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["DiscordInstruments"]

_API_BUCKETS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0)
_WAIT_BUCKETS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_CIRCUIT_STATES = ("closed", "half-open", "open")


class DiscordInstruments:
    """The instruments, as attributes, and the methods of `discord.metrics.ClientMetrics`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.api_operations = Counter(
            "provider_discord_api_operations_total",
            "Calls to Discord by outcome; status is success or the reason of the failure.",
            ["resource_type", "operation", "status"],
            registry=registry,
        )
        self.api_duration = Histogram(
            "provider_discord_api_duration_seconds",
            "Time of calls to Discord, with waiting for rate limits and retries.",
            ["resource_type", "operation"],
            buckets=_API_BUCKETS,
            registry=registry,
        )
        self.requests = Counter(
            "provider_discord_requests_total",
            "HTTP requests sent to Discord, every attempt; status is the HTTP status, 0 for no answer.",
            ["resource_type", "operation", "status"],
            registry=registry,
        )
        self.limited = Counter(
            "provider_discord_rate_limited_total", "429 answers of Discord.", ["scope"], registry=registry
        )
        self.queue_wait = Histogram(
            "provider_discord_queue_wait_seconds",
            "How long calls waited for Discord's rate limits before they were sent.",
            ["priority"],
            buckets=_WAIT_BUCKETS,
            registry=registry,
        )
        self.queue_depth = Gauge(
            "provider_discord_queue_depth", "Calls that wait for Discord's rate limits.", registry=registry
        )
        self.in_flight = Gauge(
            "provider_discord_requests_in_flight", "Requests to Discord not answered yet.", registry=registry
        )
        self.buckets = Gauge(
            "provider_discord_rate_limit_buckets",
            "Rate limit buckets of Discord known now.",
            registry=registry,
        )
        self.parked = Gauge(
            "provider_discord_rate_limit_parked",
            "Sub-limits of Discord that are used up: routes that wait for minutes while others go on.",
            registry=registry,
        )
        self.retries = Counter(
            "provider_discord_retries_total", "Requests sent to Discord again.", ["reason"], registry=registry
        )
        self.ambiguous_creates = Counter(
            "provider_discord_ambiguous_creates_total",
            "Creations at Discord with an unknown outcome, by what became of them.",
            ["resource_type", "resolution"],
            registry=registry,
        )
        self.invalid = Gauge(
            "provider_discord_invalid_requests",
            "401, 403 and 429 answers within ten minutes; Discord bans an address at 10,000.",
            registry=registry,
        )
        self.circuit_breaker_state = Gauge(
            "provider_discord_circuit_breaker_state",
            "Circuit breakers in this state, one for each token and resource type.",
            ["state", "resource_type"],
            registry=registry,
        )
        self.tokens_rejected = Gauge(
            "provider_discord_tokens_rejected", "Bot tokens in use that Discord refuses.", registry=registry
        )
        self._lock = threading.Lock()
        self._limiters: dict[str, tuple[int, int, int, int]] = {}
        self._circuits: dict[tuple[str, str], str] = {}
        self._rejected: set[str] = set()

    def call_finished(self, *, resource_type: str, operation: str, status: str, seconds: float) -> None:
        """Count a call that ended."""
        self.api_operations.labels(resource_type=resource_type, operation=operation, status=status).inc()
        self.api_duration.labels(resource_type=resource_type, operation=operation).observe(seconds)

    def request_sent(self, *, resource_type: str, operation: str, status: int) -> None:
        """Count one HTTP request; `status` is 0 when no answer came."""
        self.requests.labels(resource_type=resource_type, operation=operation, status=str(status)).inc()

    def waited(self, *, priority: IntEnum, seconds: float) -> None:
        """Count how long a call waited for its turn."""
        self.queue_wait.labels(priority=priority.name.lower()).observe(seconds)

    def rate_limited(self, *, scope: str) -> None:
        """Count a 429."""
        self.limited.labels(scope=scope).inc()

    def retried(self, *, reason: str) -> None:
        """Count a request that is sent again."""
        self.retries.labels(reason=reason).inc()

    def limiter_changed(
        self, *, client: str, in_flight: int, waiting: int, buckets: int, parked: int
    ) -> None:
        """Take in the state of one token's limiter."""
        with self._lock:
            if in_flight or waiting or buckets or parked:
                self._limiters[client] = (in_flight, waiting, buckets, parked)
            else:
                self._limiters.pop(client, None)
            gauges = (self.in_flight, self.queue_depth, self.buckets, self.parked)
            for position, gauge in enumerate(gauges):
                gauge.set(sum(state[position] for state in self._limiters.values()))

    def invalid_requests(self, *, count: int) -> None:
        """Take in how many invalid requests this process sent within the window."""
        self.invalid.set(count)

    def circuit_changed(self, *, client: str, resource_type: str, before: str, after: str) -> None:
        """Count a circuit breaker over from one state to another; the first time there is no state before."""
        del before  # What was counted is remembered, so that a report that never came can't skew the count.
        with self._lock:
            counted = self._circuits.get((client, resource_type))
            self._circuits[client, resource_type] = after
            if counted is None:
                for state in _CIRCUIT_STATES:
                    self.circuit_breaker_state.labels(state=state, resource_type=resource_type)
            else:
                self.circuit_breaker_state.labels(state=counted, resource_type=resource_type).dec()
            self.circuit_breaker_state.labels(state=after, resource_type=resource_type).inc()

    def token_changed(self, *, client: str, rejected: bool) -> None:
        """Take in that Discord rejects a token, or that its client is closed."""
        with self._lock:
            if rejected:
                self._rejected.add(client)
            else:
                self._rejected.discard(client)
            self.tokens_rejected.set(len(self._rejected))

    def open_circuits(self) -> list[str]:
        """Return the resource types that some token's circuit breaker keeps from Discord now, sorted."""
        with self._lock:
            return sorted({of for (_, of), state in self._circuits.items() if state != "closed"})
