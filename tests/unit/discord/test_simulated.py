"""The client against the simulator over real connections: what Discord's guild looks like afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from provider_discord.discord.client import DiscordClient
from provider_discord.discord.errors import (
    AmbiguousOutcome,
    Banned,
    NotFound,
    RateLimited,
    Scope,
    TokenInvalid,
    Unavailable,
)
from provider_discord.discord.options import CallOptions
from provider_discord.discord.permissions import base_permissions, is_administrator, top_role
from provider_discord.discord.priority import Priority
from provider_discord.discord.snapshot import SnapshotCache
from provider_discord.discord.timings import DiscordTimings
from provider_discord.simulator import (
    BucketRule,
    ControlClient,
    Effect,
    Kind,
    LimitsConfig,
    Mode,
    SimulatorConfig,
    SimulatorServer,
    SubLimit,
)

TIMINGS = DiscordTimings(retry_initial_seconds=0.01, retry_maximum_seconds=0.02, read_timeout_seconds=2.0)
PATIENT = CallOptions(priority=Priority.USER, max_wait_seconds=20.0, deadline_seconds=60.0)
CHANNELS = "/guilds/{guild_id}/channels"


@pytest.fixture
def simulator() -> Iterator[SimulatorServer]:
    with SimulatorServer(SimulatorConfig()) as server:
        yield server


@pytest.fixture
def control(simulator: SimulatorServer) -> ControlClient:
    return simulator.control


@pytest.fixture
def client(simulator: SimulatorServer) -> Iterator[DiscordClient]:
    client = connect(simulator)
    yield client
    client.close()


def connect(simulator: SimulatorServer, timings: DiscordTimings = TIMINGS) -> DiscordClient:
    return DiscordClient(
        token=simulator.config.token,
        user_agent="DiscordBot (https://example.org, 0)",
        base_url=simulator.base_url,
        now=time.monotonic,
        timings=timings,
    )


def guild_id(control: ControlClient) -> str:
    return str(control.guild()["id"])


def names(control: ControlClient) -> list[str]:
    return sorted(channel["name"] for channel in control.channels())


def limits(*rules: BucketRule, sub: tuple[SubLimit, ...] = ()) -> LimitsConfig:
    return LimitsConfig(mode=Mode.CUSTOM, buckets=rules, sublimits=sub)


def refused(control: ControlClient) -> int:
    return control.count_requests(status=429)


def test_a_guild_is_built_changed_and_taken_down(client: DiscordClient, control: ControlClient) -> None:
    gid = guild_id(control)
    assert client.current_user(options=PATIENT)["bot"] is True
    assert client.current_application(options=PATIENT)["id"]
    assert [guild["id"] for guild in client.current_guilds(options=PATIENT)] == [gid]
    role = client.create_role(gid, {"name": "Crew", "permissions": "1024"}, options=PATIENT)
    channel = client.create_channel(
        gid,
        {
            "name": "staff",
            "type": 0,
            "permission_overwrites": [{"id": role["id"], "type": 0, "allow": "1024"}],
        },
        options=replace(PATIENT, reason="op=1"),
    )
    client.modify_channel(channel["id"], {"topic": "hello", "nsfw": True}, options=PATIENT)
    client.put_overwrite(channel["id"], gid, {"type": 0, "allow": "0", "deny": "1024"}, options=PATIENT)
    client.delete_overwrite(channel["id"], role["id"], options=PATIENT)
    client.modify_channel_positions(gid, [{"id": channel["id"], "position": 0}], options=PATIENT)
    client.modify_role(gid, role["id"], {"hoist": True}, options=PATIENT)
    client.modify_role_positions(gid, [{"id": role["id"], "position": 1}], options=PATIENT)
    client.modify_guild(gid, {"afk_timeout": 900}, options=PATIENT)
    seen = client.channel(channel["id"], options=PATIENT)
    assert (seen["topic"], seen["nsfw"]) == ("hello", True)
    assert [overwrite["id"] for overwrite in seen["permission_overwrites"]] == [gid]
    assert client.guild(gid, options=PATIENT)["afk_timeout"] == 900
    assert control.role("Crew")["hoist"] is True
    assert client.role_member_counts(gid, options=PATIENT).get(role["id"], 0) == 0
    assert client.channel_messages(channel["id"], limit=5, options=PATIENT) == []
    entries = client.audit_log(gid, action_type=10, options=PATIENT)["audit_log_entries"]
    assert [entry["reason"] for entry in entries] == ["op=1"]
    client.delete_channel(channel["id"], options=PATIENT)
    client.delete_role(gid, role["id"], options=PATIENT)
    with pytest.raises(NotFound) as caught:
        client.channel(channel["id"], options=PATIENT)
    assert caught.value.code == 10003
    assert refused(control) == 0


@pytest.mark.parametrize(
    "fault",
    [
        {"effect": Effect.STATUS, "status": 500},
        {"effect": Effect.STATUS, "status": 502},
        {"effect": Effect.STATUS, "status": 504},
        {"effect": Effect.DROP},
        {"effect": Effect.DROP, "reset": True},
        {"effect": Effect.TRUNCATE},
        {"effect": Effect.MALFORMED},
        {"effect": Effect.SLOW_BODY, "seconds": 3.0},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values()),
)
def test_a_create_whose_answer_is_spoilt_after_the_commit_exists_once(
    simulator: SimulatorServer, control: ControlClient, fault: dict[str, Any]
) -> None:
    client = connect(simulator)
    control.add_fault(**fault, method="POST", after_commit=True)
    with pytest.raises(AmbiguousOutcome):
        client.create_channel(
            guild_id(control),
            {"name": "once", "type": 0},
            options=CallOptions(max_wait_seconds=1.0, deadline_seconds=1.5),
        )
    assert names(control).count("once") == 1
    control.add_fault(**{**fault, "effect": Effect.DROP}, method="PATCH", after_commit=True)
    channel = control.channel("once")["id"]
    client.modify_channel(channel, {"nsfw": True}, options=PATIENT)
    assert control.channel("once")["nsfw"] is True
    client.close()


def test_a_dripping_answer_ends_at_the_deadline(client: DiscordClient, control: ControlClient) -> None:
    control.add_fault(Effect.SLOW_BODY, method="GET", seconds=8.0, times=0)
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        client.guild(guild_id(control), options=CallOptions(deadline_seconds=1.0))
    assert time.monotonic() - begun < 3.0


@pytest.mark.parametrize("kind", [Kind.FIXED, Kind.SLIDING])
def test_a_burst_of_threads_meets_no_429_on_an_unknown_bucket(
    simulator: SimulatorServer, control: ControlClient, kind: Kind
) -> None:
    gid = guild_id(control)
    roles = [control.create_role({"name": f"r{n}"})["id"] for n in range(5)]
    control.set_limits(limits(BucketRule(("PATCH /guilds/{guild_id}/roles/{role_id}",), 5, 0.5, kind)))
    control.set_latency(median_seconds=0.01, p99_seconds=0.05)
    client = connect(simulator)
    with ThreadPoolExecutor(20) as pool:
        edits = [
            pool.submit(client.modify_role, gid, roles[n % 5], {"color": n}, options=PATIENT)
            for n in range(30)
        ]
        assert all(edit.result() for edit in edits)
    assert refused(control) == 0
    client.close()


def test_who_cannot_wait_is_told_when_to_come_back(client: DiscordClient, control: ControlClient) -> None:
    control.set_limits(limits(BucketRule(("GET /guilds/{guild_id}/channels",), 2, 30.0)))
    gid = guild_id(control)
    impatient = CallOptions(priority=Priority.RETRY, max_wait_seconds=0.1)
    for _ in range(2):
        client.guild_channels(gid, options=impatient)
    begun = time.monotonic()
    with pytest.raises(RateLimited) as caught:
        client.guild_channels(gid, options=impatient)
    assert time.monotonic() - begun < 0.1
    assert 25.0 < caught.value.retry_after < 31.0
    assert refused(control) == 0


def test_a_name_that_has_to_wait_does_not_hold_up_the_rest(
    client: DiscordClient, control: ControlClient
) -> None:
    route = "PATCH /channels/{channel_id}"
    control.set_limits(limits(BucketRule((route,), 10, 15.0), sub=(SubLimit(route, "name", 2, 600.0),)))
    channel = control.create_channel({"name": "a", "type": 0})["id"]
    options = CallOptions(priority=Priority.USER, max_wait_seconds=0.5)
    client.modify_channel(channel, {"name": "b"}, options=options)
    client.modify_channel(channel, {"name": "c"}, options=options)
    with pytest.raises(RateLimited) as caught:
        client.modify_channel(channel, {"name": "d", "topic": "t", "nsfw": True}, options=options)
    assert caught.value.scope is Scope.SUBLIMIT
    assert caught.value.fields == ("name",)
    state = control.channel("c")
    assert (state["topic"], state["nsfw"]) == ("t", True)
    assert caught.value.applied["topic"] == "t"
    before = refused(control)
    with pytest.raises(RateLimited):
        client.modify_channel(channel, {"name": "d"}, options=options)
    assert refused(control) == before


def test_a_cloudflare_page_silences_the_client(client: DiscordClient, control: ControlClient) -> None:
    control.add_fault(Effect.CLOUDFLARE, method="GET", seconds=30.0)
    gid = guild_id(control)
    with pytest.raises(Banned) as caught:
        client.guild(gid, options=PATIENT)
    assert caught.value.retry_after >= 30.0
    sent = control.count_requests()
    with pytest.raises(Banned):
        client.roles(gid, options=PATIENT)
    assert control.count_requests() == sent


def test_a_revoked_token_is_tried_once(
    simulator: SimulatorServer, client: DiscordClient, control: ControlClient
) -> None:
    client.current_user(options=PATIENT)
    control.revoke_token(simulator.config.token)
    for _ in range(3):
        with pytest.raises(TokenInvalid):
            client.current_user(options=PATIENT)
    assert control.count_requests(status=401) == 1


def test_closing_lets_a_write_under_way_finish(client: DiscordClient, control: ControlClient) -> None:
    control.add_fault(Effect.DELAY, method="POST", seconds=0.5)
    gid = guild_id(control)
    made: list[Any] = []
    writer = threading.Thread(
        target=lambda: made.append(client.create_channel(gid, {"name": "late", "type": 0}, options=PATIENT))
    )
    since = control.last_request()
    writer.start()
    deadline = time.monotonic() + 5.0
    while client._caller._turns._limiter.in_flight == 0 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert client.close(grace_seconds=5.0) is True
    writer.join(5.0)
    assert [channel["name"] for channel in made] == ["late"]
    assert since <= control.last_request()
    assert "late" in names(control)


def test_a_snapshot_costs_two_requests_and_shows_our_own_writes(
    client: DiscordClient, control: ControlClient
) -> None:
    gid = guild_id(control)
    cache = SnapshotCache(client, now=time.monotonic, timings=TIMINGS)
    with ThreadPoolExecutor(20) as pool:
        shots = list(pool.map(lambda _: cache.get(gid, options=PATIENT), range(20)))
    assert control.count_requests() == 4, "guild, channels, and once who the bot is and its member"
    assert all(shot is shots[0] for shot in shots)
    first = shots[0]
    assert first.guild["name"] == "Simulated Guild"
    assert is_administrator(first)
    assert base_permissions(first) & 1024
    assert top_role(first)["id"] in first.member["roles"]
    created = client.create_channel(gid, {"name": "mine", "type": 0}, options=PATIENT)
    cache.record_channel(gid, created)
    control.clear_requests()
    assert cache.get(gid, max_age_seconds=60.0, options=PATIENT).channels[created["id"]]["name"] == "mine"
    assert control.count_requests() == 0
    cache.get(gid, max_age_seconds=0.0, options=PATIENT)
    assert control.count_requests() == 2


def test_a_human_edit_is_told_and_our_own_is_not(client: DiscordClient, control: ControlClient) -> None:
    gid = guild_id(control)
    cache = SnapshotCache(client, now=time.monotonic, timings=TIMINGS)
    told: list[Any] = []
    cache.subscribe(lambda _, change: told.append(change))
    channel = client.create_channel(gid, {"name": "mine", "type": 0}, options=PATIENT)
    role = client.create_role(gid, {"name": "Crew"}, options=PATIENT)
    cache.get(gid, max_age_seconds=0.0, options=PATIENT)
    cache.record_channel(gid, client.modify_channel(channel["id"], {"topic": "t"}, options=PATIENT))
    cache.record_role(gid, client.modify_role(gid, role["id"], {"hoist": True}, options=PATIENT))
    control.post_message(channel["id"], "hello")
    cache.get(gid, max_age_seconds=0.0, options=PATIENT)
    assert told == []
    control.rename_channel(channel["id"], "theirs")
    control.edit_role(role["id"], {"hoist": False})
    control.set_guild(afk_timeout=60)
    cache.get(gid, max_age_seconds=0.0, options=PATIENT)
    [change] = told
    assert change.channel_ids == {channel["id"]}
    assert change.role_ids == {role["id"]}
    assert change.guild_changed
