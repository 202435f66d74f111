"""What leaves the process: headers, queries, and nothing after closing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from urllib.parse import unquote

import httpx
import pytest

from provider_discord.discord.client import DiscordClient
from provider_discord.discord.errors import (
    Unavailable,
)
from provider_discord.discord.metrics import ClientState, NoMetrics
from provider_discord.discord.options import CallOptions
from provider_discord.discord.prepared import audit_reason
from provider_discord.discord.transport import InvalidAddress
from tests.unit.discord.scripted_discord import (
    RETRY,
    TOKEN,
    USER,
    make,
    reply,
)


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


@pytest.mark.parametrize("address", ["discord.com/api", "ftp://discord.com", "http://", "http://a b"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InvalidAddress):
        DiscordClient(token=TOKEN, user_agent="x", now=time.monotonic, base_url=address)


def test_a_server_that_knows_no_pages_is_not_asked_for_ever() -> None:
    page = [{"id": str(n)} for n in range(200)]
    client, discord = make(reply(200, page))
    assert len(client.current_guilds(options=RETRY)) == 200
    assert len(discord.requests) == 2


def test_half_a_character_is_discords_to_refuse() -> None:
    """A lone surrogate is JSON and no UTF-8: neither the body nor the reason may break before it is sent."""
    client, discord = make(reply(200, {"id": "1"}))
    client.modify_role("1", "2", {"name": "a\ud800ä"}, options=CallOptions(reason="b\ud800"))
    [request] = discord.requests
    assert json.loads(request.content) == {"name": "a\ud800ä"}
    assert unquote(request.headers["X-Audit-Log-Reason"]) == "b?"


def test_what_leaves_while_closing_is_reported_by_nobody() -> None:
    """A client that is closed counts nowhere, whatever its last calls still say."""
    seen: dict[str, Callable[[], ClientState]] = {}

    class Told(NoMetrics):
        def client_opened(self, *, client: str, state: Callable[[], ClientState]) -> None:
            seen[client] = state

        def client_closed(self, *, client: str) -> None:
            del seen[client]

    client = DiscordClient(
        token=TOKEN, user_agent="x", metrics=Told(), transport=httpx.MockTransport(lambda _: reply(200, {}))
    )
    [state] = seen.values()
    assert state().global_free == 50
    assert {circuit.value for circuit in state().circuits.values()} == {"closed"}
    client.close()
    assert seen == {}
