"""The queue loses nothing, runs no key twice at once, starves nobody and puts changes first."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from provider_discord.kube.timings import KubeTimings
from provider_discord.kube.workqueue import Priority, WorkQueue, WorkQueueCore

CHANGE, RETRY, POLL = Priority.CHANGE, Priority.RETRY, Priority.POLL

Step = tuple[Any, ...]


def make(*, ageing: float = 5.0, max_polls: int = 2) -> WorkQueueCore[str]:
    return WorkQueueCore(
        ageing_seconds=ageing, max_polls=max_polls, backoff_min_seconds=1.0, backoff_max_seconds=60.0
    )


@dataclass(frozen=True)
class Case:
    reason: str
    steps: list[Step]
    """("add", now, key, priority[, delay]) | ("get", now, key or None) | ("done", key)"""
    max_polls: int = 2
    ageing: float = 5.0


CASES = {
    "nothing": Case("An empty queue has nothing to give.", [("get", 0.0, None)]),
    "first in first out": Case(
        "Within a class the order is that of arrival.",
        [("add", 0.0, "a", CHANGE), ("add", 0.1, "b", CHANGE), ("get", 1.0, "a"), ("get", 1.0, "b")],
    ),
    "same instant": Case(
        "Arrivals of one instant keep their order too.",
        [("add", 0.0, "b", CHANGE), ("add", 0.0, "a", CHANGE), ("get", 0.0, "b"), ("get", 0.0, "a")],
    ),
    "changes first": Case(
        "Somebody waits for a change, nobody for a poll.",
        [
            ("add", 0.0, "poll", POLL),
            ("add", 0.0, "retry", RETRY),
            ("add", 1.0, "change", CHANGE),
            ("get", 1.0, "change"),
            ("get", 1.0, "retry"),
            ("get", 1.0, "poll"),
        ],
    ),
    "coalesced": Case(
        "A key is queued once however often it is added.",
        [
            ("add", 0.0, "a", CHANGE),
            ("add", 0.1, "a", CHANGE),
            ("get", 1.0, "a"),
            ("done", "a"),
            ("get", 1.0, None),
        ],
    ),
    "dirty": Case(
        "A key that changes while it is worked on comes back, but only when its worker is done.",
        [
            ("add", 0.0, "a", CHANGE),
            ("get", 0.0, "a"),
            ("add", 0.1, "a", CHANGE),
            ("get", 0.2, None),
            ("done", "a"),
            ("get", 0.3, "a"),
        ],
    ),
    "delayed": Case(
        "A delayed key is not given out before its time.",
        [("add", 0.0, "a", RETRY, 10.0), ("get", 9.99, None), ("get", 10.0, "a")],
    ),
    "delay set while worked on": Case(
        "What a worker schedules for its own key holds after it is done.",
        [
            ("add", 0.0, "a", CHANGE),
            ("get", 0.0, "a"),
            ("add", 0.0, "a", POLL, 60.0),
            ("done", "a"),
            ("get", 59.0, None),
            ("get", 60.0, "a"),
        ],
    ),
    "earlier time wins": Case(
        "A change need not wait for the poll that is scheduled, and uses it up.",
        [
            ("add", 0.0, "a", POLL, 60.0),
            ("add", 1.0, "a", CHANGE),
            ("get", 1.0, "a"),
            ("done", "a"),
            ("get", 100.0, None),
        ],
    ),
    "later time does not postpone": Case(
        "Scheduling a poll must not put off what is due.",
        [("add", 0.0, "a", RETRY, 1.0), ("add", 0.0, "a", POLL, 60.0), ("get", 1.0, "a")],
    ),
    "better priority of a waiting key": Case(
        "A poll that waits becomes a change when its object is changed.",
        [
            ("add", 0.0, "other", RETRY),
            ("add", 0.0, "a", POLL),
            ("add", 0.5, "a", CHANGE),
            ("get", 0.5, "a"),
            ("get", 0.5, "other"),
        ],
    ),
    "worse priority changes nothing": Case(
        "A poll of a key that has a change pending leaves it a change.",
        [
            ("add", 0.0, "a", CHANGE),
            ("add", 0.0, "b", RETRY),
            ("add", 0.1, "a", POLL),
            ("get", 0.1, "a"),
            ("get", 0.1, "b"),
        ],
    ),
    "ageing": Case(
        "A retry that has waited for the ageing time goes before a fresh change.",
        [
            ("add", 0.0, "old", RETRY),
            ("add", 4.9, "before", CHANGE),
            ("add", 5.1, "after", CHANGE),
            ("get", 5.1, "before"),
            ("get", 5.1, "old"),
            ("get", 5.1, "after"),
        ],
    ),
    "ageing of a poll": Case(
        "A poll is two classes below, so it takes twice as long.",
        [
            ("add", 0.0, "old", POLL),
            ("add", 9.9, "before", CHANGE),
            ("add", 10.1, "after", CHANGE),
            ("get", 10.1, "before"),
            ("get", 10.1, "old"),
        ],
    ),
    "polls are bounded": Case(
        "Polls take only so many workers; the next waits until one of them is done.",
        [
            ("add", 0.0, "a", POLL),
            ("add", 0.0, "b", POLL),
            ("add", 0.0, "c", POLL),
            ("get", 0.0, "a"),
            ("get", 0.0, "b"),
            ("get", 0.0, None),
            ("done", "a"),
            ("get", 0.0, "c"),
        ],
    ),
    "an aged poll is still a poll": Case(
        "A backlog of old polls must not take every worker from the changes.",
        [
            ("add", 0.0, "a", POLL),
            ("add", 0.0, "b", POLL),
            ("get", 100.0, "a"),
            ("add", 100.0, "change", CHANGE),
            ("get", 100.0, "change"),
            ("get", 100.0, None),
            ("done", "a"),
            ("get", 100.0, "b"),
        ],
        max_polls=1,
    ),
    "a delayed key ages from its time on": Case(
        "Being scheduled for later is no waiting.",
        [
            ("add", 0.0, "later", RETRY, 100.0),
            ("add", 104.0, "change", CHANGE),
            ("get", 104.5, "change"),
            ("get", 104.5, "later"),
        ],
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_order(case: Case) -> None:
    core = make(ageing=case.ageing, max_polls=case.max_polls)
    for number, step in enumerate(case.steps):
        match step:
            case ("add", now, key, priority):
                core.add(key, now=now, priority=priority)
            case ("add", now, key, priority, delay):
                core.add(key, now=now, priority=priority, delay=delay)
            case ("done", key):
                core.done(key)
            case ("get", now, expected):
                taken = core.get(now=now)
                assert (taken.key if taken else None) == expected, f"step {number}: {case.reason}"


def test_backoff_grows_to_its_bound_and_is_forgotten() -> None:
    core = make()
    delays = []
    now = 0.0
    for _ in range(9):
        delays.append(core.add_rate_limited("a", now=now, priority=RETRY))
        now += delays[-1]
        taken = core.get(now=now)
        assert taken is not None
        core.done("a")
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert core.failures("a") == 9
    core.forget("a")
    assert core.add_rate_limited("a", now=now, priority=RETRY) == 1


def test_backoff_of_something_that_fails_for_years_does_not_overflow() -> None:
    core = make()
    for _ in range(5000):
        delay = core.add_rate_limited("a", now=0.0, priority=RETRY)
    assert delay == 60


def test_depth_counts_what_is_due_by_priority() -> None:
    core = make()
    core.add("a", now=0.0, priority=CHANGE)
    core.add("b", now=0.0, priority=POLL)
    core.add("c", now=0.0, priority=POLL, delay=10.0)
    assert core.depth(now=0.0) == {CHANGE: 1, RETRY: 0, POLL: 1}
    assert core.depth(now=10.0) == {CHANGE: 1, RETRY: 0, POLL: 2}
    core.add("b", now=10.0, priority=CHANGE)
    assert core.depth(now=10.0) == {CHANGE: 2, RETRY: 0, POLL: 1}
    assert core.get(now=10.0) is not None
    assert core.depth(now=10.0) == {CHANGE: 1, RETRY: 0, POLL: 1}


def test_how_long_it_waited_counts_from_when_it_was_due() -> None:
    core = make()
    core.add("a", now=0.0, priority=POLL, delay=60.0)
    taken = core.get(now=61.5)
    assert taken is not None
    assert taken.waited_seconds == pytest.approx(1.5)


def test_a_queue_without_room_for_polls_is_refused() -> None:
    with pytest.raises(ValueError, match="max_polls"):
        make(max_polls=0)


@dataclass
class Wanted:
    """What the model knows of a pending key."""

    due: float
    priority: Priority


class QueueMachine(RuleBasedStateMachine):
    """Random histories against a model that is a dict."""

    AGEING = 3.0
    MAX_POLLS = 2

    def __init__(self) -> None:
        super().__init__()
        self.core: WorkQueueCore[int] = WorkQueueCore(
            ageing_seconds=self.AGEING,
            max_polls=self.MAX_POLLS,
            backoff_min_seconds=1.0,
            backoff_max_seconds=8.0,
        )
        self.now = 0.0
        self.pending: dict[int, Wanted] = {}
        self.working: dict[int, Priority] = {}

    @rule(
        key=st.integers(0, 8),
        priority=st.sampled_from(Priority),
        delay=st.sampled_from([0.0, 0.0, 0.5, 2.0, 20.0]),
    )
    def add(self, key: int, priority: Priority, delay: float) -> None:
        self.core.add(key, now=self.now, priority=priority, delay=delay)
        self.want(key, priority, self.now + delay)

    @rule(key=st.integers(0, 8))
    def fail(self, key: int) -> None:
        delay = self.core.add_rate_limited(key, now=self.now, priority=RETRY)
        assert 1.0 <= delay <= 8.0
        self.want(key, RETRY, self.now + delay)

    @rule(key=st.integers(0, 8))
    def forget(self, key: int) -> None:
        self.core.forget(key)

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 7.0, 30.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def get(self) -> None:
        taken = self.core.get(now=self.now)
        eligible = self.eligible()
        if taken is None:
            assert not eligible, "something is due, nobody works on it, and the queue gives nothing"
            return
        assert taken.key in eligible, "not due yet, or worked on already, or one poll too many"
        wanted = self.pending.pop(taken.key)
        assert taken.priority == wanted.priority, "the most urgent priority is kept"
        assert taken.waited_seconds == pytest.approx(self.now - wanted.due)
        for other in eligible.values():
            overtaken_by = wanted.due - other.due
            assert overtaken_by <= max(0, other.priority - wanted.priority) * self.AGEING + 1e-9, "starved"
        self.working[taken.key] = taken.priority

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.working)))
        del self.working[key]
        self.core.done(key)

    @invariant()
    def nothing_is_lost(self) -> None:
        assert len(self.core) == len(self.pending)
        assert set(self.core.processing) == set(self.working)
        due = Counter(
            wanted.priority
            for key, wanted in self.pending.items()
            if wanted.due <= self.now and key not in self.working
        )
        assert self.core.depth(now=self.now) == {priority: due[priority] for priority in Priority}

    @invariant()
    def knows_when_to_wake(self) -> None:
        self.core.depth(now=self.now)
        delayed = [
            wanted.due
            for key, wanted in self.pending.items()
            if wanted.due > self.now and key not in self.working
        ]
        assert self.core.next_due() == (min(delayed) if delayed else None)

    def want(self, key: int, priority: Priority, due: float) -> None:
        before = self.pending.get(key)
        if before is None:
            self.pending[key] = Wanted(due, priority)
        else:
            self.pending[key] = Wanted(min(due, before.due), min(priority, before.priority))

    def eligible(self) -> dict[int, Wanted]:
        polls = sum(priority is POLL for priority in self.working.values())
        return {
            key: wanted
            for key, wanted in self.pending.items()
            if wanted.due <= self.now
            and key not in self.working
            and (wanted.priority is not POLL or polls < self.MAX_POLLS)
        }


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(
    max_examples=150, stateful_step_count=60, deadline=None, derandomize=True
)


# The shell, on real threads.


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@dataclass
class Recorder:
    adds: int = 0
    retries: int = 0
    waits: list[tuple[str, float]] = field(default_factory=list)
    works: list[float] = field(default_factory=list)
    depth: Callable[[], dict[str, int]] = dict
    processing: Callable[[], list[float]] = list

    def added(self) -> None:
        self.adds += 1

    def retried(self) -> None:
        self.retries += 1

    def got(self, *, priority: str, waited_seconds: float) -> None:
        self.waits.append((priority, waited_seconds))

    def finished(self, *, worked_seconds: float) -> None:
        self.works.append(worked_seconds)

    def watch(
        self, *, depth: Callable[[], dict[str, int]], processing_seconds: Callable[[], list[float]]
    ) -> None:
        self.depth = depth
        self.processing = processing_seconds


def real_queue(metrics: Recorder | None = None) -> WorkQueue[str]:

    return WorkQueue(timings=KubeTimings(), now=time.monotonic, metrics=metrics)


def test_get_returns_none_after_its_timeout_and_after_shutdown() -> None:
    queue = real_queue()
    assert queue.get(timeout=0.01) is None
    queue.add("a")
    queue.shutdown()
    assert queue.get() is None
    queue.add("b")
    assert len(queue) == 1, "after shutdown nothing is taken in"


def test_a_waiting_worker_is_woken() -> None:
    queue = real_queue()
    got: list[str] = []
    done = threading.Event()

    def work() -> None:
        item = queue.get(timeout=10)
        assert item is not None
        got.append(item.key)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    queue.add("a")
    assert done.wait(5)
    thread.join(5)
    assert got == ["a"]


def test_a_nearer_delay_is_not_slept_over_by_the_timekeeper() -> None:
    # One worker keeps the time of the far item. The near one must wake somebody in time all the same.
    queue = real_queue()
    got: list[str] = []
    served = threading.Event()

    def work() -> None:
        while (item := queue.get()) is not None:
            got.append(item.key)
            queue.done(item.key)
            served.set()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    queue.add_after("far", 3600.0)
    queue.add_after("near", 0.05)
    assert served.wait(5)
    assert got == ["near"]
    served.clear()
    queue.add_after("again", 0.05, priority=RETRY)
    assert served.wait(5), "the clock is kept on by somebody after an item was served"
    queue.shutdown()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


def test_many_workers_do_everything_and_never_one_key_at_once() -> None:
    queue = real_queue()
    keys = [f"k{number}" for number in range(20)]
    lock = threading.Lock()
    at_work: set[str] = set()
    counts: Counter[str] = Counter()
    clashes: list[str] = []
    finished = threading.Event()

    def work() -> None:
        while (item := queue.get()) is not None:
            with lock:
                if item.key in at_work:
                    clashes.append(item.key)
                at_work.add(item.key)
                counts[item.key] += 1
                again = counts[item.key] < 30
            if again:
                queue.add_after(
                    item.key, 0.0 if counts[item.key] % 3 else 0.002, priority=Priority(counts[item.key] % 3)
                )
            with lock:
                at_work.discard(item.key)
            queue.done(item.key)
            with lock:
                if sum(counts.values()) == 30 * len(keys):
                    finished.set()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for key in keys:
        queue.add(key)
    assert finished.wait(10)
    queue.shutdown()
    for thread in threads:
        thread.join(5)
    assert not clashes
    assert counts == Counter(dict.fromkeys(keys, 30))


def test_metrics_are_told() -> None:
    clock, metrics = Clock(), Recorder()
    queue: WorkQueue[str] = WorkQueue(timings=KubeTimings(), now=clock, metrics=metrics)
    queue.add("a")
    queue.add_rate_limited("b")
    clock.time += 2
    assert metrics.depth() == {"change": 1, "retry": 1, "poll": 0}
    assert queue.get(timeout=0) == ("a", CHANGE)
    clock.time += 3
    assert metrics.processing() == [3.0]
    queue.done("a")
    assert (metrics.adds, metrics.retries) == (2, 1)
    assert metrics.waits == [("change", 2.0)]
    assert metrics.works == [3.0]
    assert queue.failures("b") == 1
    queue.forget("b")
    assert queue.failures("b") == 0


def test_a_key_that_is_changed_often_and_polled_rarely_leaves_nothing_behind() -> None:
    """Each pass schedules a poll that the next change makes pointless."""
    core = make()
    core.add("other", now=0.0, priority=Priority.POLL, delay=50.0)
    for second in range(20_000):
        core.add("a", now=float(second), priority=Priority.CHANGE)
        while (taken := core.get(now=float(second))) is not None:
            core.add(taken.key, now=float(second), priority=Priority.POLL, delay=86_400.0)
            core.done(taken.key)
    assert sum(len(heap) for heap in (core._delayed, core._urgent, core._polls)) < 3000
    assert core.next_due() == 50.0 + 86_400.0
    assert len(core) == 2
