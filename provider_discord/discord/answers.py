"""Reading answers: whose they are, what a 429 is about, and what stands in the body."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .errors import Scope
from .tickets import Refusal
from .transport import Response

_CLOUDFLARE_BLOCKED = 40333
_LONGEST_SECONDS = 7 * 86_400.0
"""No limit of Discord lasts as long (creating roles: two days). What says more is no number of seconds."""


def decoded(response: Response) -> Any:
    """Return the JSON, or the text where it is none; None when empty."""
    try:
        body = response.json()
    except (ValueError, RecursionError):  # the latter: nested deeper than anything of Discord's
        return response.content.decode(errors="replace")
    return body if not isinstance(body, str) else [body]


def is_cloudflare(response: Response, body: Any) -> bool:
    """Tell whether a 403 or 429 is not Discord's (discord-api-docs#1463).

    It is a page, or carries 40333, or is a 429 with neither the proxy header nor any of the bucket headers that
    Discord's answers have. (Some proxies that users put before Discord strip ``Via``.)
    """
    if isinstance(body, str):
        return True
    if isinstance(body, Mapping) and body.get("code") == _CLOUDFLARE_BLOCKED:
        return True
    if response.status != 429:
        return False
    ours = "via" in response.headers or any(name.startswith("x-ratelimit-") for name in response.headers)
    return not isinstance(body, Mapping) or not ours


def parse_refusal(headers: Mapping[str, str], body: Any) -> Refusal:
    """Read a 429 of Discord (topics/rate-limits, "Exceeding A Rate Limit").

    The wait is ``retry_after`` of the body or Retry-After, never a bucket header, which for a shared limit tell of
    something else. A 429 of the bot's own scope with requests remaining is a sub-limit (discord-api-docs#2190).

    Args:
        headers: Names in lower case.
        body: The decoded JSON.
    """
    body = body if isinstance(body, Mapping) else {}
    waits = (seconds_of(body.get("retry_after")), seconds_of(headers.get("retry-after")))
    retry_after = next((wait for wait in waits if wait is not None), 1.0)
    named = headers.get("x-ratelimit-scope", "")
    if body.get("global") or headers.get("x-ratelimit-global", "").lower() == "true" or named == Scope.GLOBAL:
        return Refusal(Scope.GLOBAL, retry_after)
    if named == Scope.SHARED:
        return Refusal(Scope.SHARED, retry_after)
    remaining = headers.get("x-ratelimit-remaining", "0")
    if remaining.isdecimal() and int(remaining) > 0:
        return Refusal(Scope.SUBLIMIT, retry_after)
    return Refusal(Scope.USER, retry_after)


def seconds_of(value: Any) -> float | None:
    """Return a header's or body's number of seconds, at most a week; None when it is none."""
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return min(seconds, _LONGEST_SECONDS) if math.isfinite(seconds) and seconds >= 0 else None
