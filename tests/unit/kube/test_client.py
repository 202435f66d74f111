"""The client says truly what the API server said, or that it said nothing; it never waits for ever."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml

from provider_discord.kube import errors
from provider_discord.kube.access import Event, EventType
from provider_discord.kube.client import KubeClient, connect
from provider_discord.kube.resource import Key, Resource
from provider_discord.kube.timings import KubeTimings
from provider_discord.telemetry.metrics import Metrics

THINGS = Resource("example.org", "v1", "things", "Thing", namespaced=True)
SECRETS = Resource("", "v1", "secrets", "Secret", namespaced=True)
CONFIGS = Resource("example.org", "v1", "configs", "Config", namespaced=False)
TIMINGS = KubeTimings(connect_timeout_seconds=2.0, request_timeout_seconds=0.5, watch_inactivity_seconds=0.5)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


Reply = Callable[["Handler", Request], None]


class Handler(BaseHTTPRequestHandler):
    """Answers with what the test wants, as far as tearing the connection down."""

    protocol_version = "HTTP/1.1"
    server: FakeApiServer

    def do_any(self) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        request = Request(
            self.command,
            url.path,
            dict(parse_qsl(url.query)),
            {k.lower(): v for k, v in self.headers.items()},
            body,
        )
        self.server.requests.append(request)
        self.server.reply(self, request)

    do_GET = do_POST = do_PUT = do_DELETE = do_any  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's signature
        pass

    def json(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.raw(json.dumps(body).encode(), status, {"Content-Type": "application/json", **(headers or {})})

    def raw(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def event(self, type_: str, obj: dict[str, Any]) -> None:
        self.chunk(json.dumps({"type": type_, "object": obj}).encode() + b"\n")

    def end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """Tear the connection down in the middle."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


@dataclass
class FakeApiServer(ThreadingHTTPServer):
    reply: Reply = field(default=lambda handler, _: handler.json({}))
    requests: list[Request] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    """Set at the end of the test, for replies that hang."""

    daemon_threads = True

    def __post_init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what these tests are about."""


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    fake = FakeApiServer()
    thread = threading.Thread(target=fake.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield fake
    fake.release.set()
    fake.shutdown()
    fake.server_close()
    thread.join(5)


def kubeconfig(folder: Path, url: str, user: dict[str, Any] | None = None) -> Path:
    path = folder / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": url}}],
                "users": [{"name": "u", "user": user if user is not None else {"token": "s3cret-t0ken"}}],
                "contexts": [
                    {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "team"}},
                    {"name": "two", "context": {"cluster": "c", "user": "u"}},
                ],
                "current-context": "one",
            }
        )
    )
    return path


@pytest.fixture
def client(server: FakeApiServer, tmp_path: Path) -> Iterator[KubeClient]:
    client = connect(kubeconfig(tmp_path, server.url), timings=TIMINGS, user_agent="provider-discord/test")
    yield client
    client.close()


def thing(name: str = "a", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.org/v1",
        "kind": "Thing",
        "metadata": {"name": name, "namespace": "ns", **metadata},
    }


# Requests.


@dataclass(frozen=True)
class CallCase:
    reason: str
    call: Callable[[KubeClient], Any]
    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None


CALLS = {
    "get": CallCase(
        "A namespaced object of a group.",
        lambda c: c.get(THINGS, Key("ns", "a")),
        "GET",
        "/apis/example.org/v1/namespaces/ns/things/a",
    ),
    "get core": CallCase(
        "The core group has another root.",
        lambda c: c.get(SECRETS, Key("ns", "a")),
        "GET",
        "/api/v1/namespaces/ns/secrets/a",
    ),
    "get cluster-scoped": CallCase(
        "No namespace in the path.",
        lambda c: c.get(CONFIGS, Key("", "a")),
        "GET",
        "/apis/example.org/v1/configs/a",
    ),
    "odd name": CallCase(
        "A name can never leave its place in the path.",
        lambda c: c.get(THINGS, Key("ns", "../../x?y")),
        "GET",
        "/apis/example.org/v1/namespaces/ns/things/..%2F..%2Fx%3Fy",
    ),
    "list": CallCase(
        "All namespaces, first page.",
        lambda c: c.list_page(THINGS),
        "GET",
        "/apis/example.org/v1/things",
        {"limit": "100"},
    ),
    "list further": CallCase(
        "A namespace, a selector, the next page.",
        lambda c: c.list_page(THINGS, namespace="ns", label_selector="a=b,c", limit=7, continue_token="t=="),
        "GET",
        "/apis/example.org/v1/namespaces/ns/things",
        {"limit": "7", "labelSelector": "a=b,c", "continue": "t=="},
    ),
    "create": CallCase(
        "Into the object's own namespace.",
        lambda c: c.create(THINGS, thing()),
        "POST",
        "/apis/example.org/v1/namespaces/ns/things",
        body=thing(),
    ),
    "replace": CallCase(
        "The whole object, with its version.",
        lambda c: c.replace(THINGS, thing(resourceVersion="7")),
        "PUT",
        "/apis/example.org/v1/namespaces/ns/things/a",
        body=thing(resourceVersion="7"),
    ),
    "replace status": CallCase(
        "The status has a path of its own.",
        lambda c: c.replace_status(THINGS, thing(resourceVersion="7")),
        "PUT",
        "/apis/example.org/v1/namespaces/ns/things/a/status",
        body=thing(resourceVersion="7"),
    ),
    "delete": CallCase(
        "Children are left to the garbage collector.",
        lambda c: c.delete(THINGS, Key("ns", "a")),
        "DELETE",
        "/apis/example.org/v1/namespaces/ns/things/a",
        body={"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"},
    ),
    "delete this one": CallCase(
        "Only the incarnation and version that was looked at.",
        lambda c: c.delete(THINGS, Key("ns", "a"), uid="u", resource_version="7"),
        "DELETE",
        "/apis/example.org/v1/namespaces/ns/things/a",
        body={
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": "u", "resourceVersion": "7"},
        },
    ),
}


@pytest.mark.parametrize("case", CALLS.values(), ids=CALLS.keys())
def test_requests(case: CallCase, client: KubeClient, server: FakeApiServer) -> None:
    case.call(client)
    [request] = server.requests
    assert (request.method, request.path) == (case.method, case.path), case.reason
    assert request.query == case.query, case.reason
    assert request.body == case.body, case.reason
    assert request.headers["authorization"] == "Bearer s3cret-t0ken"
    assert request.headers["user-agent"] == "provider-discord/test"
    assert request.headers["accept"] == "application/json"


def test_a_page(client: KubeClient, server: FakeApiServer) -> None:
    server.reply = lambda handler, _: handler.json(
        {
            "kind": "SecretList",
            "metadata": {"resourceVersion": "42", "continue": "more"},
            "items": [{"metadata": {"name": "a"}}],
        }
    )
    page = client.list_page(SECRETS)
    assert (page.resource_version, page.continue_token) == ("42", "more")
    assert page.items == [{"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a"}}]


# Refusals.


@dataclass(frozen=True)
class ErrorCase:
    reason: str
    status: int
    body: Any
    type: type[errors.ApiError]
    text: str
    headers: dict[str, str] = field(default_factory=dict)
    retry_after: float | None = None


def status(reason: str, message: str, **details: Any) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "reason": reason, "message": message, "details": details}


ERRORS = {
    "not found": ErrorCase(
        "No such object.",
        404,
        status("NotFound", 'things "a" not found'),
        errors.NotFound,
        'things "a" not found',
    ),
    "conflict": ErrorCase(
        "Changed since it was read.",
        409,
        status("Conflict", "the object has been modified"),
        errors.Conflict,
        "409 Conflict: the object has been modified",
    ),
    "exists": ErrorCase(
        "The same code, another meaning.",
        409,
        status("AlreadyExists", 'things "a" already exists'),
        errors.AlreadyExists,
        "already exists",
    ),
    "invalid": ErrorCase(
        "The schema says no.", 422, status("Invalid", "spec.x: too big"), errors.Invalid, "spec.x: too big"
    ),
    "forbidden": ErrorCase(
        "RBAC says no.", 403, status("Forbidden", "cannot get things"), errors.Forbidden, "cannot get things"
    ),
    "unauthorized": ErrorCase(
        "Bad token.", 401, status("Unauthorized", "Unauthorized"), errors.Unauthorized, "401 Unauthorized"
    ),
    "bad request": ErrorCase("Nonsense.", 400, status("BadRequest", "no"), errors.BadRequest, "no"),
    "gone": ErrorCase("Token too old.", 410, status("Expired", "too old"), errors.Gone, "too old"),
    "expired by reason": ErrorCase(
        "etcd's compaction has been answered with other codes too.",
        500,
        status("Expired", "compacted"),
        errors.Gone,
        "compacted",
    ),
    "patience by header": ErrorCase(
        "Priority and fairness.",
        429,
        status("TooManyRequests", "too many"),
        errors.TooManyRequests,
        "too many",
        headers={"Retry-After": "3"},
        retry_after=3.0,
    ),
    "patience without measure": ErrorCase(
        "A proxy that asks for a day must not get it.",
        503,
        status("ServiceUnavailable", "down"),
        errors.ServerError,
        "down",
        headers={"Retry-After": "86400"},
        retry_after=60.0,
    ),
    "patience by details": ErrorCase(
        "Also said in the Status.",
        429,
        status("TooManyRequests", "etcd has no space", retryAfterSeconds=7),
        errors.TooManyRequests,
        "no space",
        retry_after=7.0,
    ),
    "server error": ErrorCase(
        "A webhook of somebody's failed.",
        500,
        status("InternalError", "failed calling webhook"),
        errors.ServerError,
        "failed calling webhook",
    ),
    "proxy": ErrorCase(
        "Not the API server's own words.",
        502,
        "<html>\n Bad   Gateway</html>",
        errors.ServerError,
        "Bad Gateway",
    ),
    "teapot": ErrorCase("Any other refusal.", 418, status("Teapot", "short"), errors.ApiError, "short"),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS.keys())
def test_refusals(case: ErrorCase, client: KubeClient, server: FakeApiServer) -> None:
    server.reply = lambda handler, _: handler.json(case.body, case.status, case.headers)
    with pytest.raises(case.type) as caught:
        client.get(THINGS, Key("ns", "a"))
    assert type(caught.value) is case.type, case.reason
    text = str(caught.value)
    assert text.startswith("GET /apis/example.org/v1/namespaces/ns/things/a: "), "it says what was asked"
    assert case.text in text, case.reason
    assert "\n" not in text
    assert caught.value.retry_after == case.retry_after, case.reason
    assert len(server.requests) == 1, "nothing is retried behind the caller's back"


def test_an_invalid_object_names_its_fields(client: KubeClient, server: FakeApiServer) -> None:
    cause = {"reason": "FieldValueInvalid", "message": "must be small", "field": "spec.size"}
    server.reply = lambda handler, _: handler.json(status("Invalid", "no", causes=[cause]), 422)
    with pytest.raises(errors.Invalid) as caught:
        client.create(THINGS, thing())
    assert caught.value.causes == (errors.Cause("spec.size", "must be small", "FieldValueInvalid"),)


def test_a_kind_that_is_not_served_differs_from_an_object_that_is_not_there(
    client: KubeClient, server: FakeApiServer
) -> None:
    server.reply = lambda handler, _: handler.raw(b"404 page not found\n", 404)
    with pytest.raises(errors.NotFound) as caught:
        client.list_page(THINGS)
    assert not caught.value.served
    server.reply = lambda handler, _: handler.json(status("NotFound", "no"), 404)
    with pytest.raises(errors.NotFound) as caught:
        client.get(THINGS, Key("ns", "a"))
    assert caught.value.served


# No answer.


def reset(handler: Handler, _: Request) -> None:
    handler.cut()


def hang(handler: Handler, _: Request) -> None:
    handler.server.release.wait(10)


def cut_off(handler: Handler, _: Request) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"kind": ')
    handler.cut()


def hang_in_the_body(handler: Handler, request: Request) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"kind": ')
    hang(handler, request)


@pytest.mark.parametrize("reply", [reset, hang, cut_off, hang_in_the_body])
@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
def test_no_answer(reply: Reply, client: KubeClient, server: FakeApiServer, *, write: bool) -> None:
    server.reply = reply
    with pytest.raises(errors.Unreachable, match="gave no answer"):
        client.replace(THINGS, thing()) if write else client.get(THINGS, Key("ns", "a"))
    assert len(server.requests) == 1, "nothing is retried behind the caller's back"


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        port = placeholder.getsockname()[1]
    client = connect(kubeconfig(tmp_path, f"http://127.0.0.1:{port}"), timings=TIMINGS)
    with pytest.raises(errors.Unreachable, match="refused"):
        client.server_version()


@pytest.mark.parametrize("body", [b"<html>", b'["a"]', b""])
def test_an_answer_that_is_no_object(body: bytes, client: KubeClient, server: FakeApiServer) -> None:
    server.reply = lambda handler, _: handler.raw(body)
    with pytest.raises(errors.MalformedResponse):
        client.get(THINGS, Key("ns", "a"))


def test_a_shorter_timeout(client: KubeClient, server: FakeApiServer) -> None:
    server.reply = hang
    hasty = client.with_timeout(0.05)
    started = time.monotonic()
    with pytest.raises(errors.Unreachable):
        hasty.get(THINGS, Key("ns", "a"))
    assert time.monotonic() - started < 0.4


def test_connections_are_used_again_after_errors(client: KubeClient, server: FakeApiServer) -> None:
    peers: set[Any] = set()

    def reply(handler: Handler, _: Request) -> None:
        peers.add(handler.client_address)
        handler.json(status("NotFound", "no"), 404)

    server.reply = reply
    for _ in range(5):
        with pytest.raises(errors.NotFound):
            client.get(THINGS, Key("ns", "a"))
    assert len(peers) == 1


def test_requests_are_counted(server: FakeApiServer, tmp_path: Path) -> None:
    metrics = Metrics()
    client = connect(kubeconfig(tmp_path, server.url), timings=TIMINGS, metrics=metrics)
    client.get(THINGS, Key("ns", "a"))
    server.reply = reset
    with pytest.raises(errors.Unreachable):
        client.get(THINGS, Key("ns", "a"))
    host = server.url.removeprefix("http://")
    for code in ("200", "<error>"):
        labels = {"code": code, "method": "GET", "host": host}
        assert metrics.registry.get_sample_value("rest_client_requests_total", labels) == 1


# Credentials.


def test_a_token_that_expired_is_read_again(server: FakeApiServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first-token")
    client = connect(kubeconfig(tmp_path, server.url, {"tokenFile": str(token)}), timings=TIMINGS)

    def reply(handler: Handler, request: Request) -> None:
        if request.headers["authorization"] == "Bearer second-token":
            handler.json({})
        else:
            handler.json(status("Unauthorized", "no"), 401)

    server.reply = reply
    token.write_text("second-token")
    with pytest.raises(errors.Unauthorized) as caught:
        client.get(THINGS, Key("ns", "a"))
    assert "first-token" not in str(caught.value)
    client.get(THINGS, Key("ns", "a"))


def test_no_credentials_in_any_repr(client: KubeClient) -> None:
    client.server_version()
    assert "s3cret" not in repr(client)
    assert "s3cret" not in repr(client._cluster)


# Watching.


def watch(client: KubeClient) -> Any:
    return client.watch(THINGS, resource_version="7", timeout_seconds=240.4)


def test_a_watch_from_begin_to_end(client: KubeClient, server: FakeApiServer) -> None:
    def reply(handler: Handler, _: Request) -> None:
        handler.begin_stream()
        handler.event("ADDED", thing("a"))
        line = json.dumps({"type": "MODIFIED", "object": thing("ü" * 40_000)}, ensure_ascii=False).encode()
        for start in range(0, len(line), 50_001):
            handler.chunk(line[start : start + 50_001])  # Cuts characters in half.
        handler.chunk(b"\n\n" + json.dumps({"type": "DELETED", "object": thing("a")}).encode())
        handler.chunk(b"\n")
        handler.event("BOOKMARK", {"metadata": {"resourceVersion": "99"}})
        handler.end_stream()

    server.reply = reply
    events = list(watch(client))
    assert events == [
        Event(EventType.ADDED, thing("a")),
        Event(EventType.MODIFIED, thing("ü" * 40_000)),
        Event(EventType.DELETED, thing("a")),
        Event(EventType.BOOKMARK, {"metadata": {"resourceVersion": "99"}}),
    ]
    assert server.requests[0].path == "/apis/example.org/v1/things"
    assert server.requests[0].query == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "7",
        "timeoutSeconds": "240",
    }


def test_an_event_is_known_when_it_is_sent(client: KubeClient, server: FakeApiServer) -> None:
    known = threading.Event()

    def reply(handler: Handler, _: Request) -> None:
        handler.begin_stream()
        handler.event("ADDED", thing("a"))
        assert known.wait(5)
        handler.end_stream()

    server.reply = reply
    for event in watch(client):
        assert event.obj == thing("a")
        known.set()
    assert known.is_set()


def test_an_error_within_the_stream(client: KubeClient, server: FakeApiServer) -> None:
    def reply(handler: Handler, _: Request) -> None:
        handler.begin_stream()
        handler.event("ADDED", thing("a"))
        handler.event("ERROR", {**status("Expired", "too old resource version"), "code": 410})
        handler.end_stream()

    server.reply = reply
    events = iter(watch(client))
    assert next(events).obj == thing("a")
    with pytest.raises(errors.Gone, match="too old resource version"):
        next(events)


def test_a_refused_watch(client: KubeClient, server: FakeApiServer) -> None:
    server.reply = lambda handler, _: handler.json(status("Expired", "too old"), 410)
    with pytest.raises(errors.Gone):
        watch(client)


def test_a_watch_cut_in_the_middle_of_an_event(client: KubeClient, server: FakeApiServer) -> None:
    def reply(handler: Handler, _: Request) -> None:
        handler.begin_stream()
        handler.event("ADDED", thing("a"))
        handler.chunk(b'{"type": "MODIFIED", "obj')
        handler.cut()

    server.reply = reply
    events = iter(watch(client))
    assert next(events).type is EventType.ADDED
    with pytest.raises(errors.Unreachable):
        next(events)


def test_half_an_event_before_a_clean_end_was_never_told(client: KubeClient, server: FakeApiServer) -> None:
    def reply(handler: Handler, _: Request) -> None:
        handler.begin_stream()
        handler.chunk(b'{"type": "MODIFIED", "obj')
        handler.end_stream()

    server.reply = reply
    assert list(watch(client)) == []


def test_a_silent_watch_is_given_up(client: KubeClient, server: FakeApiServer) -> None:
    def reply(handler: Handler, request: Request) -> None:
        handler.begin_stream()
        handler.event("ADDED", thing("a"))
        hang(handler, request)

    server.reply = reply
    events = iter(watch(client))
    assert next(events).type is EventType.ADDED
    with pytest.raises(errors.Unreachable, match="timed out"):
        next(events)


@pytest.mark.parametrize(
    "line", [b"garbage\n", b'{"type": "NEW", "object": {}}\n', b'{"type": "ADDED"}\n', b"[]\n"]
)
def test_a_line_that_is_no_event(line: bytes, client: KubeClient, server: FakeApiServer) -> None:
    def reply(handler: Handler, _: Request) -> None:
        handler.begin_stream()
        handler.chunk(line)
        handler.end_stream()

    server.reply = reply
    with pytest.raises(errors.MalformedResponse):
        list(watch(client))


def test_a_line_without_end_does_not_fill_the_memory(
    client: KubeClient, server: FakeApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provider_discord.kube.response._LINE_LIMIT", 100_000)

    def reply(handler: Handler, _: Request) -> None:
        handler.begin_stream()
        with contextlib.suppress(OSError):
            while True:
                handler.chunk(b"x" * 65_536)

    server.reply = reply
    with pytest.raises(errors.MalformedResponse, match="more than 100000 bytes"):
        list(watch(client))


def test_a_watch_is_closed_from_another_thread(server: FakeApiServer, tmp_path: Path) -> None:
    client = connect(kubeconfig(tmp_path, server.url), timings=KubeTimings())

    def reply(handler: Handler, request: Request) -> None:
        handler.begin_stream()
        handler.event("ADDED", thing("a"))
        hang(handler, request)

    server.reply = reply
    running = watch(client)
    waiting = threading.Event()
    ended: list[BaseException | None] = []

    def read() -> None:
        try:
            for _ in running:
                waiting.set()
        except BaseException as error:  # noqa: BLE001 - the test shows it
            ended.append(error)
        else:
            ended.append(None)

    thread = threading.Thread(target=read)
    thread.start()
    assert waiting.wait(5)
    running.close()
    running.close()
    thread.join(5)
    assert ended == [None], "the iteration just ends"
    client.close()


# The way to a cluster.


def test_the_context_is_chosen(server: FakeApiServer, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, server.url)
    assert connect(path).namespace == "team"
    assert connect(path, "two").namespace == "default"
    assert connect(path).host == server.url
    assert not connect(path).in_cluster


@dataclass(frozen=True)
class ConfigCase:
    reason: str
    content: str
    text: str


CONFIGURATIONS = {
    "no yaml": ConfigCase("The parser's words help.", "a: [", "can't be used"),
    "empty": ConfigCase("An empty file is no kubeconfig.", "", "can't be used"),
    "scalar": ConfigCase("Nor is a text.", "hello", "can't be used"),
    "no contexts": ConfigCase("Nor one without contexts.", "apiVersion: v1\nkind: Config\n", "can't be used"),
}


@pytest.mark.parametrize("case", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def test_a_kubeconfig_that_is_none(case: ConfigCase, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(case.content)
    with pytest.raises(errors.KubeConfigError, match=case.text) as caught:
        connect(path)
    assert str(path) in str(caught.value), case.reason
    assert "\n" not in str(caught.value)


def test_no_such_context(server: FakeApiServer, tmp_path: Path) -> None:
    with pytest.raises(errors.KubeConfigError, match="nowhere"):
        connect(kubeconfig(tmp_path, server.url), "nowhere")


def test_no_kubeconfig_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(errors.KubeConfigError, match="does not exist"):
        connect(tmp_path / "nothing")
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(errors.KubeConfigError, match="set KUBECONFIG"):
        connect()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    with pytest.raises(errors.KubeConfigError, match="service account"):
        connect()


def test_the_environment_names_a_kubeconfig(
    server: FakeApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, server.url)))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1")
    assert connect().host == server.url


def test_in_a_pod_its_service_account_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in (
        ("token", "pod-token"),
        ("ca.crt", "certificates"),
        ("namespace", "crossplane-system"),
    ):
        (tmp_path / name).write_text(content)
    incluster = "kubernetes.config.incluster_config"
    monkeypatch.setattr(f"{incluster}.SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(f"{incluster}.SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setattr("provider_discord.kube.config._NAMESPACE_FILE", tmp_path / "namespace")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    client = connect()
    assert client.in_cluster
    assert client.namespace == "crossplane-system"
    assert client.host == "https://[fd00::1]:443"
    assert client._api_client.configuration.get_api_key_with_prefix("BearerToken") == "bearer pod-token"


def test_the_heavy_half_of_the_kubernetes_package_stays_out() -> None:
    # 66 MB of models and API classes would be the larger part of this process.
    code = (
        "import sys, provider_discord.kube.client\n"
        "print([m for m in sys.modules if m.startswith(('kubernetes.client.models.', 'kubernetes.client.api.'))])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert ran.stdout.strip() == "[]"
