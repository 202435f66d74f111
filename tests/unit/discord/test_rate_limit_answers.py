"""What a 429 means: what has to wait, for how long, and what goes on."""

from __future__ import annotations

import httpx
import pytest
import structlog

from provider_discord.discord.errors import (
    Banned,
    RateLimited,
    Scope,
    Unavailable,
)
from provider_discord.discord.guard import InvalidRequestGuard
from provider_discord.discord.options import CallOptions
from provider_discord.discord.timings import DiscordTimings
from tests.unit.discord.scripted_discord import (
    PAGE,
    RETRY,
    TIMINGS,
    USER,
    VIA,
    limited,
    make,
    reply,
)


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


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (reply(429, {"retry_after": 10**400}), "no float holds it"),
        (reply(429, {"retry_after": 1_700_000_000_000}), "an epoch in milliseconds"),
        (reply(429, {"message": "x"}, Retry_After="9" * 300), "a header too"),
        (reply(429, {"retry_after": -5}), "less than nothing"),
        (reply(429, {"retry_after": "soon"}), "a word"),
        (reply(429, {"message": "x"}), "nothing at all"),
        (httpx.Response(429, content=b"[" * 100_000, headers=VIA), "nested too deep to be read"),
    ],
)
def test_a_wait_that_makes_no_sense_holds_nobody_for_ever(answer: httpx.Response, reason: str) -> None:
    client, _ = make(answer)
    with pytest.raises((RateLimited, Banned)) as caught:
        client.guild("1", options=RETRY)
    assert 0 < (caught.value.retry_after or 0) <= 7 * 86_400 + 1, reason
    state = client._caller.state()
    assert (state.in_flight, state.waiting) == (0, 0)


def test_a_wait_of_a_week_does_not_stop_the_clock_for_others() -> None:
    """Whoever waits on another route is still woken by time alone."""
    client, discord = make(reply(429, {"retry_after": 1e300}))
    with pytest.raises(RateLimited):
        client.guild("1", options=RETRY)
    full = {"X-RateLimit-Limit": "1", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "0.1"}
    discord.answers = [reply(200, [], **full, **{"X-RateLimit-Bucket": "b"})]
    patient = CallOptions(max_wait_seconds=5.0)
    for _ in range(3):
        client.roles("1", options=patient)
    assert client._caller._turns._timer is not None
    assert client._caller._turns._timer.is_alive()
    client.close()


def test_a_server_that_says_zero_again_and_again_is_not_hammered() -> None:
    timings = DiscordTimings(max_wait_seconds=1.0)
    client, discord = make(limited(0.0), timings=timings)
    with pytest.raises(RateLimited):
        client.guild("1", options=RETRY)
    assert 2 <= len(discord.requests) <= 5
    client.close()


def test_parts_of_one_change_share_one_deadline_and_one_patience() -> None:
    """Four requests that each take long do not take four times as long as the caller allowed."""
    clock = [1_000.0]
    sublimited = limited(580, X_RateLimit_Scope="user", X_RateLimit_Remaining="9")
    client, discord = make(sublimited, reply(200, {"id": "1"}), now=lambda: clock[0])

    def slow(request: httpx.Request) -> httpx.Response:
        clock[0] += 6.0
        return answer(request)

    answer, client._caller._transport._handler.handler = discord, slow  # type: ignore[attr-defined]
    with pytest.raises(Unavailable):
        client.modify_channel(
            "1", {"name": "x", "topic": "y", "nsfw": True}, options=CallOptions(deadline_seconds=10.0)
        )
    assert len(discord.requests) == 2
