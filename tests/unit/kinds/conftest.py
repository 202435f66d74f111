"""A world for the kinds: a simulated Discord over real HTTP, and objects as plain dicts instead of Kubernetes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provider_discord.apis.kinds import CHANNEL, GUILD, ROLE
from provider_discord.discord.client import DiscordClient
from provider_discord.discord.snapshot import SnapshotCache
from provider_discord.discord.snowflake import is_snowflake
from provider_discord.discord.timings import DiscordTimings
from provider_discord.kinds.holds import Holds
from provider_discord.kinds.registry import RESOURCES, managed_kinds, resource_of
from provider_discord.kinds.session import DiscordSession, DiscordSessions
from provider_discord.kinds.siblings import Siblings
from provider_discord.kinds.timings import KindTimings
from provider_discord.kinds.visit import Equipment
from provider_discord.kube.errors import NotFound
from provider_discord.kube.resource import Key, Obj, Resource
from provider_discord.kube.store import Store
from provider_discord.kube.workqueue import Priority
from provider_discord.managed import deletions
from provider_discord.managed.claims import Claim, Claims
from provider_discord.managed.errors import AmbiguousCreate
from provider_discord.managed.external import Attempt, Change, External, Observation, PassContext, Resolution
from provider_discord.managed.resource import ManagedResource
from provider_discord.simulator import (
    DEFAULT_TOKEN,
    ControlClient,
    LimitsConfig,
    Mode,
    SimulatorConfig,
    SimulatorServer,
)

EXTERNAL_NAME = "crossplane.io/external-name"
_KINDS = {definition.kind: resource_of(definition) for definition in (GUILD, CHANNEL, ROLE)}


class Objects:
    """ConfigMaps and Secrets by name; nothing else of the API server is used."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, Key], Obj] = {}

    def get(self, resource: Resource, key: Key) -> Obj:
        found = self.held.get((resource.kind, key))
        if found is None:
            raise NotFound(status=404, reason="NotFound", message=f"{resource.kind} {key} not found")
        return found


class Thing:
    """One managed object, reconciled by hand as the reconciler would."""

    def __init__(self, world: World, resource: Resource, obj: Obj) -> None:
        self.world = world
        self.resource = resource
        self.obj = obj
        self.attempts: list[Attempt] = []
        self._put()

    @property
    def id(self) -> str:
        return str(self.obj["metadata"]["annotations"][EXTERNAL_NAME])

    @property
    def at_provider(self) -> dict[str, Any]:
        found = self.obj["status"].get("atProvider") or {}
        return dict(found)

    @property
    def mr(self) -> ManagedResource:
        return ManagedResource.of(self.resource, self.obj, possible=is_snowflake)

    def spec(self, **fields: Any) -> Thing:
        """Change the manifest; None takes a field out."""
        wanted = self.obj["spec"]["forProvider"]
        for name, value in fields.items():
            if value is None:
                wanted.pop(name, None)
            else:
                wanted[name] = value
        self._put()
        return self

    def annotate(self, changes: Mapping[str, str | None]) -> Thing:
        annotations = self.obj["metadata"]["annotations"]
        for name, value in changes.items():
            if value is None:
                annotations.pop(name, None)
            else:
                annotations[name] = value
        self._put()
        return self

    def mark_deleted(self) -> Thing:
        self.obj["metadata"]["deletionTimestamp"] = "2026-11-22T10:00:00Z"
        self._put()
        return self

    def connect(self, priority: Priority = Priority.CHANGE) -> External:
        context = PassContext(
            priority=priority,
            deadline=self.world.now() + 30,
            begin_deletion=self._begin_deletion,
        )
        return self.world.kinds[self.resource].connector.connect(self.mr, self.world.session, context)

    def observe(self, priority: Priority = Priority.CHANGE) -> Observation:
        observation = self.connect(priority).observe(self.mr)
        self._take(observation)
        return observation

    def reconcile(self, priority: Priority = Priority.CHANGE) -> Observation | Change:
        """Make one pass; returns the change it made, else what it saw. Raises what hinders it."""
        external = self.connect(priority)
        observation = external.observe(self.mr)
        self._take(observation)
        if self.obj["metadata"].get("deletionTimestamp"):
            return external.delete(self.mr, observation) if observation.exists else observation
        if observation.exists and not observation.diff:
            return observation
        if observation.refusal is not None:
            raise observation.refusal
        if observation.exists:
            change = external.update(self.mr, observation)
            self.annotate(change.annotations)
            if change.requeue_after_seconds and self.world.hasty:
                self.world.advance(change.requeue_after_seconds)
            return change
        attempt = Attempt(id=f"a{next(self.world.numbers)}", started=self.world.wall())
        self.attempts.append(attempt)
        try:
            creation = external.create(self.mr, attempt)
        except AmbiguousCreate as error:
            self.attempts[-1] = replace(attempt, ended=error.ended)
            raise
        if creation.at_provider is not None:
            self.obj["status"]["atProvider"] = dict(creation.at_provider)
        self.annotate({EXTERNAL_NAME: creation.external_name, **creation.annotations})
        return Change()

    def resolve(self) -> Resolution:
        return self.connect(Priority.RETRY).resolve(self.mr, self.attempts[-1])

    def settle(self, priority: Priority = Priority.CHANGE) -> Observation:
        """Reconcile until nothing differs."""
        for _ in range(12):
            outcome = self.reconcile(priority)
            if isinstance(outcome, Observation):
                return outcome
        message = f"{self.obj['metadata']['name']} does not settle: {outcome}"
        raise AssertionError(message)

    def _begin_deletion(self, sight: str) -> None:
        self.annotate(deletions.begun(self.mr, sight=sight, at=self.world.wall()))

    def _take(self, observation: Observation) -> None:
        if observation.at_provider is not None:
            self.obj["status"]["atProvider"] = dict(observation.at_provider)
        if observation.external_name is not None:
            self.annotate({EXTERNAL_NAME: observation.external_name})
        self.annotate(observation.annotations)

    def _put(self) -> None:
        metadata = self.obj["metadata"]
        metadata["resourceVersion"] = str(next(self.world.numbers))
        self.world.stores[self.resource].put(self.obj)
        name = metadata["annotations"].get(EXTERNAL_NAME)
        if name is not None:
            mr = self.mr
            before = mr.stood_for or ""
            claim = Claim(
                kind=mr.kind,
                key=mr.key,
                uid=mr.uid,
                created_at=mr.created_at,
                writes=not before,
                stood_for=before,
            )
            self.world.equipment.claims.register(name, claim)


class World:
    """The simulator, a bot's session, and whatever objects a test makes. Time can be moved forward."""

    def __init__(self, simulator: SimulatorServer) -> None:
        self.simulator = simulator
        self.numbers = itertools.count(1)
        self._ahead = 0.0
        self.hasty = True  # Jump ahead to when an object wants to be looked at again.
        self.timings = KindTimings()
        self.stores = {resource: Store() for resource in RESOURCES}
        for store in self.stores.values():
            store.replace_all([])
        self.objects = Objects()
        claims = Claims()
        siblings = Siblings(self.stores, claims)
        self.holds = Holds(
            siblings=siblings,
            now=self.now,
            wall=self.wall,
            timings=self.timings,
            new_id=lambda: f"h{next(self.numbers)}",
        )
        self.equipment = Equipment(
            now=self.now,
            wall=self.wall,
            timings=self.timings,
            siblings=siblings,
            claims=claims,
            objects=self.objects,
            holds=self.holds,
        )
        self.kinds = {kind.resource: kind for kind in managed_kinds(self.equipment)}
        self.sessions = DiscordSessions(
            make_client=self._client,
            make_snapshots=lambda client: SnapshotCache(client, now=self.now, timings=DiscordTimings()),
            now=self.now,
            wall=self.wall,
            timings=self.timings,
        )
        self.session: DiscordSession = self.open()

    @property
    def discord(self) -> ControlClient:
        return self.simulator.control

    @property
    def guild_id(self) -> str:
        return str(self.discord.guild()["id"])

    def now(self) -> float:
        return time.monotonic() + self._ahead

    def wall(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._ahead)

    def advance(self, seconds: float) -> None:
        """Let time pass for the provider; Discord's clock stays."""
        self._ahead += seconds

    def config(self, **spec: Any) -> Obj:
        return {"metadata": {"name": "bot"}, "spec": {"baseURL": self.simulator.base_url, **spec}}

    def open(self, *, token: str = DEFAULT_TOKEN, **spec: Any) -> DiscordSession:
        session = self.sessions.open(config=self.config(**spec), token=token)
        self.sessions.verify(session)
        return session

    def configure(self, **spec: Any) -> None:
        """Change the ProviderConfig."""
        before, self.session = self.session, self.open(**spec)
        self.sessions.close(before)

    def close(self) -> None:
        self.sessions.close_all()

    def make(
        self,
        kind: str,
        name: str,
        for_provider: Mapping[str, Any] | None = None,
        *,
        external_name: str | None = None,
        policies: list[str] | None = None,
    ) -> Thing:
        obj: Obj = {
            "apiVersion": _KINDS[kind].api_version,
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": "default",
                "uid": f"uid-{kind.lower()}-{name}",
                "generation": 1,
                "creationTimestamp": "2026-11-22T09:00:00Z",
                "annotations": {} if external_name is None else {EXTERNAL_NAME: external_name},
            },
            "spec": {"forProvider": dict(for_provider or {}), "providerConfigRef": {"name": "bot"}},
            "status": {},
        }
        if policies is not None:
            obj["spec"]["managementPolicies"] = policies
        return Thing(self, _KINDS[kind], obj)

    def channel(self, name: str, *, external_name: str | None = None, **fields: Any) -> Thing:
        wanted = {"name": name, "type": "text", "guildId": self.guild_id, **fields}
        return self.make("Channel", name, wanted, external_name=external_name)

    def role(self, name: str, *, external_name: str | None = None, **fields: Any) -> Thing:
        wanted = {"name": name, "guildId": self.guild_id, **fields}
        return self.make("Role", name, wanted, external_name=external_name)

    def guild(self, *, external_name: str | None = None, **fields: Any) -> Thing:
        return self.make("Guild", "guild", fields, external_name=external_name)

    def requests(self, *, since: int = 0, writes: bool = False, **wanted: Any) -> list[dict[str, Any]]:
        return self.discord.requests(since=since, writes=writes, **wanted)

    def mark(self) -> int:
        """Return where the request log stands, for ``since``."""
        return self.discord.last_request()

    def writes_since(self, mark: int) -> list[dict[str, Any]]:
        return self.requests(since=mark, writes=True)

    def _client(self, token: str, base_url: str) -> DiscordClient:
        return DiscordClient(
            token=token,
            base_url=base_url,
            user_agent="DiscordBot (https://example.invalid, 0)",
            now=time.monotonic,
            wall=self.wall,
            timings=DiscordTimings(retry_initial_seconds=0.0),
        )


@pytest.fixture(scope="session")
def simulator() -> Iterator[SimulatorServer]:
    """One simulator for all tests of a run; each begins with it as new."""
    with SimulatorServer(SimulatorConfig(limits=LimitsConfig(mode=Mode.OFF))) as server:
        yield server


@pytest.fixture
def world(simulator: SimulatorServer) -> Iterator[World]:
    simulator.control.reset()
    made = World(simulator)
    yield made
    made.close()
