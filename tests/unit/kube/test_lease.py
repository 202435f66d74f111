"""When one may lead, decided on virtual time; the elector's thread is tested against a real API server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from provider_discord.kube.lease import LeaseCore, Move, Verb
from provider_discord.kube.resource import Key, Obj

KEY = Key("crossplane-system", "lock")
WALL = datetime(2026, 5, 1, 12, 0, 0, 250, tzinfo=UTC)


def make(identity: str = "me") -> LeaseCore:
    return LeaseCore(key=KEY, identity=identity, duration_seconds=60.0, renew_deadline_seconds=50.0)


def lease(
    holder: str, version: int = 1, *, duration: int = 60, renewed: str = "r1", transitions: int = 0
) -> Obj:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"namespace": KEY.namespace, "name": KEY.name, "resourceVersion": str(version)},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": duration,
            "acquireTime": "a1",
            "renewTime": renewed,
            "leaseTransitions": transitions,
        },
    }


def move(core: LeaseCore, now: float) -> Move:
    return core.next_move(now=now, wall=WALL)


def test_the_first_of_all_reads_then_creates_then_leads() -> None:
    core = make()
    assert move(core, 0.0).verb is Verb.READ
    core.saw(None, now=0.0)
    created = move(core, 0.0)
    assert created.verb is Verb.CREATE
    assert created.lease == {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"namespace": KEY.namespace, "name": KEY.name},
        "spec": {
            "holderIdentity": "me",
            "leaseDurationSeconds": 60,
            "acquireTime": "2026-05-01T12:00:00.000250Z",
            "renewTime": "2026-05-01T12:00:00.000250Z",
            "leaseTransitions": 0,
        },
    }
    assert not core.holds(0.0)
    core.wrote(lease("me"), sent_at=0.0)
    assert core.holds(0.0)


def test_the_lead_ends_by_itself_counted_from_when_the_renewal_was_sent() -> None:
    core = make()
    core.saw(None, now=0.0)
    core.wrote(lease("me"), sent_at=1.0)  # The answer may have taken long; others count from what they saw.
    assert core.holds(50.99)
    assert not core.holds(51.0)


def test_the_holder_renews_without_reading_first() -> None:
    core = make()
    core.saw(None, now=0.0)
    core.wrote(lease("me", version=5, transitions=3), sent_at=0.0)
    renewed = move(core, 2.0)
    assert renewed.verb is Verb.REPLACE
    assert renewed.lease["metadata"]["resourceVersion"] == "5"
    assert renewed.lease["spec"]["acquireTime"] == "a1", "it has it since then"
    assert renewed.lease["spec"]["leaseTransitions"] == 3
    core.wrote(renewed.lease, sent_at=2.0)
    assert core.holds(51.9)


def test_a_write_that_failed_leads_to_a_read() -> None:
    core = make()
    core.saw(None, now=0.0)
    core.wrote(lease("me"), sent_at=0.0)
    core.failed()
    assert move(core, 2.0).verb is Verb.READ
    assert core.holds(2.0), "what was won is kept until its deadline"


@dataclass(frozen=True)
class Case:
    reason: str
    seen: list[tuple[float, Obj | None]]
    now: float
    verb: Verb
    transitions: int | None = None


CASES = {
    "another holds it": Case("A fresh lease is respected.", [(0.0, lease("other"))], 1.0, Verb.WAIT),
    "expired": Case(
        "Unchanged for its duration on our own clock.",
        [(0.0, lease("other"))],
        60.0,
        Verb.REPLACE,
        transitions=1,
    ),
    "not quite expired": Case("Not a moment sooner.", [(0.0, lease("other"))], 59.9, Verb.WAIT),
    "renewed meanwhile": Case(
        "Every renewal that we see starts the wait anew, whatever time it names.",
        [(0.0, lease("other")), (30.0, lease("other", 2, renewed="r2"))],
        60.0,
        Verb.WAIT,
    ),
    "touched but not renewed": Case(
        "A new version with the same content, for example a label, is no renewal.",
        [(0.0, lease("other")), (30.0, lease("other", 2))],
        60.0,
        Verb.REPLACE,
    ),
    "its own duration counts": Case(
        "The holder promised to be gone after what it wrote, not after what we would write.",
        [(0.0, lease("other", duration=300))],
        61.0,
        Verb.WAIT,
    ),
    "given away": Case("Nobody holds it.", [(0.0, lease(""))], 0.0, Verb.REPLACE, transitions=1),
    "our own name": Case(
        "Of a container that was restarted: taken back at once.",
        [(0.0, lease("me", transitions=4))],
        0.0,
        Verb.REPLACE,
        transitions=4,
    ),
    "no spec": Case(
        "Somebody made an empty Lease.",
        [(0.0, {"metadata": {"name": "lock"}})],
        0.0,
        Verb.REPLACE,
        transitions=1,
    ),
    "deleted": Case("It is made again.", [(0.0, lease("other")), (1.0, None)], 1.0, Verb.CREATE),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_to_do_about_what_was_seen(case: Case) -> None:
    core = make()
    for at, seen in case.seen:
        core.saw(seen, now=at)
        assert not core.holds(at)
    decided = move(core, case.now)
    assert decided.verb is case.verb, case.reason
    if decided.verb is Verb.REPLACE:
        assert decided.lease["spec"]["holderIdentity"] == "me"
    if case.transitions is not None:
        assert decided.lease["spec"]["leaseTransitions"] == case.transitions, case.reason


def test_after_waiting_it_reads_again() -> None:
    core = make()
    core.saw(lease("other"), now=0.0)
    assert move(core, 1.0).verb is Verb.WAIT
    assert move(core, 3.0).verb is Verb.READ


def test_seeing_another_holder_ends_the_lead_at_once() -> None:
    core = make()
    core.saw(None, now=0.0)
    core.wrote(lease("me"), sent_at=0.0)
    core.failed()
    core.saw(lease("other", 9), now=3.0)
    assert not core.holds(3.0)


def test_release_gives_it_away_with_its_version_so_that_nobody_elses_is_given_away() -> None:
    core = make()
    core.saw(None, now=0.0)
    core.wrote(lease("me", version=8), sent_at=0.0)
    given = core.release(wall=WALL)
    assert given is not None
    assert given["spec"]["holderIdentity"] == ""
    assert given["spec"]["leaseDurationSeconds"] == 1
    assert given["metadata"]["resourceVersion"] == "8"
    assert not core.holds(0.0)
    assert make().release(wall=WALL) is None


@pytest.mark.parametrize("arguments", [{"identity": ""}, {"renew_deadline_seconds": 60.0}])
def test_settings_that_would_let_two_lead_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        LeaseCore(
            **{
                "key": KEY,
                "identity": "me",
                "duration_seconds": 60.0,
                "renew_deadline_seconds": 50.0,
                **arguments,
            }
        )


class ElectionMachine(RuleBasedStateMachine):
    """Three candidates with clocks of their own, calls that get lost either way, and pauses anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self.skew = {"a": 0.0, "b": 1e6, "c": -5e5}
        self.cores = {name: make(name) for name in self.skew}
        self.lease: Obj | None = None
        self.version = 0

    def now(self, name: str) -> float:
        return self.time + self.skew[name]

    def wall(self, name: str) -> datetime:
        return WALL + timedelta(seconds=self.time + 3600 * self.skew[name] / 1e6)

    def store(self, body: Obj) -> Obj:
        self.version += 1
        self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}
        return self.lease

    @rule(
        name=st.sampled_from(["a", "b", "c"]),
        latency=st.sampled_from([0.0, 0.1, 5.0]),
        lost=st.sampled_from([None, None, None, "request", "answer"]),
    )
    def attempt(self, name: str, latency: float, lost: str | None) -> None:
        core = self.cores[name]
        decided = core.next_move(now=self.now(name), wall=self.wall(name))
        sent_at = self.now(name)
        self.time += latency / 2
        if decided.verb is Verb.WAIT:
            return
        if decided.verb is Verb.READ:
            read = self.lease
            self.time += latency / 2
            if lost is None:
                core.saw(read, now=self.now(name))
            else:
                core.failed()
            return
        if lost == "request":
            core.failed()
            return
        if decided.verb is Verb.CREATE:
            fits = self.lease is None
        else:
            version = decided.lease["metadata"].get("resourceVersion")
            fits = self.lease is not None and version == self.lease["metadata"]["resourceVersion"]
        stored = self.store(decided.lease) if fits else None
        self.time += latency / 2
        if lost == "answer" or stored is None:
            core.failed()
        else:
            core.wrote(stored, sent_at=sent_at)

    @rule(seconds=st.sampled_from([0.5, 2.0, 10.0, 49.0, 61.0, 200.0]))
    def pass_time(self, seconds: float) -> None:
        self.time += seconds

    @rule(name=st.sampled_from(["a", "b", "c"]))
    def give_away(self, name: str) -> None:
        given = self.cores[name].release(wall=self.wall(name))
        stored = self.lease["metadata"]["resourceVersion"] if self.lease else None
        if given is not None and given["metadata"]["resourceVersion"] == stored:
            self.store(given)
        self.cores[name] = make(name)

    @rule(name=st.sampled_from(["a", "b", "c"]))
    def crash_and_restart(self, name: str) -> None:
        self.cores[name] = make(name)

    @invariant()
    def never_two(self) -> None:
        assert sum(core.holds(self.now(name)) for name, core in self.cores.items()) <= 1


TestElectionMachine = ElectionMachine.TestCase
TestElectionMachine.settings = settings(
    max_examples=200, stateful_step_count=50, deadline=None, derandomize=True
)
