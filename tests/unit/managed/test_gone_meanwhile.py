"""An object goes away, without regard to its finalizer, while its thing is being made: nobody knows why.

What was made is left alone and told; nothing is made twice, and nothing of the object is left in the process.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from provider_discord.kube.errors import NotFound
from provider_discord.managed import meta
from tests.unit.managed.managed_world import SETTLED, THINGS, World


def at(world: World, label: str, doing: Callable[[], None]) -> None:
    """Do something when a pass comes to a label for the first time."""
    note, done = world.checkpoint, [False]

    def checkpoint(reached: str) -> None:
        note(reached)
        if reached == label and not done[0]:
            done[0] = True
            doing()

    setattr(world, "checkpoint", checkpoint)  # noqa: B010 - a method
    world.restart()


def remove(world: World, *, seen: bool) -> None:
    """Take the finalizer off and delete the object; `seen`: the watch brings that before the pass goes on."""
    (key,) = [key for resource, key in world.api.objects if resource == THINGS]
    world.edit(key, lambda obj: obj["metadata"].pop("finalizers"))
    world.delete(key)
    if seen:
        world.deliver()


@pytest.mark.parametrize("seen", [False, True], ids=["the watch is slow", "the watch is fast"])
def test_what_was_made_is_left_alone_and_told(world: World, seen: bool) -> None:
    at(world, "create.sent", lambda: remove(world, seen=seen))
    key = world.thing()
    world.run(5)
    (id_,) = world.cloud.objects
    assert world.obj(key) is None
    assert [verb for verb, _ in world.cloud.calls if verb == "delete"] == []
    kind, reason, message = next(rest for _, *rest in world.recorder.events if rest[1] == "LeftAlone")
    assert (kind, reason) == ("Warning", "LeftAlone")
    assert f"created external resource {id_}" in message
    tools = world.process.tools
    assert not tools.claims.claimed("Thing", id_), "whoever wants it may have it"
    assert not [name for name, table in vars(tools.memory).items() if name[0] != "_" and table]
    other = world.thing("other", annotations={meta.EXTERNAL_NAME: id_})
    world.run(5)
    assert world.states(other) == SETTLED


@pytest.mark.parametrize("seen", [False, True], ids=["the watch is slow", "the watch is fast"])
def test_what_is_made_anew_under_its_name_keeps_its_own_claim(world: World, seen: bool) -> None:
    ours = world.cloud.make("Thing", {"name": "ours"})

    def replace() -> None:
        remove(world, seen=seen)
        world.thing("a", annotations={meta.EXTERNAL_NAME: ours})
        if seen:
            world.deliver()

    at(world, "create.sent", replace)
    key = world.thing("a")
    world.run(0.2)
    owner, new = world.process.tools.claims.owner("Thing", ours), world.obj(key)
    assert owner is not None
    assert new is not None
    assert owner.uid == new["metadata"]["uid"]
    world.run(5)
    assert world.states(key) == SETTLED
    assert world.external_name(key) == ours
    (left,) = world.cloud.objects.keys() - {ours}
    assert not world.process.tools.claims.claimed("Thing", left)


def test_an_adoption_leaves_no_claim_either(world: World) -> None:
    world.cloud.adopt_by_name = True
    there = world.cloud.make("Thing", {"name": "a"})

    def go() -> None:
        (key,) = [key for resource, key in world.api.objects if resource == THINGS]
        world.delete(key)
        world.deliver()

    at(world, "adopt.before-persist", go)
    world.thing("a")
    world.run(5)
    assert not world.process.tools.claims.claimed("Thing", there)
    assert list(world.cloud.objects) == [there]


def test_a_kind_that_is_not_served_for_a_moment_is_no_end(world: World) -> None:
    """An API server that starts may not know the CRD yet: then the object is there, and so is its attempt."""
    gone = NotFound(status=404, reason="NotFound", message="the server could not find the requested resource")
    gone.served = False
    at(world, "create.sent", lambda: world.fail("replace", gone, times=7))
    key = world.thing()
    world.run(60)
    assert world.states(key) == SETTLED
    assert list(world.cloud.objects) == [world.external_name(key)]
    assert "LeftAlone" not in world.recorder.reasons("a")
