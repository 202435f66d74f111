"""A bug outside of any step costs its object some time, and nobody else anything."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from provider_discord.kube.resource import Resource
from provider_discord.managed.metrics import NoMetrics
from provider_discord.managed.results import Outcome
from provider_discord.telemetry.logs import configure, register_secret
from tests.unit.managed.managed_world import SETTLED, THINGS, World

_TOKEN = "a-token-that-has-no-known-shape"


class Broken(NoMetrics):
    """Metrics that raise for as long as they are told to, and count."""

    def __init__(self) -> None:
        self.left = 0
        self.raised = 0
        self.panics: list[str] = []
        self.active: list[int] = []

    def reconciled(self, resource: Resource, outcome: Outcome, *, seconds: float) -> None:
        if self.left and resource == THINGS:
            self.left -= 1
            self.raised += 1
            msg = f"cannot count with {_TOKEN}"
            raise ZeroDivisionError(msg)

    def panicked(self, resource: Resource) -> None:
        self.panics.append(resource.kind)

    def active_workers(self, resource: Resource, count: int) -> None:
        self.active.append(count)


@pytest.fixture
def broken(world: World) -> Broken:
    metrics = world.metrics = Broken()
    world.restart()
    return metrics


def test_it_is_logged_once_counted_and_tried_again_with_backoff(world: World, broken: Broken) -> None:
    key = world.thing()
    world.run(5)
    broken.left = 4
    with capture_logs() as lines:
        world.set_field(key, "size", 3)
        world.run(0.5)
        assert broken.raised == 1
        world.run(1)
        assert broken.raised == 2, "a second later"
        world.run(2)
        assert broken.raised == 3, "and two seconds after that"
        world.run(60)
    assert broken.raised == 4
    assert world.states(key) == SETTLED
    told = [line for line in lines if line["event"] == "internal error"]
    assert len(told) == broken.raised == len(broken.panics) == 4
    assert {(line["kind"], line["namespace"], line["name"]) for line in told} == {("Thing", "ns", "a")}
    assert "ZeroDivisionError" in told[0]["traceback"]
    assert "in reconciled" in told[0]["traceback"], "where it was"
    assert broken.active[-1] == 0
    assert min(broken.active) == 0


def test_what_the_reconciler_itself_raises_is_told_once(
    world: World, broken: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconciler = world.process.controller._reconciler

    def failed(*_: Any) -> Any:
        msg = "a bug in what tells bugs"
        raise LookupError(msg)

    world.cloud.observe_error = RuntimeError()
    monkeypatch.setattr(reconciler, "_failed", failed)
    with capture_logs() as lines:
        key = world.thing()
        world.run(0.5)
    assert len([line for line in lines if line["event"] == "internal error"]) == len(broken.panics) == 1
    monkeypatch.undo()
    world.cloud.observe_error = None
    world.run(5)
    assert world.states(key) == SETTLED


def test_another_object_does_not_notice(world: World, broken: Broken) -> None:
    broken.left = 1
    keys = [world.thing(name) for name in "abc"]
    world.run(1.5)
    assert sum(world.states(key) == SETTLED for key in keys) >= 2


def _queue(world: World) -> Callable[..., Any]:
    get, failures = world.process.queue.get, iter(range(2))

    def flaky(*args: Any, **kwargs: Any) -> Any:
        if next(failures, None) is not None:
            msg = "the heap is upside down"
            raise AssertionError(msg)
        return get(*args, **kwargs)

    return flaky


def _until(done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not done() and time.monotonic() < deadline:
        time.sleep(0.01)
    return done()


@pytest.mark.parametrize("where", ["in the metrics", "in the queue"])
def test_no_worker_dies(world: World, broken: Broken, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Real threads; the one worker that there is has to do what comes after it, too."""
    controller = world.process.controller
    died: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    if where == "in the queue":
        monkeypatch.setattr(world.process.queue, "get", _queue(world))
    else:
        broken.left = 1
    world.thing("first")
    world.deliver()
    with capture_logs() as lines:
        controller.start()
        try:
            assert _until(lambda: bool(world.cloud.objects)), where
            world.thing("second")
            world.deliver()
            assert _until(lambda: len(world.cloud.objects) == 2), where
        finally:
            assert controller.stop(10)
    assert died == []
    assert len([line for line in lines if line["event"] == "internal error"]) == 1, (
        "what repeats is told once"
    )


@pytest.fixture
def real_logs() -> Iterator[None]:
    before = structlog.get_config()
    configure(json=False, debug=False)
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("real_logs")
def test_no_token_is_in_what_is_logged(
    world: World, broken: Broken, capsys: pytest.CaptureFixture[str]
) -> None:
    register_secret(_TOKEN)
    broken.left = 1
    key = world.thing()
    world.run(3)
    assert world.states(key) == SETTLED
    said = capsys.readouterr().err
    assert "cannot count with [redacted]" in said
    assert _TOKEN not in said
