"""The cache against a real API server: restarts, missing CRDs, changes while nobody looked."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from controlplane import ControlPlane

from provider_discord.kube.client import KubeClient, connect
from provider_discord.kube.reflector import Change, Reflector
from provider_discord.kube.resource import Key, Obj, Resource
from provider_discord.kube.store import Store
from provider_discord.kube.timings import KubeTimings

pytestmark = pytest.mark.kube

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
CRDS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
LATE = Resource("reflector.test.example.org", "v1", "latecomers", "Latecomer", namespaced=True)
TIMINGS = KubeTimings(
    reflector_backoff_min_seconds=0.05,
    reflector_backoff_max_seconds=0.5,
    reflector_missing_backoff_max_seconds=0.2,
    watch_healthy_seconds=0.5,
)


def config_map(namespace: str, name: str, **data: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": namespace, "name": name},
        "data": data,
    }


def eventually(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


class Following:
    """A reflector that runs, and what it told."""

    def __init__(
        self, client: KubeClient, resource: Resource, namespace: str | None, store: Store | None = None
    ) -> None:
        self.store = store or Store()
        self.changes: queue.Queue[Change] = queue.Queue()
        self.reflector = Reflector(
            client,
            resource,
            self.store,
            handler=self.changes.put,
            timings=TIMINGS,
            now=time.monotonic,
            rand=random.random,
            namespace=namespace,
        )
        self.reflector.start()

    def told(self, count: int) -> list[tuple[str, Any, Any, bool]]:
        """The next changes: name, old and new data, whether initial."""
        told = []
        for _ in range(count):
            change = self.changes.get(timeout=20)
            old, new = (obj.get("data") if obj else None for obj in (change.old, change.new))
            told.append((change.key.name, old, new, change.initial))
        return told


@pytest.fixture
def client(control_plane: ControlPlane) -> Iterator[KubeClient]:
    client = connect(control_plane.kubeconfig)
    yield client
    client.close()


@pytest.fixture
def follow() -> Iterator[Callable[..., Following]]:
    running: list[Following] = []

    def start(*args: Any, **kwargs: Any) -> Following:
        running.append(Following(*args, **kwargs))
        return running[-1]

    yield start
    for following in running:
        following.reflector.stop(5)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("reflector")]


def test_a_namespace_is_followed(
    client: KubeClient, namespace: str, follow: Callable[..., Following]
) -> None:
    for number in range(250):
        client.create(CONFIG_MAPS, config_map(namespace, f"c{number:03}", n=str(number)))
    following = follow(client, CONFIG_MAPS, namespace)
    assert following.reflector.synced.wait(10)
    assert {(name, old, initial) for name, old, _, initial in following.told(250)} == {
        (f"c{number:03}", None, True) for number in range(250)
    }
    client.create(CONFIG_MAPS, config_map(namespace, "new", n="1"))
    client.replace(CONFIG_MAPS, config_map(namespace, "new", n="2"))
    client.delete(CONFIG_MAPS, Key(namespace, "new"))
    assert following.told(3) == [
        ("new", None, {"n": "1"}, False),
        ("new", {"n": "1"}, {"n": "2"}, False),
        ("new", {"n": "2"}, None, False),
    ]
    assert len(following.store) == 250


def test_what_changed_while_nobody_looked_is_told_by_the_next_list(
    client: KubeClient, namespace: str, follow: Callable[..., Following]
) -> None:
    for name in ("gone", "changed", "same"):
        client.create(CONFIG_MAPS, config_map(namespace, name, n="1"))
    first = follow(client, CONFIG_MAPS, namespace)
    assert first.reflector.synced.wait(10)
    first.reflector.stop(5)
    client.delete(CONFIG_MAPS, Key(namespace, "gone"))
    client.replace(CONFIG_MAPS, config_map(namespace, "changed", n="2"))
    client.create(CONFIG_MAPS, config_map(namespace, "new", n="1"))
    second = follow(client, CONFIG_MAPS, namespace, first.store)
    assert second.told(3) == [
        ("changed", {"n": "1"}, {"n": "2"}, False),
        ("new", None, {"n": "1"}, False),
        ("gone", {"n": "1"}, None, False),
    ]
    assert second.changes.empty()


def test_a_crd_that_comes_later_is_noticed_and_holds_up_nobody(
    client: KubeClient, control_plane: ControlPlane, namespace: str, follow: Callable[..., Following]
) -> None:
    late = follow(client, LATE, None)
    other = follow(client, CONFIG_MAPS, namespace)
    assert other.reflector.synced.wait(10)
    eventually(lambda: late.reflector.last_error is not None, "it says that the kind is not served")
    assert "404 page not found" in str(late.reflector.last_error)
    assert not late.reflector.synced.is_set()
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    client.create(
        CRDS,
        {
            "apiVersion": CRDS.api_version,
            "kind": CRDS.kind,
            "metadata": {"name": str(LATE)},
            "spec": {
                "group": LATE.group,
                "scope": "Namespaced",
                "names": {"plural": LATE.plural, "kind": LATE.kind},
                "versions": [version],
            },
        },
    )
    assert late.reflector.synced.wait(20)
    client.create(
        LATE,
        {
            "apiVersion": LATE.api_version,
            "kind": LATE.kind,
            "metadata": {"namespace": namespace, "name": "a"},
        },
    )
    assert [name for name, *_ in late.told(1)] == ["a"]
    eventually(lambda: late.reflector.last_error is None, "the error is over")
    # Deleting the CRD takes its objects away; the reflector tells it, and waits for the next one.
    client.delete(CRDS, Key("", str(LATE)))
    eventually(lambda: len(late.store) == 0, "the object is gone")


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_the_api_server_goes_away_and_comes_back(follow: Callable[..., Following], *, kill: bool) -> None:
    with ControlPlane() as control_plane:
        client = connect(control_plane.kubeconfig, timings=TIMINGS)
        client.create(CONFIG_MAPS, config_map("default", "a", n="1"))
        following = follow(client, CONFIG_MAPS, "default")
        assert following.reflector.synced.wait(10)
        while following.changes.qsize():
            following.told(1)
        control_plane.stop_apiserver(kill=kill)
        eventually(
            lambda: following.reflector.last_error is not None, "it is said that the API server is away"
        )
        assert Key("default", "a") in following.store, "what is known stays"
        control_plane.start_apiserver()
        client.replace(CONFIG_MAPS, config_map("default", "a", n="2"))
        assert following.told(1) == [("a", {"n": "1"}, {"n": "2"}, False)]
        eventually(lambda: following.reflector.last_error is None, "the error is over")
        following.reflector.stop(5)
        client.close()
