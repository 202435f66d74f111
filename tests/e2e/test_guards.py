"""What must never happen: something adopted or made twice, taken for deleted, locked, or touched though not ours."""

from __future__ import annotations

import math
import re
from typing import Any, Final

import pytest

from provider_discord.simulator import HiddenGet, HiddenList, Punctuation, Spaces

from .conftest import POLL_SECONDS, Obj, System

EXTERNAL_NAME: Final = "crossplane.io/external-name"
NO_ADMINISTRATOR: Final = ["VIEW_CHANNEL", "MANAGE_CHANNELS", "MANAGE_ROLES", "MANAGE_GUILD"]
PROBE: Final = "/channels/{channel_id}"


def called(name: str, manifest: Obj) -> Obj:
    """Return the manifest with another name at Discord than in Kubernetes."""
    manifest["spec"]["forProvider"]["name"] = name
    return manifest


# Same name, not ours.


def test_something_of_the_same_name_is_left_alone_until_somebody_says_what_to_do(system: System) -> None:
    discord = system.discord
    hall = discord.create_channel({"name": "my-hall", "topic": "by hand"})
    builder = discord.create_role({"name": "builder", "color": 7})
    twins = [discord.create_channel({"name": "twin"}) for _ in range(2)]
    lobby, twin = (
        called("My Hall", system.channel("lobby", topic="ours")),
        system.channel("twin", topic="ours"),
    )
    role, fresh = system.role("builder", color=1234), system.channel("fresh")
    system.connect()
    system.apply(system.guild(), lobby, twin, role, fresh)

    system.until_true(fresh)
    said = system.until_synced_false("Channel", "lobby", hall["id"])
    assert f'{EXTERNAL_NAME}: "{hall["id"]}"' in said
    assert "spec.adoption: ByName" in said
    assert "spec.adoption: CreateNew" in said
    system.until_synced_false("Role", "builder", builder["id"])
    said = system.until_synced_false("Channel", "twin", "2 channels named 'twin'")
    assert all(one["id"] in said for one in twins)
    system.until_event("lobby", "SameNameExists", hall["id"])
    system.reconcile(lobby, twin, role)
    assert [one["body"]["name"] for one in system.writes()] == ["fresh"]

    # The annotation adopts it.
    system.patch("Channel", "lobby", {"metadata": {"annotations": {EXTERNAL_NAME: hall["id"]}}})
    system.until_true(lobby)
    assert discord.channel(hall["id"])["topic"] == "ours"

    # By name, where the name says which.
    system.connect(adoption="ByName")
    system.until_true(role)
    assert system.external_name("Role", "builder") == builder["id"]
    assert discord.role(builder["id"])["colors"]["primary_color"] == 1234
    assert not system.external_name("Channel", "twin")

    # Beside what there is.
    system.connect(adoption="CreateNew")
    system.until_true(twin)
    assert [one["topic"] for one in discord.channels() if one["name"] == "twin"] == [None, None, "ours"]
    assert [one["name"] for one in discord.channels()] == ["my-hall", "twin", "twin", "fresh", "twin"]


# Missing is not deleted.


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({"hidden_get": HiddenGet.FORBIDDEN}, "hidden from the bot: give the bot View Channel there"),
        ({"hidden_get": HiddenGet.NOT_FOUND}, r"View Audit Log \(or Administrator\) would tell"),
        ({"hidden_get": HiddenGet.OBFUSCATED}, "hidden from the bot: give the bot View Channel there"),
        ({"hidden_list": HiddenList.OBFUSCATED}, "hidden from the bot: give the bot View Channel there"),
    ],
    ids=["forbidden", "not-found", "obfuscated", "obfuscated-in-the-list"],
)
def test_a_hidden_channel_is_neither_made_again_nor_let_go(
    system: System, answers: dict[str, Any], says: str
) -> None:
    discord = system.discord
    discord.set_bot_permissions(NO_ADMINISTRATOR)
    discord.set_behaviour(**answers)
    names = ["lobby", "hall"]
    objects = [system.guild(), *(system.channel(name, topic="ours") for name in names)]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    lobby = discord.channel("lobby")

    before = discord.last_request()
    for name in names:
        discord.hide_channel(name)
    until_noticed(system, *objects[1:])
    for name in names:
        system.until_synced_false("Channel", name, "hidden from the bot")
        system.until_event(name, "HiddenOrGone", "hidden from the bot")
    # One of them had the guild's turn to be looked for.
    system.until(
        lambda: any(
            re.search(says, system.condition("Channel", name, "Synced")["message"]) for name in names
        ),
        f"one of them to say {says!r}",
    )
    # Whoever deletes an object now learns how it can go; Discord's channel stays.
    system.delete("Channel", "hall")
    system.until_synced_false("Channel", "hall", r'managementPolicies to \["Observe", "Create", "Update"\]')
    for _ in range(3):
        system.reconcile(*objects[1:])
    assert system.writes(before) == []
    assert_one_probe_a_poll(discord.requests(since=before, method="GET", route=PROBE))

    for name in names:
        discord.delete_overwrite(name, "everyone")
    system.reconcile(objects[1])
    system.until_true(*objects[:2])
    system.until(
        lambda: not system.exists("Channel", "hall"), "the object to go once its channel can be seen"
    )
    assert discord.channels() == [lobby]


def until_noticed(system: System, *objects: Obj) -> None:
    """Ask for passes until none of these objects is Synced: sooner than at the next poll."""

    def noticed() -> bool:
        system.reconcile(*objects)
        return all(
            system.condition(obj["kind"], obj["metadata"]["name"], "Synced").get("status") == "False"
            for obj in objects
        )

    system.until(noticed, "all of them to be found wanting")


def assert_one_probe_a_poll(probes: list[Obj]) -> None:
    """Assert that a guild was looked into no more than once in each poll interval."""
    span = probes[-1]["at"] - probes[0]["at"] if probes else 0.0
    assert len(probes) <= 1 + math.ceil(span / (POLL_SECONDS * 0.9)), [one["at"] for one in probes]


def test_what_was_really_deleted_is_made_again_as_soon_as_that_is_certain(system: System) -> None:
    discord = system.discord
    discord.set_bot_permissions(NO_ADMINISTRATOR)
    objects = [system.guild(), system.channel("lobby", topic="ours"), system.channel("hall", topic="ours")]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    first = system.external_name("Channel", "lobby")

    # Who may not read the audit log can't tell.
    before = discord.last_request()
    discord.delete_channel("lobby")
    until_noticed(system, objects[1])
    system.until_synced_false("Channel", "lobby", "View Audit Log")
    system.until_event("lobby", "HiddenOrGone", first)
    system.reconcile(*objects)
    assert system.writes(before) == []
    assert system.external_name("Channel", "lobby") == first

    # Who may is certain, now and from then on.
    discord.set_bot_permissions([*NO_ADMINISTRATOR, "VIEW_AUDIT_LOG"])
    system.until_true(*objects)
    assert system.external_name("Channel", "lobby") == discord.channel("lobby")["id"] != first
    discord.delete_channel("hall")
    system.until(
        lambda: [one["topic"] for one in discord.channels() if one["name"] == "hall"] == ["ours"],
        "the channel to be made again",
    )
    system.until_true(*objects)


def test_a_bot_that_is_thrown_out_makes_nothing_anew_when_it_is_back(system: System) -> None:
    discord = system.discord
    objects = [system.guild(), system.role("builder"), *(system.channel(f"lobby-{n}") for n in range(3))]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    there = discord.channels()

    before = discord.last_request()
    discord.remove_bot()
    until_noticed(system, *objects)
    for obj in objects:
        said = system.until_synced_false(obj["kind"], obj["metadata"]["name"], "the bot is not in guild")
        assert "https://discord.com/oauth2/authorize?client_id=" in said
        assert said.endswith("Discord says: Unknown Guild")
    system.until_event("lobby-0", "NotInGuild", "https://discord.com/oauth2/authorize")
    refused = discord.requests(since=before, status=404)
    assert len(refused) <= 1 + math.ceil((refused[-1]["at"] - refused[0]["at"]) / (POLL_SECONDS * 0.9))

    discord.add_bot()
    system.until_true(*objects)
    assert discord.channels() == there
    assert system.writes(before) == []


# Never lock ourselves out.


def test_a_manifest_that_would_shut_the_bot_out_is_refused_unless_the_bot_keeps_its_access(
    system: System,
) -> None:
    discord = system.discord
    discord.set_bot_permissions(NO_ADMINISTRATOR)
    hidden = {"target": "everyone", "denyNames": ["VIEW_CHANNEL"]}
    kept = {"target": "bot", "allowNames": ["VIEW_CHANNEL"]}
    fine = [system.guild(), system.channel("open")]
    system.connect()
    system.apply(*fine, system.channel("staff", permissionOverwrites=[hidden]))
    system.until_true(*fine)

    # A new one and one that is there.
    said = system.until_synced_false("Channel", "staff", "shut the bot out of staff")
    assert "add an overwrite with target: bot that allows VIEW_CHANNEL" in said
    system.until_event("staff", "WouldLockOut", "target: bot")
    before = discord.last_request()
    system.apply(system.channel("open", permissionOverwrites=[hidden]))
    system.until_synced_false("Channel", "open", "shut the bot out of open")
    system.reconcile(*fine)
    assert system.writes(before) == []

    objects = [system.channel(name, permissionOverwrites=[hidden, kept]) for name in ("open", "staff")]
    system.apply(*objects)
    system.until_true(*objects)
    for name in ("open", "staff"):
        overwrites = {
            one["id"]: (one["allow"], one["deny"]) for one in discord.channel(name)["permission_overwrites"]
        }
        assert overwrites[discord.guild()["id"]] == ("0", "1024")
        assert ("1024", "0") in overwrites.values()

    # With ADMINISTRATOR nothing is hidden from the bot, and it may do so.
    discord.set_bot_permissions(["ADMINISTRATOR"])
    alone = system.channel("alone", permissionOverwrites=[hidden])
    system.apply(alone)
    system.until_true(alone, *objects)


# Not ours.


def test_what_no_manifest_names_is_never_touched(system: System) -> None:
    discord = system.discord
    wing = discord.create_channel({"name": "wing", "type": 4})
    for number in range(3):
        body = {"name": f"theirs-{number}", "topic": "by hand", "parent_id": wing["id"]}
        discord.create_channel(body)
        discord.create_role({"name": f"theirs-{number}", "color": number})
    discord.set_overwrite("theirs-0", "theirs-1", deny=["SEND_MESSAGES"])
    objects = [
        system.guild(),
        *(system.channel(f"ours-{n}", parentId=wing["id"], position=9 - n) for n in range(3)),
        *(system.role(f"ours-{n}", position=3 - n) for n in range(3)),
    ]
    channels, roles = theirs(discord.channels()), theirs(discord.roles())
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)

    # Put right, put in another order, renamed and deleted, all around them.
    discord.edit_channel("ours-1", {"topic": "by hand", "position": 0})
    changed = [
        system.channel("ours-0", parentId=wing["id"], position=1, topic="changed"),
        system.role("ours-0", position=9, color=5),
    ]
    system.apply(*changed)
    system.until_true(*changed)
    for obj in objects[1:]:
        system.delete(obj["kind"], obj["metadata"]["name"])
    system.until(
        lambda: not system.objects("Channel") and not system.objects("Role"), "all objects to be deleted"
    )

    assert theirs(discord.channels()) == channels
    assert theirs(discord.roles()) == roles
    assert [one["name"] for one in discord.channels()] == ["wing", "theirs-0", "theirs-1", "theirs-2"]
    untouchable = {one["id"] for one in (*channels, *roles)}
    assert [one for one in system.writes() if untouchable & set(one["path"].split("/"))] == []


def theirs(things: list[Obj]) -> list[Obj]:
    """Return what is not ours, in its order, without the numbers that shift when something comes or goes."""
    found = [one for one in things if one["name"].startswith(("theirs", "wing"))]
    found.sort(key=lambda one: (one["position"], int(one["id"])))
    return [{key: value for key, value in one.items() if key != "position"} for one in found]


def test_names_that_discord_writes_differently_are_not_drift(system: System) -> None:
    system.discord.set_behaviour(punctuation=Punctuation.STRIPPED, voice_spaces=Spaces.NO_BREAK)
    names = ["My Chan", "LOUD", "a  lot   of space", "party-🎉", "dots.and,commas!", "Straße", "ÄÖÜ und É"]
    objects = [
        system.guild(),
        *(called(name, system.channel(f"text-{n}")) for n, name in enumerate(names)),
        called("Ask Us Anything", system.channel("forum", type="forum")),
        called("General Voice", system.channel("voice", type="voice")),
        called("Staff Only", system.channel("category", type="category")),
        called("Big Boss", system.role("role")),
    ]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    assert system.discord.channel("my-chan")["id"] == system.external_name("Channel", "text-0")

    before = system.discord.last_request()
    system.reconcile(*objects)
    assert system.writes(before) == []
    assert len(system.writes()) == len(objects) - 1
