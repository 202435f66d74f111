"""The client against a real API server: what we assume of it is what it does."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from controlplane import ControlPlane

from provider_discord.kube import errors
from provider_discord.kube.access import EventType
from provider_discord.kube.client import KubeClient, connect
from provider_discord.kube.resource import Key, Obj, Resource, key_of
from provider_discord.kube.store import Store

pytestmark = pytest.mark.kube

CRDS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
WIDGETS = Resource("client.test.example.org", "v1", "widgets", "Widget", namespaced=True)


def definition(resource: Resource) -> Obj:
    spec = {
        "type": "object",
        "properties": {"size": {"type": "integer", "maximum": 10}, "label": {"type": "string"}},
    }
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": CRDS.api_version,
        "kind": CRDS.kind,
        "metadata": {"name": str(resource)},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced",
            "names": {"plural": resource.plural, "kind": resource.kind},
            "versions": [
                {
                    "name": resource.version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {
                        "openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}
                    },
                }
            ],
        },
    }


def eventually(condition: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def serve(client: KubeClient, resource: Resource) -> None:
    def served() -> bool:
        try:
            client.list_page(resource, limit=1)
        except errors.NotFound as error:
            return error.served
        return True

    assert not served(), "a kind that is not served can be told from an object that is not there"
    client.create(CRDS, definition(resource))
    eventually(served, "the CRD is served")


@pytest.fixture(scope="module")
def client(control_plane: ControlPlane) -> Iterator[KubeClient]:
    client = connect(control_plane.kubeconfig, user_agent="provider-discord/test")
    serve(client, WIDGETS)
    yield client
    client.close()


def widget(namespace: str, name: str = "a", **spec: Any) -> Obj:
    return {
        "apiVersion": WIDGETS.api_version,
        "kind": WIDGETS.kind,
        "metadata": {"namespace": namespace, "name": name},
        "spec": spec,
    }


def test_the_life_of_an_object(client: KubeClient, namespace: str) -> None:
    key = Key(namespace, "a")
    created = client.create(WIDGETS, widget(namespace, size=1))
    assert client.get(WIDGETS, key) == created
    with pytest.raises(errors.AlreadyExists):
        client.create(WIDGETS, widget(namespace, size=2))

    replaced = client.replace(WIDGETS, {**created, "spec": {"size": 2}, "status": {"said": "nothing"}})
    assert replaced["spec"] == {"size": 2}
    assert "status" not in replaced, "a PUT of the object does not touch its status"
    told = client.replace_status(WIDGETS, {**replaced, "spec": {"size": 3}, "status": {"said": "hello"}})
    assert (told["spec"], told["status"]) == ({"size": 2}, {"said": "hello"}), "nor the other way round"
    with pytest.raises(errors.Conflict):
        client.replace_status(WIDGETS, {**replaced, "status": {}})
    with pytest.raises(errors.Conflict):
        client.replace(WIDGETS, created)
    assert (
        client.replace(WIDGETS, told)["metadata"]["resourceVersion"] == told["metadata"]["resourceVersion"]
    ), "a PUT that changes nothing makes no version, so nobody is woken"

    with pytest.raises(errors.Conflict):
        client.delete(WIDGETS, key, uid="another")
    with pytest.raises(errors.Conflict):
        client.delete(WIDGETS, key, resource_version=created["metadata"]["resourceVersion"])
    client.delete(WIDGETS, key, uid=created["metadata"]["uid"])
    with pytest.raises(errors.NotFound) as caught:
        client.get(WIDGETS, key)
    assert caught.value.served
    with pytest.raises(errors.NotFound):
        client.replace(WIDGETS, told)


def test_what_the_schema_refuses_names_the_field(client: KubeClient, namespace: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        client.create(WIDGETS, widget(namespace, size=11))
    assert [cause.field for cause in caught.value.causes] == ["spec.size"]
    assert "should be less than or equal to 10" in str(caught.value)


def test_an_object_put_without_managed_fields_keeps_them(
    client: KubeClient, control_plane: ControlPlane, namespace: str
) -> None:
    # The cache leaves managedFields out, and what is PUT comes from the cache. If that cleared them, everybody
    # who applies server-side would lose their fields.
    control_plane.request(
        "PATCH",
        WIDGETS.path(namespace, "a") + "?fieldManager=team",
        body=widget(namespace, size=1, label="x"),
        content_type="application/apply-patch+yaml",
    )
    store = Store()
    store.put(client.get(WIDGETS, Key(namespace, "a")))
    cached = store.get(Key(namespace, "a"))
    assert cached is not None
    assert "managedFields" not in cached["metadata"]
    cached["metadata"]["annotations"] = {"crossplane.io/external-name": "1"}
    cached["status"] = {"said": "hello"}
    written = client.replace_status(WIDGETS, client.replace(WIDGETS, cached) | {"status": {"said": "hello"}})
    owners = {(entry["manager"], entry["operation"]) for entry in written["metadata"]["managedFields"]}
    assert owners == {("team", "Apply"), ("provider-discord", "Update")}
    [team] = [entry for entry in written["metadata"]["managedFields"] if entry["manager"] == "team"]
    assert set(team["fieldsV1"]["f:spec"]) == {"f:size", "f:label"}
    control_plane.request(
        "PATCH",
        WIDGETS.path(namespace, "a") + "?fieldManager=team",
        body=widget(namespace, size=2),
        content_type="application/apply-patch+yaml",
    )
    after = client.get(WIDGETS, Key(namespace, "a"))
    assert after["spec"] == {"size": 2}, (
        "who applies still owns their fields: the label that they drop is gone"
    )
    assert after["metadata"]["annotations"] == {"crossplane.io/external-name": "1"}


def test_pages_show_one_moment(client: KubeClient, namespace: str) -> None:
    for number in range(5):
        client.create(WIDGETS, widget(namespace, f"w{number}"))
    first = client.list_page(WIDGETS, namespace=namespace, limit=2)
    client.delete(WIDGETS, Key(namespace, "w4"))
    client.create(WIDGETS, widget(namespace, "w5"))
    names = [key_of(obj).name for obj in first.items]
    token, version = first.continue_token, first.resource_version
    while token:
        page = client.list_page(WIDGETS, namespace=namespace, limit=2, continue_token=token)
        assert page.resource_version == version
        names += [key_of(obj).name for obj in page.items]
        token = page.continue_token
    assert names == ["w0", "w1", "w2", "w3", "w4"]
    assert all(obj["kind"] == "Widget" for obj in first.items)
    with pytest.raises(errors.ApiError):
        client.list_page(WIDGETS, continue_token="nonsense")


def test_a_watch_tells_what_happens_after_the_list(client: KubeClient, namespace: str) -> None:
    client.create(WIDGETS, widget(namespace, "before"))
    version = client.list_page(WIDGETS, namespace=namespace).resource_version
    obj = client.create(WIDGETS, widget(namespace, "a", size=1))
    client.replace(WIDGETS, {**obj, "spec": {"size": 2}})
    client.delete(WIDGETS, Key(namespace, "a"))
    with client.watch(WIDGETS, resource_version=version, timeout_seconds=30, namespace=namespace) as watch:
        told = []
        for event in watch:
            if event.type is not EventType.BOOKMARK:
                told.append((event.type, key_of(event.obj).name, event.obj["spec"]))
            if len(told) == 3:
                break
    assert told == [
        (EventType.ADDED, "a", {"size": 1}),
        (EventType.MODIFIED, "a", {"size": 2}),
        (EventType.DELETED, "a", {"size": 2}),
    ]


def test_a_watch_that_waits_is_closed_at_once_under_tls(client: KubeClient, namespace: str) -> None:
    version = client.list_page(WIDGETS, namespace=namespace).resource_version
    for _ in range(10):
        watch = client.watch(WIDGETS, resource_version=version, timeout_seconds=60, namespace=namespace)
        outcome: list[BaseException | None] = []

        def read(watch: Any = watch, outcome: list[BaseException | None] = outcome) -> None:
            try:
                list(watch)
            except BaseException as error:  # noqa: BLE001 - the test shows it
                outcome.append(error)
            else:
                outcome.append(None)

        thread = threading.Thread(target=read)
        thread.start()
        time.sleep(0.02)  # So that it waits, most of the time; right either way.
        started = time.monotonic()
        watch.close()
        thread.join(10)
        assert outcome == [None]
        assert time.monotonic() - started < 1


def test_the_server_ends_a_watch_when_asked_to(client: KubeClient, namespace: str) -> None:
    version = client.list_page(WIDGETS, namespace=namespace).resource_version
    events = list(client.watch(WIDGETS, resource_version=version, timeout_seconds=1, namespace=namespace))
    assert all(event.type is EventType.BOOKMARK for event in events)


def test_a_watch_from_a_version_of_the_future_is_taken_and_silent(client: KubeClient, namespace: str) -> None:
    # Why the reflector looks at the version after a watch that told nothing.
    with client.watch(WIDGETS, resource_version=str(10**12), timeout_seconds=1, namespace=namespace) as watch:
        client.create(WIDGETS, widget(namespace))
        assert [event for event in watch if event.type is not EventType.BOOKMARK] == []


def test_a_version_that_is_gone_is_told_as_gone(client: KubeClient, namespace: str) -> None:
    """Compacted history: the reflector then lists everything again."""
    with (
        pytest.raises(errors.Gone),
        client.watch(WIDGETS, resource_version="1", timeout_seconds=5, namespace=namespace) as watch,
    ):
        list(watch)


def test_a_field_that_nobody_here_knows_survives_every_write(client: KubeClient, namespace: str) -> None:
    made = client.create(WIDGETS, widget(namespace, size=1, fromTomorrow={"deep": [1, {"x": None}]}))
    made["metadata"]["annotations"] = {"a": "b"}
    written = client.replace(WIDGETS, made)
    written["status"] = {"ok": True}
    client.replace_status(WIDGETS, written)
    assert client.get(WIDGETS, Key(namespace, "a"))["spec"] == made["spec"]


def test_somebody_without_rights(control_plane: ControlPlane, namespace: str) -> None:
    nobody = connect(control_plane.kubeconfig_for(f"nobody-{secrets.token_hex(3)}"))
    with pytest.raises(errors.Forbidden, match=r"widgets\.client\.test\.example\.org"):
        nobody.list_page(WIDGETS, namespace=namespace)
    nobody.close()
