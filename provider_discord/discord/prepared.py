"""A call made ready: what is sent, what the limiter is told of it, and how long it may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from .options import CallOptions
from .routes import CompiledRoute
from .snowflake import EPOCH
from .tickets import Demand
from .timings import DiscordTimings

_MAXIMUM_REASON = 512


@dataclass(slots=True)
class PreparedCall:
    """One call on its way: what it is, and what is left of its time.

    Attributes:
        route: Where to.
        json: Body.
        params: Query.
        headers: Further headers.
        demand: The same for the limiter.
        deadline: Monotonic instant.
        wait_seconds: How long it may still wait for turns.
        sent_at: Wall clock just before the last request was sent.
        sent_now: Monotonic clock, then.
    """

    route: CompiledRoute
    json: Any
    params: Mapping[str, Any]
    headers: Mapping[str, str]
    demand: Demand
    deadline: float
    wait_seconds: float
    sent_at: datetime = EPOCH
    sent_now: float = 0.0

    def patience(self, now: float) -> float:
        """Return how long it may wait for a turn now."""
        return max(0.0, min(self.wait_seconds, self.deadline - now))


def prepare(
    route: CompiledRoute,
    *,
    json: Any,
    params: Mapping[str, Any] | None,
    options: CallOptions,
    timings: DiscordTimings,
    now: float,
) -> PreparedCall:
    """Make a call ready; what the options leave open, the timings tell."""
    t, o = timings, options
    reason = route.route.audit_reason and o.reason
    deadline_seconds = t.deadline_seconds if o.deadline_seconds is None else o.deadline_seconds
    return PreparedCall(
        route=route,
        json=json,
        params={key: value for key, value in (params or {}).items() if value is not None},
        headers={"X-Audit-Log-Reason": audit_reason(reason)} if reason else {},
        demand=_demand(route, json, options),
        deadline=now + deadline_seconds,
        wait_seconds=t.max_wait_seconds if o.max_wait_seconds is None else o.max_wait_seconds,
    )


def audit_reason(text: str) -> str:
    """Encode a reason for X-Audit-Log-Reason: URL-encoded UTF-8, at most 512 characters so, cut between characters."""
    encoded = quote(text, safe="", errors="replace")
    if len(encoded) <= _MAXIMUM_REASON:
        return encoded
    encoded = ""
    for character in text:
        piece = quote(character, safe="", errors="replace")
        if len(encoded) + len(piece) > _MAXIMUM_REASON:
            break
        encoded += piece
    return encoded


def _demand(route: CompiledRoute, json: Any, options: CallOptions) -> Demand:
    identity = f"{route.route.method} {route.path}"
    fields: frozenset[str] = frozenset()
    if isinstance(json, Mapping):
        if route.route.method == "POST":  # creates share a path; the name tells them apart
            identity += f" {json.get('name', '')}"
        else:
            fields = frozenset(json)
    return Demand(
        route=route.route.name,
        major=route.major,
        fields=fields,
        suspects=fields & route.route.sublimited,
        priority=options.priority,
        identity=identity,
    )
