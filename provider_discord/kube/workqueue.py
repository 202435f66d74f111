"""The queue between "something changed" and the workers.

`WorkQueueCore` decides everything and does nothing: no lock, no thread, no clock of its own. `WorkQueue` puts
a condition variable and a clock around it.

A key is queued at most once and worked on by at most one worker. A key added while it is worked on is dirty:
it comes back when its worker is done with it. Adding a key that waits already keeps the more urgent priority
and the earlier time, so whatever follows from a change (poll, retry) needs no bookkeeping by the caller.

**Order.** An item's rank is the time when it became due plus its class times `ageing_seconds`; the lowest
rank goes first. So a fresh change goes before every retry and poll that waits for less than that, and nothing
starves: an item is only ever overtaken by items that became due at most `class * ageing_seconds` after it.
At most `max_polls` polls are worked on at once, so that a backlog of polls, however old, leaves workers free
for changes.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, NamedTuple, Protocol, TypeVar

from provider_discord.kube.timings import KubeTimings

__all__ = ["Priority", "QueueMetrics", "Taken", "Work", "WorkQueue", "WorkQueueCore"]

K = TypeVar("K", bound=Hashable)

_STALE_ENTRIES = 1000
"""Beyond so many (and as many as there are keys) a heap is rid of what no longer counts."""


class Priority(IntEnum):
    """Why a key is in the queue; lower is more urgent."""

    CHANGE = 0
    """Somebody changed something and may be waiting for it."""
    RETRY = 1
    POLL = 2
    """The periodic look for drift. Nobody waits for it."""


class Work(NamedTuple, Generic[K]):
    """What a worker gets."""

    key: K
    priority: Priority


class Taken(NamedTuple, Generic[K]):
    """What the core hands out: the work, and for how long it was due."""

    key: K
    priority: Priority
    waited_seconds: float


@dataclass(slots=True)
class _Item:
    priority: Priority
    due: float
    ready: bool = False

    def rank(self, ageing_seconds: float) -> float:
        return self.due + self.priority * ageing_seconds


class WorkQueueCore(Generic[K]):
    """The decisions. All instants are monotonic seconds, given by the caller and never going back."""

    def __init__(
        self,
        *,
        ageing_seconds: float,
        max_polls: int,
        backoff_min_seconds: float,
        backoff_max_seconds: float,
    ) -> None:
        if max_polls < 1:
            msg = f"max_polls must be at least 1, or no poll would ever run; it is {max_polls}"
            raise ValueError(msg)
        self._ageing = ageing_seconds
        self._max_polls = max_polls
        self._backoff_min = backoff_min_seconds
        self._backoff_max = backoff_max_seconds
        self._items: dict[K, _Item] = {}
        """What waits: queued or delayed, or dirty if its key is in `_processing` too."""
        self._processing: dict[K, tuple[Priority, float]] = {}
        self._failures: dict[K, int] = {}
        # Heaps of (rank or due, sequence, key, item). An entry counts only while `_items` holds that very item:
        # changing an item means replacing it, and the stale entry is dropped when it comes up.
        self._delayed: list[tuple[float, int, K, _Item]] = []
        self._urgent: list[tuple[float, int, K, _Item]] = []
        self._polls: list[tuple[float, int, K, _Item]] = []
        self._sequence = itertools.count()
        self._depth: Counter[Priority] = Counter()

    def add(self, key: K, *, now: float, priority: Priority, delay: float = 0.0) -> bool:
        """Queue a key, at once or after `delay` seconds. Return False if that changed nothing."""
        due = now + max(0.0, delay)
        waiting = self._items.get(key)
        if waiting is None:
            self._place(key, _Item(priority, due))
            return True
        if priority >= waiting.priority and due >= waiting.due:
            return False
        if waiting.ready:
            self._depth[waiting.priority] -= 1
        self._place(key, _Item(min(priority, waiting.priority), min(due, waiting.due)))
        return True

    def add_rate_limited(self, key: K, *, now: float, priority: Priority) -> float:
        """Queue a key after its own exponential backoff; return the seconds until then."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        # The exponent is bounded because 2.0**1024 overflows, and somebody will fail that often.
        delay = min(self._backoff_min * 2.0 ** min(failures, 64), self._backoff_max)
        self.add(key, now=now, priority=priority, delay=delay)
        return delay

    def forget(self, key: K) -> None:
        """Start the key's backoff anew."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """Return how often the key was added rate-limited since it was last forgotten."""
        return self._failures.get(key, 0)

    def get(self, *, now: float) -> Taken[K] | None:
        """Hand out the next key to work on, None if nothing may be worked on now. Follow it with `done`."""
        self._advance(now)
        urgent = self._head(self._urgent)
        poll = self._head(self._polls) if self.polls_processing < self._max_polls else None
        if urgent is None and poll is None:
            return None
        heap = self._urgent if poll is None or (urgent is not None and urgent <= poll) else self._polls
        _, _, key, item = heapq.heappop(heap)
        del self._items[key]
        self._depth[item.priority] -= 1
        self._processing[key] = (item.priority, now)
        return Taken(key, item.priority, now - item.due)

    def done(self, key: K) -> None:
        """Tell that the key's worker is finished. Raises KeyError if nobody works on it."""
        del self._processing[key]
        item = self._items.get(key)
        if item is not None:
            self._place(key, item)

    def next_due(self) -> float | None:
        """Return when the next delayed item becomes due, None if nothing is delayed."""
        head = self._head(self._delayed)
        return head[0] if head else None

    def depth(self, *, now: float) -> dict[Priority, int]:
        """Return how many keys are due and wait for a worker, by priority."""
        self._advance(now)
        return {priority: self._depth[priority] for priority in Priority}

    @property
    def polls_processing(self) -> int:
        """Return how many polls are worked on."""
        return sum(1 for priority, _ in self._processing.values() if priority is Priority.POLL)

    @property
    def processing(self) -> dict[K, float]:
        """Return what is worked on and since when."""
        return {key: since for key, (_, since) in self._processing.items()}

    def __len__(self) -> int:
        return len(self._items)

    def _place(self, key: K, item: _Item) -> None:
        item.ready = False
        self._items[key] = item
        if key not in self._processing:
            heapq.heappush(self._delayed, (item.due, next(self._sequence), key, item))
            if len(self._delayed) > 2 * len(self._items) + _STALE_ENTRIES:
                # A key that is worked on often and polled rarely leaves a stale entry behind each time.
                self._delayed = [e for e in self._delayed if self._items.get(e[2]) is e[3] and not e[3].ready]
                heapq.heapify(self._delayed)

    def _head(self, heap: list[tuple[float, int, K, _Item]]) -> tuple[float, int] | None:
        while heap:
            rank, sequence, key, item = heap[0]
            if self._items.get(key) is item and key not in self._processing:
                return rank, sequence
            heapq.heappop(heap)
        return None

    def _advance(self, now: float) -> None:
        while (head := self._head(self._delayed)) is not None and head[0] <= now:
            _, sequence, key, item = heapq.heappop(self._delayed)
            item.ready = True
            self._depth[item.priority] += 1
            heap = self._polls if item.priority is Priority.POLL else self._urgent
            heapq.heappush(heap, (item.rank(self._ageing), sequence, key, item))


class QueueMetrics(Protocol):
    """What a queue tells of itself; `telemetry.metrics` has one that makes `workqueue_*` of it."""

    def added(self) -> None:
        """A key was added."""

    def retried(self) -> None:
        """A key was added rate-limited."""

    def got(self, *, priority: str, waited_seconds: float) -> None:
        """A worker got a key."""

    def finished(self, *, worked_seconds: float) -> None:
        """A worker was done with a key."""

    def watch(
        self,
        *,
        depth: Callable[[], dict[str, int]],
        processing_seconds: Callable[[], list[float]],
    ) -> None:
        """Give what is asked for at each scrape: depth by priority, and how long each worker has been at it."""


class WorkQueue(Generic[K]):
    """A `WorkQueueCore` for threads.

    Of the workers that wait, one (the timekeeper) waits for the next delayed item to become due and the others
    wait to be told, so that a queue full of delayed polls does not wake every worker for each.
    """

    def __init__(
        self,
        *,
        timings: KubeTimings,
        now: Callable[[], float],
        metrics: QueueMetrics | None = None,
    ) -> None:
        self._core: WorkQueueCore[K] = WorkQueueCore(
            ageing_seconds=timings.queue_ageing_seconds,
            max_polls=timings.queue_max_polls,
            backoff_min_seconds=timings.queue_backoff_min_seconds,
            backoff_max_seconds=timings.queue_backoff_max_seconds,
        )
        self._now = now
        self._metrics = metrics
        self._condition = threading.Condition()
        self._wakes_at: float | None = None
        """When the timekeeper will wake, None while there is none."""
        self._shutdown = False
        if metrics is not None:
            metrics.watch(depth=self._depth_by_name, processing_seconds=self._processing_seconds)

    def add(self, key: K, *, priority: Priority = Priority.CHANGE) -> None:
        """Queue a key now."""
        self.add_after(key, 0.0, priority=priority)

    def add_after(self, key: K, delay: float, *, priority: Priority = Priority.POLL) -> None:
        """Queue a key after `delay` seconds."""
        with self._condition:
            if self._shutdown:
                return
            if self._core.add(key, now=self._now(), priority=priority, delay=delay):
                self._condition.notify()
        if self._metrics is not None:
            self._metrics.added()

    def add_rate_limited(self, key: K, *, priority: Priority = Priority.RETRY) -> float:
        """Queue a key after its exponential backoff; return the seconds until then."""
        with self._condition:
            if self._shutdown:
                return 0.0
            delay = self._core.add_rate_limited(key, now=self._now(), priority=priority)
            self._condition.notify()
        if self._metrics is not None:
            self._metrics.added()
            self._metrics.retried()
        return delay

    def forget(self, key: K) -> None:
        """Start the key's backoff anew, after a success."""
        with self._condition:
            self._core.forget(key)

    def failures(self, key: K) -> int:
        """Return how often the key was added rate-limited since it was last forgotten."""
        with self._condition:
            return self._core.failures(key)

    def get(self, timeout: float | None = None) -> Work[K] | None:
        """Wait for a key to work on; None after `timeout` seconds and at once after `shutdown`."""
        deadline = None if timeout is None else self._now() + timeout
        with self._condition:
            while not self._shutdown:
                now = self._now()
                taken = self._core.get(now=now)
                if taken is not None:
                    # Whoever waits looks for the next item, or becomes the timekeeper.
                    self._condition.notify()
                    break
                left = None if deadline is None else deadline - now
                if left is not None and left <= 0:
                    self._condition.notify()
                    return None
                self._wait(now, left)
            else:
                return None
        if self._metrics is not None:
            self._metrics.got(priority=taken.priority.name.lower(), waited_seconds=taken.waited_seconds)
        return Work(taken.key, taken.priority)

    def done(self, key: K) -> None:
        """Tell that the work on a key is finished; always, also after an error."""
        with self._condition:
            since = self._core.processing[key]
            self._core.done(key)
            worked = self._now() - since
            self._condition.notify()
        if self._metrics is not None:
            self._metrics.finished(worked_seconds=worked)

    def shutdown(self) -> None:
        """Send every worker home. What still waits is dropped: level-based work begins anew with the next list."""
        with self._condition:
            self._shutdown = True
            self._condition.notify_all()

    def depth(self) -> dict[Priority, int]:
        """Return how many keys are due and wait for a worker, by priority."""
        with self._condition:
            return self._core.depth(now=self._now())

    def __len__(self) -> int:
        """Return how many keys wait, the delayed ones included."""
        with self._condition:
            return len(self._core)

    def _wait(self, now: float, left: float | None) -> None:
        due = self._core.next_due()
        if due is None or (self._wakes_at is not None and self._wakes_at <= due):
            self._condition.wait(left)
            return
        self._wakes_at = due
        try:
            until_due = max(0.0, due - now)
            self._condition.wait(until_due if left is None else min(until_due, left))
        finally:
            if self._wakes_at == due:
                self._wakes_at = None

    def _depth_by_name(self) -> dict[str, int]:
        return {priority.name.lower(): count for priority, count in self.depth().items()}

    def _processing_seconds(self) -> list[float]:
        with self._condition:
            now = self._now()
            return [now - since for since in self._core.processing.values()]
