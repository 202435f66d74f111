"""A guild at rest: what three hundred objects of one guild cost while nothing changes, and when one thing does.

The budget is that of the design: two GETs a poll, `GET /guilds/{id}` and `GET /guilds/{id}/channels`, however many
objects there are, and no write. Not counted, because they do not grow with the objects: the token check every ten
minutes (`GET /users/@me`, `GET /applications/@me`) and the bot's own member once an hour, all of them scaled here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import pytest

from .conftest import TIME_SCALE, Obj, System

POLL_SECONDS: Final = 30 * TIME_SCALE
CATEGORIES: Final = 6
CHANNELS: Final = 200
ROLES: Final = 93
CREATED: Final = 40
"""So many of the 300 are not there yet: the provider makes them."""

GUILD: Final = "/guilds/{guild_id}"
CHANNEL_LIST: Final = "/guilds/{guild_id}/channels"
NOT_COUNTED: Final = {
    # Every ten minutes, and at the start.
    "/users/@me",
    "/applications/@me",
    # Once an hour.
    "/guilds/{guild_id}/members/{user_id}",
}


@pytest.fixture
def provider_arguments() -> tuple[str, ...]:
    """Twice as many polls as by default: 200 passes a second here."""
    return ("--no-leader-election", "--poll", "30s")


def test_three_hundred_objects_at_rest_cost_two_requests_a_poll_and_no_write(system: System) -> None:
    objects = populate(system)
    assert len(objects) == 300
    system.connect()
    system.create(*objects)
    system.until_true(*objects, seconds=60)
    guild = system.discord.guild()
    assert len(guild["channels"]) == CATEGORIES + CHANNELS
    assert len(guild["roles"]) == ROLES + 2, "those, @everyone and the bot's"
    assert [one["method"] for one in system.writes()] == ["POST"] * CREATED

    # Each role that is made moves the others up: what is at rest is a guild whose every status has seen the last one.
    system.until(
        lambda: positions_shown(system), "every status to show the place of its channel or role", seconds=15
    )
    system.until_polled(1)
    before = system.discord.last_request()
    versions = resource_versions(system)
    system.until_polled(3)
    seen = system.discord.requests(since=before)

    assert [one for one in seen if one["method"] != "GET"] == []
    counted = Counter(one["route"] for one in seen if one["route"] not in NOT_COUNTED)
    assert set(counted) == {GUILD, CHANNEL_LIST}, "nothing is asked about a single object"
    polls = intervals(seen)
    assert counted[GUILD] <= polls
    assert counted[CHANNEL_LIST] <= polls
    assert resource_versions(system) == versions, "nor is anything written to Kubernetes"

    # Somebody changes one of them by hand.
    before = system.discord.last_request()
    system.discord.edit_channel("channel-100", {"topic": "changed by hand"})
    system.until(
        lambda: system.discord.channel("channel-100")["topic"] == "topic 100",
        "the topic to be put back",
        # One poll, and air for a slow machine.
        seconds=POLL_SECONDS * 1.1 + 4,
    )
    system.until_polled(1)
    writes = system.writes(before)
    assert [(one["method"], one["route"], one["body"]) for one in writes] == [
        ("PATCH", "/channels/{channel_id}", {"topic": "topic 100"})
    ]


def populate(system: System) -> Sequence[Obj]:
    """Return the manifests of 300 objects, most of which the guild holds already, bound by their ids."""
    discord = system.discord
    objects = [system.guild()]
    categories = []
    for number in range(CATEGORIES):
        name = f"category-{number}"
        made = discord.create_channel({"name": name, "type": 4})
        categories.append(made)
        objects.append(bound(system.channel(name, type="category"), made))
    for number in range(CHANNELS):
        name, home = f"channel-{number}", categories[number % CATEGORIES]
        manifest = system.channel(
            name,
            topic=f"topic {number}",
            parentIdRef={"name": home["name"]},
            rateLimitPerUser=number % 5,
        )
        if number >= CREATED // 2:
            body = {
                "name": name,
                "topic": f"topic {number}",
                "parent_id": home["id"],
                "rate_limit_per_user": number % 5,
            }
            bound(manifest, discord.create_channel(body))
        objects.append(manifest)
    for number in range(ROLES):
        name = f"role-{number}"
        manifest = system.role(name, color=number, permissionNames=["VIEW_CHANNEL"])
        if number >= CREATED // 2:
            bound(manifest, discord.create_role({"name": name, "color": number, "permissions": "1024"}))
        objects.append(manifest)
    return objects


def bound(manifest: Obj, made: Obj) -> Obj:
    """Return the manifest, bound to something that is there."""
    manifest["metadata"]["annotations"] = {"crossplane.io/external-name": made["id"]}
    return manifest


def intervals(requests: Sequence[dict[str, Any]]) -> int:
    """Return in how many poll intervals these requests could have been made."""
    spent = float(requests[-1]["at"] - requests[0]["at"])
    return 1 + math.ceil(spent / POLL_SECONDS)


def positions_shown(system: System) -> bool:
    """Return whether the status of every channel and role shows the place that Discord has it at."""
    guild = system.discord.guild()
    places = {one["id"]: one["position"] for one in (*guild["channels"], *guild["roles"])}
    return all(
        obj["status"]["atProvider"].get("position") == places[obj["status"]["atProvider"]["id"]]
        for kind in ("Channel", "Role")
        for obj in system.objects(kind)
    )


def resource_versions(system: System) -> dict[tuple[str, str], str]:
    """Return the version of every managed object."""
    return {
        (kind, obj["metadata"]["name"]): obj["metadata"]["resourceVersion"]
        for kind in ("Guild", "Channel", "Role")
        for obj in system.objects(kind)
    }
