"""The guard against too many invalid requests, on a virtual clock."""

from __future__ import annotations

import pytest
import structlog

from provider_discord.discord.errors import Banned, Forbidden, RateLimited, Scope
from provider_discord.discord.guard import ForbiddenBackoff, InvalidRequestGuard
from provider_discord.discord.priority import Priority
from provider_discord.discord.timings import DiscordTimings

TIMINGS = DiscordTimings(invalid_stop_polls=10, invalid_users_only=20, invalid_stop_all=30)


def admitted(guard: InvalidRequestGuard, now: float) -> list[Priority]:
    found = []
    for priority in Priority:
        try:
            guard.admit(priority=priority, route="GET /x", now=now)
        except RateLimited as exc:
            if exc.scope is not Scope.GUARD:
                raise
        else:
            found.append(priority)
    return found


def test_classes_stop_one_after_the_other_and_come_back_as_the_window_moves() -> None:
    guard = InvalidRequestGuard(timings=TIMINGS)
    for n, expected in (
        (9, [Priority.USER, Priority.RETRY, Priority.POLL]),
        (10, [Priority.USER, Priority.RETRY]),
        (20, [Priority.USER]),
        (30, []),
    ):
        while guard.count(float(n)) < n:
            guard.record(float(n))
        assert admitted(guard, float(n)) == expected
    with structlog.testing.capture_logs() as logs:
        assert admitted(guard, 650.0) == list(Priority)
    assert guard.count(650.0) == 0
    assert [(entry["event"], entry["allowed"]) for entry in logs] == [("invalid request guard eased", "poll")]


def test_the_time_told_is_when_enough_have_left_the_window() -> None:
    guard = InvalidRequestGuard(timings=TIMINGS)
    for _ in range(5):
        guard.record(5.0)
    for _ in range(8):
        guard.record(105.0)
    with pytest.raises(RateLimited) as caught:
        guard.admit(priority=Priority.POLL, route="GET /x", now=200.0)
    back = 200.0 + caught.value.retry_after
    assert back == pytest.approx(600.0)
    guard.admit(priority=Priority.POLL, route="GET /x", now=back)


def test_one_probe_ends_a_ban() -> None:
    guard = InvalidRequestGuard(timings=TIMINGS)
    assert guard.ban(retry_after=10.0, now=0.0) == 60.0
    with pytest.raises(Banned):
        guard.admit(priority=Priority.USER, route="x", now=59.0)
    guard.admit(priority=Priority.POLL, route="x", now=60.0)
    with pytest.raises(Banned):
        guard.admit(priority=Priority.USER, route="x", now=60.0)
    guard.unanswered()
    guard.admit(priority=Priority.USER, route="x", now=61.0)
    guard.check_ban(61.0)
    guard.answered()
    for _ in range(3):
        guard.admit(priority=Priority.USER, route="x", now=61.0)
    assert guard.banned_for(61.0) == 0.0


def test_a_late_answer_from_before_a_ban_does_not_end_it() -> None:
    guard = InvalidRequestGuard(timings=TIMINGS)
    guard.ban(retry_after=10.0, now=0.0)
    guard.answered()
    with pytest.raises(Banned):
        guard.check_ban(1.0)
    assert guard.banned_for(1.0) == 59.0


def test_a_class_that_is_stopped_does_not_use_up_the_probe_of_a_ban() -> None:
    guard = InvalidRequestGuard(timings=TIMINGS)
    for _ in range(15):
        guard.record(0.0)
    guard.ban(retry_after=10.0, now=0.0)
    with pytest.raises(RateLimited):
        guard.admit(priority=Priority.POLL, route="x", now=61.0)
    guard.admit(priority=Priority.USER, route="x", now=61.0)


def forbidden() -> Forbidden:
    return Forbidden(status=403, code=50013, message="Missing Permissions", route="PATCH /x")


def test_the_pause_after_repeated_403s_doubles_up_to_its_limit() -> None:
    backoff = ForbiddenBackoff(timings=DiscordTimings())
    pauses = []
    for _ in range(10):
        error = forbidden()
        backoff.refused("k", error, now=0.0)
        pauses.append(error.retry_after)
    assert pauses == [None, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0, 600.0, 600.0]
    with pytest.raises(Forbidden) as caught:
        backoff.admit("k", priority=Priority.RETRY, now=500.0)
    assert caught.value.retry_after == pytest.approx(100.0)
    backoff.admit("k", priority=Priority.USER, now=500.0)
    backoff.admit("other", priority=Priority.POLL, now=500.0)
    backoff.admit("k", priority=Priority.POLL, now=600.0)
    backoff.allowed("k")
    backoff.admit("k", priority=Priority.POLL, now=0.0)


def test_only_so_many_refusals_are_remembered() -> None:
    backoff = ForbiddenBackoff(timings=DiscordTimings(), capacity=3)
    for n in range(10):
        backoff.refused(str(n), forbidden(), now=0.0)
    assert len(backoff._refusals) == 3
