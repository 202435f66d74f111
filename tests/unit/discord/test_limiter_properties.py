"""What the limiter must never do, whatever the latency, the kind of bucket and the order of answers."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_discord.discord.priority import Priority
from provider_discord.discord.tickets import Demand, Ticket, TicketState
from tests.unit.discord.limiter_world import (
    QUICK,
    ROLE,
    SHAPES,
    FixedWindow,
    Server,
    World,
    check_at_rest,
    drawn,
    jittery,
    type_of,
)


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
    jitter=st.floats(0.0, 0.3),
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


@QUICK
@given(kind=st.sampled_from(["fixed", "sliding"]), jitter=st.floats(0.0, 0.3), seed=st.integers(0, 1_000))
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


@settings(QUICK, max_examples=60)
@given(
    kind=st.sampled_from(["fixed", "sliding"]),
    steps=st.lists(
        st.tuples(st.floats(0.0, 20.0), st.sampled_from([-3_600.0, 3_600.0, -0.5, 0.5])), max_size=4
    ),
    jitter=st.floats(0.0, 0.3),
    wide=st.booleans(),
    seed=st.integers(0, 1_000),
)
def test_a_wall_clock_that_steps_by_an_hour_causes_no_429_and_loses_nobody(
    kind: str, steps: list[tuple[float, float]], jitter: float, wide: bool, seed: int
) -> None:
    """The server's: ours is never read. No second sees more than fifty requests, before the step, over it and after."""
    limit, window = (200, 1.0) if wide else (8, 3.0)

    def wall(now: float) -> float:
        return now + sum(by for at, by in steps if now >= 1_000.0 + at)

    server = Server(make=lambda _: type_of[kind](limit, window), wall=wall)
    world = World(server, latency=jittery(seed, 0.03, jitter))
    tickets = [world.submit(Demand(ROLE, str(n % 2))) for n in range(300 if wide else 60)]
    world.run()
    check_at_rest(world, tickets)
    assert server.refusals == {}
    assert server.busiest <= 50


class NameLimit:
    """Two changes of a channel's name in ten minutes, which no header shows."""

    def __init__(self) -> None:
        self.accepted: dict[str, list[float]] = {}

    def __call__(self, major: str, fields: frozenset[str], now: float) -> float:
        if "name" not in fields:
            return 0.0
        lately = [at for at in self.accepted.get(major, []) if now - at < 600.0]
        if len(lately) >= 2:
            return lately[0] + 600.0 - now
        self.accepted[major] = [*lately, now]
        return 0.0


CHANNEL = "PATCH /channels/{channel_id}"
FIELDS = st.frozensets(st.sampled_from(["name", "topic", "nsfw", "bitrate"]), min_size=1)


@settings(QUICK, max_examples=60)
@given(
    edits=st.lists(st.tuples(st.integers(0, 3), FIELDS), min_size=1, max_size=40),
    jitter=st.floats(0.0, 0.3),
    seed=st.integers(0, 1_000),
)
def test_every_sublimit_is_isolated(
    edits: list[tuple[int, frozenset[str]]], jitter: float, seed: int
) -> None:
    """Who does not change the limited field, or another channel, never waits for it; who does, waits once."""
    server = Server(make=lambda _: FixedWindow(10, 2.0), sublimit=NameLimit())
    world = World(server, latency=jittery(seed, 0.03, jitter))
    tickets = [
        world.submit(Demand(CHANNEL, str(major), fields, suspects=fields & {"name", "topic"}))
        for major, fields in edits
    ]
    world.run(60.0)
    renames = Counter(ticket.demand.major for ticket in tickets if "name" in ticket.demand.fields)
    for ticket in tickets:
        free = "name" not in ticket.demand.fields or renames[ticket.demand.major] <= 2
        assert not free or ticket in world.done, "this one has nothing to do with any sub-limit"
    world.run(40_000.0)
    check_at_rest(world, tickets)
    assert set(server.refusals) <= {"sublimit"}


@settings(QUICK, max_examples=60)
@given(
    kind=st.sampled_from(["fixed", "sliding"]),
    work=st.lists(
        st.tuples(st.floats(0.0, 30.0), st.integers(0, 2), st.integers(0, 4), st.booleans()),
        min_size=1,
        max_size=80,
    ),
    jitter=st.floats(0.0, 0.3),
    seed=st.integers(0, 1_000),
)
def test_who_gives_up_leaves_nothing_behind_and_keeps_nobody_waiting(
    kind: str, work: list[tuple[float, int, int, bool]], jitter: float, seed: int
) -> None:
    """Any of the waiting may leave at any moment; all others get their turn and all that was taken comes back."""
    server = Server(make=lambda _: type_of[kind](4, 2.0))
    world = World(server, latency=jittery(seed, 0.03, jitter))
    staying: list[Ticket] = []

    def come(priority: int, major: int, leaves: bool) -> None:
        ticket = world.submit(Demand(ROLE, str(major), priority=Priority(priority)))

        def leave() -> None:
            if ticket.state is TicketState.WAITING:
                world.limiter.cancel(ticket, world.now)
                world.pump()

        if leaves:
            world.at(world.now + 1.0, leave)
        else:
            staying.append(ticket)

    for after, priority, major, leaves in work:
        world.at(1_000.0 + after, lambda p=priority, m=major, x=leaves: come(p, m, x))  # type: ignore[misc]
    world.run()
    check_at_rest(world, staying)
    assert server.refusals == {}
