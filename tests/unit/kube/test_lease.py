"""When one may lead, decided on virtual time; the elector's thread is tested against a real API server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from provider_discord.kube.errors import Conflict, NotFound
from provider_discord.kube.lease import LeaderElector, LeaseCore, Move, Verb
from provider_discord.kube.resource import Key, Obj, Resource
from provider_discord.kube.timings import KubeTimings

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


@dataclass(frozen=True)
class TermCase:
    reason: str
    seen: tuple[Obj | None, ...]
    """What is read between the first win and the second, oldest first."""
    again_at: float
    another: bool


@pytest.mark.parametrize(
    "case",
    [
        TermCase("a renewal", (), 2.0, another=False),
        TermCase("a renewal after a write whose answer was lost", (lease("me", 2),), 20.0, another=False),
        TermCase("nobody else wrote, but we did not lead for a while", (lease("me", 2),), 50.0, another=True),
        TermCase(
            "another led and gave it back at once", (lease("other", 2), lease("", 3)), 2.0, another=True
        ),
        TermCase("somebody deleted the lease", (None,), 2.0, another=True),
    ],
    ids=lambda case: case.reason,
)
def test_a_term_ends_when_somebody_else_may_have_led(case: TermCase) -> None:
    core = make()
    core.saw(None, now=0.0)
    core.wrote(lease("me"), sent_at=0.0)
    first = core.term
    for seen in case.seen:
        core.saw(seen, now=case.again_at)
    core.wrote(lease("me", 9), sent_at=case.again_at)
    assert (core.term != first) is case.another, case.reason


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


class Leases:
    """One lease in memory. `before_replace` may let somebody else be faster."""

    def __init__(self) -> None:
        self.lease: Obj | None = None
        self.version = 0
        self.before_replace: list[Callable[[], None]] = []

    def put(self, obj: Obj) -> Obj:
        self.version += 1
        self.lease = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        return self.lease

    def get(self, resource: Resource, key: Key) -> Obj:
        if self.lease is None:
            raise NotFound(status=404)
        return self.lease

    def create(self, resource: Resource, obj: Obj) -> Obj:
        return self.put(obj)

    def replace(self, resource: Resource, obj: Obj) -> Obj:
        if self.before_replace:
            self.before_replace.pop()()
        if obj["metadata"]["resourceVersion"] != str(self.version):
            raise Conflict(status=409)
        return self.put(obj)


class Elected:
    """An elector whose thread is the test's."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.leases = Leases()
        self.told: list[tuple[str, bool]] = []
        access: Any = self.leases
        self.elector = LeaderElector(
            access,
            namespace=KEY.namespace,
            name=KEY.name,
            identity="me",
            timings=KubeTimings(),
            now=lambda: self.time,
            wall=lambda: WALL,
            on_started=lambda: self.told.append(("started", self.holds())),
            on_stopped=lambda: self.told.append(("stopped", self.holds())),
        )

    def holds(self) -> bool:
        return self.elector.holds(self.time)

    def round(self) -> None:
        """What the thread does between two waits."""
        self.elector._announce()
        self.elector._attempt()
        self.elector._announce()


def test_nobody_acts_before_what_begins_a_term_is_done() -> None:
    elected = Elected()
    elected.round()
    assert elected.told == [("started", False)]
    assert elected.holds()
    elected.time += 2
    elected.round()
    assert elected.told == [("started", False)], "a renewal begins nothing"


def test_a_term_that_did_not_begin_well_is_begun_again() -> None:
    elected = Elected()
    failures = [RuntimeError("a bug"), None]

    def on_started() -> None:
        if (failure := failures.pop(0)) is not None:
            raise failure

    elected.elector._on_started = on_started
    elected.round()
    assert not elected.holds(), "what should have been looked at anew was not"
    elected.time += 2
    elected.round()
    assert elected.holds()


@pytest.mark.parametrize(
    ("release", "holder", "reason"),
    [(True, "", "the next one need not wait"), (False, "me", "a request may still be under way")],
)
def test_what_becomes_of_the_lease_at_the_end(*, release: bool, holder: str, reason: str) -> None:
    elected = Elected()
    elected.elector.start()
    deadline = time.monotonic() + 5
    while not elected.holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    elected.elector.stop(release=release)
    assert not elected.holds()
    assert elected.leases.lease is not None
    assert elected.leases.lease["spec"]["holderIdentity"] == holder, reason


def test_who_slept_over_the_deadline_begins_a_new_term() -> None:
    elected = Elected()
    elected.round()
    elected.time += 55  # The lease itself is still there for the others.
    assert not elected.holds()
    elected.round()
    assert elected.told[1:] == [("stopped", False), ("started", False)]
    assert elected.holds()


def test_who_loses_and_wins_within_one_round_begins_a_new_term() -> None:
    elected = Elected()
    elected.round()

    def another_leads_and_goes() -> None:
        elected.leases.put(lease("other"))
        elected.leases.put(lease(""))

    elected.leases.before_replace = [another_leads_and_goes]
    elected.time += 2
    elected.elector._attempt()
    assert elected.elector.holder == "me"
    assert not elected.holds(), "it leads again, but has not looked at the world since"
    elected.elector._announce()
    assert elected.told[1:] == [("stopped", False), ("started", False)]
    assert elected.holds()
