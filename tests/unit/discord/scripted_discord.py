"""A Discord that answers from a list, without a network, and a client for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from provider_discord.discord.client import DiscordClient
from provider_discord.discord.guard import InvalidRequestGuard
from provider_discord.discord.options import CallOptions
from provider_discord.discord.priority import Priority
from provider_discord.discord.timings import DiscordTimings

TOKEN = "MTIzNDU2Nzg5.Gabcde.this-is-the-secret"

POLL = CallOptions(priority=Priority.POLL)

RETRY = CallOptions(priority=Priority.RETRY)

USER = CallOptions(priority=Priority.USER)

VIA = {"Via": "1.1 google"}

TIMINGS = DiscordTimings(retry_initial_seconds=0.001, retry_maximum_seconds=0.002, max_wait_seconds=0.05)

Answer = httpx.Response | Exception


@dataclass
class Discord:
    """Answers from a list, the last one for ever; remembers what was asked."""

    answers: list[Answer]
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def make(
    *answers: Answer,
    timings: DiscordTimings = TIMINGS,
    now: Callable[[], float] = time.monotonic,
    guard: InvalidRequestGuard | None = None,
    may_send: Callable[[], bool] = lambda: True,
) -> tuple[DiscordClient, Discord]:
    discord = Discord(list(answers))
    client = DiscordClient(
        token=TOKEN,
        user_agent="DiscordBot (https://example.org, 0.1.0)",
        base_url="https://discord.test/api/v10",
        now=now,
        timings=timings,
        transport=httpx.MockTransport(discord),
        guard=guard,
        may_send=may_send,
    )
    return client, discord


def reply(status: int, body: Any = None, **headers: str) -> httpx.Response:
    renamed = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=body if body is not None else {}, headers={**VIA, **renamed})


def limited(seconds: float, **headers: str) -> httpx.Response:
    return reply(429, {"message": "x", "retry_after": seconds, "global": False}, **headers)


PAGE = httpx.Response(429, html="<html>Access denied</html>", headers={"Retry-After": "300"})

BROKEN = httpx.ReadError("reset")

UNSENT = httpx.ConnectError("refused")
