"""References are followed at every pass, in any order of arrival, and never written back."""

from __future__ import annotations

from typing import Any

import pytest

from provider_discord.managed import meta
from provider_discord.managed.errors import Blocked
from tests.unit.managed.managed_world import PLACES, SETTLED, THINGS, World


def place_of(world: World, key: Any) -> Any:
    return world.cloud.objects[world.external_name(key)].spec.get("placeId")


def test_a_reference_is_followed_into_a_copy(world: World) -> None:
    place = world.thing("here", resource=PLACES)
    key = world.thing(placeIdRef={"name": "here"})
    world.run(5)
    assert world.states(key) == SETTLED
    assert place_of(world, key) == world.external_name(place, resource=PLACES)
    obj = world.obj(key)
    assert obj is not None
    assert "placeId" not in obj["spec"]["forProvider"]
    assert obj["status"]["atProvider"]["placeId"] == place_of(world, key)


def test_an_object_waits_for_what_it_refers_to_and_is_woken_by_it(world: World) -> None:
    key = world.thing(placeIdRef={"name": "here"})
    world.run(200)
    assert world.states(key)[1] == "ReconcileError"
    assert "placeIdRef names Place ns/here, which does not exist" in world.message(key)
    assert world.recorder.reasons("a") == ["CannotResolveResourceReferences"], "after some patience, once"
    world.thing("here", resource=PLACES)
    world.run(2)
    assert world.states(key) == SETTLED


def test_waiting_briefly_is_told_to_nobody(world: World) -> None:
    key = world.thing(placeIdRef={"name": "here"})
    world.run(5)
    world.thing("here", resource=PLACES)
    world.run(2)
    assert world.states(key) == SETTLED
    assert world.recorder.reasons("a") == ["CreatedExternalResource"]


def test_a_remade_target_leaves_no_stale_id(world: World) -> None:
    place = world.thing("here", resource=PLACES)
    key = world.thing(placeIdRef={"name": "here"})
    world.run(40)
    first = world.external_name(place, resource=PLACES)
    del world.cloud.objects[first]
    world.run(70)
    second = world.external_name(place, resource=PLACES)
    assert second != first
    assert place_of(world, key) == second
    assert world.states(key) == SETTLED
    assert "DriftDetected" not in world.recorder.reasons("a"), "nobody changed it"


def test_what_concerns_referrers_wakes_them(world: World) -> None:
    """A category's permissions, say, which channels copy: they do not wait for their poll."""
    place = world.thing("here", resource=PLACES, size=1)
    world.thing(placeIdRef={"name": "here"})
    world.run(40)
    for change, woken in (({"size": 2}, True), ({"name": "there"}, False)):
        (field, value), *_ = change.items()
        world.set_field(place, field, value, resource=PLACES)
        world.cloud.calls.clear()
        world.run(1)
        assert ("update", "here") in world.cloud.calls
        assert (("observe", "a") in world.cloud.calls) is woken, field


def test_a_value_in_the_spec_wins_unless_always(world: World) -> None:
    place = world.thing("here", resource=PLACES)
    given = world.thing("given", placeId="42", placeIdRef={"name": "here"})
    always = world.thing("always", placeId="42", placeIdRef={"name": "here", "policy": {"resolve": "Always"}})
    world.run(5)
    assert place_of(world, given) == "42"
    assert place_of(world, always) == world.external_name(place, resource=PLACES)


def test_an_optional_reference_is_left_out_until_it_is_there(world: World) -> None:
    key = world.thing(placeIdRef={"name": "here", "policy": {"resolution": "Optional"}})
    world.run(5)
    assert world.states(key) == SETTLED
    assert place_of(world, key) is None
    place = world.thing("here", resource=PLACES)
    world.run(5)
    assert place_of(world, key) == world.external_name(place, resource=PLACES)


def test_always_lets_the_selector_win_over_the_name(world: World) -> None:
    named = world.thing("named", resource=PLACES)
    chosen = world.thing("chosen", resource=PLACES, labels={"tier": "top"})
    labels = {"tier": "top"}
    once = world.thing("once", placeIdRef={"name": "named"}, placeIdSelector={"matchLabels": labels})
    always = world.thing(
        "always",
        placeIdRef={"name": "named"},
        placeIdSelector={"matchLabels": labels, "policy": {"resolve": "Always"}},
    )
    world.run(5)
    assert place_of(world, once) == world.external_name(named, resource=PLACES)
    assert place_of(world, always) == world.external_name(chosen, resource=PLACES)


def test_a_reference_by_name_may_go_to_another_namespace(world: World) -> None:
    world.thing("here", resource=PLACES)
    there = world.thing("here", resource=PLACES, namespace="other")
    key = world.thing(placeIdRef={"name": "here", "namespace": "other"})
    world.run(5)
    assert place_of(world, key) == world.external_name(there, resource=PLACES)


def test_a_target_without_an_external_name_is_waited_for(world: World) -> None:
    place = world.thing("here", resource=PLACES, policies=["Observe"])
    key = world.thing(placeIdRef={"name": "here"})
    world.run(5)
    assert "placeIdRef names Place ns/here, which has no external name yet" in world.message(key)
    assert ("create", "a") not in world.cloud.calls
    id_ = world.cloud.make("Place", {"name": "here"})
    world.set_annotation(place, meta.EXTERNAL_NAME, id_, resource=PLACES)
    world.run(2)
    assert place_of(world, key) == id_


@pytest.mark.parametrize(
    ("reason", "fields"),
    [
        ("not found", {"placeIdRef": {"name": "nowhere"}}),
        ("found, and empty: it has no external name", {"placeIdRef": {"name": "unmade"}}),
        ("no match", {"placeIdSelector": {"matchLabels": {"tier": "none"}}}),
        ("a match, and empty", {"placeIdSelector": {"matchLabels": {"tier": "top"}}}),
    ],
)
def test_optional_turns_what_cannot_be_resolved_into_nothing(
    world: World, reason: str, fields: dict[str, Any]
) -> None:
    world.thing("unmade", resource=PLACES, policies=["Observe"], labels={"tier": "top"})
    needed = world.thing("needed", **fields)
    (field, given), *_ = fields.items()
    optional: dict[str, Any] = {field: {**given, "policy": {"resolution": "Optional"}}}
    key = world.thing(**optional)
    world.run(5)
    assert world.states(key) == SETTLED, reason
    assert place_of(world, key) is None, reason
    assert "cannot resolve spec.forProvider.placeId" in world.message(needed), "required is the default"


def test_selectors_match_labels_in_the_namespace(world: World) -> None:
    world.thing("elsewhere", resource=PLACES, namespace="other", labels={"tier": "top"})
    world.thing("wrong", resource=PLACES, labels={"tier": "low"})
    key = world.thing(placeIdSelector={"matchLabels": {"tier": "top"}})
    far = world.thing("far", placeIdSelector={"matchLabels": {"tier": "top"}, "namespace": "other"})
    world.run(5)
    assert "selects no Place in namespace ns" in world.message(key)
    assert world.states(far) == SETTLED
    right = world.thing("right", resource=PLACES, labels={"tier": "top"})
    world.run(3)
    assert world.states(key) == SETTLED
    assert place_of(world, key) == world.external_name(right, resource=PLACES)


@pytest.mark.parametrize("gone", [False, True])
def test_what_is_deleted_is_looked_at_when_what_was_in_it_is_gone(world: World, *, gone: bool) -> None:
    """It may not go before; `gone`: somebody else was faster."""
    place = world.thing("here", resource=PLACES)
    key = world.thing(placeIdRef={"name": "here"})
    world.run(40)
    world.cloud.refuses_deletes = Blocked("still holds something", reason="DeletionGuarded")
    world.api.delete(PLACES, place)
    world.run(5)
    assert (PLACES, place) in world.api.objects
    world.cloud.refuses_deletes = None
    if gone:
        del world.cloud.objects[world.external_name(key)]
    world.api.delete(THINGS, key)
    world.run(3)
    assert (THINGS, key) not in world.api.objects
    assert (PLACES, place) not in world.api.objects


def test_a_label_that_arrives_later_wakes_selectors(world: World) -> None:
    place = world.thing("here", resource=PLACES)
    key = world.thing(placeIdSelector={"matchLabels": {"tier": "top"}})
    world.run(50)
    world.edit(place, lambda obj: obj["metadata"].update(labels={"tier": "top"}), resource=PLACES)
    world.run(2)
    assert world.states(key) == SETTLED


def test_a_selector_can_ask_for_the_same_controller(world: World) -> None:
    owner = [{"apiVersion": "x/v1", "kind": "XR", "name": "xr", "uid": "xr-1", "controller": True}]
    one = world.thing("one", resource=PLACES)
    two = world.thing("two", resource=PLACES)
    world.edit(two, lambda obj: obj["metadata"].update(ownerReferences=owner), resource=PLACES)
    world.run(3)
    key = world.thing(placeIdSelector={"matchControllerRef": True})
    world.edit(key, lambda obj: obj["metadata"].update(ownerReferences=owner))
    world.run(5)
    assert place_of(world, key) == world.external_name(two, resource=PLACES)
    assert one != two


def test_a_reference_that_can_be_done_without_breaks_a_circle(world: World) -> None:
    """A guild refers to its channels, which refer to the guild."""
    place = world.thing("here", resource=PLACES, homeIdRef={"name": "a"})
    key = world.thing(placeIdRef={"name": "here"})
    world.run(5)
    assert world.states(key) == SETTLED
    assert world.states(place, resource=PLACES) == SETTLED
    world.run(2)
    assert world.cloud.last is not None
    seen = {world.cloud.last.name: world.cloud.last}
    world.set_annotation(place, meta.RECONCILE_TRIGGER, "1", resource=PLACES)
    world.run(0)
    seen[world.cloud.last.name] = world.cloud.last
    assert seen["here"].for_provider["homeId"] == world.external_name(key)
    assert seen["here"].unresolved == {}


def test_references_in_lists_are_followed_item_by_item(world: World) -> None:
    world.thing("one")
    world.run(3)
    key = world.thing(
        guests=[{"idRef": {"name": "one"}, "role": "x"}, {"id": "7"}, {"idRef": {"name": "late"}}]
    )
    world.run(5)
    assert "guests[2].id: idRef names Thing ns/late" in world.message(key)
    world.thing("late")
    world.run(5)
    assert world.states(key) == SETTLED
    world.set_annotation(key, meta.RECONCILE_TRIGGER, "1")
    world.run(0)
    assert world.cloud.last is not None
    assert [guest.get("id") for guest in world.cloud.last.for_provider["guests"]][1] == "7"
    assert all(guest.get("id") for guest in world.cloud.last.for_provider["guests"])


def test_deletion_needs_no_reference(world: World) -> None:
    place = world.thing("here", resource=PLACES)
    key = world.thing(placeIdRef={"name": "here"})
    world.run(40)
    place_id = world.external_name(place, resource=PLACES)
    world.delete(place, resource=PLACES)
    world.run(5)
    assert world.obj(place, resource=PLACES) is None
    world.delete(key)
    world.run(5)
    assert world.obj(key) is None
    assert world.cloud.objects == {}
    assert world.cloud.last is not None
    assert world.cloud.last.for_provider["placeId"] == place_id, "remembered in status.atProvider"


def test_a_waiting_object_writes_its_condition_once(world: World) -> None:
    world.thing(placeIdRef={"name": "here"})
    world.run(5)
    world.api.writes.clear()
    world.run(300)
    assert [write for write in world.api.writes if write[1] == THINGS.kind] == []


def test_a_target_whose_external_name_was_moved_is_not_followed(world: World) -> None:
    """Its own pass refuses it as long as nobody acknowledges it; who refers to it must not go ahead."""
    place = world.thing("here", resource=PLACES)
    key = world.thing(placeIdRef={"name": "here"})
    world.run(5)
    before = world.external_name(place, resource=PLACES)
    strangers = world.cloud.make("Place", {"name": "theirs"})
    world.cloud.observe_errors["here"] = Blocked("changed", reason="ExternalNameChanged")
    world.set_annotation(place, meta.EXTERNAL_NAME, strangers, resource=PLACES)
    world.run(130)
    assert place_of(world, key) == before
    assert "was changed" in world.message(key)
    world.cloud.observe_errors.clear()
    world.set_annotation(place, meta.ACKNOWLEDGED_NAME, strangers, resource=PLACES)
    world.run(130)
    assert place_of(world, key) == strangers
    assert world.states(key) == SETTLED


def test_a_reference_to_the_object_itself_says_so_and_does_not_hinder_its_deletion(world: World) -> None:
    key = world.thing(guests=[{"idRef": {"name": "a"}}])
    world.run(5)
    assert "idRef names Thing ns/a, which is this object itself" in world.message(key)
    assert world.cloud.objects == {}
    world.delete(key)
    world.run(5)
    assert world.obj(key) is None
