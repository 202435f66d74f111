"""What answers tell of the server's clock, and when they are not to be believed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_discord.discord.priority import Priority
from provider_discord.discord.serverclock import ServerClock, ServerInstant
from provider_discord.discord.tickets import Demand
from tests.unit.discord.limiter_world import FixedWindow, Server, World, check_at_rest, drawn

AHEAD = 5_000.0


def taught(*, count: int = 30, there: float = 0.02, back: float = 0.06, every: float = 0.1) -> ServerClock:
    clock = ServerClock()
    for n in range(count):
        sent_at = 100.0 + n * every
        clock.learn(sent_at + there + AHEAD, sent_at=sent_at, received_at=sent_at + there + back)
    return clock


def test_with_a_steady_way_there_a_request_is_sent_so_that_it_arrives_in_time() -> None:
    clock = taught()
    at = clock.send_after(clock.instant(AHEAD + 110.0))
    assert at == pytest.approx(110.0 - 0.02, abs=0.004)


@pytest.mark.parametrize(
    ("clock", "reason"),
    [
        (ServerClock(), "nothing is known"),
        (taught(count=19), "too little is known"),
    ],
)
def test_a_clock_not_known_well_tells_nothing(clock: ServerClock, reason: str) -> None:
    assert clock.send_after(clock.instant(AHEAD + 110.0)) is None, reason
    assert clock.send_after(None) is None


def test_first_requests_on_their_connections_say_nothing_of_the_way_there() -> None:
    """They needed 0.3 s, for what is behind a new connection; the next ones need 0.02 s."""
    clock = ServerClock()
    for n in range(30):
        sent_at = 100.0 + n * 0.01
        clock.learn(sent_at + 0.3 + AHEAD, sent_at=sent_at, received_at=sent_at + 0.36, fresh=True)
    at = clock.send_after(clock.instant(AHEAD + 110.0))
    assert at == pytest.approx(110.0 + 0.06, abs=0.004), "sure, from the answers alone"


def test_what_is_far_from_the_last_answer_is_not_told() -> None:
    clock = taught()
    assert clock.send_after(clock.instant(AHEAD + 120.0)) is not None
    assert clock.send_after(clock.instant(AHEAD + 140.0)) is None, "clocks drift apart"


def test_answers_that_contradict_each_other_end_an_era() -> None:
    """The server's clock is set back by a second: what it told before says nothing now."""
    clock = taught()
    before = clock.instant(AHEAD + 104.0)
    clock.learn(103.5 + AHEAD - 1.0, sent_at=103.48, received_at=103.54)
    assert clock.send_after(before) is None
    for n in range(30):
        sent_at = 104.0 + n * 0.01
        clock.learn(sent_at + 0.02 + AHEAD - 1.0, sent_at=sent_at, received_at=sent_at + 0.08)
    assert clock.send_after(before) is None
    assert clock.send_after(clock.instant(AHEAD + 109.0)) == pytest.approx(110.0 - 0.02, abs=0.004)


def test_a_slow_way_there_now_and_then_does_not_make_it_early() -> None:
    clock = ServerClock()
    rng = random.Random(1)  # noqa: S311 - a model, seeded
    for n in range(60):
        sent_at, there = 100.0 + n * 0.1, 0.02 + (0.3 if rng.random() < 0.3 else 0.0)
        clock.learn(sent_at + there + AHEAD, sent_at=sent_at, received_at=sent_at + there + 0.06)
    at = clock.send_after(clock.instant(AHEAD + 110.0))
    assert at is not None
    assert 110.0 - 0.02 <= at <= 110.0 + 0.06 + 0.01


def test_it_is_never_later_than_what_is_sure() -> None:
    """With any jitter there: an answer shows that the server's clock had been that far."""
    clock = ServerClock()
    rng = random.Random(2)  # noqa: S311 - a model, seeded
    latest = 1e9
    for n in range(60):
        sent_at, there, back = 100.0 + n * 0.1, rng.expovariate(5.0), 0.05 + rng.expovariate(20.0)
        clock.learn(sent_at + there + AHEAD, sent_at=sent_at, received_at=sent_at + there + back)
        latest = min(latest, back)
    at = clock.send_after(ServerInstant(AHEAD + 107.0, 0))
    assert at is not None
    assert at <= 107.0 + latest + 0.004


SHAPES = st.sampled_from(["uniform", "exponential", "log-normal", "now and then", "every other"])


def _machines(*ahead: float) -> Callable[[float], float]:
    """Answer from one machine after the other, each with a clock of its own."""
    turns = itertools.count()
    return lambda now: 1e9 + now + ahead[next(turns) % len(ahead)]


WALLS: dict[str, Callable[[float], float]] = {
    "steady": lambda now: now + 1e9,
    "years behind": lambda now: now - 999.0,
    "drifting by 100 ppm": lambda now: 1e9 + now * 1.0001,
    "set an hour back in the middle": lambda now: 1e9 + now - (3_600.0 if now > 1_003.0 else 0.0),
    "set an hour ahead in the middle": lambda now: 1e9 + now + (3_600.0 if now > 1_003.0 else 0.0),
    "set back by a little again and again": lambda now: 1e9 + now - 0.4 * ((now - 1_000.0) // 1.5),
    "in whole seconds": lambda now: float(int(1e9 + now)),
    "of three machines, seconds apart": _machines(0.0, 2.5, -1.5),
    "of three machines, 20 ms apart": _machines(0.0, 0.02, -0.02),
}


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    wall=st.sampled_from(sorted(WALLS)),
    shapes=st.tuples(SHAPES, SHAPES),
    base=st.tuples(st.floats(0.0005, 0.2), st.floats(0.0005, 0.2)),
    jitter=st.tuples(st.floats(0.0, 0.3), st.floats(0.0, 0.3)),
    setup=st.floats(0.0, 0.5),
    seed=st.integers(0, 1_000),
)
def test_whatever_the_servers_clock_does_no_limit_is_ever_passed(
    wall: str,
    shapes: tuple[str, str],
    base: tuple[float, float],
    jitter: tuple[float, float],
    setup: float,
    seed: int,
) -> None:
    """The global limit and a fixed bucket, with any latency on both ways, and more where a connection is new."""
    server = Server(
        make=lambda name: FixedWindow(7, 1.5) if "few" in name else FixedWindow(1_000, 1.0), wall=WALLS[wall]
    )
    world = World(
        server,
        latency=drawn(shapes[0], seed, base[0], jitter[0]),
        back=drawn(shapes[1], seed + 1, base[1], jitter[1]),
        setup=lambda: setup,
    )
    tickets = [world.submit(Demand("GET /many", "1", priority=Priority.USER)) for _ in range(160)]
    tickets += [world.submit(Demand("GET /few", "1", priority=Priority.USER)) for _ in range(20)]
    world.run()
    assert server.refusals == {}
    assert server.busiest <= 50
    check_at_rest(world, tickets)
