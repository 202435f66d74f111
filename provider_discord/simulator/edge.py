"""From an HTTP request to its answer: the way of one request through the simulated Discord.

It meets the rate limits, then an injected fault if one is waiting for it, then the checks of Discord's edge
(User-Agent, token), then its route. All of it runs on one event loop, and a route never awaits: a write is
atomic.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from provider_discord.simulator import routes, spoil
from provider_discord.simulator.config import SimulatorConfig
from provider_discord.simulator.errors import ApiError, Problem, invalid
from provider_discord.simulator.faults import Effect, Fault, FaultPlan
from provider_discord.simulator.ratelimit import Arrival, RateLimiter, Refusal, Scope, Verdict
from provider_discord.simulator.requestlog import Entry, RequestLog
from provider_discord.simulator.state import Bot, World, timestamp
from provider_discord.simulator.wire import json_response

API = "/api/v10"
# Cloudflare's own pages lack Via; clients tell them apart by it.
HEADERS = {"Via": "1.1 google", "Server": "cloudflare"}
_MAX_REASON = 512
_USER_AGENT = re.compile(r"DiscordBot \(\S+, \S+\)")
Work = Callable[[], routes.Answer]


class Simulator:
    """The simulated Discord: its state, its limits, its faults, and what was asked of it.

    Belongs to one event loop; not thread-safe.

    Attributes:
        world, limiter, faults, latency, log: its parts.
        dirty: whether the world may have changed since somebody set this to False.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self.world = World(config.behaviour)
        self.limiter = RateLimiter(config.limits)
        self.faults = FaultPlan()
        self.latency = config.latency
        self.log = RequestLog(config.request_log_size)
        self.dirty = False
        self._rand = random.Random(config.seed)  # noqa: S311 - a simulation must repeat
        self._late: set[asyncio.TimerHandle] = set()

    def forget_late_commits(self) -> None:
        """Drop what injected faults would still commit."""
        for handle in self._late:
            handle.cancel()
        self._late.clear()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request to the API."""
        arrived = time.monotonic()
        path = request.match_info["path"]
        try:
            route, params = routes.find(request.method, path)
            lost = None
        except ApiError as error:
            route, params, lost = None, {}, error
        entry = self.log.start(
            time=timestamp(self.world.wall()),
            at=arrived,
            method=request.method,
            path=path,
            route=route.template if route else "",
            query=dict(request.query),
        )
        body, broken = _json(await request.read())
        header = request.headers.get("Authorization", "")
        bot = self.world.bot_of_token(header.removeprefix("Bot ")) if header.startswith("Bot ") else None
        entry.body, entry.bot_id = body, bot.user_id if bot else None
        entry.user_agent = request.headers.get("User-Agent", "")
        arrival = Arrival(
            token=bot.user_id if bot else header,
            route=route.key if route else "",
            major=routes.major(params),
            counted_fields=self._counted(params, body),
        )
        verdict = self.limiter.arrive(arrival, now=time.monotonic(), wall=time.time())
        work = partial(self._work, request, entry, route=route, params=params, bot=bot, wrong=lost or broken)
        try:
            return await self._answer(request, entry, verdict, work)
        finally:
            entry.seconds = time.monotonic() - arrived

    async def lost(self, _request: web.Request) -> web.StreamResponse:
        """Answer a request to somewhere else."""
        return json_response(ApiError(Problem.ROUTE).body(), status=404, headers=HEADERS)

    async def _answer(
        self, request: web.Request, entry: Entry, verdict: Verdict, work: Work
    ) -> web.StreamResponse:
        if verdict.refusal is not None:
            return self._refuse(entry, verdict)
        name = entry.body.get("name") if isinstance(entry.body, dict) else None
        fault = self.faults.strike(
            method=entry.method, route=entry.route, path=entry.path, name=str(name or "")
        )
        seconds = self.latency.draw(self._rand)
        if seconds:
            await asyncio.sleep(seconds)
        if fault is None:
            return self._respond(entry, verdict, work())
        entry.fault = str(fault.effect)
        return await self._spoil(request, entry, verdict, work, fault)

    async def _spoil(
        self, request: web.Request, entry: Entry, verdict: Verdict, work: Work, fault: Fault
    ) -> web.StreamResponse:
        """Answer a request that a fault struck."""
        effect = fault.effect
        if effect is Effect.CLOUDFLARE:
            return self._refuse(entry, Verdict(refusal=Refusal(fault.seconds, None), banned=True))
        if effect is Effect.RATE_LIMIT:
            headers = {**verdict.headers, "X-RateLimit-Remaining": str(fault.remaining)}
            return self._refuse(
                entry, Verdict(refusal=Refusal(fault.seconds, Scope(fault.scope)), headers=headers)
            )
        spoils_body = effect in (Effect.TRUNCATE, Effect.SLOW_BODY, Effect.MALFORMED)
        answer = work() if fault.after_commit or spoils_body else None
        if effect is Effect.DELAY:
            await asyncio.sleep(fault.seconds + self._rand.random() * fault.jitter_seconds)
            return self._respond(entry, verdict, answer or work())
        if answer is None and fault.commit_delay_seconds is not None:
            self._commit_later(fault.commit_delay_seconds, work)
        if effect is Effect.DROP:
            return spoil.drop(request, reset=fault.reset)
        if effect is Effect.STATUS or answer is None:
            entry.status = fault.status
            return spoil.server_error(fault.status, {**HEADERS, **verdict.headers})
        response = self._respond(entry, verdict, answer)
        return await spoil.body(request, response, fault)

    def _commit_later(self, seconds: float, work: Work) -> None:
        def commit() -> None:
            self._late.discard(handle)
            work()

        handle = asyncio.get_running_loop().call_later(seconds, commit)
        self._late.add(handle)

    def _work(
        self,
        request: web.Request,
        entry: Entry,
        *,
        route: routes.Route | None,
        params: dict[str, str],
        bot: Bot | None,
        wrong: ApiError | None,
    ) -> routes.Answer:
        """Do what the request asks and return status and body, of an error as well."""
        try:
            if not _USER_AGENT.match(entry.user_agent):
                raise ApiError(Problem.USER_AGENT)
            if bot is None:
                raise ApiError(Problem.UNAUTHORIZED)
            if route is None or wrong is not None:
                raise wrong or ApiError(Problem.ROUTE)
            routes.check_ids(params)
            entry.reason = _reason(request)
            answer = route.answer(
                routes.Call(
                    world=self.world,
                    bot=bot,
                    params=params,
                    query=entry.query,
                    body={} if entry.body is None else entry.body,
                    reason=entry.reason if route.takes_reason else None,
                )
            )
        except ApiError as error:
            entry.code = error.code
            return error.status, error.body()
        if entry.method != "GET":
            entry.committed = self.dirty = True
        return answer

    def _respond(self, entry: Entry, verdict: Verdict, answer: routes.Answer) -> web.Response:
        status, body = answer
        entry.status = status
        remaining = verdict.headers.get("X-RateLimit-Remaining")
        entry.remaining = None if remaining is None else int(remaining)
        self.limiter.leave(status, None, now=time.monotonic())
        headers = {**HEADERS, **verdict.headers}
        if body is None:
            return web.Response(status=status, headers=headers)
        return json_response(body, status=status, headers=headers)

    def _refuse(self, entry: Entry, verdict: Verdict) -> web.Response:
        """Answer 429."""
        refusal = verdict.refusal
        assert refusal is not None
        entry.status = 429
        entry.scope = "cloudflare" if verdict.banned else str(refusal.scope)
        entry.retry_after = round(refusal.retry_after, 3)
        self.limiter.leave(429, refusal.scope, now=time.monotonic())
        if verdict.banned:
            return spoil.cloudflare_page(refusal.retry_after)
        remaining = verdict.headers.get("X-RateLimit-Remaining")
        entry.remaining = None if remaining is None else int(remaining)
        headers = {**HEADERS, **verdict.headers, **refusal.headers()}
        return json_response(refusal.body(), status=429, headers=headers)

    def _counted(self, params: dict[str, str], body: Any) -> frozenset[str]:
        """Return the body's fields that count for sub-limits."""
        if not isinstance(body, dict):
            return frozenset()
        if self.world.behaviour.unchanged_counts:
            return frozenset(body)
        channel_id = params.get("channel_id", "")
        found = [
            guild.channels[channel_id] for guild in self.world.guilds.values() if channel_id in guild.channels
        ]
        return frozenset(key for key, value in body.items() if not found or found[0].get(key) != value)


def _json(raw: bytes) -> tuple[Any, ApiError | None]:
    if not raw:
        return None, None
    try:
        return json.loads(raw), None
    except ValueError:
        return None, ApiError(Problem.BODY)


def _reason(request: web.Request) -> str | None:
    raw = request.headers.get("X-Audit-Log-Reason")
    if raw is None:
        return None
    reason = unquote(raw)
    if len(reason) > _MAX_REASON:
        raise invalid(
            ("X-Audit-Log-Reason",), "BASE_TYPE_MAX_LENGTH", f"Must be {_MAX_REASON} or fewer in length."
        )
    return reason or None
