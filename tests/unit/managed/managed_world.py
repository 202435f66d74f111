"""A small world to reconcile in: an API server in memory, a cloud of things, a clock that tests move.

The API server keeps the rules that the reconciler relies on: resourceVersion conflicts, the status subresource,
generations, finalizers and deletionTimestamp, no new finalizers while deleting, no-op writes that change nothing.
"""

from __future__ import annotations

import base64
import itertools
import marshal
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from provider_discord.kube.access import Page
from provider_discord.kube.errors import AlreadyExists, ApiError, Conflict, Invalid, NotFound
from provider_discord.kube.resource import Key, Obj, Resource, key_of
from provider_discord.kube.store import Change, Store
from provider_discord.kube.timings import KubeTimings
from provider_discord.kube.workqueue import WorkQueue
from provider_discord.managed import meta
from provider_discord.managed.announce import Announcer
from provider_discord.managed.claims import Claims
from provider_discord.managed.connection import SECRETS, ConnectionSecrets
from provider_discord.managed.controller import Controller, Item
from provider_discord.managed.errors import AmbiguousCreate, Blocked, ManagedError
from provider_discord.managed.external import (
    Attempt,
    Creation,
    FieldDiff,
    ManagedKind,
    Observation,
    ParentField,
    PassContext,
    Readiness,
    ReferenceField,
    Resolution,
    Verdict,
)
from provider_discord.managed.external import Change as Written
from provider_discord.managed.metrics import NoMetrics
from provider_discord.managed.providerconfig import ProviderConfigs
from provider_discord.managed.reconciler import Reconciler
from provider_discord.managed.references import ReferenceResolver
from provider_discord.managed.resource import ManagedResource
from provider_discord.managed.sessions import Identity, TokenRejected
from provider_discord.managed.timings import ManagedTimings
from provider_discord.managed.tools import Tools
from provider_discord.managed.usage import Usages

THINGS = Resource("test.example.org", "v1alpha1", "things", "Thing", namespaced=True)
PLACES = Resource("test.example.org", "v1alpha1", "places", "Place", namespaced=True)
CONFIGS = Resource("discord.crossplane.io", "v1alpha1", "providerconfigs", "ProviderConfig", namespaced=False)
USAGES = Resource(
    "discord.crossplane.io", "v1alpha1", "providerconfigusages", "ProviderConfigUsage", namespaced=True
)
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN = "good-token"


class Killed(BaseException):
    """The process dies here; nothing may catch it."""


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> float:
        return self.seconds

    def wall(self) -> datetime:
        return BEGINNING + timedelta(seconds=self.seconds)


def copied(obj: Obj) -> Obj:
    """Return a copy of what can stand in JSON; ten times as fast as a deep copy."""
    return dict(marshal.loads(marshal.dumps(obj)))  # noqa: S302 - our own


class ApiServer:
    """`ObjectAccess` in memory. `hooks` are called before each operation and may raise or act."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.objects: dict[tuple[Resource, Key], Obj] = {}
        self.hooks: list[Callable[[str, Resource, Key], None]] = []
        self.writes: list[tuple[str, str, Key]] = []
        self.changes: list[tuple[Resource, Obj, bool]] = []
        self._version = itertools.count(1)
        self._uid = itertools.count(1)

    def _enter(self, verb: str, resource: Resource, key: Key) -> None:
        for hook in list(self.hooks):
            hook(verb, resource, key)

    def get(self, resource: Resource, key: Key) -> Obj:
        self._enter("get", resource, key)
        return copied(self._stored(resource, key))

    def list_page(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        limit: int = 100,
        continue_token: str = "",
    ) -> Page:
        items = [copied(obj) for (of, _), obj in self.objects.items() if of == resource]
        return Page(items=items, resource_version="0")

    def create(self, resource: Resource, obj: Obj) -> Obj:
        key = key_of(obj)
        self._enter("create", resource, key)
        if (resource, key) in self.objects:
            raise AlreadyExists(status=409, reason="AlreadyExists", message=f"{key} exists")
        made = copied(obj)
        made.setdefault("apiVersion", resource.api_version)
        made.setdefault("kind", resource.kind)
        made["metadata"] |= {
            "uid": f"uid-{next(self._uid)}",
            "creationTimestamp": meta.to_rfc3339(self.clock.wall()),
            "generation": 1,
        }
        if resource != SECRETS:
            made.pop("status", None)
        return self._put("create", resource, made)

    def replace(self, resource: Resource, obj: Obj) -> Obj:
        key = key_of(obj)
        self._enter("replace", resource, key)
        stored = self._stored(resource, key)
        self._check_version(stored, obj)
        new = copied(obj)
        for name in ("uid", "creationTimestamp", "generation", "deletionTimestamp"):
            if name in stored["metadata"]:
                new["metadata"][name] = stored["metadata"][name]
        if resource != SECRETS:
            new.pop("status", None)
            if "status" in stored:
                new["status"] = copied(stored["status"])
        added = set(meta.finalizers_of(new)) - set(meta.finalizers_of(stored))
        if meta.is_deleting(stored) and added:
            raise Invalid(status=422, reason="Invalid", message=f"no new finalizers can be added: {added}")
        if new == stored:
            return copied(stored)
        if new.get("spec") != stored.get("spec"):
            new["metadata"]["generation"] += 1
        if meta.is_deleting(new) and not meta.finalizers_of(new):
            self.writes.append(("replace", resource.kind, key))
            del self.objects[resource, key]
            new["metadata"]["resourceVersion"] = str(next(self._version))
            self.changes.append((resource, copied(new), True))
            return new
        return self._put("replace", resource, new)

    def replace_status(self, resource: Resource, obj: Obj) -> Obj:
        key = key_of(obj)
        self._enter("status", resource, key)
        stored = self._stored(resource, key)
        self._check_version(stored, obj)
        new = {**copied(stored), "status": copied(obj.get("status") or {})}
        if new == stored:
            return copied(stored)
        return self._put("status", resource, new)

    def delete(
        self, resource: Resource, key: Key, *, uid: str | None = None, resource_version: str | None = None
    ) -> None:
        self._enter("delete", resource, key)
        stored = copied(self._stored(resource, key))
        if meta.finalizers_of(stored):
            if not meta.is_deleting(stored):
                stored["metadata"]["deletionTimestamp"] = meta.to_rfc3339(self.clock.wall())
                stored["metadata"]["generation"] += 1
                self._put("delete", resource, stored)
            return
        del self.objects[resource, key]
        self.writes.append(("delete", resource.kind, key))
        stored["metadata"]["resourceVersion"] = str(next(self._version))
        self.changes.append((resource, stored, True))

    def watch(self, resource: Resource, **_: Any) -> Any:
        raise NotImplementedError

    def _stored(self, resource: Resource, key: Key) -> Obj:
        try:
            return self.objects[resource, key]
        except KeyError:
            raise NotFound(status=404, reason="NotFound", message=f"{resource} {key}") from None

    @staticmethod
    def _check_version(stored: Obj, obj: Obj) -> None:
        given = obj["metadata"].get("resourceVersion")
        if given is not None and given != stored["metadata"]["resourceVersion"]:
            raise Conflict(status=409, reason="Conflict", message="the object has been modified")

    def _put(self, verb: str, resource: Resource, obj: Obj) -> Obj:
        obj["metadata"]["resourceVersion"] = str(next(self._version))
        key = key_of(obj)
        self.objects[resource, key] = obj
        self.writes.append((verb, resource.kind, key))
        self.changes.append((resource, copied(obj), False))
        return copied(obj)


@dataclass
class CloudObject:
    kind: str
    spec: dict[str, Any]
    attempt: str
    visible_from: float = 0.0
    guarded: bool = False


@dataclass
class Cloud:
    """The provider's side: objects by id, and how it behaves."""

    clock: Clock
    objects: dict[str, CloudObject] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    on_create: str = "ok"
    """ok, fail, bug, lost (no answer, nothing made), committed (no answer, made), late (made 20 s later)."""
    adopt_by_name: bool = False
    verdict: Verdict | None = None
    refusal: ManagedError | None = None
    observe_error: Exception | None = None
    observe_errors: dict[str, Exception] = field(default_factory=dict)
    """What the observation of an object of that name ends with."""
    update_error: Exception | None = None
    create_error: ManagedError | None = None
    delete_error: ManagedError | None = None
    """Before a delete is sent."""
    refuses_deletes: Exception | None = None
    """Once it was sent."""
    sight: str = "clear"
    ignores_updates: bool = False
    delete_stays: bool = False
    delete_wrote: bool = True
    details: dict[str, bytes] = field(default_factory=dict)
    remember: dict[str, str | None] = field(default_factory=dict)
    requeue_after: float | None = None
    warnings: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    """Fields whose differences are the provider's own doing."""
    on_update: Written | None = None
    created_total: int = 0
    last: ManagedResource | None = None
    seen: dict[str, ManagedResource] = field(default_factory=dict)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1001))

    def last_of(self, name: str) -> ManagedResource:
        """Return an object as it was when it was last observed."""
        return self.seen[name]

    def make(self, kind: str, spec: dict[str, Any], *, attempt: str = "", delay: float = 0.0) -> str:
        id_ = str(next(self._ids))
        self.objects[id_] = CloudObject(kind, dict(spec), attempt, self.clock.now() + delay)
        self.created_total += 1
        return id_

    def visible(self, kind: str) -> dict[str, CloudObject]:
        now = self.clock.now()
        return {i: o for i, o in self.objects.items() if o.kind == kind and o.visible_from <= now}


_FIELDS = ("name", "size", "placeId")


class CloudExternal:
    def __init__(self, cloud: Cloud, kind: str, context: PassContext) -> None:
        self.cloud = cloud
        self.kind = kind
        self.context = context

    def _wanted(self, mr: ManagedResource) -> dict[str, Any]:
        return {name: mr.for_provider[name] for name in _FIELDS if name in mr.for_provider}

    def observe(self, mr: ManagedResource) -> Observation:
        cloud = self.cloud
        cloud.calls.append(("observe", mr.name))
        cloud.last = mr
        cloud.seen[mr.name] = mr
        if mr.name in cloud.observe_errors:
            raise cloud.observe_errors[mr.name]
        if cloud.observe_error is not None:
            raise cloud.observe_error
        visible = cloud.visible(self.kind)
        name = mr.external_name
        if name is None and cloud.adopt_by_name:
            wanted = mr.for_provider.get("name")
            name = next((i for i, o in visible.items() if o.spec.get("name") == wanted), None)
        found = visible.get(name or "")
        if found is None or name is None:
            return Observation(exists=False, refusal=cloud.refusal)
        diff = tuple(
            FieldDiff(field, str(found.spec.get(field)), str(value), own=field in cloud.own)
            for field, value in self._wanted(mr).items()
            if found.spec.get(field) != value
        )
        return Observation(
            exists=True,
            external_name=name,
            diff=diff,
            at_provider={"id": name, **found.spec},
            readiness=Readiness(available=True),
            connection_details=cloud.details,
            annotations=cloud.remember,
            refusal=cloud.refusal,
            requeue_after_seconds=cloud.requeue_after,
            warnings=cloud.warnings,
        )

    def create(self, mr: ManagedResource, attempt: Attempt) -> Creation:
        cloud = self.cloud
        cloud.calls.append(("create", mr.name))
        if cloud.create_error is not None:
            raise cloud.create_error
        how, cloud.on_create = cloud.on_create, "ok"
        started = cloud.clock.wall()
        if how == "fail":
            msg = "the cloud says no"
            raise ManagedError(msg)
        if how == "bug":
            msg = "unexpected"
            raise KeyError(msg)
        made = ""
        if how != "lost":
            made = cloud.make(
                self.kind, self._wanted(mr), attempt=attempt.id, delay=20.0 if how == "late" else 0.0
            )
        if how in {"lost", "committed", "late"}:
            msg = "no answer"
            raise AmbiguousCreate(msg, started=started, ended=cloud.clock.wall())
        return Creation(external_name=made, at_provider={"id": made}, connection_details=cloud.details)

    def resolve(self, mr: ManagedResource, attempt: Attempt) -> Resolution:
        cloud = self.cloud
        cloud.calls.append(("resolve", mr.name))
        if cloud.verdict is not None:
            return Resolution(verdict=cloud.verdict, message="by order")
        found = [id_ for id_, o in cloud.visible(self.kind).items() if attempt.id and o.attempt == attempt.id]
        if found:
            return Resolution(verdict=Verdict.FOUND, external_name=found[0])
        return Resolution(verdict=Verdict.MISSED, message="the audit log has nothing")

    def update(self, mr: ManagedResource, observation: Observation) -> Written:
        cloud = self.cloud
        cloud.calls.append(("update", mr.name))
        if cloud.update_error is not None:
            raise cloud.update_error
        if cloud.on_update is not None:
            return cloud.on_update
        if not cloud.ignores_updates:
            assert mr.external_name is not None
            cloud.objects[mr.external_name].spec.update(self._wanted(mr))
        return Written(wrote=True)

    def delete(self, mr: ManagedResource, observation: Observation) -> Written:
        cloud = self.cloud
        cloud.calls.append(("delete", mr.name))
        assert mr.external_name is not None
        if cloud.delete_error is not None:
            raise cloud.delete_error
        if cloud.objects[mr.external_name].guarded:
            msg = "it has messages; set allowDelete"
            raise Blocked(msg, reason="DeletionGuarded")
        if not cloud.delete_wrote:
            return Written(wrote=False)
        self.context.begin_deletion(cloud.sight)
        if cloud.refuses_deletes is not None:
            raise cloud.refuses_deletes
        if not cloud.delete_stays:
            del cloud.objects[mr.external_name]
        return Written(wrote=True)


class CloudConnector:
    def __init__(self, cloud: Cloud, kind: str) -> None:
        self.cloud = cloud
        self.kind = kind

    def connect(self, mr: ManagedResource, session: Any, context: PassContext) -> CloudExternal:
        return CloudExternal(self.cloud, self.kind, context)


@dataclass
class Session:
    token: str
    closed: bool = False


@dataclass
class Sessions:
    """`SessionFactory`: which tokens are good, and how often each was asked about."""

    bots: dict[str, Identity] = field(default_factory=lambda: {TOKEN: Identity(id="1", name="bot")})
    verified: list[str] = field(default_factory=list)
    revoked: set[str] = field(default_factory=set)
    opened: list[Session] = field(default_factory=list)
    outage: ManagedError | None = None

    def open(self, *, config: Obj, token: str) -> Session:
        self.opened.append(Session(token))
        return self.opened[-1]

    def verify(self, session: Session) -> Identity:
        assert not session.closed
        self.verified.append(session.token)
        if self.outage is not None:
            raise self.outage
        if session.token not in self.bots:
            msg = "401: Unauthorized"
            raise TokenRejected(msg)
        return self.bots[session.token]

    def close(self, session: Session) -> None:
        assert not session.closed
        session.closed = True

    def rejected(self, session: Session) -> bool:
        return session.token in self.revoked


class Recorder:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, str, str]] = []

    def event(self, obj: Obj, type_: Any, reason: str, message: str) -> None:
        self.events.append((obj["metadata"]["name"], str(type_), reason, message))

    def reasons(self, name: str) -> list[str]:
        return [reason for of, _, reason, _ in self.events if of == name]


class Process:
    """One run of the provider; another one after a crash starts from the API server alone."""

    def __init__(self, world: World) -> None:
        clock, api = world.clock, world.api
        self.stores = {THINGS: Store(), PLACES: Store()}
        self.config_store, self.usage_store = Store(), Store()
        self.all_stores = {**self.stores, CONFIGS: self.config_store, USAGES: self.usage_store}
        announcer = Announcer(
            world.recorder, now=clock.now, repeat_seconds=world.timings.event_repeat_seconds
        )
        usages = Usages(access=api, resource=USAGES, store=self.usage_store, stores=self.stores)
        self.configs = ProviderConfigs(
            access=api,
            resource=CONFIGS,
            store=self.config_store,
            usages=usages,
            factory=world.sessions,
            announcer=announcer,
            timings=world.timings,
            now=clock.now,
            wall=clock.wall,
        )
        born = clock.wall()
        ids = itertools.count(1)
        self.tools = Tools(
            access=api,
            kinds=world.kinds,
            stores=self.stores,
            configs=self.configs,
            usages=usages,
            claims=Claims(),
            references=ReferenceResolver(kinds=world.kinds, stores=self.stores),
            secrets=ConnectionSecrets(api),
            announcer=announcer,
            metrics=world.metrics,
            timings=world.timings,
            now=clock.now,
            wall=clock.wall,
            born=lambda: born,
            rand=world.random.random,
            new_id=lambda: f"attempt-{born.timestamp():.0f}-{next(ids)}",
            may_write=lambda: world.leads,
            checkpoint=world.checkpoint,
            kind_ends=lambda resource: world.kind_ends(resource),  # noqa: PLW0108 - tests replace it
            pause=lambda _seconds: None,
        )
        self.queue: WorkQueue[Item] = WorkQueue(timings=KubeTimings(), now=clock.now)
        self.controller = Controller(
            reconciler=Reconciler(self.tools),
            configs=self.configs,
            config_store=self.config_store,
            usage_resource=USAGES,
            usage_store=self.usage_store,
            queue=self.queue,
            workers=1,
        )
        for resource, store in self.all_stores.items():
            handler = self.controller.handler(resource)
            for obj in api.list_page(resource).items:
                change = store.put(obj, initial=True)
                if change is not None:
                    handler(change)
        api.changes.clear()
        for store in self.all_stores.values():
            store.mark_synced()

    def deliver(self, resource: Resource, obj: Obj, *, gone: bool) -> None:
        store = self.all_stores.get(resource)
        if store is None:
            return
        change: Change | None = store.remove(obj) if gone else store.put(obj)
        if change is not None:
            self.controller.handler(resource)(change)


class World:
    """Everything together, with the verbs that tests speak in."""

    def __init__(self, *, timings: ManagedTimings | None = None) -> None:
        self.clock = Clock()
        self.api = ApiServer(self.clock)
        self.cloud = Cloud(self.clock)
        self.sessions = Sessions()
        self.recorder = Recorder()
        self.metrics: Any = NoMetrics()
        self.random = random.Random(1)  # noqa: S311 - reproducible jitter
        self.timings = timings or ManagedTimings()
        self.leads = True
        self.kill_at = ""
        self.labels: list[str] = []
        self.deliveries = True
        self.kind_ends: Callable[[Resource], bool] = lambda _resource: False
        place = ReferenceField(path="placeId", ref="placeIdRef", selector="placeIdSelector", target=PLACES)
        home = ReferenceField(
            path="homeId", ref="homeIdRef", selector=None, target=THINGS, required_before="never"
        )
        guests = ReferenceField(path="guests[].id", ref="idRef", selector=None, target=THINGS)
        self.kinds = {
            THINGS: ManagedKind(
                resource=THINGS,
                connector=CloudConnector(self.cloud, "Thing"),
                references=(place, guests),
                is_external_name=str.isdigit,
                parent=ParentField(path="placeId", target=PLACES),
            ),
            PLACES: ManagedKind(
                resource=PLACES,
                connector=CloudConnector(self.cloud, "Place"),
                references=(home,),
                is_external_name=str.isdigit,
                concerns_referrers=("size",),
            ),
        }
        self.process = Process(self)

    # The process.

    def checkpoint(self, label: str) -> None:
        self.labels.append(label)
        if label == self.kill_at:
            self.kill_at = ""
            raise Killed

    def restart(self) -> None:
        self.process = Process(self)

    def run(self, seconds: float, *, tick: float = 0.25) -> None:
        """Let time pass: deliver changes, work on what is due. A `Killed` process is started again."""
        end = self.clock.seconds + seconds
        while True:
            self._work()
            if self.clock.seconds >= end:
                return
            self.clock.seconds = min(end, self.clock.seconds + tick)

    def _work(self) -> None:
        for _ in range(1000):
            self.deliver()
            try:
                if not self.process.controller.step():
                    return
            except Killed:
                self.clock.seconds += 2.0
                self.restart()
        msg = "the controller does not come to rest: a hot loop"
        raise AssertionError(msg)

    def deliver(self) -> None:
        while self.deliveries and self.api.changes:
            resource, obj, gone = self.api.changes.pop(0)
            self.process.deliver(resource, obj, gone=gone)

    # The cluster.

    def configure(self, name: str = "default", token: str = TOKEN, **spec: Any) -> None:
        if (SECRETS, Key("system", name)) not in self.api.objects:
            self.secret(token, name=name)
        ref = {"namespace": "system", "name": name, "key": "token"}
        self.api.create(
            CONFIGS,
            {
                "metadata": {"name": name},
                "spec": {"credentials": {"source": "Secret", "secretRef": ref}, **spec},
            },
        )

    def secret(self, token: str, *, name: str = "default") -> None:
        data = {"token": base64.b64encode(token.encode()).decode()}
        key = Key("system", name)
        try:
            existing = self.api.get(SECRETS, key)
        except NotFound:
            self.api.create(SECRETS, {"metadata": {"namespace": "system", "name": name}, "data": data})
        else:
            self.api.replace(SECRETS, {**existing, "data": data})

    def thing(
        self,
        name: str = "a",
        *,
        resource: Resource = THINGS,
        namespace: str = "ns",
        annotations: dict[str, str] | None = None,
        labels: dict[str, str] | None = None,
        policies: list[str] | None = None,
        spec: dict[str, Any] | None = None,
        **for_provider: Any,
    ) -> Key:
        body: Obj = {
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"forProvider": {"name": name, **for_provider}, **(spec or {})},
        }
        if annotations:
            body["metadata"]["annotations"] = annotations
        if labels:
            body["metadata"]["labels"] = labels
        if policies is not None:
            body["spec"]["managementPolicies"] = policies
        self.api.create(resource, body)
        return Key(namespace, name)

    def edit(self, key: Key, change: Callable[[Obj], None], *, resource: Resource = THINGS) -> None:
        obj = self.api.get(resource, key)
        change(obj)
        self.api.replace(resource, obj)

    def set_annotation(self, key: Key, name: str, value: str | None, *, resource: Resource = THINGS) -> None:
        obj = meta.with_annotations(self.api.get(resource, key), {name: value})
        self.api.replace(resource, obj)

    def set_field(self, key: Key, field: str, value: Any, *, resource: Resource = THINGS) -> None:
        self.edit(key, lambda obj: obj["spec"]["forProvider"].update({field: value}), resource=resource)

    def delete(self, key: Key, *, resource: Resource = THINGS) -> None:
        self.api.delete(resource, key)

    def obj(self, key: Key, *, resource: Resource = THINGS) -> Obj | None:
        found = self.api.objects.get((resource, key))
        return copied(found) if found else None

    def condition(self, key: Key, type_: str, *, resource: Resource = THINGS) -> dict[str, Any]:
        obj = self.obj(key, resource=resource) or {}
        for condition in (obj.get("status") or {}).get("conditions") or ():
            if condition["type"] == type_:
                return dict(condition)
        return {}

    def states(self, key: Key, *, resource: Resource = THINGS) -> tuple[str, str]:
        """The reasons of Ready and Synced."""
        return (
            self.condition(key, "Ready", resource=resource).get("reason", ""),
            self.condition(key, "Synced", resource=resource).get("reason", ""),
        )

    def message(self, key: Key, *, resource: Resource = THINGS) -> str:
        return str(self.condition(key, "Synced", resource=resource).get("message", ""))

    def annotation(self, key: Key, name: str, *, resource: Resource = THINGS) -> str | None:
        return meta.annotations_of(self.obj(key, resource=resource) or {}).get(name)

    def external_name(self, key: Key, *, resource: Resource = THINGS) -> str:
        return self.annotation(key, meta.EXTERNAL_NAME, resource=resource) or ""

    def fail(
        self, verb: str, error: ApiError | Exception, *, times: int = 1, resource: Resource = THINGS
    ) -> None:
        """Let the next operations of a verb on a kind fail."""
        left = [times]

        def hook(of: str, on: Resource, _key: Key) -> None:
            if of == verb and on == resource and left[0] > 0:
                left[0] -= 1
                raise error

        self.api.hooks.append(hook)

    def check_invariants(self) -> None:
        """What holds at the end of every test: no two objects of the cloud from one attempt."""
        attempts = [o.attempt for o in self.cloud.objects.values() if o.attempt]
        assert len(attempts) == len(set(attempts))


SETTLED = ("Available", "ReconcileSuccess")
