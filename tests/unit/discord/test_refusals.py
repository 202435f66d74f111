"""What Discord refuses becomes an error that says why, and is not asked again and again."""

from __future__ import annotations

import contextlib
import gc
import weakref
from typing import Any

import pytest
import structlog

from provider_discord.discord.errors import (
    ApiError,
    BadRequest,
    DiscordError,
    Forbidden,
    NotFound,
    RateLimited,
    Scope,
    TokenInvalid,
    Unauthorized,
)
from provider_discord.discord.guard import InvalidRequestGuard
from provider_discord.discord.priority import Priority
from provider_discord.discord.timings import DiscordTimings
from tests.unit.discord.scripted_discord import (
    POLL,
    RETRY,
    USER,
    make,
    reply,
)


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


def test_a_remembered_refusal_keeps_nothing_of_its_call() -> None:
    """Thousands may be remembered; the exception's frames would hold every answer and snapshot with them."""
    client, _ = make(reply(403, {"code": 50013, "message": "Missing Permissions"}))
    with pytest.raises(Forbidden) as caught:
        client.modify_channel("1", {"nsfw": True}, options=RETRY)
    gone = weakref.ref(caught.value)
    del caught
    gc.collect()
    assert gone() is None


def test_default_thresholds_are_well_below_the_ten_thousand_of_discord() -> None:
    """A thousand refusals stop the polls, five thousand all but users' changes, eight thousand everything."""
    clock = [1_000.0]
    guard = InvalidRequestGuard(timings=DiscordTimings())
    client, discord = make(reply(200, {"id": "1"}), now=lambda: clock[0], guard=guard)
    for count, expected in (
        (999, "URP"),
        (1_000, "UR"),
        (4_999, "UR"),
        (5_000, "U"),
        (7_999, "U"),
        (8_000, ""),
    ):
        while guard.count(clock[0]) < count:
            guard.record(clock[0])
        passed = ""
        for letter, options in (("U", USER), ("R", RETRY), ("P", POLL)):
            with contextlib.suppress(RateLimited):
                client.channel("1", options=options)
                passed += letter
        assert passed == expected, count
    clock[0] += 700.0
    client.channel("1", options=POLL)
    assert len(discord.requests) == 3 + 2 + 2 + 1 + 1 + 1
