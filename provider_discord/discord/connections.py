"""Connections to one address: HTTP/1.1 with keep-alive, in the shape of an httpx transport.

httpx's own transport looks at every connection for every request and parses answers in Python, which costs more than
all the rest of a call. This one takes the connection that was used last and lets httptools (llhttp, in C) parse. It is
used where no proxy is named by the environment; else httpx's, which knows how to talk to one. What libraries do
otherwise, and where that loses a create, is in docs/design/connections.md.

A connection is used by one request at a time and goes back only after a complete answer. Before it is used again
it is looked at: one that the server closed, or that was idle for long, is replaced. Failures become httpx's
exceptions, told apart by whether the request can have left: connecting is a step of its own.

``request.extensions`` are httpx's: ``timeout``, and ``trace``, which is told when a connection was opened and when a
request is about to leave on it. One more is ours: ``deadline``, the instant after which nothing is read any more. A read
timeout alone lets an answer whose headers or body drip go on for ever, so every single read gets at most what is left.
"""

from __future__ import annotations

import contextlib
import math
import select
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httptools
import httpx

_PIECE = 64 * 1024
LEAVING = "http11.send_request_headers.started"
"""What ``trace`` is called with; httpcore's name."""
_NOT_TO_THE_END = {b"content-length", b"transfer-encoding"}


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
        self._address = url.host, url.port or (443 if url.scheme == "https" else 80)
        self._context = _context() if url.scheme == "https" else None
        self._keepalive = keepalive_seconds
        self._now = now
        self._room = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[tuple[socket.socket, float]] = []
        self._busy: set[socket.socket] = set()
        self._closed = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return its answer; the body is read from its stream.

        Raises:
            httpx.TransportError: By kind; ConnectError, ConnectTimeout and PoolTimeout when it was not sent.
            ConnectionsClosed: By close.
        """
        timeout: Mapping[str, float | None] = request.extensions.get("timeout", {})
        trace = request.extensions.get("trace", _untold)
        until: float = request.extensions.get("deadline", math.inf)
        read_seconds = timeout.get("read")

        def patience() -> float | None:
            left = until - self._now()
            if left <= 0:
                msg = "the answer came too slowly"
                raise TimeoutError(msg)
            return (
                min(left, math.inf if read_seconds is None else read_seconds)
                if left < math.inf
                else read_seconds
            )

        sock = self._take(timeout.get("pool"))
        try:
            if sock is None:
                sock = self._open(timeout.get("connect"))
            trace(LEAVING, {})
            failure = _write(sock, request, timeout.get("write"))
            answer = _Answer(sock, patience, self._give_back)
            answer.read_head(failure)
        except BaseException:
            self._give_back(sock, reusable=False)
            raise
        return httpx.Response(answer.status, headers=answer.headers, stream=answer)

    def close(self) -> None:
        """Close all connections, those in use too."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for sock in self._busy:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for sock, _ in idle:
            sock.close()

    def _take(self, seconds: float | None) -> socket.socket | None:
        """Return a connection to use again; None when one is to be opened."""
        if not self._room.acquire(timeout=seconds):
            msg = "no connection became free"
            raise httpx.PoolTimeout(msg)
        stale: list[socket.socket] = []
        taken: socket.socket | None = None
        with self._lock:
            if self._closed:
                self._room.release()
                raise _closed()
            oldest = self._now() - self._keepalive
            while self._idle and taken is None:
                sock, since = self._idle.pop()
                if since < oldest or _is_readable(sock):
                    stale.append(sock)
                else:
                    taken = sock
                    self._busy.add(sock)
            while self._idle and self._idle[0][1] < oldest:
                stale.append(self._idle.pop(0)[0])
        for sock in stale:
            sock.close()
        return taken

    def _open(self, seconds: float | None) -> socket.socket:
        try:
            sock = socket.create_connection(self._address, seconds)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._context is not None:
                    sock = self._context.wrap_socket(sock, server_hostname=self._address[0])
            except BaseException:
                sock.close()
                raise
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        with self._lock:
            closed = self._closed
            if not closed:
                self._busy.add(sock)
        if closed:
            sock.close()
            raise _closed()
        return sock

    def _give_back(self, sock: socket.socket | None, *, reusable: bool) -> None:
        with self._lock:
            keep = False
            if sock is not None:
                self._busy.discard(sock)
                keep = reusable and not self._closed
                if keep:
                    self._idle.append((sock, self._now()))
        if sock is not None and not keep:
            sock.close()
        self._room.release()


class _Answer(httpx.SyncByteStream):
    """An answer as it comes: httptools calls the ``on_`` methods. Gives its connection back when closed.

    Attributes:
        status: HTTP status; 0 before the head is there.
        headers: Of the head.
    """

    def __init__(
        self,
        sock: socket.socket,
        patience: Callable[[], float | None],
        give_back: Callable[..., None],
    ) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._sock = sock
        self._patience = patience
        self._give_back: Callable[..., None] | None = give_back
        self._pieces: list[bytes] = []
        self._keep_alive = False
        self._complete = False
        self._parser = httptools.HttpResponseParser(self)

    def on_message_begin(self) -> None:
        if self._complete:  # nobody asked for another answer
            self._keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # else a trailer
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # not the answer itself
            self.headers.clear()
        elif not self._complete:
            self.status = status
            self._keep_alive = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        if not self._complete:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        self._complete = self._complete or self.status > 0

    def read_head(self, failure: httpx.TransportError | None) -> None:
        """Read until the head is there; raise the failure to send where nothing came."""
        try:
            while not self.status:
                self._read()
        except (httpx.ReadError, httpx.RemoteProtocolError) as error:
            raise failure or error from error.__cause__

    def __iter__(self) -> Iterator[bytes]:
        while True:
            pieces, self._pieces = self._pieces, []
            yield from pieces
            if self._complete and not self._pieces:
                return
            if not self._complete:
                self._read()

    def close(self) -> None:
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            del self._parser  # it refers to this object
            give_back(self._sock, reusable=self._complete and self._keep_alive)

    def _read(self) -> None:
        try:
            self._sock.settimeout(self._patience())
            data = self._sock.recv(_PIECE)
            if data:
                self._parser.feed_data(data)
            else:
                self._ended()
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error)) from error
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._keep_alive = False
            if not self._complete:  # else it is about what came behind
                raise httpx.RemoteProtocolError(str(error)) from error
        except OSError as error:
            raise httpx.ReadError(str(error)) from error

    def _ended(self) -> None:
        """Take the connection's end, which is the answer's where its head tells no other."""
        self._keep_alive = False
        if not self.status or any(name.lower() in _NOT_TO_THE_END for name, _ in self.headers):
            msg = "the connection was closed before the answer's end"
            raise httpx.RemoteProtocolError(msg)
        self._complete = True


def _write(sock: socket.socket, request: httpx.Request, seconds: float | None) -> httpx.TransportError | None:
    """Send a request.

    Returns:
        What went wrong. A server may have answered before it closed, so that is looked for next.
    """
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%b: %b" % header for header in request.headers.raw]
    if any(b"\r" in line or b"\n" in line for line in lines):
        msg = "a header must be one line"
        raise httpx.LocalProtocolError(msg)
    try:
        sock.settimeout(seconds)
        sock.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + request.read())
    except TimeoutError as error:
        raise httpx.WriteTimeout(str(error)) from error
    except OSError as error:
        return httpx.WriteError(str(error))
    return None


def _untold(_: str, __: Mapping[str, Any]) -> None:
    return


def _closed() -> ConnectionsClosed:
    return ConnectionsClosed("the connections have been closed")


def _context() -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _is_readable(sock: socket.socket) -> bool:
    """Tell whether something came without being asked for, which is the end of a connection."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
