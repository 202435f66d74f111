"""The circuit breaker on a virtual clock."""

from __future__ import annotations

import pytest
import structlog

from provider_discord.discord.breaker import Breaker
from provider_discord.discord.errors import CircuitOpen
from provider_discord.discord.metrics import CircuitState
from provider_discord.discord.routes import ResourceType
from provider_discord.discord.timings import DiscordTimings

TIMINGS = DiscordTimings(breaker_failures=3, breaker_successes=2, breaker_reset_seconds=20.0)


def make() -> Breaker:
    return Breaker(ResourceType.ROLE, timings=TIMINGS)


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
        breaker.success(breaker.admit(0.0))
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
        breaker.success(probe)
        second = breaker.admit(21.0)
        assert second.probe
        breaker.success(second)
    assert breaker.state is CircuitState.CLOSED
    assert not breaker.admit(21.0).probe
    assert [(entry["event"], entry["log_level"], entry["resource_type"]) for entry in logs] == [
        ("circuit breaker open: Discord keeps failing", "warning", "role"),
        ("circuit breaker closed: Discord answers again", "info", "role"),
    ], "both are told, so that a search for what opened shows when it closed"


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
    breaker.success(slow[3])
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
