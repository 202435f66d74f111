"""`provider-discord simulate`: the verbs against a running simulator, and the tree that it draws."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from typer.testing import CliRunner

from provider_discord.cli.simulate import app
from provider_discord.simulator import DEFAULT_TOKEN, LimitsConfig, Mode, SimulatorConfig, SimulatorServer


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatorServer]:
    config = SimulatorConfig(limits=LimitsConfig(mode=Mode.OFF), features=("COMMUNITY", "NEWS"))
    with SimulatorServer(config) as running:
        yield running


@pytest.fixture
def sim(server: SimulatorServer) -> SimulatorServer:
    server.control.reset()
    return server


def run(sim: SimulatorServer, *arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, arguments, env={"SIMULATOR_URL": sim.origin})
    assert result.exit_code == code, result.output
    return result.output


def test_the_tree_shows_what_there_is(sim: SimulatorServer) -> None:
    run(sim, "act", "create-role", "Moderator", "color=3447003", "hoist=true")
    run(sim, "act", "create-channel", "Welcome", "topic=Read me")
    run(sim, "act", "create-channel", "Staff", "--type", "category")
    run(sim, "act", "hide-channel", "Staff")
    run(sim, "act", "set-overwrite", "Staff", "Moderator", "--allow", "VIEW_CHANNEL")
    run(sim, "act", "create-channel", "War Room", "--type", "voice", "--parent", "Staff")
    run(sim, "act", "create-channel", "help", "--type", "forum")
    run(sim, "act", "post-message", "help", "How?")

    drawn = run(sim, "tree")

    lines = [re.sub(r"^[│├└─|+` -]+", "", line).rstrip() for line in drawn.splitlines()]
    assert any(line.startswith("● Moderator  #3498db, hoist") for line in lines), drawn
    assert "# welcome  text  Read me" in lines
    assert "📁 Staff 🔒 Moderator" in lines
    assert "🔊 War Room  voice 🔒 Moderator" in lines
    assert "💬 help  forum  1 post" in lines
    assert lines.index("📁 Staff 🔒 Moderator") < lines.index("🔊 War Room  voice 🔒 Moderator")


def test_people_act(sim: SimulatorServer) -> None:
    channel = run(sim, "act", "create-channel", "a").strip()
    run(sim, "act", "rename-channel", "a", "b", "--actor", "Bob")
    run(sim, "act", "edit-channel", "b", "topic=hi there", "nsfw=true")
    assert (sim.control.channel(channel)["name"], sim.control.channel(channel)["topic"]) == ("b", "hi there")
    run(sim, "act", "create-role", "R")
    run(sim, "act", "edit-role", "R", "mentionable=true")
    run(sim, "act", "add-member", "Carol", "--role", "R")
    run(sim, "act", "ungrant", "Carol", "R")
    run(sim, "act", "grant", "Carol", "R")
    run(sim, "act", "remove-member", "Carol")
    run(sim, "act", "delete-overwrite", "b", "everyone", code=1)
    run(sim, "act", "delete-role", "R")
    run(sim, "act", "delete-channel", "b")
    run(sim, "act", "edit-guild", "name=Renamed", "verification_level=2")
    assert (sim.control.guild()["name"], sim.control.guild()["verification_level"]) == ("Renamed", 2)
    assert sim.control.channels() == []


def test_faults_and_settings(sim: SimulatorServer) -> None:
    run(sim, "fault", "add", "status", "--status", "503", "--method", "get", "--times", "2")
    listed = json.loads(run(sim, "fault", "list"))
    assert listed == {"effect": "status", "method": "GET", "status": 503, "times": 2, "hits": 0}
    run(sim, "fault", "clear")
    assert run(sim, "fault", "list") == ""
    assert "hidden_get                       not-found" in run(sim, "behaviour", "hidden_get=not-found")
    run(sim, "limits", "realistic")
    run(sim, "limits", "off")
    run(sim, "latency", "0")
    assert "MANAGE_ROLES" in run(sim, "bot-permissions", "MANAGE_ROLES,VIEW_CHANNEL")
    run(sim, "set-guild", "premium_tier=2")
    assert sim.control.guild()["premium_tier"] == 2
    other = run(sim, "create-guild", "Other", "--feature", "NEWS").strip()
    assert sim.control.guild("Other")["id"] == other
    run(sim, "token", "replace", DEFAULT_TOKEN, "next")
    run(sim, "token", "revoke", "next")


def test_requests_are_shown(sim: SimulatorServer) -> None:
    headers = {"Authorization": f"Bot {DEFAULT_TOKEN}", "User-Agent": "DiscordBot (https://example.org, 1)"}
    httpx.get(f"{sim.base_url}/users/@me", headers=headers, trust_env=False)
    httpx.post(f"{sim.base_url}/guilds/1/channels", headers=headers, json={"name": "x"}, trust_env=False)
    assert run(sim, "requests", "--count").strip() == "2"
    shown = run(sim, "requests", "--writes")
    assert "POST" in shown
    assert "code 10004" in shown
    assert json.loads(run(sim, "requests", "--json", "--last", "1"))["body"] == {"name": "x"}
    run(sim, "ban", "1")
    httpx.get(f"{sim.base_url}/users/@me", headers=headers, trust_env=False)
    assert "cloudflare limit" in run(sim, "requests", "--status", "429")


def test_state_is_json(sim: SimulatorServer) -> None:
    run(sim, "act", "create-channel", "a")
    assert json.loads(run(sim, "state"))["channels"][0]["name"] == "a"
    assert DEFAULT_TOKEN not in run(sim, "state", "--all")
    assert json.loads(run(sim, "info"))["guilds"][0]["name"] == "Simulated Guild"
    assert json.loads(run(sim, "audit-log").splitlines()[-1])["action_type"] == 10
    run(sim, "reset")
    assert sim.control.channels() == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("act", "rename-channel", "nope", "x"), 1, "no channel 'nope'"),
        (("act", "create-channel", "x", "--type", "radio"), 2, "no channel type 'radio'"),
        (("act", "create-channel", "x", "topic"), 2, "'topic' is not NAME=VALUE"),
        (("act", "create-channel", "x", "bitrate=1"), 1, "CHANNEL_FIELD_NOT_APPLICABLE"),
        (("behaviour", "hidden_get=x"), 1, "one of forbidden"),
        (("--limits", "custom"), 2, "control API"),
        (("--permissions", "FLY"), 2, "no such permission: FLY"),
        (("--behaviour", "x=1"), 2, "no such setting: x"),
        (("tree", "--url", "http://127.0.0.1:1"), 1, "no simulator answers"),
    ],
)
def test_errors_are_said_and_have_exit_codes(
    sim: SimulatorServer, arguments: tuple[str, ...], code: int, says: str
) -> None:
    output = run(sim, *arguments, code=code)
    assert says in output
    assert "Traceback" not in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped(number: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    program = "from provider_discord.cli.simulate import app; app()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "--port", "0", "--guild", "Mine"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = re.search(r"http://[\d.:]+/api/v10", process.stdout.readline())
        assert url is not None
        assert httpx.get(f"{url[0]}/users/@me", trust_env=False).status_code == 403
        process.send_signal(number)
        assert process.wait(5) == 0
