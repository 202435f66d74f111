"""The composition root: every part of the process is made here, started in order, stopped in reverse.

Nothing else knows more than its own room. What a part needs is handed to it, clocks and constants included, so
that the same process runs scaled in whole-system tests. What makes objects true is put together in ``provider``; here
is what runs it: the API server and the caches, the lease, health and metrics. A copy that does not lead keeps its caches warm and does
nothing else. One that loses its lease, because the API server was away, starts no further pass and no further
request; it goes on when it leads again, and needs no restart for that. Whenever a copy begins to lead, it acts by
nothing that it knew before: what it has cached may be minutes old without its knowing.

Kinds come and go: each one's objects are listed and watched as soon as its CRD is there, and none waits for another.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from provider_discord import __version__, checks
from provider_discord.kube.client import connect
from provider_discord.kube.definitions import Definitions
from provider_discord.kube.events import EventRecorder
from provider_discord.kube.lease import LeaderElector, lease_clock
from provider_discord.kube.reflector import Reflector
from provider_discord.kube.resource import Resource
from provider_discord.kube.store import Store
from provider_discord.provider import FOLLOWED, Provider, Surroundings
from provider_discord.telemetry.health import CheckResult, HealthServer, HealthServerError
from provider_discord.telemetry.managed import controller_name
from provider_discord.telemetry.memory import MemoryReports
from provider_discord.telemetry.metrics import Metrics
from provider_discord.telemetry.process import memory_limit_bytes
from provider_discord.timings import Timings

__all__ = ["App", "AppConfig", "StartError", "in_cluster"]

_NAME: Final = "provider-discord"
_STOP_SECONDS: Final = 2.0
"""For the reflectors, all together: they hold nothing that could be lost."""
_OTHER_CONNECTIONS: Final = 6
"""To the API server, beside one for each worker and watch: events, lease, and some air."""

log = structlog.get_logger()


class StartError(Exception):
    """The process cannot start; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppConfig:
    """How to run.

    Attributes:
        kubeconfig: The cluster; None: what the environment says, see ``kube.config``.
        context: A context of the kubeconfig.
        workers: Passes at a time.
        leader_election: Write only while holding the lease.
        lease_namespace: Where the lease is; None: the pod's or context's namespace.
        lease_name: Its name.
        identity: Who we are in the lease and in events: the pod's name.
        metrics_address: Host and port of health and metrics; None: not served.
        health_address: A second place for the same; None: not served.
        management_policies: Whether ``spec.managementPolicies`` is honoured.
        memory_limit_bytes: How much memory there is, for metric and log; None: what the container may use.
        timings: Every constant.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    workers: int = 10
    leader_election: bool = False
    lease_namespace: str | None = None
    lease_name: str = "crossplane-leader-election-provider-discord"
    identity: str = _NAME
    metrics_address: tuple[str, int] | None = ("127.0.0.1", 8080)
    health_address: tuple[str, int] | None = None
    management_policies: bool = True
    memory_limit_bytes: int | None = None
    timings: Timings = field(default_factory=Timings)


def in_cluster() -> bool:
    """Tell whether this is a pod."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


def _wall() -> datetime:
    return datetime.now(UTC)


class App:
    """One process: made, run once, thrown away."""

    def __init__(self, config: AppConfig) -> None:
        """Make every part; nothing is sent and no thread is started.

        Raises:
            KubeConfigError: There is no usable way to a cluster.
        """
        self._config = config
        self._timings = timings = config.timings
        self._now: Callable[[], float] = time.monotonic
        self._rand = random.SystemRandom().random
        self._born = _wall()
        self._stopped = threading.Event()
        """Passes have had their time to finish: nothing begins any more."""

        self.metrics = Metrics(version=__version__)
        self._access = connect(
            config.kubeconfig,
            config.context,
            pool_size=config.workers + len(FOLLOWED) + _OTHER_CONNECTIONS,
            timings=timings.kube,
            user_agent=f"{_NAME}/{__version__}",
            metrics=self.metrics,
        )
        self._stores: dict[Resource, Store] = {resource: Store() for resource in FOLLOWED}
        controllers = {(one.api_version, one.kind): controller_name(one) for one in FOLLOWED}
        self._events = EventRecorder(
            self._access,
            component=_NAME,
            source=lambda about: controllers.get((about["apiVersion"], about["kind"]), _NAME),
            instance=config.identity,
            timings=timings.kube,
            now=self._now,
            wall=_wall,
            metrics=self.metrics,
        )
        self._elector = self._make_elector() if config.leader_election else None
        self._definitions = Definitions(self._access, timings=timings.kube, now=self._now)
        self._provider = Provider(
            Surroundings(
                access=self._access,
                stores=self._stores,
                events=self._events,
                metrics=self.metrics,
                timings=timings,
                workers=config.workers,
                management_policies=config.management_policies,
                now=self._now,
                wall=_wall,
                rand=self._rand,
                leads=self.leads,
                born=lambda: self._born,
                kind_ends=self._definitions.ending,
                kind_missing=self._missing,
            )
        )
        self._controller = self._provider.controller
        memory_limit = config.memory_limit_bytes or memory_limit_bytes()
        self.metrics.process.watch(checks=self.healthz, memory_limit=memory_limit)
        self._memory = MemoryReports(
            objects=self._provider.instruments.object_counts,
            limit_bytes=memory_limit,
            timings=timings.telemetry,
        )
        self._reflectors = [
            Reflector(
                self._access,
                resource,
                self._stores[resource],
                handler=self._controller.handler(resource),
                timings=timings.kube,
                now=self._now,
                rand=self._rand,
                metrics=self.metrics,
                definitions=self._definitions,
            )
            for resource in FOLLOWED
        ]
        self._servers = [
            HealthServer(
                host=host,
                ports=(port,),
                livez=self.livez,
                readyz=self.readyz,
                healthz=self.healthz,
                metrics=self._exposition,
            )
            for host, port in dict.fromkeys(filter(None, (config.metrics_address, config.health_address)))
        ]

    def _make_elector(self) -> LeaderElector:
        access = self._access
        return LeaderElector(
            access.with_timeout(self._timings.kube.lease_request_timeout_seconds),
            namespace=self._config.lease_namespace or access.namespace,
            name=self._config.lease_name,
            identity=self._config.identity,
            timings=self._timings.kube,
            now=lease_clock,
            wall=_wall,
            on_started=self._lead,
            on_stopped=lambda: log.warning("the lease is lost; nothing is done until this copy leads again"),
            metrics=self.metrics,
        )

    # Run.

    def run(self, stop: threading.Event) -> int:
        """Run until ``stop`` is set; return the exit code.

        Raises:
            StartError: A port is taken.
        """
        try:
            for server in self._servers:
                server.start()
        except HealthServerError as error:
            for server in self._servers:
                server.stop()
            raise StartError(str(error)) from error
        log.info(
            "starting",
            version=__version__,
            api_server=self._access.host,
            workers=self._config.workers,
            leader_election=self._config.leader_election,
            ports=[port for server in self._servers for port in server.ports],
        )
        try:
            self._start()
            stop.wait()
            log.info("stopping")
            return 0
        finally:
            self._stop()
            log.info("stopped")

    def leads(self) -> bool:
        """Tell whether this process may write now."""
        if self._stopped.is_set():
            return False
        return self._elector is None or self._elector.holds(lease_clock())

    def _start(self) -> None:
        self._events.start()
        for reflector in self._reflectors:
            reflector.start()
        if self._elector is not None:
            self._elector.start()
        else:
            self._lead()
        self._controller.start()
        self._memory.start()

    def _lead(self) -> None:
        """Begin to lead, with nothing in hand that is older than that."""
        log.info("reconcile passes begin")
        self._born = _wall()
        for reflector in self._reflectors:
            reflector.renew()
        self._provider.begin_anew()

    def _stop(self) -> None:
        """Let passes finish, then give everything back, the lease first: another copy waits for it."""
        self._memory.stop()
        finished = self._controller.stop()
        self._stopped.set()
        self._provider.sessions.close_all()
        if self._elector is not None:
            self._elector.stop(release=finished)
        self._events.stop()
        for reflector in self._reflectors:
            reflector.stop(0)  # All at once: an API server that hangs must not hold up one after the other.
        for reflector in self._reflectors:
            reflector.stop(_STOP_SECONDS / len(self._reflectors))
        for server in self._servers:
            server.stop()
        self._access.close()

    def _missing(self, resource: Resource) -> bool:
        """Tell whether the API server does not serve a kind."""
        return any(one.missing for one in self._reflectors if one.resource == resource)

    # Health (design: /livez this process, /readyz the caches, /healthz everything).

    def livez(self) -> Sequence[CheckResult]:
        """Check this process alone."""
        return (CheckResult("ping", ok=True),)

    def readyz(self) -> Sequence[CheckResult]:
        """Check that this process may be asked to work."""
        return list(checks.caches(self._reflectors))

    def healthz(self) -> Sequence[CheckResult]:
        """Check everything, Discord and the tokens included."""
        return [
            *self.livez(),
            *self.readyz(),
            *checks.watches(self._reflectors),
            checks.discord(self.metrics.discord.open_circuits()),
            checks.tokens(self._provider.configs.states()),
            *(() if self._elector is None else [checks.leader(self._elector, now=lease_clock())]),
        ]

    def _exposition(self) -> bytes:
        self._provider.instruments.refresh()
        return self.metrics.render()
