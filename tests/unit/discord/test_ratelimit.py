"""The limiter against models of Discord, on a virtual clock: what it must never do, whatever the latency."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_discord.discord.bucket import BucketKind
from provider_discord.discord.errors import Scope
from provider_discord.discord.priority import Priority
from provider_discord.discord.ratelimit import Limiter
from provider_discord.discord.tickets import Demand, Refusal, Ticket, TicketState
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
    wall: Callable[[float], float] = lambda now: now + 1_700_000_000.0
    global_limit: int = 50
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
        accepted, remaining, reset_after, retry_after = self.bucket(name, demand.major).take(now)
        headers = {
            "x-ratelimit-limit": str(self.bucket(name, demand.major).limit),
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
                        ticket, now=self.now, headers=headers, ok=status == 200, sent_at=sent_at
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
    assert all(bucket.in_flight == 0 for bucket in world.limiter._buckets.values())


@QUICK
@given(
    kind=st.sampled_from(["fixed", "sliding"]),
    limit=st.integers(1, 20),
    window=st.floats(0.5, 10.0),
    base=st.floats(0.005, 0.1),
    jitter=st.floats(0.0, 0.3),
    majors=st.integers(1, 12),
    count=st.integers(1, 80),
    spread=st.floats(0.0, 20.0),
    seed=st.integers(0, 1_000),
)
def test_unknown_limits_are_learnt_without_a_single_429(
    kind: str,
    limit: int,
    window: float,
    base: float,
    jitter: float,
    majors: int,
    count: int,
    spread: float,
    seed: int,
) -> None:
    server = Server(make=lambda _: type_of[kind](limit, window))
    world = World(server, latency=jittery(seed, base, jitter))
    rng = random.Random(seed)  # noqa: S311 - a model, seeded
    tickets: list[Ticket] = []
    for n in range(count):
        demand = Demand(ROLE, str(n % majors), priority=Priority(rng.randrange(3)))

        def submit(demand: Demand = demand) -> None:
            tickets.append(world.submit(demand))

        world.at(world.now + rng.random() * spread, submit)
    world.run()
    assert server.refusals == {}
    assert server.busiest <= 50
    assert len(tickets) == count
    check_at_rest(world, tickets)


@pytest.mark.parametrize("kind", ["fixed", "sliding"])
@pytest.mark.parametrize("jitter", [0.0, 0.04, 0.3])
def test_a_burst_takes_at_most_a_tenth_longer_than_the_bucket_allows(kind: str, jitter: float) -> None:
    limit, window, count = 10, 2.0, 100
    server = Server(make=lambda _: type_of[kind](limit, window))
    world = World(server, latency=jittery(1, 0.03, jitter))
    begun = world.now
    tickets = [world.submit(Demand(ROLE, "1")) for _ in range(count)]
    world.run()
    check_at_rest(world, tickets)
    assert server.refusals == {}
    floor = (count / limit - 1) * window
    allowance = 2 * (0.03 + jitter) * (count / limit if kind == "fixed" else 3)
    assert max(world.done.values()) - begun <= 1.1 * floor + allowance


@pytest.mark.parametrize(("kind", "expected"), [("fixed", BucketKind.FIXED), ("sliding", BucketKind.SLIDING)])
def test_fixed_and_sliding_buckets_are_told_apart(kind: str, expected: BucketKind) -> None:
    server = Server(make=lambda _: type_of[kind](10, 2.0))
    world = World(server, latency=jittery(3, 0.03, 0.02))
    for _ in range(30):
        world.submit(Demand(ROLE, "1"))
    world.run()
    assert world.limiter._assigned[ROLE, "1"].kind is expected


def test_cold_majors_are_probed_side_by_side() -> None:
    server = Server(make=lambda _: FixedWindow(5, 5.0))
    world = World(server, latency=jittery(5, 0.04, 0.01), timings=DiscordTimings())
    begun = world.now
    tickets = [world.submit(Demand("PATCH /channels/{channel_id}", str(n))) for n in range(200)]
    world.run()
    check_at_rest(world, tickets)
    assert server.refusals == {}
    assert max(world.done.values()) - begun <= 1.1 * (200 / 50 - 1 + 0.09)


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


@settings(QUICK, max_examples=200)
@given(
    there=SHAPES,
    back=SHAPES,
    base=st.tuples(st.floats(0.0005, 0.2), st.floats(0.0005, 0.2)),
    jitter=st.tuples(st.floats(0.0, 0.3), st.floats(0.0, 0.3)),
    polls=st.booleans(),
    seed=st.integers(0, 1_000),
)
def test_no_second_at_the_server_ever_sees_more_than_fifty_requests(
    there: str,
    back: str,
    base: tuple[float, float],
    jitter: tuple[float, float],
    polls: bool,
    seed: int,
) -> None:
    """Whatever the latency is like on either way."""
    server = Server(make=lambda _: FixedWindow(1_000, 1.0))
    world = World(
        server,
        latency=drawn(there, seed, base[0], jitter[0]),
        back=drawn(back, seed + 1, base[1], jitter[1]),
    )
    priority = Priority.POLL if polls else Priority.RETRY
    tickets = [world.submit(Demand(ROLE, "1", priority=priority)) for _ in range(300)]
    world.run()
    assert server.busiest <= 50
    assert server.refusals == {}
    check_at_rest(world, tickets)


@QUICK
@given(
    kind=st.sampled_from(["fixed", "sliding"]),
    lost=st.floats(0.0, 0.9),
    jitter=st.floats(0.0, 0.3),
    seed=st.integers(0, 1_000),
)
def test_answers_out_of_order_or_without_headers_never_cause_a_429(
    kind: str, lost: float, jitter: float, seed: int
) -> None:
    rng = random.Random(seed)  # noqa: S311 - a model, seeded
    counted = itertools.count()
    # The first answers have headers, or the route would look as if it had no limit at all.
    server = Server(
        make=lambda _: type_of[kind](6, 3.0), headerless=lambda: next(counted) > 10 and rng.random() < lost
    )
    world = World(server, latency=jittery(seed, 0.02, jitter))
    tickets = [world.submit(Demand(ROLE, "1")) for _ in range(60)]
    world.run()
    assert server.refusals == {}
    check_at_rest(world, tickets)


@QUICK
@given(
    kind=st.sampled_from(["fixed", "sliding"]),
    every=st.floats(2.5, 10.0),
    jitter=st.floats(0.0, 0.2),
    seed=st.integers(0, 1_000),
)
def test_a_hash_that_changes_with_waiters_queued_loses_nobody(
    kind: str, every: float, jitter: float, seed: int
) -> None:
    """Each new hash begins a fresh bucket at the server; the waiters follow in their order."""
    server = Server(
        make=lambda _: type_of[kind](5, 2.0), hash_of=lambda _, now: f"h{int((now - 1_000.0) / every)}"
    )
    world = World(server, latency=jittery(seed, 0.02, jitter))
    tickets = [world.submit(Demand(ROLE, str(n % 3))) for n in range(60)]
    world.run()
    check_at_rest(world, tickets)
    assert server.refusals == {}
    for major in "012":
        numbers = [ticket.number for ticket in world.order if ticket.demand.major == major]
        assert numbers == sorted(numbers)


def test_routes_that_share_a_hash_share_a_bucket() -> None:
    server = Server(make=lambda _: FixedWindow(4, 2.0), hash_of=lambda _, __: "shared")
    world = World(server, latency=jittery(2, 0.02, 0.0))
    first = [world.submit(Demand("GET /a", "1"))]
    world.run(1.0)
    tickets = first + [world.submit(Demand(f"GET /{'ab'[n % 2]}", "1")) for n in range(30)]
    world.run()
    check_at_rest(world, tickets)
    # The first request of the second route had to be sent to learn that the bucket is the same one.
    assert server.refusals["user"] <= 1


@QUICK
@given(kind=st.sampled_from(["fixed", "sliding"]), jitter=st.floats(0.0, 0.1), seed=st.integers(0, 1_000))
def test_a_foreign_consumer_of_a_fifth_of_the_bucket_causes_next_to_no_429(
    kind: str, jitter: float, seed: int
) -> None:
    """Somebody else uses the same token; the first windows teach how much to leave to them."""
    limit, window, count = 10, 2.0, 200
    server = Server(make=lambda _: type_of[kind](limit, window))
    world = World(server, latency=jittery(seed, 0.03, jitter))
    rng = random.Random(seed)  # noqa: S311 - a model, seeded
    taken_by_others = 0

    def foreign() -> None:
        nonlocal taken_by_others
        if len(world.done) < count:
            taken_by_others += server.bucket(f"h({ROLE})", "1").take(world.now)[0]
            world.at(world.now + window / (limit / 5) * (0.8 + 0.4 * rng.random()), foreign)

    world.at(world.now, foreign)
    tickets = [world.submit(Demand(ROLE, "1")) for _ in range(count)]
    world.run()
    check_at_rest(world, tickets)
    assert server.refusals["user"] <= 0.05 * count
    assert max(world.done.values()) - 1_000.0 <= 1.4 * (count + taken_by_others) / limit * window


def test_a_sublimit_parks_its_fields_and_nothing_else() -> None:
    """A channel's name has to wait ten minutes: its bitrate and other channels' names do not."""
    until = 1_580.0
    server = Server(
        make=lambda _: FixedWindow(10, 2.0),
        sublimit=lambda major, fields, now: (
            until - now if major == "1" and "name" in fields and now < until else 0
        ),
    )
    world = World(server, latency=lambda: 0.02)
    route = "PATCH /channels/{channel_id}"
    name = world.submit(Demand(route, "1", frozenset({"name"})))
    world.run(1.0)
    assert name.state is TicketState.WAITING
    estimate = world.limiter.estimate(name, world.now)
    assert estimate.scope is Scope.SUBLIMIT
    assert estimate.fields == {"name"}
    assert estimate.seconds == pytest.approx(until - world.now, abs=0.1)
    assert world.limiter.parked_fields(route, "1", world.now)[0][0] == {"name"}
    others = [
        world.submit(Demand(route, "1", frozenset({"bitrate"}))),
        world.submit(Demand(route, "2", frozenset({"name"}))),
    ]
    also_named = world.submit(Demand(route, "1", frozenset({"name", "topic"})))
    world.run(5.0)
    assert all(ticket in world.done for ticket in others)
    assert also_named.state is TicketState.WAITING
    world.run()
    check_at_rest(world, [name, also_named, *others])
    assert server.refusals == {"sublimit": 1}


def test_a_shared_429_parks_the_route_of_that_major_only() -> None:
    world = World(Server(make=lambda _: FixedWindow(10, 2.0)), latency=lambda: 0.02)
    ticket = world.limiter.submit(Demand("GET /e", "1"), world.now)
    assert world.limiter.pump(world.now) == [ticket]
    world.limiter.refused(ticket, now=world.now, headers={}, refusal=Refusal(Scope.SHARED, 1336.0))
    other = world.submit(Demand("GET /e", "2"))
    elsewhere = world.submit(Demand("GET /f", "1"))
    world.run(10.0)
    assert other in world.done
    assert elsewhere in world.done
    assert world.limiter.estimate(ticket, world.now).scope is Scope.SHARED
    world.run()
    check_at_rest(world, [ticket, other, elsewhere])


def test_a_global_429_stops_everything_for_as_long_as_it_says() -> None:
    world = World(Server(make=lambda _: FixedWindow(10, 2.0)), latency=lambda: 0.02)
    ticket = world.limiter.submit(Demand("GET /e", "1"), world.now)
    world.limiter.pump(world.now)
    world.limiter.refused(ticket, now=world.now, headers={}, refusal=Refusal(Scope.GLOBAL, 7.0))
    other = world.submit(Demand("GET /f", "2"))
    assert world.limiter.estimate(other, world.now).scope is Scope.GLOBAL
    world.run()
    check_at_rest(world, [ticket, other])
    assert min(world.done.values()) >= 1_007.0


def test_a_ticket_refused_by_429_keeps_its_place() -> None:
    server = Server(make=lambda _: FixedWindow(2, 2.0))
    server.bucket(f"h({ROLE})", "1").take(1_000.0)
    server.bucket(f"h({ROLE})", "1").take(1_000.0)
    world = World(server, latency=lambda: 0.02)
    tickets = [world.submit(Demand(ROLE, "1")) for _ in range(6)]
    world.run()
    check_at_rest(world, tickets)
    assert server.refusals["user"] == 1  # a restart onto an exhausted bucket costs one
    assert sorted(tickets, key=lambda ticket: world.done[ticket]) == tickets


def test_users_changes_go_before_polls_and_polls_leave_a_reserve() -> None:
    server = Server(make=lambda _: FixedWindow(1_000, 1.0))
    world = World(server, latency=jittery(4, 0.03, 0.01), timings=DiscordTimings())
    polls = [world.submit(Demand("GET /p", str(n), priority=Priority.POLL)) for n in range(300)]
    changes: list[tuple[float, Ticket]] = []
    for n in range(10):

        def change(n: int = n) -> None:
            changes.append((world.now, world.submit(Demand("PATCH /c", str(n), priority=Priority.USER))))

        world.at(world.now + 1.0 + n * 0.3, change)
    world.run()
    check_at_rest(world, polls + [ticket for _, ticket in changes])
    assert max(world.done[ticket] - begun for begun, ticket in changes) < 0.3
    assert max(world.done[ticket] for ticket in polls) - 1_000.0 < 1.1 * ((310 - 1) // 50 + 0.07)


def test_a_poll_leaves_the_last_token_of_a_bucket_to_others() -> None:
    server = Server(make=lambda _: FixedWindow(3, 100.0))
    world = World(server, latency=lambda: 0.02)
    for _ in range(5):
        world.submit(Demand(ROLE, "1", priority=Priority.POLL))
    world.run(1.0)
    assert len(world.done) == 2
    change = world.submit(Demand(ROLE, "1", priority=Priority.USER))
    world.run(1.0)
    assert change in world.done


def test_nothing_starves_under_a_stream_of_better_work() -> None:
    server = Server(make=lambda _: FixedWindow(1, 1.0))
    timings = DiscordTimings(ageing_seconds=10.0)
    world = World(server, latency=lambda: 0.01, timings=timings)
    poll = world.submit(Demand(ROLE, "1", priority=Priority.POLL))
    for n in range(200):
        world.at(1_000.0 + n * 0.5, lambda: world.submit(Demand(ROLE, "1", priority=Priority.USER)))
    slow = world.submit(Demand(ROLE, "1", priority=Priority.POLL))
    world.run(100.0)
    assert poll in world.done
    assert world.done[slow] <= 1_000.0 + 2 * 10.0 + 45.0


def test_a_failed_probe_hands_over_to_the_next() -> None:
    limiter = Limiter(timings=DiscordTimings())
    first, second = (limiter.submit(Demand(ROLE, "1"), 0.0) for _ in range(2))
    assert limiter.pump(0.0) == [first]
    limiter.complete(first, now=1.0, headers=None, ok=False, sent_at=0.0)
    assert limiter.pump(1.0) == [second]


def test_a_route_without_limits_runs_a_few_at_a_time() -> None:
    limiter = Limiter(timings=DiscordTimings())
    probe, *rest = [limiter.submit(Demand("GET /x", ""), 0.0) for _ in range(20)]
    assert limiter.pump(0.0) == [probe]
    limiter.complete(probe, now=0.1, headers={}, ok=True, sent_at=0.0)
    assert limiter.pump(0.1) == rest[: DiscordTimings().unlimited_concurrency]


def test_cancelling_gives_everything_back_wherever_the_ticket_is() -> None:
    limiter = Limiter(timings=DiscordTimings())
    granted, waiting = (limiter.submit(Demand(ROLE, "1"), 0.0) for _ in range(2))
    limiter.pump(0.0)
    limiter.cancel(waiting, 0.0)
    limiter.cancel(granted, 0.0)
    limiter.cancel(granted, 0.0)
    assert (limiter.in_flight, limiter.waiting) == (0, 0)
    again = limiter.submit(Demand(ROLE, "1"), 0.0)
    assert limiter.pump(0.0) == [again]


def test_who_is_told_to_come_back_gets_a_turn_of_its_own() -> None:
    """Twenty callers that cannot wait are spread over the windows that they need, not sent back all at once."""
    world = World(Server(make=lambda _: FixedWindow(5, 10.0)), latency=lambda: 0.02)
    for _ in range(5):
        world.submit(Demand(ROLE, "1"))
    world.run(1.0)
    waits = []
    for n in range(20):
        demand = Demand(ROLE, "1", identity=n)
        ticket = world.limiter.submit(demand, world.now)
        wait = world.limiter.estimate(ticket, world.now).seconds
        world.limiter.cancel(ticket, world.now)
        world.limiter.book(demand, world.now + wait)
        waits.append(wait)
    assert Counter(round(wait / 10.0) for wait in waits) == {1: 5, 2: 5, 3: 5, 4: 5}
    repeated = replace(Demand(ROLE, "1"), identity=19)
    ticket = world.limiter.submit(repeated, world.now)
    assert world.limiter.estimate(ticket, world.now).seconds == pytest.approx(waits[-1])


def test_idle_buckets_and_old_sublimits_are_forgotten() -> None:
    world = World(Server(make=lambda _: FixedWindow(5, 2.0)), latency=lambda: 0.02)
    for n in range(50):
        world.submit(Demand(ROLE, str(n)))
    world.run(30.0)
    assert world.limiter.buckets == 50
    world.now += 1_000.0
    world.submit(Demand(ROLE, "new"))
    world.run(1.0)
    assert world.limiter.buckets == 1
    assert world.limiter._assigned.keys() == {(ROLE, "new")}
