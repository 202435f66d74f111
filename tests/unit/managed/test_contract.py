"""Crossplane's contract step by step: pause, policies, import, requests, errors."""

from __future__ import annotations

import base64
import dataclasses
import math
from typing import Any

import pytest

from provider_discord.kube.errors import Forbidden, ServerError, Unreachable
from provider_discord.kube.resource import Key
from provider_discord.kube.workqueue import Priority
from provider_discord.managed import meta
from provider_discord.managed.connection import SECRETS
from provider_discord.managed.errors import Blocked, ExternalFailure, Paused, Waiting
from provider_discord.managed.external import Change, PassContext
from provider_discord.managed.resource import ManagedResource
from tests.unit.managed.managed_world import CONFIGS, PLACES, SETTLED, THINGS, USAGES, CloudConnector, World


def calls(world: World) -> set[str]:
    return {verb for verb, _ in world.cloud.calls}


@pytest.mark.parametrize("how", ["annotation", "policies"])
def test_pause_stops_everything_deletion_included(world: World, how: str) -> None:
    key = world.thing()
    world.run(40)
    if how == "annotation":
        world.set_annotation(key, meta.PAUSED, "true")
    else:
        world.edit(key, lambda obj: obj["spec"].update(managementPolicies=[]))
    world.run(2)
    assert world.states(key) == ("Available", "ReconcilePaused")
    world.cloud.calls.clear()
    world.delete(key)
    world.run(130)
    assert world.cloud.calls == []
    assert world.obj(key) is not None
    assert world.recorder.reasons("a").count("ReconciliationPaused") == 1
    if how == "annotation":
        world.set_annotation(key, meta.PAUSED, None)
    else:
        world.edit(key, lambda obj: obj["spec"].update(managementPolicies=["*"]))
    world.run(3)
    assert world.obj(key) is None


def test_only_the_text_true_pauses(world: World) -> None:
    key = world.thing(annotations={meta.PAUSED: "yes"})
    world.run(3)
    assert world.states(key) == SETTLED


def test_a_reconcile_request_is_handled_once_and_acknowledged(world: World) -> None:
    key = world.thing(size=1)
    world.run(40)
    world.cloud.objects[world.external_name(key)].spec["size"] = 2
    world.set_annotation(key, meta.RECONCILE_REQUESTED_AT, "token-1")
    world.run(0)
    obj = world.obj(key)
    assert obj is not None
    assert obj["status"]["lastHandledReconcileAt"] == "token-1"
    assert world.cloud.objects[world.external_name(key)].spec["size"] == 1, "at once, not at the poll"
    world.run(130)
    assert world.recorder.reasons("a").count("ReconcileRequestHandled") == 1


def test_the_trigger_annotation_reconciles_at_once(world: World) -> None:
    key = world.thing(size=1)
    world.run(40)
    world.cloud.objects[world.external_name(key)].spec["size"] = 2
    world.set_annotation(key, meta.RECONCILE_TRIGGER, "anything")
    world.run(0)
    assert world.cloud.objects[world.external_name(key)].spec["size"] == 1


@pytest.mark.parametrize(
    "given",
    [["Create"], ["Delete", "Update"], ["LateInitialize"], ["Observe", "Delete", "Update"], ["Nonsense"]],
)
def test_an_unsupported_set_of_policies_is_refused(world: World, given: list[str]) -> None:
    key = world.thing(policies=given)
    world.run(130)
    assert world.states(key) == ("", "ReconcileError")
    assert "not a supported combination" in world.message(key)
    assert world.recorder.reasons("a") == ["CannotUseInvalidManagementPolicy"]
    assert world.cloud.calls == []


@dataclasses.dataclass
class PolicyCase:
    reason: str
    policies: str
    exists: bool
    drifted: bool
    expected: set[str]
    synced: str


ACTIONS = {"O": "Observe", "C": "Create", "U": "Update", "D": "Delete", "L": "LateInitialize"}


@pytest.mark.parametrize(
    "case",
    [
        PolicyCase("observe-only mirrors and never writes", "O", True, True, {"observe"}, "ReconcileSuccess"),
        PolicyCase(
            "observe-only says that nothing is there", "O", False, False, {"observe"}, "ReconcileError"
        ),
        PolicyCase("no Update leaves drift", "OCD", True, True, {"observe"}, "ReconcileSuccess"),
        PolicyCase("Update puts it back", "OU", True, True, {"observe", "update"}, "ReconcileSuccess"),
        PolicyCase(
            "the trap: OU on an absent thing must not update",
            "OU",
            False,
            False,
            {"observe"},
            "ReconcileError",
        ),
        PolicyCase(
            "the trap: OD on an absent thing is not fine", "OD", False, False, {"observe"}, "ReconcileError"
        ),
        PolicyCase(
            "the trap: OL on an absent thing is not fine", "OL", False, False, {"observe"}, "ReconcileError"
        ),
        PolicyCase(
            "OUL is OU: nothing is late-initialised",
            "OUL",
            True,
            True,
            {"observe", "update"},
            "ReconcileSuccess",
        ),
        PolicyCase("OUL makes nothing either", "OUL", False, False, {"observe"}, "ReconcileError"),
        PolicyCase("OCU puts back", "OCU", True, True, {"observe", "update"}, "ReconcileSuccess"),
        PolicyCase("OCUL puts back", "OCUL", True, True, {"observe", "update"}, "ReconcileSuccess"),
        PolicyCase("OCUL makes it", "OCUL", False, False, {"observe", "create"}, "ReconcileSuccess"),
        PolicyCase("OCUD puts back", "OCUD", True, True, {"observe", "update"}, "ReconcileSuccess"),
        PolicyCase("OCUD makes it", "OCUD", False, False, {"observe", "create"}, "ReconcileSuccess"),
        PolicyCase("Create makes it", "OC", False, False, {"observe", "create"}, "ReconcileSuccess"),
        PolicyCase("all five are everything", "OCUDL", True, True, {"observe", "update"}, "ReconcileSuccess"),
    ],
    ids=lambda case: f"{case.policies}-{'there' if case.exists else 'absent'}",
)
def test_policies_bound_what_is_done(world: World, case: PolicyCase) -> None:
    id_ = world.cloud.make("Thing", {"name": "a", "size": 9 if case.drifted else 1}) if case.exists else "77"
    key = world.thing(
        size=1, policies=[ACTIONS[letter] for letter in case.policies], annotations={meta.EXTERNAL_NAME: id_}
    )
    world.run(3)
    assert calls(world) == case.expected, case.reason
    assert world.states(key)[1] == case.synced, case.reason
    if case.exists:
        obj = world.obj(key)
        assert obj is not None
        assert obj["status"]["atProvider"]["id"] == id_, case.reason


def test_without_delete_the_object_goes_and_the_thing_stays(world: World) -> None:
    key = world.thing(policies=["Observe", "Create", "Update"])
    world.run(40)
    world.cloud.calls.clear()
    world.delete(key)
    world.run(2)
    assert world.obj(key) is None
    assert world.cloud.objects
    assert world.cloud.calls == [], "neither connected nor observed"


def test_reapplied_objects_are_readopted_without_a_write(world: World) -> None:
    """A backup is applied again: kubectl get -o yaml, deleted without Delete, kubectl apply."""
    key = world.thing(size=4, policies=["Observe", "Create", "Update"])
    world.run(40)
    backup = world.obj(key)
    assert backup is not None
    world.delete(key)
    world.run(2)
    world.cloud.calls.clear()
    for field in ("uid", "resourceVersion", "creationTimestamp", "deletionTimestamp"):
        backup["metadata"].pop(field, None)
    world.api.create(THINGS, backup)
    world.run(3)
    assert world.states(key) == SETTLED
    assert calls(world) == {"observe"}


def test_import_by_external_name(world: World) -> None:
    id_ = world.cloud.make("Thing", {"name": "a", "size": 1})
    key = world.thing(size=1, annotations={meta.EXTERNAL_NAME: id_})
    world.run(2)
    assert world.states(key) == SETTLED
    assert calls(world) == {"observe"}


def test_an_impossible_external_name_counts_as_absent(world: World) -> None:
    key = world.thing(annotations={meta.EXTERNAL_NAME: "a"})
    world.run(3)
    assert world.states(key) == SETTLED
    assert world.external_name(key) in world.cloud.objects


def test_adoption_by_name_is_persisted_before_anything_is_written(world: World) -> None:
    id_ = world.cloud.make("Thing", {"name": "a", "size": 1})
    world.cloud.adopt_by_name = True
    order: list[str] = []
    world.api.hooks.append(
        lambda verb, resource, _key: order.append(verb) if resource == THINGS and verb == "replace" else None
    )
    key = world.thing(size=2)
    seen: list[Any] = []
    original = world.checkpoint

    def spy(label: str) -> None:
        if label == "update.before":
            seen.append(world.external_name(key))
        original(label)

    object.__setattr__(world.process.tools, "checkpoint", spy)
    world.run(3)
    assert seen == [id_]
    assert world.cloud.objects[id_].spec["size"] == 2
    assert world.states(key) == SETTLED


def test_an_object_on_its_way_out_adopts_nothing_by_name(world: World) -> None:
    world.cloud.refusal = Blocked("no", reason="No")
    key = world.thing()
    world.run(3)
    world.cloud.make("Thing", {"name": "a"})
    world.cloud.adopt_by_name = True
    world.delete(key)
    world.run(5)
    assert world.obj(key) is None
    assert world.cloud.objects, "what merely shares its name was never ours to delete"


def test_the_poll_interval_annotation_is_followed_and_clamped(world: World) -> None:
    world.thing("slow", annotations={meta.POLL_INTERVAL: "1h"})
    world.thing("fast", annotations={meta.POLL_INTERVAL: "1ms"})
    world.thing("odd", annotations={meta.POLL_INTERVAL: "soon"})
    world.run(100)
    world.cloud.calls.clear()
    world.run(600)
    counts = {name: sum(1 for _, of in world.cloud.calls if of == name) for name in ("slow", "fast", "odd")}
    assert counts["slow"] == 0
    assert 50 <= counts["fast"] <= 70
    assert 8 <= counts["odd"] <= 13


@dataclasses.dataclass
class ErrorCase:
    reason: str
    error: Exception
    looks: range
    event: str
    says: str


@pytest.mark.parametrize(
    "case",
    [
        ErrorCase(
            "a failure backs off 1, 2, 4 ... 60 s",
            ExternalFailure("503"),
            range(9, 13),
            "CannotObserveExternalResource",
            "observe failed: 503",
        ),
        ErrorCase(
            "a failure that names a time is tried then",
            ExternalFailure("503", retry_after=100),
            range(3, 5),
            "CannotObserveExternalResource",
            "observe failed: 503",
        ),
        ErrorCase(
            "a block is polled",
            Blocked("hidden", reason="HiddenOrGone"),
            range(5, 8),
            "HiddenOrGone",
            "hidden",
        ),
        ErrorCase(
            "a rate limit is quiet", Waiting("limit", retry_after=50, quiet=True), range(6, 8), "", "limit"
        ),
        ErrorCase(
            "a wait may be told", Waiting("wait", retry_after=50), range(6, 8), "CannotObserve", "wait"
        ),
        ErrorCase(
            "a pause from above", Paused("guild paused"), range(5, 8), "ReconciliationPaused", "guild paused"
        ),
        ErrorCase(
            "a bug is told as one",
            ZeroDivisionError("x"),
            range(9, 13),
            "InternalError",
            "internal error in observe",
        ),
    ],
    ids=lambda case: case.reason,
)
def test_errors_decide_event_condition_and_requeue(world: World, case: ErrorCase) -> None:
    world.cloud.observe_error = case.error
    key = world.thing()
    world.run(300)
    assert len(world.cloud.calls) in case.looks, case.reason
    assert case.says in world.message(key), case.reason
    told = world.recorder.reasons("a")
    assert len(told) == (1 if case.event else 0), "said once, not at every look"
    assert all(reason.startswith(case.event) for reason in told), case.reason
    world.cloud.observe_error = None
    world.run(110)
    assert world.states(key) == SETTLED


def test_a_rate_limit_does_not_unsync_what_was_synced(world: World) -> None:
    key = world.thing()
    world.run(40)
    world.api.writes.clear()
    world.cloud.observe_error = Waiting("rate limited", retry_after=5, quiet=True)
    world.run(200)
    assert world.states(key) == SETTLED
    assert world.api.writes == []


def test_a_wait_for_longer_than_a_poll_is_told(world: World) -> None:
    """Until then nobody looks: that it is synced is no longer known."""
    key = world.thing()
    world.run(40)
    world.cloud.observe_error = Waiting("rate limited until noon", retry_after=300, quiet=True)
    world.run(100)
    assert world.states(key)[1] == "ReconcileError"
    assert "rate limited until noon" in world.message(key)
    assert world.recorder.reasons("a") == ["CreatedExternalResource"], "a condition, no event"


def test_what_cannot_be_put_back_soon_is_told_and_a_short_wait_is_not(world: World) -> None:
    """Changed by hand, and the limit lets it be put back in ten minutes only."""
    key = world.thing(size=1)
    world.run(40)
    world.api.writes.clear()
    world.cloud.objects[world.external_name(key)].spec["size"] = 7
    world.cloud.update_error = Waiting("limit", retry_after=3, quiet=True)
    world.run(100)
    assert world.states(key) == SETTLED
    world.cloud.update_error = Waiting("limit on changes of size until noon", retry_after=580, quiet=True)
    world.run(100)
    assert world.states(key)[1] == "ReconcileError"
    assert "update failed: limit on changes of size until noon" in world.message(key)
    looks = len(world.cloud.calls)
    world.run(200)
    assert len(world.cloud.calls) >= looks + 3, (
        "looked at as often as any other: another field may drift meanwhile"
    )


@pytest.mark.parametrize(
    ("when", "retry_after"), [("observing", math.inf), ("updating", math.inf), ("updating", None)]
)
def test_a_wait_of_which_nobody_knows_the_end_is_told(
    world: World, when: str, retry_after: float | None
) -> None:
    """It may last for ever, and nothing is put right all that time."""
    key = world.thing(size=1)
    world.run(40)
    world.cloud.objects[world.external_name(key)].spec["size"] = 9
    waiting = Waiting("its category is not there", retry_after=retry_after, quiet=True)
    if when == "observing":
        world.cloud.observe_error = waiting
    else:
        world.cloud.refusal = waiting
    looks = len(world.cloud.calls)
    world.run(100)
    assert world.states(key)[1] == "ReconcileError"
    assert "its category is not there" in world.message(key)
    assert world.recorder.reasons("a") == ["CreatedExternalResource"], "a condition, no event"
    if retry_after is not None:
        assert len(world.cloud.calls) <= looks + 2, "looked at with a poll"
    world.cloud.observe_error = world.cloud.refusal = None
    world.run(100)
    assert world.states(key) == SETTLED


def test_what_was_told_is_told_again_after_things_were_well(world: World) -> None:
    world.thing()
    world.run(40)
    for _ in range(2):
        world.cloud.observe_error = ExternalFailure("503")
        world.run(70)
        world.cloud.observe_error = None
        world.run(140)
    assert world.recorder.reasons("a").count("CannotObserveExternalResource") == 2


def test_a_failing_update_says_so_and_backs_off(world: World) -> None:
    key = world.thing(size=1)
    world.run(5)
    world.cloud.update_error = ExternalFailure("Missing Permissions")
    world.set_field(key, "size", 2)
    world.run(2)
    assert world.message(key) == "update failed: Missing Permissions"
    assert world.states(key) == ("Available", "ReconcileError")
    assert world.condition(key, "Synced")["observedGeneration"] == 2


def test_conflicts_and_server_errors_of_the_api_server_are_survived(world: World) -> None:
    key = world.thing()
    world.fail("status", ServerError(status=500, message="etcd"), times=3)
    world.run(30)
    assert world.states(key) == SETTLED
    assert len(world.cloud.objects) == 1


@pytest.mark.parametrize("error", [Unreachable("no answer"), ServerError(status=500, message="etcd")])
def test_tries_while_the_api_server_is_in_trouble_look_at_what_a_poll_looks_at(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """However many they are: a look at Discord costs requests, unless it is a poll's."""
    key = world.thing(size=1)
    world.run(40)
    seen: list[Priority] = []
    connect = CloudConnector.connect

    def connected(self: CloudConnector, mr: ManagedResource, session: Any, context: PassContext) -> Any:
        seen.append(context.priority)
        return connect(self, mr, session, context)

    monkeypatch.setattr(CloudConnector, "connect", connected)
    world.fail("status", error, times=6)
    world.set_field(key, "size", 2)
    world.run(200)
    assert world.states(key) == SETTLED
    assert seen[0] is Priority.CHANGE
    assert len(seen) > 6
    assert set(seen[1:]) == {Priority.POLL}


def test_a_missing_right_on_usages_is_said(world: World) -> None:
    world.fail("create", Forbidden(status=403, message="RBAC says no"), times=2, resource=USAGES)
    key = world.thing()
    world.run(1)
    assert "connect failed" in world.message(key)
    assert "RBAC says no" in world.message(key)
    world.run(30)
    assert world.states(key) == SETTLED


def test_a_condition_keeps_its_time_while_it_stays_the_same(world: World) -> None:
    key = world.thing()
    world.run(3)
    before = world.condition(key, "Synced")
    world.run(300)
    assert world.condition(key, "Synced") == before
    world.cloud.observe_error = ExternalFailure("one")
    world.run(70)
    one = world.condition(key, "Synced")
    world.cloud.observe_error = ExternalFailure("two")
    world.run(130)
    two = world.condition(key, "Synced")
    assert before["lastTransitionTime"] < one["lastTransitionTime"] < two["lastTransitionTime"]


def test_unknown_status_fields_survive(world: World) -> None:
    key = world.thing()
    world.run(3)
    obj = world.api.get(THINGS, key)
    obj["status"]["theirs"] = {"a": 1}
    world.api.replace_status(THINGS, obj)
    world.set_field(key, "size", 5)
    world.run(3)
    after = world.obj(key)
    assert after is not None
    assert after["status"]["theirs"] == {"a": 1}


def test_a_kinds_memory_is_persisted(world: World) -> None:
    key = world.thing()
    world.cloud.remember = {"example.org/tags": "[1]"}
    world.run(5)
    assert world.annotation(key, "example.org/tags") == "[1]"
    assert world.states(key) == SETTLED


def test_a_look_may_be_asked_for_sooner(world: World) -> None:
    world.thing()
    world.cloud.requeue_after = 5.0
    world.run(10)
    world.cloud.calls.clear()
    world.run(50)
    assert 9 <= len(world.cloud.calls) <= 11


class TestConnectionSecrets:
    def publish(self, world: World) -> Key:
        world.cloud.details = {"id": b"7"}
        return world.thing(spec={"writeConnectionSecretToRef": {"name": "out"}})

    def test_are_written_owned_and_merged(self, world: World) -> None:
        key = self.publish(world)
        world.run(5)
        secret = world.api.get(SECRETS, Key("ns", "out"))
        obj = world.obj(key)
        assert obj is not None
        assert secret["type"] == meta.CONNECTION_SECRET_TYPE
        assert secret["metadata"]["ownerReferences"][0]["uid"] == obj["metadata"]["uid"]
        assert base64.b64decode(secret["data"]["id"]) == b"7"
        secret["data"]["theirs"] = "eA=="
        world.api.replace(SECRETS, secret)
        world.cloud.details = {"id": b"8"}
        world.run(70)
        merged = world.api.get(SECRETS, Key("ns", "out"))["data"]
        assert merged == {"id": base64.b64encode(b"8").decode(), "theirs": "eA=="}

    def test_leave_a_strangers_secret_alone(self, world: World) -> None:
        world.api.create(
            SECRETS, {"metadata": {"namespace": "ns", "name": "out"}, "type": "Opaque", "data": {}}
        )
        key = self.publish(world)
        world.run(5)
        assert "no connection secret" in world.message(key)
        assert world.api.get(SECRETS, Key("ns", "out"))["data"] == {}

    def test_leave_another_objects_secret_alone(self, world: World) -> None:
        self.publish(world)
        world.run(5)
        other = world.thing("b", spec={"writeConnectionSecretToRef": {"name": "out"}})
        world.run(5)
        assert "is controlled by Thing a" in world.message(other)


def test_an_update_that_must_not_be_sent_is_not_sent(world: World) -> None:
    key = world.thing(size=1)
    world.run(5)
    world.cloud.refusal = Blocked("the bot would lock itself out", reason="WouldLockOut")
    world.run(130)
    assert world.states(key) == SETTLED, "it hinders nothing while nothing differs"
    world.set_field(key, "size", 2)
    world.run(130)
    assert world.message(key) == "update failed: the bot would lock itself out"
    assert world.recorder.reasons("a").count("WouldLockOut") == 1
    assert "update" not in calls(world)


def test_what_an_update_wants_remembered_is_persisted(world: World) -> None:
    key = world.thing(size=1)
    world.run(5)
    world.cloud.on_update = Change(annotations={"example.org/tags": "[2]"})
    world.set_field(key, "size", 2)
    world.run(1)
    assert world.annotation(key, "example.org/tags") == "[2]"


def test_an_update_that_is_being_gathered_is_looked_at_when_it_asks(world: World) -> None:
    world.thing(size=1)
    world.run(5)
    world.cloud.on_update = Change(wrote=False, requeue_after_seconds=2.0)
    world.set_field(Key("ns", "a"), "size", 2)
    world.cloud.calls.clear()
    world.run(20)
    assert 9 <= sum(1 for verb, _ in world.cloud.calls if verb == "update") <= 12
    assert "UpdatedExternalResource" not in world.recorder.reasons("a"), "nothing was sent"
    assert "DriftDetected" not in world.recorder.reasons("a")


@pytest.mark.parametrize("wrote", [False, True])
def test_what_is_still_being_gathered_is_not_called_settled(world: World, *, wrote: bool) -> None:
    """Who waits for Ready and Synced must find its place among its siblings right, too."""
    world.cloud.adopt_by_name = True
    world.cloud.make("Thing", {"name": "hall", "size": 1})
    world.cloud.on_update = Change(wrote=wrote, requeue_after_seconds=2.0)
    key = world.thing(name="hall", size=2)
    world.run(10)
    assert world.states(key) == ("", "")
    world.cloud.on_update = None
    world.run(10)
    assert world.states(key) == SETTLED

    world.cloud.on_update = Change(wrote=wrote, requeue_after_seconds=2.0)
    world.set_field(key, "size", 3)
    world.run(10)
    assert world.states(key) == SETTLED
    conditions = (world.obj(key) or {})["status"]["conditions"]
    assert {one["observedGeneration"] for one in conditions} == {1}, "what it says is of the manifest before"


def test_warnings_of_a_kind_are_told_once_a_generation(world: World) -> None:
    key = world.thing(size=1)
    world.cloud.warnings = ("nsfw means nothing for a category",)
    world.run(300)
    assert world.recorder.reasons("a").count("ExternalResourceWarning") == 1
    world.set_field(key, "size", 2)
    world.run(100)
    assert world.recorder.reasons("a").count("ExternalResourceWarning") == 2
    assert world.states(key) == SETTLED


def test_a_pass_that_began_too_early_writes_nothing(world: World) -> None:
    """The list of another kind is not in yet: neither a condition nor an event, just another look."""
    world.process.stores[PLACES]._synced.clear()
    key = world.thing(placeIdRef={"name": "here"})
    world.run(5)
    assert world.states(key) == ("", "")
    world.thing("here", resource=PLACES)
    world.process.stores[PLACES].mark_synced()
    world.run(5)
    assert world.states(key) == SETTLED


def test_a_usage_that_says_something_else_is_corrected(world: World) -> None:
    world.configure("second")
    key = world.thing()
    world.run(5)
    world.edit(
        key, lambda obj: obj["spec"].update(providerConfigRef={"kind": "ProviderConfig", "name": "second"})
    )
    world.run(5)
    (usage,) = [obj for (of, _), obj in world.api.objects.items() if of == USAGES]
    assert usage["providerConfigRef"] == {"kind": "ProviderConfig", "name": "second"}
    assert usage["metadata"]["labels"][meta.LABEL_CONFIG] == "second"
    world.run(5)
    counts = [
        (world.obj(Key("", name), resource=CONFIGS) or {})["status"]["users"]
        for name in ("default", "second")
    ]
    assert counts == [0, 1]


def test_a_usage_that_the_cache_does_not_know_yet_is_found(world: World) -> None:
    key = world.thing()
    world.run(5)
    world.process.usage_store._entries.clear()
    world.set_field(key, "size", 2)
    world.run(5)
    assert world.states(key) == SETTLED
    assert len([1 for of, _ in world.api.objects if of == USAGES]) == 1


def test_drift_that_shall_stay_is_told_once(world: World) -> None:
    key = world.thing(size=1, policies=["Observe", "Create", "Delete"])
    world.run(40)
    world.cloud.objects[world.external_name(key)].spec["size"] = 9
    world.run(300)
    assert world.recorder.reasons("a").count("DriftDetected") == 1
    assert world.cloud.objects[world.external_name(key)].spec["size"] == 9
