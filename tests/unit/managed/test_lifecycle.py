"""The ordinary life of an object: made, kept true, changed, deleted."""

from __future__ import annotations

from provider_discord.managed import meta
from tests.unit.managed.managed_world import PLACES, SETTLED, THINGS, World


def test_an_object_is_created_and_becomes_available(world: World) -> None:
    key = world.thing(size=3)
    world.run(3)
    assert world.states(key) == SETTLED
    (id_,) = world.cloud.objects
    assert world.external_name(key) == id_
    assert world.cloud.objects[id_].spec == {"name": "a", "size": 3}
    obj = world.obj(key)
    assert obj is not None
    assert obj["metadata"]["finalizers"] == [meta.FINALIZER]
    assert obj["status"]["atProvider"] == {"id": id_, "name": "a", "size": 3}
    assert obj["status"]["observedGeneration"] == 1
    assert {c["observedGeneration"] for c in obj["status"]["conditions"]} == {1}
    assert meta.CREATE_ATTEMPT not in obj["metadata"]["annotations"]
    assert world.recorder.reasons("a") == ["CreatedExternalResource"]


def test_an_idle_object_costs_no_write(world: World) -> None:
    world.thing()
    world.run(5)
    world.api.writes.clear()
    world.cloud.calls.clear()
    world.run(600)
    assert world.api.writes == []
    assert {verb for verb, _ in world.cloud.calls} == {"observe"}
    assert 8 <= len(world.cloud.calls) <= 13


def test_a_changed_manifest_is_no_drift(world: World) -> None:
    key = world.thing(size=3)
    world.run(5)
    world.set_field(key, "size", 4)
    world.run(2)
    assert world.cloud.objects[world.external_name(key)].spec["size"] == 4
    assert world.condition(key, "Synced")["observedGeneration"] == 2
    assert "DriftDetected" not in world.recorder.reasons("a")
    assert "UpdatedExternalResource" in world.recorder.reasons("a")


def test_drift_is_named_and_put_back_within_a_poll(world: World) -> None:
    key = world.thing(size=3)
    world.run(5)
    world.cloud.objects[world.external_name(key)].spec["size"] = 9
    world.run(67)
    assert world.cloud.objects[world.external_name(key)].spec["size"] == 3
    (drift,) = [event for event in world.recorder.events if event[2] == "DriftDetected"]
    assert "size: 9 -> 3" in drift[3]
    assert world.states(key) == SETTLED


def test_drift_is_told_of_what_somebody_changed_alone(world: World) -> None:
    """The kind knows which differences its own writes explain; they are put right all the same."""
    key = world.thing(size=3)
    world.run(5)
    spec = world.cloud.objects[world.external_name(key)].spec
    world.cloud.own = ("size",)
    spec.update(size=9)
    world.run(67)
    assert spec["size"] == 3
    assert world.recorder.reasons("a") == ["CreatedExternalResource", "UpdatedExternalResource"]
    spec.update(size=9, name="theirs")
    world.run(67)
    (drift,) = [event for event in world.recorder.events if event[2] == "DriftDetected"]
    assert "name: theirs -> a" in drift[3]
    assert "size" not in drift[3]
    assert spec == {"name": "a", "size": 3}


def test_drift_while_the_process_was_down_is_told(world: World) -> None:
    key = world.thing(size=3)
    world.run(5)
    world.cloud.objects[world.external_name(key)].spec["size"] = 9
    world.restart()
    world.run(70)
    assert world.cloud.objects[world.external_name(key)].spec["size"] == 3
    assert world.recorder.reasons("a").count("DriftDetected") == 1


def test_what_a_reference_stands_for_since_a_restart_is_no_drift(world: World) -> None:
    """Nobody remembers what it stood for before; but the status shows that the external resource is as it was."""
    place = world.thing("here", resource=PLACES)
    key = world.thing(placeIdRef={"name": "here"})
    world.run(40)
    another = world.cloud.make("Place", {"name": "here", "size": 1})
    world.set_annotation(place, meta.EXTERNAL_NAME, another, resource=PLACES)
    world.restart()
    world.run(70)
    assert world.cloud.objects[world.external_name(key)].spec["placeId"] == another
    assert "DriftDetected" not in world.recorder.reasons("a")
    assert "UpdatedExternalResource" in world.recorder.reasons("a")


def test_an_update_that_does_not_stick_becomes_no_storm(world: World) -> None:
    key = world.thing(size=3)
    world.run(5)
    world.cloud.ignores_updates = True
    world.set_field(key, "size", 4)
    world.run(300)
    updates = [call for call in world.cloud.calls if call[0] == "update"]
    assert 5 <= len(updates) <= 12, "1, 2, 4 ... 60 s apart"
    assert "DriftDetected" not in world.recorder.reasons("a")


def test_what_vanishes_is_made_again(world: World) -> None:
    key = world.thing()
    world.run(40)
    first = world.external_name(key)
    del world.cloud.objects[first]
    world.run(70)
    assert world.states(key) == SETTLED
    assert world.external_name(key) != first
    assert list(world.cloud.objects) == [world.external_name(key)]


def test_deleting_waits_until_the_thing_is_gone(world: World) -> None:
    key = world.thing()
    world.run(40)
    world.cloud.delete_stays = True
    world.delete(key)
    world.run(5)
    assert world.states(key) == ("Deleting", "ReconcileSuccess")
    world.cloud.objects.clear()
    world.run(60)
    assert world.obj(key) is None
    assert "DeletedExternalResource" in world.recorder.reasons("a")


def test_deleting_soon_after_creating_waits_for_the_grace(world: World) -> None:
    key = world.thing()
    world.run(3)
    world.delete(key)
    world.run(10)
    assert world.cloud.objects == {}
    assert world.obj(key) is not None, "its absence may still be the provider's lag"
    world.run(60)
    assert world.obj(key) is None


def test_a_guard_keeps_the_finalizer_and_says_why_once(world: World) -> None:
    key = world.thing()
    world.run(40)
    world.cloud.objects[world.external_name(key)].guarded = True
    world.delete(key)
    world.run(300)
    assert world.states(key) == ("Deleting", "ReconcileError")
    assert "allowDelete" in world.message(key)
    assert world.recorder.reasons("a").count("DeletionGuarded") == 1
    world.cloud.objects[world.external_name(key)].guarded = False
    world.run(70)
    assert world.obj(key) is None
    assert world.cloud.objects == {}


def test_a_guarded_object_goes_when_delete_leaves_the_policies(world: World) -> None:
    key = world.thing()
    world.run(40)
    id_ = world.external_name(key)
    world.cloud.objects[id_].guarded = True
    world.delete(key)
    world.run(5)
    world.edit(
        key,
        lambda obj: obj["spec"].update(managementPolicies=["Observe", "Create", "Update", "LateInitialize"]),
    )
    world.run(3)
    assert world.obj(key) is None
    assert id_ in world.cloud.objects, "Discord stays untouched"


def test_other_finalizers_go_first(world: World) -> None:
    key = world.thing()
    world.run(40)
    world.edit(key, lambda obj: obj["metadata"]["finalizers"].append("example.org/theirs"))
    world.delete(key)
    world.run(60)
    assert world.cloud.objects, "nothing is deleted while somebody else is not done"
    world.edit(key, lambda obj: obj["metadata"]["finalizers"].remove("example.org/theirs"))
    world.run(4)
    assert world.obj(key) is None
    assert world.cloud.objects == {}


def test_nothing_is_deleted_without_our_finalizer(world: World) -> None:
    key = world.thing()
    world.run(40)
    world.edit(key, lambda obj: obj["metadata"].update(finalizers=["example.org/theirs"]))
    world.delete(key)
    world.run(90)
    assert world.cloud.objects


def test_what_cannot_be_deleted_by_nature_is_let_go(world: World) -> None:
    key = world.thing()
    world.run(40)
    world.cloud.delete_wrote = False
    world.delete(key)
    world.run(3)
    assert world.obj(key) is None
    assert world.cloud.objects
    assert "ReleasedExternalResource" in world.recorder.reasons("a")


def test_an_object_that_never_reached_the_provider_can_be_deleted_without_it(world: World) -> None:
    world.thing(spec={"providerConfigRef": {"kind": "ProviderConfig", "name": "missing"}})
    world.run(3)
    (key,) = [key for resource, key in world.api.objects if resource == THINGS]
    world.delete(key)
    world.run(3)
    assert world.obj(key) is None


def test_usage_follows_the_object(world: World) -> None:
    key = world.thing()
    world.run(5)
    obj = world.obj(key)
    assert obj is not None
    usages = [o for o in world.api.objects.values() if o["kind"] == "ProviderConfigUsage"]
    (usage,) = usages
    assert usage["metadata"]["name"] == obj["metadata"]["uid"]
    assert usage["metadata"]["namespace"] == "ns"
    assert usage["metadata"]["labels"] == {
        meta.LABEL_CONFIG: "default",
        meta.LABEL_CONFIG_KIND: "ClusterProviderConfig",
    }
    (owner,) = usage["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == (obj["metadata"]["uid"], True)
    assert usage["providerConfigRef"] == {"kind": "ClusterProviderConfig", "name": "default"}
    assert usage["resourceRef"] == {"apiVersion": THINGS.api_version, "kind": "Thing", "name": "a"}
    world.run(40)
    world.delete(key)
    world.run(60)
    assert not [o for o in world.api.objects.values() if o["kind"] == "ProviderConfigUsage"]
