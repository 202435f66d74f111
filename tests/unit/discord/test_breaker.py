"""The circuit breaker on a virtual clock."""

from __future__ import annotations

import itertools

import pytest
import structlog

from provider_discord.discord.breaker import Breaker
from provider_discord.discord.errors import CircuitOpen
from provider_discord.discord.metrics import CircuitState
from provider_discord.discord.routes import ResourceType
from provider_discord.discord.timings import DiscordTimings

TIMINGS = DiscordTimings(
    breaker_failures=3, breaker_successes=2, breaker_first_reset_seconds=20.0, breaker_reset_seconds=20.0
)
GROWING = DiscordTimings()


def make(timings: DiscordTimings = TIMINGS) -> Breaker:
    """Return one whose pauses have no jitter."""
    return Breaker(ResourceType.ROLE, timings=timings, chance=lambda: 0.5)


def state_of(breaker: Breaker) -> CircuitState:
    return breaker.state


def trip(breaker: Breaker, now: float = 0.0) -> None:
    for _ in range(3):
        breaker.failure(breaker.admit(now), now)
    assert breaker.state is CircuitState.OPEN


def test_failures_in_a_row_open_it_and_a_success_between_them_does_not() -> None:
    breaker = make()
    for _ in range(5):
        breaker.failure(breaker.admit(0.0), 0.0)
        breaker.failure(breaker.admit(0.0), 0.0)
        breaker.success(breaker.admit(0.0), 0.0)
    assert breaker.state is CircuitState.CLOSED
    trip(breaker)


def test_open_fails_fast_and_says_how_long() -> None:
    breaker = make()
    trip(breaker, 100.0)
    with pytest.raises(CircuitOpen) as caught:
        breaker.admit(105.0)
    assert caught.value.retry_after == pytest.approx(15.0)
    assert caught.value.resource_type == "role"


def test_one_probe_at_a_time_and_two_successes_close_it() -> None:
    breaker = make()
    with structlog.testing.capture_logs() as logs:
        trip(breaker)
        probe = breaker.admit(20.0)
        assert probe.probe
        assert state_of(breaker) is CircuitState.HALF_OPEN
        for _ in range(50):
            with pytest.raises(CircuitOpen):
                breaker.admit(20.0)
        breaker.success(probe, 20.5)
        second = breaker.admit(21.0)
        assert second.probe
        breaker.success(second, 21.0)
    assert breaker.state is CircuitState.CLOSED
    assert not breaker.admit(21.0).probe
    assert [(entry["event"], entry["log_level"], entry["resource_type"]) for entry in logs] == [
        ("circuit breaker open: Discord keeps failing", "warning", "role"),
        ("circuit breaker closed: Discord answers again", "info", "role"),
    ], "both are told, so that a search for what opened shows when it closed"


def fail_until(breaker: Breaker, end: float, *, begun: float = 0.0) -> list[float]:
    """Let an outage last so long, with somebody who comes back whenever told; return when probes were sent."""
    probes: list[float] = []
    now = begun
    while now < end:
        try:
            permit = breaker.admit(now)
        except CircuitOpen as held:
            now += held.retry_after + 0.01
        else:
            if permit.probe:
                probes.append(now)
            breaker.failure(permit, now)
    return probes


def answer_from(breaker: Breaker, begun: float) -> float:
    """Let Discord answer from now on; return when the circuit closed."""
    now = begun
    while breaker.state is not CircuitState.CLOSED:
        try:
            breaker.success(breaker.admit(now), now)
        except CircuitOpen as held:
            now += held.retry_after + 0.01
    return now


@pytest.mark.parametrize(
    ("outage", "late", "probes"),
    [(5.0, 1.1, 5), (30.0, 1.6, 30), (120.0, 6.1, 60), (600.0, 20.1, 100), (3_600.0, 20.1, 250)],
)
def test_the_end_of_an_outage_is_noticed_soon_for_its_length_and_for_few_probes(
    outage: float, late: float, probes: int
) -> None:
    """Late by a second, then by a twentieth of the outage, and never by more than 20 s; one request each time."""
    breaker = make(GROWING)
    sent = fail_until(breaker, outage)
    assert len(sent) <= probes
    assert max(later - sooner for sooner, later in itertools.pairwise(sent)) <= 20.1
    assert answer_from(breaker, outage) - outage <= late


def test_only_an_answer_that_lasts_ends_an_outage() -> None:
    breaker = make(GROWING)
    fail_until(breaker, 300.0)
    closed = answer_from(breaker, 300.0)
    sent = fail_until(breaker, closed + 100.0, begun=closed + 5.0)
    assert sent[1] - sent[0] > 10.0, "it answered for five seconds in five minutes: still the same outage"
    closed = answer_from(breaker, closed + 100.0)
    sent = fail_until(breaker, closed + 30.0, begun=closed + 25.0)
    assert sent[1] - sent[0] < 1.1


def test_pauses_are_spread_and_never_longer_than_the_longest() -> None:
    first: list[float] = []
    last: list[float] = []
    for chance in (0.0, 0.5, 0.999):
        breaker = Breaker(ResourceType.ROLE, timings=GROWING, chance=lambda chance=chance: chance)  # type: ignore[misc]
        sent = fail_until(breaker, 4_000.0)
        first.append(sent[1] - sent[0])
        last.append(max(later - sooner for sooner, later in itertools.pairwise(sent)))
    assert first == pytest.approx([0.76, 1.01, 1.26], abs=0.02)
    assert last == pytest.approx([20.0, 20.0, 20.0], abs=0.1)


def test_an_outage_is_told_once_and_so_is_its_end() -> None:
    breaker = make(GROWING)
    with structlog.testing.capture_logs() as logs:
        fail_until(breaker, 120.0)
        answer_from(breaker, 120.0)
    assert [entry["event"] for entry in logs] == [
        "circuit breaker open: Discord keeps failing",
        "circuit breaker closed: Discord answers again",
    ]


def test_a_create_asks_only_when_nothing_else_did_for_the_longest_pause() -> None:
    """One that fails has an unknown outcome, and each of those must be looked up."""
    breaker = make(GROWING)
    for _ in range(10):
        breaker.failure(breaker.admit(0.0), 0.0)
    for now in (0.5, 1.5, 10.0, 19.9):
        with pytest.raises(CircuitOpen) as caught:
            breaker.admit(now, idempotent=False)
        assert caught.value.retry_after <= 1.0, "something else may close it meanwhile"
    assert breaker.admit(20.1, idempotent=False).probe
    breaker = make(GROWING)
    for _ in range(10):
        breaker.failure(breaker.admit(0.0), 0.0)
    breaker.success(breaker.admit(1.5), 1.6)
    assert breaker.admit(1.7, idempotent=False).probe, "Discord answers: what comes next may be a create"


def test_a_circuit_is_told_as_open_until_something_is_answered() -> None:
    """Not as open now and half-open then, or health would flicker with each pause and each probe that hangs."""
    breaker = make(GROWING)
    for _ in range(10):
        breaker.failure(breaker.admit(0.0), 0.0)
    assert breaker.standing(0.5) is CircuitState.OPEN
    assert breaker.standing(5.0) is CircuitState.OPEN, "a probe may leave, and none did yet"
    probe = breaker.admit(6.0)
    assert breaker.standing(25.0) is CircuitState.OPEN
    breaker.success(probe, 26.0)
    assert breaker.standing(26.0) is CircuitState.HALF_OPEN


def test_a_failed_probe_opens_it_for_the_whole_time_again() -> None:
    breaker = make()
    trip(breaker)
    breaker.failure(breaker.admit(20.0), 25.0)
    with pytest.raises(CircuitOpen) as caught:
        breaker.admit(26.0)
    assert caught.value.retry_after == pytest.approx(19.0)


def test_an_abandoned_probe_lets_the_next_one_try() -> None:
    breaker = make()
    trip(breaker)
    breaker.abandon(breaker.admit(20.0))
    assert breaker.admit(20.0).probe


def test_stragglers_from_before_the_trip_change_nothing() -> None:
    breaker = make()
    slow = [breaker.admit(0.0) for _ in range(5)]
    trip(breaker)
    for permit in slow[:3]:
        breaker.failure(permit, 19.0)
    breaker.success(slow[3], 19.0)
    breaker.abandon(slow[4])
    assert breaker.state is CircuitState.OPEN
    assert breaker.admit(20.0).probe, "the timer was not restarted"


def test_what_waited_for_its_turn_while_it_opened_is_not_sent() -> None:
    breaker = make()
    waited = breaker.admit(0.0)
    breaker.check(waited, 0.0)
    trip(breaker)
    with pytest.raises(CircuitOpen):
        breaker.check(waited, 1.0)
    breaker.abandon(waited)
    probe = breaker.admit(20.0)
    breaker.check(probe, 20.0)


def test_a_circuit_that_nobody_calls_is_told_as_open_only_while_it_would_refuse() -> None:
    breaker = make()
    assert breaker.standing(0.0) is CircuitState.CLOSED
    trip(breaker, 100.0)
    assert breaker.standing(119.9) is CircuitState.OPEN
    assert breaker.standing(120.0) is CircuitState.HALF_OPEN
    assert breaker.state is CircuitState.OPEN, "to be told changes nothing"
    breaker.failure(breaker.admit(130.0), 130.0)
    assert breaker.standing(140.0) is CircuitState.OPEN
