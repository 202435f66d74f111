"""Real threads at the limiter: nobody is forgotten, and nobody waits longer than he said."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from provider_discord.discord.errors import RateLimited, Scope, Unavailable
from provider_discord.discord.priority import Priority
from provider_discord.discord.ratelimit import Limiter
from provider_discord.discord.tickets import Demand, Refusal
from provider_discord.discord.timings import DiscordTimings
from provider_discord.discord.waiting import Turns

ROUTE = "GET /x/{guild_id}"


def make(timings: DiscordTimings | None = None) -> Turns:
    return Turns(Limiter(timings=timings or DiscordTimings()), now=time.monotonic)


def headers(remaining: int, reset_after: float, limit: int = 5) -> dict[str, str]:
    return {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset-after": str(reset_after),
        "x-ratelimit-bucket": "h",
    }


def test_time_alone_wakes_who_waits() -> None:
    turns = make()
    first = turns.acquire(Demand(ROUTE, "1"), max_wait_seconds=0.0)
    sent_at = time.monotonic()
    turns.complete(first, now=time.monotonic(), headers=headers(0, 0.2), ok=True, sent_at=sent_at)
    second = turns.acquire(Demand(ROUTE, "1"), max_wait_seconds=5.0)
    assert 0.2 <= time.monotonic() - sent_at < 1.0
    turns.cancel(second)
    turns.close()


def test_a_wait_that_would_be_too_long_is_not_begun() -> None:
    turns = make()
    first = turns.acquire(Demand(ROUTE, "1"), max_wait_seconds=0.0)
    now = time.monotonic()
    turns.complete(first, now=now, headers=headers(0, 30.0), ok=True, sent_at=now)
    with pytest.raises(RateLimited) as caught:
        turns.acquire(Demand(ROUTE, "1"), max_wait_seconds=5.0)
    assert time.monotonic() - now < 1.0
    assert caught.value.retry_after == pytest.approx(30.0, abs=1.0)
    turns.close()


def test_a_wait_for_an_answer_ends_when_patience_does() -> None:
    turns = make()
    probe = turns.acquire(Demand(ROUTE, "1"), max_wait_seconds=0.0)
    begun = time.monotonic()
    with pytest.raises(RateLimited) as caught:
        turns.acquire(Demand(ROUTE, "1"), max_wait_seconds=0.1)
    assert 0.1 <= time.monotonic() - begun < 1.0
    assert caught.value.retry_after > 0
    turns.cancel(probe)
    turns.close()


def test_a_429_that_is_too_long_spends_the_ticket() -> None:
    turns = make()
    ticket = turns.acquire(Demand(ROUTE, "1"), max_wait_seconds=0.0)
    with pytest.raises(RateLimited) as caught:
        turns.refused(
            ticket,
            now=time.monotonic(),
            headers={},
            refusal=Refusal(Scope.SHARED, 1_336.0),
            max_wait_seconds=1.0,
        )
    assert caught.value.scope is Scope.SHARED
    assert turns._limiter.in_flight == 0
    assert turns._limiter.waiting == 0
    turns.close()


def test_many_threads_all_get_their_turn() -> None:
    """A bucket of 20 per 0.1 s with an honest server; 200 calls from 40 threads."""
    turns = make(DiscordTimings(global_per_second=1_000, max_in_flight=64))
    lock = threading.Lock()
    window = [0.0, 0]
    refusals = 0

    def call(_: int) -> None:
        nonlocal refusals
        ticket = turns.acquire(Demand(ROUTE, "1"), max_wait_seconds=20.0)
        sent_at = time.monotonic()
        with lock:
            now = time.monotonic()
            if now >= window[0]:
                window[:] = [now + 0.1, 0]
            window[1] += 1
            refusals += window[1] > 20
            answer = headers(max(0, 20 - int(window[1])), window[0] - now, limit=20)
        turns.complete(ticket, now=time.monotonic(), headers=answer, ok=True, sent_at=sent_at)

    with ThreadPoolExecutor(40) as pool:
        list(pool.map(call, range(200), timeout=30.0))
    assert refusals == 0
    assert turns._limiter.in_flight == 0
    assert turns._limiter.waiting == 0
    turns.close()


def test_what_comes_due_between_two_looks_at_the_clock_is_not_missed() -> None:
    """A poll needs three free slots, which come free 20 ms apart; each look at the clock takes 25 ms."""
    slow = threading.Event()

    def now() -> float:
        read = time.monotonic()
        if slow.is_set():
            time.sleep(0.025)
        return read

    turns = Turns(Limiter(timings=DiscordTimings(global_hold_seconds=0.3)), now=now)
    begun = time.monotonic()
    for n in range(50):
        ticket = turns.acquire(Demand(ROUTE, str(n), priority=Priority.USER), max_wait_seconds=0.0)
        turns.complete(ticket, now=begun + n * 0.02, headers={}, ok=True, sent_at=begun)
    slow.set()
    poll = turns.acquire(Demand(ROUTE, "poll", priority=Priority.POLL), max_wait_seconds=5.0)
    turns.cancel(poll)
    turns.close()


def test_closing_sends_the_waiting_away() -> None:
    turns = make()
    probe = turns.acquire(Demand(ROUTE, "1"), max_wait_seconds=0.0)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(turns.acquire, Demand(ROUTE, "1"), max_wait_seconds=30.0) for _ in range(4)]
        deadline = time.monotonic() + 5.0
        while len(turns._gates) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        turns.close()
        for call in waiting:
            with pytest.raises(Unavailable):
                call.result(5.0)
    turns.cancel(probe)
    with pytest.raises(Unavailable):
        turns.acquire(Demand(ROUTE, "1"), max_wait_seconds=0.0)
    assert turns._timer is not None
    assert not turns._timer.is_alive()


def test_who_is_refused_while_the_client_closes_is_sent_away_at_once() -> None:
    turns = make()
    ticket = turns.acquire(Demand(ROUTE, "1"), max_wait_seconds=0.0)
    turns.close()
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        turns.refused(ticket, now=begun, headers={}, refusal=Refusal(Scope.USER, 0.5), max_wait_seconds=10.0)
    assert time.monotonic() - begun < 5.0
    assert (turns.numbers().in_flight, turns.numbers().waiting) == (0, 0)
