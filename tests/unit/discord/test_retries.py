"""What fails is repeated where that is safe; a create never is, unless it cannot have arrived."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import structlog

from provider_discord.discord.client import DiscordClient
from provider_discord.discord.errors import (
    AmbiguousOutcome,
    CircuitOpen,
    NotFound,
    Unavailable,
)
from provider_discord.discord.metrics import CircuitState
from provider_discord.discord.options import CallOptions
from provider_discord.discord.timings import DiscordTimings
from tests.unit.discord.scripted_discord import (
    BROKEN,
    RETRY,
    TIMINGS,
    TOKEN,
    UNSENT,
    USER,
    VIA,
    Answer,
    make,
    reply,
)


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


@pytest.mark.parametrize(
    ("failure", "trips", "reason"),
    [
        (httpx.ConnectError("refused"), True, "Discord cannot be reached"),
        (BROKEN, True, "no answer came"),
        (httpx.PoolTimeout("none free"), False, "our own connections were all in use"),
        (httpx.UnsupportedProtocol("what"), False, "it could not even be sent"),
    ],
)
def test_only_what_is_discords_doing_opens_a_circuit(failure: Exception, trips: bool, reason: str) -> None:
    client, _ = make(failure)
    for _ in range(12):
        with pytest.raises((Unavailable, CircuitOpen)):
            client.channel("1", options=RETRY)
    state = client._caller.state().circuits["channel"]
    assert (state is not CircuitState.CLOSED) is trips, reason


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


@pytest.mark.parametrize(
    ("call", "body", "reason"),
    [
        (lambda c: c.guild_channels("1", options=RETRY), {}, "an object is no guild without channels"),
        (lambda c: c.guild_channels("1", options=RETRY), None, "nor is nothing at all"),
        (lambda c: c.guild_channels("1", options=RETRY), [None], "a list of nothing"),
        (lambda c: c.roles("1", options=RETRY), [{"name": "x"}], "roles without ids"),
        (lambda c: c.guild("1", options=RETRY), [], "a list is no guild"),
        (lambda c: c.guild("1", options=RETRY), "text", "a word is no guild"),
        (lambda c: c.audit_log("1", options=RETRY), {}, "an audit log without entries would be evidence"),
        (lambda c: c.active_threads("1", options=RETRY), {}, "threads that are not told are not none"),
        (lambda c: c.member("1", "2", options=RETRY), {}, "a member has roles, if only an empty list"),
        (lambda c: c.modify_channel("1", {"nsfw": True}, options=RETRY), {}, "a channel without an id"),
        (lambda c: c.role_member_counts("1", options=RETRY), [], "counts are by id"),
    ],
)
def test_an_answer_of_another_shape_is_no_answer(
    call: Callable[[DiscordClient], object], body: Any, reason: str
) -> None:
    spoilt = httpx.Response(200, headers=VIA) if body is None else httpx.Response(200, json=body, headers=VIA)
    client, discord = make(spoilt)
    with pytest.raises(Unavailable, match="not what belongs there"):
        call(client)
    assert len(discord.requests) == TIMINGS.max_attempts, reason


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"name": "x"}', b"[" * 100_000])
def test_a_create_whose_answer_names_no_id_is_ambiguous(body: bytes) -> None:
    """It exists; the caller must look it up, and must not trip over the missing id."""
    client, discord = make(httpx.Response(201, content=body, headers=VIA))
    with pytest.raises(AmbiguousOutcome):
        client.create_role("1", {"name": "x"}, options=RETRY)
    assert len(discord.requests) == 1


def test_a_failing_server_that_asks_for_time_gets_it() -> None:
    client, discord = make(reply(503, Retry_After="30"))
    with pytest.raises(Unavailable) as caught:
        client.guild("1", options=RETRY)
    assert caught.value.retry_after == 30.0
    assert len(discord.requests) == 1
    client, _ = make(reply(503, Retry_After="1000000"))
    with pytest.raises(Unavailable) as caught:
        client.guild("1", options=RETRY)
    assert caught.value.retry_after == TIMINGS.ban_minimum_seconds, "but not a week"


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_wall_clock_that_is_set_during_a_create_widens_the_time_told(hours: int) -> None:
    """Whichever reading was wrong, the moment of the create lies between the two instants."""
    began = datetime(2026, 11, 22, 12, tzinfo=UTC)
    clock, wall = [1_000.0], [began]

    def late(_: httpx.Request) -> httpx.Response:
        clock[0] += 5.0
        wall[0] += timedelta(hours=hours, seconds=5)
        raise BROKEN

    client = DiscordClient(
        token=TOKEN,
        user_agent="x",
        now=lambda: clock[0],
        wall=lambda: wall[0],
        transport=httpx.MockTransport(late),
    )
    with pytest.raises(AmbiguousOutcome) as caught:
        client.create_role("1", {"name": "x"}, options=RETRY)
    stepped = began + timedelta(hours=hours)
    assert caught.value.sent_at == min(began, stepped)
    assert caught.value.ended_at == max(began, stepped) + timedelta(seconds=5)
