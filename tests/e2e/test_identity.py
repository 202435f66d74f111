"""An external name that was moved to a stranger, and an object that was moved to another namespace, cost nobody anything."""

from __future__ import annotations

import copy

from provider_discord.managed import meta

from .conftest import Obj, System

_ACKNOWLEDGE = "acknowledged-external-name"


def _point(system: System, kind: str, name: str, id_: str) -> None:
    system.patch(kind, name, {"metadata": {"annotations": {meta.EXTERNAL_NAME: id_}}})


def _world(system: System) -> set[tuple[str, str, str]]:
    things = [*system.discord.channels(), *system.discord.roles()]
    return {(thing["id"], thing["name"], str(thing.get("topic"))) for thing in things}


def test_a_name_that_was_moved_to_a_stranger_touches_nobody(system: System) -> None:
    """In a running system, and where the object is deleted before the provider can see the change."""
    theirs = system.discord.create_channel({"name": "theirs", "topic": "precious"})
    boss = system.discord.create_role({"name": "boss"})
    objects = [
        system.guild(),
        system.channel("ours", topic="mine"),
        system.role("helper"),
        system.role("other"),
    ]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    ours, before = system.external_name("Channel", "ours"), _world(system)

    _point(system, "Channel", "ours", theirs["id"])
    _point(system, "Role", "helper", boss["id"])
    system.until_synced_false("Channel", "ours", f"{theirs['id']} .theirs.*{ours} .ours.*{_ACKNOWLEDGE}")
    system.until_synced_false("Role", "helper", f"{boss['id']} .boss")
    _point(system, "Channel", "ours", ours)
    system.until_true(objects[1])

    system.provider.kill()
    _point(system, "Channel", "ours", theirs["id"])
    _point(system, "Role", "other", boss["id"])
    for kind, name in (("Channel", "ours"), ("Role", "helper"), ("Role", "other")):
        system.delete(kind, name)
    system.provider.start()
    system.until(
        lambda: (
            not any(
                system.exists(*key) for key in (("Channel", "ours"), ("Role", "helper"), ("Role", "other"))
            )
        ),
        "the objects to go",
    )
    assert _world(system) == before


def test_an_object_that_is_renamed_takes_its_channel_along(system: System) -> None:
    wing = system.channel("wing", type="category")
    hall = system.channel("hall", parentIdRef={"name": "wing"})
    system.connect()
    system.apply(system.guild(), wing, hall)
    system.until_true(wing, hall)
    system.discord.post_message("hall", "remember me")
    before, mark = _world(system), system.discord.last_request()

    def renamed(old: Obj) -> Obj:
        made = copy.deepcopy(old)
        made["metadata"]["name"] += "-anew"
        return made

    system.until_younger_than(system.get("Channel", "hall")["metadata"]["creationTimestamp"])
    fresh = [renamed(wing), renamed(hall)]
    system.apply(*fresh)
    for name in ("wing", "hall"):
        system.until_synced_false("Channel", f"{name}-anew", f"belongs to Channel {system.namespace}/{name}:")
    for name in ("wing", "hall"):
        _point(system, "Channel", f"{name}-anew", system.external_name("Channel", name))
        system.until_synced_false("Channel", f"{name}-anew", "which is older")
    for name in ("hall", "wing"):
        system.delete("Channel", name)
    system.until(
        lambda: not system.exists("Channel", "hall") and not system.exists("Channel", "wing"),
        "the old ones to go",
    )
    system.patch("Channel", "hall-anew", {"spec": {"forProvider": {"parentIdRef": {"name": "wing-anew"}}}})
    system.until_true(*fresh)
    assert _world(system) == before
    assert system.writes(mark) == []
