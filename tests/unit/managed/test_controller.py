"""What enqueues, when, and how urgently; and that nothing happens without the lease."""

from __future__ import annotations

import copy
import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from provider_discord.kube.resource import Key, Obj, Resource
from provider_discord.kube.store import Change
from provider_discord.kube.workqueue import Priority
from provider_discord.managed import meta
from provider_discord.managed.metrics import NoMetrics
from provider_discord.managed.predicates import is_settled, worth_a_pass
from provider_discord.managed.results import Outcome
from tests.unit.managed.managed_world import SETTLED, THINGS, World


def obj_with(**metadata: Any) -> Obj:
    return {"metadata": {"name": "a", "generation": 1, "resourceVersion": "1", **metadata}, "status": {}}


@dataclasses.dataclass
class PredicateCase:
    reason: str
    change: Callable[[Obj], Any]
    worth: bool


CASES = [
    PredicateCase(
        "a status-only change never is, or every pass would cause the next",
        lambda o: o["status"].update(x=1),
        False,
    ),
    PredicateCase("a new spec is", lambda o: o["metadata"].update(generation=2), True),
    PredicateCase("a label is", lambda o: o["metadata"].update(labels={"a": "b"}), True),
    PredicateCase("an annotation is", lambda o: o["metadata"]["annotations"].update(x="y"), True),
    PredicateCase(
        "the trigger is", lambda o: o["metadata"]["annotations"].update({meta.RECONCILE_TRIGGER: "1"}), True
    ),
    PredicateCase(
        "our create-pending is not",
        lambda o: o["metadata"]["annotations"].update({meta.CREATE_PENDING: "t"}),
        False,
    ),
    PredicateCase(
        "our create-failed is not",
        lambda o: o["metadata"]["annotations"].update({meta.CREATE_FAILED: "t"}),
        False,
    ),
    PredicateCase(
        "our attempt is not",
        lambda o: o["metadata"]["annotations"].update({meta.CREATE_ATTEMPT: "{}"}),
        False,
    ),
    PredicateCase(
        "our record of a delete is not",
        lambda o: o["metadata"]["annotations"].update({meta.DELETE_ATTEMPT: "{}"}),
        False,
    ),
    PredicateCase("finalizers are not", lambda o: o["metadata"].update(finalizers=["x"]), False),
    PredicateCase("deletion is", lambda o: o["metadata"].update(deletionTimestamp="t"), True),
    PredicateCase("managed fields are not", lambda o: o["metadata"].update(managedFields=[{}]), False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_what_is_worth_a_pass(case: PredicateCase) -> None:
    old = obj_with(annotations={"keep": "me"})
    new = copy.deepcopy(old)
    case.change(new)
    assert worth_a_pass(old, new) is case.worth


def test_coming_going_and_releasing_are_worth_a_pass() -> None:
    obj = obj_with()
    assert worth_a_pass(None, obj)
    assert worth_a_pass(obj, None)
    assert worth_a_pass(obj_with(annotations={meta.CREATE_PENDING: "t"}), obj), "a human releases a halt"
    one = obj_with(deletionTimestamp="t", finalizers=["a", "b"])
    assert worth_a_pass(one, obj_with(deletionTimestamp="t", finalizers=["a"])), "ours goes last"


def test_what_may_wait_for_its_poll_after_a_start() -> None:
    conditions = [
        {"type": "Ready", "status": "True"},
        {"type": "Synced", "status": "True", "observedGeneration": 1},
    ]
    settled = {**obj_with(annotations={}), "status": {"conditions": conditions}}
    assert is_settled(settled)
    spoils: list[Callable[[Obj], Any]] = [
        lambda o: o["metadata"].update(generation=2),
        lambda o: o["metadata"].update(deletionTimestamp="t"),
        lambda o: o["status"].clear(),
        lambda o: o["status"]["conditions"][0].update(status="False"),
        lambda o: o["status"]["conditions"][1].update(status="False"),
        lambda o: o["metadata"]["annotations"].update({meta.RECONCILE_REQUESTED_AT: "t"}),
        lambda o: o["metadata"]["annotations"].update({meta.CREATE_ATTEMPT: "{}"}),
    ]
    for spoil in spoils:
        spoiled = copy.deepcopy(settled)
        spoil(spoiled)
        assert not is_settled(spoiled)


def test_after_a_restart_settled_objects_are_spread_over_the_poll_interval(world: World) -> None:
    for number in range(40):
        world.thing(f"t{number}")
    world.run(40)
    world.restart()
    world.cloud.calls.clear()
    looked: list[int] = []
    for _ in range(6):
        world.run(10)
        looked.append(len(world.cloud.calls))
        world.cloud.calls.clear()
    assert sum(looked) >= 36
    assert max(looked) <= 20, looked


def test_after_a_burst_the_polls_are_spread(world: World) -> None:
    for number in range(40):
        world.thing(f"t{number}")
    world.run(100)
    world.cloud.calls.clear()
    counts: list[int] = []
    for _ in range(6):
        world.run(10)
        counts.append(len(world.cloud.calls))
        world.cloud.calls.clear()
    assert max(counts) <= 20, counts


def test_changes_go_before_retries_and_polls(world: World) -> None:
    controller = world.process.controller
    for number in range(5):
        controller.enqueue(THINGS, Key("ns", f"poll{number}"), priority=Priority.POLL)
    controller.enqueue(THINGS, Key("ns", "retry"))
    world.thing("changed")
    world.deliver()
    first = world.process.queue.get(timeout=0)
    assert first is not None
    assert first.key.key.name == "changed"
    world.process.queue.done(first.key)


def test_without_the_lease_no_pass_runs(world: World) -> None:
    world.leads = False
    key = world.thing()
    world.run(30)
    assert world.cloud.calls == []
    world.leads = True
    world.run(3)
    assert world.states(key) == SETTLED


def test_a_lease_lost_in_a_pass_stops_its_next_write(world: World) -> None:
    key = world.thing(size=1)
    world.run(40)

    original = world.checkpoint

    def lose(label: str) -> None:
        original(label)
        if label == "finalizer.added":
            world.leads = False

    object.__setattr__(world.process.tools, "checkpoint", lose)
    world.set_field(key, "size", 2)
    world.run(5)
    assert world.cloud.objects[world.external_name(key)].spec["size"] == 1


class CountingMetrics(NoMetrics):
    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def reconciled(self, resource: Resource, outcome: Outcome, *, seconds: float) -> None:
        self.seen.append(("reconciled", outcome.value))

    def panicked(self, resource: Resource) -> None:
        self.seen.append(("panicked",))

    def state(
        self,
        resource: Resource,
        key: Key,
        *,
        exists: bool,
        ready: bool,
        synced: bool,
        paused: bool,
        held: bool,
    ) -> None:
        self.seen.append(("state", key.name, exists, ready, synced))

    def forgotten(self, resource: Resource, key: Key) -> None:
        self.seen.append(("forgotten", key.name))

    def first_ready(self, resource: Resource, *, seconds: float) -> None:
        self.seen.append(("first_ready", round(seconds)))

    def deleted(self, resource: Resource, *, seconds: float) -> None:
        self.seen.append(("deleted",))

    def drifted(self, resource: Resource, key: Key, *, seconds: float) -> None:
        self.seen.append(("drifted", round(seconds)))


def test_metrics_follow_an_objects_life() -> None:
    world = World()
    metrics = world.metrics = CountingMetrics()
    world.restart()
    world.configure()
    key = world.thing(size=1)
    world.run(40)
    assert ("state", "a", True, True, True) in metrics.seen
    assert [entry for entry in metrics.seen if entry[0] == "first_ready"] == [("first_ready", 0)]
    world.cloud.objects[world.external_name(key)].spec["size"] = 2
    world.run(70)
    assert len([entry for entry in metrics.seen if entry[0] == "drifted"]) == 1
    world.cloud.observe_error = ZeroDivisionError()
    world.run(70)
    assert ("panicked",) in metrics.seen
    assert ("reconciled", "error") in metrics.seen
    world.cloud.observe_error = None
    world.delete(key)
    world.run(70)
    assert metrics.seen.count(("deleted",)) == 1
    assert ("forgotten", "a") in metrics.seen
    assert not vars(world.process.tools.memory)["settling"]


def test_a_handler_before_the_list_is_complete_does_no_pass(world: World) -> None:
    """Claims and references are only known once everything is listed."""
    world.process.stores[THINGS]._synced.clear()
    key = world.thing()
    world.run(5)
    assert world.cloud.calls == []
    world.process.stores[THINGS].mark_synced()
    world.run(3)
    assert world.states(key) == SETTLED


def test_an_object_that_vanishes_leaves_nothing_behind(world: World) -> None:
    key = world.thing()
    world.run(5)
    obj = world.obj(key)
    assert obj is not None
    handler = world.process.controller.handler(THINGS)
    world.process.stores[THINGS].remove(obj)
    handler(Change(key, obj, None))
    assert world.process.tools.claims.name_of("Thing", key) is None


def test_an_object_made_anew_between_two_lists_is_a_new_one(world: World) -> None:
    key = world.thing(size=1)
    world.run(40)
    old = world.obj(key)
    assert old is not None
    world.deliveries = False
    world.edit(key, lambda obj: obj["metadata"].pop("finalizers"))
    world.delete(key)
    world.thing(size=1, annotations=old["metadata"]["annotations"])
    world.api.changes.clear()
    world.deliveries = True
    change = world.process.stores[THINGS].put(world.api.get(THINGS, key))
    assert change is not None
    world.process.controller.handler(THINGS)(change)
    world.run(2)
    assert world.states(key) == SETTLED
    owner = world.process.tools.claims.owner("Thing", world.external_name(key))
    new = world.obj(key)
    assert owner is not None
    assert new is not None
    assert owner.uid == new["metadata"]["uid"] != old["metadata"]["uid"]


def test_an_object_that_no_schema_would_let_through_hurts_only_itself(world: World) -> None:
    bad = world.thing("bad")
    world.edit(bad, lambda obj: obj["spec"].update(forProvider=["not", "a", "mapping"]))
    good = world.thing("good")
    world.run(5)
    assert world.states(good) == SETTLED


def test_workers_run_and_stop(world: World) -> None:
    """Real threads: passes run, and stop waits for the one that runs."""
    controller = world.process.controller
    entered, leave = threading.Event(), threading.Event()

    def block(verb: str, resource: Resource, _key: Key) -> None:
        if verb == "create" and resource.kind == "ProviderConfigUsage":
            entered.set()
            assert leave.wait(10)

    world.thing()
    world.deliver()
    world.api.hooks.append(block)
    controller.start()
    assert entered.wait(10)
    assert controller.stop(0.05) is False
    leave.set()
    began = time.monotonic()
    assert controller.stop(10) is True
    assert time.monotonic() - began < 10
    assert world.cloud.objects
