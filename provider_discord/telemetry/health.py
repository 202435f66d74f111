"""The health and metrics endpoints.

A small HTTP server in threads of its own, so that it answers while every worker is busy. It is bounded: a client
that says nothing is cut off after seconds, and more than a few at once are turned away, so that nobody can take
the probes away from the kubelet by opening connections.
"""

from __future__ import annotations

import errno
import gzip
import socket
import socketserver
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import structlog

from provider_discord.telemetry.metrics import CONTENT_TYPE
from provider_discord.telemetry.redaction import redact

__all__ = ["CheckResult", "Checks", "HealthServer", "HealthServerError"]

_log = structlog.get_logger()

_MAX_CONNECTIONS = 32
_CLIENT_TIMEOUT_SECONDS = 5.0
_GZIP_FROM = 1024


class HealthServerError(Exception):
    """The server could not be started; the message says which address and why."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of an answer. `message` says what is wrong, or adds something to what is right."""

    name: str
    ok: bool
    message: str = ""


Checks = Callable[[], Sequence[CheckResult]]
"""Makes the checks of one endpoint; must answer at once, from what is known."""


class HealthServer:
    """Serves `/livez`, `/readyz`, `/healthz` and `/metrics` on one or more ports."""

    def __init__(
        self,
        *,
        host: str,
        ports: Sequence[int],
        livez: Checks,
        readyz: Checks,
        healthz: Checks,
        metrics: Callable[[], bytes],
    ) -> None:
        """Make one; `start` starts it.

        Args:
            host: the address to listen on; "" is every one, IPv6 as well where there is any.
            ports: 0 takes a free one.
            livez: whether this process works.
            readyz: whether it may be asked to work.
            healthz: everything.
            metrics: the exposition, see `Metrics.render`.
        """
        self._host = host
        self._wanted = tuple(dict.fromkeys(ports)) if 0 not in ports else tuple(ports)
        self._endpoints = _Endpoints(
            checks={"/livez": livez, "/readyz": readyz, "/healthz": healthz}, metrics=metrics
        )
        self._servers: list[tuple[_Server, threading.Thread]] = []

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports that are listened on."""
        return tuple(server.server_address[1] for server, _ in self._servers)

    def start(self) -> None:
        """Listen and serve.

        Raises:
            HealthServerError: a port can't be had. Nothing is left listening.
        """
        try:
            for port in self._wanted:
                server = _listen(self._host, port, self._endpoints)
                thread = threading.Thread(
                    target=server.serve_forever,
                    kwargs={"poll_interval": 0.1},
                    name=f"health-{port}",
                    daemon=True,
                )
                self._servers.append((server, thread))
        except HealthServerError:
            for server, _ in self._servers:
                server.server_close()
            self._servers.clear()
            raise
        for _, thread in self._servers:
            thread.start()

    def stop(self) -> None:
        """Stop listening; answers that are under way are finished, within a second."""
        for server, _ in self._servers:
            server.shutdown()
            server.server_close()
        for server, thread in self._servers:
            thread.join(1.0)
            server.wait_idle(1.0)
        self._servers.clear()


@dataclass(frozen=True, slots=True)
class _Answer:
    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class _Endpoints:
    checks: dict[str, Checks]
    metrics: Callable[[], bytes]

    def answer(self, path: str, *, verbose: bool) -> _Answer:
        if path == "/metrics":
            return _Answer(HTTPStatus.OK, self.metrics(), CONTENT_TYPE)
        checks = self.checks.get(path)
        if checks is None:
            known = " ".join([*self.checks, "/metrics"])
            return _Answer(HTTPStatus.NOT_FOUND, f"not found; there are: {known}\n".encode())
        results = checks()
        passed = all(result.ok for result in results)
        lines = [_line(result, verbose=verbose) for result in results]
        lines.append(f"{path.removeprefix('/')} {'passed' if passed else 'failed'}")
        status = HTTPStatus.OK if passed else HTTPStatus.SERVICE_UNAVAILABLE
        return _Answer(status, redact("\n".join(lines) + "\n").encode())


def _line(result: CheckResult, *, verbose: bool) -> str:
    """Write a check as the API server does, `[+]name ok`, with the reason where there is one to give."""
    message = " ".join(result.message.split())
    if not result.ok:
        return f"[-]{result.name} failed: {message or 'no reason given'}"
    return f"[+]{result.name} ok" + (f": {message}" if verbose and message else "")


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(self, address: tuple[str, int], family: socket.AddressFamily, endpoints: _Endpoints) -> None:
        self.address_family = family
        self.endpoints = endpoints
        self._condition = threading.Condition()
        self._connections = 0
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            # One socket for both families, whatever the system's default is.
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._condition:
            full = self._connections >= _MAX_CONNECTIONS
            if not full:
                self._connections += 1
        if full:
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._ended()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._ended()

    def wait_idle(self, timeout: float) -> None:
        with self._condition:
            self._condition.wait_for(lambda: not self._connections, timeout)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class's signature
        # A client that went away is its own affair.
        _log.debug("a request for health or metrics broke off", exc_info=True)

    def _ended(self) -> None:
        with self._condition:
            self._connections -= 1
            self._condition.notify_all()


class _Handler(BaseHTTPRequestHandler):
    server_version = "provider-discord"
    sys_version = ""
    timeout: ClassVar[float] = _CLIENT_TIMEOUT_SECONDS
    server: _Server

    def do_GET(self) -> None:
        self._serve(with_body=True)

    def do_HEAD(self) -> None:
        self._serve(with_body=False)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's signature
        """Say nothing: probes come every few seconds."""

    def _serve(self, *, with_body: bool) -> None:
        url = urlsplit(self.path)
        path = url.path.rstrip("/") or "/"
        verbose = "verbose" in parse_qs(url.query, keep_blank_values=True)
        try:
            answer = self.server.endpoints.answer(path, verbose=verbose)
        except Exception:  # noqa: BLE001 - a check that fails to run is a failed check
            _log.exception("a health check or the metrics could not be made", path=path)
            answer = _Answer(HTTPStatus.INTERNAL_SERVER_ERROR, b"internal error, see the logs\n")
        body = answer.body
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if len(body) >= _GZIP_FROM and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, compresslevel=1)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)


def _listen(host: str, port: int, endpoints: _Endpoints) -> _Server:
    candidates: list[tuple[str, socket.AddressFamily]]
    if host:
        candidates = [(host, socket.AF_INET6 if ":" in host else socket.AF_INET)]
    else:
        candidates = [("::", socket.AF_INET6), ("0.0.0.0", socket.AF_INET)]  # noqa: S104 - that is what "" asks for
    error: OSError | None = None
    for address, family in candidates:
        try:
            return _Server((address, port), family, endpoints)
        except OSError as problem:
            error = problem
            if problem.errno == errno.EADDRINUSE:
                break
    where = f"{host or '*'}:{port}"
    if error is not None and error.errno == errno.EADDRINUSE:
        msg = f"can't serve health and metrics on {where}: another process listens there; stop it or choose another port"
    else:
        msg = f"can't serve health and metrics on {where}: {error}"
    raise HealthServerError(msg) from error
