"""Everything that can go wrong between a caller and Discord, as one tree.

A caller decides by type and by what the error carries (``retry_after``, ``code``, ``fields``), never by its
text. The text is one line that says what was tried first and Discord's own reason last, because tools that show
conditions and events crop the end of the *front* part, and the reason is what a person needs.

No error holds the token, a request's headers or the exception of the HTTP library (whose frames do).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Scope(StrEnum):
    """What a rate limit applied to; the first three are Discord's words (topics/rate-limits)."""

    USER = "user"
    """The bot's own bucket for a route."""
    GLOBAL = "global"
    """The bot's 50 requests a second over all routes."""
    SHARED = "shared"
    """A limit of the resource, used up by others too. Does not count as an invalid request."""
    SUBLIMIT = "sublimit"
    """A limit on some fields only (a 429 with Remaining > 0), such as a channel's name: 2 in 10 minutes."""
    GUARD = "guard"
    """Our own brake well before Discord's 10,000 invalid requests in 10 minutes."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One leaf of the nested ``errors`` of a 50035 response.

    Attributes:
        path: Where, in Discord's names, such as ``permission_overwrites.0.allow``; empty for the whole body.
        code: Discord's code, such as ``BASE_TYPE_BAD_LENGTH``.
        message: Discord's sentence.
    """

    path: str
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class DiscordError(Exception):
    """Base of this room's errors.

    Attributes:
        retry_after: Seconds after which trying again makes sense; None when only a change of the request, of
            Discord's state or of the token can help.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ApiError(DiscordError):
    """Discord answered with an error.

    Attributes:
        status: HTTP status.
        code: Discord's JSON error code (topics/opcodes-and-status-codes); 0 when there was none.
        message: Discord's sentence.
        errors: The nested ``errors`` object as received.
        route: Method and template of the route, without ids.
        fields: The leaves of ``errors``.
    """

    def __init__(
        self,
        *,
        status: int,
        code: int,
        message: str,
        route: str,
        errors: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.errors: Mapping[str, Any] = errors or {}
        self.route = route
        self.fields = tuple(flatten_errors(self.errors))
        super().__init__(self._text(), retry_after=retry_after)

    def _text(self) -> str:
        number = f"HTTP {self.status}, code {self.code}" if self.code else f"HTTP {self.status}"
        details = "; ".join(str(field) for field in self.fields)
        reason = " ".join(f"{self.message}: {details}".split()) if details else self.message
        return f"Discord refused {self.route} ({number}): {reason}"


class BadRequest(ApiError):
    """The request itself is wrong (400 and the other 4xx without a class of their own)."""


class Unauthorized(ApiError):
    """401. Only ever the cause of a TokenInvalid."""


class Forbidden(ApiError):
    """403: a permission, the role hierarchy, or a channel that the bot cannot see (50001)."""


class NotFound(ApiError):
    """404. For a channel, only code 10003 says that the channel is unknown."""


class ServerError(ApiError):
    """5xx. Callers see it as the cause of Unavailable or AmbiguousOutcome."""

    def _text(self) -> str:
        return f"Discord failed at {self.route} (HTTP {self.status}): {self.message}"


class RateLimited(DiscordError):
    """The call would have to wait longer than it said it may; nothing was sent that Discord executed.

    Attributes:
        scope: Which limit.
        route: Method and template.
        fields: For a sub-limit, the body's fields that have to wait; empty means all of them.
        applied: For a sub-limit on some fields of a PATCH, the object as Discord returned it after the other
            fields were sent in a PATCH of their own; None when nothing was sent.
    """

    retry_after: float

    def __init__(
        self,
        *,
        retry_after: float,
        scope: Scope,
        route: str,
        fields: tuple[str, ...] = (),
        applied: Any = None,
        detail: str = "",
    ) -> None:
        self.scope = scope
        self.route = route
        self.fields = fields
        self.applied = applied
        what = f"{route} ({', '.join(fields)})" if fields else route
        reason = detail or {
            Scope.USER: "its rate limit is used up",
            Scope.GLOBAL: "the bot's global rate limit is used up",
            Scope.SHARED: "the resource is rate limited for everyone",
            Scope.SUBLIMIT: "Discord limits changes of these fields",
            Scope.GUARD: "too many requests were refused in the last ten minutes",
        }.get(scope, "rate limited")
        super().__init__(
            f"Rate limit: {what} has to wait {retry_after:.1f} s: {reason}", retry_after=retry_after
        )


class CircuitOpen(DiscordError):
    """Requests for this resource type kept failing, so none is sent for now.

    Attributes:
        resource_type: The routes that are held, such as ``channel``.
    """

    retry_after: float

    def __init__(self, *, retry_after: float, resource_type: str) -> None:
        self.resource_type = resource_type
        super().__init__(
            f"Circuit breaker open for {resource_type}: Discord kept failing; "
            f"next try in {retry_after:.1f} s",
            retry_after=retry_after,
        )


class TokenInvalid(DiscordError):
    """Discord rejected the bot token (401), or it cannot be one. Nothing more is sent with it."""

    def __init__(
        self, message: str = "Discord rejected the bot token (401): replace it in the Secret"
    ) -> None:
        super().__init__(message)


class Banned(DiscordError):
    """Cloudflare, before Discord, refuses this address for a while (the 10,000 invalid requests limit)."""

    retry_after: float

    def __init__(self, *, retry_after: float) -> None:
        super().__init__(
            f"Cloudflare refuses requests from this address; next try in {retry_after:.0f} s",
            retry_after=retry_after,
        )


class Unavailable(DiscordError):
    """Discord could not be reached or kept failing, and the request is safe to repeat later.

    Attributes:
        cause: The last failure in words.
    """

    retry_after: float

    def __init__(self, *, retry_after: float, route: str, cause: str) -> None:
        self.route = route
        self.cause = cause
        super().__init__(f"Discord is unavailable for {route}: {cause}", retry_after=retry_after)


class AmbiguousOutcome(DiscordError):
    """A create was sent and its outcome is unknown: it may exist. Never repeat it blindly.

    Attributes:
        route: Method and template of the POST.
        sent_at: Wall clock (UTC) just before the request was sent.
        ended_at: Wall clock (UTC) when we stopped waiting for it; Discord may commit later than that.
        cause: What happened, in words.
    """

    def __init__(self, *, route: str, sent_at: datetime, ended_at: datetime, cause: str) -> None:
        self.route = route
        self.sent_at = sent_at
        self.ended_at = ended_at
        self.cause = cause
        super().__init__(f"The outcome of {route} is unknown, it may have been created: {cause}")


def flatten_errors(errors: Mapping[str, Any], prefix: str = "") -> list[FieldError]:
    """Return the leaves of Discord's nested ``errors`` object (reference, "Error Messages").

    Args:
        errors: As received: keys are field names or array indices, leaves are lists under ``_errors``.
        prefix: Path of ``errors`` itself.
    """
    found: list[FieldError] = []
    for key, value in errors.items():
        if key == "_errors" and isinstance(value, list):
            found.extend(
                FieldError(prefix, str(leaf.get("code", "")), str(leaf.get("message", "")))
                for leaf in value
                if isinstance(leaf, Mapping)
            )
        elif isinstance(value, Mapping):
            found.extend(flatten_errors(value, f"{prefix}.{key}" if prefix else str(key)))
        elif isinstance(value, str):  # seen on some routes: a plain sentence for a field
            found.append(FieldError(f"{prefix}.{key}" if prefix else str(key), "", value))
    return found


_BY_STATUS: Mapping[int, type[ApiError]] = {401: Unauthorized, 403: Forbidden, 404: NotFound}


def api_error(*, status: int, body: Any, route: str) -> ApiError:
    """Make the error for an answer that is neither 2xx nor 429.

    Args:
        status: HTTP status.
        body: The decoded JSON, or text where it was no JSON.
        route: Method and template.
    """
    kind = _BY_STATUS.get(status, ServerError if status >= 500 else BadRequest)
    if isinstance(body, Mapping):
        code = body.get("code")
        errors = body.get("errors")
        return kind(
            status=status,
            code=code if isinstance(code, int) else 0,
            message=str(body.get("message") or "no reason given"),
            errors=errors if isinstance(errors, Mapping) else None,
            route=route,
        )
    text = " ".join(str(body).split())[:200] if body else ""
    shown = "an HTML page" if text.startswith("<") else (text or "an empty answer")
    return kind(status=status, code=0, message=shown, route=route)
