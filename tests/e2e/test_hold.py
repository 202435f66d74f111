"""Hold: whoever changes much of a guild at once is not fought; nor is who changes one thing again and again."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from provider_discord.kinds.fights import LEFT_ALONE
from provider_discord.managed import meta

from .conftest import Obj, System

MANY = 40
SEND_MESSAGES = 1 << 11


def _until_held(system: System, kind: str = "Guild", name: str = "guild", seconds: float = 14.0) -> Obj:
    """Wait until an object tells of a hold, and return its condition."""

    def held() -> Obj | None:
        condition = system.condition(kind, name, "Held")
        return condition if condition.get("status") == "True" else None

    condition: Obj = system.until(held, f"{kind} {name} to be Held", seconds)
    return condition


def _hold_id(condition: Obj) -> str:
    found = re.search(rf"{re.escape(meta.RELEASE_HOLD)}=(\S+) --overwrite", condition["message"])
    assert found is not None, condition
    return found[1]


def _release(system: System, condition: Obj) -> None:
    """Type what the condition says."""
    found = re.search(r"kubectl (annotate .+? --overwrite)", condition["message"])
    assert found is not None, condition
    system.control_plane.kubectl(*found[1].split())


def _targets(system: System, since: int) -> list[str]:
    """Return what was written to since then, in short."""
    return [f"{one['method']} {one['path']}" for one in system.writes(since)]


def _denies(system: System, name: str) -> int:
    overwrites = system.discord.channel(name)["permission_overwrites"]
    return sum(int(one["deny"]) for one in overwrites)


def test_a_lockdown_is_held_over_a_restart_until_it_is_released(system: System) -> None:
    channels = [
        system.channel(
            f"c{number}",
            topic="as it was",
            permissionOverwrites=[{"target": "everyone", "allowNames": ["VIEW_CHANNEL"]}],
        )
        for number in range(MANY)
    ]
    guild = system.guild()
    system.connect()
    system.create(guild, *channels)
    system.until_true(guild, *channels)
    calm = system.discord.last_request()

    for number in range(MANY):
        system.discord.set_overwrite(f"c{number}", "everyone", deny=SEND_MESSAGES, actor="Mo")
    system.until(
        lambda: f"{MANY} of the guild's {MANY + 1} objects" in _until_held(system)["message"],
        "all to be counted",
    )
    condition = _until_held(system)
    assert condition["reason"] == "MassDrift"
    assert re.search(rf"changed by Mo \(\d+\) with {MANY} acts", condition["message"])
    system.until_event("guild", "Held", "Mo")
    for name in ("c0", "c39"):
        _until_held(system, "Channel", name)
        assert system.condition("Channel", name, "Synced")["reason"] == "Held"
        assert system.condition("Channel", name, "Ready")["status"] == "True"
    assert re.search(r"security.*unexpected actor or change.*Mo", system.provider.log)
    assert system.provider.metric("provider_discord_guilds_held", cause="MassDrift") == 1
    assert _targets(system, calm) == []

    # Who changes a manifest means it; and what is new is no drift.
    channels[1] = system.channel("c1", topic="changed meanwhile", permissionOverwrites=[])
    new = system.channel("new")
    system.apply(channels[1], new)
    system.until_true(channels[1], new)
    assert (system.discord.channel("c1")["topic"], _denies(system, "c1")) == ("changed meanwhile", 0)
    c1 = system.external_name("Channel", "c1")

    system.provider.kill()
    system.provider.start()
    system.until_polled(1)
    assert _hold_id(_until_held(system)) == _hold_id(condition)
    assert set(_targets(system, calm)) == {
        f"PATCH /channels/{c1}",
        f"POST /guilds/{system.discord.guild()['id']}/channels",
    }
    assert [_denies(system, f"c{number}") for number in (0, 2, 39)] == [SEND_MESSAGES] * 3

    _release(system, condition)
    system.until_true(guild, *channels)
    assert not any(_denies(system, f"c{number}") for number in range(MANY))
    system.until(
        lambda: system.condition("Guild", "guild", "Held").get("status") == "False", "the hold's end"
    )
    system.until_event("guild", "HoldReleased", _hold_id(condition), "Normal")
    assert system.provider.metric("provider_discord_guilds_held") == 0

    system.discord.edit_channel("c7", {"topic": "by hand"})
    system.until(lambda: system.discord.channel("c7")["topic"] == "as it was", "a hand edit to be put back")


def test_roles_that_an_attacker_deletes_stay_deleted_until_somebody_says_so(system: System) -> None:
    """Here there is no Guild object; the ProviderConfig takes its place."""
    home = system.discord.guild()["id"]
    roles = [
        system.manifest("Role", f"r{number}", {"name": f"r{number}", "guildId": home})
        for number in range(MANY)
    ]
    room = system.manifest(
        "Channel",
        "room",
        {
            "name": "room",
            "type": "text",
            "guildId": home,
            "permissionOverwrites": [
                {"roleIdRef": {"name": f"r{number}"}, "allowNames": ["VIEW_CHANNEL"]} for number in range(3)
            ],
        },
    )
    system.connect()
    system.create(*roles, room)
    system.until_true(*roles, room)
    calm = system.discord.last_request()

    for number in range(MANY):
        system.discord.delete_role(f"r{number}", actor="Eve")
    condition = _until_held(system, "Role", "r5")
    system.until_event(system.config_name, "Held", "Eve")
    system.until(lambda: all(_is_held(system, "Role", f"r{n}") for n in range(MANY)), "every role to be held")
    assert system.condition("Role", "r5", "Ready")["status"] == "False"
    system.until_polled(1)
    assert _targets(system, calm) == []

    _release(system, condition)
    system.until_true(*roles, room)
    names = [role["name"] for role in system.discord.roles()]
    assert sorted(name for name in names if name.startswith("r")) == sorted(f"r{n}" for n in range(MANY))
    ids = {system.external_name("Role", f"r{number}") for number in range(3)}
    assert ids == {one["id"] for one in system.discord.channel("room")["permission_overwrites"]}


def test_channels_that_were_deleted_during_a_pause_are_not_made_again_one_by_one(system: System) -> None:
    """The first channel is looked for before the others are known to be gone."""
    channels = [system.channel(f"c{number}") for number in range(12)]
    system.connect()
    system.create(system.guild(), *channels)
    system.until_true(system.guild(), *channels)
    system.patch("Guild", "guild", {"metadata": {"annotations": {meta.PAUSED: "true"}}})
    for channel in channels:
        system.until_synced_false("Channel", channel["metadata"]["name"], "paused")
    calm = system.discord.last_request()

    for number in range(12):
        system.discord.delete_channel(f"c{number}", actor="Eve")
    system.patch("Guild", "guild", {"metadata": {"annotations": {meta.PAUSED: None}}})
    _until_held(system)
    # It begins as soon as there are too many, and then goes on counting.
    system.until(
        lambda: (
            "12 of the guild's 13 objects differ" in system.condition("Guild", "guild", "Held")["message"]
        ),
        "all of them to be counted",
    )
    condition = system.condition("Guild", "guild", "Held")
    assert "12 of them are gone" in condition["message"]
    assert _targets(system, calm) == []

    _release(system, condition)
    system.until_true(*channels)
    assert sorted(one["name"] for one in system.discord.channels() if one["name"].startswith("c")) == sorted(
        f"c{number}" for number in range(12)
    )


def _is_held(system: System, kind: str, name: str) -> bool:
    return system.condition(kind, name, "Held").get("status") == "True"


def test_while_discords_incident_actions_are_active_nothing_is_put_back(system: System) -> None:
    """What may not be made stays unmade when it is over; everything else is put back."""
    keep = system.role("keep")
    objects = [system.guild(), system.channel("a", topic="a"), system.channel("b", topic="b"), keep]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    system.patch("Role", "keep", {"spec": {"managementPolicies": ["Observe", "Update"]}})
    end = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    system.discord.set_guild(incidents_data={"invites_disabled_until": end, "dms_disabled_until": None})
    condition = _until_held(system)
    assert condition["reason"] == "IncidentActions"

    system.discord.edit_channel("a", {"topic": "calm down"})
    system.discord.delete_role("keep")
    _until_held(system, "Channel", "a")
    system.apply(system.channel("b", topic="changed"))
    system.until(
        lambda: system.discord.channel("b")["topic"] == "changed", "a changed manifest to be applied"
    )
    assert system.discord.channel("a")["topic"] == "calm down"

    system.discord.set_guild(incidents_data={"invites_disabled_until": None, "dms_disabled_until": None})
    system.until(lambda: system.discord.channel("a")["topic"] == "a", "the channel to be put back by itself")
    system.until_true(*objects[:3])
    system.until(lambda: not _is_held(system, "Guild", "guild"), "the Guild to be free")
    system.until_synced_false("Role", "keep", "without Create forbids to make it")
    assert "keep" not in {role["name"] for role in system.discord.roles()}


def test_a_field_that_is_fought_over_is_left_alone_and_told(system: System) -> None:
    limit = 2
    objects = [system.guild(), system.channel("a", topic="ours", nsfw=False)]
    system.connect(hold={"putBackLimit": limit})
    system.apply(*objects)
    system.until_true(*objects)

    def topic_is(wanted: str) -> Callable[[], bool]:
        return lambda: system.discord.channel("a")["topic"] == wanted

    for number in range(limit):
        system.discord.edit_channel("a", {"topic": f"theirs {number}"}, actor="Max")
        system.reconcile(objects[1])
        system.until(topic_is("ours"), "the topic to be put back")
        system.until_true(objects[1])
    system.discord.edit_channel("a", {"topic": "theirs at last", "nsfw": True}, actor="Max")
    said = system.until_synced_false("Channel", "a", r"topic was put back 2 times")
    assert 'topic: "theirs at last" -> "ours"' in said
    system.until(lambda: system.discord.channel("a")["nsfw"] is False, "another field to be put back")
    system.until_event("a", "LeftAlone", "topic")

    mark = system.discord.last_request()
    system.until_polled(1)
    assert _targets(system, mark) == []
    assert LEFT_ALONE in system.get("Channel", "a")["metadata"]["annotations"]

    objects[1] = system.channel("a", topic="ours now", nsfw=False)
    system.apply(objects[1])
    system.until_true(objects[1])
    assert topic_is("ours now")()
    assert LEFT_ALONE not in system.get("Channel", "a")["metadata"]["annotations"]
