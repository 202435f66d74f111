"""What keeps this process from being shut out: invalid requests, Cloudflare's ban, a rejected token, repeated 403s.

Discord bans an *address* for a while after 10,000 answers of 401, 403 or 429 in ten minutes (topics/rate-limits,
"Invalid Request Limit"), so one guard serves all tokens of a process. It brakes early and in steps: first the
polls, then all but users' changes, then everything. A 429 of scope ``shared`` does not count.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from .errors import Banned, Forbidden, RateLimited, Scope
from .priority import Priority
from .timings import DiscordTimings

_log = structlog.get_logger()
_SLOTS = 60


class InvalidRequestGuard:
    """Counts invalid requests and holds the ban latch; one per process, safe for many threads."""

    def __init__(self, *, timings: DiscordTimings | None = None) -> None:
        """Make a guard with nothing counted.

        Args:
            timings: Window and thresholds.
        """
        self._timings = timings = timings or DiscordTimings()
        self._slot_seconds = timings.invalid_window_seconds / _SLOTS
        self._lock = threading.Lock()
        self._ring: list[tuple[int, int]] = [(-1, 0)] * _SLOTS
        self._newest = -_SLOTS
        self._thresholds = {
            Priority.POLL: timings.invalid_stop_polls,
            Priority.RETRY: timings.invalid_users_only,
            Priority.USER: timings.invalid_stop_all,
        }
        self._level: Priority | None = Priority.POLL
        self._banned_until: float | None = None
        self._ban_probe = False

    def count(self, now: float) -> int:
        """Return how many invalid requests there were in the window."""
        with self._lock:
            return sum(n for _, n in self._live(now))

    def record(self, now: float) -> None:
        """Count one 401, 403 or 429 (not of scope shared)."""
        slot = int(now // self._slot_seconds)
        with self._lock:
            number, before = self._ring[slot % _SLOTS]
            self._ring[slot % _SLOTS] = (slot, before + 1 if number == slot else 1)
            self._newest = slot
            total = sum(n for _, n in self._live(now))
            level = self._worst_allowed(total)
            changed, self._level = level is not self._level, level
        if changed:
            _log.warning(
                "invalid request guard changed: too many requests are refused by Discord",
                count=total,
                allowed=_named(level),
            )

    def admit(self, *, priority: Priority, route: str, now: float) -> None:
        """Let a request of this class through, or not.

        Raises:
            RateLimited: Scope GUARD; too many invalid requests for this class.
            Banned: Cloudflare refuses this address.
        """
        with self._lock:
            live = self._live(now)
            total = sum(n for _, n in live)
            level = self._worst_allowed(total)
            eased, self._level = level is not self._level, level
            allowed = level is not None and priority <= level
            if allowed:
                self._check_ban(now)
        if eased:
            _log.info("invalid request guard eased", count=total, allowed=_named(level))
        if allowed:
            return
        retry_after = self._slot_seconds
        for slot, number in sorted(live):  # the oldest slots leave the window first
            total -= number
            if total < self._thresholds[priority]:
                retry_after = (slot + _SLOTS) * self._slot_seconds - now
                break
        raise RateLimited(retry_after=max(retry_after, 1.0), scope=Scope.GUARD, route=route)

    def ban(self, *, retry_after: float, now: float) -> float:
        """Cloudflare answered in Discord's place: send nothing for a while, then one probe.

        Returns:
            For how many seconds.
        """
        pause = max(retry_after, self._timings.ban_minimum_seconds)
        with self._lock:
            self._banned_until = max(self._banned_until or 0.0, now + pause)
            self._ban_probe = False
        _log.warning("banned: Cloudflare refuses requests from this address (rate limit)", retry_after=pause)
        return pause

    def answered(self) -> None:
        """Discord itself answered: a ban, if there was one, is over."""
        with self._lock:
            over, self._ban_probe = self._ban_probe, False
            if over:
                self._banned_until = None
        if over:
            _log.info("ban is over: Discord answers again")

    def unanswered(self) -> None:
        """A request ended without an answer; if it was the probe of a ban, the next one may probe."""
        with self._lock:
            self._ban_probe = False

    def check_ban(self, now: float) -> None:
        """Look just before sending whether a ban began meanwhile; never refuses the probe itself.

        Raises:
            Banned: It did.
        """
        with self._lock:
            if self._banned_until is not None and now < self._banned_until:
                raise Banned(retry_after=self._banned_until - now)

    def banned_for(self, now: float) -> float:
        """Return how many seconds the ban lasts; 0 without one."""
        with self._lock:
            return max(0.0, (self._banned_until or 0.0) - now)

    def _check_ban(self, now: float) -> None:
        if self._banned_until is None:
            return
        if now < self._banned_until:
            raise Banned(retry_after=self._banned_until - now)
        if self._ban_probe:
            raise Banned(retry_after=5.0)
        self._ban_probe = True

    def _live(self, now: float) -> list[tuple[int, int]]:
        oldest = int(now // self._slot_seconds) - _SLOTS
        if self._newest <= oldest:  # nearly always: nothing was refused for long
            return []
        return [entry for entry in self._ring if entry[0] > oldest]

    def _worst_allowed(self, total: int) -> Priority | None:
        return next((level for level, most in self._thresholds.items() if total < most), None)


def _named(level: Priority | None) -> str:
    return "nothing" if level is None else level.name.lower()


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What Discord said, without the exception itself, whose traceback would keep whole calls in memory."""

    status: int
    code: int
    message: str
    errors: Mapping[str, Any]
    route: str
    times: int
    until: float


class ForbiddenBackoff:
    """Backs off one object's request that is refused (403) again and again, and that request alone.

    The first refusal costs nothing; from the second on the same answer is given without asking, for 10 s, 20 s
    ... up to ten minutes. A user's change always goes through. ``clear`` forgets all when the bot's roles or
    permissions changed.
    """

    def __init__(self, *, timings: DiscordTimings, capacity: int = 4096) -> None:
        self._timings = timings
        self._capacity = capacity
        self._lock = threading.Lock()
        self._refusals: OrderedDict[str, _Refusal] = OrderedDict()

    def admit(self, key: str, *, priority: Priority, now: float) -> None:
        """Let the request through, or repeat Discord's refusal.

        Args:
            key: Method and concrete path.
            priority: USER is always let through.
            now: Monotonic.

        Raises:
            Forbidden: With Discord's reason and the time left in ``retry_after``.
        """
        with self._lock:
            refusal = self._refusals.get(key)
            if refusal is None or priority is Priority.USER or now >= refusal.until:
                return
        raise Forbidden(
            status=refusal.status,
            code=refusal.code,
            message=refusal.message,
            errors=refusal.errors,
            route=refusal.route,
            retry_after=refusal.until - now,
        )

    def refused(self, key: str, error: Forbidden, *, now: float) -> None:
        """Remember a 403; sets the error's ``retry_after`` when the request will be held."""
        with self._lock:
            refusal = self._refusals.pop(key, None)
            times = refusal.times + 1 if refusal else 1
            if times == 1:
                _log.warning("security: forbidden by Discord (403)", route=error.route, code=error.code)
            pause = 0.0
            if times > 1:
                pause = min(
                    self._timings.forbidden_initial_seconds * 2 ** min(times - 2, 16),
                    self._timings.forbidden_maximum_seconds,
                )
                error.retry_after = pause
            self._refusals[key] = _Refusal(
                status=error.status,
                code=error.code,
                message=error.message,
                errors=error.errors,
                route=error.route,
                times=times,
                until=now + pause,
            )
            while len(self._refusals) > self._capacity:
                self._refusals.popitem(last=False)

    def allowed(self, key: str) -> None:
        """The request was not refused."""
        with self._lock:
            self._refusals.pop(key, None)

    def clear(self) -> None:
        """Forget every refusal."""
        with self._lock:
            self._refusals.clear()
