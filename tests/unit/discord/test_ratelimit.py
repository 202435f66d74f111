"""The limiter on a virtual clock: buckets found, told apart, blocked, shared and forgotten."""

from __future__ import annotations

import pytest

from provider_discord.discord.bucket import BucketKind
from provider_discord.discord.errors import Scope
from provider_discord.discord.ratelimit import Limiter
from provider_discord.discord.tickets import Demand, Refusal, TicketState
from provider_discord.discord.timings import DiscordTimings
from tests.unit.discord.limiter_world import (
    ROLE,
    FixedWindow,
    Server,
    World,
    check_at_rest,
    jittery,
    type_of,
)


@pytest.mark.parametrize(("kind", "expected"), [("fixed", BucketKind.FIXED), ("sliding", BucketKind.SLIDING)])
def test_fixed_and_sliding_buckets_are_told_apart(kind: str, expected: BucketKind) -> None:
    server = Server(make=lambda _: type_of[kind](10, 2.0))
    world = World(server, latency=jittery(3, 0.03, 0.02))
    for _ in range(30):
        world.submit(Demand(ROLE, "1"))
    world.run()
    assert world.limiter._directory.assigned[ROLE, "1"].kind is expected


def test_cold_majors_are_probed_side_by_side() -> None:
    server = Server(make=lambda _: FixedWindow(5, 5.0))
    world = World(server, latency=jittery(5, 0.04, 0.01), timings=DiscordTimings())
    begun = world.now
    tickets = [world.submit(Demand("PATCH /channels/{channel_id}", str(n))) for n in range(200)]
    world.run()
    check_at_rest(world, tickets)
    assert server.refusals == {}
    assert max(world.done.values()) - begun <= 1.1 * (200 / 50 - 1 + 0.09)


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
    assert world.limiter._directory.assigned.keys() == {(ROLE, "new")}
