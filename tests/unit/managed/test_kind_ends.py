"""Deleting a CRD deletes every object of its kind by one command. It costs nothing outside."""

from __future__ import annotations

import pytest

from provider_discord.kube.errors import Forbidden, ServerError, Unreachable
from provider_discord.kube.resource import Key, Resource
from provider_discord.managed import meta
from tests.unit.managed.managed_world import PLACES, SETTLED, THINGS, World


def settled(world: World) -> Key:
    key = world.thing()
    world.run(5)
    assert world.states(key) == SETTLED
    world.cloud.calls.clear()
    return key


def test_an_object_goes_with_its_kind_and_what_it_stands_for_stays(world: World) -> None:
    key = settled(world)
    id_ = world.external_name(key)
    world.kind_ends = lambda resource: resource == THINGS
    world.delete(key)
    world.run(5)
    assert world.obj(key) is None
    assert list(world.cloud.objects) == [id_]
    assert world.cloud.calls == [], "not even looked at: it must go also while the outside is away"
    kind, reason, message = next(rest for _, *rest in world.recorder.events if rest[1] == "LeftAlone")
    assert (kind, reason) == ("Warning", "LeftAlone")
    assert f"external resource {id_} stays at Discord as it is" in message


def test_another_kinds_objects_are_deleted_as_ever(world: World) -> None:
    key = settled(world)
    world.kind_ends = lambda resource: resource == PLACES
    world.delete(key)
    world.run(60)
    assert world.obj(key) is None
    assert world.cloud.objects == {}


def test_what_waited_for_a_guard_goes_too(world: World) -> None:
    key = settled(world)
    world.cloud.objects[world.external_name(key)].guarded = True
    world.delete(key)
    world.run(5)
    assert world.obj(key) is not None
    world.kind_ends = lambda _resource: True
    world.run(120)
    assert world.obj(key) is None
    assert len(world.cloud.objects) == 1


def test_it_needs_no_connection(world: World) -> None:
    key = settled(world)
    world.sessions.revoked.add(world.sessions.opened[-1].token)
    world.kind_ends = lambda _resource: True
    world.delete(key)
    world.run(5)
    assert world.obj(key) is None
    assert len(world.cloud.objects) == 1


def test_the_pause_of_an_object_holds_it_still(world: World) -> None:
    key = settled(world)
    world.set_annotation(key, meta.PAUSED, "true")
    world.kind_ends = lambda _resource: True
    world.delete(key)
    world.run(120)
    assert world.obj(key) is not None


@pytest.mark.parametrize(
    "error",
    [
        Forbidden(status=403, reason="Forbidden", message="may not get customresourcedefinitions"),
        ServerError(status=500, message="etcdserver: request timed out"),
        Unreachable("cut off"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_who_cannot_find_out_deletes_nothing(world: World, error: Exception) -> None:
    key = settled(world)
    trouble = [True]

    def kind_ends(_resource: Resource) -> bool:
        if trouble[0]:
            raise error
        return False

    world.kind_ends = kind_ends
    world.delete(key)
    world.run(300)
    assert len(world.cloud.objects) == 1
    assert world.obj(key) is not None
    if not isinstance(error, Unreachable):
        assert world.message(key).startswith("delete failed: ")
        assert str(error) in world.message(key)
    trouble[0] = False
    world.run(120)
    assert world.obj(key) is None
    assert world.cloud.objects == {}


def test_nobody_is_asked_about_an_object_that_stays(world: World) -> None:
    asked: list[Resource] = []
    world.kind_ends = lambda resource: bool(asked.append(resource))  # type: ignore[func-returns-value]
    key = settled(world)
    world.set_field(key, "size", 7)
    world.run(120)
    assert asked == []
