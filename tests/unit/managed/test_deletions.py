"""What the object says of a delete that is about to be sent, so that whoever finds the thing missing knows of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from structlog.testing import capture_logs

from provider_discord.kube.errors import ServerError, Unreachable
from provider_discord.kube.resource import Key
from provider_discord.managed import deletions, meta
from provider_discord.managed.errors import Blocked, ExternalFailure, ManagedError, Waiting
from provider_discord.managed.resource import ManagedResource
from tests.unit.managed.managed_world import THINGS, World

_REFUSED = Blocked("the bot may not", reason="MissingPermission")


def settled(world: World) -> Key:
    key = world.thing()
    world.run(40)
    world.api.writes.clear()
    world.cloud.calls.clear()
    return key


def record(world: World, key: Key) -> dict[str, Any] | None:
    text = world.annotation(key, meta.DELETE_ATTEMPT)
    return None if text is None else dict(json.loads(text))


def on_label(world: World, label: str, doing: Callable[[], Any]) -> None:
    note = world.checkpoint

    def checkpoint(reached: str) -> None:
        if reached == label:
            doing()
        note(reached)

    setattr(world, "checkpoint", checkpoint)  # noqa: B010 - a method
    world.restart()


def puts(world: World) -> int:
    return world.api.writes.count(("replace", "Thing", Key("ns", "a")))


def test_a_delete_is_on_the_object_before_it_leaves(world: World) -> None:
    key = settled(world)
    obj, id_ = world.obj(key), world.external_name(key)
    assert obj is not None
    seen: list[tuple[dict[str, Any] | None, int]] = []
    on_label(world, "delete.pending", lambda: seen.append((record(world, key), len(world.cloud.objects))))
    world.kill_at = "delete.pending"
    world.delete(key)
    world.run(60)
    (written, there), *_ = seen
    assert there == 1, "it has not left yet"
    assert written is not None
    assert (written["id"], written["uid"], written["sight"]) == (id_, obj["metadata"]["uid"], "clear")
    assert len(seen) == 2, "killed there, and passed by the next process"
    assert world.obj(key) is None
    assert world.cloud.objects == {}
    assert puts(world) == 2, "this, and the finalizer"


def test_a_guard_comes_first_and_costs_no_write(world: World) -> None:
    key = settled(world)
    world.cloud.objects[world.external_name(key)].guarded = True
    world.delete(key)
    world.run(300)
    assert puts(world) == 0
    assert record(world, key) is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ServerError(status=500, reason="InternalError", message="etcd has no leader"), "refused"),
        (Unreachable("connection refused"), "away"),
    ],
)
def test_a_delete_that_cannot_be_recorded_is_not_sent(world: World, error: Exception, reason: str) -> None:
    key = settled(world)
    world.fail("replace", error, times=3)
    world.delete(key)
    world.run(0.5)
    assert world.cloud.objects, reason
    world.run(60)
    assert world.obj(key) is None


def test_a_delete_is_not_recorded_over_a_newer_object(world: World) -> None:
    key = settled(world)
    passed: list[bool] = []

    def edit() -> None:
        if not passed:
            passed.append(True)
            world.edit(
                key, lambda obj: obj["spec"].update(managementPolicies=["Observe", "Create", "Update"])
            )

    on_label(world, "delete.before-pending", edit)
    world.delete(key)
    world.run(60)
    assert passed
    assert world.obj(key) is None
    assert world.cloud.objects, "it was let go in the last moment"


def test_a_delete_that_is_refused_is_sent_ever_more_seldom(world: World) -> None:
    key = settled(world)
    world.cloud.refuses_deletes = _REFUSED
    world.delete(key)
    world.run(3600)
    sent = world.cloud.calls.count(("delete", "a"))
    assert 9 <= sent <= 12, "1, 2, 4, 8 and then 10 polls apart"
    assert puts(world) == 2 * sent
    assert world.cloud.calls.count(("observe", "a")) >= 50, "it is looked at with each poll all the same"
    assert world.message(key) == "delete failed: the bot may not"
    assert world.states(key)[0] == "Deleting"
    world.cloud.refuses_deletes = None
    world.set_annotation(key, meta.RECONCILE_TRIGGER, "now")
    world.run(5)
    assert world.obj(key) is None, "whatever changes, it is tried at once"


@dataclass
class Case:
    reason: str
    error: ManagedError
    stays: bool


@pytest.mark.parametrize(
    "case",
    [
        Case("a refusal lasts, and what is missing later was not deleted by us", _REFUSED, stays=False),
        Case("no answer: it may have been carried out", ExternalFailure("no answer"), stays=True),
        Case("it is sent again in a moment", Waiting("rate limit", retry_after=5.0), stays=True),
    ],
    ids=lambda case: case.reason,
)
def test_a_record_stays_until_the_delete_is_refused(world: World, case: Case) -> None:
    key = settled(world)
    world.cloud.refuses_deletes = case.error
    world.delete(key)
    world.run(30)
    assert (record(world, key) is not None) is case.stays, case.reason
    assert puts(world) == (1 if case.stays else 2), "tried again, it says the same and costs no write"


def test_a_record_of_an_earlier_try_goes_when_a_guard_refuses_the_next(world: World) -> None:
    key = settled(world)
    world.cloud.refuses_deletes = ExternalFailure("no answer")
    world.delete(key)
    world.run(2)
    assert record(world, key) is not None
    world.cloud.objects[world.external_name(key)].guarded = True
    world.run(300)
    assert record(world, key) is None
    assert puts(world) == 2


def test_what_it_was_seen_by_is_brought_up_to_date(world: World) -> None:
    key = settled(world)
    world.cloud.refuses_deletes = ExternalFailure("no answer")
    world.delete(key)
    world.run(2)
    world.cloud.sight = "dim"
    world.run(10)
    written = record(world, key)
    assert written is not None
    assert written["sight"] == "dim"


def test_a_record_that_cannot_be_withdrawn_is_told_and_withdrawn_later(world: World) -> None:
    key = settled(world)
    world.cloud.refuses_deletes = _REFUSED
    fails = world.timings.critical_attempts

    def hook(verb: str, resource: Any, _key: Key) -> None:
        nonlocal fails
        if verb == "replace" and resource == THINGS and record(world, key) is not None and fails:
            fails -= 1
            raise ServerError(status=500, reason="InternalError", message="etcd has no leader")

    world.api.hooks.append(hook)
    world.delete(key)
    with capture_logs() as lines:
        world.run(1)
    assert [line["cause"] for line in lines if "could not withdraw" in line["event"]]
    assert world.message(key) == "delete failed: the bot may not", "the refusal is what is told"
    assert record(world, key) is not None
    world.run(70)
    assert record(world, key) is None


def test_the_end_of_a_delete_without_an_answer_is_told(world: World) -> None:
    key = settled(world)
    id_ = world.external_name(key)
    world.kill_at = "delete.sent"
    world.delete(key)
    world.run(60)
    assert world.obj(key) is None
    told = [message for _, _, reason, message in world.recorder.events if reason == "DeletedExternalResource"]
    assert told == [f"external resource {id_}, whose deletion was begun, is gone"]


def test_a_delete_that_was_answered_is_told_once(world: World) -> None:
    key = settled(world)
    world.delete(key)
    world.run(60)
    assert world.obj(key) is None
    assert world.recorder.reasons("a").count("DeletedExternalResource") == 1


def _object(**metadata: Any) -> ManagedResource:
    whole = {
        "name": "a",
        "namespace": "ns",
        "uid": "u",
        "deletionTimestamp": "2026-01-01T00:00:00Z",
    } | metadata
    return ManagedResource.of(THINGS, {"metadata": whole, "spec": {}})


@pytest.mark.parametrize(
    ("annotations", "metadata", "valid", "reason"),
    [
        ({}, {}, True, "as it was written"),
        ({}, {"uid": "another"}, False, "another object: made anew, restored or copied"),
        ({}, {"deletionTimestamp": None}, False, "nobody wants it deleted"),
        ({meta.EXTERNAL_NAME: "8"}, {}, False, "it stands for something else now"),
        ({meta.EXTERNAL_NAME: ""}, {}, False, "it stands for nothing"),
        ({meta.DELETE_ATTEMPT: "{"}, {}, False, "nonsense"),
        ({meta.DELETE_ATTEMPT: "[]"}, {}, False, "JSON, but no record"),
        ({meta.DELETE_ATTEMPT: "[" * 100_000}, {}, False, "nested without end"),
    ],
)
def test_a_record_is_about_one_thing_and_one_object(
    annotations: dict[str, str], metadata: dict[str, Any], valid: bool, reason: str
) -> None:
    was = _object(annotations={meta.EXTERNAL_NAME: "7"})
    written = deletions.begun(was, sight="clear", at=was.created_at)
    held = {meta.EXTERNAL_NAME: "7", **{name: value or "" for name, value in written.items()}, **annotations}
    assert (deletions.begun_deletion(_object(annotations=held, **metadata)) is not None) is valid, reason
