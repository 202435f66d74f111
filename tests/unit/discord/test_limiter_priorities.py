"""Whose turn it is: users' changes first, polls with a reserve, and nobody never."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from provider_discord.discord.priority import Priority
from provider_discord.discord.tickets import Demand, Ticket, TicketState
from provider_discord.discord.timings import DiscordTimings
from tests.unit.discord.limiter_world import (
    ROLE,
    FixedWindow,
    Server,
    World,
    check_at_rest,
    jittery,
)


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
        world.limiter.book(ticket, world.now + wait)
        waits.append(wait)
    assert Counter(round(wait / 10.0) for wait in waits) == {1: 5, 2: 5, 3: 5, 4: 5}
    repeated = replace(Demand(ROLE, "1"), identity=19)
    ticket = world.limiter.submit(repeated, world.now)
    assert world.limiter.estimate(ticket, world.now).seconds == pytest.approx(waits[-1])


def test_who_is_told_to_come_back_grows_older_meanwhile() -> None:
    """Nobody waits longer than a second at a time, so ageing must count the time between, or polls would starve."""
    world = World(
        Server(make=lambda _: FixedWindow(1, 1.0)),
        latency=lambda: 0.01,
        timings=DiscordTimings(ageing_seconds=10.0),
    )
    for n in range(400):
        demand = Demand(ROLE, "1", priority=Priority.USER)
        world.at(1_000.0 + n * 0.5, lambda demand=demand: world.submit(demand))  # type: ignore[misc]
    poll = Demand(ROLE, "1", priority=Priority.POLL, identity="the poll")
    tries: list[Ticket] = []

    def come() -> None:
        ticket = world.submit(poll)
        tries.append(ticket)

        def leave() -> None:
            if ticket.state is TicketState.WAITING:
                until = world.now + 1.0
                world.limiter.cancel(ticket, world.now)
                world.limiter.book(ticket, until)
                world.at(until, come)

        world.at(world.now + 1.0, leave)

    world.at(1_005.0, come)
    world.run(150.0)
    assert tries[-1] in world.done
    assert world.done[tries[-1]] <= 1_005.0 + 2 * 10.0 + 25.0, (
        "two classes up, then behind who was there before"
    )
