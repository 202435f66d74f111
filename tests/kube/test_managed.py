"""The reconciler against a real API server, where its semantics matter: conflicts, the status subresource,
finalizers, owner references, a namespace that is deleted.

The cloud is the one of the unit tests; reflectors, queue, workers and clock are real, the constants are small.
"""

from __future__ import annotations

import base64
import itertools
import json
import random
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from controlplane import ControlPlane

from provider_discord.kube.client import KubeClient, connect
from provider_discord.kube.errors import Conflict, NotFound
from provider_discord.kube.events import EventRecorder
from provider_discord.kube.reflector import Reflector
from provider_discord.kube.resource import Key, Obj, Resource
from provider_discord.kube.store import Store
from provider_discord.kube.timings import KubeTimings
from provider_discord.kube.workqueue import WorkQueue
from provider_discord.managed import meta
from provider_discord.managed.announce import Announcer
from provider_discord.managed.claims import Claims
from provider_discord.managed.connection import SECRETS, ConnectionSecrets
from provider_discord.managed.controller import Controller, Item
from provider_discord.managed.external import ManagedKind, ReferenceField
from provider_discord.managed.metrics import NoMetrics
from provider_discord.managed.providerconfig import ProviderConfigs
from provider_discord.managed.reconciler import Reconciler
from provider_discord.managed.references import ReferenceResolver
from provider_discord.managed.timings import ManagedTimings
from provider_discord.managed.tools import Tools
from provider_discord.managed.usage import Usages

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.unit.managed.managed_world import (
    CONFIGS,
    SETTLED,
    TOKEN,
    USAGES,
    Clock,
    Cloud,
    CloudConnector,
    Sessions,
)

GROUP = f"managed-{secrets.token_hex(3)}.test.example.org"
THINGS = Resource(GROUP, "v1alpha1", "things", "Thing", namespaced=True)
CRDS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)

KUBE = KubeTimings(queue_backoff_min_seconds=0.05, queue_backoff_max_seconds=0.5)
MANAGED = ManagedTimings(
    creation_grace_seconds=1.0,
    poll_interval_seconds=1.0,
    min_poll_interval_seconds=0.1,
    resolution_delay_seconds=1.0,
    resolution_retry_seconds=0.2,
    settle_seconds=0.05,
    secret_retry_seconds=0.2,
    config_poll_seconds=0.5,
    usage_settle_seconds=0.1,
    session_linger_seconds=0.5,
    in_use_retry_seconds=0.5,
    leader_check_seconds=0.05,
)


def eventually(
    condition: Callable[[], bool], what: Callable[[], object] | str, seconds: float = 20.0
) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what if isinstance(what, str) else what()
        time.sleep(0.02)


def definition() -> Obj:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": CRDS.api_version,
        "kind": CRDS.kind,
        "metadata": {"name": str(THINGS)},
        "spec": {
            "group": THINGS.group,
            "scope": "Namespaced",
            "names": {"plural": THINGS.plural, "kind": THINGS.kind},
            "versions": [
                {
                    "name": THINGS.version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {"spec": anything, "status": anything},
                        }
                    },
                }
            ],
        },
    }


@pytest.fixture(scope="module")
def client(control_plane: ControlPlane, crds: list[str]) -> Iterator[KubeClient]:
    assert any(name.startswith("providerconfigusages.") for name in crds)
    client = connect(control_plane.kubeconfig, user_agent="provider-discord/test")
    client.create(CRDS, definition())

    def served() -> bool:
        try:
            client.list_page(THINGS, limit=1)
        except NotFound:
            return False
        return True

    eventually(served, "the CRD is served")
    yield client
    client.close()


class WallClock(Clock):
    """The cloud's clock, real."""

    def now(self) -> float:
        return time.monotonic()

    def wall(self) -> datetime:
        return datetime.now(UTC)


class Interposed:
    """Calls a hook before each PUT, as somebody who is faster."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self.before_replace: Callable[[Resource, Obj], None] = lambda _resource, _obj: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def replace(self, resource: Resource, obj: Obj) -> Obj:
        self.before_replace(resource, obj)
        return self._client.replace(resource, obj)


class Live:
    """A running provider over a real API server, and the verbs of its tests."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self.client = client
        self.namespace = namespace
        self.config = f"config-{namespace}"
        self.cloud = Cloud(WallClock())
        # Ids of different tests must differ: claims go over all namespaces.
        self.cloud._ids = itertools.count(secrets.randbelow(1 << 40) << 8)
        self.sessions = Sessions()
        self.access = Interposed(client)
        self.checkpoint: Callable[[str], None] = lambda _label: None
        self.running = False
        self.start()

    def start(self) -> None:
        access: Any = self.access
        stores = {THINGS: Store()}
        config_store, usage_store = Store(), Store()
        random_ = random.Random(1)  # noqa: S311 - jitter
        home = ReferenceField(path="homeId", ref="homeIdRef", selector="homeIdSelector", target=THINGS)
        kinds = {
            THINGS: ManagedKind(
                resource=THINGS,
                connector=CloudConnector(self.cloud, "Thing"),
                references=(home,),
                is_external_name=str.isdigit,
            )
        }
        self.events = EventRecorder(
            access,
            component="test",
            instance="test",
            timings=KUBE,
            now=time.monotonic,
            wall=lambda: datetime.now(UTC),
        )
        announcer = Announcer(self.events, now=time.monotonic, repeat_seconds=60)
        usages = Usages(access=access, resource=USAGES, store=usage_store, stores=stores)
        self.configs = ProviderConfigs(
            access=access,
            resource=CONFIGS,
            store=config_store,
            usages=usages,
            factory=self.sessions,
            announcer=announcer,
            timings=MANAGED,
            now=time.monotonic,
            wall=lambda: datetime.now(UTC),
        )
        born = datetime.now(UTC)
        tools = Tools(
            access=access,
            kinds=kinds,
            stores=stores,
            configs=self.configs,
            usages=usages,
            claims=Claims(),
            references=ReferenceResolver(kinds=kinds, stores=stores),
            secrets=ConnectionSecrets(access),
            announcer=announcer,
            metrics=NoMetrics(),
            timings=MANAGED,
            now=time.monotonic,
            wall=lambda: datetime.now(UTC),
            born=lambda: born,
            rand=random_.random,
            new_id=lambda: secrets.token_hex(4),
            may_write=lambda: self.running,
            checkpoint=self._checkpoint,
            pause=time.sleep,
        )
        queue: WorkQueue[Item] = WorkQueue(timings=KUBE, now=time.monotonic)
        self.controller = Controller(
            reconciler=Reconciler(tools),
            configs=self.configs,
            config_store=config_store,
            usage_resource=USAGES,
            usage_store=usage_store,
            queue=queue,
            workers=4,
        )
        self.reflectors = [
            Reflector(
                access,
                resource,
                store,
                handler=self.controller.handler(resource),
                timings=KUBE,
                now=time.monotonic,
                rand=random_.random,
            )
            for resource, store in {**stores, CONFIGS: config_store, USAGES: usage_store}.items()
        ]
        self.running = True
        self.events.start()
        for reflector in self.reflectors:
            reflector.start()
        self.controller.start()

    def _checkpoint(self, label: str) -> None:
        self.checkpoint(label)

    def stop(self) -> None:
        self.running = False
        assert self.controller.stop(10)
        for reflector in self.reflectors:
            reflector.stop()
        self.events.stop()

    def configure(self, token: str = TOKEN) -> None:
        data = {"token": base64.b64encode(token.encode()).decode()}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"namespace": self.namespace, "name": "token"},
        }
        self.client.create(SECRETS, {**secret, "data": data})
        ref = {"namespace": self.namespace, "name": "token", "key": "token"}
        self.client.create(
            CONFIGS,
            {
                "apiVersion": CONFIGS.api_version,
                "kind": CONFIGS.kind,
                "metadata": {"name": self.config},
                "spec": {"credentials": {"source": "Secret", "secretRef": ref}},
            },
        )

    def thing(
        self, name: str = "a", *, annotations: dict[str, str] | None = None, **for_provider: Any
    ) -> Key:
        reference = {"kind": "ProviderConfig", "name": self.config}
        self.client.create(
            THINGS,
            {
                "apiVersion": THINGS.api_version,
                "kind": THINGS.kind,
                "metadata": {"namespace": self.namespace, "name": name, "annotations": annotations or {}},
                "spec": {"providerConfigRef": reference, "forProvider": {"name": name, **for_provider}},
            },
        )
        return Key(self.namespace, name)

    def get(self, key: Key, resource: Resource = THINGS) -> Obj:
        try:
            return self.client.get(resource, key)
        except NotFound:
            return {}

    def condition(self, key: Key, type_: str, resource: Resource = THINGS) -> dict[str, Any]:
        conditions = (self.get(key, resource).get("status") or {}).get("conditions") or ()
        return next((dict(c) for c in conditions if c["type"] == type_), {})

    def settled(self, key: Key) -> bool:
        ready, synced = self.condition(key, "Ready"), self.condition(key, "Synced")
        return (ready.get("reason"), synced.get("reason")) == SETTLED

    def edit(self, key: Key, change: Callable[[Obj], None], resource: Resource = THINGS) -> None:
        while True:
            obj = self.client.get(resource, key)
            change(obj)
            try:
                self.client.replace(resource, obj)
            except Conflict:
                continue
            return

    def wait_settled(self, *keys: Key) -> None:
        for key in keys:
            eventually(lambda key=key: self.settled(key), lambda key=key: self.get(key))  # type: ignore[misc]

    def wait_gone(self, key: Key, resource: Resource = THINGS) -> None:
        eventually(lambda: not self.get(key, resource), lambda: self.get(key, resource))


@pytest.fixture
def live(client: KubeClient, namespace: str) -> Iterator[Live]:
    live = Live(client, namespace)
    live.configure()
    yield live
    live.stop()
    for key, resource in ((Key("", live.config), CONFIGS),):
        obj = live.get(key, resource)
        if obj:
            client.replace(resource, meta.with_finalizer(obj, meta.CONFIG_FINALIZER, present=False))
            client.delete(resource, key)
    for obj in client.list_page(THINGS, namespace=namespace).items:
        client.replace(THINGS, {**obj, "metadata": {**obj["metadata"], "finalizers": []}})


def creates(live: Live) -> int:
    return sum(1 for verb, _ in live.cloud.calls if verb == "create")


def test_a_life_from_create_to_delete(live: Live) -> None:
    applied = json.dumps({"kept": True})
    key = live.thing(size=1, annotations={"kubectl.kubernetes.io/last-applied-configuration": applied})
    live.wait_settled(key)
    obj = live.get(key)
    id_ = obj["metadata"]["annotations"][meta.EXTERNAL_NAME]
    assert list(live.cloud.objects) == [id_]
    assert obj["metadata"]["generation"] == 1, "what we write is no new generation"
    assert obj["metadata"]["finalizers"] == [meta.FINALIZER]
    assert obj["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] == applied
    assert obj["status"]["observedGeneration"] == 1
    live.edit(key, lambda o: o["spec"]["forProvider"].update(size=2))
    eventually(lambda: live.condition(key, "Synced").get("observedGeneration") == 2, "synced again")
    assert live.cloud.objects[id_].spec["size"] == 2
    live.cloud.objects[id_].spec["size"] = 3
    eventually(lambda: live.cloud.objects[id_].spec["size"] == 2, "drift is put back")
    live.client.delete(THINGS, key)
    live.wait_gone(key)
    assert live.cloud.objects == {}


def test_an_idle_object_is_not_written(live: Live) -> None:
    key = live.thing(size=1)
    live.wait_settled(key)
    time.sleep(0.3)
    before = live.get(key)["metadata"]["resourceVersion"]
    observed = len(live.cloud.calls)
    eventually(lambda: len(live.cloud.calls) >= observed + 3, "three polls")
    assert live.get(key)["metadata"]["resourceVersion"] == before


def test_the_pending_annotation_fails_on_a_newer_object(live: Live) -> None:
    raced = threading.Event()

    def race(resource: Resource, obj: Obj) -> None:
        if resource == THINGS and meta.CREATE_PENDING in meta.annotations_of(obj) and not raced.is_set():
            raced.set()
            live.edit(Key(live.namespace, "a"), lambda o: o["spec"]["forProvider"].update(size=2))

    live.access.before_replace = race
    key = live.thing(size=1)
    live.wait_settled(key)
    assert raced.is_set()
    assert creates(live) == 1
    assert [o.spec["size"] for o in live.cloud.objects.values()] == [2]


def test_what_was_created_is_recorded_over_a_conflict(live: Live) -> None:
    def race(label: str) -> None:
        if label == "create.sent":
            live.edit(Key(live.namespace, "a"), lambda o: o["metadata"].update(labels={"by": "human"}))

    live.checkpoint = race
    key = live.thing(size=1)
    live.wait_settled(key)
    assert creates(live) == 1
    assert live.get(key)["metadata"]["labels"] == {"by": "human"}


@pytest.mark.parametrize("outcome", ["committed", "lost"])
def test_unknown_outcomes_are_resolved_with_real_annotations(live: Live, outcome: str) -> None:
    live.cloud.on_create = outcome
    key = live.thing(size=1)
    live.wait_settled(key)
    assert creates(live) == (1 if outcome == "committed" else 2)
    assert len(live.cloud.objects) == 1
    assert meta.CREATE_ATTEMPT not in meta.annotations_of(live.get(key))


def test_a_restart_finds_everything_as_it_was(live: Live) -> None:
    keys = [live.thing(f"t{number}", size=1) for number in range(5)]
    live.wait_settled(*keys)
    time.sleep(0.3)
    versions = [live.get(key)["metadata"]["resourceVersion"] for key in keys]
    live.stop()
    live.cloud.calls.clear()
    live.start()
    eventually(lambda: len(live.cloud.calls) >= 10, "every object is polled again")
    assert creates(live) == 0
    assert [live.get(key)["metadata"]["resourceVersion"] for key in keys] == versions


def test_references_resolve_in_any_order(live: Live) -> None:
    child = live.thing("child", homeIdRef={"name": "parent"})
    eventually(lambda: "does not exist" in live.condition(child, "Synced").get("message", ""), "it says so")
    parent = live.thing("parent")
    live.wait_settled(child, parent)
    assert "homeId" not in live.get(child)["spec"]["forProvider"]


def test_a_pause_stops_deletion_until_it_is_taken_back(live: Live) -> None:
    key = live.thing(size=1)
    live.wait_settled(key)
    live.edit(key, lambda o: o["metadata"]["annotations"].update({meta.PAUSED: "true"}))
    eventually(lambda: live.condition(key, "Synced").get("reason") == "ReconcilePaused", "paused")
    live.client.delete(THINGS, key)
    observed = len(live.cloud.calls)
    other = live.thing("other")
    live.wait_settled(other)
    eventually(lambda: len(live.cloud.calls) >= observed + 5, "polls of the other one")
    assert live.get(key)["metadata"]["deletionTimestamp"]
    assert len(live.cloud.objects) == 2
    live.edit(key, lambda o: o["metadata"]["annotations"].pop(meta.PAUSED))
    live.wait_gone(key)
    assert len(live.cloud.objects) == 1


def test_a_request_is_acknowledged_in_a_pass_that_writes_metadata_too(live: Live) -> None:
    """The answer to a PUT of metadata has the old status; the token must not get lost by it."""
    key = live.thing(annotations={meta.RECONCILE_REQUESTED_AT: "first"})
    live.wait_settled(key)
    assert live.get(key)["status"]["lastHandledReconcileAt"] == "first"
    live.edit(key, lambda o: o["metadata"]["annotations"].update({meta.RECONCILE_REQUESTED_AT: "second"}))
    eventually(lambda: live.get(key)["status"]["lastHandledReconcileAt"] == "second", "handled")


def test_an_object_without_delete_goes_and_leaves_its_thing(live: Live) -> None:
    key = live.thing(size=1)
    live.wait_settled(key)
    live.edit(key, lambda o: o["spec"].update(managementPolicies=["Observe", "Create", "Update"]))
    live.client.delete(THINGS, key)
    live.wait_gone(key)
    assert len(live.cloud.objects) == 1
    assert ("delete", "a") not in live.cloud.calls


def test_labels_decide_what_a_selector_means(live: Live) -> None:
    chosen, other = live.thing("chosen"), live.thing("another")
    live.wait_settled(chosen, other)
    key = live.thing(homeIdSelector={"matchLabels": {"role": "home"}})
    eventually(
        lambda: "selects no Thing" in live.condition(key, "Synced").get("message", ""), "nothing is selected"
    )
    live.edit(chosen, lambda o: o["metadata"].update(labels={"role": "home"}))
    live.wait_settled(key)
    home = live.get(chosen)["metadata"]["annotations"][meta.EXTERNAL_NAME]
    assert live.cloud.last_of("a").for_provider["homeId"] == home
    assert "homeId" not in live.get(key)["spec"]["forProvider"], "the manifest stays what it is"


def test_other_finalizers_go_first(live: Live) -> None:
    key = live.thing(size=1)
    live.wait_settled(key)
    live.edit(key, lambda o: o["metadata"]["finalizers"].append("example.org/theirs"))
    live.client.delete(THINGS, key)
    time.sleep(1.5)
    assert live.cloud.objects
    live.edit(key, lambda o: o["metadata"]["finalizers"].remove("example.org/theirs"))
    live.wait_gone(key)
    assert live.cloud.objects == {}


def test_deleting_a_namespace_costs_only_what_is_not_guarded(live: Live) -> None:
    """Nothing can be created in it any more, usages and events included; that holds nobody up."""
    keys = [live.thing(f"t{number}", size=1) for number in range(4)]
    live.wait_settled(*keys)
    guarded = live.get(keys[0])["metadata"]["annotations"][meta.EXTERNAL_NAME]
    live.cloud.objects[guarded].guarded = True
    # The Secret is in the namespace as well; what is deleted with it must still be deletable.
    live.edit(
        Key(live.namespace, "token"), lambda o: o["metadata"].update(finalizers=["example.org/keep"]), SECRETS
    )
    live.client.delete(NAMESPACES, Key("", live.namespace))
    for key in keys[1:]:
        live.wait_gone(key)
    assert list(live.cloud.objects) == [guarded], "history is kept"
    assert "allowDelete" in live.condition(keys[0], "Synced")["message"]
    live.cloud.objects[guarded].guarded = False
    live.wait_gone(keys[0])
    live.edit(Key(live.namespace, "token"), lambda o: o["metadata"].update(finalizers=[]), SECRETS)


def test_usages_hold_the_config_and_go_with_their_object(live: Live) -> None:
    key, config = live.thing(size=1), Key("", live.config)
    live.wait_settled(key)
    uid = live.get(key)["metadata"]["uid"]
    usage = live.client.get(USAGES, Key(live.namespace, uid))
    assert usage["metadata"]["ownerReferences"][0]["uid"] == uid
    eventually(lambda: live.get(config, CONFIGS)["status"].get("users") == 1, "one user")
    assert live.get(config, CONFIGS)["status"]["bot"]["name"] == "bot"
    live.client.delete(CONFIGS, config)
    eventually(lambda: live.condition(config, "Terminating", CONFIGS).get("reason") == "InUse", "in use")
    live.client.delete(THINGS, key)
    live.wait_gone(key)
    live.wait_gone(config, CONFIGS)
    live.wait_gone(Key(live.namespace, uid), USAGES)


def test_a_configs_status_comes_to_rest(live: Live) -> None:
    """Nothing that we write into it is pruned by its schema and then written again and again."""
    config = Key("", live.config)
    key = live.thing(size=1)
    live.wait_settled(key)
    eventually(lambda: live.get(config, CONFIGS)["status"].get("users") == 1, "one user")
    assert live.condition(config, "Ready", CONFIGS)["reason"] == "Available"
    before = live.get(config, CONFIGS)["metadata"]["resourceVersion"]
    time.sleep(1.6)
    assert live.get(config, CONFIGS)["metadata"]["resourceVersion"] == before


def test_a_connection_secret_is_owned_by_its_object(live: Live) -> None:
    live.cloud.details = {"id": b"7"}
    key = live.thing(size=1)
    live.edit(key, lambda o: o["spec"].update(writeConnectionSecretToRef={"name": "out"}))
    out = Key(live.namespace, "out")
    eventually(lambda: bool(live.get(out, SECRETS)), "the secret is written")
    live.wait_settled(key)
    assert live.get(out, SECRETS)["type"] == meta.CONNECTION_SECRET_TYPE
    live.client.delete(THINGS, key)
    live.wait_gone(key)
    live.wait_gone(out, SECRETS)
