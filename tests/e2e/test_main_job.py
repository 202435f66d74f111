"""The main job: manifests in, a guild out, and nothing more once it is so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .conftest import POLL_SECONDS, System

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_a_guild_becomes_what_its_manifests_say(system: System) -> None:
    objects = [
        system.guild(description="A test"),
        system.role("builder", color=3066993, hoist=True, permissionNames=["VIEW_CHANNEL"]),
        system.channel("hall", type="category"),
        system.channel("lobby", parentIdRef={"name": "hall"}, topic="hello", rateLimitPerUser=5),
    ]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)

    guild = system.discord.guild()
    lobby = system.discord.channel("lobby")
    role = system.discord.role("builder")
    assert guild["description"] == "A test"
    assert lobby["topic"] == "hello"
    assert lobby["rate_limit_per_user"] == 5
    assert lobby["parent_id"] == system.external_name("Channel", "hall")
    assert role["hoist"] is True
    assert role["permissions"] == str(1 << 10)
    assert role["id"] == system.external_name("Role", "builder")


def test_applying_the_same_again_and_polling_writes_nothing(system: System) -> None:
    objects: list[dict[str, Any]] = [
        system.guild(),
        system.role("builder"),
        system.channel("hall", type="category", position=1),
        system.channel("Lobby Of Fame", topic="", parentIdRef={"name": "hall"}) | {},
    ]
    objects[-1]["metadata"]["name"] = "lobby"
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    settled = system.discord.last_request()

    system.apply(*objects)
    polls = system.provider.metric("controller_runtime_reconcile_total")
    system.until(
        lambda: system.provider.metric("controller_runtime_reconcile_total") > polls + 3 * len(objects),
        "three polls of every object",
        seconds=4 * POLL_SECONDS + 5,
    )

    assert system.writes(settled) == []
