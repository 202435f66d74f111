"""Objects vanish from the cache, or their kind does, without anybody having deleted them.

A broken proxy answers an empty list, an etcd comes back without its data, a CRD is gone for a moment. Only a
deletion that an object itself tells of deletes anything outside, and what comes back is known again.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from provider_discord.kube.errors import ServerError
from provider_discord.kube.resource import Key, Resource
from provider_discord.managed import meta
from provider_discord.managed.tools import CHECKPOINTS
from tests.unit.managed.managed_world import CONFIGS, SETTLED, THINGS, USAGES, World

# A deletion's are in test_kind_ends; what "update.persisted" tells of, this cloud has nothing to remember by.
MOMENTS = [label for label in CHECKPOINTS if not label.startswith("delete") and label != "update.persisted"]


def vanish(world: World, *resources: Resource, but: Key | None = None) -> None:
    """Let the next list of these kinds show nothing (but one object)."""
    world.deliver()
    for resource in resources:
        store, handler = world.process.all_stores[resource], world.process.controller.handler(resource)
        for change in store.retain({but} if but else set(), resource_version=10**9):
            handler(change)


def come_back(world: World, *resources: Resource) -> None:
    """Let the list after that show what there is."""
    for resource in resources:
        store, handler = world.process.all_stores[resource], world.process.controller.handler(resource)
        store.rewind()
        for (of, _), obj in list(world.api.objects.items()):
            change = store.put(obj) if of == resource else None
            if change is not None:
                handler(change)


def writes(world: World) -> list[str]:
    return [verb for verb, _ in world.cloud.calls if verb in {"create", "update", "delete"}]


@pytest.mark.parametrize(
    "kinds",
    [(THINGS,), (CONFIGS,), (USAGES,), (THINGS, CONFIGS, USAGES)],
    ids=["the objects", "the configs", "the usages", "everything"],
)
def test_an_empty_list_costs_nothing(world: World, kinds: tuple[Resource, ...]) -> None:
    keys = [world.thing(name) for name in "abc"]
    world.run(10)
    assert [world.states(key) for key in keys] == [SETTLED] * 3
    before = {id_: dict(obj.spec) for id_, obj in world.cloud.objects.items()}
    names = [world.external_name(key) for key in keys]
    world.cloud.calls.clear()
    vanish(world, *kinds)
    world.run(180)
    come_back(world, *kinds)
    world.run(180)
    assert writes(world) == []
    assert {id_: dict(obj.spec) for id_, obj in world.cloud.objects.items()} == before
    assert [world.external_name(key) for key in keys] == names
    assert [world.states(key) for key in keys] == [SETTLED] * 3
    world.set_field(keys[0], "size", 5)
    world.run(5)
    assert writes(world) == ["update"], "and it goes on"


@pytest.mark.parametrize("label", MOMENTS)
def test_vanishing_in_the_middle_of_a_pass_makes_nothing_twice(world: World, label: str) -> None:
    vanished: list[str] = []
    note = world.checkpoint

    def checkpoint(reached: str) -> None:
        note(reached)
        if reached == label and not vanished:
            vanished.append(label)
            vanish(world, THINGS)

    world.checkpoint = checkpoint  # type: ignore[assignment]
    world.restart()
    world.cloud.adopt_by_name = label.startswith("adopt")
    if world.cloud.adopt_by_name:
        world.cloud.make("Thing", {"name": "a"})
    world.cloud.on_create = "committed" if label.startswith("resolve") else "ok"
    if label == "create.failed":
        world.cloud.on_create = "fail"
    key = world.thing()
    world.run(20)
    if label.startswith("update"):
        world.set_field(key, "size", 3)
        world.run(5)
    assert vanished
    come_back(world, THINGS)
    world.run(200)
    assert world.states(key) == SETTLED
    assert list(world.cloud.objects) == [world.external_name(key)]


def test_a_create_of_unknown_outcome_is_not_repeated_early(world: World) -> None:
    """What this process knew of its end vanished with the object; what Discord commits late is waited for."""
    world.run(600)  # It has led for long.
    world.cloud.on_create = "late"
    committed = 20.0
    # Nor could it be written on the object when it ended.
    failing: list[Callable[[str, Resource, Key], None]] = []

    def refuse(verb: str, resource: Resource, _key: Key) -> None:
        if verb == "replace" and resource == THINGS and "create.pending" in world.labels:
            raise ServerError(status=500, message="oh")

    failing.append(refuse)
    world.api.hooks.append(refuse)
    key = world.thing()
    world.run(1)
    assert world.annotation(key, meta.CREATE_PENDING)
    vanish(world, THINGS)
    world.api.hooks.remove(refuse)
    come_back(world, THINGS)
    world.run(committed + 60)
    assert world.states(key) == SETTLED
    assert world.cloud.created_total == 1


def test_a_name_that_another_takes_meanwhile_stays_the_elders(world: World) -> None:
    elder = world.thing("a")
    world.run(10)
    id_ = world.external_name(elder)
    vanish(world, THINGS)
    world.cloud.adopt_by_name = True
    younger = world.thing("b", spec={"forProvider": {"name": "a"}})
    world.run(10)
    assert world.external_name(younger) == id_, "nobody else seemed to have it"
    come_back(world, THINGS)
    world.run(120)
    assert "belongs to Thing ns/a, which is older" in world.message(younger)
    world.delete(younger)
    world.run(60)
    assert world.obj(younger) is None
    assert list(world.cloud.objects) == [id_], "its end takes nothing from the elder"
    assert world.states(elder) == SETTLED


def test_nothing_is_done_by_what_is_known_of_a_kind_that_is_not_served(world: World) -> None:
    key = world.thing()
    world.run(10)
    world.cloud.calls.clear()
    world.process.all_stores[THINGS].suspend()
    next(iter(world.cloud.objects.values())).spec["size"] = 99
    world.process.controller.enqueue(THINGS, key)
    passes = len(world.cloud.calls)
    world.run(300)
    assert len(world.cloud.calls) == passes
    world.process.all_stores[THINGS].mark_synced()
    world.run(90)
    assert world.cloud.calls
    assert world.states(key) == SETTLED


def test_a_key_of_a_kind_that_is_not_served_does_not_go_round_and_round(world: World) -> None:
    key = world.thing()
    world.run(10)
    vanish(world, THINGS)
    world.process.all_stores[THINGS].suspend()
    world.process.controller.enqueue(THINGS, key)
    world.run(60)
    assert len([1 for _ in range(5) if world.process.controller.step()]) == 0


def test_a_config_that_is_not_listed_yet_is_not_acted_by(world: World) -> None:
    opened = len(world.sessions.opened)
    world.process.config_store.suspend()
    world.edit(
        Key("", "default"), lambda obj: obj["spec"].update({"baseURL": "http://elsewhere"}), resource=CONFIGS
    )
    world.run(30)
    assert len(world.sessions.opened) == opened
    world.process.config_store.mark_synced()
    world.run(60)
    assert len(world.sessions.opened) == opened + 1
