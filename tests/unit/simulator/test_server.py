"""The simulator over HTTP: what the edge refuses, what faults do on the wire, and the control API."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from provider_discord.simulator import (
    DEFAULT_TOKEN,
    BucketRule,
    ControlClient,
    ControlFailure,
    Effect,
    LimitsConfig,
    Mode,
    SimulatorConfig,
    SimulatorServer,
    StartError,
    SubLimit,
)

HEADERS = {"Authorization": f"Bot {DEFAULT_TOKEN}", "User-Agent": "DiscordBot (https://example.org, 1.0)"}
OFF = SimulatorConfig(limits=LimitsConfig(mode=Mode.OFF))


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(OFF) as running:
        yield running


@pytest.fixture
def sim(server: SimulatorServer) -> SimulatorServer:
    server.control.reset()
    return server


@pytest.fixture
def http(sim: SimulatorServer) -> Iterator[httpx.Client]:
    with client(sim) as made:
        yield made


@pytest.fixture
def channels(sim: SimulatorServer) -> str:
    return f"/guilds/{sim.control.guild()['id']}/channels"


def client(sim: SimulatorServer) -> httpx.Client:
    return httpx.Client(base_url=sim.base_url, headers=HEADERS, trust_env=False, timeout=5)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def names(sim: SimulatorServer) -> list[str]:
    return [channel["name"] for channel in sim.control.channels()]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Authorization": "Bot wrong"}, 401, 0),
        ({"Authorization": DEFAULT_TOKEN}, 401, 0),
        ({"User-Agent": "curl/8"}, 403, 40333),
    ],
)
def test_the_edge_asks_for_token_and_user_agent(
    http: httpx.Client, headers: dict[str, str], status: int, code: int
) -> None:
    response = http.get("/users/@me", headers=headers)
    assert (response.status_code, response.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, 0),
        ("PUT", "/users/@me", 405, 0),
        ("GET", "/guilds/1", 404, 10004),
        ("GET", "/channels/1", 404, 10003),
        ("GET", "/channels/general", 400, 50035),
    ],
)
def test_unknown_things(http: httpx.Client, method: str, path: str, status: int, code: int) -> None:
    response = http.request(method, path)
    assert (response.status_code, response.json()["code"]) == (status, code)


def test_words_win_over_ids(http: httpx.Client, sim: SimulatorServer) -> None:
    response = http.get(f"/guilds/{sim.control.guild()['id']}/roles/member-counts")
    assert response.status_code == 200


def test_a_broken_body_is_refused(http: httpx.Client, channels: str) -> None:
    assert http.post(channels, content=b'{"name": ').json()["code"] == 50109
    assert http.post(channels, json=["x"]).json()["code"] == 50035


def test_the_reason_is_decoded_into_the_audit_log(
    http: httpx.Client, sim: SimulatorServer, channels: str
) -> None:
    http.post(channels, json={"name": "x"}, headers={"X-Audit-Log-Reason": "h%C3%A9%20uid=1"})
    assert sim.control.audit_log()[-1]["reason"] == "hé uid=1"
    too_long = http.post(channels, json={"name": "y"}, headers={"X-Audit-Log-Reason": "x" * 513})
    assert too_long.status_code == 400
    assert names(sim) == ["x"]


def test_the_request_log_tells_all_but_the_token(
    http: httpx.Client, sim: SimulatorServer, channels: str
) -> None:
    before = sim.control.last_request()
    http.post(channels, json={"name": "x"}, headers={"X-Audit-Log-Reason": "r"})
    http.get(channels)

    (entry,) = sim.control.requests(since=before, writes=True)

    assert (entry["method"], entry["route"]) == ("POST", "/guilds/{guild_id}/channels")
    assert (entry["status"], entry["reason"], entry["committed"]) == (201, "r", True)
    assert entry["body"] == {"name": "x"}
    assert sim.control.count_requests(since=before) == 2
    assert sim.control.count_requests(since=before, status=200) == 1
    assert DEFAULT_TOKEN not in str(sim.control.requests())
    assert DEFAULT_TOKEN not in str(sim.control.state())


@pytest.mark.parametrize(
    ("after_commit", "reset", "expected", "made"),
    [
        (False, False, httpx.RemoteProtocolError, []),
        (True, False, httpx.RemoteProtocolError, ["x"]),
        (True, True, httpx.ReadError, ["x"]),
    ],
)
def test_a_dropped_connection(
    http: httpx.Client,
    sim: SimulatorServer,
    channels: str,
    after_commit: bool,
    reset: bool,
    expected: type[Exception],
    made: list[str],
) -> None:
    sim.control.add_fault(Effect.DROP, method="POST", after_commit=after_commit, reset=reset)
    with pytest.raises(expected):
        http.post(channels, json={"name": "x"})
    assert names(sim) == made
    (entry,) = sim.control.requests(writes=True)
    assert (entry["status"], entry["fault"], entry["committed"]) == (None, "drop", bool(made))
    assert http.post(channels, json={"name": "y"}).status_code == 201, "a fault strikes once"


def test_a_commit_can_come_after_the_drop(http: httpx.Client, sim: SimulatorServer, channels: str) -> None:
    sim.control.add_fault(Effect.DROP, method="POST", commit_delay_seconds=0.2)
    with pytest.raises(httpx.RemoteProtocolError):
        http.post(channels, json={"name": "late"})
    assert names(sim) == []
    eventually(lambda: names(sim) == ["late"])


@pytest.mark.parametrize(("after_commit", "made"), [(False, []), (True, ["x"])])
@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_error(
    http: httpx.Client, sim: SimulatorServer, channels: str, status: int, after_commit: bool, made: list[str]
) -> None:
    sim.control.add_fault(Effect.STATUS, status=status, after_commit=after_commit, name="x")
    assert http.post(channels, json={"name": "other"}).status_code == 201
    assert http.post(channels, json={"name": "x"}).status_code == status
    assert names(sim) == ["other", *made]


def test_spoilt_bodies(http: httpx.Client, sim: SimulatorServer) -> None:
    sim.control.add_fault(Effect.TRUNCATE)
    with pytest.raises(httpx.RemoteProtocolError):
        http.get("/users/@me")
    sim.control.add_fault(Effect.MALFORMED)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        http.get("/users/@me").json()
    sim.control.add_fault(Effect.SLOW_BODY, seconds=0.2)
    assert http.get("/users/@me").elapsed.total_seconds() >= 0.15


def test_a_cloudflare_page_is_no_answer_of_discord(http: httpx.Client, sim: SimulatorServer) -> None:
    sim.control.ban(seconds=30)
    banned = http.get("/users/@me")
    assert (banned.status_code, banned.headers["Retry-After"]) == (429, "30")
    assert "Via" not in banned.headers
    assert banned.headers["Content-Type"].startswith("text/html")
    assert sim.control.requests()[-1]["scope"] == "cloudflare"
    sim.control.refill()
    answer = http.get("/users/@me")
    assert answer.headers["Via"]
    # Bare: discord.py takes anything more for Cloudflare's.
    assert answer.headers["Content-Type"] == "application/json"


def test_a_shared_limit(http: httpx.Client, sim: SimulatorServer) -> None:
    sim.control.add_fault(Effect.RATE_LIMIT, scope="shared", seconds=1336, remaining=9)
    response = http.get("/users/@me")
    assert response.headers["X-RateLimit-Scope"] == "shared"
    assert response.headers["X-RateLimit-Remaining"] == "9"
    assert response.json()["retry_after"] == 1336
    assert sim.control.info()["invalid_requests"] == 0


def test_limits_can_be_changed_while_it_runs(http: httpx.Client, sim: SimulatorServer, channels: str) -> None:
    made = http.post(channels, json={"name": "x"}).json()
    route = "PATCH /channels/{channel_id}"
    sim.control.set_limits(
        LimitsConfig(
            mode=Mode.CUSTOM,
            buckets=(BucketRule((route,), 5, 10),),
            sublimits=(SubLimit(route, "name", 1, 600),),
        )
    )
    path = f"/channels/{made['id']}"
    assert http.patch(path, json={"name": "y"}).headers["X-RateLimit-Remaining"] == "4"
    limited = http.patch(path, json={"name": "z"})
    assert (limited.status_code, limited.headers["X-RateLimit-Remaining"]) == (429, "4")
    assert limited.headers["X-RateLimit-Scope"] == "user"
    assert 590 < limited.json()["retry_after"] <= 600
    assert http.patch(path, json={"nsfw": True}).status_code == 200
    sim.control.set_behaviour(unchanged_counts=False)
    assert http.patch(path, json={"name": "y"}).status_code == 200, "an unchanged name need not count"


def test_latency_delays_answers(http: httpx.Client, sim: SimulatorServer) -> None:
    sim.control.set_latency(median_seconds=0.1)
    assert http.get("/users/@me").elapsed.total_seconds() >= 0.1


def test_tokens_are_replaced_and_revoked(http: httpx.Client, sim: SimulatorServer) -> None:
    sim.control.replace_token(DEFAULT_TOKEN, "new")
    assert http.get("/users/@me").status_code == 401
    assert http.get("/users/@me", headers={"Authorization": "Bot new"}).status_code == 200
    sim.control.revoke_token("new")
    assert http.get("/users/@me", headers={"Authorization": "Bot new"}).status_code == 401


def test_people_act_by_name_and_stand_in_the_audit_log(sim: SimulatorServer) -> None:
    control = sim.control
    control.create_channel({"name": "Staff", "type": 4})
    control.create_channel({"name": "General", "parent_id": "Staff", "type": 2})
    control.rename_channel("general", "Lounge", actor="Bob")
    role = control.create_role({"name": "Mod"})
    control.add_member("Carol")
    control.grant("Carol", "Mod")
    control.set_overwrite("Lounge", "Mod", allow=["VIEW_CHANNEL", "CONNECT"])
    control.hide_channel("Staff")
    people = {user["id"]: user["username"] for user in control.state()["users"].values()}

    guild = control.guild()

    assert [channel["name"] for channel in guild["channels"]] == ["Staff", "Lounge"]
    overwrite = control.channel("Lounge")["permission_overwrites"][0]
    assert overwrite == {"id": role["id"], "type": 0, "allow": str(1 << 10 | 1 << 20), "deny": "0"}
    carol = next(one for one in guild["members"] if one["user"]["username"] == "Carol")
    assert carol["roles"] == [role["id"]]
    rename = next(entry for entry in control.audit_log() if entry["action_type"] == 11)
    assert people[rename["user_id"]] == "Bob"


def test_a_post_in_a_forum_is_a_thread(http: httpx.Client, sim: SimulatorServer) -> None:
    forum = sim.control.create_channel({"name": "help", "type": 15})
    assert forum["last_message_id"] is None
    sim.control.post_message("help", "How do I?")
    shown = http.get(f"/channels/{forum['id']}").json()
    active = http.get(f"/guilds/{forum['guild_id']}/threads/active").json()["threads"]
    assert [thread["id"] for thread in active] == [shown["last_message_id"]]
    posted = http.get(f"/channels/{active[0]['id']}/messages").json()
    assert [message["content"] for message in posted] == ["How do I?"]


@pytest.mark.parametrize(
    ("verb", "arguments", "says"),
    [
        ("nothing", {}, "no such verb"),
        ("delete_channel", {"channel": "nope"}, "no channel 'nope'"),
        ("delete_channel", {}, "missing a required argument: 'channel'"),
        ("create_channel", {"body": {"name": ""}}, "Discord refuses that: Invalid Form Body"),
        ("add_fault", {"effect": "explode"}, "explode"),
        ("set_behaviour", {"hidden_get": "x"}, "one of forbidden"),
        ("set_bot_permissions", {"permissions": ["FLY"]}, "no such permission: FLY"),
    ],
)
def test_control_says_what_is_wrong(
    sim: SimulatorServer, verb: str, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(ControlFailure, match=says):
        sim.control.call(verb, **arguments)


def test_a_further_guild_with_less_power(http: httpx.Client, sim: SimulatorServer) -> None:
    made = sim.control.create_guild("Away", permissions=["VIEW_CHANNEL"], position=1)
    listed = {guild["name"]: guild for guild in http.get("/users/@me/guilds").json()}
    assert int(listed["Away"]["permissions"]) & (1 << 4) == 0
    refused = http.post(f"/guilds/{made['id']}/channels", json={"name": "x"})
    assert refused.json()["code"] == 50013
    sim.control.set_bot_permissions(["MANAGE_CHANNELS"], guild="Away")
    assert http.post(f"/guilds/{made['id']}/channels", json={"name": "x"}).status_code == 201
    sim.control.remove_bot(guild="Away")
    assert http.get(f"/guilds/{made['id']}").status_code == 404


def test_the_state_outlives_the_process(tmp_path: Path) -> None:
    config = SimulatorConfig(state_file=tmp_path / "state.json")
    with SimulatorServer(config) as first:
        made = first.control.create_channel({"name": "kept"})
    with SimulatorServer(config) as second, client(second) as http:
        assert http.get(f"/channels/{made['id']}").json()["name"] == "kept"
        newer = second.control.create_channel({"name": "newer"})
        assert int(newer["id"]) > int(made["id"])
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_a_write_is_on_disk_soon(tmp_path: Path) -> None:
    config = SimulatorConfig(state_file=tmp_path / "state.json")
    with SimulatorServer(config) as running:
        running.control.create_channel({"name": "soon"})
        eventually(lambda: '"soon"' in (tmp_path / "state.json").read_text())


def test_a_start_that_cannot_be_says_why(tmp_path: Path, server: SimulatorServer) -> None:
    with pytest.raises(StartError, match="cannot listen on"):
        SimulatorServer(SimulatorConfig(port=server.port)).start()
    (tmp_path / "state.json").write_text("[]")
    with pytest.raises(StartError, match="holds no state"):
        SimulatorServer(SimulatorConfig(state_file=tmp_path / "state.json")).start()


def test_without_a_simulator_the_client_says_so() -> None:
    with (
        ControlClient("http://127.0.0.1:1") as nobody,
        pytest.raises(ControlFailure, match="no simulator answers"),
    ):
        nobody.info()
