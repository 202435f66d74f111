"""Models of Discord's limits and a network on a virtual clock, for the limiter to be tried in."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st

from provider_discord.discord.errors import Scope
from provider_discord.discord.ratelimit import Limiter
from provider_discord.discord.tickets import Demand, Refusal, Ticket
from provider_discord.discord.timings import DiscordTimings

QUICK = settings(derandomize=True, deadline=None, max_examples=100)


class FixedWindow:
    """`limit` requests per window; the window begins with its first request."""

    def __init__(self, limit: int, window: float) -> None:
        self.limit, self.window = limit, window
        self.end, self.used = 0.0, 0

    def take(self, now: float) -> tuple[bool, int, float, float]:
        if now >= self.end:
            self.end, self.used = now + self.window, 0
        accepted = self.used < self.limit
        self.used += accepted
        return accepted, self.limit - self.used, self.end - now, self.end - now


class SlidingWindow:
    """GCRA: one request comes back per window / limit; Reset-After tells when all are back."""

    def __init__(self, limit: int, window: float) -> None:
        self.limit, self.period = limit, window / limit
        self.full_at = 0.0

    def take(self, now: float) -> tuple[bool, int, float, float]:
        full_at = max(self.full_at, now) + self.period
        accepted = full_at - now <= self.limit * self.period + 1e-9
        if accepted:
            self.full_at = full_at
        busy = self.full_at - now
        remaining = int(self.limit - busy / self.period + 1e-9)
        return accepted, remaining, busy, max(0.0, busy - (self.limit - 1) * self.period)


Window = FixedWindow | SlidingWindow

type_of: dict[str, Callable[[int, float], Window]] = {"fixed": FixedWindow, "sliding": SlidingWindow}


@dataclass
class Server:
    """Buckets by (hash, major), a global limit over any second, and what it counted."""

    make: Callable[[str], Window]
    hash_of: Callable[[str, float], str] = lambda route, _: f"h({route})"
    headerless: Callable[[], bool] = lambda: False
    sublimit: Callable[[str, frozenset[str], float], float] = lambda _, __, ___: 0.0
    wall: Callable[[float], float] = lambda now: now + 1_700_000_000.4567
    global_limit: int = 50
    one_for_all: Callable[[float], bool] = lambda _: False
    buckets: dict[tuple[str, str], Window] = field(default_factory=dict)
    arrivals: deque[float] = field(default_factory=deque)
    busiest: int = 0
    refusals: Counter[str] = field(default_factory=Counter)

    def bucket(self, name: str, major: str) -> Window:
        return self.buckets.setdefault((name, major), self.make(name))

    def handle(self, demand: Demand, now: float) -> tuple[int, dict[str, str], Refusal | None]:
        self.arrivals.append(now)
        while self.arrivals[0] <= now - 1.0:
            self.arrivals.popleft()
        self.busiest = max(self.busiest, len(self.arrivals))
        if len(self.arrivals) > self.global_limit:
            self.refusals["global"] += 1
            return 429, {}, Refusal(Scope.GLOBAL, 1.0)
        name = self.hash_of(demand.route, now)
        wait = self.sublimit(demand.major, demand.fields, now)
        bucket = self.bucket(name, "any" if self.one_for_all(now) else demand.major)
        accepted, remaining, reset_after, retry_after = bucket.take(now)
        headers = {
            "x-ratelimit-limit": str(bucket.limit),
            "x-ratelimit-remaining": str(remaining),
            "x-ratelimit-reset-after": f"{reset_after:.3f}",
            "x-ratelimit-reset": f"{self.wall(now) + reset_after:.3f}",
            "x-ratelimit-bucket": name,
        }
        if not accepted:
            self.refusals["user"] += 1
            return 429, headers, Refusal(Scope.USER, retry_after)
        if wait > 0:
            self.refusals["sublimit"] += 1
            return 429, headers, Refusal(Scope.SUBLIMIT, wait)
        return 200, {} if self.headerless() else headers, None


class World:
    """Virtual time: demands, the limiter, a network with latency, the server."""

    def __init__(
        self,
        server: Server,
        *,
        latency: Callable[[], float],
        back: Callable[[], float] | None = None,
        timings: DiscordTimings | None = None,
    ) -> None:
        self.now = 1_000.0
        self.server = server
        self.latency = latency
        self.back = back or latency
        self.limiter = Limiter(timings=timings or DiscordTimings(max_in_flight=64))
        self.done: dict[Ticket, float] = {}
        self.order: list[Ticket] = []
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._number = itertools.count()
        self._alarm: float | None = None

    def at(self, instant: float, action: Callable[[], object]) -> None:
        heapq.heappush(self._events, (instant, next(self._number), action))

    def submit(self, demand: Demand) -> Ticket:
        ticket = self.limiter.submit(demand, self.now)
        self.pump()
        return ticket

    def pump(self) -> None:
        for ticket in self.limiter.pump(self.now):
            self.order.append(ticket)
            self._send(ticket)
        alarm = self.limiter.next_at(self.now)
        if alarm is not None and (self._alarm is None or alarm < self._alarm or self._alarm <= self.now):
            self._alarm = alarm
            self.at(alarm, self.pump)

    def _send(self, ticket: Ticket) -> None:
        sent_at = self.now

        def arrive() -> None:
            status, headers, refusal = self.server.handle(ticket.demand, self.now)

            def back() -> None:
                if refusal is not None:
                    self.limiter.refused(ticket, now=self.now, headers=headers, refusal=refusal)
                else:
                    self.limiter.complete(
                        ticket,
                        now=self.now,
                        headers=headers,
                        ok=status == 200,
                        sent_at=sent_at,
                    )
                    self.done[ticket] = self.now
                self.pump()

            self.at(self.now + self.back(), back)

        self.at(self.now + self.latency(), arrive)

    def run(self, seconds: float = 10_000.0) -> None:
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, action = heapq.heappop(self._events)
            action()


def jittery(seed: int, base: float, jitter: float) -> Callable[[], float]:
    rng = random.Random(seed)  # noqa: S311 - a model, seeded
    return lambda: base + rng.random() * jitter


ROLE = "PATCH /guilds/{guild_id}/roles/{role_id}"


def check_at_rest(world: World, tickets: list[Ticket]) -> None:
    """No waiter is lost, and everything taken was given back."""
    assert [ticket for ticket in tickets if ticket not in world.done] == []
    assert world.limiter.in_flight == 0
    assert world.limiter.waiting == 0
    assert all(bucket.in_flight == 0 for bucket in world.limiter._directory.buckets.values())


def drawn(shape: str, seed: int, base: float, scale: float) -> Callable[[], float]:
    """Latency of one way: never less than base."""
    rng = random.Random(seed)  # noqa: S311 - a model, seeded
    draws: dict[str, Callable[[], float]] = {
        "uniform": lambda: rng.random() * scale,
        "exponential": lambda: rng.expovariate(3.0) * scale,
        "log-normal": lambda: rng.lognormvariate(-2.0, 0.7) * scale,
        "now and then": lambda: scale if rng.random() < 0.1 else 0.0,
        "every other": lambda: scale if rng.random() < 0.5 else 0.0,
    }
    draw = draws[shape]
    return lambda: base + draw()


SHAPES = st.sampled_from(["uniform", "exponential", "log-normal", "now and then", "every other"])
