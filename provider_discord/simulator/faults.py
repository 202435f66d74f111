"""Faults that a test injects: which request they hit and what then goes wrong. Sans-IO; the server acts.

A fault is matched before the request is handled. Those "after the commit" let Discord do the work and spoil the
answer, which is the case that makes careless clients create things twice.
"""

from __future__ import annotations

import math
import random
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any


class Effect(StrEnum):
    """What goes wrong."""

    STATUS = "status"
    DROP = "drop"
    DELAY = "delay"
    TRUNCATE = "truncate"
    SLOW_BODY = "slow-body"
    MALFORMED = "malformed"
    RATE_LIMIT = "rate-limit"
    CLOUDFLARE = "cloudflare"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        effect: what goes wrong: `status` (answer with it), `drop` (close the connection without an answer),
            `delay` (answer late), `truncate` (half a body), `slow-body` (a body that trickles), `malformed` (a
            body that is no JSON), `rate-limit` (429 with `scope` and `seconds`), `cloudflare` (an HTML 429).
        method: only requests with this method; "" any.
        route: only requests to this template, as `/guilds/{guild_id}/channels`; "" any.
        resource: only requests with this id in the path; "" any.
        name: only requests whose body has this `name`; "" any.
        skip: let so many matching requests pass first.
        times: hit so many; 0 all.
        status: for `status`: the HTTP status.
        after_commit: for `status`, `drop`, `truncate`, `slow-body`, `malformed`: the work is done first.
        commit_delay_seconds: for `status` and `drop` not after the commit: the work is done, but only this much
            later; None never.
        seconds: for `delay` how long, for `slow-body` how long the body takes, for `rate-limit` and
            `cloudflare` the retry_after.
        jitter_seconds: for `delay`: up to this much more, at random.
        scope: for `rate-limit`: user, global or shared.
        remaining: for `rate-limit`: what X-RateLimit-Remaining says (0: the bucket; more: a sub-limit).
        reset: for `drop`: reset the connection rather than close it.
    """

    effect: Effect
    method: str = ""
    route: str = ""
    resource: str = ""
    name: str = ""
    skip: int = 0
    times: int = 1
    status: int = 500
    after_commit: bool = False
    commit_delay_seconds: float | None = None
    seconds: float = 1.0
    jitter_seconds: float = 0.0
    scope: str = "user"
    remaining: int = 0
    reset: bool = False

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Fault:
        """Read a fault as the control API carries it.

        Raises:
            ValueError: it is none.
        """
        known = {one.name for one in fields(cls)}
        unknown = set(raw) - known
        if unknown:
            msg = f"a fault has no {', '.join(sorted(unknown))} (it has {', '.join(sorted(known))})"
            raise ValueError(msg)
        return cls(**{**raw, "effect": Effect(raw.get("effect", ""))})

    def as_json(self) -> dict[str, Any]:
        """Return the fault as JSON."""
        return asdict(self)

    def fits(self, *, method: str, route: str, path: str, name: str) -> bool:
        """Tell whether a request is one that this fault is about."""
        return (
            self.method.upper() in ("", method)
            and self.route in ("", route)
            and (not self.resource or self.resource in path.split("/"))
            and self.name in ("", name)
        )


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: int = 0
    hits: int = 0

    @property
    def spent(self) -> bool:
        return bool(self.fault.times) and self.hits >= self.fault.times


@dataclass(frozen=True, slots=True)
class Latency:
    """How long each answer takes: log-normal, as network latencies are.

    Attributes:
        median_seconds: half of the answers take longer; 0 no latency.
        p99_seconds: one in a hundred takes longer.
    """

    median_seconds: float = 0.0
    p99_seconds: float = 0.0

    def draw(self, rand: random.Random) -> float:
        """Return the seconds that one answer takes."""
        if self.median_seconds <= 0:
            return 0.0
        if self.p99_seconds <= self.median_seconds:
            return self.median_seconds
        sigma = math.log(self.p99_seconds / self.median_seconds) / 2.326
        return self.median_seconds * math.exp(rand.gauss(0.0, sigma))


class FaultPlan:
    """The faults in wait."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    def add(self, fault: Fault) -> None:
        """Arm a fault; of several that fit, the first one armed strikes."""
        self._armed.append(_Armed(fault))

    def clear(self) -> None:
        """Disarm all."""
        self._armed.clear()

    def strike(self, *, method: str, route: str, path: str, name: str) -> Fault | None:
        """Return the fault that hits this request, if any."""
        struck: Fault | None = None
        for armed in self._armed:
            if armed.spent or not armed.fault.fits(method=method, route=route, path=path, name=name):
                continue
            armed.seen += 1
            if struck is None and armed.seen > armed.fault.skip:
                armed.hits += 1
                struck = armed.fault
        return struck

    def as_json(self) -> list[dict[str, Any]]:
        """Return the faults and how often each struck."""
        return [{**armed.fault.as_json(), "hits": armed.hits} for armed in self._armed]
