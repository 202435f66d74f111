"""The managed-resource contract, step by step, where no other test of this folder holds a rule already.

`docs/design/conformance.md` names the test that holds each rule. The steps are numbered as there.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from provider_discord.kube.errors import Conflict, Forbidden, ServerError, Unreachable
from provider_discord.kube.resource import Key, Resource
from provider_discord.kube.workqueue import Priority
from provider_discord.managed import meta
from provider_discord.managed.connection import SECRETS
from provider_discord.managed.controller import Item
from provider_discord.managed.errors import Blocked, ExternalFailure
from provider_discord.managed.external import Change
from provider_discord.managed.results import Result
from provider_discord.telemetry.managed import ManagedInstruments, Served
from provider_discord.telemetry.metrics import Metrics
from tests.unit.managed.managed_world import CONFIGS, PLACES, SETTLED, THINGS, USAGES, World


def looks(world: World, verb: str = "observe") -> int:
    return sum(1 for of, _ in world.cloud.calls if of == verb)


def status_writes(world: World) -> int:
    return sum(1 for verb, kind, _ in world.api.writes if (verb, kind) == ("status", "Thing"))


# 1 GET.


def test_1_an_object_that_is_gone_is_forgotten(world: World) -> None:
    waiting = len(world.process.queue)
    world.process.controller.enqueue(THINGS, Key("ns", "never"), priority=Priority.CHANGE)
    world.run(1)
    assert world.cloud.calls == []
    assert len(world.process.queue) == waiting, "the config's poll, and nothing for what is gone"


# 2 Pause.


def test_2_a_paused_object_costs_nothing_and_its_requests_wait(world: World) -> None:
    key = world.thing(annotations={meta.PAUSED: "true", meta.RECONCILE_REQUESTED_AT: "t"})
    world.run(2)
    assert world.states(key) == ("", "ReconcilePaused")
    world.api.writes.clear()
    world.run(600)
    assert status_writes(world) == 0
    assert world.recorder.reasons("a") == ["ReconciliationPaused"], "and no ReconcileRequestHandled"


# 3 Requests.


@dataclasses.dataclass
class TokenCase:
    reason: str
    prepare: Callable[[World], None]


@pytest.mark.parametrize(
    "case",
    [
        TokenCase("a pass that creates writes metadata in between", lambda _world: None),
        TokenCase(
            "a pass that fails reports, too",
            lambda world: setattr(world.cloud, "observe_error", ExternalFailure("503")),
        ),
        TokenCase(
            "a pass that is turned away reports, too",
            lambda world: setattr(world.cloud, "observe_error", Blocked("hidden", reason="HiddenOrGone")),
        ),
        TokenCase(
            "a create that fails reports, too",
            lambda world: setattr(world.cloud, "create_error", ExternalFailure("503")),
        ),
    ],
    ids=lambda case: case.reason,
)
def test_3_the_token_is_in_every_status_update(world: World, case: TokenCase) -> None:
    case.prepare(world)
    key = world.thing(annotations={meta.RECONCILE_REQUESTED_AT: "t"})
    world.run(0)
    assert ((world.obj(key) or {})["status"]).get("lastHandledReconcileAt") == "t", case.reason


# 4 Policies.


def test_4_with_management_policies_off_every_other_set_is_refused(world: World) -> None:
    object.__setattr__(world.process.tools, "management_policies", False)
    key, plain = world.thing(policies=["Observe"]), world.thing("plain")
    paused = world.thing("paused", policies=[])
    world.run(3)
    assert world.message(key) == (
        'spec.managementPolicies [Observe] is not ["*"], and management policies are disabled'
    )
    assert world.states(paused) == ("", "ReconcileError")
    assert world.states(plain) == SETTLED
    assert {name for _, name in world.cloud.calls} == {"plain"}


# 6 and 16 The object is the user's.


def test_6_no_external_name_is_made_up_and_16_the_spec_stays_as_it_is(world: World) -> None:
    world.cloud.refusal = Blocked("not now", reason="MissingPermission")
    world.thing("here", resource=PLACES)
    key = world.thing(size=1, placeIdRef={"name": "here"})
    before = copy.deepcopy((world.obj(key) or {})["spec"])
    world.run(70)
    assert world.annotation(key, meta.EXTERNAL_NAME) is None
    world.cloud.refusal = None
    world.run(130)
    world.cloud.objects[world.external_name(key)].spec["colour"] = "red"
    world.run(130)
    assert world.states(key) == SETTLED
    assert (world.obj(key) or {})["spec"] == before


# 7 A create of unknown outcome.


def test_7_the_end_of_another_processs_attempt_is_counted_from_our_own_clock(world: World) -> None:
    """Its clock may have been behind: then a second look a second later would seem late enough."""
    world.cloud.on_create = "late"
    key = world.thing()
    world.kill_at = "create.sent"
    world.run(0)
    world.edit(
        key,
        lambda obj: obj["metadata"]["annotations"].update(
            {
                meta.CREATE_ATTEMPT: obj["metadata"]["annotations"][meta.CREATE_ATTEMPT].replace(
                    '"started"', '"ended":"2025-12-31T00:00:00.000000Z","started"'
                )
            }
        ),
    )
    world.restart()
    world.run(120)
    assert world.states(key) == SETTLED
    assert world.cloud.created_total == 1


# 8 References.


def test_8_a_reference_that_cannot_be_resolved_is_told_and_tried_with_backoff(world: World) -> None:
    key = world.thing(placeIdRef={"name": "nowhere"})
    world.run(100)
    assert world.states(key) == ("", "ReconcileError")
    assert "placeIdRef names Place ns/nowhere, which does not exist" in world.message(key)
    assert world.recorder.reasons("a") == ["CannotResolveResourceReferences"]
    assert world.cloud.calls == []


# 9 Connect.


def test_9_the_usage_is_tracked_before_the_config_is_asked_for(world: World) -> None:
    key = world.thing(spec={"providerConfigRef": {"kind": "ProviderConfig", "name": "none"}})
    world.run(2)
    assert world.message(key).startswith("connect failed: ")
    assert world.recorder.reasons("a") == ["CannotConnectToProvider"]
    (usage,) = [obj for (of, _), obj in world.api.objects.items() if of == USAGES]
    assert usage["providerConfigRef"]["name"] == "none"
    assert usage["metadata"]["name"] == (world.obj(key) or {})["metadata"]["uid"]


# 11 Only observed, and not there.


def test_11_what_is_only_observed_and_absent_is_polled(world: World) -> None:
    key = world.thing(policies=["Observe"], annotations={meta.EXTERNAL_NAME: "77"})
    world.run(300)
    assert world.message(key) == "observe failed: external resource does not exist"
    assert world.recorder.reasons("a") == ["CannotObserveExternalResource"]
    assert 4 <= looks(world) <= 8, "at each poll, not with backoff"


# 12 The grace after a create.


def test_12_within_the_grace_absence_is_taken_for_lag_and_no_status_is_written(world: World) -> None:
    key = world.thing()
    world.run(0)
    thing = world.cloud.objects.pop(world.external_name(key))
    world.api.writes.clear()
    world.run(20)
    assert world.recorder.reasons("a") == ["CreatedExternalResource", "PendingExternalResource"]
    assert status_writes(world) == 0
    assert 3 <= looks(world) <= 8, "with backoff"
    world.cloud.objects[world.external_name(key)] = thing
    world.run(20)
    assert world.states(key) == SETTLED
    assert world.cloud.created_total == 1


def test_12_a_creation_that_lies_in_the_future_has_its_grace_and_no_more(world: World) -> None:
    """Another clock wrote it, or this one was put back."""
    ahead = meta.to_rfc3339(world.clock.wall() + timedelta(hours=5))
    key = world.thing(annotations={meta.EXTERNAL_NAME: "77", meta.CREATE_SUCCEEDED: ahead})
    world.run(25)
    assert world.cloud.created_total == 0
    world.run(60)
    assert world.cloud.created_total == 1
    assert world.states(key) == SETTLED


# 13 Deleting.


def test_13_a_deletion_that_fails_says_so_and_backs_off(world: World) -> None:
    key = world.thing()
    world.run(40)
    world.cloud.delete_error = ExternalFailure("503")
    world.delete(key)
    world.run(100)
    assert world.states(key) == ("Deleting", "ReconcileError")
    assert world.message(key) == "delete failed: 503"
    assert world.recorder.reasons("a")[-1] == "CannotDeleteExternalResource"
    assert 6 <= looks(world, "delete") <= 9, "1, 2, 4 ... 60 s apart"
    world.cloud.delete_error = None
    world.run(70)
    assert world.obj(key) is None


def test_13_a_deletion_that_was_accepted_is_told_and_looked_at_soon(world: World) -> None:
    key = world.thing()
    world.run(40)
    world.cloud.delete_stays = True
    world.delete(key)
    world.run(0)
    assert world.states(key) == ("Deleting", "ReconcileSuccess")
    assert world.recorder.reasons("a")[-1] == "DeletedExternalResource"
    world.cloud.objects.clear()
    world.run(1.5)
    assert world.obj(key) is None


# 14 Publishing and the finalizer.


def test_14_the_finalizer_comes_with_the_first_observation_that_succeeds(world: World) -> None:
    world.cloud.observe_error = ExternalFailure("503")
    key = world.thing()
    world.run(20)
    assert meta.finalizers_of(world.obj(key) or {}) == []
    world.cloud.observe_error = None
    world.run(70)
    assert meta.finalizers_of(world.obj(key) or {}) == [meta.FINALIZER]
    assert "finalizer" not in " ".join(world.recorder.reasons("a")).lower()


def test_14_a_finalizer_that_cannot_be_added_is_told(world: World) -> None:
    world.fail("replace", Forbidden(status=403, message="RBAC says no"), times=1)
    key = world.thing()
    world.run(0)
    assert world.message(key) == "cannot update managed resource: 403: RBAC says no"
    assert world.recorder.reasons("a") == ["CannotUpdateManagedResource"]
    assert looks(world, "create") == 0
    world.run(5)
    assert world.states(key) == SETTLED


@dataclasses.dataclass
class SecretCase:
    reason: str
    exists: dict[str, Any] | None
    error: Exception | None
    says: str


@pytest.mark.parametrize(
    "case",
    [
        SecretCase(
            "a Secret of another type is nobody's to fill",
            {"type": "Opaque", "data": {}},
            None,
            "is no connection secret",
        ),
        SecretCase(
            "what the API server refuses", None, Forbidden(status=403, message="RBAC says no"), "RBAC says no"
        ),
        SecretCase("what it fails at", None, ServerError(status=500, message="etcd"), "etcd"),
    ],
    ids=lambda case: case.reason,
)
def test_14_details_that_cannot_be_published_are_told(world: World, case: SecretCase) -> None:
    if case.exists is not None:
        world.api.create(SECRETS, {"metadata": {"namespace": "ns", "name": "out"}, **case.exists})
    if case.error is not None:
        world.fail("create", case.error, times=1, resource=SECRETS)
    world.cloud.details = {"id": b"7"}
    id_ = world.cloud.make("Thing", {"name": "a"})
    key = world.thing(
        spec={"writeConnectionSecretToRef": {"name": "out"}}, annotations={meta.EXTERNAL_NAME: id_}
    )
    world.run(0)
    assert world.message(key).startswith("publish failed: ")
    assert case.says in world.message(key), case.reason
    assert world.recorder.reasons("a") == ["CannotPublishConnectionDetails"], case.reason
    if case.exists is not None:
        world.api.delete(SECRETS, Key("ns", "out"))
    world.run(90)
    assert world.states(key) == SETTLED


@pytest.mark.parametrize("data", [{}, {"id": "Nw=="}, {"id": "OA=="}], ids=["empty", "the same", "old"])
def test_14_a_connection_secret_that_nobody_controls_is_taken_over(
    world: World, data: dict[str, str]
) -> None:
    """As a backup restores it: without its owner, who has another UID by now."""
    world.api.create(
        SECRETS,
        {"metadata": {"namespace": "ns", "name": "out"}, "type": meta.CONNECTION_SECRET_TYPE, "data": data},
    )
    world.cloud.details = {"id": b"7"}
    key = world.thing(spec={"writeConnectionSecretToRef": {"name": "out"}})
    world.run(3)
    assert world.states(key) == SETTLED
    (owner,) = world.api.get(SECRETS, Key("ns", "out"))["metadata"]["ownerReferences"]
    assert owner["uid"] == (world.obj(key) or {})["metadata"]["uid"]
    assert owner["controller"] is True
    assert world.api.get(SECRETS, Key("ns", "out"))["data"] == {"id": "Nw=="}
    world.api.writes.clear()
    world.run(130)
    assert [write for write in world.api.writes if write[1] == "Secret"] == [], "nothing changes"


# 15 Creating.


def test_15c_what_a_create_found_out_is_published_at_once(world: World) -> None:
    world.cloud.details = {"id": b"7"}
    world.thing(spec={"writeConnectionSecretToRef": {"name": "out"}})
    world.run(0)
    world.cloud.details = {}
    assert world.api.get(SECRETS, Key("ns", "out"))["data"] == {"id": "Nw=="}


def test_19_what_an_update_found_out_is_published(world: World) -> None:
    key = world.thing(size=1, spec={"writeConnectionSecretToRef": {"name": "out"}})
    world.run(5)
    world.cloud.on_update = Change(connection_details={"hook": b"7"})
    world.set_field(key, "size", 2)
    world.run(0)
    assert world.api.get(SECRETS, Key("ns", "out"))["data"] == {"hook": "Nw=="}


def test_15a_an_intent_that_cannot_be_recorded_creates_nothing(world: World) -> None:
    key = world.thing()

    def refuse(verb: str, resource: Resource, at: Key) -> None:
        if (verb, resource) == ("replace", THINGS) and meta.finalizers_of(world.api.objects[resource, at]):
            raise Forbidden(status=403, message="RBAC says no")

    world.api.hooks.append(refuse)
    world.run(0)
    assert world.states(key) == ("Creating", "ReconcileError")
    assert world.message(key) == "cannot update managed resource: 403: RBAC says no"
    assert world.recorder.reasons("a") == ["CannotUpdateManagedResource"]
    assert looks(world, "create") == 0


def test_15b_a_create_that_failed_is_recorded_told_and_tried_with_backoff(world: World) -> None:
    world.cloud.create_error = ExternalFailure("503")
    key = world.thing()
    world.run(100)
    assert world.states(key) == ("Creating", "ReconcileError")
    assert world.message(key) == "create failed: 503"
    assert world.recorder.reasons("a") == ["CannotCreateExternalResource"]
    assert world.annotation(key, meta.CREATE_FAILED) is not None
    assert world.annotation(key, meta.CREATE_ATTEMPT) is None, "it is certain that nothing was made"
    assert 6 <= looks(world, "create") <= 9, "1, 2, 4 ... 60 s apart"


def test_15c_a_create_is_recorded_told_and_looked_at_a_second_later(world: World) -> None:
    key = world.thing()
    world.deliver()
    world.deliveries = False
    world.run(0)
    assert world.states(key) == ("Creating", "ReconcileSuccess"), "the reconciler itself never says Ready"
    assert world.recorder.reasons("a") == ["CreatedExternalResource"]
    (id_,) = world.cloud.objects
    assert world.external_name(key) == id_
    pending, succeeded = (
        meta.from_rfc3339(world.annotation(key, name))
        for name in (meta.CREATE_PENDING, meta.CREATE_SUCCEEDED)
    )
    assert pending is not None
    assert succeeded is not None
    assert pending <= succeeded
    world.run(1.25)
    assert world.states(key) == SETTLED


# 17 to 19.


def test_17_what_is_up_to_date_is_polled_and_its_backoff_begins_anew(world: World) -> None:
    key = world.thing()
    world.cloud.observe_error = ExternalFailure("503")
    world.run(100)
    assert world.process.queue.failures(Item(THINGS, key)) > 5
    world.cloud.observe_error = None
    world.run(61)
    assert world.states(key) == SETTLED
    assert world.process.queue.failures(Item(THINGS, key)) == 0


def test_19_an_update_is_told_with_what_it_was(world: World) -> None:
    key = world.thing(size=1)
    world.run(5)
    world.set_field(key, "size", 2)
    world.run(0)
    (told,) = [event for event in world.recorder.events if event[2] == "UpdatedExternalResource"]
    assert told[3] == "updated external resource: size: 1 -> 2"
    assert world.states(key) == SETTLED


def test_19_an_update_that_failed_is_told_and_tried_with_backoff(world: World) -> None:
    key = world.thing(size=1)
    world.run(5)
    world.cloud.update_error = ExternalFailure("503")
    world.set_field(key, "size", 2)
    world.run(100)
    assert world.message(key) == "update failed: 503"
    assert world.recorder.reasons("a")[-1] == "CannotUpdateExternalResource"
    assert 6 <= looks(world, "update") <= 9, "1, 2, 4 ... 60 s apart"


# Results.


@pytest.mark.parametrize("verb", ["replace", "status"])
def test_a_conflict_is_silent_wherever_it_comes(world: World, verb: str) -> None:
    """Somebody was faster: no event, no condition, another pass."""
    key = world.thing()
    world.fail(verb, Conflict(status=409, reason="Conflict", message="modified"), times=4)
    world.run(30)
    assert world.states(key) == SETTLED
    assert world.recorder.reasons("a") == ["CreatedExternalResource"]
    assert len(world.cloud.objects) == 1


def test_backoff_is_crossplanes(world: World) -> None:
    """1, 2, 4 ... 60 s."""
    world.cloud.observe_error = ExternalFailure("503")
    world.thing()
    at: list[float] = []
    while len(at) < 9:
        seen = len(world.cloud.calls)
        world.run(0.25)
        if len(world.cloud.calls) > seen:
            at.append(world.clock.seconds)
    gaps = [round(later - earlier) for earlier, later in itertools.pairwise(at)]
    assert gaps == [1, 2, 4, 8, 16, 32, 60, 60]


def test_an_api_server_that_is_away_is_logged_once_in_a_while(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(20):
        world.thing(f"a{number}")
    world.fail("create", Unreachable("no answer"), times=10**6, resource=USAGES)
    capsys.readouterr()
    world.run(130)
    said = capsys.readouterr().out.splitlines()
    lines = [line for line in said if "the API server cannot be reached" in line]
    assert 2 <= len(lines) <= 4
    assert "others=0" in lines[0]
    assert "others=0" not in lines[1], "it tells how many it stands for"


def test_polls_are_not_all_at_once_nor_far_from_the_interval(world: World) -> None:
    world.thing()
    world.run(200)
    looks = []
    for _ in range(40 * 60):
        world.cloud.calls.clear()
        world.run(0.25)
        looks += [world.clock.seconds] * len(world.cloud.calls)
    apart = [later - earlier for earlier, later in itertools.pairwise(looks)]
    assert len(apart) >= 8
    assert all(53.5 <= seconds <= 66.5 for seconds in apart), "60 s and a tenth, in steps of 0.25 s"
    assert max(apart) - min(apart) > 3, "objects made together do not stay together"


# Conditions.


def test_every_condition_tells_the_generation_that_it_is_about(world: World) -> None:
    key = world.thing(size=1)
    world.run(5)
    for generation, error in ((2, ExternalFailure("503")), (3, Blocked("no", reason="HiddenOrGone"))):
        world.set_field(key, "size", generation)
        world.cloud.observe_error = error
        world.run(1)
        assert world.condition(key, "Synced")["observedGeneration"] == generation
        assert (world.obj(key) or {})["status"]["observedGeneration"] == generation
    world.cloud.observe_error = None
    world.run(70)
    assert {c["observedGeneration"] for c in (world.obj(key) or {})["status"]["conditions"]} == {3}
    assert {c["type"] for c in (world.obj(key) or {})["status"]["conditions"]} == {"Ready", "Synced"}


def test_a_status_tells_what_was_only_observed_until_the_object_owns_it(world: World) -> None:
    """Else the object would take it for its own, were its annotation lost."""
    id_ = world.cloud.make("Thing", {"name": "theirs"})
    key = world.thing(policies=["Observe"], annotations={meta.EXTERNAL_NAME: id_})
    world.run(3)
    assert (world.obj(key) or {})["status"]["observedOnly"] is True
    world.edit(key, lambda obj: obj["spec"].update(managementPolicies=["*"]))
    world.run(3)
    assert "observedOnly" not in (world.obj(key) or {})["status"]


# Metrics.


def test_metrics_carry_crossplanes_names_and_go_with_their_object() -> None:
    world = World()
    metrics = Metrics()
    counts: Mapping[Served, Callable[[], int]] = {THINGS: lambda: len(world.process.stores[THINGS])}
    world.metrics = ManagedInstruments(metrics, counts=counts, workers=3, configs=CONFIGS)
    world.restart()
    world.configure()
    key = world.thing(size=1)
    world.run(40)

    def value(name: str, **labels: str) -> float | None:
        world.metrics.refresh()
        return metrics.registry.get_sample_value(name, labels)

    gvk = {"gvk": "test.example.org/v1alpha1, Kind=Thing"}
    controller = {"controller": "managed/thing.test.example.org"}
    config = {"controller": "providerconfig/providerconfig.discord.crossplane.io"}
    crossplane = "crossplane_managed_resource_"
    for state in ("exists", "ready", "synced"):
        assert value(f"{crossplane}{state}", **gvk) == 1
    assert value(f"{crossplane}first_time_to_reconcile_seconds_count", **gvk) == 1
    assert value(f"{crossplane}first_time_to_readiness_seconds_count", **gvk) == 1
    assert value("controller_runtime_max_concurrent_reconciles", **controller) == 3
    assert value("controller_runtime_active_workers", **controller) == 0
    assert (value("controller_runtime_reconcile_total", result="requeue_after", **config) or 0) > 0
    world.cloud.objects[world.external_name(key)].spec["size"] = 2
    world.run(70)
    assert value(f"{crossplane}drift_seconds_count", **gvk) == 1
    assert value("provider_discord_drift_total", kind="Thing") == 1
    world.delete(key)
    world.run(10)
    assert value(f"{crossplane}deletion_seconds_count", **gvk) == 1
    assert value(f"{crossplane}exists", **gvk) == 0
    for bucket in ("1.0", "3600.0"):
        assert value(f"{crossplane}deletion_seconds_bucket", le=bucket, **gvk) == 1
    assert value(f"{crossplane}drift_seconds_bucket", le="1e-08", **gvk) == 0


def test_a_pass_that_outlives_its_deadline_counts_as_a_timeout(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed_out: list[Resource] = []
    made = 0
    monkeypatch.setattr(world.metrics, "timed_out", timed_out.append, raising=True)
    reconcile = world.process.controller._reconciler.reconcile

    def slow(resource: Resource, key: Key, priority: Priority) -> Result:
        nonlocal made
        result = reconcile(resource, key, priority)
        if key.name == "slow":
            made += 1
            world.clock.seconds += 61
        return result

    monkeypatch.setattr(world.process.controller._reconciler, "reconcile", slow)
    world.thing("slow")
    world.thing("quick")
    world.run(0)
    assert timed_out == [THINGS] * made
    assert made
