"""What an unkind API server, or an unlucky moment, must not make of it."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from provider_discord.kube.errors import ApiError, Conflict, ServerError, Unreachable
from provider_discord.kube.resource import Obj, Resource
from provider_discord.managed import meta
from tests.unit.managed.managed_world import CONFIGS, SETTLED, THINGS, World


def test_a_success_whose_record_was_written_without_an_answer_is_our_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next try meets a conflict with what the first one wrote: nobody else has settled anything."""
    replace, lost = world.api.replace, [True]

    def without_answer(resource: Resource, obj: Obj) -> Obj:
        written = replace(resource, obj)
        if resource == THINGS and meta.CREATE_SUCCEEDED in meta.annotations_of(obj) and lost:
            lost.clear()
            msg = "the connection broke"
            raise Unreachable(msg)
        return written

    monkeypatch.setattr(world.api, "replace", without_answer)
    with capture_logs() as lines:
        key = world.thing()
        world.run(5)
    assert not lost
    assert world.states(key) == SETTLED
    assert not [line for line in lines if "somebody else" in line["event"]]
    assert world.recorder.reasons("a") == ["CreatedExternalResource"]


@pytest.mark.parametrize(
    "error",
    [
        Conflict(status=409, reason="Conflict", message="the object has been modified"),
        ServerError(status=500, reason="InternalError", message="etcd has no leader"),
    ],
    ids=["conflict", "refused"],
)
def test_a_session_that_was_opened_for_a_config_that_cannot_be_written_is_closed(error: ApiError) -> None:
    world = World()
    failed: list[str] = []

    def hook(verb: str, resource: Resource, _key: Any) -> None:
        if verb == "replace" and resource == CONFIGS and world.sessions.opened and not failed:
            failed.append(verb)
            raise error

    world.api.hooks.append(hook)
    world.configure()
    key = world.thing()
    world.run(10)
    assert failed
    assert world.states(key) == SETTLED
    assert [session.closed for session in world.sessions.opened] == [True, False]


def test_who_waits_for_a_name_is_woken_when_its_owner_was_replaced_between_two_lists(world: World) -> None:
    id_ = world.cloud.make("Thing", {"name": "x"})
    older = world.thing("older", annotations={meta.EXTERNAL_NAME: id_})
    world.run(2)
    younger = world.thing("younger", annotations={meta.EXTERNAL_NAME: id_})
    world.run(2)
    assert "belongs to" in world.message(younger)
    world.deliveries = False
    world.edit(older, lambda obj: obj["metadata"].pop("finalizers"))
    world.delete(older)
    world.thing("older", annotations={meta.EXTERNAL_NAME: world.cloud.make("Thing", {"name": "y"})})
    world.api.changes.clear()
    world.deliveries = True
    change = world.process.stores[THINGS].put(world.api.get(THINGS, older))
    assert change is not None
    world.process.controller.handler(THINGS)(change)
    world.run(1)
    assert world.states(younger) == SETTLED, "and not only at its next poll"


def test_an_object_with_no_finalizer_at_all_is_let_go_too(world: World) -> None:
    """No API server keeps such an object; if one shows it, nobody has asked us to delete anything."""
    key = world.thing()
    world.run(40)
    world.deliveries = False
    world.edit(key, lambda obj: obj["metadata"].pop("finalizers"))
    stored = world.api.objects[THINGS, key]
    stored["metadata"]["deletionTimestamp"] = meta.to_rfc3339(world.clock.wall())
    world.api._put("delete", THINGS, stored)
    world.deliveries = True
    world.run(70)
    assert len(world.cloud.objects) == 1


@pytest.mark.parametrize("in_between", ["the grace after a create", "somebody else's finalizer", "conflicts"])
def test_a_request_is_told_once_also_by_passes_that_write_no_status(world: World, in_between: str) -> None:
    key = world.thing(annotations={meta.RECONCILE_REQUESTED_AT: "first"})
    world.run(3)
    if in_between == "the grace after a create":
        world.cloud.objects.clear()
    elif in_between == "conflicts":
        conflict = Conflict(status=409, reason="Conflict", message="the object has been modified")
        world.fail("status", conflict, times=4)
    else:
        world.edit(key, lambda obj: obj["metadata"]["finalizers"].append("example.org/theirs"))
        world.delete(key)
    world.set_annotation(key, meta.RECONCILE_REQUESTED_AT, "second")
    world.run(180)
    assert world.recorder.reasons("a").count("ReconcileRequestHandled") == 2
