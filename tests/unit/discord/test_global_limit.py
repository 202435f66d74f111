"""The limit over all buckets: when a slot is free again, and what is left to users' changes."""

from __future__ import annotations

import pytest

from provider_discord.discord.global_limit import GlobalLimit
from provider_discord.discord.priority import Priority
from provider_discord.discord.timings import DiscordTimings

TIMINGS = DiscordTimings(global_per_second=8, max_in_flight=5)


def make(timings: DiscordTimings = TIMINGS) -> GlobalLimit:
    return GlobalLimit(timings=timings)


def test_a_slot_is_held_until_a_second_after_the_answer() -> None:
    limit = make()
    for _ in range(8):
        limit.take(0.0, Priority.USER)
        limit.ended(0.3)
    limit.sweep(1.29)
    assert not limit.room(1.29)
    assert limit.wait(1.29) == pytest.approx(0.01)
    limit.sweep(1.3)
    assert limit.room(1.3)


def test_polls_are_spread_and_leave_room_in_flight() -> None:
    limit = make(DiscordTimings(global_per_second=50, max_in_flight=50))
    at, taken = 0.0, 0
    while limit.in_flight < 50 and limit.room(at, Priority.POLL):
        limit.take(at, Priority.POLL)
        taken += 1
        assert limit.room(at, Priority.RETRY)
        at = max(at, limit.next_at(at) or at)
    assert taken == 40, "a fifth of what may be in flight is left"
    assert at >= 33 * 0.022, "as many as were late at the beginning leave at once, then one every 22 ms"
    assert limit.room(at, Priority.USER)


def test_a_poll_that_leaves_late_makes_no_other_late() -> None:
    """A machine that is busy wakes a thread some milliseconds late each time; it must not add up."""
    limit = make(DiscordTimings(global_per_second=50, max_in_flight=50))
    at, left = 0.0, []
    for _ in range(30):
        assert limit.room(at, Priority.POLL)
        limit.take(at, Priority.POLL)
        left.append(at)
        at = max(at, limit.next_at(at) or at) + 0.008
    assert left[-1] <= 29 * 0.022 + 0.008


def test_polls_that_begin_after_a_pause_are_still_spread() -> None:
    limit = make(DiscordTimings(global_per_second=50, max_in_flight=50))
    limit.take(0.0, Priority.POLL)
    limit.ended(0.0)
    limit.sweep(60.0)
    at_once = 0
    while limit.room(60.0, Priority.POLL):
        limit.take(60.0, Priority.POLL)
        at_once += 1
    assert at_once <= 8


def test_nothing_is_sent_while_blocked() -> None:
    limit = make()
    limit.block(5.0)
    limit.block(4.0)
    assert not limit.room(4.9)
    assert limit.next_at(1.0) == 5.0
    assert limit.wait(1.0) == 4.0
    assert limit.room(5.0)
