"""A kind holds an object back: what its conditions say, and that it stays known what was true before."""

from __future__ import annotations

import pytest

from provider_discord.kube.resource import Key
from provider_discord.managed import meta
from provider_discord.managed.errors import Blocked, ExternalFailure, Held, ManagedError
from provider_discord.managed.resource import settled_generation_of

from .managed_world import CONFIGS, World

HELD = Held("hold 1 since yesterday: size: 9 -> 1", cause="MassDrift")


def _settled(world: World) -> Key:
    key = world.thing(size=1)
    world.run(40)
    assert world.states(key) == ("Available", "ReconcileSuccess")
    return key


def _settled_generation(world: World, key: Key) -> int:
    obj = world.obj(key)
    assert obj is not None
    return settled_generation_of(obj)


def test_what_differs_is_left_so_and_told_in_conditions_alone(world: World) -> None:
    key = _settled(world)
    events = len(world.recorder.reasons("a"))
    world.cloud.objects[world.external_name(key)].spec["size"] = 9
    world.cloud.refusal = HELD
    world.run(200)
    assert world.states(key) == ("Available", "Held")
    held = world.condition(key, "Held")
    assert (held["status"], held["reason"], held["message"]) == ("True", "MassDrift", str(HELD))
    assert world.cloud.objects[world.external_name(key)].spec["size"] == 9
    assert len(world.recorder.reasons("a")) == events, "hundreds of objects would say the same"
    world.cloud.refusal = None
    world.run(100)
    assert world.states(key) == ("Available", "ReconcileSuccess")


def test_what_is_gone_is_not_made_and_not_ready(world: World) -> None:
    key = _settled(world)
    world.cloud.objects.clear()
    world.cloud.refusal = HELD
    world.run(200)
    assert world.states(key) == ("Unavailable", "Held")
    assert world.cloud.objects == {}
    world.cloud.refusal = None
    world.run(200)
    assert world.states(key) == ("Available", "ReconcileSuccess")
    assert world.cloud.created_total == 2


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (HELD, "held"),
        (ExternalFailure("503"), "an outage"),
        (Blocked("no permission", reason="MissingPermission"), "a refusal"),
    ],
)
def test_what_was_true_is_known_through_any_trouble(world: World, trouble: ManagedError, reason: str) -> None:
    key = _settled(world)
    generation = _settled_generation(world, key)
    assert generation
    world.cloud.observe_error = trouble
    world.run(200)
    assert _settled_generation(world, key) == generation, reason
    world.set_annotation(key, meta.PAUSED, "true")
    world.run(1)
    world.restart()
    world.run(5)
    assert _settled_generation(world, key) == generation, "through a pause and a restart, too"
    world.set_annotation(key, meta.PAUSED, None)
    world.cloud.observe_error = None
    world.run(100)
    obj = world.obj(key)
    assert obj is not None
    assert "lastSyncedGeneration" not in obj["status"], "while it is Synced that says it"


def test_a_changed_manifest_was_not_true_before_it_is(world: World) -> None:
    key = _settled(world)
    before = _settled_generation(world, key)
    world.cloud.update_error = ExternalFailure("503")
    world.set_field(key, "size", 2)
    world.run(100)
    obj = world.obj(key)
    assert obj is not None
    assert obj["metadata"]["generation"] == before + 1
    assert _settled_generation(world, key) == before


def test_the_release_on_a_config_wakes_its_objects(world: World) -> None:
    _settled(world)
    world.cloud.calls.clear()
    world.run(2)
    assert world.cloud.calls == []
    world.set_annotation(Key("", "default"), meta.RELEASE_HOLD, "1", resource=CONFIGS)
    world.run(2)
    assert "observe" in {verb for verb, _ in world.cloud.calls}
