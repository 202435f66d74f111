"""The two sides of the provider on a virtual clock, and what goes wrong there.

The API server is the one in memory of the managed room's tests; it keeps the rules that the reconciler relies on. The
Discord client's requests end in the simulator's own routes, called as its HTTP server calls them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

import httpx

from provider_discord.kinds.registry import RESOURCES
from provider_discord.kube.errors import ServerError, Unreachable
from provider_discord.kube.resource import Key, Obj, Resource, key_of
from provider_discord.managed import meta
from provider_discord.simulator import edge, routes
from provider_discord.simulator.errors import ApiError as DiscordRefusal
from provider_discord.simulator.ratelimit import Refusal, Scope
from provider_discord.simulator.state import World as Discord
from tests.unit.managed.managed_world import ApiServer, Clock

READ_TIMEOUT: Final = 15.0
_MADE_UP: Final = "made up by the test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishap:
    """What becomes of a request to Discord.

    Attributes:
        method: Only of requests with it; "" any.
        part: Only where the path has this in it.
        answer: A status, or "drop", "timeout", "garbage", "rate-limit".
        commits: Whether Discord carries it out: "done" (at once), "lost" (never), or so many seconds later.
        skip: So many such requests pass first.
        times: How many it hits.
    """

    method: str = ""
    part: str = ""
    answer: int | str = "drop"
    commits: str | float = "done"
    skip: int = 0
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What becomes of a write to the API server.

    Attributes:
        of: Which write: "finalizer", "intent", "record", "outcome", "deletion", "memory", "status", "let go"; "" any.
        how: "conflict" (somebody else was faster), "refused" (a 500), "away" (not carried out, no answer) or "lost"
            (carried out, no answer).
        times: How many it hits.
    """

    of: str
    how: str
    times: int = 1


class Cluster(ApiServer):
    """The API server; `trouble` befalls writes of our objects, and while it is `away` nothing gets through."""

    def __init__(self, clock: Clock, touch: Callable[[str], None]) -> None:
        super().__init__(clock)
        self.trouble: list[Trouble] = []
        self.struck = 0
        """How many writes and reads trouble or absence befell."""
        self.away_until = 0.0
        self.by_hand = False
        self._touch = touch

    def act(self, doing: Callable[[], Any]) -> Any:
        """Let somebody else than the provider do something."""
        self.by_hand = True
        try:
            return doing()
        finally:
            self.by_hand = False

    def replace(self, resource: Resource, obj: Obj) -> Obj:
        return self._write(
            _what(self.objects.get((resource, key_of(obj))), obj), super().replace, resource, obj
        )

    def replace_status(self, resource: Resource, obj: Obj) -> Obj:
        return self._write("status", super().replace_status, resource, obj)

    def _enter(self, verb: str, resource: Resource, key: Key) -> None:
        if self.by_hand:
            return
        self._touch(f"{verb} of {resource.kind} {key}")
        if self.clock.now() < self.away_until:
            self.struck += 1
            msg = "connection refused"
            raise Unreachable(msg)
        super()._enter(verb, resource, key)

    def _write(self, what: str, write: Callable[[Resource, Obj], Obj], resource: Resource, obj: Obj) -> Obj:
        hit = None if self.by_hand or resource not in RESOURCES else self._hit(what)
        if hit is None:
            return write(resource, obj)
        self._touch(f"{what} of {resource.kind}")
        if hit.how == "conflict":
            self.act(partial(self._label, resource, key_of(obj)))
        if hit.how == "refused":
            raise ServerError(status=500, reason="InternalError", message="etcd has no leader")
        if hit.how == "away":
            msg = "connection refused"
            raise Unreachable(msg)
        written = write(resource, obj)
        if hit.how == "lost":
            msg = "the connection broke"
            raise Unreachable(msg)
        return written

    def _hit(self, what: str) -> Trouble | None:
        for number, trouble in enumerate(self.trouble):
            if trouble.times and trouble.of in {"", what}:
                self.trouble[number] = replace(trouble, times=trouble.times - 1)
                self.struck += 1
                return trouble
        return None

    def _label(self, resource: Resource, key: Key) -> None:
        stored = self.objects.get((resource, key))
        if stored is not None:
            labels = {"touched": str(self.struck)}
            metadata = {**stored["metadata"], "labels": labels}
            super().replace(resource, {**stored, "metadata": metadata})


def _what(stored: Obj | None, obj: Obj) -> str:
    """Say what a write of one of our objects is for."""
    if stored is None:
        return ""
    before, after = meta.annotations_of(stored), meta.annotations_of(obj)
    finalizers = len(meta.finalizers_of(obj)) - len(meta.finalizers_of(stored))
    if before.get(meta.EXTERNAL_NAME) != after.get(meta.EXTERNAL_NAME):
        return "outcome"
    if finalizers:
        return "finalizer" if finalizers > 0 else "let go"
    if before.get(meta.DELETE_ATTEMPT) != after.get(meta.DELETE_ATTEMPT):
        return "deletion"
    if before.get(meta.CREATE_ATTEMPT) == after.get(meta.CREATE_ATTEMPT):
        return "memory"
    return "intent" if meta.CREATE_ATTEMPT not in before else "record"


class Wire(httpx.BaseTransport):
    """The way to the simulated Discord.

    Args:
        clock: everybody's.
        discord: what is at its end.
        passed: told when Discord has a request and the answer has not left yet.
        touch: told each request.
    """

    def __init__(
        self, clock: Clock, discord: Discord, *, passed: Callable[[str], None], touch: Callable[[str], None]
    ) -> None:
        self._clock = clock
        self._discord = discord
        self._passed = passed
        self._touch = touch
        self.mishaps: list[Mishap] = []
        self.struck: Counter[Mishap] = Counter()
        """How many requests each mishap has befallen."""
        self.late: list[tuple[float, Callable[[], Any]]] = []
        self._seen: dict[int, int] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        method, path = request.method, request.url.path.removeprefix(edge.API)
        self._touch(f"{method} {path}")
        self.commit_due()
        mishap = self._hit(method, path)
        work = partial(self._work, request, path)
        if mishap is None:
            status, body = work()
            self._passed(f"in flight: {method}")
            return _response(status, body)
        self.struck[mishap] += 1
        if mishap.commits == "done":
            work()
        if isinstance(mishap.commits, float):
            self.late.append((self._clock.now() + mishap.commits, work))
        self._passed(f"in flight: {method}")
        match mishap.answer:
            case int(status):
                return httpx.Response(status, headers=edge.HEADERS, content=b"<html>upstream error</html>")
            case "garbage":
                return httpx.Response(200, headers=edge.HEADERS, content=b"<html>welcome</html>")
            case "rate-limit":
                refusal = Refusal(2.0, Scope.USER)
                return _response(429, refusal.body(), **refusal.headers())
            case "timeout":
                self._clock.seconds += READ_TIMEOUT
                raise httpx.ReadTimeout(_MADE_UP, request=request)
        raise httpx.RemoteProtocolError(_MADE_UP, request=request)

    def arm(self, mishaps: Iterable[Mishap]) -> None:
        """Let these befall what comes, and nothing of what was armed before."""
        self.mishaps = list(mishaps)
        self.struck.clear()
        self._seen.clear()

    def commit_due(self) -> None:
        """Carry out what Discord carries out late."""
        now = self._clock.now()
        due = [work for at, work in self.late if at <= now]
        self.late = [(at, work) for at, work in self.late if at > now]
        for work in due:
            work()

    def _hit(self, method: str, path: str) -> Mishap | None:
        for number, mishap in enumerate(self.mishaps):
            if mishap.method not in {"", method} or mishap.part not in path:
                continue
            seen = self._seen[number] = self._seen.get(number, 0) + 1
            if mishap.skip < seen <= mishap.skip + mishap.times:
                return mishap
        return None

    def _work(self, request: httpx.Request, path: str) -> routes.Answer:
        token = request.headers["Authorization"].removeprefix("Bot ")
        bot = self._discord.bot_of_token(token)
        assert bot is not None
        try:
            route, params = routes.find(request.method, path)
            routes.check_ids(params)
            reason = request.headers.get("X-Audit-Log-Reason")
            call = routes.Call(
                world=self._discord,
                bot=bot,
                params=params,
                query=dict(request.url.params),
                body=json.loads(request.content) if request.content else {},
                reason=unquote(reason) if reason else None,
            )
            return route.answer(call)
        except DiscordRefusal as error:
            return error.status, error.body()


def _response(status: int, body: Any, **headers: str) -> httpx.Response:
    content = b"" if body is None else json.dumps(body).encode()
    kind = {} if body is None else {"Content-Type": "application/json"}
    return httpx.Response(status, headers={**edge.HEADERS, **kind, **headers}, content=content)
