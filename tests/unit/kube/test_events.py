"""Events cost their recorder nothing, whatever the API server does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from provider_discord.kube import errors
from provider_discord.kube.access import Page, Watch
from provider_discord.kube.events import EventRecorder, SpamFilter
from provider_discord.kube.resource import Key, Obj, Resource
from provider_discord.kube.timings import KubeTimings
from provider_discord.telemetry.metrics import Metrics

WALL = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


def thing(name: str = "a", uid: str = "u", namespace: str = "ns") -> Obj:
    metadata = {"name": name, "uid": uid, "resourceVersion": "7"} | (
        {"namespace": namespace} if namespace else {}
    )
    return {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": metadata}


class Server:
    """An `ObjectAccess` that takes events, or fails as it is told."""

    def __init__(self) -> None:
        self.events: dict[str, Obj] = {}
        self.attempts: list[str] = []
        self.failures: list[Exception] = []
        self.after_commit: list[Exception] = []
        self.gate = threading.Event()
        self.gate.set()

    def create(self, resource: Resource, obj: Obj) -> Obj:
        self._attempt("create", obj)
        name = obj["metadata"]["name"]
        if name in self.events:
            raise errors.AlreadyExists(status=409, reason="AlreadyExists")
        return self._store(name, obj)

    def replace(self, resource: Resource, obj: Obj) -> Obj:
        self._attempt("replace", obj)
        name = obj["metadata"]["name"]
        if name not in self.events:
            raise errors.Conflict(status=409, reason="Conflict", message="Precondition failed: UID")
        return self._store(name, obj)

    def _attempt(self, verb: str, obj: Obj) -> None:
        assert self.gate.wait(10)
        self.attempts.append(f"{verb} {obj['reason']}")
        if self.failures:
            raise self.failures.pop(0)

    def _store(self, name: str, obj: Obj) -> Obj:
        self.events[name] = {**obj, "metadata": {**obj["metadata"], "uid": "e", "resourceVersion": "1"}}
        if self.after_commit:
            raise self.after_commit.pop(0)
        return self.events[name]

    def get(self, resource: Resource, key: Key) -> Obj:
        raise AssertionError

    def list_page(self, resource: Resource, **_: Any) -> Page:
        raise AssertionError

    def replace_status(self, resource: Resource, obj: Obj) -> Obj:
        raise AssertionError

    def delete(self, resource: Resource, key: Key, **_: Any) -> None:
        raise AssertionError

    def watch(self, resource: Resource, **_: Any) -> Watch:
        raise AssertionError


class Setup:
    def __init__(self) -> None:
        self.server = Server()
        self.metrics = Metrics()
        self.recorder = EventRecorder(
            self.server,
            component="provider-discord",
            instance="pod-1",
            timings=KubeTimings(event_queue_size=5, event_retry_seconds=0.005),
            now=time.monotonic,
            wall=lambda: WALL,
            metrics=self.metrics,
        )

    def flush(self) -> None:
        assert self.recorder.flush(time.monotonic() + 5)

    def dropped(self, reason: str) -> float:
        value = self.metrics.registry.get_sample_value(
            "provider_discord_events_dropped_total", {"reason": reason}
        )
        return value or 0.0

    @property
    def counts(self) -> list[tuple[str, int]]:
        return sorted((event["reason"], event["count"]) for event in self.server.events.values())


@pytest.fixture
def setup() -> Iterator[Setup]:
    setup = Setup()
    setup.recorder.start()
    yield setup
    setup.server.gate.set()
    setup.recorder.stop()


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.002)


def test_what_an_event_looks_like(setup: Setup) -> None:
    setup.recorder.event(thing(), "Warning", "CannotObserve", "observe failed:\n  no access")
    setup.flush()
    [event] = setup.server.events.values()
    metadata = event.pop("metadata")
    assert metadata["namespace"] == "ns"
    assert metadata["name"].startswith("a.")
    assert event == {
        "apiVersion": "v1",
        "kind": "Event",
        "involvedObject": {
            "apiVersion": "example.org/v1",
            "kind": "Thing",
            "namespace": "ns",
            "name": "a",
            "uid": "u",
            "resourceVersion": "7",
        },
        "type": "Warning",
        "reason": "CannotObserve",
        "message": "observe failed: no access",
        "source": {"component": "provider-discord", "host": "pod-1"},
        "reportingComponent": "provider-discord",
        "reportingInstance": "pod-1",
        "firstTimestamp": "2026-05-01T12:00:00Z",
        "lastTimestamp": "2026-05-01T12:00:00Z",
        "count": 1,
    }


def test_a_long_message_keeps_its_beginning_and_its_cause(setup: Setup) -> None:
    setup.recorder.event(thing(), "Warning", "CannotObserve", "observe failed: " + "x" * 2000 + ": no access")
    setup.flush()
    [event] = setup.server.events.values()
    assert len(event["message"]) == 1024
    assert event["message"].startswith("observe failed: ")
    assert event["message"].endswith(": no access")


def test_a_cluster_scoped_object_has_its_events_in_default(setup: Setup) -> None:
    setup.recorder.event(thing(namespace=""), "Normal", "Verified", "fine")
    setup.flush()
    [event] = setup.server.events.values()
    assert event["metadata"]["namespace"] == "default"
    assert "namespace" not in event["involvedObject"]


def test_repetitions_are_counted_on_one_event(setup: Setup) -> None:
    for _ in range(3):
        setup.recorder.event(thing(), "Normal", "Again", "the same")
    setup.recorder.event(thing(uid="another"), "Normal", "Again", "the same")
    setup.flush()
    assert setup.counts == [("Again", 1), ("Again", 3)]
    assert all("resourceVersion" not in sent["metadata"] for sent in setup.recorder._sent.values())


def test_an_event_that_expired_begins_anew(setup: Setup) -> None:
    setup.recorder.event(thing(), "Normal", "Again", "the same")
    setup.flush()
    setup.server.events.clear()
    setup.recorder.event(thing(), "Normal", "Again", "the same")
    setup.flush()
    assert setup.counts == [("Again", 1)]


def test_a_server_that_fails_for_a_moment_is_asked_again(setup: Setup) -> None:
    setup.server.failures = [errors.Unreachable("reset"), errors.ServerError(status=500)]
    setup.recorder.event(thing(), "Normal", "Told", "after all")
    setup.flush()
    assert setup.counts == [("Told", 1)]
    assert setup.server.attempts == ["create Told"] * 3


def test_an_attempt_that_only_seemed_to_fail_makes_no_second_event(setup: Setup) -> None:
    setup.server.after_commit = [errors.Unreachable("timed out")]
    setup.recorder.event(thing(), "Normal", "Once", "only")
    setup.flush()
    assert setup.counts == [("Once", 1)]


def test_a_refusal_is_logged_and_the_next_event_is_sent(setup: Setup) -> None:
    setup.server.failures = [errors.Forbidden(status=403, message="namespace is being terminated")]
    with structlog.testing.capture_logs() as logs:
        setup.recorder.event(thing(), "Normal", "Lost", "no")
        setup.recorder.event(thing(), "Normal", "Sent", "yes")
        setup.flush()
    assert setup.counts == [("Sent", 1)]
    assert setup.server.attempts == ["create Lost", "create Sent"], "a refusal is not tried again"
    [entry] = [entry for entry in logs if entry["event"] == "an event was dropped"]
    assert "terminated" in entry["error"]
    assert setup.dropped("refused") == 1


def test_a_server_that_hangs_holds_up_nobody(setup: Setup) -> None:
    setup.server.gate.clear()
    started = time.monotonic()
    for number in range(20):
        setup.recorder.event(thing(uid=f"u{number}"), "Normal", "Many", str(number))
    assert time.monotonic() - started < 1
    eventually(lambda: setup.dropped("queue_full") in {14.0, 15.0}, "what has no room is dropped and counted")
    assert not setup.recorder.flush(time.monotonic() + 0.05)


def test_an_object_that_says_too_much_is_silenced_and_others_are_not(setup: Setup) -> None:
    for number in range(40):
        setup.recorder.event(thing(), "Normal", "Noise", str(number))
        setup.flush()
    setup.recorder.event(thing(uid="other"), "Normal", "Quiet", "hello")
    setup.flush()
    assert len(setup.server.events) == 26
    assert setup.dropped("rate_limited") == 15


def test_after_stop_nothing_is_taken(setup: Setup) -> None:
    setup.recorder.event(thing(), "Normal", "Last", "word")
    setup.recorder.stop()
    setup.recorder.event(thing(), "Normal", "Late", "word")
    assert setup.counts == [("Last", 1)], "what was queued is sent first"
    assert setup.dropped("stopped") == 1


def test_stop_does_not_wait_for_a_server_that_hangs(setup: Setup) -> None:
    setup.server.gate.clear()
    for number in range(3):
        setup.recorder.event(thing(uid=f"u{number}"), "Normal", "Many", str(number))
    started = time.monotonic()
    setup.recorder.stop(timeout=0.05)
    assert time.monotonic() - started < 1


def test_an_unknown_type_is_a_mistake_of_ours(setup: Setup) -> None:
    with pytest.raises(ValueError, match="Fatal"):
        setup.recorder.event(thing(), "Fatal", "No", "no")


def test_tokens_come_back_with_time_and_the_forgotten_start_full() -> None:
    spam = SpamFilter(burst=2, refill_seconds=300.0, size=2)
    assert [spam.allows("a", now=0.0) for _ in range(3)] == [True, True, False]
    assert not spam.allows("a", now=299.0)
    assert spam.allows("a", now=300.0)
    assert not spam.allows("a", now=301.0)
    assert spam.allows("b", now=301.0)
    assert spam.allows("c", now=301.0)
    assert spam.allows("a", now=301.0), "only so many objects are remembered"
