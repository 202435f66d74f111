"""Manifests come in any order, and converge without help and without anything made twice."""

from __future__ import annotations

import random
from collections import Counter
from typing import Final

import pytest

from provider_discord.simulator import Permission

from .conftest import MANAGED, Obj, System

SHUFFLES: Final = (11, 12)


@pytest.fixture
def provider_arguments() -> tuple[str, ...]:
    """Polls so rare that none comes: what converges, converges because something woke it."""
    return ("--no-leader-election", "--poll", "1h")


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(
            ["channels", "categories", "roles", "guild", "config", "secret"], id="children-first-secret-last"
        ),
        pytest.param(["secret", "channels", "guild", "roles", "categories", "config"], id="config-last"),
        pytest.param(["config", "secret", "guild", "channels", "categories", "roles"], id="guild-before-all"),
        *(pytest.param(seed, id=f"shuffled-{seed}") for seed in SHUFFLES),
    ],
)
def test_any_order_converges(system: System, order: list[str] | int) -> None:
    """Each object is looked at by the provider before the next one is applied, so the order is a real one."""
    manifests = _manifests(system)
    if isinstance(order, int):
        objects = [obj for group in manifests.values() for obj in group]
        random.Random(order).shuffle(objects)  # noqa: S311 - a fixed order, nothing secret
    else:
        objects = [obj for group in order for obj in manifests[group]]
    for obj in objects:
        system.apply(obj)
        _wait_until_looked_at(system, obj)
    system.until_true(*objects, seconds=20)

    _check_world(system)
    _check_nothing_was_made_twice(system, objects)
    settled = system.discord.last_request()
    system.apply(*objects)
    system.reconcile(*(obj for obj in objects if obj["kind"] in MANAGED))
    assert system.writes(settled) == []


def test_a_channel_that_is_synced_with_its_category_follows_it_at_once(system: System) -> None:
    """A category that is closed must not stay open in its channels until somebody polls."""
    category = system.channel("team", type="category", permissionOverwrites=[])
    child = system.channel("plans", parentIdRef={"name": "team"}, syncPermissions=True)
    system.connect()
    system.apply(system.guild(), category, child)
    system.until_true(category, child)
    assert system.discord.channel("plans")["permission_overwrites"] == []

    category["spec"]["forProvider"]["permissionOverwrites"] = [
        {"target": "everyone", "denyNames": ["VIEW_CHANNEL"]}
    ]
    system.apply(category)
    closed = {system.discord.guild()["id"]: (0, int(Permission.VIEW_CHANNEL))}
    system.until(
        lambda: _overwrites(system.discord.channel("plans")) == closed,
        "the channel to close with its category",
    )


def _manifests(system: System) -> dict[str, list[Obj]]:
    """Return a guild whose objects refer to one another in every direction, by group."""
    town = {"name": "town"}
    by_label = {"matchLabels": {"area": "town"}}
    category = system.channel("town", type="category", position=1)
    category["metadata"]["labels"] = {"area": "town"}
    return {
        "secret": [system.secret()],
        "config": [system.config()],
        "guild": [
            system.guild(
                community=True,
                verificationLevel="low",
                explicitContentFilter="all_members",
                rulesChannelIdRef={"name": "rules"},
                publicUpdatesChannelIdRef={"name": "notices"},
                systemChannelIdRef={"name": "chat"},
                afkChannelIdRef={"name": "nap"},
            )
        ],
        "roles": [
            system.role("keeper", position=20, permissionNames=["MANAGE_MESSAGES"]),
            system.role("guest", position=10, permissionNames=[]),
            system.manifest(
                "Role",
                "everyone",
                {
                    "guildIdRef": {"name": "guild"},
                    "everyone": True,
                    "permissionNames": ["VIEW_CHANNEL", "SEND_MESSAGES"],
                },
            ),
        ],
        "categories": [
            category,
            system.channel(
                "backstage",
                type="category",
                position=2,
                permissionOverwrites=[
                    {"target": "everyone", "denyNames": ["VIEW_CHANNEL"]},
                    {"target": "bot", "allowNames": ["VIEW_CHANNEL"]},
                    {"roleIdRef": {"name": "keeper"}, "allowNames": ["VIEW_CHANNEL"]},
                ],
            ),
        ],
        "channels": [
            system.channel("rules", position=1, parentIdRef=town),
            # Needs the Community that needs the first and the last of these.
            system.channel("news", type="announcement", position=2, parentIdSelector=by_label),
            system.channel("chat", position=3, parentIdRef=town),
            system.channel("nap", type="voice", parentIdRef=town),
            system.channel("notices", syncPermissions=True, parentIdRef={"name": "backstage"}),
        ],
    }


def _wait_until_looked_at(system: System, obj: Obj) -> None:
    if obj["kind"] != "Secret":
        kind, name = obj["kind"], obj["metadata"]["name"]
        system.until(
            lambda: (system.get(kind, name).get("status") or {}).get("conditions"),
            f"the provider to say something of {kind} {name}",
        )


def _check_world(system: System) -> None:
    guild = system.discord.guild()
    channels = {channel["name"]: channel for channel in system.discord.channels()}
    roles = {role["name"]: role for role in system.discord.roles()}
    assert {"COMMUNITY", "NEWS"} <= set(guild["features"])
    for field, name in (
        ("rules_channel_id", "rules"),
        ("public_updates_channel_id", "notices"),
        ("system_channel_id", "chat"),
        ("afk_channel_id", "nap"),
    ):
        assert guild[field] == channels[name]["id"], field
    town, backstage = channels["town"], channels["backstage"]
    assert {name for name, channel in channels.items() if channel["parent_id"] == town["id"]} == {
        *("rules", "news", "chat", "nap")
    }
    assert channels["notices"]["parent_id"] == backstage["id"]
    assert _overwrites(channels["notices"]) == _overwrites(backstage)
    assert _overwrites(backstage)[roles["keeper"]["id"]] == (int(Permission.VIEW_CHANNEL), 0)
    assert _overwrites(backstage)[guild["id"]] == (0, int(Permission.VIEW_CHANNEL))
    assert town["position"] < backstage["position"]
    assert channels["rules"]["position"] < channels["news"]["position"] < channels["chat"]["position"]
    assert roles["guest"]["position"] < roles["keeper"]["position"]
    assert int(roles["@everyone"]["permissions"]) == Permission.VIEW_CHANNEL | Permission.SEND_MESSAGES


def _check_nothing_was_made_twice(system: System, objects: list[Obj]) -> None:
    wanted = Counter(obj["spec"]["forProvider"]["name"] for obj in objects if obj["kind"] == "Channel")
    assert Counter(channel["name"] for channel in system.discord.channels()) == wanted
    created = [request for request in system.discord.requests(method="POST") if request["committed"]]
    assert len(created) == wanted.total() + 2, "each channel, and the two roles beside @everyone"
    names = Counter(role["name"] for role in system.discord.roles() if not role["managed"])
    assert names == Counter(["@everyone", "keeper", "guest"])


def _overwrites(channel: Obj) -> dict[str, tuple[int, int]]:
    return {one["id"]: (int(one["allow"]), int(one["deny"])) for one in channel["permission_overwrites"]}
