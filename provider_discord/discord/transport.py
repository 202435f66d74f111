"""One HTTP request to Discord: bytes out, bytes in, within a deadline, and the token seen by nobody.

HTTP/1.1 with keep-alive; the pool is as large as the limiter's cap on requests in flight, so that it never
queues. ``Connections`` holds headers and body to the call's deadline, because a read timeout alone lets an answer
that drips go on for ever.

An httpx transport is called directly: what httpx's client adds (redirects, cookies, hooks) has no place here and
costs more than the sending.

The token is put into the request at the last moment, and the request does not show it. Errors of httpx are turned
into TransportFailure *outside* their ``except`` block: neither ``__cause__`` nor ``__context__`` then leads to
frames that hold the header in clear text.
"""

from __future__ import annotations

import contextlib
import json as jsonlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import httpx

from .connections import LEAVING, ConnectionsClosed, open_transport
from .errors import DiscordError, TokenInvalid
from .metrics import RetryReason
from .timings import DiscordTimings

_MAXIMUM_BODY = 16 * 1024 * 1024
"""Several times the channels of the largest guild: 500, each with all the overwrites that it can have."""
_TOKEN = re.compile(r"[\x21-\x7e]+")
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_PREFIX = re.compile(r"^bot(\s+|$)", re.IGNORECASE)


class Secret:
    """A bot token that shows itself in no repr, str, pickle or traceback of locals."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        """Take a token as people store it: white space around it and a leading ``Bot`` are forgiven.

        Raises:
            TokenInvalid: It is empty, or holds characters that cannot stand in a header. The value is not shown.
        """
        value = _PREFIX.sub("", value.strip())
        if not _TOKEN.fullmatch(value):
            msg = (
                "The bot token is empty: put it into the Secret"
                if not value
                else "The bot token holds white space or characters that no token has: look at the Secret"
            )
            raise TokenInvalid(msg)
        self.__value = value

    def reveal(self) -> str:
        """Return the token, for a header."""
        return self.__value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> Any:
        msg = "a token is not pickled"
        raise TypeError(msg)


class Sent(Enum):
    """Whether Discord can have executed a request that failed."""

    NO = "no"
    MAYBE = "maybe"


class TransportFailure(Exception):
    """No complete answer came.

    Attributes:
        sent: Whether Discord can have executed the request.
        reason: Kind of failure, for metrics.
    """

    def __init__(self, message: str, *, sent: Sent, reason: RetryReason) -> None:
        super().__init__(message)
        self.sent = sent
        self.reason = reason


class InvalidAddress(DiscordError):
    """The base URL is no http or https address."""


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer.

    Attributes:
        status: HTTP status.
        headers: Names in lower case.
        content: The body, decoded from its transfer and content encodings.
        sent_at: Monotonic instant just before the first byte, on an open connection.
        received_at: Monotonic instant at which the headers were there.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    sent_at: float
    received_at: float

    def json(self) -> Any:
        """Return the decoded body; None when it is empty.

        Raises:
            ValueError: It is no JSON.
        """
        return jsonlib.loads(self.content) if self.content else None


class Transport:
    """Connections to one API address with one token. Safe for many threads."""

    def __init__(
        self,
        *,
        token: Secret,
        base_url: str,
        user_agent: str,
        timings: DiscordTimings,
        now: Callable[[], float],
        handler: httpx.BaseTransport | None = None,
    ) -> None:
        """Make a pool without connecting.

        Args:
            token: The bot's.
            base_url: Such as ``https://discord.com/api/v10``.
            user_agent: ``DiscordBot (url, version)``; Discord requires that form (reference, "User Agent").
            timings: Timeouts and size of the pool.
            now: Monotonic clock.
            handler: Takes the place of the network, for tests.

        Raises:
            InvalidAddress: The base URL is no http or https address.
        """
        try:
            url = httpx.URL(base_url)
        except httpx.InvalidURL as exc:
            msg = f"{base_url!r} is no address: {exc}"
            raise InvalidAddress(msg) from None
        plain = not (url.userinfo or url.query or url.fragment)
        if url.scheme not in {"http", "https"} or not _HOST.fullmatch(url.raw_host.decode()) or not plain:
            msg = f"{base_url!r} is no http or https address, such as https://discord.com/api/v10"
            raise InvalidAddress(msg)
        self._base_url = str(url).rstrip("/")
        self._timings = timings
        self._now = now
        self._token = token
        self._headers = {
            "User-Agent": user_agent,
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
        }
        self._handler = handler or open_transport(
            url, size=timings.max_in_flight, keepalive_seconds=timings.keepalive_seconds, now=now
        )

    def __repr__(self) -> str:
        return f"Transport({self._base_url})"

    def close(self) -> None:
        """Close all connections."""
        self._handler.close()

    def send(
        self,
        *,
        method: str,
        path: str,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: float,
    ) -> Response:
        """Send one request and read its whole answer.

        Args:
            method: HTTP method.
            path: Below the base URL, with a leading slash.
            json: Body; None sends none.
            params: Query.
            headers: Further headers.
            deadline: Monotonic instant after which nothing is waited for.

        Raises:
            TransportFailure: No complete answer came.
        """
        sent_at = self._now()

        def told(event: str, _: Mapping[str, Any]) -> None:
            nonlocal sent_at
            if event == LEAVING:
                sent_at = self._now()

        left = max(0.001, deadline - sent_at)
        t = self._timings
        timeout = {
            "connect": min(t.connect_timeout_seconds, left),
            "read": min(t.read_timeout_seconds, left),
            "write": min(t.write_timeout_seconds, left),
            "pool": min(t.pool_timeout_seconds, left),
        }
        all_headers = {**self._headers, **(headers or {})}
        content: bytes | None = None
        if json is not None:
            # ASCII, because JSON knows halves of characters (lone surrogates) and UTF-8 does not.
            content = jsonlib.dumps(json, separators=(",", ":"), allow_nan=False).encode()
            all_headers["Content-Type"] = "application/json"
        failure: TransportFailure
        try:
            request = httpx.Request(
                method,
                self._base_url + path,
                content=content,
                params=params or None,
                headers=all_headers,
                extensions={"timeout": timeout, "trace": told, "deadline": deadline},
            )
            request.headers["Authorization"] = f"Bot {self._token.reveal()}"
            with contextlib.closing(self._handler.handle_request(request)) as answer:
                received_at = self._now()
                body = self._read(answer, deadline)
                return Response(
                    status=answer.status_code,
                    headers={name.lower(): value for name, value in answer.headers.items()},
                    content=body,
                    sent_at=sent_at,
                    received_at=received_at,
                )
        except TransportFailure as exc:
            failure = TransportFailure(str(exc), sent=exc.sent, reason=exc.reason)
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as exc:
            failure = _failure(exc)
        except ConnectionsClosed as exc:
            failure = TransportFailure(str(exc), sent=Sent.NO, reason=RetryReason.TRANSPORT)
        except (RuntimeError, ValueError) as exc:  # a connection that was closed while somebody was at it
            failure = TransportFailure(str(exc), sent=Sent.MAYBE, reason=RetryReason.TRANSPORT)
        raise failure

    def _read(self, answer: httpx.Response, deadline: float) -> bytes:
        pieces: list[bytes] = []
        size = 0
        for piece in answer.iter_bytes():
            pieces.append(piece)
            size += len(piece)
            if size > _MAXIMUM_BODY:
                msg = f"the answer is larger than {_MAXIMUM_BODY >> 20} MiB"
                raise TransportFailure(msg, sent=Sent.MAYBE, reason=RetryReason.TRANSPORT)
            if self._now() > deadline:
                msg = "the answer came too slowly"
                raise TransportFailure(msg, sent=Sent.MAYBE, reason=RetryReason.TIMEOUT)
        return b"".join(pieces)


def _failure(exc: Exception) -> TransportFailure:
    """Say what an exception of httpx means. Its own text is kept only where it holds no request."""
    match exc:
        case httpx.ConnectTimeout():
            text, sent, reason = "connecting timed out", Sent.NO, RetryReason.CONNECT
        case httpx.PoolTimeout():
            text, sent, reason = "no connection became free", Sent.NO, RetryReason.TIMEOUT
        case httpx.ConnectError() | httpx.ProxyError():
            text, sent, reason = f"connecting failed: {exc}", Sent.NO, RetryReason.CONNECT
        case httpx.UnsupportedProtocol() | httpx.InvalidURL():
            text, sent, reason = "the request could not be sent", Sent.NO, RetryReason.TRANSPORT
        case httpx.ReadTimeout() | httpx.WriteTimeout():
            text, sent, reason = "the answer timed out", Sent.MAYBE, RetryReason.TIMEOUT
        case httpx.DecodingError():
            text, sent, reason = "the answer could not be decoded", Sent.MAYBE, RetryReason.TRANSPORT
        case _:
            text, sent, reason = f"the connection broke: {exc}", Sent.MAYBE, RetryReason.TRANSPORT
    return TransportFailure(text, sent=sent, reason=reason)
