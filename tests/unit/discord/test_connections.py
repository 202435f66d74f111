"""Our connections against a server that answers byte by byte what a case says."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from provider_discord.discord.connections import (
    LEAVING,
    Connections,
    ConnectionsClosed,
    open_transport,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
TIMEOUT = {"connect": 2.0, "read": 2.0, "write": 2.0, "pool": 0.1}
Talk = Callable[[socket.socket], None]


def request_of(sock: socket.socket) -> bytes:
    """Read one request to its end."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            while len(body) < int(line.split(b":")[1]):
                body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


class Server:
    """Runs each talk with one connection after the other, the last one for all that follow."""

    def __init__(self, *talks: Talk) -> None:
        self.talks = list(talks)
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> httpx.URL:
        return httpx.URL(f"http://127.0.0.1:{self.listener.getsockname()[1]}/api")

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            talk = self.talks[min(self.connections, len(self.talks) - 1)]
            self.connections += 1
            threading.Thread(target=self._talk, args=(talk, sock), daemon=True).start()

    @staticmethod
    def _talk(talk: Talk, sock: socket.socket) -> None:
        with sock:
            try:
                talk(sock)
            except OSError:
                return


def answers(*parts: bytes, requests: int = 100) -> Talk:
    def talk(sock: socket.socket) -> None:
        for _ in range(requests):
            if not request_of(sock):
                return
            for part in parts:
                sock.sendall(part)

    return talk


@contextmanager
def pool(server: Server, *, size: int = 2, keepalive_seconds: float = 60.0) -> Iterator[Connections]:
    connections = Connections(server.url, size=size, keepalive_seconds=keepalive_seconds, now=time.monotonic)
    try:
        yield connections
    finally:
        connections.close()
        server.listener.close()


def ask(connections: httpx.BaseTransport, server: Server, *, within: float = 5.0) -> httpx.Response:
    request = httpx.Request(
        "PATCH",
        f"{server.url}/x?y=1",
        content=b"{}",
        extensions={"timeout": TIMEOUT, "deadline": time.monotonic() + within},
    )
    response = connections.handle_request(request)
    try:
        response.read()
    finally:
        response.close()
    return response


def test_a_connection_is_used_again_and_all_of_a_request_arrives() -> None:
    seen: list[bytes] = []

    def talk(sock: socket.socket) -> None:
        while request := request_of(sock):
            seen.append(request)
            sock.sendall(OK)

    server = Server(talk)
    with pool(server) as connections:
        for _ in range(5):
            assert ask(connections, server).content == b"{}"
    assert server.connections == 1
    assert seen[0].startswith(b"PATCH /api/x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert seen[0].endswith(b"\r\n\r\n{}")
    assert len(set(seen)) == 1


@pytest.mark.parametrize(
    ("parts", "body", "reason"),
    [
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), b"", "no body"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",), b"", "an empty one"),
        ((b"HTTP/1.1 100 Continue\r\n\r\n" + OK,), b"{}", "something before the answer"),
        ((b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", OK), b"{}", "hints before the answer"),
        (
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
                b"1;x=y\r\n}\r\n0\r\nA: b\r\n\r\n",
            ),
            b"{}",
            "chunks, with a trailer",
        ),
        (
            (
                b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
                % len(gzip.compress(b"x" * 9_000)),
                gzip.compress(b"x" * 9_000),
            ),
            b"x" * 9_000,
            "compressed",
        ),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"a", b"b", b"cd"), b"abcd", "in pieces"),
        (
            (b"HTTP/1.1 200 \xfcber\r\nX: \xfc\r\nContent-Length: 2\r\n\r\n{}",),
            b"{}",
            "bytes that are no ASCII",
        ),
    ],
)
def test_answers_are_read_to_their_end_and_no_further(
    parts: tuple[bytes, ...], body: bytes, reason: str
) -> None:
    server = Server(answers(*parts))
    with pool(server) as connections:
        for _ in range(3):
            assert ask(connections, server).content == body, reason
    assert server.connections == 1, reason


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ((b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",), "the server says so"),
        ((b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",), "it is of the old kind"),
        ((b"HTTP/1.1 200 OK\r\n\r\n{}",), "its end is the answer's end"),
        ((OK + OK,), "there is an answer too many, which must not become the next one"),
        ((OK + b"x",), "there is more than an answer"),
    ],
)
def test_a_connection_that_ends_with_the_answer_is_not_used_again(
    parts: tuple[bytes, ...], reason: str
) -> None:
    server = Server(answers(*parts, requests=1))
    with pool(server) as connections:
        for _ in range(3):
            assert ask(connections, server).content == b"{}", reason
    assert server.connections == 3, reason


@pytest.mark.parametrize(
    ("stray", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray", "an answer that nobody asked for"),
        (b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "a farewell"),
        (b"x", "no answer at all"),
    ],
)
def test_what_came_behind_an_answer_is_not_the_next_one(stray: bytes, reason: str) -> None:
    """The connection stays open, and what is too much was read together with the answer: only its reader can tell."""
    server = Server(answers(OK + stray))
    with pool(server) as connections:
        for _ in range(3):
            response = ask(connections, server)
            assert (response.status_code, response.content) == (200, b"{}"), reason
    assert server.connections == 3, reason


@pytest.mark.parametrize(
    ("reset", "kind"), [(False, httpx.RemoteProtocolError), (True, httpx.ReadError)], ids=["closed", "reset"]
)
def test_what_was_received_on_a_kept_connection_is_not_sent_again(
    reset: bool, kind: type[httpx.TransportError]
) -> None:
    """It looks like a connection that had ended before; but a create may have been carried out."""
    seen: list[bytes] = []

    def twice(sock: socket.socket) -> None:
        seen.append(request_of(sock))
        sock.sendall(OK)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        seen.append(request_of(sock))

    server = Server(twice, answers(OK))
    with pool(server) as connections:
        ask(connections, server)
        with pytest.raises(kind):
            ask(connections, server)
    assert len(seen) == 2
    assert server.connections == 1


def test_a_connection_that_the_server_closed_meanwhile_is_replaced() -> None:
    closed = threading.Event()

    def once(sock: socket.socket) -> None:
        request_of(sock)
        sock.sendall(OK)
        sock.close()
        closed.set()

    server = Server(once, answers(OK))
    with pool(server) as connections:
        ask(connections, server)
        assert closed.wait(5.0)
        assert ask(connections, server).content == b"{}"
    assert server.connections == 2


def test_a_connection_that_was_idle_for_long_is_replaced() -> None:
    server = Server(answers(OK))
    with pool(server, keepalive_seconds=0.0) as connections:
        ask(connections, server)
        ask(connections, server)
    assert server.connections == 2


def _drip(sock: socket.socket) -> None:
    request_of(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    for n in range(600):
        sock.sendall(b"X-%d: y\r\n" % n)
        time.sleep(0.02)


def _reset(sock: socket.socket) -> None:
    request_of(sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


def _nothing(sock: socket.socket) -> None:
    request_of(sock)
    sock.recv(1)


@pytest.mark.parametrize(
    ("talk", "kind", "reason"),
    [
        (answers(b"", requests=1), httpx.RemoteProtocolError, "closed without an answer"),
        (_reset, httpx.ReadError, "reset without an answer"),
        (answers(b"HTTP/1.1 200 OK\r\nX: ", requests=1), httpx.RemoteProtocolError, "half a head"),
        (
            answers(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", requests=1),
            httpx.RemoteProtocolError,
            "half a body",
        ),
        (
            answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", requests=1),
            httpx.RemoteProtocolError,
            "half a chunk",
        ),
        (
            answers(b"HTTP/1.1 200 OK\r\nno header\r\nContent-Length: 2\r\n\r\n{}"),
            httpx.RemoteProtocolError,
            "garbled",
        ),
        (answers(b"SSH-2.0-x\r\n", requests=1), httpx.RemoteProtocolError, "no HTTP"),
        (answers(b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n"), httpx.ReadTimeout, "not the answer itself"),
        (
            answers(b"HTTP/1.1 101 Upgrade\r\nUpgrade: x\r\n\r\n"),
            httpx.RemoteProtocolError,
            "another protocol",
        ),
        (_drip, httpx.ReadTimeout, "headers that drip on and on"),
        (_nothing, httpx.ReadTimeout, "nothing at all"),
    ],
)
def test_what_breaks_is_told_by_kind_and_its_connection_is_not_used_again(
    talk: Talk, kind: type[httpx.TransportError], reason: str
) -> None:
    server = Server(talk, answers(OK))
    with pool(server, size=1) as connections:
        begun = time.monotonic()
        with pytest.raises(kind):
            ask(connections, server, within=0.3)
        assert time.monotonic() - begun < 1.5, reason
        assert ask(connections, server).content == b"{}", reason
    assert server.connections == 2, reason


def test_an_answer_that_comes_before_all_of_the_request_was_taken_counts() -> None:
    def refuse(sock: socket.socket) -> None:
        sock.recv(100)
        sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1 << 26, socket.MSG_WAITALL)

    server = Server(refuse)
    with pool(server) as connections:
        request = httpx.Request("POST", server.url, content=b"x" * (1 << 22), extensions={"timeout": TIMEOUT})
        response = connections.handle_request(request)
        assert response.status_code == 413
        response.close()


def test_what_cannot_have_left_is_told_apart() -> None:
    server = Server(answers(OK))
    server.listener.close()
    connections = Connections(
        httpx.URL("http://127.0.0.1:1"), size=1, keepalive_seconds=1.0, now=time.monotonic
    )
    with pytest.raises(httpx.ConnectError):
        connections.handle_request(
            httpx.Request("GET", "http://127.0.0.1:1/", extensions={"timeout": TIMEOUT})
        )


def test_a_full_pool_is_waited_for_and_no_longer_than_said() -> None:
    server = Server(answers(OK))
    with pool(server, size=1) as connections:
        request = httpx.Request("GET", server.url, extensions={"timeout": TIMEOUT})
        held = connections.handle_request(request)
        with pytest.raises(httpx.PoolTimeout):
            connections.handle_request(request)
        held.close()
        assert ask(connections, server).content == b"{}"


def test_leaving_is_told_after_connecting() -> None:
    server = Server(answers(OK))
    with pool(server) as connections:
        told: list[tuple[str, int]] = []
        request = httpx.Request(
            "GET",
            server.url,
            extensions={
                "timeout": TIMEOUT,
                "trace": lambda event, _: told.append((event, len(connections._busy))),
            },
        )
        for _ in range(2):
            response = connections.handle_request(request)
            response.read()
            response.close()
        assert told == [(LEAVING, 1), (LEAVING, 1)]


def test_closing_ends_what_is_under_way_and_all_that_comes_later() -> None:
    asked = threading.Event()

    def hang(sock: socket.socket) -> None:
        request_of(sock)
        asked.set()
        sock.recv(1)

    server = Server(hang)
    with pool(server) as connections:
        failures: list[Exception] = []

        def call() -> None:
            try:
                ask(connections, server)
            except httpx.TransportError as failure:
                failures.append(failure)

        thread = threading.Thread(target=call)
        thread.start()
        assert asked.wait(5.0)
        connections.close()
        thread.join(1.0)
        assert not thread.is_alive()
        assert len(failures) == 1
        with pytest.raises(ConnectionsClosed):
            ask(connections, server)


@pytest.mark.parametrize(
    ("environment", "proxied", "reason"),
    [
        ({}, False, "none is named"),
        ({"https_proxy": "http://proxy.test:3128"}, True, "for this scheme"),
        ({"HTTPS_PROXY": "proxy.test:3128"}, True, "without a scheme"),
        ({"ALL_PROXY": "http://proxy.test:3128"}, True, "for all"),
        ({"http_proxy": "http://proxy.test:3128"}, False, "for another scheme"),
        ({"https_proxy": "http://proxy.test:3128", "no_proxy": ".test"}, False, "but not for this host"),
    ],
)
def test_a_proxy_of_the_environment_is_used(
    environment: dict[str, str], proxied: bool, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    transport = open_transport(
        httpx.URL("https://discord.test"), size=1, keepalive_seconds=1.0, now=time.monotonic
    )
    assert isinstance(transport, httpx.HTTPTransport) is proxied, reason
    transport.close()
