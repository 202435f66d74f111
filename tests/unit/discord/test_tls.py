"""Discord is spoken to over TLS: the certificate is checked before the token leaves, and connections are used again."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from controlplane.certificates import Authority, Pair, write_private

from provider_discord.discord.timings import DiscordTimings
from provider_discord.discord.transport import Secret, Sent, Transport, TransportFailure

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"ok": "yes"}'
TOKEN = "a-token-that-must-not-leak"


class Server:
    """Answers every request over TLS, and keeps what came through it."""

    def __init__(self, folder: Path, pair: Pair, *, version: ssl.TLSVersion, host: str) -> None:
        write_private(folder / "pair.pem", pair.certificate + pair.key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = self.context.maximum_version = version
        self.context.load_cert_chain(folder / "pair.pem")
        self.listener = socket.create_server((host, 0))
        self.url = f"https://{host}:{self.listener.getsockname()[1]}/api/v10"
        self.handshakes = 0
        self.seen = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def _talk(self, sock: socket.socket) -> None:
        with suppress(OSError), self.context.wrap_socket(sock, server_side=True) as secured:
            self.handshakes += 1
            pending = b""
            while piece := secured.recv(65_536):
                self.seen += piece
                pending += piece
                while b"\r\n\r\n" in pending:
                    pending = pending.partition(b"\r\n\r\n")[2]
                    secured.sendall(ANSWER)


Serve = Callable[..., Server]


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The only authority that is trusted, named as an operator names one of their own."""
    made = Authority()
    (tmp_path / "authority.pem").write_bytes(made.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return made


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    servers: list[Server] = []

    def start(
        pair: Pair, *, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, host: str = "127.0.0.1"
    ) -> Server:
        servers.append(Server(tmp_path, pair, version=version, host=host))
        return servers[-1]

    yield start
    for server in servers:
        server.listener.close()


def transport_to(server: Server) -> Transport:
    return Transport(
        token=Secret(TOKEN),
        base_url=server.url,
        user_agent="DiscordBot (https://example.invalid, 0)",
        timings=DiscordTimings(),
        now=time.monotonic,
    )


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_one_handshake_serves_many_requests(
    authority: Authority, serve: Serve, version: ssl.TLSVersion
) -> None:
    """In TLS 1.3 the server sends tickets after the handshake; they must not pass for the end of the connection."""
    server = serve(authority.server(), version=version)
    transport = transport_to(server)
    for _ in range(5):
        answer = transport.send(method="GET", path="/x", deadline=time.monotonic() + 5)
        assert answer.json() == {"ok": "yes"}
    transport.close()
    assert server.handshakes == 1
    assert f"Authorization: Bot {TOKEN}".encode() in server.seen


@pytest.mark.parametrize(
    ("host", "trusted", "reason"),
    [
        ("127.0.0.1", False, "an authority that nobody trusts"),
        ("127.0.0.2", True, "a certificate for another host"),
    ],
)
def test_a_wrong_certificate_is_refused_before_the_token_leaves(
    authority: Authority, serve: Serve, host: str, trusted: bool, reason: str
) -> None:
    server = serve((authority if trusted else Authority()).server(), host=host)
    transport = transport_to(server)
    with pytest.raises(TransportFailure, match=r"(?i)certificate|mismatch") as failure:
        transport.send(method="GET", path="/x", deadline=time.monotonic() + 5)
    transport.close()
    assert failure.value.sent is Sent.NO, reason
    assert TOKEN not in str(failure.value)
    assert server.seen == b"", reason
