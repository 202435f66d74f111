"""The kubelet gets its answer, whatever else happens."""

from __future__ import annotations

import gzip
import http.client
import socket
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from provider_discord.telemetry import health
from provider_discord.telemetry.health import CheckResult, HealthServer, HealthServerError
from provider_discord.telemetry.metrics import Metrics


class Setup:
    def __init__(self) -> None:
        self.checks: list[CheckResult] = [CheckResult("ping", ok=True)]
        self.metrics = Metrics()
        self.server = HealthServer(
            host="127.0.0.1",
            ports=[0, 0],
            livez=lambda: [CheckResult("alive", ok=True)],
            readyz=self.results,
            healthz=self.results,
            metrics=self.metrics.render,
        )

    def results(self) -> Sequence[CheckResult]:
        return self.checks

    def get(
        self, path: str, *, port: int = 0, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.ports[port], timeout=5)
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.read(), response.headers
        finally:
            connection.close()


@pytest.fixture
def setup() -> Iterator[Setup]:
    setup = Setup()
    setup.server.start()
    yield setup
    setup.server.stop()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("health")]


def test_every_port_answers(setup: Setup) -> None:
    assert len(set(setup.server.ports)) == 2
    for port in (0, 1):
        assert setup.get("/livez", port=port)[:2] == (200, b"[+]alive ok\nlivez passed\n")
        assert setup.get("/metrics", port=port)[0] == 200


def test_a_check_that_fails_says_why(setup: Setup) -> None:
    setup.checks = [
        CheckResult("caches", ok=False, message="Channel is not listed yet:\n 404 page not found"),
        CheckResult("leader", ok=True, message="pod-1 leads"),
    ]
    status, body, _ = setup.get("/readyz")
    assert status == 503
    assert body.decode().splitlines() == [
        "[-]caches failed: Channel is not listed yet: 404 page not found",
        "[+]leader ok",
        "readyz failed",
    ]
    assert b"[+]leader ok: pod-1 leads\n" in setup.get("/readyz?verbose")[1]
    assert setup.get("/livez")[0] == 200, "nothing else is wrong"


def test_a_secret_in_a_reason_is_blanked(setup: Setup) -> None:
    token = "MTAyOTM4NDc1NjQ3MzgyOTEwNQ.GhIjKl.abcdefghijklmnopqrstuvwxyz0123456789AB"
    setup.checks = [CheckResult("discord", ok=False, message=f"401 for {token}")]
    assert b"401 for [redacted]" in setup.get("/healthz")[1]


def test_a_check_that_breaks_is_a_failure_and_not_the_end(setup: Setup) -> None:
    setup.checks = None  # type: ignore[assignment]
    assert setup.get("/readyz")[0] == 500
    setup.checks = []
    assert setup.get("/readyz")[:2] == (200, b"readyz passed\n")


def test_metrics(setup: Setup) -> None:
    status, body, headers = setup.get("/metrics")
    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"process_resident_memory_bytes" in body
    _, packed, headers = setup.get("/metrics", headers={"Accept-Encoding": "gzip;q=1.0"})
    assert headers["Content-Encoding"] == "gzip"
    assert b"process_resident_memory_bytes" in gzip.decompress(packed)


def test_other_requests(setup: Setup) -> None:
    status, body, _ = setup.get("/nothing")
    assert status == 404
    assert b"/livez /readyz /healthz /metrics" in body
    assert setup.get("/livez", method="HEAD")[:2] == (200, b"")
    assert setup.get("/livez", method="POST")[0] == 501
    assert setup.get("/livez/")[0] == 200


def test_clients_that_say_nothing_cannot_take_the_probes_away(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health._Handler, "timeout", 0.2)
    address = ("127.0.0.1", setup.server.ports[0])
    silent = [socket.create_connection(address) for _ in range(health._MAX_CONNECTIONS)]
    try:
        deadline = time.monotonic() + 5
        while True:
            try:
                if setup.get("/livez")[0] == 200:
                    break
            except (OSError, http.client.HTTPException):
                assert time.monotonic() < deadline, "they are cut off after a while"
                time.sleep(0.02)
    finally:
        for connection in silent:
            connection.close()


def test_a_port_in_use_is_said_clearly_and_leaves_nothing_behind() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        setup = Setup()
        setup.server._wanted = (0, taken)
        with pytest.raises(HealthServerError, match=f"127.0.0.1:{taken}: another process listens there"):
            setup.server.start()
        assert setup.server.ports == ()


def test_an_address_that_is_not_ours() -> None:
    setup = Setup()
    setup.server._host = "192.0.2.1"
    with pytest.raises(HealthServerError, match=r"192\.0\.2\.1"):
        setup.server.start()


def test_the_same_port_twice_is_one() -> None:
    server = Setup().server
    wanted = HealthServer(
        host="127.0.0.1", ports=[8080, 8080], livez=list, readyz=list, healthz=list, metrics=bytes
    )
    assert wanted._wanted == (8080,)
    assert server._wanted == (0, 0)


def test_every_address(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = Setup()
    setup.server._host = ""
    setup.server.start()
    assert setup.get("/livez")[0] == 200
    setup.server.stop()


def test_stop_finishes_what_is_under_way() -> None:
    setup = Setup()
    asked, answer = threading.Event(), threading.Event()

    def slow() -> Sequence[CheckResult]:
        asked.set()
        assert answer.wait(5)
        return []

    setup.server._endpoints.checks["/healthz"] = slow
    setup.server.start()
    got: list[int] = []
    client = threading.Thread(target=lambda: got.append(setup.get("/healthz")[0]))
    client.start()
    assert asked.wait(5)
    stopper = threading.Thread(target=setup.server.stop)
    stopper.start()
    answer.set()
    stopper.join(5)
    client.join(5)
    assert got == [200]
