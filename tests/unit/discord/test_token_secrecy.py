"""The bot token is taken as people store it, and shows itself nowhere."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterator

import httpx
import pytest
import structlog

from provider_discord.discord.client import DiscordClient
from provider_discord.discord.errors import (
    DiscordError,
    TokenInvalid,
    Unavailable,
)
from tests.unit.discord.scripted_discord import (
    BROKEN,
    PAGE,
    RETRY,
    TIMINGS,
    TOKEN,
    UNSENT,
    Answer,
    Discord,
    limited,
    make,
    reply,
)


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
