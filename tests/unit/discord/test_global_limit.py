"""The limit over all buckets: when a slot is free again, and what is left to users' changes."""

from __future__ import annotations

import pytest

from provider_discord.discord.global_limit import GlobalLimit
from provider_discord.discord.priority import Priority
from provider_discord.discord.serverclock import ServerClock
from provider_discord.discord.timings import DiscordTimings

TIMINGS = DiscordTimings(global_per_second=8, max_in_flight=5)


def make(timings: DiscordTimings = TIMINGS, clock: ServerClock | None = None) -> GlobalLimit:
    return GlobalLimit(timings=timings, clock=clock or ServerClock())


@pytest.mark.parametrize("counted_at", [None, 5_000.0], ids=["unstamped", "stamped by a clock not yet known"])
def test_a_slot_is_held_until_a_second_after_the_answer(counted_at: float | None) -> None:
    limit = make()
    for _ in range(8):
        limit.take(0.0, Priority.USER)
        limit.ended(0.3, counted_at=counted_at)
    limit.sweep(1.29)
    assert not limit.room(1.29)
    assert limit.wait(1.29) == pytest.approx(0.01)
    limit.sweep(1.3)
    assert limit.room(1.3)


def test_a_known_server_clock_frees_a_slot_a_second_after_it_was_counted() -> None:
    """Their clock is 4,900 s ahead; a request needs 10 ms there and 190 ms back."""
    clock = ServerClock()
    for n in range(30):
        clock.learn(4_900.0 + n + 0.01, sent_at=float(n), received_at=n + 0.2)
    limit = make(clock=clock)
    for n in range(8):
        limit.take(100.0, Priority.USER)
        limit.ended(30.2, counted_at=None if n else 4_930.01)
    at = limit.next_at(30.2)
    assert at == pytest.approx(31.0, abs=0.005), "what is sent now arrives when the second is over"
    limit.sweep(31.01)
    assert limit.room(31.01)
    limit.take(31.01, Priority.USER)
    assert not limit.room(31.01)
    assert limit.next_at(31.01) == pytest.approx(31.2), "the others say nothing, so our clock counts"


def test_polls_leave_a_slot_and_are_spread() -> None:
    limit = make(DiscordTimings(global_per_second=50, max_in_flight=50))
    assert limit.room(0.0, Priority.POLL)
    limit.take(0.0, Priority.POLL)
    assert not limit.room(0.0, Priority.POLL)
    assert limit.room(0.0, Priority.RETRY)
    at, taken = limit.next_at(0.0) or 0.0, 1
    assert at == pytest.approx(0.018)
    while limit.room(at, Priority.POLL):
        limit.take(at, Priority.POLL)
        at += 0.02
        taken += 1
    assert taken == 40, "a fifth of what may be in flight is left"
    for _ in range(40):
        limit.ended(at, counted_at=None)
    while limit.room(at, Priority.POLL):
        limit.take(at, Priority.POLL)
        at += 0.02
        taken += 1
    assert taken == 49, "a slot is left"
    assert limit.room(at, Priority.USER)


def test_nothing_is_sent_while_blocked() -> None:
    limit = make()
    limit.block(5.0)
    limit.block(4.0)
    assert not limit.room(4.9)
    assert limit.next_at(1.0) == 5.0
    assert limit.wait(1.0) == 4.0
    assert limit.room(5.0)
