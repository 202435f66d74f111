"""The metrics about Discord, and what the Discord client tells them.

The client knows no registry: it reports through a protocol of its own (`discord.metrics.ClientMetrics`), which
`DiscordInstruments` satisfies. What happens is counted as it happens. How things stand is asked of every open client
at each scrape, so that nothing stays behind of one that was closed and nothing is out of date on an idle one. There is
no label for the token: numbers of several are added up, and the worst is told where a sum would say nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["DiscordInstruments"]

_API_BUCKETS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0)
_WAIT_BUCKETS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_CIRCUIT_STATES = ("closed", "half-open", "open")
"""From good to bad."""


class ClientState(Protocol):
    """How one token's client stands: `discord.metrics.ClientState`."""

    @property
    def in_flight(self) -> int:
        """Requests sent and not answered."""

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn."""

    @property
    def buckets(self) -> int:
        """Rate limit buckets known."""

    @property
    def parked(self) -> int:
        """Limits of single fields or routes in force."""

    @property
    def global_free(self) -> int:
        """Requests that may be sent at once."""

    @property
    def circuits(self) -> Mapping[str, str]:
        """State of the circuit breaker of each resource type."""

    @property
    def token_rejected(self) -> bool:
        """Whether Discord refuses the token."""


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
        self.banned = Gauge(
            "provider_discord_banned_seconds",
            "For how long Cloudflare still refuses this address; 0 without a ban.",
            registry=registry,
        )
        self._clients = _Clients()
        registry.register(self._clients)

    def watch_guard(self, *, count: Callable[[], int], banned_for: Callable[[], float]) -> None:
        """Take what is asked of the guard over all tokens at each scrape."""
        self.invalid.set_function(count)
        self.banned.set_function(banned_for)

    def client_opened(self, *, client: str, state: Callable[[], ClientState]) -> None:
        """Ask this client from now on."""
        self._clients.add(client, state)

    def only_while(self, leads: Callable[[], bool]) -> None:
        """Show how clients stand only while this copy leads: after that nothing moves, an open circuit neither."""
        self._clients.shown = leads

    def expect(
        self,
        *,
        calls: Iterable[tuple[str, str]],
        statuses: Iterable[str],
        scopes: Iterable[str],
        reasons: Iterable[str],
    ) -> None:
        """Make counters exist at 0, or `rate` and `increase` would not see what happens first.

        Args:
            calls: Resource type and operation of every call that there is.
            statuses: How calls end.
            scopes: Of 429s.
            reasons: For which requests are sent again.
        """
        ends = tuple(statuses)
        for resource_type, operation in sorted(set(calls)):
            for status in ends:
                self.api_operations.labels(resource_type=resource_type, operation=operation, status=status)
        for scope in scopes:
            self.limited.labels(scope=scope)
        for reason in reasons:
            self.retries.labels(reason=reason)

    def client_closed(self, *, client: str) -> None:
        """Ask it no more."""
        self._clients.remove(client)

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

    def open_circuits(self) -> list[str]:
        """Return the resource types that some token's circuit breaker keeps from Discord now, sorted."""
        return sorted(of for of, state in _worst(self._clients.states()).items() if state == "open")


def _worst(states: Iterable[ClientState]) -> dict[str, str]:
    """Return the worst state of each resource type's circuit breakers: open if any token's is."""
    worst: dict[str, str] = {}
    for state in states:
        for resource_type, circuit in state.circuits.items():
            worst[resource_type] = max(circuit, worst.get(resource_type, "closed"), key=_CIRCUIT_STATES.index)
    return worst


class _Clients(Collector):
    """Asks every open client at each scrape."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, Callable[[], ClientState]] = {}
        self.shown: Callable[[], bool] = lambda: True

    def add(self, client: str, state: Callable[[], ClientState]) -> None:
        with self._lock:
            self._states[client] = state

    def remove(self, client: str) -> None:
        with self._lock:
            self._states.pop(client, None)

    def states(self) -> list[ClientState]:
        with self._lock:
            asked = list(self._states.values()) if self.shown() else []
        return [state() for state in asked]

    def collect(self) -> Iterable[Metric]:
        states = self.states()
        waiting, in_flight, buckets, parked, rejected, free, circuits = self._families()
        waiting.add_metric([], sum(state.waiting for state in states))
        in_flight.add_metric([], sum(state.in_flight for state in states))
        buckets.add_metric([], sum(state.buckets for state in states))
        parked.add_metric([], sum(state.parked for state in states))
        rejected.add_metric([], sum(state.token_rejected for state in states))
        if states:
            free.add_metric([], min(state.global_free for state in states))
        for resource_type, now in sorted(_worst(states).items()):
            for state in _CIRCUIT_STATES:
                circuits.add_metric([state, resource_type], state == now)
        return waiting, in_flight, buckets, parked, rejected, free, circuits

    def describe(self) -> Iterable[Metric]:
        return self._families()

    @staticmethod
    def _families() -> list[GaugeMetricFamily]:
        return [
            GaugeMetricFamily(name, text, labels=labels)
            for name, text, labels in (
                ("provider_discord_queue_depth", "Calls that wait for Discord's rate limits.", []),
                ("provider_discord_requests_in_flight", "Requests to Discord not answered yet.", []),
                ("provider_discord_rate_limit_buckets", "Rate limit buckets of Discord known now.", []),
                (
                    "provider_discord_rate_limit_parked",
                    "Sub-limits of Discord that are used up: fields or routes that wait for minutes while others go on.",
                    [],
                ),
                ("provider_discord_tokens_rejected", "Bot tokens in use that Discord refuses.", []),
                (
                    "provider_discord_rate_limit_global_free",
                    "Requests that the busiest bot token may still send now, of Discord's 50 a second.",
                    [],
                ),
                (
                    "provider_discord_circuit_breaker_state",
                    "1 for the state of a resource type's circuit breaker: open if that of any bot token is.",
                    ["state", "resource_type"],
                ),
            )
        ]
