"""Connections to one address: HTTP/1.1 with keep-alive on ``http.client``, in the shape of an httpx transport.

httpx's own transport looks at every connection for every request, which costs more than all the rest of a call
once there are fifty. This one takes the connection that was used last, and needs a fifth of the time. It is used
where no proxy is named by the environment; else httpx's, which knows how to talk to one.

A connection is used by one request at a time and goes back only after a complete answer. Before it is used again
it is looked at: one that the server closed, or that was idle for long, is replaced. Failures become httpx's
exceptions, told apart by whether the request can have left: connecting is a step of its own.

``request.extensions`` are httpx's: ``timeout``, and ``trace``, which is told when a connection was opened and when a
request is about to leave on it. One more is ours: ``deadline``, the instant after which nothing is read any more. A read timeout
alone lets an answer whose headers or body drip go on for ever, so every single read gets at most what is left.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import select
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import httpx

if TYPE_CHECKING:
    import ssl

_PIECE = 64 * 1024
_FAR_AWAY = 86_400.0
LEAVING = "http11.send_request_headers.started"
CONNECTED = "connection.connect_tcp.complete"
"""What ``trace`` is called with; httpcore's names."""


class ConnectionsClosed(Exception):
    """Nothing is sent any more."""


def open_transport(
    url: httpx.URL, *, size: int, keepalive_seconds: float, now: Callable[[], float]
) -> httpx.BaseTransport:
    """Return a transport to an address, through the proxy that the environment names, if any.

    Args:
        url: The address.
        size: Connections at most.
        keepalive_seconds: How long an idle one is kept.
        now: Monotonic clock.
    """
    proxy = _proxy(url)
    if proxy is None:
        return Connections(url, size=size, keepalive_seconds=keepalive_seconds, now=now)
    limits = httpx.Limits(
        max_connections=size, max_keepalive_connections=size, keepalive_expiry=keepalive_seconds
    )
    return httpx.HTTPTransport(proxy=proxy, limits=limits)


def _proxy(url: httpx.URL) -> str | None:
    if urllib.request.proxy_bypass(url.host):
        return None
    named = urllib.request.getproxies()
    proxy = named.get(url.scheme) or named.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


class Connections(httpx.BaseTransport):
    """A pool of connections to one address. Safe for many threads."""

    def __init__(
        self, url: httpx.URL, *, size: int, keepalive_seconds: float, now: Callable[[], float]
    ) -> None:
        """Make a pool without connecting; see ``open_transport``."""
        self._host, self._port = url.host, url.port or (443 if url.scheme == "https" else 80)
        self._context = _context() if url.scheme == "https" else None
        self._keepalive = keepalive_seconds
        self._now = now
        self._room = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[tuple[http.client.HTTPConnection, float]] = []
        self._busy: set[http.client.HTTPConnection] = set()
        self._closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its answer; the body is read from its stream.

        Raises:
            httpx.TransportError: By kind; ConnectError, ConnectTimeout and PoolTimeout when it was not sent.
            ConnectionsClosed: By close.
        """
        timeout: Mapping[str, float | None] = request.extensions.get("timeout", {})
        connection = self._take(timeout.get("pool"))
        try:
            trace = request.extensions.get("trace", _untold)
            if connection.sock is None:
                self._connect(connection, timeout.get("connect"))
                trace(CONNECTED, {})
            trace(LEAVING, {})
            failure = _write(connection, request, timeout.get("write"))
            until = request.extensions.get("deadline", self._now() + _FAR_AWAY)
            answer = self._head(connection, timeout.get("read"), until, failure)
        except BaseException:
            self._give_back(connection, reusable=False)
            raise
        return httpx.Response(
            answer.status,
            headers=[
                (name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.getheaders()
            ],
            stream=_Body(answer, lambda reusable: self._give_back(connection, reusable=reusable)),
        )

    def close(self) -> None:
        """Close all connections, those in use too."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = list(self._busy)
        for connection, _ in idle:
            connection.close()
        for connection in busy:
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def _take(self, seconds: float | None) -> http.client.HTTPConnection:
        if not self._room.acquire(timeout=seconds):
            msg = "no connection became free"
            raise httpx.PoolTimeout(msg)
        stale: list[http.client.HTTPConnection] = []
        with self._lock:
            if self._closed:
                self._room.release()
                msg = "the connections have been closed"
                raise ConnectionsClosed(msg)
            connection = None
            oldest = self._now() - self._keepalive
            while self._idle and connection is None:
                candidate, since = self._idle.pop()
                if since < oldest or _is_readable(candidate):
                    stale.append(candidate)
                else:
                    connection = candidate
            while self._idle and self._idle[0][1] < oldest:
                stale.append(self._idle.pop(0)[0])
            connection = connection or self._new()
            self._busy.add(connection)
        for one in stale:
            one.close()
        return connection

    def _give_back(self, connection: http.client.HTTPConnection, *, reusable: bool) -> None:
        with self._lock:
            self._busy.discard(connection)
            keep = reusable and not self._closed and connection.sock is not None
            if keep:
                self._idle.append((connection, self._now()))
        if not keep:
            connection.close()
        self._room.release()

    def _new(self) -> http.client.HTTPConnection:
        if self._context is None:
            return http.client.HTTPConnection(self._host, self._port)
        return http.client.HTTPSConnection(self._host, self._port, context=self._context)

    @staticmethod
    def _connect(connection: http.client.HTTPConnection, seconds: float | None) -> None:
        connection.timeout = seconds
        try:
            connection.connect()
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error

    def _head(
        self,
        connection: http.client.HTTPConnection,
        seconds: float | None,
        until: float,
        failure: httpx.TransportError | None,
    ) -> http.client.HTTPResponse:
        def within() -> float:
            left = until - self._now()
            if left <= 0:
                msg = "the answer came too slowly"
                raise TimeoutError(msg)
            return left if seconds is None else min(seconds, left)

        incoming = _Incoming(connection.sock, within)

        def answering(_: socket.socket, **rest: Any) -> http.client.HTTPResponse:
            return http.client.HTTPResponse(cast("socket.socket", incoming), **rest)

        connection.response_class = cast("type[http.client.HTTPResponse]", answering)
        try:
            answer = connection.getresponse()
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error)) from error
        except http.client.HTTPException as error:
            raise failure or httpx.RemoteProtocolError(str(error)) from error
        except OSError as error:
            raise failure or httpx.ReadError(str(error)) from error
        wrong = ""
        if incoming.ended or answer.headers.defects:  # http.client would take what is there
            wrong = "the head of the answer was cut or garbled"
        elif answer.status < 200:
            wrong = f"the answer was informational ({answer.status}) and nothing followed"
        if wrong:
            answer.close()
            raise httpx.RemoteProtocolError(wrong)
        return answer


class _Incoming:
    """What a socket brings, with a timeout for each read; http.client asks it for a file.

    Attributes:
        ended: Whether the server's side was found closed.
    """

    def __init__(self, sock: socket.socket, within: Callable[[], float]) -> None:
        self._sock = sock
        self._within = within
        self.ended = False

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(_Reads(self, self._sock.makefile("rb", buffering=0)))

    def read(self, raw: io.RawIOBase, buffer: Any) -> int | None:
        self._sock.settimeout(self._within())
        size: int | None = raw.readinto(buffer)
        self.ended = size == 0
        return size


class _Reads(io.RawIOBase):
    def __init__(self, incoming: _Incoming, raw: io.RawIOBase) -> None:
        self._incoming = incoming
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        return self._incoming.read(self._raw, buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Body(httpx.SyncByteStream):
    """The body of an answer, read as it comes. Gives its connection back when closed."""

    def __init__(self, answer: http.client.HTTPResponse, give_back: Callable[[bool], None]) -> None:
        self._answer = answer
        self._give_back: Callable[[bool], None] | None = give_back
        self._left = answer.length
        self._complete = self._left == 0

    def __iter__(self) -> Iterator[bytes]:
        while not self._complete:
            try:
                piece = self._answer.read1(_PIECE if self._left is None else min(self._left, _PIECE))
            except TimeoutError as error:
                raise httpx.ReadTimeout(str(error)) from error
            except http.client.HTTPException as error:
                raise httpx.RemoteProtocolError(str(error)) from error
            except OSError as error:
                raise httpx.ReadError(str(error)) from error
            if self._left is not None:
                if not piece:
                    msg = f"the connection was closed {self._left} bytes before the body's end"
                    raise httpx.RemoteProtocolError(msg)
                self._left -= len(piece)
                self._complete = self._left == 0
            elif not piece:
                self._complete = True
            if piece:
                yield piece

    def close(self) -> None:
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            self._answer.close()
            give_back(self._complete and not self._answer.will_close)


def _write(
    connection: http.client.HTTPConnection, request: httpx.Request, seconds: float | None
) -> httpx.TransportError | None:
    """Send a request.

    Returns:
        What went wrong. A server may have answered before it closed, so that is looked for next.
    """
    connection.sock.settimeout(seconds)
    body = request.read() or None
    try:
        connection.putrequest(
            request.method,
            request.url.raw_path.decode("ascii"),
            skip_host=True,
            skip_accept_encoding=True,
        )
        for name, value in request.headers.raw:
            connection.putheader(name, value)
        connection.endheaders(body)
    except TimeoutError as error:
        raise httpx.WriteTimeout(str(error)) from error
    except OSError as error:
        return httpx.WriteError(str(error))
    return None


def _untold(_: str, __: Mapping[str, Any]) -> None:
    return


def _context() -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _is_readable(connection: http.client.HTTPConnection) -> bool:
    """Tell whether something came without being asked for, which is the end of a connection."""
    sock: Any = connection.sock
    if sock is None or sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
