"""Who was dragged: told from what stood right before, and never from what we may have done ourselves."""

from __future__ import annotations

from typing import Any

import pytest

from provider_discord.kinds.order import channel_block, misplaced_channels, moved_channels
from provider_discord.kinds.pending_order import Disorder, Gatherer, PendingOrder
from provider_discord.kinds.timings import KindTimings

_KEYS = {"1": 1, "2": 2, "3": 3}


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _look(pending: PendingOrder, *order: str, keys: dict[str, int] | None = None) -> Disorder:
    keys = _KEYS if keys is None else keys
    items: dict[str, dict[str, Any]] = {
        one: {"id": one, "type": 0, "position": place} for place, one in enumerate(order)
    }
    return pending.look(
        "g",
        polling=False,
        items=items,
        keys=keys,
        block=channel_block,
        misplaced=lambda keys: misplaced_channels(items.values(), keys),
        moved=lambda keys: moved_channels(items.values(), keys),
    )


def _pending(clock: _Clock | None = None) -> PendingOrder:
    return PendingOrder(now=clock or _Clock(), timings=KindTimings())


def test_what_stood_right_and_no_longer_does_was_dragged() -> None:
    pending = _pending()
    assert _look(pending, "1", "2", "3") == Disorder(frozenset(), frozenset())
    for _ in range(2):
        found = _look(pending, "3", "1", "2")
        assert found == Disorder(wrong=frozenset("123"), dragged=frozenset("3")), "until it is put back"


def test_what_is_new_was_not_dragged_and_drags_nobody() -> None:
    pending = _pending()
    _look(pending, "2", "3", keys={"2": 2, "3": 3})
    assert _look(pending, "2", "3", "1") == Disorder(wrong=frozenset("123"), dragged=frozenset())
    assert _look(pending, "3", "2", "1").dragged, "these two did stand right"


def test_nobody_knows_at_the_first_look() -> None:
    """Then whoever compares with the status decides."""
    assert _look(_pending(), "3", "1", "2").dragged == frozenset("3")


def test_how_things_stand_after_our_own_request_is_our_own_doing() -> None:
    """Discord may carry out a part of what it refuses."""
    clock = _Clock()
    pending = _pending(clock)
    _look(pending, "1", "2", "3")
    pending.ask("g", "1")
    clock.now += 60
    assert pending.take("g")
    assert _look(pending, "3", "1", "2").dragged == frozenset()
    _look(pending, "1", "2", "3")
    assert _look(pending, "3", "1", "2").dragged == frozenset("3")


def test_gatherer_waits_for_quiet_but_not_for_ever() -> None:
    gatherer = Gatherer(quiet_seconds=0.5, max_wait_seconds=2.0)
    assert gatherer.due("g", 10.0) is None
    gatherer.mark("g", 10.0)
    assert gatherer.due("g", 10.0) == pytest.approx(0.5)
    gatherer.mark("g", 10.4)
    assert gatherer.due("g", 10.5) == pytest.approx(0.4), "each mark starts the quiet period anew"
    assert gatherer.due("other", 10.5) is None
    for step in range(4, 20):
        gatherer.mark("g", 10.0 + step / 10)
    assert gatherer.due("g", 11.9) == pytest.approx(0.1), "the first mark does not wait longer than that"
    assert gatherer.due("g", 30.0) == 0.0
    assert gatherer.take("g")
    assert not gatherer.take("g"), "one caller alone writes"
    assert gatherer.due("g", 30.0) is None
