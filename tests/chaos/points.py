"""A provider, a Discord and an API server in one thread on one virtual clock, for a death at every labelled point.

All of the product but its threads and sockets is the real thing: the controller, the reconciler, the kinds and the
Discord client with all its layers. The client's requests end in the simulator's own routes, called directly; the API
server keeps the rules that the reconciler relies on. So a life of an object takes some milliseconds.

A death is a `Killed` that leaves the program by the way of an exception, where SIGKILL leaves by none. Whatever still
reaches for the world on that way is noted: a process that was killed would not have done it.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import random
from collections.abc import Callable, Iterable
from typing import Any, Final

from provider_discord.apis.kinds import PROVIDER_CONFIG, PROVIDER_CONFIG_USAGE
from provider_discord.discord.client import DiscordClient
from provider_discord.discord.snapshot import SnapshotCache
from provider_discord.discord.timings import DiscordTimings
from provider_discord.kinds.holds import Holds
from provider_discord.kinds.registry import RESOURCES, managed_kinds, resource_of
from provider_discord.kinds.session import DiscordSessions
from provider_discord.kinds.siblings import Siblings
from provider_discord.kinds.timings import KindTimings
from provider_discord.kinds.visit import Equipment
from provider_discord.kube.errors import KubeError
from provider_discord.kube.resource import Key, Obj, Resource
from provider_discord.kube.store import Store
from provider_discord.kube.timings import KubeTimings
from provider_discord.kube.workqueue import WorkQueue
from provider_discord.managed.announce import Announcer
from provider_discord.managed.claims import Claims
from provider_discord.managed.connection import SECRETS, ConnectionSecrets
from provider_discord.managed.controller import Controller, Item
from provider_discord.managed.metrics import NoMetrics
from provider_discord.managed.providerconfig import ProviderConfigs
from provider_discord.managed.reconciler import Reconciler
from provider_discord.managed.references import ReferenceResolver
from provider_discord.managed.timings import ManagedTimings
from provider_discord.managed.tools import Tools
from provider_discord.managed.usage import Usages
from provider_discord.simulator import DEFAULT_TOKEN, SimulatorConfig, seeding
from provider_discord.simulator.behaviour import Behaviour, HiddenGet
from provider_discord.simulator.people import People
from provider_discord.simulator.permissions import Permission, parse
from provider_discord.simulator.state import Guild
from provider_discord.simulator.state import World as Discord
from tests.chaos.sides import Cluster, Wire
from tests.unit.managed.managed_world import Clock, Killed, Recorder

CONFIGS: Final = resource_of(PROVIDER_CONFIG)
USAGES: Final = resource_of(PROVIDER_CONFIG_USAGE)
OWN: Final = {resource.kind: resource for resource in RESOURCES}
ORDINARY: Final = (
    "VIEW_CHANNEL",
    "MANAGE_CHANNELS",
    "MANAGE_ROLES",
    "MANAGE_GUILD",
    "SEND_MESSAGES",
    "CONNECT",
)
"""What a bot without the audit log has in these tests."""
_TIMINGS: Final = DiscordTimings(
    # Nothing waits and nothing sleeps in real time.
    max_wait_seconds=0.0,
    retry_initial_seconds=0.0,
)


class Provider:
    """One run of the provider. The next one knows nothing of it."""

    def __init__(self, world: PointWorld) -> None:
        clock, api = world.clock, world.api
        self.stores = {resource: Store() for resource in (CONFIGS, USAGES, *RESOURCES)}
        stores = {resource: self.stores[resource] for resource in RESOURCES}
        timings, claims, born = ManagedTimings(), Claims(), clock.wall()
        announcer = Announcer(world.recorder, now=clock.now, repeat_seconds=timings.event_repeat_seconds)
        siblings = Siblings(stores, claims)
        holds = Holds(
            siblings=siblings,
            now=clock.now,
            wall=clock.wall,
            timings=KindTimings(),
            new_id=lambda: next(world.ids),
        )
        equipment = Equipment(
            now=clock.now,
            wall=clock.wall,
            timings=KindTimings(),
            siblings=siblings,
            claims=claims,
            objects=api,
            holds=holds,
        )
        kinds = {kind.resource: kind for kind in managed_kinds(equipment)}
        sessions = DiscordSessions(
            make_client=lambda token, base_url: DiscordClient(
                token=token,
                base_url=base_url,
                user_agent="DiscordBot (https://example.invalid, 0)",
                now=clock.now,
                wall=clock.wall,
                timings=_TIMINGS,
                transport=world.wire,
            ),
            make_snapshots=lambda client: SnapshotCache(client, now=clock.now, timings=_TIMINGS),
            now=clock.now,
            wall=clock.wall,
            timings=KindTimings(),
        )
        usages = Usages(access=api, resource=USAGES, store=self.stores[USAGES], stores=stores)
        configs = ProviderConfigs(
            access=api,
            resource=CONFIGS,
            store=self.stores[CONFIGS],
            usages=usages,
            factory=sessions,
            announcer=announcer,
            timings=timings,
            now=clock.now,
            wall=clock.wall,
        )
        tools = Tools(
            access=api,
            kinds=kinds,
            stores=stores,
            configs=configs,
            usages=usages,
            claims=claims,
            references=ReferenceResolver(kinds=kinds, stores=stores),
            secrets=ConnectionSecrets(api),
            announcer=announcer,
            metrics=NoMetrics(),
            timings=timings,
            now=clock.now,
            wall=clock.wall,
            born=lambda: born,
            rand=world.random.random,
            new_id=lambda: next(world.ids),
            may_write=lambda: True,
            checkpoint=world.passed,
            pause=lambda _seconds: None,
        )
        self.queue: WorkQueue[Item] = WorkQueue(timings=KubeTimings(), now=clock.now)
        self.controller = Controller(
            reconciler=Reconciler(tools),
            configs=configs,
            config_store=self.stores[CONFIGS],
            usage_resource=USAGES,
            usage_store=self.stores[USAGES],
            queue=self.queue,
            workers=1,
        )
        holds.links.wake = self._wake
        holds.links.config = lambda name: self.stores[CONFIGS].get(Key("", name))
        sessions.subscribe(lambda guild, change: self._wake(siblings.affected(guild, change)))
        api.changes.clear()
        for resource, store in self.stores.items():
            handler = self.controller.handler(resource)
            for obj in api.list_page(resource).items:
                change = store.put(obj, initial=True)
                if change is not None:
                    handler(change)
            store.mark_synced()

    def deliver(self, changes: list[tuple[Resource, Obj, bool]]) -> None:
        """Take in what the watches bring."""
        while changes:
            resource, obj, gone = changes.pop(0)
            store = self.stores.get(resource)
            if store is None:
                continue
            change = store.remove(obj) if gone else store.put(obj)
            if change is not None:
                self.controller.handler(resource)(change)

    def next_due(self) -> float | None:
        """Return when there is something to do."""
        return self.queue._core.next_due()

    def _wake(self, who: Iterable[tuple[Resource, Key]]) -> None:
        for resource, key in who:
            self.controller.enqueue(resource, key)


class PointWorld:
    """Everything together.

    Args:
        permissions: the bot's; None: all.
        adoption: ``spec.adoption`` of the ProviderConfig.
        features: the guild's.
        audit_lag_seconds: how late the audit log is.
        hidden_get: what Discord says of a hidden channel.
    """

    def __init__(
        self,
        *,
        permissions: tuple[str, ...] | None = None,
        adoption: str = "",
        features: tuple[str, ...] = (),
        audit_lag_seconds: float = 0.0,
        hidden_get: HiddenGet = HiddenGet.FORBIDDEN,
    ) -> None:
        self.clock = Clock()
        self.random = random.Random(1)  # noqa: S311 - reproducible jitter
        self.recorder = Recorder()
        self.ids = (f"id{number}" for number in itertools.count(1))
        self.labels: list[str] = []
        self.dead = False
        self.after_death: list[str] = []
        """What a killed process still did."""
        self.die: Callable[[str], bool] = lambda _label: False
        """Told every label that is passed; true: the process is killed there."""
        self.bury: Callable[[], None] = lambda: None
        """Called between a death and the next run."""
        self.deaths = 0
        self.api = Cluster(self.clock, self.touch)
        behaviour = Behaviour(audit_log_lag_seconds=audit_lag_seconds, hidden_get=hidden_get)
        self.discord = Discord(behaviour, wall=self.clock.wall)
        bits = int(Permission.ADMINISTRATOR) if permissions is None else parse(list(permissions))
        seeding.seed(self.discord, SimulatorConfig(bot_permissions=bits, features=features))
        self.people = People(self.discord)
        self.wire = Wire(self.clock, self.discord, passed=self.passed, touch=self.touch)
        secret = {"namespace": "system", "name": "bot", "key": "token"}
        self.api.act(lambda: self._configure(secret, {"adoption": adoption} if adoption else {}))
        self.provider = Provider(self)

    def _configure(self, secret: dict[str, str], spec: dict[str, str]) -> None:
        data = {"token": base64.b64encode(DEFAULT_TOKEN.encode()).decode()}
        self.api.create(SECRETS, {"metadata": {"namespace": "system", "name": "bot"}, "data": data})
        credentials = {"source": "Secret", "secretRef": secret}
        self.api.create(
            CONFIGS, {"metadata": {"name": "default"}, "spec": {"credentials": credentials, **spec}}
        )

    @property
    def guild(self) -> Guild:
        """The guild."""
        return next(iter(self.discord.guilds.values()))

    @property
    def bot_id(self) -> str:
        """The bot's user id."""
        return next(iter(self.discord.bots))

    # Dying.

    def passed(self, label: str) -> None:
        """Take note that the process has come to a label; it may die there."""
        self.labels.append(label)
        if self.die(label):
            self.dead = True
            raise Killed

    def touch(self, what: str) -> None:
        """Note what a killed process does to the world."""
        if self.dead:
            self.after_death.append(what)

    # Living.

    def run_until(self, done: Callable[[], bool], *, seconds: float) -> bool:
        """Let time pass until something holds; return whether it came to that."""
        end = self.clock.seconds + seconds
        while True:
            self._work()
            if done():
                return True
            if self.clock.seconds >= end:
                return False
            due = [at for at, _ in self.wire.late]
            due.append(self.provider.next_due() or end)
            self.clock.seconds = min(end, max(self.clock.seconds + 0.001, min(due)))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.run_until(lambda: False, seconds=seconds)

    def _work(self) -> None:
        for _ in range(500):
            self.wire.commit_due()
            self.provider.deliver(self.api.changes)
            try:
                if not self.provider.controller.step():
                    return
            except Killed:
                self._restart()
            assert not self.dead, "something has caught the death of the process"
        msg = "the controller does not come to rest: a hot loop"
        raise AssertionError(msg)

    def _restart(self) -> None:
        self.dead = False
        self.deaths += 1
        self.clock.seconds += 2.0
        self.bury()
        self.provider = Provider(self)

    # Looking.

    def obj(self, resource: Resource, key: Key) -> Obj | None:
        """Return an object as it is stored."""
        return self.api.objects.get((resource, key))

    def suppressed(self, doing: Callable[[], Any]) -> None:
        """Let somebody act on the cluster; what has gone meanwhile is no matter."""
        with contextlib.suppress(KubeError):
            self.api.act(doing)
