"""The provider killed with SIGKILL at any moment: nothing is made twice, nothing is lost, nobody has to help.

Where the kills fall is random but the same in every run; the latency of the simulated Discord makes the moments
long in which a request is under way.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Final

import pytest

from provider_discord.simulator import LimitsConfig, Mode, SimulatorConfig
from provider_discord.simulator.faults import Effect
from provider_discord.simulator.permissions import parse

from .conftest import TOKEN, Obj, System

WITHOUT_AUDIT_LOG: Final = (
    "VIEW_CHANNEL",
    "MANAGE_CHANNELS",
    "MANAGE_ROLES",
    "MANAGE_GUILD",
    "SEND_MESSAGES",
    "CONNECT",
)


def test_killed_again_and_again_while_a_guild_is_built(system: System) -> None:
    objects = a_guild(system)
    system.discord.set_latency(median_seconds=0.08, p99_seconds=0.3)
    system.connect()
    system.create(*objects)
    kill_now_and_then(system, times=5, seed=1)
    system.until_true(*objects, seconds=30)

    channels, roles = system.discord.channels(), system.discord.roles()
    wanted = [obj["spec"]["forProvider"] for obj in objects if obj["kind"] == "Channel"]
    assert Counter(channel["name"] for channel in channels) == Counter(one["name"] for one in wanted)
    theirs = {"@everyone", system.simulator.config.bot_name}
    assert Counter(role["name"] for role in roles if role["name"] not in theirs) == Counter(
        obj["metadata"]["name"] for obj in objects if obj["kind"] == "Role"
    )
    by_name = {channel["name"]: channel for channel in channels}
    for obj in objects:
        name = obj["metadata"]["name"]
        fields = obj["spec"]["forProvider"]
        if obj["kind"] == "Channel":
            made = by_name[name]
            parent = fields.get("parentIdRef")
            assert made["parent_id"] == (by_name[parent["name"]]["id"] if parent else None)
            assert made.get("topic") == fields.get("topic")
            assert system.external_name("Channel", name) == made["id"]
        if obj["kind"] == "Role":
            assert system.external_name("Role", name) == system.discord.role(name)["id"]
    staff = by_name["channel-0"]["permission_overwrites"]
    assert [(one["id"], one["allow"]) for one in staff] == [(system.external_name("Role", "role-0"), "1024")]

    settled, passes = (
        system.discord.last_request(),
        system.provider.metric("controller_runtime_reconcile_total"),
    )
    system.until(
        lambda: system.provider.metric("controller_runtime_reconcile_total") > passes + len(objects),
        "a poll of every object",
    )
    assert system.writes(settled) == []


def test_killed_again_and_again_while_a_guild_is_taken_down(system: System) -> None:
    objects = a_guild(system)
    system.connect()
    system.create(*objects)
    system.until_true(*objects, seconds=30)
    system.discord.set_latency(median_seconds=0.08, p99_seconds=0.3)
    system.discord.create_channel({"name": "theirs", "type": 0})

    system.kubectl("delete", "discord", "--all", "--wait=false")
    kill_now_and_then(system, times=3, seed=2)
    system.until(
        lambda: not any(system.objects(kind) for kind in ("Guild", "Channel", "Role")),
        "every object to be gone",
        seconds=30,
    )
    assert [channel["name"] for channel in system.discord.channels()] == ["theirs"]
    assert {role["name"] for role in system.discord.roles()} == {
        "@everyone",
        system.simulator.config.bot_name,
    }


class TestKilledBetweenTheCommitAndTheAnswer:
    """The moment that Crossplane's runtime leaves to a human."""

    @pytest.fixture(params=["the audit log", "the list alone"])
    def simulator_config(self, request: pytest.FixtureRequest) -> SimulatorConfig:
        """How the attempt's fate can be learned."""
        permissions = 8 if request.param == "the audit log" else parse(list(WITHOUT_AUDIT_LOG))
        return SimulatorConfig(
            token=TOKEN,
            guild_name="Test Guild",
            limits=LimitsConfig(mode=Mode.OFF),
            bot_permissions=permissions,
        )

    def test_what_was_made_is_found_and_kept(self, system: System) -> None:
        objects = [system.guild(), system.channel("lobby", topic="hello"), system.role("builder")]
        for name in ("lobby", "builder"):
            system.discord.add_fault(Effect.DELAY, method="POST", name=name, after_commit=True, seconds=60.0)
        system.connect()
        system.apply(*objects)
        system.until(lambda: len(committed(system)) == 2, "both to be made")
        system.provider.kill()
        assert all(one["status"] is None for one in committed(system)), "an answer came before the end"
        lobby, builder = system.discord.channel("lobby"), system.discord.role("builder")

        system.provider.start()
        system.until_true(*objects)
        assert system.external_name("Channel", "lobby") == lobby["id"]
        assert system.external_name("Role", "builder") == builder["id"]
        assert len(system.discord.requests(method="POST")) == 2, "nothing was sent a second time"

    def test_what_was_deleted_is_known_to_be_gone(self, system: System) -> None:
        objects = [system.guild(), system.channel("lobby"), system.channel("attic"), system.role("builder")]
        system.connect()
        system.apply(*objects)
        system.until_true(*objects)
        system.discord.add_fault(Effect.DELAY, method="DELETE", after_commit=True, seconds=60.0, times=2)
        system.delete("Channel", "lobby")
        system.delete("Role", "builder")
        system.until(lambda: len(committed(system, "DELETE")) == 2, "both to be deleted")
        system.provider.kill()
        assert all(one["status"] is None for one in committed(system, "DELETE")), (
            "an answer came before the end"
        )
        assert [channel["name"] for channel in system.discord.channels()] == ["attic"]

        system.provider.start()
        system.until(lambda: not system.objects("Role") and len(system.objects("Channel")) == 1, "both to go")
        assert len(system.discord.requests(method="DELETE")) == 2, "nothing was sent a second time"


def a_guild(system: System) -> list[Obj]:
    """Return the manifests of a guild with 25 objects."""
    objects = [system.guild()]
    objects += [system.role(f"role-{number}", color=number + 1) for number in range(6)]
    objects += [system.channel(f"category-{number}", type="category") for number in range(3)]
    for number in range(15):
        allowed = {"roleIdRef": {"name": f"role-{number % 6}"}, "allowNames": ["VIEW_CHANNEL"]}
        objects.append(
            system.channel(
                f"channel-{number}",
                topic=f"topic {number}",
                parentIdRef={"name": f"category-{number % 3}"},
                permissionOverwrites=[{"type": "role", **allowed}],
            )
        )
    return objects


def kill_now_and_then(system: System, *, times: int, seed: int) -> None:
    """Kill the provider, each time after a few more writes (or seconds), and start it again."""
    rand = random.Random(seed)  # noqa: S311 - the same moments in every run
    for _ in range(times):
        seen, more = system.discord.last_request(), rand.randint(1, 5)
        patience = time.monotonic() + rand.uniform(1.0, 3.0)
        while system.discord.count_requests(since=seen, writes=True) < more and time.monotonic() < patience:
            # Anywhere between two writes.
            time.sleep(rand.uniform(0.0, 0.1))
        system.provider.kill()
        system.provider.start(ready=False)
    system.until(lambda: system.provider.probe("/readyz") == 200, "the provider to be ready")


def committed(system: System, method: str = "POST") -> list[Obj]:
    """Return the creates, or what else, that were carried out."""
    return [one for one in system.discord.requests(method=method) if one["committed"]]
