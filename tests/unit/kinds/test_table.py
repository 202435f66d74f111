"""From a declaration to bodies, comparison and status."""

from __future__ import annotations

from typing import Any

import pytest

from provider_discord.apis.channel import CHANNEL_OBSERVED, ChannelParameters
from provider_discord.apis.fields import ChannelType, fields_of
from provider_discord.apis.guild import GuildParameters
from provider_discord.apis.role import RoleParameters
from provider_discord.kinds import table
from provider_discord.managed.errors import Blocked


def _channel(**fields: Any) -> ChannelParameters:
    return ChannelParameters.model_validate({"type": "text", **fields})


@pytest.mark.parametrize(
    ("fields", "raw", "body", "reason"),
    [
        ({"topic": "a"}, {"topic": "b"}, {"topic": "a"}, "it differs"),
        ({"topic": "a"}, {"topic": "a"}, {}, "it is the same"),
        ({}, {"topic": "b", "nsfw": True}, {}, "absent is unmanaged"),
        ({"topic": ""}, {"topic": None}, {}, "Discord stores an empty topic as null"),
        ({"topic": ""}, {}, {}, "or not at all"),
        ({"topic": ""}, {"topic": "b"}, {"topic": None}, "empty clears"),
        ({"topic": " a "}, {"topic": "a"}, {}, "Discord trims"),
        ({"nsfw": False}, {}, {}, "a missing boolean is false"),
        ({"nsfw": True}, {}, {"nsfw": True}, "a missing boolean is not true"),
        ({"rateLimitPerUser": 0}, {}, {}, "a missing number is zero"),
        ({"rateLimitPerUser": 5}, {"rate_limit_per_user": 6}, {"rate_limit_per_user": 5}, "a number"),
    ],
)
def test_only_what_differs_from_what_discord_stores_is_sent(
    fields: dict[str, Any], raw: dict[str, Any], body: dict[str, Any], reason: str
) -> None:
    wanted = table.wanted(_channel(**fields), channel_type=ChannelType.TEXT)
    diffs, sent = table.differences(wanted, raw, channel_type=ChannelType.TEXT)
    assert sent == body, reason
    assert [diff.field for diff in diffs] == [field for field in fields if body]


def test_what_was_typed_is_sent_and_what_is_stored_is_compared() -> None:
    (wanted,) = table.wanted(_channel(topic="  spaced out "), channel_type=ChannelType.TEXT)
    assert (wanted.value, wanted.sent) == ("spaced out", "  spaced out ")


def test_a_field_of_another_type_is_passed_over_if_zero_and_refused_otherwise() -> None:
    assert table.wanted(_channel(bitrate=None, userLimit=0), channel_type=ChannelType.TEXT) == ()
    with pytest.raises(Blocked) as refused:
        table.wanted(_channel(userLimit=3), channel_type=ChannelType.TEXT)
    assert refused.value.field == "forProvider.userLimit"


def test_a_create_leaves_out_what_is_empty_anyway() -> None:
    wanted = table.wanted(_channel(topic="", nsfw=False, rateLimitPerUser=0), channel_type=ChannelType.TEXT)
    assert table.create_body(wanted) == {"nsfw": False, "rate_limit_per_user": 0}


def test_the_status_shows_what_discord_has_of_the_fields_of_the_type() -> None:
    raw = {"id": "1", "type": 0, "name": "x", "topic": None, "bitrate": 64000, "rate_limit_per_user": 3}
    shown = table.at_provider(ChannelParameters, CHANNEL_OBSERVED, raw, channel_type=ChannelType.TEXT)
    assert shown["rateLimitPerUser"] == 3
    assert shown["id"] == "1"
    assert "bitrate" not in shown


@pytest.mark.parametrize("model", [ChannelParameters, GuildParameters, RoleParameters])
def test_every_plain_field_normalises_idempotently(model: type[Any]) -> None:
    for field in fields_of(model):
        if field.discord is None or field.discord.normalise is None:
            continue
        for kind in ChannelType:
            once = field.discord.normalise("  A  b-C ", kind)
            assert field.discord.normalise(once, kind) == once, field.key


def test_long_values_are_cut_for_messages() -> None:
    assert len(table.shown("x" * 500)) == 80
    assert table.shown(None) == "none"
