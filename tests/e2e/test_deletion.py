"""Deleting: nothing that somebody would miss goes, what stays says why, and whatever is in the way, it goes on after."""

from __future__ import annotations

import random
import re
from typing import Final

import pytest

from provider_discord.managed import meta

from .conftest import MANAGED, Obj, System, condition_of
from .rights import grant

KEEP: Final = {"spec": {"managementPolicies": ["Observe", "Create", "Update"]}}
ALLOW: Final = {"spec": {"forProvider": {"allowDelete": True}}}
WAY_OUT: Final = r'set spec\.managementPolicies to \["Observe", "Create", "Update"\]'


# Everything.


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(["config", "guild", "roles", "categories", "channels"], id="config-and-guild-first"),
        pytest.param(["channels", "categories", "roles", "guild", "config"], id="as-they-depend"),
        pytest.param(7, id="shuffled"),
    ],
)
def test_deleting_everything_leaves_only_what_is_guarded(system: System, order: list[str] | int) -> None:
    manifests = _town(system)
    objects = [obj for group in manifests.values() for obj in group]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    _live_in(system)
    guild = system.discord.guild()

    manifests["config"] = [system.config()]
    if isinstance(order, int):
        doomed = [obj for group in manifests.values() for obj in group]
        random.Random(order).shuffle(doomed)  # noqa: S311 - a fixed order, nothing secret
    else:
        doomed = [obj for group in order for obj in manifests[group]]
    for obj in doomed:
        system.delete(obj["kind"], obj["metadata"]["name"])
    _until_only(system, "chat", "questions", "keeper", "town")

    said = system.until_synced_false("Channel", "chat", WAY_OUT)
    assert "has messages" in said
    assert "spec.forProvider.allowDelete: true" in said
    assert "has posts" in system.until_synced_false("Channel", "questions", WAY_OUT)
    assert "because a member has it" in system.until_synced_false("Role", "keeper", WAY_OUT)
    kept = system.until_synced_false("Channel", "town", r"still holds channels \(chat, questions\)")
    assert re.search(WAY_OUT, kept)
    for name in ("chat", "questions", "keeper", "town"):
        _until_warned(system, name, "DeletionGuarded")
    assert {channel["name"] for channel in system.discord.channels()} == {"town", "chat", "questions"}
    assert [role["name"] for role in system.discord.roles() if not role["managed"]] == ["@everyone", "keeper"]
    _check_guild_is_untouched(guild, system.discord.guild())

    # The config is still needed, and says by how many.
    system.until(
        lambda: "in use by 4 managed resources" in _terminating(system), "the config to say that it is in use"
    )
    _until_warned(system, system.config_name, "UsageAccounting")

    # One way out is to say that the history may go, the other that Discord shall keep it.
    system.patch("Channel", "chat", ALLOW)
    system.patch("Channel", "questions", KEEP)
    system.patch("Role", "keeper", KEEP)
    system.until_synced_false("Channel", "town", r"still holds a channel \(questions\)")
    system.patch("Channel", "town", ALLOW)
    _until_only(system)
    system.until(lambda: not system.exists("ProviderConfig", system.config_name), "the unused config to go")
    system.kubectl("delete", "secret", "discord-bot")
    assert [channel["name"] for channel in system.discord.channels()] == ["questions"]
    assert "keeper" in {role["name"] for role in system.discord.roles()}


def test_a_namespace_deleted_by_mistake_costs_no_history(system: System) -> None:
    """Its Secret goes with it, so that everything else has to wait; a Secret from elsewhere lets it go on."""
    objects = [obj for group in _town(system).values() for obj in group]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    _live_in(system)
    guild, before = system.discord.guild(), system.discord.last_request()

    system.control_plane.request("DELETE", f"/api/v1/namespaces/{system.namespace}")
    system.until(
        lambda: (
            "Secret" in system.condition("ProviderConfig", system.config_name, "Ready").get("message", "")
        ),
        "the config to miss its Secret",
    )
    # What went before the Secret did is gone; what is left names what it waits for.
    system.until(lambda: not _silent(system), "all that is left to go or to name the config")
    assert {"chat", "questions", "keeper"} <= _left(system)

    elsewhere = {"namespace": "default", "name": f"spare-{system.namespace}", "key": "token"}
    secret = {**system.secret(), "metadata": {"name": elsewhere["name"], "namespace": "default"}}
    system.control_plane.request("POST", "/api/v1/namespaces/default/secrets", body=secret)
    grant(system.control_plane, "default")
    try:
        system.patch(
            "ProviderConfig", system.config_name, {"spec": {"credentials": {"secretRef": elsewhere}}}
        )
        _until_only(system, "chat", "questions", "keeper", "town")
        system.until_synced_false("Channel", "chat", "has messages")
        system.until_synced_false("Role", "keeper", "a member has it")
        kept = (("Channel", "town"), ("Channel", "chat"), ("Channel", "questions"), ("Role", "keeper"))
        for kind, name in kept:
            system.patch(kind, name, KEEP)
        system.until(lambda: not _namespace_exists(system), "the namespace to go", seconds=30)
    finally:
        system.control_plane.request("DELETE", f"/api/v1/namespaces/default/secrets/{elsewhere['name']}")

    assert {channel["name"] for channel in system.discord.channels()} == {"town", "chat", "questions"}
    assert "keeper" in {role["name"] for role in system.discord.roles()}
    _check_guild_is_untouched(guild, system.discord.guild())
    done = [request for request in system.writes(before) if request["committed"]]
    others = [(one["method"], one["path"], one["body"]) for one in done if one["method"] != "DELETE"]
    assert others == []


# What is missing on the way.


def test_a_secret_that_is_missing_is_said_and_deletion_goes_on_when_it_is_back(system: System) -> None:
    objects = [system.guild(), system.role("builder"), system.channel("lobby")]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)

    system.kubectl("delete", "secret", "discord-bot")
    system.until(
        lambda: system.condition("ProviderConfig", system.config_name, "Ready").get("status") == "False",
        "the config to miss its Secret",
    )
    before = system.discord.last_request()
    system.delete("Channel", "lobby")
    system.delete("Role", "builder")
    for kind, name in (("Channel", "lobby"), ("Role", "builder")):
        said = system.until_synced_false(kind, name, f'ProviderConfig "{system.config_name}" is not ready')
        assert f"{system.namespace}/discord-bot" in said
    assert system.discord.last_request() == before, "there is no token to ask with"

    system.apply(system.secret())
    _until_only(system, "guild")
    assert system.discord.channels() == []


def test_a_config_that_is_missing_is_said_and_deletion_goes_on_when_it_is_back(system: System) -> None:
    """It can't go while it is used, unless somebody takes its finalizer off."""
    objects = [system.guild(), system.channel("lobby")]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    system.delete("ProviderConfig", system.config_name)
    system.until(
        lambda: "in use by 2 managed resources" in _terminating(system), "the config to say that it is in use"
    )
    system.patch("Channel", "lobby", {"spec": {"forProvider": {"topic": "still served"}}})
    system.until(lambda: system.discord.channel("lobby")["topic"] == "still served", "the config to serve")

    system.patch("ProviderConfig", system.config_name, {"metadata": {"finalizers": None}})
    system.delete("Channel", "lobby")
    system.until_synced_false("Channel", "lobby", f'ProviderConfig "{system.config_name}" does not exist')
    assert system.discord.channel("lobby")

    system.apply(system.config())
    _until_only(system, "guild")
    assert system.discord.channels() == []


# What is never deleted, and what is left alone.


def test_what_a_community_needs_is_not_deleted(system: System) -> None:
    objects = [
        system.guild(
            community=True,
            rulesChannelIdRef={"name": "rules"},
            publicUpdatesChannelIdRef={"name": "notices"},
        ),
        *(system.channel(name) for name in ("rules", "notices", "others")),
    ]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    for obj in objects:
        system.delete(obj["kind"], obj["metadata"]["name"])
    _until_only(system, "rules", "notices")
    said = system.until_synced_false("Channel", "rules", WAY_OUT)
    assert "the rules channel that a Community guild must have" in said
    system.until_synced_false("Channel", "notices", "public updates channel")

    # Allowing the loss of history is another matter. Another rules channel is what it takes.
    system.patch("Channel", "rules", ALLOW)
    system.until_synced_false("Channel", "rules", "give the guild another one first")
    spare = system.discord.create_channel({"name": "new-rules"})
    system.discord.edit_guild({"rules_channel_id": spare["id"]})
    _until_only(system, "notices")
    assert "COMMUNITY" in system.discord.guild()["features"]


def test_everyone_and_managed_roles_stay(system: System) -> None:
    bot_role = next(role for role in system.discord.roles() if role["managed"])
    everyone = system.manifest(
        "Role",
        "everyone",
        {"guildIdRef": {"name": "guild"}, "everyone": True, "permissionNames": ["VIEW_CHANNEL"]},
    )
    integration = system.manifest(
        "Role",
        "integration",
        {"guildIdRef": {"name": "guild"}, "name": bot_role["name"]},
        annotations={meta.EXTERNAL_NAME: bot_role["id"]},
    )
    objects = [system.guild(), everyone, integration]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    before = system.discord.roles()
    assert system.external_name("Role", "everyone") == system.discord.guild()["id"]

    for name in ("everyone", "integration"):
        system.delete("Role", name)
    _until_only(system, "guild")
    assert system.discord.roles() == before


def test_a_category_goes_without_its_children_only_where_that_is_allowed(system: System) -> None:
    """What is not ours is not touched, and what is ours waits for its parent instead of moving or being made anew."""
    category = system.channel(
        "staff",
        type="category",
        permissionOverwrites=[
            {"target": "everyone", "denyNames": ["VIEW_CHANNEL"]},
            {"target": "bot", "allowNames": ["VIEW_CHANNEL"]},
        ],
    )
    child = system.channel("plans", parentIdRef={"name": "staff"}, syncPermissions=True)
    objects = [system.guild(), category, child]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    stranger = system.discord.create_channel({"name": "diary", "parent_id": "staff"})
    plans = system.discord.channel("plans")
    assert _overwrites(stranger) == _overwrites(plans) != {}

    before = system.discord.last_request()
    system.delete("Channel", "staff")
    system.until_synced_false("Channel", "staff", r"still holds channels \(diary, plans\)")
    assert system.writes(before) == []
    system.patch("Channel", "staff", ALLOW)
    system.until(lambda: not system.exists("Channel", "staff"), "the category to go")
    system.reconcile(system.guild())
    system.until_synced_false(
        "Channel", "plans", r"parentIdRef names Channel \S+/staff, which does not exist"
    )
    assert [request["method"] for request in system.writes(before)] == ["DELETE"]
    for was in (stranger, plans):
        now = system.discord.channel(was["id"])
        assert now["parent_id"] is None
        assert _overwrites(now) == _overwrites(was), "as private as it was"

    system.apply(category)
    system.until_true(category, child)
    staff = system.external_name("Channel", "staff")
    assert system.discord.channel(plans["id"])["parent_id"] == staff
    assert system.discord.channel(stranger["id"])["parent_id"] is None
    assert len(system.discord.channels()) == 3


# Two objects, one thing.


def test_the_younger_of_two_objects_with_one_external_name_deletes_nothing(system: System) -> None:
    older = system.channel("lobby", topic="the older one's")
    system.connect()
    system.apply(system.guild(), older)
    system.until_true(older)
    lobby = system.external_name("Channel", "lobby")
    born = system.get("Channel", "lobby")["metadata"]["creationTimestamp"]

    def copy(name: str) -> Obj:
        obj = system.channel(name, topic="a copy's")
        obj["spec"]["forProvider"]["name"] = "lobby"
        obj["metadata"]["annotations"] = {meta.EXTERNAL_NAME: lobby}
        return obj

    system.until_younger_than(born)
    before = system.discord.last_request()
    system.apply(copy("copy"), copy("heir"))
    for name in ("copy", "heir"):
        said = system.until_synced_false(
            "Channel", name, rf"external name {lobby} belongs to Channel \S+/lobby"
        )
        assert "writes and deletes nothing" in said
        _until_warned(system, name, "ExternalNameInUse")

    system.delete("Channel", "copy")
    system.until(lambda: not system.exists("Channel", "copy"), "the copy to go")
    system.reconcile(older)
    assert system.writes(before) == []
    assert system.discord.channel(lobby)["topic"] == "the older one's"

    # The older one lets go of it, and the younger one takes over.
    system.patch("Channel", "lobby", KEEP)
    system.delete("Channel", "lobby")
    system.until_true(copy("heir"))
    assert system.discord.channel(lobby)["topic"] == "a copy's"
    system.delete("Channel", "heir")
    _until_only(system, "guild")
    assert system.discord.channels() == []


# How.


def _town(system: System) -> dict[str, list[Obj]]:
    """Return manifests of a guild that refers to its channels, by group; `chat`, `questions` and `keeper` will be guarded."""
    town = {"name": "town"}
    return {
        "guild": [system.guild(description="A town", systemChannelIdRef={"name": "lobby"}, afkTimeout=900)],
        "roles": [system.role("keeper", position=2), system.role("guest", position=1)],
        "categories": [
            system.channel(
                "town",
                type="category",
                permissionOverwrites=[
                    {"roleIdRef": {"name": "guest"}, "allowNames": ["SEND_MESSAGES"]},
                    {"roleIdRef": {"name": "keeper"}, "allowNames": ["MANAGE_MESSAGES"]},
                ],
            )
        ],
        "channels": [
            system.channel("lobby", parentIdRef=town, position=1),
            system.channel("chat", parentIdRef=town, syncPermissions=True, position=2),
            system.channel("questions", type="forum", parentIdRef=town),
            system.channel("nap", type="voice", parentIdRef=town),
        ],
    }


def _live_in(system: System) -> None:
    """Leave history behind, which nobody wants to lose."""
    system.discord.post_message("chat", "remember me")
    system.discord.post_message("questions", "how?")
    system.discord.add_member("Kim", roles=["keeper"])


def _left(system: System) -> set[str]:
    return {obj["metadata"]["name"] for kind in MANAGED for obj in system.objects(kind)}


def _until_only(system: System, *names: str) -> None:
    """Wait until no managed objects are left but these."""
    system.until(
        lambda: _left(system) == set(names), f"only {', '.join(names) or 'nothing'} to be left of the objects"
    )


def _silent(system: System) -> list[str]:
    """Return the objects that do not say that they wait for the ProviderConfig."""
    return [
        obj["metadata"]["name"]
        for kind in ("Channel", "Role")
        for obj in system.objects(kind)
        if system.config_name not in condition_of(obj, "Synced").get("message", "")
    ]


def _until_warned(system: System, name: str, reason: str) -> None:
    def warned() -> bool:
        return any(e["type"] == "Warning" and e["reason"] == reason for e in system.events(name))

    system.until(warned, f"an event {reason} about {name}")


def _terminating(system: System) -> str:
    config = system.get("ProviderConfig", system.config_name)
    found = [c for c in config["status"]["conditions"] if c["type"] == "Terminating"]
    return str(found[0]["message"]) if found and found[0]["status"] == "True" else ""


def _check_guild_is_untouched(before: Obj, after: Obj) -> None:
    """Compare a guild's settings; a channel that it names may have gone."""
    for field in ("id", "name", "description", "afk_timeout", "features", "owner_id", "verification_level"):
        assert after[field] == before[field], field
    assert {member["user"]["id"] for member in after["members"]} == {
        member["user"]["id"] for member in before["members"]
    }


def _namespace_exists(system: System) -> bool:
    listed = system.control_plane.request("GET", "/api/v1/namespaces")["items"]
    return any(namespace["metadata"]["name"] == system.namespace for namespace in listed)


def _overwrites(channel: Obj) -> dict[str, tuple[str, str]]:
    return {one["id"]: (one["allow"], one["deny"]) for one in channel["permission_overwrites"]}
