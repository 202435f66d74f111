"""A fault-injecting HTTP proxy, one for each side of the provider.

It speaks plain HTTP to the provider and HTTP or TLS to the server, whose connections it keeps, so that a new life of
the provider costs no handshakes. Requests may be rewritten on their way: so a lane's provider, which thinks that it
sees the whole cluster, sees one namespace. What befalls a request the `Weather` decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from tests.chaos.weather import Mishap, Weather
from tests.chaos.wire import HEAD_END, Head, answer, pieces, read_request

Rewrite = Callable[[str, str], str]
"""From a request's method and target to the target that is sent on."""

_SILENCE_SECONDS: Final = 30.0
_END_SECONDS: Final = 8.0
"""How long a request that is under way may take when the proxy ends."""
_LAST_SECONDS: Final = 0.05
"""Closed connections tell so in the loop's next rounds, of which TLS needs a few."""


class Proxy:
    """A proxy on a loopback port, in a thread of its own; a context manager.

    Args:
        upstream: the server's address.
        weather: what befalls requests.
        authority: PEM of the certificate that the server's is signed by; "" for plain HTTP.
        rewrite: changes targets.
    """

    def __init__(
        self,
        upstream: str,
        *,
        weather: Weather,
        authority: str = "",
        rewrite: Rewrite = lambda _method, target: target,
    ) -> None:
        parts = urlsplit(upstream)
        self._host, self._upstream_port = str(parts.hostname), int(parts.port or 0)
        self._tls = ssl.create_default_context(cadata=authority) if authority else None
        self.weather = weather
        self._rewrite = rewrite
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._clients: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._listens = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self.port = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._listens.wait(30):
            msg = "the proxy does not listen"
            raise RuntimeError(msg)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(15)

    def cut_all(self) -> None:
        """Reset every connection of the client's, from any thread."""
        self._loop.call_soon_threadsafe(self._cut_all)

    # In the loop.

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
            self._loop.run_until_complete(_end_tasks())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=2**20)
        self.port = server.sockets[0].getsockname()[1]
        self._listens.set()
        await self._stop.wait()
        server.close()
        self._cut_all()
        if self._tasks:
            # Not cancelled: a connection that is half made would never be closed.
            await asyncio.wait(self._tasks, timeout=_END_SECONDS)
        for _, writer in self._idle:
            writer.transport.abort()
        await asyncio.sleep(_LAST_SECONDS)

    def _cut_all(self) -> None:
        for writer in list(self._clients):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._clients.add(writer)
        try:
            while not self.weather.down:
                request = await read_request(reader)
                if request is None or not await self._pass_on(*request, reader, writer):
                    return
            self.weather.note("connection refused")
        except (OSError, EOFError, asyncio.CancelledError):
            return
        finally:
            self._clients.discard(writer)
            self._tasks.discard(task)
            writer.transport.abort()

    async def _pass_on(
        self, head: Head, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Pass one request on; False ends the client's connection."""
        if self.weather.down:
            self.weather.note("connection refused")
            return False
        target = self._rewrite(head.method, head.target)
        request = head.with_line(f"{head.method} {target} HTTP/1.1").encode() + body
        if "watch=true" in target:
            await self._watch(request, reader, writer)
            return False
        mishap = self.weather.strike(head.method)
        if mishap is Mishap.KILL_BEFORE:
            self.weather.kill()
            return False
        if mishap is Mishap.CUT_BEFORE:
            return False
        if mishap is Mishap.REFUSED:
            writer.write(self._refusal())
            await writer.drain()
            return True
        if mishap is Mishap.SLOW:
            await asyncio.sleep(self.weather.delay_seconds())
        answered, whole = await self._exchange(head.method, request)
        if mishap is Mishap.KILL_AFTER:
            self.weather.kill()
            return False
        if mishap is Mishap.CUT_AFTER:
            return False
        if mishap is Mishap.FAIL_AFTER and head.method != "GET":
            writer.write(_failure(500))
        elif mishap is Mishap.CUT_MIDDLE:
            writer.write(whole[: max(1, len(whole) * 2 // 3)])
            await writer.drain()
            return False
        else:
            writer.write(whole)
        await writer.drain()
        return answered.get("connection").lower() != "close"

    async def _exchange(self, method: str, request: bytes) -> tuple[Head, bytes]:
        """Send a request on, once, and return the whole answer.

        A kept connection that the server has closed is not used; one that it closes without an answer may be one
        on which it did the work.
        """
        reader, writer = connection = next(self._kept(), None) or await self._connect()
        try:
            writer.write(request)
            await writer.drain()
            raw = await asyncio.wait_for(reader.readuntil(HEAD_END), _SILENCE_SECONDS)
            head = Head.parse(raw)
            parts = [raw, *[piece async for piece in pieces(reader, head, method=method)]]
        except BaseException:
            writer.transport.abort()
            raise
        if head.get("connection").lower() == "close":
            writer.transport.abort()
        else:
            self._idle.append(connection)
        return head, b"".join(parts)

    def _kept(self) -> Iterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        while self._idle:
            reader, writer = self._idle.pop()
            if reader.at_eof():
                writer.transport.abort()
            else:
                yield reader, writer

    async def _watch(
        self, request: bytes, client: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Pass a watch on until either end closes it, or its time is over."""
        reader, upstream = await self._connect()
        try:
            upstream.write(request)
            await upstream.drain()
            ways = [
                asyncio.ensure_future(_pump(reader, writer)),
                asyncio.ensure_future(client.read(1)),
            ]
            limit = self.weather.watch_limit_seconds()
            _, rest = await asyncio.wait(ways, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if len(rest) == len(ways):
                self.weather.note("watch cut")
            for way in rest:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            upstream.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._host, self._upstream_port, ssl=self._tls, limit=2**20)

    def _refusal(self) -> bytes:
        status, retry_after = self.weather.refusal()
        return _failure(status, retry_after)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


def _failure(status: int, retry_after: int | None = None) -> bytes:
    """Return what the API server answers when it can't."""
    reasons = {409: "Conflict", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}
    reason = reasons.get(status, "Timeout")
    said = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": f"chaos: {reason}",
        "reason": reason,
        "code": status,
    }
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return answer(status, json.dumps(said).encode(), **headers)


def one_namespace(namespace: str, config: str, *, group: str, namespaced: frozenset[str]) -> Rewrite:
    """Return the rewriting that shows a provider one namespace, and one ProviderConfig, of the cluster.

    Args:
        namespace: the namespace.
        config: the ProviderConfig's name.
        group: the API group whose lists and watches are narrowed.
        namespaced: the plurals of its namespaced kinds.
    """

    def rewrite(method: str, target: str) -> str:
        path, _, query = target.partition("?")
        parts = path.split("/")
        if method != "GET" or len(parts) != 5 or parts[1] != "apis" or not parts[2].endswith(group):
            return target
        plural = parts[4]
        if plural in namespaced:
            return f"{'/'.join(parts[:4])}/namespaces/{namespace}/{plural}?{query}"
        return f"{path}?{query}&fieldSelector=metadata.name%3D{config}"

    return rewrite


async def _end_tasks() -> None:
    """End what was accepted while the proxy was closing."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
