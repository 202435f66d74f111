"""Nothing is made twice and nothing is lost, whatever crashes."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from provider_discord.kube.errors import Conflict, ServerError, Unreachable
from provider_discord.kube.resource import Key, Resource
from provider_discord.managed import attempts, meta
from provider_discord.managed.errors import Blocked
from provider_discord.managed.external import Verdict
from provider_discord.managed.tools import CHECKPOINTS
from tests.unit.managed.managed_world import CONFIGS, PLACES, SETTLED, THINGS, World


def creates(world: World) -> int:
    return sum(1 for verb, _ in world.cloud.calls if verb == "create")


@pytest.mark.parametrize("label", CHECKPOINTS)
@pytest.mark.parametrize("outcome", ["ok", "committed", "lost", "late", "fail"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_kill_at_any_point_makes_nothing_twice_and_loses_nothing(
    world: World, label: str, outcome: str, nth: int
) -> None:
    """A life of create, drift and delete, killed at the nth time that a label is passed."""
    passed = 0

    def arm(_verb: str, _resource: Resource, _key: Key) -> None:
        nonlocal passed
        if not world.kill_at and passed < 1 and world.labels.count(label) == nth - 1:
            passed += 1
            world.kill_at = label

    world.api.hooks.append(arm)
    world.cloud.on_create = outcome
    key = world.thing(size=1)
    world.run(150)
    assert world.states(key) == SETTLED
    id_ = world.external_name(key)
    assert list(world.cloud.objects) == [id_]
    assert world.annotation(key, meta.CREATE_ATTEMPT) is None
    world.cloud.objects[id_].spec["size"] = 2
    world.run(150)
    assert world.cloud.objects[id_].spec["size"] == 1
    world.delete(key)
    world.run(150)
    assert world.obj(key) is None
    assert world.cloud.objects == {}
    assert not [resource for resource, _ in world.api.objects if resource == THINGS]


def test_what_was_made_is_in_the_status_before_anybody_looks_at_it(world: World) -> None:
    """So that objects which are made at the same time find one another."""
    key = world.thing(size=1)
    world.run(0)
    assert world.states(key) == SETTLED
    assert world.cloud.last is not None
    assert world.cloud.last.at_provider == {"id": world.external_name(key)}, "as the first look found it"


@dataclasses.dataclass
class Case:
    reason: str
    outcome: str
    creates: int
    settles_within: float


@pytest.mark.parametrize(
    "case",
    [
        Case("an answer that got lost is found at the next look", "committed", 1, 5),
        Case("a commit that comes late is waited for", "late", 1, 35),
        Case("what was never made is made again after the second miss", "lost", 2, 45),
        Case("a refusal says for certain that nothing was made", "fail", 2, 5),
        Case("a bug may have come after the request, so it is resolved like a lost answer", "bug", 2, 45),
    ],
    ids=lambda case: case.outcome,
)
def test_unknown_outcomes_are_resolved(world: World, case: Case) -> None:
    world.cloud.on_create = case.outcome
    key = world.thing()
    world.run(case.settles_within)
    assert world.states(key) == SETTLED, case.reason
    assert creates(world) == case.creates, case.reason
    assert len(world.cloud.objects) == 1, case.reason


def test_nothing_is_made_again_before_the_delay_has_passed(world: World) -> None:
    world.cloud.on_create = "lost"
    key = world.thing()
    world.run(29)
    assert creates(world) == 1
    assert world.states(key) == ("Creating", "ReconcileError")
    assert "outcome is unknown" in world.message(key)
    attempt = json.loads(world.annotation(key, meta.CREATE_ATTEMPT) or "")
    assert len(attempt["misses"]) == 1
    assert attempt["ended"]


def test_one_look_in_vain_is_not_enough_however_late_it_comes(world: World) -> None:
    world.cloud.on_create = "lost"
    key = world.thing()
    world.run(0)
    record = json.loads(world.annotation(key, meta.CREATE_ATTEMPT) or "")
    assert not record.get("misses"), "nobody has looked yet"
    world.set_annotation(key, meta.PAUSED, "true")
    world.run(120)
    world.set_annotation(key, meta.PAUSED, None)
    world.run(0)
    assert creates(world) == 1
    world.run(20)
    assert creates(world) == 2


def test_after_a_crash_the_delay_counts_from_the_start_of_this_process(world: World) -> None:
    world.cloud.on_create = "lost"
    world.kill_at = "create.sent"
    key = world.thing()
    world.run(0.5)
    world.api.hooks.append(lambda *_: None)
    # "lost" raises before create.sent is passed, so kill by hand: another process starts 100 s later.
    world.clock.seconds += 100
    world.kill_at = ""
    obj = world.api.get(THINGS, key)
    record = json.loads(obj["metadata"]["annotations"][meta.CREATE_ATTEMPT])
    record.pop("ended", None)
    record.pop("misses", None)
    world.set_annotation(key, meta.CREATE_ATTEMPT, json.dumps(record))
    world.restart()
    world.run(28)
    assert creates(world) == 1
    world.run(10)
    assert creates(world) == 2
    world.run(5)
    assert world.states(key) == SETTLED


def test_ambiguous_evidence_halts_until_the_annotation_is_removed(world: World) -> None:
    world.cloud.on_create = "lost"
    world.cloud.verdict = Verdict.AMBIGUOUS
    key = world.thing()
    world.run(300)
    assert creates(world) == 1
    assert world.states(key) == ("Creating", "ReconcileError")
    assert "cannot determine creation result: by order" in world.message(key)
    assert meta.CREATE_PENDING in world.message(key)
    assert world.recorder.reasons("a").count("CannotInitializeManagedResource") == 1
    world.set_annotation(key, meta.CREATE_PENDING, None)
    world.run(5)
    assert world.states(key) == SETTLED
    assert creates(world) == 2


def test_ambiguous_evidence_halts_until_an_external_name_is_set(world: World) -> None:
    world.cloud.on_create = "committed"
    world.cloud.verdict = Verdict.AMBIGUOUS
    key = world.thing()
    world.run(70)
    assert world.states(key) == ("Creating", "ReconcileError")
    (id_,) = world.cloud.objects
    world.set_annotation(key, meta.EXTERNAL_NAME, id_)
    world.run(5)
    assert world.states(key) == SETTLED
    assert creates(world) == 1
    assert attempts.has_created(world.obj(key) or {}, id_), "the human has said what the attempt made"


def test_a_halt_delays_deletion_and_does_not_leak(world: World) -> None:
    world.cloud.on_create = "committed"
    world.cloud.verdict = Verdict.AMBIGUOUS
    key = world.thing()
    world.run(5)
    world.delete(key)
    world.run(70)
    assert world.obj(key) is not None
    world.cloud.verdict = None
    world.run(150)
    assert world.obj(key) is None
    assert world.cloud.objects == {}


def test_an_attempt_of_another_provider_is_resolved_without_an_id(world: World) -> None:
    pending = meta.to_rfc3339(world.clock.wall())
    key = world.thing(annotations={meta.CREATE_PENDING: pending, meta.EXTERNAL_NAME: "a"})
    world.run(10)
    assert creates(world) == 0
    world.run(60)
    assert creates(world) == 1
    assert world.states(key) == SETTLED


def test_a_settled_attempt_of_another_provider_is_no_attempt(world: World) -> None:
    at = meta.to_rfc3339(world.clock.wall())
    key = world.thing(annotations={meta.CREATE_PENDING: at, meta.CREATE_FAILED: at})
    world.run(5)
    assert world.states(key) == SETTLED


def test_what_replaces_something_gone_is_resolved_although_it_has_an_external_name(world: World) -> None:
    key = world.thing()
    world.run(40)
    first = world.external_name(key)
    del world.cloud.objects[first]
    world.cloud.on_create = "committed"
    world.kill_at = "resolve.before"
    world.run(100)
    assert world.states(key) == SETTLED
    assert creates(world) == 2
    assert world.external_name(key) != first


def test_the_pending_annotation_is_not_forced_over_a_newer_object(world: World) -> None:
    """Crossplane's 409 rule: whoever cannot set it does not hold the latest object."""
    key = world.thing(size=1)
    raced: list[Key] = []

    def race(verb: str, resource: Resource, of: Key) -> None:
        if (
            verb == "replace"
            and resource == THINGS
            and not raced
            and world.labels[-1:] == ["create.before-pending"]
        ):
            raced.append(of)
            world.set_field(key, "size", 2)

    world.api.hooks.append(race)
    world.run(5)
    assert raced
    assert world.states(key) == SETTLED
    assert creates(world) == 1
    assert [o.spec["size"] for o in world.cloud.objects.values()] == [2], "made once, from the newer manifest"
    assert "CannotCreateExternalResource" not in world.recorder.reasons("a")


def test_success_is_recorded_over_a_conflict(world: World) -> None:
    key = world.thing()
    raced: list[Key] = []

    def race(verb: str, resource: Resource, of: Key) -> None:
        if verb == "replace" and resource == THINGS and not raced and world.labels[-1:] == ["create.sent"]:
            raced.append(of)
            world.set_annotation(key, "example.org/note", "hello")

    world.api.hooks.append(race)
    world.run(5)
    assert raced
    assert world.annotation(key, "example.org/note") == "hello"
    assert world.states(key) == SETTLED
    assert creates(world) == 1
    obj = world.obj(key) or {}
    assert attempts.has_created(obj, meta.annotations_of(obj)[meta.EXTERNAL_NAME])
    copied = {**obj, "metadata": {**obj["metadata"], "uid": "another's"}}
    assert not attempts.has_created(copied, meta.annotations_of(obj)[meta.EXTERNAL_NAME])


@pytest.mark.parametrize(
    "error",
    [Unreachable("gone"), ServerError(status=500, message="etcd"), Conflict(status=409, message="again")],
    ids=lambda error: type(error).__name__,
)
def test_success_that_cannot_be_recorded_is_remembered(world: World, error: Exception) -> None:
    """Even if the kind could not find it again."""
    key = world.thing()
    failing = [20]

    def outage(verb: str, resource: Resource, _key: Key) -> None:
        if (
            verb in {"replace", "status"}
            and resource == THINGS
            and "create.sent" in world.labels
            and failing[0]
        ):
            failing[0] -= 1
            raise error

    world.api.hooks.append(outage)
    world.cloud.verdict = Verdict.AMBIGUOUS
    world.run(200)
    assert world.states(key) == SETTLED
    assert creates(world) == 1


def test_what_an_attempt_made_but_another_claims_is_left_to_it(world: World) -> None:
    """A human imported it elsewhere while its outcome was unknown; the other object is older."""
    older = world.thing("older", policies=["Observe"])
    world.cloud.on_create = "committed"
    world.cloud.verdict = Verdict.AMBIGUOUS
    key = world.thing()
    world.run(3)
    (id_,) = world.cloud.objects
    world.edit(older, lambda obj: obj["spec"].update(managementPolicies=["*"]))
    world.set_annotation(older, meta.EXTERNAL_NAME, id_)
    world.cloud.verdict = None
    world.run(70)
    assert world.states(older) == SETTLED
    assert "belongs to Thing ns/older" in world.message(key)
    assert world.external_name(key) == ""
    assert creates(world) == 1
    world.edit(key, lambda obj: obj["metadata"].update(finalizers=["other.example/keep", meta.FINALIZER]))
    world.delete(key)
    world.run(70)
    assert world.obj(key) is not None, "ours goes last"
    world.edit(key, lambda obj: obj["metadata"].update(finalizers=[meta.FINALIZER]))
    world.run(70)
    assert world.obj(key) is None, "it goes, as its condition has said"
    assert "LeftAlone" in world.recorder.reasons(key.name)
    assert list(world.cloud.objects) == [id_]
    assert world.states(older) == SETTLED


def test_what_was_created_for_an_object_that_is_gone_is_told(world: World) -> None:
    """Somebody removed the finalizer by force in that very moment."""
    key = world.thing()

    def strip(verb: str, resource: Resource, _key: Key) -> None:
        if verb == "replace" and resource == THINGS and world.labels[-1:] == ["create.sent"]:
            world.api.hooks.clear()
            world.edit(key, lambda obj: obj["metadata"].pop("finalizers"))
            world.delete(key)
            world.thing(size=5)

    world.api.hooks.append(strip)
    world.run(10)
    assert world.states(key) == SETTLED
    obj = world.obj(key) or {}
    assert obj is not None
    assert obj["spec"]["forProvider"]["size"] == 5
    assert creates(world) == 2


def test_an_end_that_cannot_be_recorded_is_remembered(world: World) -> None:
    key = world.thing()
    failing = [6]

    def outage(verb: str, resource: Resource, _key: Key) -> None:
        pending = world.annotation(key, meta.CREATE_PENDING)
        if verb in {"replace", "status"} and resource == THINGS and pending and failing[0]:
            failing[0] -= 1
            msg = "down"
            raise Unreachable(msg)

    world.api.hooks.append(outage)
    world.cloud.on_create = "lost"
    world.run(45)
    assert failing == [0]
    assert world.states(key) == SETTLED
    assert creates(world) == 2


def test_a_failure_that_cannot_be_recorded_is_remembered(world: World) -> None:
    """So nobody has to look for what cannot be there, nor to wait before it is tried again."""
    key = world.thing()
    failing = [8]

    def outage(verb: str, resource: Resource, _key: Key) -> None:
        pending = world.annotation(key, meta.CREATE_PENDING)
        if verb in {"replace", "status"} and resource == THINGS and pending and failing[0]:
            failing[0] -= 1
            msg = "down"
            raise Unreachable(msg)

    world.api.hooks.append(outage)
    world.cloud.on_create = "fail"
    world.run(25)
    assert failing == [0]
    assert world.states(key) == SETTLED
    assert creates(world) == 2
    assert ("resolve", "a") not in world.cloud.calls


def test_a_refusal_costs_no_annotation_and_is_polled(world: World) -> None:
    world.cloud.refusal = Blocked("channel 7 has that name", reason="SameNameExists")
    key = world.thing()
    world.run(200)
    assert creates(world) == 0
    assert world.annotation(key, meta.CREATE_PENDING) is None
    assert world.message(key) == "create failed: channel 7 has that name"
    assert world.recorder.reasons("a") == ["SameNameExists"]
    world.cloud.refusal = None
    world.run(70)
    assert world.states(key) == SETTLED


class TestACreateThatOnlyTheProviderCanRefuse:
    """Nothing that could be looked at told it before: the request itself was refused."""

    def refused(self, world: World, **for_provider: Any) -> Key:
        world.cloud.create_error = Blocked("the limit is reached", reason="LimitReached")
        return world.thing(**for_provider)

    def sent(self, world: World) -> int:
        return sum(1 for verb, _ in world.cloud.calls if verb == "create")

    def test_is_sent_ever_more_seldom(self, world: World) -> None:
        key = self.refused(world)
        world.run(3600)
        assert 9 <= self.sent(world) <= 12, "1, 2, 4, 8 and then 10 polls apart"
        assert len(world.cloud.calls) - self.sent(world) >= 50, "it is looked for at each poll all the same"
        assert world.states(key) == ("Creating", "ReconcileError")
        assert world.message(key) == "create failed: the limit is reached"
        assert world.recorder.reasons("a").count("LimitReached") <= 3
        world.cloud.create_error = None
        world.run(700)
        assert world.states(key) == SETTLED

    @pytest.mark.parametrize("how", ["manifest", "trigger", "guild", "config", "restart"])
    def test_is_tried_at_once_when_something_changes(self, world: World, how: str) -> None:
        place = world.thing("here", resource=PLACES)
        world.run(3)
        name = world.external_name(place, resource=PLACES)
        key = self.refused(world, placeId=name)
        world.run(1000)
        world.cloud.create_error = None
        match how:
            case "manifest":
                world.set_field(key, "size", 2)
            case "trigger":
                world.set_annotation(key, meta.RECONCILE_TRIGGER, "now")
            case "guild":
                world.process.controller.parent_changed(name)
            case "config":
                world.edit(
                    Key("", "default"), lambda obj: obj["spec"].update(adoption="ByName"), resource=CONFIGS
                )
            case _:
                world.restart()
        world.run(3)
        assert world.states(key) == SETTLED

    def test_is_tried_at_the_next_poll_after_we_made_room_ourselves(self, world: World) -> None:
        place = world.thing("here", resource=PLACES)
        world.run(3)
        name = world.external_name(place, resource=PLACES)
        other = world.thing("other", placeId=name)
        world.run(40)
        key = self.refused(world, placeId=name)
        world.run(1000)
        world.cloud.create_error = None
        world.delete(other)
        world.run(70)
        assert world.states(key) == SETTLED

    def test_another_refusal_is_news(self, world: World) -> None:
        self.refused(world)
        world.run(1000)
        before = self.sent(world)
        world.cloud.create_error = Blocked("something else", reason="Refused")
        world.run(1000)
        assert self.sent(world) >= before + 3


def test_nothing_is_sent_after_the_lease_is_lost(world: World) -> None:
    key = world.thing()

    def lose(_verb: str, _resource: Resource, _key: Key) -> None:
        if world.labels[-1:] == ["create.before-pending"]:
            world.leads = False

    world.api.hooks.append(lose)
    world.run(5)
    assert creates(world) == 0
    world.api.hooks.clear()
    world.leads = True
    world.restart()
    world.run(60)
    assert world.states(key) == SETTLED
    assert creates(world) == 1


def test_annotations_that_nobody_can_read_do_no_harm(world: World) -> None:
    pending = meta.to_rfc3339(world.clock.wall())
    key = world.thing(annotations={meta.CREATE_PENDING: pending, meta.CREATE_ATTEMPT: "{nonsense"})
    world.run(100)
    assert world.states(key) == SETTLED
    assert creates(world) == 1
