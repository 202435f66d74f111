"""The provider proper: all that makes objects true at Discord, without the process around it.

From the caches to Discord's API every part is made here and handed what it needs, clocks and constants included. Who
feeds the caches, who leads, and what is served on which port is the process's matter: see ``app``.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from provider_discord import __version__
from provider_discord.apis.kinds import PROVIDER_CONFIG, PROVIDER_CONFIG_USAGE
from provider_discord.discord.client import DiscordClient
from provider_discord.discord.difference import SnapshotChange
from provider_discord.discord.errors import Scope
from provider_discord.discord.guard import InvalidRequestGuard
from provider_discord.discord.metrics import CallStatus, RetryReason
from provider_discord.discord.routes import ROUTES
from provider_discord.discord.snapshot import SnapshotCache
from provider_discord.kinds.holds import Holds
from provider_discord.kinds.registry import RESOURCES, managed_kinds, resource_of
from provider_discord.kinds.session import DiscordSessions
from provider_discord.kinds.siblings import Siblings
from provider_discord.kinds.visit import Equipment
from provider_discord.kube.client import KubeClient
from provider_discord.kube.events import EventRecorder
from provider_discord.kube.fence import Fence
from provider_discord.kube.resource import Key, Resource
from provider_discord.kube.store import Store
from provider_discord.kube.workqueue import Priority, WorkQueue
from provider_discord.managed.announce import Announcer
from provider_discord.managed.claims import Claims
from provider_discord.managed.connection import ConnectionSecrets
from provider_discord.managed.controller import Controller, Item
from provider_discord.managed.providerconfig import ProviderConfigs
from provider_discord.managed.reconciler import Reconciler
from provider_discord.managed.references import ReferenceResolver
from provider_discord.managed.tools import Tools
from provider_discord.managed.usage import Usages
from provider_discord.telemetry.hold import HoldInstruments
from provider_discord.telemetry.logs import register_secret
from provider_discord.telemetry.managed import ManagedInstruments
from provider_discord.telemetry.metrics import Metrics
from provider_discord.timings import Timings

USER_AGENT: Final = f"DiscordBot (https://github.com/rossigee/provider-discord, {__version__})"
CONFIGS: Final = resource_of(PROVIDER_CONFIG)
USAGES: Final = resource_of(PROVIDER_CONFIG_USAGE)
FOLLOWED: Final = (CONFIGS, USAGES, *RESOURCES)
"""What the provider has caches of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the process gives its provider.

    Attributes:
        access: The API server.
        stores: A cache for each of ``FOLLOWED``.
        events: Takes events.
        metrics: Takes numbers.
        timings: Every constant.
        workers: Passes at a time.
        management_policies: Whether ``spec.managementPolicies`` is honoured.
        now: Monotonic clock.
        wall: Wall clock (UTC).
        rand: Uniform in [0, 1).
        leads: Tells whether this process may write now.
        born: Returns since when it leads.
        kind_ends: Tells whether a kind's CRD is being deleted.
        kind_missing: Tells whether the API server does not serve a kind.
    """

    access: KubeClient
    stores: Mapping[Resource, Store]
    events: EventRecorder
    metrics: Metrics
    timings: Timings
    workers: int
    management_policies: bool
    now: Callable[[], float]
    wall: Callable[[], datetime]
    rand: Callable[[], float]
    leads: Callable[[], bool]
    born: Callable[[], datetime]
    kind_ends: Callable[[Resource], bool]
    kind_missing: Callable[[Resource], bool]


class Provider:
    """Everything between the caches and Discord. Making it sends nothing and starts no thread.

    Attributes:
        sessions: The ways to Discord.
        configs: The ProviderConfigs.
        controller: Queue and workers; to be started and stopped.
        instruments: What is told of objects and passes to Prometheus.
    """

    def __init__(self, around: Surroundings) -> None:
        """Make every part, those that others need first."""
        stores = {resource: around.stores[resource] for resource in RESOURCES}
        claims = Claims()
        self._siblings = Siblings(stores, claims)
        self._holds = self._make_holds(around)
        self.sessions = _sessions(around)
        self.sessions.subscribe(self._guild_changed)
        self.instruments = ManagedInstruments(
            around.metrics,
            counts={resource: store.__len__ for resource, store in stores.items()},
            workers=around.workers,
            configs=CONFIGS,
            guild_of=self._siblings.home,
            leads=around.leads,
        )
        equipment = Equipment(
            now=around.now,
            wall=around.wall,
            timings=around.timings.kinds,
            siblings=self._siblings,
            claims=claims,
            objects=around.access,
            holds=self._holds,
        )
        kinds = {kind.resource: kind for kind in managed_kinds(equipment)}
        fenced = Fence(around.access, may_write=around.leads)
        timings = around.timings.managed
        announcer = Announcer(around.events, now=around.now, repeat_seconds=timings.event_repeat_seconds)
        usages = Usages(access=fenced, resource=USAGES, store=around.stores[USAGES], stores=stores)
        self.configs = ProviderConfigs(
            access=fenced,
            resource=CONFIGS,
            store=around.stores[CONFIGS],
            usages=usages,
            factory=self.sessions,
            announcer=announcer,
            timings=timings,
            now=around.now,
            wall=around.wall,
            register_secret=register_secret,
        )
        tools = Tools(
            access=around.access,
            kinds=kinds,
            stores=stores,
            configs=self.configs,
            usages=usages,
            claims=claims,
            references=ReferenceResolver(kinds=kinds, stores=stores),
            secrets=ConnectionSecrets(fenced),
            announcer=announcer,
            metrics=self.instruments,
            timings=timings,
            now=around.now,
            wall=around.wall,
            born=around.born,
            rand=around.rand,
            new_id=lambda: uuid.uuid4().hex[:12],
            may_write=around.leads,
            kind_ends=around.kind_ends,
            kind_missing=around.kind_missing,
            pause=time.sleep,
            management_policies=around.management_policies,
        )
        queue: WorkQueue[Item] = WorkQueue(
            timings=around.timings.kube, now=around.now, metrics=around.metrics.workqueue("managed")
        )
        self.controller = Controller(
            reconciler=Reconciler(tools),
            configs=self.configs,
            config_store=around.stores[CONFIGS],
            usage_resource=USAGES,
            usage_store=around.stores[USAGES],
            queue=queue,
            workers=around.workers,
        )

    def begin_anew(self) -> None:
        """Act by nothing that was known of Discord before: another copy may have led meanwhile."""
        self.sessions.look_anew()
        self._holds.begin_anew()

    def _make_holds(self, around: Surroundings) -> Holds:
        holds = Holds(
            siblings=self._siblings,
            now=around.now,
            wall=around.wall,
            timings=around.timings.kinds,
            new_id=lambda: uuid.uuid4().hex[:8],
        )
        holds.links.wake = self._wake
        holds.links.config = lambda name: around.stores[CONFIGS].get(Key("", name))
        holds.links.recorder = around.events
        holds.links.metrics = HoldInstruments(around.metrics, leads=around.leads)
        return holds

    def _guild_changed(self, guild_id: str, change: SnapshotChange) -> None:
        """Look at the objects that a refresh of a guild shows changed by somebody else."""
        self._wake(self._siblings.affected(guild_id, change))
        self.controller.parent_changed(guild_id)

    def _wake(self, who: Iterable[tuple[Resource, Key]]) -> None:
        """Look at objects now."""
        for resource, key in who:
            self.controller.enqueue(resource, key, priority=Priority.RETRY)


def _sessions(around: Surroundings) -> DiscordSessions:
    """Make what opens the ways to Discord: one guard for the process's address, a client for each token."""
    timings, metrics = around.timings.discord, around.metrics.discord
    guard = InvalidRequestGuard(timings=timings)
    metrics.only_while(around.leads)
    metrics.expect(
        calls=[(route.resource_type, route.operation) for route in ROUTES],
        statuses=CallStatus,
        scopes=Scope,
        reasons=RetryReason,
    )
    metrics.watch_guard(
        count=lambda: guard.count(around.now()), banned_for=lambda: guard.banned_for(around.now())
    )

    def make_client(token: str, base_url: str) -> DiscordClient:
        return DiscordClient(
            token=token,
            base_url=base_url,
            user_agent=USER_AGENT,
            timings=timings,
            metrics=metrics,
            now=around.now,
            wall=around.wall,
            guard=guard,
            may_send=around.leads,
        )

    return DiscordSessions(
        make_client=make_client,
        make_snapshots=lambda client: SnapshotCache(client, now=around.now, timings=timings),
        now=around.now,
        wall=around.wall,
        timings=around.timings.kinds,
    )
