"""Discord's rate limits, as a server applies them: sans-IO, `now` passed in.

A request meets, in this order: a Cloudflare ban of the address (earned by too many invalid requests), the token's
global limit, the bucket of its route (shared by the routes of one rule, apart for each top-level id), and the
sub-limits on single fields, which show in no header. Buckets are fixed windows or slide (one token regained
every window/limit); a client cannot tell which from one response. Written from Discord docs,
topics/rate-limits, and what is known of the undocumented rest (discord-api-docs issues 1900, 2190, 7680).
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil, floor
from typing import Any

RESOURCE_MESSAGE = "You are being rate limited."
SHARED_MESSAGE = "The resource is being rate limited."


class Kind(StrEnum):
    """How a bucket refills."""

    FIXED = "fixed"
    SLIDING = "sliding"


class Scope(StrEnum):
    """What `X-RateLimit-Scope` says of a 429."""

    USER = "user"
    GLOBAL = "global"
    SHARED = "shared"


class Mode(StrEnum):
    """Which limits are in force."""

    OFF = "off"
    REALISTIC = "realistic"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class BucketRule:
    """One bucket.

    Attributes:
        routes: `METHOD /template` of the routes that share it.
        limit: requests in a window.
        window_seconds: the window.
        kind: how it refills.
        all_majors: one bucket over all top-level ids.
    """

    routes: tuple[str, ...]
    limit: int
    window_seconds: float
    kind: Kind = Kind.FIXED
    all_majors: bool = False

    @property
    def hash(self) -> str:
        """What `X-RateLimit-Bucket` says."""
        return hashlib.md5("|".join(self.routes).encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class SubLimit:
    """A limit on one field of a route's body, for each top-level id.

    Attributes:
        route: `METHOD /template`.
        field: the body's field that counts.
        limit: requests in a window.
        window_seconds: the window, from the first of them.
    """

    route: str
    field: str
    limit: int
    window_seconds: float


_PATCH_CHANNEL = "PATCH /channels/{channel_id}"
REALISTIC_BUCKETS = (
    BucketRule(("GET /guilds/{guild_id}",), 10, 5),
    BucketRule(("GET /guilds/{guild_id}/channels",), 10, 5),
    BucketRule(("GET /guilds/{guild_id}/roles", "GET /guilds/{guild_id}/roles/{role_id}"), 10, 5),
    BucketRule(("GET /guilds/{guild_id}/roles/member-counts",), 5, 5),
    BucketRule(("GET /guilds/{guild_id}/audit-logs",), 5, 5),
    BucketRule(("GET /guilds/{guild_id}/members/{user_id}",), 5, 1, Kind.SLIDING),
    BucketRule(("GET /guilds/{guild_id}/members",), 10, 10),
    BucketRule(("GET /users/@me/guilds",), 5, 5),
    BucketRule(("GET /users/@me",), 10, 5),
    BucketRule(("GET /channels/{channel_id}",), 10, 5, Kind.SLIDING),
    BucketRule(("GET /channels/{channel_id}/messages",), 5, 5),
    BucketRule(("PATCH /guilds/{guild_id}",), 5, 5),
    BucketRule(("POST /guilds/{guild_id}/channels",), 10, 5),
    BucketRule(("PATCH /guilds/{guild_id}/channels",), 2, 5),
    BucketRule((_PATCH_CHANNEL,), 10, 15),
    BucketRule(("DELETE /channels/{channel_id}",), 5, 5),
    BucketRule(
        (
            "PUT /channels/{channel_id}/permissions/{overwrite_id}",
            "DELETE /channels/{channel_id}/permissions/{overwrite_id}",
        ),
        10,
        15,
        Kind.SLIDING,
    ),
    BucketRule(("POST /guilds/{guild_id}/roles",), 250, 172_800),
    BucketRule(("PATCH /guilds/{guild_id}/roles",), 5, 5),
    BucketRule(("PATCH /guilds/{guild_id}/roles/{role_id}",), 10, 5),
    BucketRule(("DELETE /guilds/{guild_id}/roles/{role_id}",), 10, 5),
)
REALISTIC_SUBLIMITS = (
    SubLimit(_PATCH_CHANNEL, "name", 2, 600),
    SubLimit(_PATCH_CHANNEL, "topic", 2, 600),
)


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """Which limits are in force.

    Attributes:
        mode: off (no 429 and no headers), realistic (the tables above), custom (the tables here).
        buckets: for custom: the buckets; a route in none has no bucket.
        sublimits: for custom: the sub-limits.
        global_per_second: requests of one token within any second; 0: no limit.
        invalid_limit: answers 401, 403 and 429 (not shared) to the address within the window, before it is banned.
        invalid_window_seconds: that window.
        ban_seconds: how long a ban lasts.
    """

    mode: Mode = Mode.REALISTIC
    buckets: tuple[BucketRule, ...] = ()
    sublimits: tuple[SubLimit, ...] = ()
    global_per_second: int = 50
    invalid_limit: int = 10_000
    invalid_window_seconds: float = 600.0
    ban_seconds: float = 600.0

    @property
    def active_buckets(self) -> tuple[BucketRule, ...]:
        """The buckets in force."""
        return {Mode.OFF: (), Mode.REALISTIC: REALISTIC_BUCKETS, Mode.CUSTOM: self.buckets}[self.mode]

    @property
    def active_sublimits(self) -> tuple[SubLimit, ...]:
        """The sub-limits in force."""
        return {Mode.OFF: (), Mode.REALISTIC: REALISTIC_SUBLIMITS, Mode.CUSTOM: self.sublimits}[self.mode]

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> LimitsConfig:
        """Read a configuration as the control API carries it.

        Raises:
            ValueError, TypeError: it is none.
        """
        values = dict(raw)
        values["mode"] = Mode(values.get("mode", Mode.CUSTOM if "buckets" in values else Mode.REALISTIC))
        values["buckets"] = tuple(
            BucketRule(
                **{**rule, "routes": tuple(rule["routes"]), "kind": Kind(rule.get("kind", Kind.FIXED))}
            )
            for rule in values.get("buckets", ())
        )
        values["sublimits"] = tuple(SubLimit(**rule) for rule in values.get("sublimits", ()))
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request as the limits see it.

    Attributes:
        token: whose it is; "" without one.
        route: `METHOD /template`.
        major: its top-level id, or "".
        counted_fields: the body's fields that may fall under a sub-limit.
    """

    token: str
    route: str
    major: str
    counted_fields: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A 429.

    Attributes:
        retry_after: seconds to wait; the answer's one truth.
        scope: who is limited; None with a Cloudflare page.
    """

    retry_after: float
    scope: Scope | None

    def body(self) -> dict[str, Any]:
        """Return the JSON body."""
        message = SHARED_MESSAGE if self.scope is Scope.SHARED else RESOURCE_MESSAGE
        return {
            "message": message,
            "retry_after": round(self.retry_after, 3),
            "global": self.scope is Scope.GLOBAL,
            "code": 0,
        }

    def headers(self) -> dict[str, str]:
        """Return the headers that only a 429 has."""
        headers = {"Retry-After": str(ceil(self.retry_after))}
        if self.scope is not None:
            headers["X-RateLimit-Scope"] = str(self.scope)
        if self.scope is Scope.GLOBAL:
            headers["X-RateLimit-Global"] = "true"
        return headers


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the limits say to a request.

    Attributes:
        refusal: the 429, or None: go on.
        headers: the bucket's headers.
        banned: the 429 is a Cloudflare page.
    """

    refusal: Refusal | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    banned: bool = False


class _Bucket:
    """One bucket of one token and top-level id."""

    def __init__(self, rule: BucketRule) -> None:
        self.rule = rule
        self.tokens = float(rule.limit)
        self.since = 0.0

    def refill(self, now: float) -> None:
        """Bring the tokens up to date."""
        rule = self.rule
        if rule.kind is Kind.SLIDING:
            self.tokens = min(rule.limit, self.tokens + (now - self.since) * rule.limit / rule.window_seconds)
            self.since = now
        elif now - self.since >= rule.window_seconds or self.tokens == rule.limit:
            # A fixed window begins with its first request.
            self.tokens, self.since = float(rule.limit), now

    def reset_after(self, now: float) -> float:
        """Return the seconds until the bucket is full."""
        if self.rule.kind is Kind.SLIDING:
            return (self.rule.limit - self.tokens) * self.rule.window_seconds / self.rule.limit
        return max(0.0, self.since + self.rule.window_seconds - now)

    def next_token_in(self, now: float) -> float:
        """Return the seconds until one request fits."""
        if self.rule.kind is Kind.SLIDING:
            return max(0.0, (1 - self.tokens) * self.rule.window_seconds / self.rule.limit)
        return self.reset_after(now)

    def headers(self, now: float, wall: float) -> dict[str, str]:
        """Return the headers that go with every response of a limited route."""
        reset_after = self.reset_after(now)
        return {
            "X-RateLimit-Limit": str(self.rule.limit),
            "X-RateLimit-Remaining": str(floor(self.tokens + 1e-9)),
            "X-RateLimit-Reset": f"{wall + reset_after:.3f}",
            "X-RateLimit-Reset-After": f"{reset_after:.3f}",
            "X-RateLimit-Bucket": self.rule.hash,
        }


class RateLimiter:
    """All limits of all tokens."""

    def __init__(self, config: LimitsConfig) -> None:
        self._buckets: dict[tuple[str, str, str], _Bucket] = {}
        self._fields: dict[tuple[str, str, str], deque[float]] = {}
        self._seconds: dict[str, deque[float]] = {}
        self._invalid: deque[float] = deque()
        self._banned_until = 0.0
        self.configure(config)

    def configure(self, config: LimitsConfig) -> None:
        """Put these limits in force and forget what was used up."""
        self.config = config
        self._rules = {route: rule for rule in config.active_buckets for route in rule.routes}
        self.forget()

    def forget(self) -> None:
        """Fill every bucket and lift every ban."""
        for used in (self._buckets, self._fields, self._seconds, self._invalid):
            used.clear()
        self._banned_until = 0.0

    def ban(self, now: float, *, seconds: float) -> None:
        """Ban the address for so long: every request gets a Cloudflare page."""
        self._banned_until = now + seconds

    @property
    def invalid_requests(self) -> int:
        """How many invalid requests the address has made within the window, as of the last one."""
        return len(self._invalid)

    def arrive(self, arrival: Arrival, *, now: float, wall: float) -> Verdict:
        """Decide about a request and, if it may go on, take its token.

        Args:
            arrival: the request.
            now: monotonic seconds.
            wall: epoch seconds, for X-RateLimit-Reset.
        """
        if now < self._banned_until:
            return Verdict(refusal=Refusal(self._banned_until - now, None), banned=True)
        wait = self._global_wait(arrival.token, now)
        if wait > 0:
            return Verdict(refusal=Refusal(wait, Scope.GLOBAL))
        rule = self._rules.get(arrival.route)
        if rule is None:
            return Verdict()
        key = (arrival.token, rule.hash, "" if rule.all_majors else arrival.major)
        bucket = self._buckets.setdefault(key, _Bucket(rule))
        bucket.refill(now)
        if bucket.tokens < 1:
            return Verdict(
                refusal=Refusal(bucket.next_token_in(now), Scope.USER), headers=bucket.headers(now, wall)
            )
        wait = self._field_wait(arrival, now)
        if wait > 0:
            return Verdict(refusal=Refusal(wait, Scope.USER), headers=bucket.headers(now, wall))
        bucket.tokens -= 1
        return Verdict(headers=bucket.headers(now, wall))

    def leave(self, status: int, scope: Scope | None, *, now: float) -> None:
        """Count an answer that was invalid; too many of them are a ban."""
        if status not in (401, 403, 429) or scope is Scope.SHARED:
            return
        self._invalid.append(now)
        while self._invalid and now - self._invalid[0] >= self.config.invalid_window_seconds:
            self._invalid.popleft()
        if self.config.mode is not Mode.OFF and len(self._invalid) >= self.config.invalid_limit:
            self._invalid.clear()
            self.ban(now, seconds=self.config.ban_seconds)

    def _global_wait(self, token: str, now: float) -> float:
        limit = self.config.global_per_second
        if not limit or self.config.mode is Mode.OFF:
            return 0.0
        seen = self._seconds.setdefault(token, deque())
        while seen and now - seen[0] >= 1.0:
            seen.popleft()
        if len(seen) >= limit:
            return 1.0 - (now - seen[0])
        seen.append(now)
        return 0.0

    def _field_wait(self, arrival: Arrival, now: float) -> float:
        hit = [
            rule
            for rule in self.config.active_sublimits
            if rule.route == arrival.route and rule.field in arrival.counted_fields
        ]
        used: list[deque[float]] = []
        wait = 0.0
        for rule in hit:
            seen = self._fields.setdefault((arrival.token, arrival.major, rule.field), deque())
            if seen and now - seen[0] >= rule.window_seconds:
                seen.clear()
            if len(seen) >= rule.limit:
                wait = max(wait, rule.window_seconds - (now - seen[0]))
            used.append(seen)
        if wait <= 0:
            for seen in used:
                seen.append(now)
        return wait
