"""A guild's objects that were taken down come back from a backup, and nothing is written at Discord for it."""

from __future__ import annotations

from typing import Final

import yaml

from .conftest import MANAGED, Obj, System

WITHOUT_DELETE: Final = {"spec": {"managementPolicies": ["Observe", "Create", "Update"]}}
KINDS: Final = "dguild,dchannel,drole"
"""Not `roles`: to kubectl those are RBAC's."""


def guild_of(system: System) -> list[Obj]:
    """Everything that could be done over again by mistake: references, overwrites, tags, order."""
    writers = [{"type": "role", "roleIdRef": {"name": "builder"}, "allowNames": ["SEND_MESSAGES"]}]
    return [
        system.guild(systemChannelIdRef={"name": "general"}),
        system.role("builder", color=7, position=2),
        system.role("guest", position=1),
        system.channel("hall", type="category", position=1),
        system.channel(
            "general", parentIdRef={"name": "hall"}, position=2, permissionOverwrites=writers, topic="t"
        ),
        system.channel("news", parentIdRef={"name": "hall"}, position=1, syncPermissions=True),
    ]


def test_what_kubectl_exported_adopts_everything_without_a_write(system: System) -> None:
    objects = guild_of(system)
    names = {(obj["kind"], obj["metadata"]["name"]) for obj in objects}
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    for kind, name in names:
        system.patch(kind, name, WITHOUT_DELETE)
    system.until_true(*objects)
    ids = {(kind, name): system.external_name(kind, name) for kind, name in names}
    export = everything_of(system, system.control_plane.kubectl("get", "discord", "-A", "-o", "yaml"))
    since = system.discord.last_request()

    system.kubectl("delete", KINDS, "--all", "--timeout=10s")
    system.kubectl("delete", "dpc", system.config_name, "--timeout=10s")
    assert [obj for kind in MANAGED for obj in system.objects(kind)] == []
    assert system.writes(since) == [], "it stays at Discord"

    said = system.control_plane.kubectl("apply", "-f", "-", input=export)
    assert said.count(" created") == len(objects) + 1, said
    system.until_true(*objects)
    system.reconcile(*objects)
    assert {one: system.external_name(*one) for one in names} == ids
    assert system.writes(since) == []

    # What kubectl remembers of such an apply holds the old resourceVersion: it is in the way of the next one.
    assert "resourceVersion: Invalid value" in system.refused(*objects)
    git = yaml.safe_dump_all(objects, sort_keys=False)
    system.kubectl("annotate", KINDS, "--all", "kubectl.kubernetes.io/last-applied-configuration-")
    said = system.control_plane.kubectl(
        *("-n", system.namespace, "apply", "--server-side", "--force-conflicts", "-f", "-"), input=git
    )
    assert said.count("serverside-applied") == len(objects), said
    system.until_true(*objects)
    system.reconcile(*objects)
    assert system.writes(since) == []


def everything_of(system: System, export: str) -> str:
    """Return what was exported, as it is, without other tests' objects that may still be about."""
    listed: Obj = yaml.safe_load(export)
    ours = {system.namespace: "namespace", system.config_name: "name"}
    listed["items"] = [
        item
        for item in listed["items"]
        if any(item["metadata"].get(field) == value for value, field in ours.items())
    ]
    assert all(
        {"uid", "resourceVersion", "finalizers"} <= item["metadata"].keys() for item in listed["items"]
    )
    return str(yaml.safe_dump(listed, sort_keys=False))
