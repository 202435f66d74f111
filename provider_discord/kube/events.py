"""Events that people read in `kubectl describe`.

They are core/v1 Events, the only ones that Crossplane's RBAC manager lets a provider write. Recording one costs
a worker nothing: it goes into a bounded queue, and one thread sends it. What is said again is counted up on the
Event that exists; what an object says too often is dropped (a token bucket for each object, client-go's
numbers), and so is everything when the queue is full. An event that can't be sent never fails the work that
it tells of.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import structlog

from provider_discord.kube.access import ObjectAccess
from provider_discord.kube.errors import (
    AlreadyExists,
    Conflict,
    KubeError,
    NotFound,
    ServerError,
    TooManyRequests,
    Unreachable,
)
from provider_discord.kube.resource import Obj, Resource, uid_of
from provider_discord.kube.timings import KubeTimings

if TYPE_CHECKING:
    from provider_discord.telemetry.metrics import Metrics

__all__ = ["EVENTS", "EventKind", "EventRecorder", "SpamFilter"]

EVENTS = Resource("", "v1", "events", "Event", namespaced=True)

_MESSAGE_LIMIT = 1024
"""The API server takes no longer note."""
_NAME_LIMIT = 220
"""An Event's name is at most 253 characters, a dot and 16 hex digits of them ours."""
_TRANSIENT = (Unreachable, ServerError, TooManyRequests)


class EventKind(StrEnum):
    """The two types of Kubernetes events."""

    NORMAL = "Normal"
    WARNING = "Warning"


class SpamFilter:
    """A token bucket for each object; the least recently used are forgotten. Sans-IO, not thread-safe."""

    def __init__(self, *, burst: int, refill_seconds: float, size: int) -> None:
        self._burst = burst
        self._refill = refill_seconds
        self._size = size
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, uid: str, *, now: float) -> bool:
        """Take a token of the object's, if it has one."""
        tokens, at = self._buckets.pop(uid, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - at) / self._refill)
        allowed = tokens >= 1
        self._buckets[uid] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > self._size:
            self._buckets.popitem(last=False)
        return allowed


@dataclass(frozen=True, slots=True)
class _Said:
    """What one object said, apart from when."""

    uid: str
    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class _Occurrence:
    said: _Said
    involved: Obj
    at: datetime
    number: int
    """Makes the Event's name, the same at every attempt to send it."""


class EventRecorder:
    """Records events about objects. `event` may be called from any thread."""

    def __init__(
        self,
        access: ObjectAccess,
        *,
        component: str,
        instance: str,
        timings: KubeTimings,
        now: Callable[[], float],
        wall: Callable[[], datetime],
        metrics: Metrics | None = None,
        log: Any = None,
        source: Callable[[Obj], str] | None = None,
    ) -> None:
        """Make one; `start` starts its thread.

        Args:
            access: the API server.
            component: who we are: `provider-discord`.
            instance: which copy of us, for example the pod's name.
            timings: this room's constants.
            now: monotonic seconds.
            wall: aware UTC, for the events' timestamps.
            metrics: where dropped events are counted.
            log: a structlog logger.
            source: what the FROM column shows for an object, given its reference; else who we are.
        """
        self._access = access
        self._component = component
        self._source = source or (lambda _involved: component)
        self._instance = instance
        self._timings = timings
        self._now = now
        self._wall = wall
        self._metrics = metrics
        self._log = log or structlog.get_logger()
        self._condition = threading.Condition()
        self._queue: deque[_Occurrence] = deque()
        self._sending = False
        self._spam = SpamFilter(
            burst=timings.event_burst,
            refill_seconds=timings.event_refill_seconds,
            size=timings.event_cache_size,
        )
        self._sent: OrderedDict[_Said, Obj] = OrderedDict()
        """The Event that stands for what was said; only the thread's own."""
        self._last_number = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def event(self, obj: Mapping[str, Any], type_: EventKind | str, reason: str, message: str) -> None:
        """Record that something happened to an object. Never blocks, never raises for what the API server says.

        Args:
            obj: the object concerned; needs apiVersion, kind and metadata.
            type_: Normal or Warning.
            reason: one CamelCase word.
            message: for people; cut in the middle at 1,024 characters, since the cause stands last.
        """
        metadata = obj["metadata"]
        message = " ".join(message.split())
        if len(message) > _MESSAGE_LIMIT:
            gap = " ... "
            head = (_MESSAGE_LIMIT - len(gap)) // 2
            message = message[:head] + gap + message[head + len(gap) - _MESSAGE_LIMIT :]
        said = _Said(uid_of(obj), EventKind(type_).value, reason, message)
        involved = {
            "apiVersion": obj.get("apiVersion", ""),
            "kind": obj.get("kind", ""),
            "name": metadata["name"],
            "uid": said.uid,
            "resourceVersion": str(metadata.get("resourceVersion", "")),
        }
        if metadata.get("namespace"):
            involved["namespace"] = metadata["namespace"]
        at = self._wall()
        with self._condition:
            # As in client-go the time makes the name; two within a microsecond must differ too.
            self._last_number = max(self._last_number + 1, int(at.timestamp() * 1_000_000) * 1000)
            occurrence = _Occurrence(said, involved, at, self._last_number)
            if self._stopping.is_set():
                dropped = "stopped"
            elif not self._spam.allows(said.uid, now=self._now()):
                dropped = "rate_limited"
            elif len(self._queue) >= self._timings.event_queue_size:
                dropped = "queue_full"
            else:
                self._queue.append(occurrence)
                self._condition.notify_all()
                return
        self._dropped(occurrence, dropped)

    def flush(self, deadline: float) -> bool:
        """Wait until everything is sent, or until the monotonic `deadline`; tell whether everything was."""
        with self._condition:
            while self._queue or self._sending:
                left = deadline - self._now()
                if left <= 0 or not self._thread.is_alive():
                    return False
                self._condition.wait(left)
        return True

    def stop(self, timeout: float = 2.0) -> None:
        """Send what is queued, for at most `timeout` seconds, and end."""
        if self._thread.is_alive():
            self.flush(self._now() + timeout)
        self._stopping.set()
        with self._condition:
            left = len(self._queue)
            self._queue.clear()
            self._condition.notify_all()
        if left:
            self._log.warning("events were not sent before the end", events=left)

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._queue and not self._stopping.is_set():
                    self._condition.wait()
                if self._stopping.is_set():
                    return
                occurrence = self._queue.popleft()
                self._sending = True
            try:
                self._send_with_patience(occurrence)
            except Exception as error:  # noqa: BLE001 - a lost event must not cost the ones that follow
                if not isinstance(error, KubeError):
                    self._log.exception("an event could not be sent")
                self._dropped(occurrence, "refused", error)
            finally:
                with self._condition:
                    self._sending = False
                    self._condition.notify_all()

    def _send_with_patience(self, occurrence: _Occurrence) -> None:
        for attempt in range(1, self._timings.event_attempts):
            try:
                self._send(occurrence)
            except _TRANSIENT as error:
                self._stopping.wait(error.retry_after or self._timings.event_retry_seconds * attempt)
                if self._stopping.is_set():
                    raise
            else:
                return
        self._send(occurrence)

    def _send(self, occurrence: _Occurrence) -> None:
        before = self._sent.pop(occurrence.said, None)
        stamp = occurrence.at.strftime("%Y-%m-%dT%H:%M:%SZ")
        if before is not None:
            counted = {**before, "count": before["count"] + 1, "lastTimestamp": stamp}
            try:
                self._remember(occurrence.said, self._access.replace(EVENTS, counted))
            except (NotFound, Conflict):
                pass  # It expired; events live for an hour. (409: its UID is that of no object.) A new one is made.
            except _TRANSIENT:
                self._remember(occurrence.said, before)
                raise
            else:
                return
        event = self._new(occurrence, stamp)
        try:
            event = self._access.create(EVENTS, event)
        except AlreadyExists:
            self._log.debug("an event was sent already, by an attempt that seemed to fail")
        self._remember(occurrence.said, event)

    def _remember(self, said: _Said, event: Obj) -> None:
        # Without a version the next PUT is unconditional: nobody else counts up our events.
        metadata = {
            name: value
            for name, value in event["metadata"].items()
            if name not in {"resourceVersion", "managedFields"}
        }
        self._sent[said] = {**event, "metadata": metadata}
        if len(self._sent) > self._timings.event_cache_size:
            self._sent.popitem(last=False)

    def _new(self, occurrence: _Occurrence, stamp: str) -> Obj:
        said, involved = occurrence.said, occurrence.involved
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {
                "name": f"{involved['name'][:_NAME_LIMIT].rstrip('.-')}.{occurrence.number:x}",
                # Events about cluster-scoped objects live in the namespace `default`.
                "namespace": involved.get("namespace", "default"),
            },
            "involvedObject": involved,
            "type": said.type,
            "reason": said.reason,
            "message": said.message,
            "source": {"component": self._source(involved), "host": self._instance},
            "reportingComponent": self._component,
            "reportingInstance": self._instance,
            "firstTimestamp": stamp,
            "lastTimestamp": stamp,
            "count": 1,
        }

    def _dropped(self, occurrence: _Occurrence, reason: str, error: Exception | None = None) -> None:
        if self._metrics is not None:
            self._metrics.events_dropped.labels(reason=reason).inc()
        involved = occurrence.involved
        # A namespace that is being deleted takes no new events; nobody would read them there.
        expected = reason == "rate_limited" or "being terminated" in str(error)
        tell = self._log.debug if expected else self._log.warning
        tell(
            "an event was dropped",
            cause=reason,
            kind=involved["kind"],
            namespace=involved.get("namespace", ""),
            name=involved["name"],
            reason=occurrence.said.reason,
            error=str(error) if error else None,
        )
