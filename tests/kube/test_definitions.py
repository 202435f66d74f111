"""CRDs that come, go and are forbidden, against a real API server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from controlplane import ControlPlane

from provider_discord.kube.client import KubeClient, connect
from provider_discord.kube.definitions import DEFINITIONS, Definitions
from provider_discord.kube.errors import Forbidden
from provider_discord.kube.reflector import Reflector
from provider_discord.kube.resource import Key, Obj, Resource
from provider_discord.kube.store import Store
from provider_discord.telemetry.metrics import Metrics
from tests.kube.test_reflector import CONFIG_MAPS, TIMINGS, config_map, eventually

COMING = Resource("definitions.test.example.org", "v1", "comings", "Coming", namespaced=True)
GOING = Resource("definitions.test.example.org", "v1", "goings", "Going", namespaced=True)
PATIENT = replace(TIMINGS, reflector_backoff_min_seconds=60.0, reflector_missing_backoff_max_seconds=60.0)
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def definition(resource: Resource) -> Obj:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": DEFINITIONS.api_version,
        "kind": DEFINITIONS.kind,
        "metadata": {"name": str(resource)},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced",
            "names": {"plural": resource.plural, "kind": resource.kind},
            "versions": [version],
        },
    }


def grant(control_plane: ControlPlane, namespace: str, user: str, resource: str) -> None:
    """Let somebody read the objects of a kind in a namespace."""
    base, group = f"{RBAC}/namespaces/{namespace}", "rbac.authorization.k8s.io"
    rule = {"apiGroups": [""], "resources": [resource], "verbs": ["get", "list", "watch"]}
    name = f"{user}-{resource}"
    control_plane.request("POST", f"{base}/roles", body={"metadata": {"name": name}, "rules": [rule]})
    binding: dict[str, Any] = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
    control_plane.request("POST", f"{base}/rolebindings", body=binding)


def revoke(control_plane: ControlPlane, namespace: str, user: str, resource: str) -> None:
    for plural in ("rolebindings", "roles"):
        control_plane.request("DELETE", f"{RBAC}/namespaces/{namespace}/{plural}/{user}-{resource}")


def follow(client: KubeClient, resource: Resource, **others: Any) -> tuple[Reflector, Store]:
    store = Store()
    given: dict[str, Any] = {"timings": TIMINGS, "handler": lambda _: None, **others}
    reflector = Reflector(client, resource, store, now=time.monotonic, rand=lambda: 0.0, **given)
    reflector.start()
    return reflector, store


@pytest.fixture
def client(control_plane: ControlPlane) -> Iterator[KubeClient]:
    client = connect(control_plane.kubeconfig)
    yield client
    client.close()


@pytest.fixture
def nobody(control_plane: ControlPlane) -> Iterator[KubeClient]:
    """Somebody without rights of any kind."""
    client = connect(control_plane.kubeconfig_for("nobody-in-particular"))
    yield client
    client.close()


def test_a_kind_is_listed_at_once_when_its_crd_comes(client: KubeClient, namespace: str) -> None:
    definitions = Definitions(client, timings=PATIENT, now=time.monotonic)
    reflector, store = follow(client, COMING, timings=PATIENT, definitions=definitions)
    eventually(lambda: reflector.missing, "it is not there")
    eventually(lambda: reflector._watch is not None, "its CRD is watched")
    try:
        client.create(DEFINITIONS, definition(COMING))
        assert reflector.synced.wait(10), "or it would have waited for a minute"
        assert not reflector.missing
        assert store.has_synced
        client.delete(DEFINITIONS, Key("", str(COMING)))
        eventually(lambda: reflector.missing, "it is gone")
        assert not store.has_synced
        client.create(DEFINITIONS, definition(COMING))
        eventually(lambda: store.has_synced, "it is back")
    finally:
        reflector.stop(5)
        client.delete(DEFINITIONS, Key("", str(COMING)))


def test_whether_a_kind_is_about_to_go(client: KubeClient, nobody: KubeClient, namespace: str) -> None:
    """The CRD says so before any object does, and discovery to those who may not read it."""
    seen = {
        name: Definitions(by, timings=TIMINGS, now=time.monotonic)
        for name, by in (("us", client), ("nobody", nobody))
    }
    client.create(DEFINITIONS, definition(GOING))
    eventually(lambda: not seen["nobody"].ending(GOING), "discovery to know the kind")
    assert not seen["us"].ending(GOING)
    with pytest.raises(Forbidden):
        nobody.get(DEFINITIONS, Key("", str(GOING)))
    obj = {
        "apiVersion": GOING.api_version,
        "kind": GOING.kind,
        "metadata": {"namespace": namespace, "name": "a", "finalizers": ["example.org/held"]},
    }
    key = Key(namespace, "a")
    client.create(GOING, obj)

    client.delete(DEFINITIONS, Key("", str(GOING)))
    assert seen["us"].ending(GOING), "before anything is asked of an object"
    eventually(
        lambda: "deletionTimestamp" in client.get(GOING, key)["metadata"], "the object is to go as well"
    )
    assert seen["nobody"].ending(GOING)

    # As long as somebody holds the object it can be read and written, and a way out of its finalizer is open.
    held = client.get(GOING, key)
    held["metadata"]["annotations"] = {"told": "yes"}
    held = client.replace(GOING, held)
    held["metadata"]["finalizers"] = []
    client.replace(GOING, held)
    eventually(lambda: seen["us"].ending(GOING) and seen["nobody"].ending(GOING), "it is gone for all")


def test_rights_that_are_taken_away_and_given_back(
    control_plane: ControlPlane, client: KubeClient, nobody: KubeClient, namespace: str
) -> None:
    """One kind's are taken; the other's watch goes on."""
    user, metrics = "nobody-in-particular", Metrics()
    quick = replace(TIMINGS, watch_timeout_min_seconds=1.0, watch_timeout_max_seconds=1.0)
    secrets = Resource("", "v1", "secrets", "Secret", namespaced=True)
    for resource in (CONFIG_MAPS, secrets):
        grant(control_plane, namespace, user, resource.plural)
    taken, kept = (
        follow(nobody, resource, timings=quick, namespace=namespace, metrics=metrics)
        for resource in (CONFIG_MAPS, secrets)
    )

    def up(kind: str) -> float | None:
        return metrics.registry.get_sample_value("provider_discord_watch_up", {"kind": kind})

    try:
        assert all(reflector.synced.wait(10) for reflector, _ in (taken, kept))
        client.create(CONFIG_MAPS, config_map(namespace, "a"))
        eventually(lambda: Key(namespace, "a") in taken[1], "it is told")
        revoke(control_plane, namespace, user, CONFIG_MAPS.plural)
        eventually(lambda: isinstance(taken[0].last_error, Forbidden), "it is noticed when the watch ends")
        assert up("ConfigMap") == 0
        assert Key(namespace, "a") in taken[1], "what is known stays"
        assert not taken[1].has_synced, "but nobody acts by it"
        assert up("Secret") == 1
        assert kept[0].last_error is None
        client.create(CONFIG_MAPS, config_map(namespace, "b"))
        grant(control_plane, namespace, user, CONFIG_MAPS.plural)
        eventually(lambda: Key(namespace, "b") in taken[1], "what happened meanwhile is told")
        eventually(lambda: up("ConfigMap") == 1 and taken[1].has_synced, "all is well")
    finally:
        threads = [reflector for reflector, _ in (taken, kept)]
        for reflector in threads:
            reflector.stop(5)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("reflector")]
