"""The cache follows the API server through everything that can happen to a list and a watch."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Self

import pytest
import structlog

from provider_discord.kube import errors
from provider_discord.kube.access import Event, EventType, ObjectAccess, Page, Watch
from provider_discord.kube.backoff import Backoff
from provider_discord.kube.reflector import Change, Reflector
from provider_discord.kube.resource import Key, Obj, Resource
from provider_discord.kube.store import Store
from provider_discord.kube.timings import KubeTimings
from provider_discord.telemetry.metrics import Metrics

THINGS = Resource("example.org", "v1", "things", "Thing", namespaced=True)
TIMINGS = KubeTimings(
    list_page_size=2,
    reflector_backoff_min_seconds=0.01,
    reflector_backoff_max_seconds=0.05,
    reflector_missing_backoff_max_seconds=0.03,
)
GONE = errors.Gone(status=410, reason="Expired", message="too old")
END = object()


def thing(name: str, version: int, **spec: Any) -> Obj:
    return {
        "metadata": {"namespace": "ns", "name": name, "uid": name, "resourceVersion": str(version)},
        "spec": spec,
    }


class ScriptedWatch:
    """Yields what the test feeds it; `END` ends it, an exception breaks it."""

    def __init__(self, resource_version: str) -> None:
        self.resource_version = resource_version
        self.closed = False
        self._feed: queue.Queue[Any] = queue.Queue()

    def send(self, type_: str, obj: Obj) -> None:
        self._feed.put(Event(EventType(type_), obj))

    def bookmark(self, version: int) -> None:
        self.send("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})

    def finish(self) -> None:
        self._feed.put(END)

    def fail(self, error: Exception) -> None:
        self._feed.put(error)

    def close(self) -> None:
        self.closed = True
        self.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        while (item := self._feed.get(timeout=20)) is not END:
            if isinstance(item, Exception):
                raise item
            yield item


class Server:
    """An `ObjectAccess` with a list to page through and watches to feed."""

    def __init__(self) -> None:
        self.objects: list[Obj] = []
        self.version = 1
        self.lists = 0
        self.pages: list[tuple[int, str]] = []
        self.watches: queue.Queue[ScriptedWatch] = queue.Queue()
        self.list_errors: list[Exception] = []
        self.watch_errors: list[Exception] = []
        self.timeouts: list[float] = []

    def list_page(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        limit: int = 100,
        continue_token: str = "",
    ) -> Page:
        self.pages.append((limit, continue_token))
        if self.list_errors:
            raise self.list_errors.pop(0)
        start = int(continue_token or 0)
        if not start:
            self.lists += 1
        end = start + limit
        token = str(end) if end < len(self.objects) else ""
        return Page(self.objects[start:end], str(self.version), token)

    def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        timeout_seconds: float,
        namespace: str | None = None,
    ) -> Watch:
        self.timeouts.append(timeout_seconds)
        if self.watch_errors:
            raise self.watch_errors.pop(0)
        running = ScriptedWatch(resource_version)
        self.watches.put(running)
        return running

    def get(self, resource: Resource, key: Key) -> Obj:
        raise AssertionError

    def create(self, resource: Resource, obj: Obj) -> Obj:
        raise AssertionError

    def replace(self, resource: Resource, obj: Obj) -> Obj:
        raise AssertionError

    def replace_status(self, resource: Resource, obj: Obj) -> Obj:
        raise AssertionError

    def delete(
        self, resource: Resource, key: Key, *, uid: str | None = None, resource_version: str | None = None
    ) -> None:
        raise AssertionError

    def next_watch(self) -> ScriptedWatch:
        return self.watches.get(timeout=5)


class Clock:
    """Stands still unless a test moves it."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


class Setup:
    def __init__(self) -> None:
        self.clock = Clock()
        self.server = Server()
        self.store = Store()
        self.changes: queue.Queue[Change] = queue.Queue()
        self.handler: Callable[[Change], None] = self.changes.put
        access: ObjectAccess = self.server
        self.reflector = Reflector(
            access,
            THINGS,
            self.store,
            handler=self.handle,
            timings=TIMINGS,
            now=self.clock,
            rand=lambda: 0.5,
        )

    def handle(self, change: Change) -> None:
        self.handler(change)

    def told(self, count: int = 1) -> list[tuple[str, Any, Any, bool]]:
        """The next changes: name, old and new version, whether initial."""
        told = []
        for _ in range(count):
            change = self.changes.get(timeout=5)
            old, new = (
                obj["metadata"]["resourceVersion"] if obj else None for obj in (change.old, change.new)
            )
            told.append((change.key.name, old, new, change.initial))
        return told


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.002)


@pytest.fixture
def setup() -> Iterator[Setup]:
    setup = Setup()
    yield setup
    setup.reflector.stop(5)
    assert "reflector-things" not in {thread.name for thread in threading.enumerate()}


def test_the_first_list_is_read_in_pages_and_is_initial(setup: Setup) -> None:
    setup.server.objects = [thing(name, 1) for name in "abcde"]
    setup.server.version = 7
    setup.reflector.start()
    watch = setup.server.next_watch()
    assert watch.resource_version == "7", "the watch goes on where the list was taken"
    assert setup.reflector.synced.is_set()
    assert setup.store.has_synced
    assert setup.told(5) == [(name, None, "1", True) for name in "abcde"]
    assert setup.server.pages == [(2, ""), (2, "2"), (2, "4")]
    assert setup.server.timeouts == [270.0], "random between 240 and 300"


def test_everything_the_handler_was_told_of_is_in_the_store_when_it_is_synced(setup: Setup) -> None:
    setup.server.objects = [thing("a", 1)]
    seen: list[bool] = []
    setup.handler = lambda change: seen.append(change.key in setup.store and not setup.store.has_synced)
    setup.reflector.start()
    assert setup.reflector.synced.wait(5)
    assert seen == [True]


def test_changes_are_told_with_the_object_before_and_after(setup: Setup) -> None:
    setup.reflector.start()
    watch = setup.server.next_watch()
    watch.send("ADDED", thing("a", 2))
    watch.send("MODIFIED", thing("a", 3))
    watch.send("DELETED", thing("a", 4))
    assert setup.told(3) == [("a", None, "2", False), ("a", "2", "3", False), ("a", "3", None, False)]
    assert setup.store.get(Key("ns", "a")) is None


def test_a_watch_that_ends_goes_on_where_it_was_without_a_list(setup: Setup) -> None:
    setup.reflector.start()
    watch = setup.server.next_watch()
    watch.send("ADDED", thing("a", 2))
    setup.told()
    watch.finish()
    watch = setup.server.next_watch()
    assert watch.resource_version == "2"
    watch.bookmark(50)
    watch.finish()
    assert setup.server.next_watch().resource_version == "50", "bookmarks count"
    assert setup.server.lists == 1


def test_a_broken_watch_goes_on_where_it_was(setup: Setup) -> None:
    setup.reflector.start()
    watch = setup.server.next_watch()
    watch.bookmark(9)
    watch.fail(errors.Unreachable("reset"))
    assert setup.server.next_watch().resource_version == "9"
    assert setup.server.lists == 1


@pytest.mark.parametrize("way", ["over HTTP", "within the stream"])
def test_too_old_a_version_is_listed_again_and_shows_what_was_deleted(setup: Setup, way: str) -> None:
    setup.server.objects = [thing("gone", 1), thing("same", 2), thing("changed", 3)]
    setup.server.version = 3
    setup.reflector.start()
    watch = setup.server.next_watch()
    setup.told(3)
    setup.server.objects = [thing("same", 2), thing("changed", 8), thing("new", 9)]
    setup.server.version = 9
    if way == "over HTTP":
        setup.server.watch_errors = [GONE]
        watch.finish()
    else:
        watch.fail(GONE)
    assert setup.server.next_watch().resource_version == "9"
    assert setup.told(3) == [
        ("changed", "3", "8", False),
        ("new", None, "9", False),
        ("gone", "1", None, False),
    ]
    assert setup.changes.empty(), "what is the same is not told again, and nothing of it is initial"
    assert setup.reflector.last_error is None, "that is the normal fate of a watch"


def test_a_page_token_that_grew_too_old_starts_the_list_over(setup: Setup) -> None:
    setup.server.objects = [thing(name, 1) for name in "abc"]
    list_page = setup.server.list_page

    def expire_once(resource: Resource, *, continue_token: str = "", **rest: Any) -> Page:
        if continue_token:
            setup.server.list_page = list_page  # type: ignore[method-assign]
            setup.server.objects = [thing(name, 1) for name in "bc"]
            setup.server.version = 5
            raise GONE
        return list_page(resource, continue_token=continue_token, **rest)

    setup.server.list_page = expire_once  # type: ignore[method-assign]
    setup.reflector.start()
    assert setup.reflector.synced.wait(5)
    assert setup.told(4) == [
        ("a", None, "1", True),
        ("b", None, "1", True),
        ("c", None, "1", True),
        ("a", "1", None, False),
    ]


def test_a_kind_that_is_not_served_is_said_and_waited_for(setup: Setup) -> None:
    missing = errors.NotFound(
        status=404, message="404 page not found", request="GET /apis/example.org/v1/things"
    )
    setup.server.list_errors = [missing] * 5
    with structlog.testing.capture_logs() as logs:
        setup.reflector.start()
        eventually(lambda: setup.reflector.last_error is not None, "it is said")
        assert "404 page not found" in str(setup.reflector.last_error)
        setup.server.next_watch()
    assert setup.reflector.synced.is_set(), "and it is found once it is there"
    eventually(lambda: setup.reflector.last_error is None, "it is over")
    said = [entry for entry in logs if "CustomResourceDefinition" in entry["event"]]
    assert len(said) == 1, "the same is not said again and again"


def not_served() -> errors.NotFound:
    return errors.NotFound(
        status=404, message="404 page not found", request="GET /apis/example.org/v1/things"
    )


def test_nobody_acts_by_what_is_known_of_a_kind_that_is_no_longer_served(setup: Setup) -> None:
    setup.server.objects = [thing("a", 1)]
    setup.reflector.start()
    watch = setup.server.next_watch()
    setup.told()
    setup.server.list_errors = [not_served()] * 1000
    setup.server.watch_errors = [not_served()]
    watch.finish()
    eventually(lambda: setup.reflector.missing, "it is noticed")
    assert not setup.store.has_synced
    assert setup.reflector.synced.is_set(), "it was listed once; that it is missing is said apart"
    assert setup.changes.empty(), "a kind that is not served is no proof that its objects are gone"
    setup.server.objects = [thing("b", 9)]
    setup.server.list_errors.clear()
    assert setup.told(2) == [("b", None, "9", False), ("a", "1", None, False)]
    setup.server.next_watch()
    assert setup.store.has_synced
    assert not setup.reflector.missing


def test_a_new_list_is_begun_at_once_and_nobody_acts_before_its_end(setup: Setup) -> None:
    setup.server.objects = [thing("a", 1), thing("gone", 1), thing("c", 1)]
    setup.reflector.start()
    watch = setup.server.next_watch()
    setup.told(3)
    setup.server.objects = [thing("a", 5), thing("c", 1), thing("d", 6)]
    setup.server.version = 6
    acted: list[bool] = []

    def handler(change: Change) -> None:
        acted.append(setup.store.has_synced)
        setup.changes.put(change)

    setup.handler = handler
    setup.reflector.renew()
    assert watch.closed
    assert setup.told(3) == [("a", "1", "5", False), ("d", None, "6", False), ("gone", "1", None, False)]
    assert setup.server.next_watch().resource_version == "6"
    assert setup.store.has_synced
    assert acted == [False] * 3
    assert setup.server.lists == 2
    assert setup.reflector.last_error is None, "that was no failure"


def test_a_new_list_does_not_wait_for_the_end_of_a_backoff(setup: Setup) -> None:
    setup.reflector._backoff = Backoff(minimum=60.0, maximum=60.0, rand=lambda: 0.0)
    setup.reflector.start()
    setup.server.next_watch().fail(errors.Unreachable("reset"))
    eventually(lambda: setup.reflector.last_error is not None, "the API server is away")
    setup.reflector.renew()
    setup.server.next_watch()
    assert setup.server.lists == 2


def test_a_list_that_was_under_way_when_a_new_one_was_asked_for_does_not_count(setup: Setup) -> None:
    setup.reflector.start()
    setup.server.next_watch().fail(GONE)
    list_page = setup.server.list_page
    setup.server.next_watch()

    def renew_meanwhile(resource: Resource, **rest: Any) -> Page:
        page = list_page(resource, **rest)
        setup.server.list_page = list_page  # type: ignore[method-assign]
        setup.reflector.renew()
        assert not setup.store.has_synced
        return page

    setup.server.list_page = renew_meanwhile  # type: ignore[method-assign]
    lists = setup.server.lists
    setup.reflector.renew()
    eventually(lambda: setup.store.has_synced, "it is listed")
    assert setup.server.lists == lists + 2


def test_a_first_list_is_as_new_as_any(setup: Setup) -> None:
    setup.reflector.renew()
    setup.reflector.start()
    setup.server.next_watch()
    assert setup.server.lists == 1
    assert setup.store.has_synced


def test_a_server_that_says_when_to_come_back_is_obeyed(setup: Setup) -> None:
    refusals = [
        errors.TooManyRequests(status=429, message="slow down", retry_after=0.3),
        errors.ServerError(status=503, message="starting", retry_after=0.3),
    ]
    setup.server.list_errors = list(refusals)
    began = time.monotonic()
    setup.reflector.start()
    setup.server.next_watch()
    assert time.monotonic() - began >= 0.6


def test_patience_has_an_end(setup: Setup) -> None:
    # Within the stream, where no header tells.
    setup.reflector._timings = replace(TIMINGS, retry_after_max_seconds=0.2)
    setup.server.list_errors = [errors.TooManyRequests(status=429, message="come back", retry_after=86400.0)]
    setup.reflector.start()
    setup.server.next_watch()


def test_an_empty_list_takes_everything_away_and_the_next_one_brings_it_back(setup: Setup) -> None:
    # Of a broken proxy, or of an etcd that lost its data. The store believes it; that nothing follows from it at
    # Discord is the reconciler's part.
    setup.server.objects = [thing("a", 1), thing("b", 2)]
    setup.server.version = 2
    setup.reflector.start()
    watch = setup.server.next_watch()
    setup.told(2)
    full, setup.server.objects, setup.server.version = setup.server.objects, [], 3
    watch.fail(GONE)
    watch = setup.server.next_watch()
    assert setup.told(2) == [("a", "1", None, False), ("b", "2", None, False)]
    setup.server.objects = full
    watch.fail(GONE)
    setup.server.next_watch()
    assert setup.told(2) == [("a", None, "1", False), ("b", None, "2", False)]


def test_whether_the_watch_works_is_a_metric(setup: Setup) -> None:
    metrics = Metrics()
    setup.reflector._metrics = metrics

    def shown() -> float | None:
        return metrics.registry.get_sample_value("provider_discord_watch_up", {"kind": "Thing"})

    setup.server.list_errors = [errors.Forbidden(status=403, message="no")] * 100_000
    setup.reflector.start()
    eventually(lambda: shown() == 0, "it does not work")
    setup.server.list_errors = [not_served()] * 100_000
    eventually(lambda: shown() is None, "there is nothing to watch")
    setup.server.list_errors = []
    eventually(lambda: shown() == 1, "it works")


def test_a_refusal_is_kept_in_last_error_until_it_is_over(setup: Setup) -> None:
    forbidden = errors.Forbidden(status=403, reason="Forbidden", message="may not watch")
    setup.server.watch_errors = [forbidden] * 2
    setup.reflector.start()
    assert setup.reflector.synced.wait(5)
    eventually(lambda: setup.reflector.last_error is forbidden, "it is said though the list works")
    setup.server.next_watch()
    eventually(lambda: setup.reflector.last_error is None, "it is over")


def test_a_watch_that_is_refused_again_and_again_leads_to_a_list(setup: Setup) -> None:
    # "Too large resource version", from an API server that was restored from a backup.
    setup.server.watch_errors = [errors.ServerError(status=504, message="too large resource version")] * 3
    setup.server.version = 500
    setup.server.objects = [thing("a", 400)]
    setup.reflector.start()
    assert setup.reflector.synced.wait(5)
    setup.server.version = 30
    setup.server.objects = [thing("a", 20, restored=True)]
    assert setup.server.next_watch().resource_version == "30"
    obj = setup.store.get(Key("ns", "a"))
    assert obj is not None
    assert obj["spec"] == {"restored": True}, "versions that went back are taken"


def test_a_silent_watch_of_a_server_that_was_restored_leads_to_a_list(setup: Setup) -> None:
    # A real API server takes a watch from a version that it has not come to yet, and then tells nothing.
    setup.server.version = 500
    setup.server.objects = [thing("a", 400)]
    setup.reflector.start()
    watch = setup.server.next_watch()
    setup.told()
    setup.server.version = 30
    setup.server.objects = [thing("a", 20)]
    setup.clock.time += 90.0  # It lives for a while, and is silent.
    watch.fail(errors.Unreachable("timed out"))
    assert setup.server.next_watch().resource_version == "30"
    assert setup.told() == [("a", "400", "20", False)]


def test_a_silent_watch_is_no_reason_for_a_list(setup: Setup) -> None:
    setup.reflector.start()
    watch = setup.server.next_watch()
    setup.clock.time += 270.0
    watch.finish()
    setup.server.next_watch()
    assert setup.server.pages == [(2, ""), (1, "")], "only a look at the version"


def test_a_server_that_is_away_for_a_while(setup: Setup) -> None:
    setup.server.list_errors = [errors.Unreachable("refused")] * 3
    setup.reflector.start()
    watch = setup.server.next_watch()
    setup.server.watch_errors = [errors.Unreachable("refused")] * 5
    watch.fail(errors.Unreachable("reset"))
    watch = setup.server.next_watch()
    watch.send("ADDED", thing("a", 2))
    assert setup.told() == [("a", None, "2", False)]
    assert setup.server.lists == 1


def test_what_a_handler_raises_is_logged_and_costs_nobody_else_anything(setup: Setup) -> None:
    def handler(change: Change) -> None:
        if change.key.name == "bad":
            msg = "cannot take it"
            raise RuntimeError(msg)
        setup.changes.put(change)

    setup.handler = handler
    setup.server.objects = [thing("bad", 1), thing("good", 1)]
    with structlog.testing.capture_logs() as logs:
        setup.reflector.start()
        assert setup.told() == [("good", None, "1", True)]
    assert [(entry["name"], entry["log_level"]) for entry in logs if "handler" in entry["event"]] == [
        ("bad", "error")
    ]


def test_garbage_leads_to_a_list(setup: Setup) -> None:
    setup.reflector.start()
    setup.server.next_watch().fail(errors.MalformedResponse("no JSON"))
    setup.server.next_watch()
    assert setup.server.lists == 2


def test_a_bug_of_ours_leads_to_a_list_and_is_logged(setup: Setup) -> None:
    with structlog.testing.capture_logs() as logs:
        setup.reflector.start()
        setup.server.next_watch().fail(ZeroDivisionError())
        setup.server.next_watch()
    assert setup.server.lists == 2
    assert any(entry["log_level"] == "error" for entry in logs)


def test_watches_that_end_at_once_are_not_asked_for_without_pause() -> None:
    setup = Setup()
    timings = replace(TIMINGS, reflector_backoff_min_seconds=5.0, reflector_backoff_max_seconds=5.0)
    setup.reflector._timings = timings
    setup.reflector._backoff = Backoff(minimum=5.0, maximum=5.0, rand=lambda: 0.0)
    setup.reflector.start()
    setup.server.next_watch().finish()
    eventually(lambda: setup.reflector.last_error is not None, "it counts as a failure")
    assert setup.server.watches.empty()
    setup.reflector.stop(5)


def test_stop_ends_a_watch_that_waits(setup: Setup) -> None:
    setup.reflector.start()
    watch = setup.server.next_watch()
    started = time.monotonic()
    setup.reflector.stop(5)
    assert watch.closed
    assert time.monotonic() - started < 1


def test_stop_before_start_is_harmless() -> None:
    Setup().reflector.stop()


def test_backoff_doubles_with_jitter_up_to_its_bound() -> None:
    backoff = Backoff(minimum=0.8, maximum=30.0, rand=lambda: 0.0)
    assert [backoff.next() for _ in range(7)] == pytest.approx([0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0])
    assert backoff.next(maximum=10.0) == 10.0
    backoff.reset()
    assert backoff.next() == 0.8
    assert Backoff(minimum=2.0, maximum=30.0, rand=lambda: 0.5).next() == 2.5
