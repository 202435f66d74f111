"""Events as `kubectl describe` and `kubectl get events` show them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from controlplane import ControlPlane

from provider_discord.kube.client import KubeClient, connect
from provider_discord.kube.events import EVENTS, EventRecorder
from provider_discord.kube.resource import Key, Obj, Resource
from provider_discord.kube.timings import KubeTimings

pytestmark = pytest.mark.kube

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)


@pytest.fixture
def client(control_plane: ControlPlane) -> Iterator[KubeClient]:
    client = connect(control_plane.kubeconfig)
    yield client
    client.close()


@pytest.fixture
def recorder(client: KubeClient) -> Iterator[EventRecorder]:
    recorder = EventRecorder(
        client,
        component="provider-discord",
        instance="pod-1",
        timings=KubeTimings(event_retry_seconds=0.05),
        now=time.monotonic,
        wall=lambda: datetime.now(UTC),
    )
    recorder.start()
    yield recorder
    recorder.stop()


def flush(recorder: EventRecorder) -> None:
    assert recorder.flush(time.monotonic() + 10)


def events_about(client: KubeClient, obj: Obj, namespace: str) -> list[dict[str, Any]]:
    page = client.list_page(EVENTS, namespace=namespace, limit=500)
    return [event for event in page.items if event["involvedObject"].get("uid") == obj["metadata"]["uid"]]


@pytest.fixture
def about(client: KubeClient, namespace: str) -> Obj:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": "thing"}}
    return client.create(CONFIG_MAPS, body)


def test_kubectl_shows_them(
    recorder: EventRecorder, control_plane: ControlPlane, about: Obj, namespace: str
) -> None:
    recorder.event(about, "Warning", "CannotCreateExternalResource", "create failed: Missing Permissions")
    flush(recorder)
    shown = control_plane.kubectl("get", "events", "-n", namespace)
    assert "CannotCreateExternalResource" in shown
    assert "configmap/thing" in shown
    described = control_plane.kubectl("describe", "configmap", "-n", namespace, "thing")
    assert "provider-discord" in described, "who says it"
    assert "create failed: Missing Permissions" in described


def test_what_is_said_again_is_counted(
    recorder: EventRecorder, client: KubeClient, about: Obj, namespace: str
) -> None:
    for _ in range(3):
        recorder.event(about, "Warning", "CannotObserve", "observe failed: no")
    recorder.event(about, "Normal", "Created", "it is there")
    recorder.event(about, "Warning", "CannotObserve", "observe failed: other")
    flush(recorder)
    told = {
        (event["reason"], event["message"]): event["count"]
        for event in events_about(client, about, namespace)
    }
    assert told == {
        ("CannotObserve", "observe failed: no"): 3,
        ("CannotObserve", "observe failed: other"): 1,
        ("Created", "it is there"): 1,
    }


def test_an_event_that_expired_is_made_anew(
    recorder: EventRecorder, client: KubeClient, about: Obj, namespace: str
) -> None:
    recorder.event(about, "Normal", "Synced", "as it should be")
    flush(recorder)
    [event] = events_about(client, about, namespace)
    client.delete(EVENTS, Key(namespace, event["metadata"]["name"]))
    recorder.event(about, "Normal", "Synced", "as it should be")
    flush(recorder)
    [again] = events_about(client, about, namespace)
    assert again["metadata"]["name"] != event["metadata"]["name"]
    assert again["count"] == 1


def test_a_cluster_scoped_object(recorder: EventRecorder, client: KubeClient, namespace: str) -> None:
    about = client.get(NAMESPACES, Key("", namespace))
    recorder.event(about, "Normal", "Verified", "its events live in the namespace default")
    flush(recorder)
    [event] = events_about(client, about, "default")
    assert event["metadata"]["namespace"] == "default"


def test_long_names_and_messages_are_taken(
    recorder: EventRecorder, client: KubeClient, namespace: str
) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": "n" * 253}}
    about = client.create(CONFIG_MAPS, body)
    recorder.event(about, "Normal", "Long", "m" * 5000)
    flush(recorder)
    [event] = events_about(client, about, namespace)
    assert len(event["message"]) == 1024
