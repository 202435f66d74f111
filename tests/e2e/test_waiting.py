"""What has to wait for Discord says so where an operator looks, and until when; everything else goes on."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from provider_discord.simulator import BucketRule, LimitsConfig, Mode, SubLimit

from .conftest import System

_ROUTE = "PATCH /channels/{channel_id}"


def test_a_name_that_may_be_put_back_in_ten_minutes_says_so_in_kubectl(system: System) -> None:
    lobby = system.channel("lobby", topic="hello")
    system.connect()
    system.apply(system.guild(), lobby)
    system.until_true(lobby)
    channel = system.external_name("Channel", "lobby")
    renames = SubLimit(_ROUTE, "name", 1, 600.0)
    system.discord.set_limits(
        LimitsConfig(mode=Mode.CUSTOM, buckets=(BucketRule((_ROUTE,), 10, 5.0),), sublimits=(renames,))
    )
    system.discord.rename_channel(channel, "once")
    system.until(lambda: system.discord.channel(channel)["name"] == "lobby", "the first to be put back")

    system.discord.edit_channel(channel, {"name": "twice", "topic": "defaced"})
    said = system.until_synced_false("Channel", "lobby", "waits")
    assert re.search(r"waits for Discord's rate limit on changes of name, next try at \d\d:\d\d UTC$", said)
    hour, minute = (int(part) for part in re.findall(r"\d\d", said)[-2:])
    ends = datetime.now(UTC) + timedelta(minutes=10)
    assert any(
        (ends + timedelta(minutes=n)).strftime("%H:%M") == f"{hour:02}:{minute:02}" for n in (-1, 0, 1)
    )
    now = system.discord.channel(channel)
    assert (now["name"], now["topic"]) == ("twice", "hello"), "what is not limited is put back at once"
    shown = system.kubectl(
        "get",
        "dchannel",
        "lobby",
        "-o",
        "jsonpath={.status.conditions[?(@.type=='Synced')].message}",
    )
    assert shown == said
    assert system.provider.metric("provider_discord_rate_limit_parked") == 1

    system.until_polled(1)  # what was put back is in the status now
    version = system.get("Channel", "lobby")["metadata"]["resourceVersion"]
    refused = system.discord.count_requests(status=429)
    system.until_polled(1)
    assert system.get("Channel", "lobby")["metadata"]["resourceVersion"] == version, "waiting writes nothing"
    system.discord.edit_channel(channel, {"topic": "again"})
    system.until(
        lambda: system.discord.channel(channel)["topic"] == "hello", "other drift to be put back meanwhile"
    )
    assert system.discord.count_requests(status=429) == refused, "what is known to be limited is not asked"
