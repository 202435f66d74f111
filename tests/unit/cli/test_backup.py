"""A backup can be given to any cluster, and what is restored from it still knows what it stands for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from provider_discord.cli.backup import CONFIG, KINDS, manifests, needed, portable, read, to_yaml
from provider_discord.kube.access import Obj, ObjectAccess, Page
from provider_discord.kube.errors import Unreachable
from provider_discord.kube.resource import Resource

ROOT = Path(__file__).parents[3]


def live(kind: str = "Channel", name: str = "general", **metadata: Any) -> Obj:
    group = {"ProviderConfig": "discord.crossplane.io"}.get(kind, f"{kind.lower()}.discord.crossplane.io")
    return {
        "apiVersion": f"{group}/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": name,
            **({} if kind == "ProviderConfig" else {"namespace": "community"}),
            "uid": "0b5c",
            "resourceVersion": "812",
            "generation": 3,
            "creationTimestamp": "2026-11-01T00:00:00Z",
            "managedFields": [{"manager": "kubectl"}],
            "finalizers": ["finalizer.managedresource.crossplane.io"],
            "ownerReferences": [{"kind": "Composite", "name": "c", "uid": "gone", "apiVersion": "a/v1"}],
            **metadata,
        },
        "spec": {"forProvider": {"name": name}},
        "status": {"atProvider": {"id": "7"}},
    }


def test_what_belongs_to_the_old_cluster_is_left_out() -> None:
    # A stale owner reference would get the restored object collected, and its channel deleted at Discord.
    assert portable(live(labels={"team": "a"})) == {
        "apiVersion": "channel.discord.crossplane.io/v1alpha1",
        "kind": "Channel",
        "metadata": {"name": "general", "namespace": "community", "labels": {"team": "a"}},
        "spec": {"forProvider": {"name": "general"}},
    }


@pytest.mark.parametrize(
    ("annotation", "kept", "reason"),
    [
        ("crossplane.io/external-name", True, "else it would be created again beside what is there"),
        ("crossplane.io/external-create-pending", True, "an unfinished create is still to be resolved"),
        ("discord.crossplane.io/create-attempt", True, "by this it is found in the audit log"),
        ("discord.crossplane.io/images", True, "else every image would be sent again"),
        ("discord.crossplane.io/tags", True, "else a renamed forum tag would lose its posts"),
        ("discord.crossplane.io/acknowledged-bot", True, "else the bot would have to be confirmed again"),
        ("crossplane.io/paused", True, "what was paused must not start to write"),
        ("example.com/owner", True, "it is not ours to drop"),
        ("kubectl.kubernetes.io/last-applied-configuration", False, "it is kubectl's, and doubles the file"),
        ("crossplane.io/reconcile-requested-at", False, "the pass that it asked for was made"),
        ("reconcile.crossplane.io/trigger", False, "the pass that it asked for was made"),
        (
            "discord.crossplane.io/delete-attempt",
            False,
            "nobody has begun to delete what the restored one names",
        ),
    ],
)
def test_annotations(annotation: str, kept: bool, reason: str) -> None:
    metadata = portable(live(annotations={annotation: "x"}))["metadata"]
    assert (annotation in metadata.get("annotations", {})) is kept, reason


def test_namespaces_come_first_and_the_order_does_not_depend_on_the_cluster() -> None:
    objects = [
        live("Channel", "b"),
        live("Guild", "g"),
        live("Channel", "a"),
        live("ProviderConfig", "default"),
    ]
    names = [(one["kind"], one["metadata"]["name"]) for one in manifests(objects)]
    assert names == [
        ("Namespace", "community"),
        ("ProviderConfig", "default"),
        ("Guild", "g"),
        ("Channel", "a"),
        ("Channel", "b"),
    ]
    assert manifests(objects) == manifests(reversed(objects))


def test_what_it_needs_beside_the_backup_is_named() -> None:
    config = live("ProviderConfig", "default")
    config["spec"] = {
        "credentials": {"source": "Secret", "secretRef": {"namespace": "x", "name": "bot", "key": "t"}}
    }
    guild = live("Guild", "g")
    guild["spec"] = {"forProvider": {"iconFrom": {"configMapKeyRef": {"name": "icons", "key": "i"}}}}
    assert needed([config, guild]) == ["ConfigMap community/icons", "Secret x/bot"]


class Cluster:
    """Lists, two objects a page."""

    def __init__(self, objects: list[Obj]) -> None:
        self.objects = objects
        self.fails = False

    def list_page(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        limit: int = 100,
        continue_token: str = "",
    ) -> Page:
        del label_selector, limit
        if self.fails and continue_token:
            msg = "connection refused"
            raise Unreachable(msg)
        matching = [
            {name: value for name, value in obj.items() if name not in {"apiVersion", "kind"}}
            for obj in self.objects
            if obj["kind"] == resource.kind and namespace in {None, obj["metadata"].get("namespace")}
        ]
        start = int(continue_token or 0)
        more = str(start + 2) if start + 2 < len(matching) else ""
        return Page(matching[start : start + 2], "9", more)


def cluster(*objects: Obj) -> Any:
    return Cluster(list(objects))


def test_every_page_is_read_and_items_get_their_kind_back() -> None:
    access: ObjectAccess = cluster(*(live(name=f"c{n}") for n in range(5)), live("ProviderConfig", "default"))
    kinds = [obj["kind"] for obj in read(access, namespace=None)]
    assert kinds == ["ProviderConfig", *["Channel"] * 5]
    assert {resource.kind for resource in (CONFIG, *KINDS)} == {"ProviderConfig", "Guild", "Role", "Channel"}


def test_a_namespace_alone_brings_the_configs_with_it() -> None:
    other = live(name="other", namespace="elsewhere")
    found = read(cluster(live(), other, live("ProviderConfig", "default")), namespace="community")
    assert [obj["metadata"]["name"] for obj in found] == ["default", "general"]


def test_half_a_backup_is_none() -> None:
    access = cluster(*(live(name=f"c{n}") for n in range(5)))
    access.fails = True
    with pytest.raises(Unreachable):
        read(access, namespace=None)


def test_our_own_examples_survive_it() -> None:
    files = sorted((ROOT / "examples").rglob("*.yaml"))
    written = [doc for file in files for doc in yaml.safe_load_all(file.read_text()) if doc]
    ours = [doc for doc in written if "discord.crossplane.io" in doc["apiVersion"]]
    assert ours
    for doc in ours:
        assert portable({**doc, "status": {}}) == doc


@pytest.mark.parametrize("text", ["1e3", "12e4", "+1e2", ".1e2", "0o17", "1E5", "y", "Y", "n", "N"])
def test_text_stays_text_for_kubectl(text: str) -> None:
    """Go's YAML takes each of these for a number or a boolean where it is not quoted (seen)."""
    obj = live(name=text, labels={"commit": text})
    written = to_yaml([portable(obj)])
    assert f"commit: '{text}'" in written
    assert f"name: '{text}'" in written
    assert yaml.safe_load(written) == portable(obj)


def test_text_comes_back_as_it_was() -> None:
    topic = "Welcome\n\n  1e3 people: 'yes', \"no\" # \U0001f389\n" + "long " * 400
    obj = live(annotations={"a": topic, "b": "", "c": "~"})
    assert yaml.safe_load(to_yaml([portable(obj)])) == portable(obj)
