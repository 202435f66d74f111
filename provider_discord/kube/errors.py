"""Everything that can go wrong between us and the API server, as types that a caller decides by.

`KubeError` is the root. An `ApiError` is an answer of the API server; `Unreachable` means that there was no
usable answer, so nothing is known about what became of the request.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

__all__ = [
    "AlreadyExists",
    "ApiError",
    "BadRequest",
    "Cause",
    "Conflict",
    "Forbidden",
    "Gone",
    "Invalid",
    "KubeConfigError",
    "KubeError",
    "MalformedResponse",
    "NotFound",
    "NotLeading",
    "ServerError",
    "TooManyRequests",
    "Unauthorized",
    "Unreachable",
    "error_from_response",
    "error_from_status",
]


class KubeError(Exception):
    """Root of this room's errors."""

    retry_after: float | None = None
    """Seconds after which to try again, when the server said so."""


class KubeConfigError(KubeError):
    """The way to a cluster could not be read: no kubeconfig, a broken one, or no such context."""


class Unreachable(KubeError):
    """No answer: refused, reset, timed out or cut off. A write may or may not have been carried out."""


class NotLeading(KubeError):
    """A write was not sent, because this process may not write any more."""


class MalformedResponse(KubeError):
    """The API server (or a proxy before it) answered something that is no Kubernetes object."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of `Status.details.causes`: what is wrong with which field."""

    field: str
    message: str
    reason: str = ""


class ApiError(KubeError):
    """The API server refused.

    Attributes:
        status: HTTP status code.
        reason: `Status.reason`, for example "AlreadyExists"; "" when the answer was no Status.
        message: the API server's own words.
        causes: the fields at fault, for Invalid.
        request: method and path, without query.
    """

    def __init__(
        self,
        *,
        status: int,
        reason: str = "",
        message: str = "",
        causes: tuple[Cause, ...] = (),
        retry_after: float | None = None,
        request: str = "",
    ) -> None:
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes
        self.retry_after = retry_after
        self.request = request
        label = f"{status} {reason}".strip()
        super().__init__(": ".join(part for part in (request, label, message) if part))


class BadRequest(ApiError):
    """400: the request made no sense to the API server."""


class Unauthorized(ApiError):
    """401: the credentials are missing, wrong or expired."""


class Forbidden(ApiError):
    """403: the credentials are good, RBAC or an admission plugin says no."""


class NotFound(ApiError):
    """404: no such object, or (`served` is False) no such kind: its CRD is not installed."""

    served: bool = True


class Conflict(ApiError):
    """409: the object was changed since it was read. Read it again."""


class AlreadyExists(ApiError):
    """409 on a create: an object of that name exists."""


class Gone(ApiError):
    """410: the resourceVersion or the continue token is too old. List again."""


class Invalid(ApiError):
    """422: the object violates its schema or a validation rule; `causes` name the fields."""


class TooManyRequests(ApiError):
    """429: the API server asks for patience (priority and fairness); `retry_after` says how much."""


class ServerError(ApiError):
    """5xx: the API server's trouble, not ours."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}
_MESSAGE_LIMIT = 2000


def error_from_status(
    status: dict[str, Any], *, code: int | None = None, retry_after: float | None = None, request: str = ""
) -> ApiError:
    """Turn a `v1.Status` (of an answer, or of an ERROR event in a watch) into the error that it means."""
    number = code if code is not None else int(status.get("code") or 500)
    reason = str(status.get("reason") or "")
    details = status.get("details")
    details = details if isinstance(details, dict) else {}
    causes = tuple(
        Cause(
            field=str(cause.get("field", "")),
            message=str(cause.get("message", "")),
            reason=str(cause.get("reason", "")),
        )
        for cause in details.get("causes") or ()
    )
    if retry_after is None and details.get("retryAfterSeconds"):
        retry_after = float(details["retryAfterSeconds"])
    type_ = _BY_STATUS.get(number, ServerError if number >= 500 else ApiError)
    if reason == "AlreadyExists":
        type_ = AlreadyExists
    elif reason == "Expired":
        type_ = Gone
    return type_(
        status=number,
        reason=reason,
        message=str(status.get("message") or "")[:_MESSAGE_LIMIT],
        causes=causes,
        retry_after=retry_after,
        request=request,
    )


def error_from_response(
    *, status: int, body: bytes, retry_after: float | None = None, request: str = ""
) -> ApiError:
    """Turn an HTTP answer that is no success into an error; the body need not be a Status."""
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = None
    if isinstance(parsed, dict) and parsed.get("kind") == "Status":
        return error_from_status(parsed, code=status, retry_after=retry_after, request=request)
    text = " ".join(body[:_MESSAGE_LIMIT].decode("utf-8", errors="replace").split())
    error = error_from_status({"message": text}, code=status, retry_after=retry_after, request=request)
    if isinstance(error, NotFound):
        # The API server answers "404 page not found" as text for paths that no API serves.
        error.served = False
    return error
