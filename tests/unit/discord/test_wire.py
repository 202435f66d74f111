"""The client on the wire: what each answer becomes, what is repeated, and what never leaves the process."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
import structlog

from provider_discord.discord.client import DiscordClient
from provider_discord.discord.errors import (
    AmbiguousOutcome,
    ApiError,
    BadRequest,
    Banned,
    CircuitOpen,
    DiscordError,
    Forbidden,
    NotFound,
    RateLimited,
    Scope,
    TokenInvalid,
    Unauthorized,
    Unavailable,
)
from provider_discord.discord.guard import InvalidRequestGuard
from provider_discord.discord.options import CallOptions
from provider_discord.discord.prepared import audit_reason
from provider_discord.discord.priority import Priority
from provider_discord.discord.timings import DiscordTimings
from provider_discord.discord.transport import InvalidAddress

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


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "text", "reason"),
    [
        (400, {"code": 40009, "message": "Only one"}, BadRequest, 40009, "Only one", "a plain refusal"),
        (
            400,
            {
                "code": 50035,
                "message": "Invalid Form Body",
                "errors": {
                    "permission_overwrites": {
                        "0": {"allow": {"_errors": [{"code": "X", "message": "bad bits"}]}}
                    },
                    "topic": {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": "too long"}]},
                },
            },
            BadRequest,
            50035,
            "Invalid Form Body: permission_overwrites.0.allow: bad bits; topic: too long",
            "nested errors become fields, and end the text",
        ),
        (403, {"code": 50013, "message": "Missing Permissions"}, Forbidden, 50013, "Missing", "a permission"),
        (404, {"code": 10003, "message": "Unknown Channel"}, NotFound, 10003, "Unknown Channel", "gone"),
        (409, {"code": 0, "message": "Conflict"}, BadRequest, 0, "Conflict", "another 4xx is a bad request"),
        (302, {}, BadRequest, 0, "no reason", "a redirect is not followed: the token would go with it"),
        (405, ["x"], BadRequest, 0, "x", "an error that is no object"),
    ],
)
def test_a_refusal_becomes_an_error_that_says_why(
    status: int, body: Any, kind: type[ApiError], code: int, text: str, reason: str
) -> None:
    client, discord = make(reply(status, body))
    with pytest.raises(kind) as caught:
        client.channel("1", options=RETRY)
    assert caught.value.code == code
    assert caught.value.route == "GET /channels/{channel_id}"
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(discord.requests) == 1


def test_fields_of_a_refusal_are_told_apart() -> None:
    body = {
        "code": 50035,
        "message": "m",
        "errors": {"name": {"_errors": [{"code": "C", "message": "short"}]}},
    }
    client, _ = make(reply(400, body))
    with pytest.raises(BadRequest) as caught:
        client.create_role("1", {}, options=RETRY)
    assert [(f.path, f.code, f.message) for f in caught.value.fields] == [("name", "C", "short")]


BROKEN = httpx.ReadError("reset")
UNSENT = httpx.ConnectError("refused")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (reply(500), "500"),
        (reply(502), "a proxy gave up"),
        (httpx.Response(503, html="<html>busy</html>"), "a page"),
        (reply(524), "Cloudflare gave up"),
        (BROKEN, "the connection was reset"),
        (httpx.RemoteProtocolError("truncated"), "half an answer"),
        (httpx.ReadTimeout("slow"), "no answer in time"),
        (httpx.Response(200, text="<html>", headers=VIA), "an answer that is no JSON"),
        (httpx.Response(401, html="<html>log in</html>"), "somebody else's page is no word on the token"),
        (httpx.Response(404, html="<html>nginx</html>"), "nor on what there is"),
    ],
)
def test_what_failed_is_repeated_if_that_is_safe_and_is_ambiguous_if_not(answer: Answer, reason: str) -> None:
    good = reply(200, {"id": "1"})
    client, discord = make(answer, answer, good)
    assert client.modify_role("1", "2", {"name": "x"}, options=RETRY) == {"id": "1"}
    assert len(discord.requests) == 3

    client, discord = make(answer)
    with pytest.raises(Unavailable) as unavailable:
        client.guild("1", options=RETRY)
    assert unavailable.value.retry_after > 0
    assert len(discord.requests) == TIMINGS.max_attempts

    client, discord = make(answer, good)
    before = datetime.now(UTC)
    with pytest.raises(AmbiguousOutcome) as ambiguous:
        client.create_channel("1", {"name": "x"}, options=RETRY)
    assert len(discord.requests) == 1, "a create is never sent twice"
    assert before <= ambiguous.value.sent_at <= ambiguous.value.ended_at <= datetime.now(UTC)


@pytest.mark.parametrize("failure", [UNSENT, httpx.ConnectTimeout("slow"), httpx.PoolTimeout("full")])
def test_a_create_that_cannot_have_arrived_is_repeated(failure: Exception) -> None:
    client, discord = make(failure, failure, reply(201, {"id": "1"}))
    assert client.create_channel("1", {"name": "x"}, options=RETRY) == {"id": "1"}
    assert len(discord.requests) == 3
    client, _ = make(failure)
    with pytest.raises(Unavailable):
        client.create_channel("1", {"name": "x"}, options=RETRY)


def test_a_page_does_not_make_a_delete_done() -> None:
    client, _ = make(httpx.Response(404, html="<html>nginx</html>"))
    with pytest.raises(Unavailable):
        client.delete_role("1", "2", options=RETRY)
    assert not client.token_rejected


def test_a_delete_that_an_earlier_attempt_did_is_done() -> None:
    gone = reply(404, {"code": 10003, "message": "Unknown Channel"})
    client, _ = make(BROKEN, gone)
    client.delete_channel("1", options=RETRY)
    client, _ = make(UNSENT, gone)
    with pytest.raises(NotFound):
        client.delete_channel("1", options=RETRY)
    client, _ = make(gone)
    with pytest.raises(NotFound):
        client.delete_channel("1", options=RETRY)


def test_retries_end_at_the_deadline() -> None:
    client, discord = make(
        reply(500), timings=DiscordTimings(retry_initial_seconds=10.0, retry_maximum_seconds=20.0)
    )
    with pytest.raises(Unavailable):
        client.guild("1", options=CallOptions(deadline_seconds=0.5))
    assert len(discord.requests) == 1


def test_a_short_429_is_waited_for_and_a_long_one_is_an_answer() -> None:
    client, discord = make(limited(0.01), reply(200, {"id": "1"}))
    assert client.guild("1", options=CallOptions(max_wait_seconds=1.0)) == {"id": "1"}
    assert len(discord.requests) == 2

    client, discord = make(limited(600.0))
    with pytest.raises(RateLimited) as caught:
        client.guild("1", options=RETRY)
    assert caught.value.retry_after == pytest.approx(600.0, abs=1.0)
    with pytest.raises(RateLimited):
        client.guild("1", options=RETRY)
    assert len(discord.requests) == 1, "what is known to be limited is not asked"


@pytest.mark.parametrize(
    ("answer", "scope", "reason"),
    [
        (limited(60), Scope.USER, "no scope, nothing remaining"),
        (limited(60, X_RateLimit_Scope="user", X_RateLimit_Remaining="0"), Scope.USER, "the bot's bucket"),
        (limited(60, X_RateLimit_Scope="user", X_RateLimit_Remaining="9"), Scope.SUBLIMIT, "requests remain"),
        (limited(60, X_RateLimit_Scope="shared", X_RateLimit_Remaining="9"), Scope.SHARED, "the resource"),
        (limited(60, X_RateLimit_Scope="global"), Scope.GLOBAL, "by scope"),
        (limited(60, X_RateLimit_Global="true"), Scope.GLOBAL, "by its header"),
        (reply(429, {"retry_after": 60, "global": True}), Scope.GLOBAL, "by its body"),
        (reply(429, {"message": "x"}, Retry_After="60"), Scope.USER, "only the header tells how long"),
    ],
)
def test_a_429_says_what_is_limited(answer: httpx.Response, scope: Scope, reason: str) -> None:
    client, _ = make(answer)
    with pytest.raises(RateLimited) as caught:
        client.guild("1", options=RETRY)
    assert caught.value.scope is scope
    assert caught.value.retry_after == pytest.approx(60.0, abs=1.0)


def test_a_429_is_logged_so_that_operators_find_it() -> None:
    client, _ = make(limited(600.0))
    with structlog.testing.capture_logs() as logs, pytest.raises(RateLimited):
        client.guild("1", options=RETRY)
    assert [(entry["event"], entry["log_level"], entry["route"]) for entry in logs] == [
        ("rate limited by Discord (429)", "warning", "GET /guilds/{guild_id}")
    ]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (PAGE, "a page"),
        (reply(429, {"code": 40333, "message": "internal network error"}), "40333"),
        (httpx.Response(429, json={"retry_after": 1}), "JSON, but neither proxy nor bucket headers"),
        (httpx.Response(403, html="<html>1020</html>"), "a page instead of a permission error"),
    ],
)
def test_cloudflare_in_discords_place_stops_everything_for_every_token(
    answer: httpx.Response, reason: str
) -> None:
    clock = [1_000.0]
    guard = InvalidRequestGuard(timings=TIMINGS)
    client, discord = make(answer, reply(200, {"id": "1"}), now=lambda: clock[0], guard=guard)
    other, elsewhere = make(reply(200, {"id": "1"}), now=lambda: clock[0], guard=guard)
    with pytest.raises(Banned) as caught:
        client.guild("1", options=USER)
    assert caught.value.retry_after >= TIMINGS.ban_minimum_seconds
    for anybody in (client, other):
        with pytest.raises(Banned):
            anybody.guild("2", options=USER)
    assert len(discord.requests) == 1
    assert elsewhere.requests == []
    clock[0] += caught.value.retry_after
    assert client.guild("1", options=USER) == {"id": "1"}
    assert other.guild("1", options=USER) == {"id": "1"}


def test_a_429_behind_a_proxy_that_strips_via_is_no_ban() -> None:
    client, _ = make(httpx.Response(429, json={"retry_after": 60}, headers={"X-RateLimit-Scope": "user"}))
    with pytest.raises(RateLimited):
        client.guild("1", options=RETRY)


def test_a_rejected_token_is_used_once() -> None:
    client, discord = make(reply(401, {"code": 0, "message": "401: Unauthorized"}))
    with structlog.testing.capture_logs() as logs, pytest.raises(TokenInvalid) as caught:
        client.current_user(options=RETRY)
    assert isinstance(caught.value.__cause__, Unauthorized)
    assert client.token_rejected
    for _ in range(5):
        with pytest.raises(TokenInvalid):
            client.guild("1", options=USER)
    assert len(discord.requests) == 1
    assert [entry["log_level"] for entry in logs] == ["warning"]


def test_a_repeated_403_backs_off_for_that_object_alone() -> None:
    clock = [1_000.0]
    refusal = reply(403, {"code": 50013, "message": "Missing Permissions"})
    client, discord = make(refusal, now=lambda: clock[0])
    for _ in range(2):
        with pytest.raises(Forbidden):
            client.modify_channel("1", {"nsfw": True}, options=RETRY)
    with pytest.raises(Forbidden, match="Missing Permissions") as caught:
        client.modify_channel("1", {"nsfw": True}, options=RETRY)
    assert caught.value.retry_after == pytest.approx(10.0)
    assert len(discord.requests) == 2
    with pytest.raises(Forbidden):
        client.modify_channel("2", {"nsfw": True}, options=RETRY)
    with pytest.raises(Forbidden):
        client.modify_channel("1", {"nsfw": True}, options=USER)
    assert len(discord.requests) == 4, "another object, and a person who changed something, are not held"
    client.forgive()
    with pytest.raises(Forbidden):
        client.modify_channel("1", {"nsfw": True}, options=RETRY)
    assert len(discord.requests) == 5


def test_an_open_circuit_spends_no_requests_and_one_probe_closes_it() -> None:
    clock = [1_000.0]
    timings = DiscordTimings(retry_initial_seconds=0.0, retry_maximum_seconds=0.0, max_attempts=1)
    client, discord = make(reply(500), now=lambda: clock[0], timings=timings)
    with structlog.testing.capture_logs() as logs:
        for _ in range(10):
            with pytest.raises(Unavailable):
                client.channel("1", options=RETRY)
        with pytest.raises(CircuitOpen) as caught:
            client.channel("1", options=RETRY)
    assert caught.value.resource_type == "channel"
    assert any("circuit breaker open" in entry["event"] for entry in logs)
    assert len(discord.requests) == 10
    with pytest.raises(Unavailable):
        client.roles("1", options=RETRY)
    assert len(discord.requests) == 11, "other resource types go on"
    clock[0] += caught.value.retry_after
    discord.answers = [reply(404, {"code": 10003, "message": "Unknown"})]
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(NotFound):  # Discord is alive: that is what the breaker wants to know
                client.channel("1", options=RETRY)
    assert any("circuit breaker closed" in entry["event"] for entry in logs)


def test_a_sublimited_name_lets_the_other_fields_through() -> None:
    sublimited = limited(580, X_RateLimit_Scope="user", X_RateLimit_Remaining="9")
    client, discord = make(sublimited, reply(200, {"id": "1", "nsfw": True}))
    with pytest.raises(RateLimited) as caught:
        client.modify_channel("1", {"name": "x", "nsfw": True}, options=USER)
    assert caught.value.scope is Scope.SUBLIMIT
    assert caught.value.fields == ("name",)
    assert caught.value.retry_after == pytest.approx(580, abs=1.0)
    assert caught.value.applied == {"id": "1", "nsfw": True}
    assert [request.content for request in discord.requests] == [
        b'{"name":"x","nsfw":true}',
        b'{"nsfw":true}',
    ]
    with pytest.raises(RateLimited) as again:
        client.modify_channel("1", {"name": "x", "bitrate": 9}, options=USER)
    assert again.value.applied is not None
    assert discord.requests[-1].content == b'{"bitrate":9}'
    with pytest.raises(RateLimited):
        client.modify_channel("1", {"name": "x"}, options=USER)
    assert len(discord.requests) == 3
    assert client.modify_channel("1", {"topic": "t"}, options=USER) is not None
    assert client.modify_channel("2", {"name": "x"}, options=USER) is not None


def test_of_two_sublimited_fields_the_free_one_is_found() -> None:
    sublimited = limited(580, X_RateLimit_Scope="user", X_RateLimit_Remaining="9")
    client, discord = make(sublimited, reply(200, {"id": "1"}), sublimited, reply(200, {"id": "1"}))
    with pytest.raises(RateLimited) as caught:
        client.modify_channel("1", {"name": "x", "topic": "y", "nsfw": True}, options=USER)
    assert caught.value.fields == ("name",)
    assert [request.content for request in discord.requests[1:]] == [
        b'{"nsfw":true}',
        b'{"name":"x"}',
        b'{"topic":"y"}',
    ]


def test_too_many_refusals_stop_polls_then_retries_then_everything() -> None:
    clock = [1_000.0]
    timings = DiscordTimings(invalid_stop_polls=3, invalid_users_only=5, invalid_stop_all=7)
    client, discord = make(
        reply(403, {"code": 50013, "message": "no"}), now=lambda: clock[0], timings=timings
    )
    stopped: dict[Priority, int] = {}
    for n in range(20):
        for options in (POLL, RETRY, USER):
            with pytest.raises(DiscordError) as caught:
                client.channel(str(1_000 + n), options=options)
            if isinstance(caught.value, RateLimited):
                assert caught.value.scope is Scope.GUARD
                stopped.setdefault(options.priority, len(discord.requests))
    assert stopped == {Priority.POLL: 3, Priority.RETRY: 5, Priority.USER: 7}
    clock[0] += 620.0
    with pytest.raises(Forbidden):
        client.channel("9999", options=POLL)


def test_headers_say_who_we_are_and_why() -> None:
    client, discord = make(reply(200, {"id": "1"}), reply(200, {"id": "1"}), reply(204))
    because = CallOptions(reason="für das Team\r\nX: y")
    client.modify_role("1", "2", {"name": "ä"}, options=because)
    client.role_member_counts("1", options=because)
    client.modify_channel_positions("1", [{"id": "1", "position": 2}], options=because)
    first, second, third = discord.requests
    assert first.headers["Authorization"] == f"Bot {TOKEN}"
    assert first.headers["User-Agent"] == "DiscordBot (https://example.org, 0.1.0)"
    assert unquote(first.headers["X-Audit-Log-Reason"]) == because.reason
    assert first.headers["Content-Type"] == "application/json"
    assert first.url == "https://discord.test/api/v10/guilds/1/roles/2"
    assert "X-Audit-Log-Reason" not in second.headers
    assert "X-Audit-Log-Reason" not in third.headers


def test_a_reason_is_cut_between_characters() -> None:
    encoded = audit_reason("ü" * 300)
    assert len(encoded) <= 512
    assert unquote(encoded, errors="strict") == "ü" * (512 // 6)


def test_lists_of_guilds_are_read_to_the_end() -> None:
    page = [{"id": str(n)} for n in range(200)]
    client, discord = make(reply(200, page), reply(200, [{"id": "200"}]))
    assert len(client.current_guilds(options=RETRY)) == 201
    assert [dict(request.url.params) for request in discord.requests] == [
        {"limit": "200"},
        {"limit": "200", "after": "199"},
    ]


def test_a_closed_client_sends_nothing() -> None:
    client, discord = make(reply(200, {}))
    assert client.close() is True
    with pytest.raises(Unavailable):
        client.guild("1", options=USER)
    assert discord.requests == []
    assert client.close() is True


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "empty"),
        ("  \n", "blank"),
        ("Bot ", "nothing behind Bot"),
        (f"{TOKEN}\nmore", "two lines"),
        ("tökén", "not ASCII"),
    ],
)
def test_a_token_that_cannot_be_one_is_refused_without_showing_it(token: str, reason: str) -> None:
    with pytest.raises(TokenInvalid) as caught:
        DiscordClient(token=token, user_agent="x", now=time.monotonic)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("stored", [f"{TOKEN}\n", f"Bot {TOKEN}", f"  bot {TOKEN}  "])
def test_a_token_is_taken_as_people_store_it(stored: str) -> None:
    discord = Discord([reply(200, {"id": "1"})])
    client = DiscordClient(
        token=stored, user_agent="x", now=time.monotonic, transport=httpx.MockTransport(discord)
    )
    client.current_user(options=RETRY)
    assert discord.requests[0].headers["Authorization"] == f"Bot {TOKEN}"


@pytest.mark.parametrize("address", ["discord.com/api", "ftp://discord.com", "http://", "http://a b"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InvalidAddress):
        DiscordClient(token=TOKEN, user_agent="x", now=time.monotonic, base_url=address)


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


def _with_locals(exc: BaseException) -> str:
    return "".join(traceback.TracebackException.from_exception(exc, capture_locals=True).format())


@pytest.mark.parametrize(
    "answer", [BROKEN, UNSENT, reply(500), reply(401), reply(403), reply(400), PAGE, limited(600)]
)
def test_the_token_is_in_no_error_log_repr_or_traceback(
    answer: Answer, everything_logged: pytest.LogCaptureFixture
) -> None:
    client, _ = make(answer)
    calls: tuple[Callable[[], object], ...] = (
        lambda: client.guild("1", options=RETRY),
        lambda: client.create_role("1", {}, options=RETRY),
    )
    for call in calls:
        with structlog.testing.capture_logs() as logs, pytest.raises(DiscordError) as caught:
            call()
        shown = _with_locals(caught.value) + repr(caught.value) + str(logs)
        assert "this-is-the-secret" not in shown
    assert "this-is-the-secret" not in everything_logged.text
    assert "this-is-the-secret" not in repr(client) + str(vars(client)) + repr(vars(client._caller))


def test_the_token_is_in_no_traceback_of_a_real_connection() -> None:
    """httpcore's frames hold the header in clear text; no exception of ours leads to them."""
    client = DiscordClient(
        token=TOKEN, user_agent="x", now=time.monotonic, base_url="http://127.0.0.1:9", timings=TIMINGS
    )
    with pytest.raises(Unavailable) as caught:
        client.guild("1", options=RETRY)
    shown = _with_locals(caught.value)
    assert "this-is-the-secret" not in shown
    client.close()


def test_a_create_whose_turn_comes_after_the_lease_is_not_sent() -> None:
    """The first try could not connect; before the second one another copy of the program has taken over."""
    leads = iter([True])
    client, discord = make(
        httpx.ConnectError("refused"), reply(201, {"id": "1"}), may_send=lambda: next(leads, False)
    )
    with pytest.raises(Unavailable, match="does not lead"):
        client.create_channel("1", {"name": "general"}, options=USER)
    assert len(discord.requests) == 1


def test_a_create_that_was_held_up_past_its_deadline_is_not_sent() -> None:
    """A stopped process wakes up long after whoever asked has gone."""
    clock = [0.0]

    def stopped_meanwhile() -> bool:
        clock[0] += 600.0
        return True

    client, discord = make(reply(201, {"id": "1"}), now=lambda: clock[0], may_send=stopped_meanwhile)
    with pytest.raises(Unavailable, match="time had run out"):
        client.create_channel("1", {"name": "general"}, options=USER)
    assert discord.requests == []
