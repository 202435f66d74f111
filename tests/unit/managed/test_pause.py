"""A pause from above: of a ProviderConfig, and of what an object is inside of."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from provider_discord.kube.resource import Key, Resource
from provider_discord.managed import meta
from tests.unit.managed.managed_world import CONFIGS, PLACES, SETTLED, World

PLACE = Key("ns", "here")


def pause(world: World, key: Key, resource: Resource) -> None:
    world.set_annotation(key, meta.PAUSED, "true", resource=resource)


def resume(world: World, key: Key, resource: Resource) -> None:
    world.set_annotation(key, meta.PAUSED, None, resource=resource)


def inside(world: World, name: str = "a", **for_provider: Any) -> Key:
    """Make a thing that refers to the place."""
    return world.thing(name, placeIdRef={"name": "here"}, **for_provider)


@pytest.fixture
def place(world: World) -> str:
    """A place that exists; its external name."""
    world.thing("here", resource=PLACES)
    world.run(3)
    return world.external_name(PLACE, resource=PLACES)


@dataclasses.dataclass
class Above:
    reason: str
    resource: Resource
    key: Key
    says: str


ABOVE = [
    Above(
        "the place that it is in", PLACES, PLACE, f"Place ns/here is paused by the annotation {meta.PAUSED}"
    ),
    Above(
        "the config that it uses",
        CONFIGS,
        Key("", "default"),
        f'ProviderConfig "default" is paused by the annotation {meta.PAUSED}',
    ),
]


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("above", ABOVE, ids=lambda above: above.reason)
class TestAPause:
    def test_stops_what_is_below_says_who_did_it_and_ends_at_once(self, world: World, above: Above) -> None:
        keys = [inside(world, name, size=1) for name in ("a", "b")]
        world.run(40)
        pause(world, above.key, above.resource)
        world.run(0)
        for key in keys:
            assert world.states(key) == ("Available", "ReconcilePaused")
            assert above.says in world.message(key)
        ids = [world.external_name(key) for key in keys]
        for id_ in ids:
            world.cloud.objects[id_].spec["size"] = 9
        world.set_field(keys[0], "size", 2)
        fresh = inside(world, "fresh")
        world.api.writes.clear()
        world.cloud.calls.clear()
        world.run(200)
        assert {name for _, name in world.cloud.calls} <= {"here"}
        assert world.states(fresh) == ("", "ReconcilePaused")
        assert len([write for write in world.api.writes if write[1] == "Thing"]) <= 3
        assert world.recorder.reasons("b").count("ReconciliationPaused") == 1

        resume(world, above.key, above.resource)
        world.run(3)
        assert [world.states(key) for key in (*keys, fresh)] == [SETTLED] * 3
        assert [world.cloud.objects[id_].spec["size"] for id_ in ids] == [2, 1]

    @pytest.mark.parametrize("policies", [["*"], ["Observe", "Create", "Update"]])
    def test_lets_deletion_wait(self, world: World, above: Above, policies: list[str]) -> None:
        """Also that of an object whose policies would leave the thing: nobody meant to let it go just now."""
        key = world.thing(placeIdRef={"name": "here"}, policies=policies)
        world.run(40)
        pause(world, above.key, above.resource)
        world.delete(key)
        world.run(200)
        assert world.obj(key) is not None
        assert world.external_name(key) in world.cloud.objects
        resume(world, above.key, above.resource)
        world.run(2)
        assert world.obj(key) is None
        assert len(world.cloud.objects) == (1 if policies == ["*"] else 2)

    def test_is_there_from_the_start_of_a_process(self, world: World, above: Above) -> None:
        key = inside(world, size=1)
        world.run(40)
        pause(world, above.key, above.resource)
        world.set_field(key, "size", 2)
        world.restart()
        world.cloud.calls.clear()
        world.run(200)
        assert ("update", "a") not in world.cloud.calls
        assert world.states(key) == ("Available", "ReconcilePaused")

    def test_that_comes_in_the_middle_of_a_pass_stops_its_write(self, world: World, above: Above) -> None:
        key = inside(world, size=1)
        world.run(40)
        done: list[bool] = []

        def late(label: str) -> None:
            if label == "finalizer.added" and not done:
                done.append(True)
                pause(world, above.key, above.resource)
                world.deliver()

        world.set_field(key, "size", 2)
        object.__setattr__(world.process.tools, "checkpoint", late)
        world.run(100)
        assert done
        assert world.cloud.objects[world.external_name(key)].spec["size"] == 1

    def test_leaves_a_request_to_reconcile_for_later(self, world: World, above: Above) -> None:
        key = inside(world)
        world.run(40)
        pause(world, above.key, above.resource)
        world.set_annotation(key, meta.RECONCILE_REQUESTED_AT, "t")
        world.run(100)
        assert "lastHandledReconcileAt" not in (world.obj(key) or {})["status"]
        resume(world, above.key, above.resource)
        world.run(1)
        assert (world.obj(key) or {})["status"]["lastHandledReconcileAt"] == "t"


@pytest.mark.usefixtures("place")
def test_a_place_that_was_never_looked_at_pauses_too(world: World) -> None:
    """Made paused, so that nothing happens before somebody has looked at the manifests."""
    world.thing("later", resource=PLACES, annotations={meta.PAUSED: "true"})
    key = world.thing(placeIdRef={"name": "later"})
    world.run(100)
    assert "Place ns/later is paused" in world.message(key)
    resume(world, Key("ns", "later"), PLACES)
    world.run(3)
    assert world.states(key) == SETTLED


def test_a_place_pauses_what_names_it_by_its_id(world: World, place: str) -> None:
    key = world.thing(placeId=place, size=1)
    world.run(40)
    pause(world, PLACE, PLACES)
    world.set_field(key, "size", 2)
    world.run(100)
    assert "Place ns/here is paused" in world.message(key)
    resume(world, PLACE, PLACES)
    world.run(1)
    assert world.states(key) == SETTLED


@pytest.mark.usefixtures("place")
def test_a_place_pauses_what_selects_it_from_its_first_pass_on(world: World) -> None:
    world.edit(PLACE, lambda obj: obj["metadata"].update(labels={"a": "b"}), resource=PLACES)
    pause(world, PLACE, PLACES)
    key = world.thing(placeIdSelector={"matchLabels": {"a": "b"}})
    world.run(100)
    assert "Place ns/here is paused" in world.message(key)
    assert "a" not in {name for _, name in world.cloud.calls}, (
        "not even looked at, so nothing is adopted either"
    )


def test_a_place_that_only_observes_pauses_those_of_its_config(world: World, place: str) -> None:
    world.edit(PLACE, lambda obj: obj["spec"].update(managementPolicies=["Observe"]), resource=PLACES)
    key = world.thing(placeId=place)
    world.run(40)
    pause(world, PLACE, PLACES)
    world.run(1)
    assert world.states(key) == ("Available", "ReconcilePaused")


def test_a_strangers_place_pauses_nobody(world: World, place: str) -> None:
    """It claims the same id, with a config of its own; the older one owns it."""
    world.configure("theirs")
    key = world.thing(placeId=place, size=1)
    world.run(40)
    world.thing(
        "mine-too",
        namespace="elsewhere",
        resource=PLACES,
        annotations={meta.EXTERNAL_NAME: place, meta.PAUSED: "true"},
        spec={"providerConfigRef": {"kind": "ProviderConfig", "name": "theirs"}},
    )
    world.set_field(key, "size", 2)
    world.run(5)
    assert world.states(key) == SETTLED
    assert world.cloud.objects[world.external_name(key)].spec["size"] == 2


def test_a_place_without_a_right_to_the_config_pauses_nobody(world: World, place: str) -> None:
    """Naming a config is free; its allowedNamespaces say who counts."""
    world.edit(Key("", "default"), lambda obj: obj["spec"].update(allowedNamespaces=["ns"]), resource=CONFIGS)
    key = world.thing(placeId=place, size=1)
    world.run(40)
    world.thing(
        "mine-too",
        namespace="elsewhere",
        resource=PLACES,
        annotations={meta.EXTERNAL_NAME: place, meta.PAUSED: "true"},
    )
    world.set_field(key, "size", 2)
    world.run(5)
    assert world.states(key) == SETTLED
    assert world.cloud.objects[world.external_name(key)].spec["size"] == 2


@pytest.mark.usefixtures("place")
def test_a_paused_place_that_is_gone_pauses_nobody(world: World) -> None:
    key = inside(world)
    world.run(40)
    pause(world, PLACE, PLACES)
    world.run(1)
    world.edit(PLACE, lambda obj: obj["metadata"].update(finalizers=[]), resource=PLACES)
    world.delete(PLACE, resource=PLACES)
    world.run(1)
    assert world.states(key)[1] != "ReconcilePaused"


def test_nothing_is_done_before_it_is_known_who_is_paused(world: World, place: str) -> None:
    world.process.stores[PLACES]._synced.clear()
    key = world.thing(placeId=place)
    world.run(5)
    assert world.states(key) == ("", "")
    object.__setattr__(world.process.tools, "kind_missing", lambda _resource: True)
    world.run(5)
    assert world.states(key) == SETTLED, "a kind that is not installed is waited for by nobody"


def test_a_paused_config_says_so_itself(world: World) -> None:
    key = Key("", "default")
    pause(world, key, CONFIGS)
    world.run(1)
    assert world.states(key, resource=CONFIGS) == ("Available", "ReconcilePaused")
    resume(world, key, CONFIGS)
    world.run(1)
    assert world.states(key, resource=CONFIGS) == ("Available", "")
