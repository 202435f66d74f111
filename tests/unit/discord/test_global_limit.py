"""The limit over all buckets: when a slot is free again, and what is left to users' changes."""

from __future__ import annotations

import pytest

from provider_discord.discord.global_limit import GlobalLimit, RoundTrips
from provider_discord.discord.priority import Priority
from provider_discord.discord.timings import DiscordTimings

TIMINGS = DiscordTimings(global_per_second=8, max_in_flight=5)


@pytest.mark.parametrize(
    ("samples", "credit", "reason"),
    [
        ([], 0.0, "nothing is known"),
        ([0.1] * 10, 0.0, "these may all have paid for connecting"),
        ([0.1] * 11, 0.1, "a steady latency is had back whole"),
        ([0.1] * 20 + [0.08] * 20, 0.07, "shortest 0.08, average 0.09"),
        ([0.1, 0.3] * 20, 0.0, "shortest 0.1, average 0.2"),
        ([0.1] * 200 + [0.02], 0.0, "a single short one ends it at once"),
        ([0.02] + [0.1] * 128, 0.1, "what is long ago is forgotten"),
    ],
)
def test_credit_of_round_trips(samples: list[float], credit: float, reason: str) -> None:
    trips = RoundTrips(trusted=10)
    for seconds in samples:
        trips.add(seconds)
    assert trips.credit == pytest.approx(credit, abs=1e-9), reason


def test_a_slot_is_held_until_a_second_after_the_answer() -> None:
    limit = GlobalLimit(timings=TIMINGS)
    for _ in range(8):
        limit.take(0.0, Priority.USER)
        limit.ended(0.3, round_trip=0.3)
    limit.sweep(1.29)
    assert not limit.room(1.29)
    assert limit.wait(1.29) == pytest.approx(0.01)
    limit.sweep(1.3)
    assert limit.room(1.3)


def test_steady_round_trips_free_slots_earlier_but_not_those_without_an_answer() -> None:
    limit = GlobalLimit(timings=TIMINGS)
    for n in range(30):
        limit.take(n, Priority.USER)
        limit.ended(n + 0.2, round_trip=0.2)
    limit.sweep(100.0)
    for n in range(8):
        limit.take(100.0, Priority.USER)
        limit.ended(100.2, round_trip=None if n else 0.2)
    assert limit.next_at(100.2) == pytest.approx(101.0)
    limit.sweep(101.0)
    assert limit.room(101.0)
    limit.take(101.0, Priority.USER)
    assert not limit.room(101.0)
    assert limit.next_at(101.0) == pytest.approx(101.2)


def test_polls_leave_a_slot_and_are_spread() -> None:
    limit = GlobalLimit(timings=DiscordTimings(global_per_second=50, max_in_flight=50))
    taken = 0
    while limit.room(0.0, Priority.POLL):
        limit.take(0.0, Priority.POLL)
        taken += 1
    assert taken == 13, "a quarter goes at once"
    assert limit.room(0.0, Priority.RETRY)
    at = limit.next_at(0.0) or 0.0
    assert at == pytest.approx(0.015)
    assert limit.room(at, Priority.POLL)
    while limit.room(at, Priority.POLL):
        limit.take(at, Priority.POLL)
        at += 0.02
        taken += 1
    assert taken == 40, "a fifth of what may be in flight is left"
    for _ in range(40):
        limit.ended(at, round_trip=0.1)
    while limit.room(at, Priority.POLL):
        limit.take(at, Priority.POLL)
        at += 0.02
        taken += 1
    assert taken == 48, "two slots are left"
    assert limit.room(at, Priority.USER)


def test_nothing_is_sent_while_blocked() -> None:
    limit = GlobalLimit(timings=TIMINGS)
    limit.block(5.0)
    limit.block(4.0)
    assert not limit.room(4.9)
    assert limit.next_at(1.0) == 5.0
    assert limit.wait(1.0) == 4.0
    assert limit.room(5.0)
