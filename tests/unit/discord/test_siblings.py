"""Buckets that are one for all majors, and those that only look like it for a moment.

*Invariant*: of the requests that are sent after two majors bore witness that their hash has one bucket, none is refused;
so the refusals that it costs to learn this are at most as many as may be in flight. Buckets that are apart are never
taken for one, whatever the latency and although somebody else takes a fifth of each.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_discord.discord.ratelimit import Limiter
from provider_discord.discord.tickets import Demand, Refusal, Ticket
from provider_discord.discord.timings import DiscordTimings
from tests.unit.discord.limiter_world import (
    QUICK,
    Server,
    World,
    check_at_rest,
    jittery,
    type_of,
)

CHANNEL = "PATCH /channels/{channel_id}"
KINDS = st.sampled_from(["fixed", "sliding"])


class Watching(Limiter):
    """Notes when buckets are taken for one and when no longer, and when those were sent that are refused."""

    def __init__(self) -> None:
        super().__init__(timings=DiscordTimings())
        self.changes: list[tuple[float, bool]] = []
        self.refused_sent: list[float] = []

    @property
    def shared(self) -> bool:
        return bool(self.changes) and self.changes[-1][1]

    def pump(self, now: float) -> list[Ticket]:
        shared = bool(self._directory.shared)
        if shared != self.shared:
            self.changes.append((now, shared))
        return super().pump(now)

    def refused(self, ticket: Ticket, *, now: float, headers: Mapping[str, str], refusal: Refusal) -> None:
        self.refused_sent.append(ticket.granted_at)
        super().refused(ticket, now=now, headers=headers, refusal=refusal)


def world_of(server: Server, latency: Callable[[], float]) -> tuple[World, Watching]:
    world = World(server, latency=latency)
    world.limiter = watching = Watching()
    return world, watching


def channels(world: World, *, count: int, majors: int, spread: float, seed: int) -> list[Ticket]:
    """Let edits of channels arrive, at random within so many seconds."""
    rng = random.Random(seed)  # noqa: S311 - a model, seeded
    tickets: list[Ticket] = []
    for n in range(count):
        demand = Demand(CHANNEL, str(n % majors))
        at = world.now + rng.random() * spread
        world.at(at, lambda demand=demand: tickets.append(world.submit(demand)))  # type: ignore[misc]
    return tickets


@settings(QUICK, max_examples=60)
@given(
    kind=KINDS,
    limit=st.integers(1, 20),
    window=st.floats(0.5, 15.0),
    base=st.floats(0.005, 0.1),
    jitter=st.floats(0.0, 0.3),
    majors=st.integers(16, 100),
    spread=st.one_of(st.just(0.0), st.floats(0.0, 30.0)),
    seed=st.integers(0, 1_000),
)
def test_one_bucket_for_all_is_learnt_from_those_under_way_alone(
    kind: str,
    limit: int,
    window: float,
    base: float,
    jitter: float,
    majors: int,
    spread: float,
    seed: int,
) -> None:
    """With a few majors alone, what one of them sent is too large a part of what is used to tell the others' part."""
    server = Server(make=lambda _: type_of[kind](limit, window), one_for_all=lambda _: True)
    world, watching = world_of(server, jittery(seed, base, jitter))
    tickets = channels(world, count=100, majors=majors, spread=spread, seed=seed)
    world.run()
    check_at_rest(world, tickets)
    refused = watching.refused_sent
    assert len(refused) <= DiscordTimings().max_in_flight
    assert not refused or watching.shared
    assert len(watching.changes) <= 1, "it is not forgotten and learnt again"
    learnt_at = watching.changes[0][0] if watching.changes else math.inf
    assert all(sent_at <= learnt_at for sent_at in refused)


@pytest.mark.parametrize(
    ("kind", "limit", "window", "spread", "most"),
    [
        ("fixed", 10, 2.0, 0.0, 40),  # 1,350 when each channel had to find out for itself
        ("fixed", 5, 5.0, 0.0, 45),  # 3,900
        ("sliding", 10, 15.0, 0.0, 40),  # 10,778
        ("fixed", 10, 2.0, 40.0, 0),  # 155
        ("fixed", 5, 5.0, 40.0, 1),  # 3,232
        ("sliding", 10, 15.0, 40.0, 0),  # 10,372
    ],
)
def test_what_it_costs_to_learn_of_one_bucket_for_two_hundred_channels(
    kind: str, limit: int, window: float, spread: float, most: int
) -> None:
    """All at once: those that were under way when the first answers came. One after the other: next to nothing."""
    server = Server(make=lambda _: type_of[kind](limit, window), one_for_all=lambda _: True)
    world, _ = world_of(server, jittery(0, 0.03, 0.01))
    tickets = channels(world, count=200, majors=200, spread=spread, seed=0)
    world.run()
    check_at_rest(world, tickets)
    assert server.refusals["user"] <= most
    assert max(world.done.values()) - 1_000.0 <= 1.06 * max(spread, (200 / limit - 1) * window)


@settings(QUICK, max_examples=60)
@given(
    kind=KINDS,
    limit=st.integers(1, 20),
    window=st.floats(0.5, 15.0),
    base=st.floats(0.005, 0.1),
    jitter=st.floats(0.0, 0.3),
    majors=st.integers(2, 100),
    spread=st.floats(0.0, 30.0),
    seed=st.integers(0, 1_000),
)
def test_buckets_that_are_apart_are_never_taken_for_one(
    kind: str,
    limit: int,
    window: float,
    base: float,
    jitter: float,
    majors: int,
    spread: float,
    seed: int,
) -> None:
    server = Server(make=lambda _: type_of[kind](limit, window))
    world, watching = world_of(server, jittery(seed, base, jitter))
    tickets = channels(world, count=150, majors=majors, spread=spread, seed=seed)
    world.run()
    check_at_rest(world, tickets)
    assert server.refusals == {}
    assert watching.changes == []


@settings(QUICK, max_examples=60)
@given(
    kind=KINDS,
    limit=st.integers(5, 20),
    jitter=st.floats(0.0, 0.3),
    majors=st.integers(2, 8),
    spread=st.floats(0.0, 20.0),
    seed=st.integers(0, 1_000),
)
def test_a_foreign_consumer_of_a_fifth_of_each_bucket_does_not_make_them_look_like_one(
    kind: str, limit: int, jitter: float, majors: int, spread: float, seed: int
) -> None:
    window, count = 5.0, 120
    server = Server(make=lambda _: type_of[kind](limit, window))
    world, watching = world_of(server, jittery(seed, 0.03, jitter))
    rng = random.Random(seed)  # noqa: S311 - a model, seeded

    def foreign(major: str) -> None:
        if len(world.done) < count:
            server.bucket(f"h({CHANNEL})", major).take(world.now)
            world.at(world.now + window / (limit / 5) * (0.8 + 0.4 * rng.random()), lambda: foreign(major))

    for major in range(majors):
        world.at(world.now + rng.random() * window, lambda major=str(major): foreign(major))  # type: ignore[misc]
    tickets = channels(world, count=count, majors=majors, spread=spread, seed=seed)
    world.run()
    check_at_rest(world, tickets)
    assert watching.changes == []


@settings(QUICK, max_examples=40)
@given(
    kind=KINDS,
    limit=st.integers(2, 12),
    jitter=st.floats(0.0, 0.3),
    apart_first=st.booleans(),
    seed=st.integers(0, 1_000),
)
def test_what_changes_at_discord_is_learnt_and_what_was_learnt_is_undone(
    kind: str, limit: int, jitter: float, apart_first: bool, seed: int
) -> None:
    """Buckets become one, or one becomes many: nobody is lost, and in the end it is known how it is now."""
    change = 1_040.0
    server = Server(
        make=lambda _: type_of[kind](limit, 2.0), one_for_all=lambda now: (now < change) is not apart_first
    )
    world, watching = world_of(server, jittery(seed, 0.03, jitter))
    tickets = channels(world, count=60 * limit, majors=40, spread=80.0, seed=seed)
    world.run()
    check_at_rest(world, tickets)
    assert watching.shared is apart_first
    assert len(watching.changes) <= 4, "what was under way when it changed may mislead for a moment"
    if not apart_first:
        undone = watching.changes[-1][0]
        assert undone <= change + 3 * 2.0 + 2 * (0.03 + jitter), "within three windows"


def test_a_restart_onto_used_up_buckets_does_not_make_them_look_like_one_for_long() -> None:
    """Eight of fifty channels were used up before; their 429s must not hold up the others."""
    server = Server(make=lambda _: type_of["fixed"](5, 10.0))
    for major in range(8):
        for _ in range(5):
            server.bucket(f"h({CHANNEL})", str(major)).take(1_000.0)
    world, watching = world_of(server, jittery(3, 0.03, 0.02))
    tickets = [world.submit(Demand(CHANNEL, str(n % 50))) for n in range(150)]
    world.run()
    check_at_rest(world, tickets)
    assert server.refusals["user"] <= 8
    assert not watching.shared
    others = [done for ticket, done in world.done.items() if int(ticket.demand.major) >= 8]
    assert max(others) - 1_000.0 <= 1.15 * (150 / 50 - 1) + 0.3


def test_what_nothing_bears_out_is_forgotten_after_a_while() -> None:
    server = Server(make=lambda _: type_of["fixed"](5, 5.0), one_for_all=lambda _: True)
    world, watching = world_of(server, lambda: 0.03)
    tickets = channels(world, count=20, majors=20, spread=0.0, seed=1)
    world.run(30.0)
    check_at_rest(world, tickets)
    assert watching.shared
    world.now += DiscordTimings().shared_bucket_seconds + 1.0
    world.submit(Demand(CHANNEL, "1"))
    world.run(5.0)
    assert not watching.shared
