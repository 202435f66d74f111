"""Every metric of this program.

Names are those that dashboards and alerts of the field expect: `provider_discord_*` (our runbooks),
`crossplane_managed_resource_*` (crossplane-runtime), `controller_runtime_*`, `workqueue_*`,
`rest_client_requests_total` and `leader_election_master_status` (controller-runtime and client-go), and
`process_*`. Labels are bounded: route templates, kinds and reasons, never ids or messages.

Each `Metrics` has a registry of its own, so that tests and several instances in one process don't meet.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import prometheus_client
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from provider_discord.telemetry.discord import DiscordInstruments
from provider_discord.telemetry.guilds import GuildCollector
from provider_discord.telemetry.process import ProcessInstruments

__all__ = ["CONTENT_TYPE", "Metrics", "QueueInstruments"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The Prometheus text exposition format, as `Metrics.render` writes it."""

# A `_created` series beside every counter doubles the size of a scrape and nobody queries it.
_untyped: Any = prometheus_client
_untyped.disable_created_metrics()

_QUEUE_BUCKETS = tuple(10.0**exponent for exponent in range(-8, 4))
_RECONCILE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0)
"""Some of controller-runtime's forty."""
_LIFECYCLE_BUCKETS = (1, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
_RESULTS = ("success", "error", "requeue", "requeue_after")
_STATES = ("True", "False", "Unknown")


class Metrics:
    """The instruments, as attributes; `render` gives the exposition. Those about Discord are in `discord`."""

    def __init__(self, *, version: str = "") -> None:
        self.registry = registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self.queues = _QueueCollector()
        registry.register(self.queues)

        build = Gauge("provider_discord_build_info", "This build; always 1.", ["version"], registry=registry)
        if version:
            build.labels(version=version).set(1)
        self.discord = DiscordInstruments(registry)
        self.guilds = GuildCollector()
        registry.register(self.guilds)
        self.process = ProcessInstruments()
        registry.register(self.process)
        self._define_resources(registry)
        self._define_controllers(registry)
        self._define_kubernetes(registry)

    def _define_resources(self, registry: CollectorRegistry) -> None:
        self.resources = Gauge(
            "provider_discord_resources_total",
            "Managed resources by kind and by the status of their conditions (True, False, Unknown).",
            ["kind", "ready", "synced"],
            registry=registry,
        )
        self.resources_paused = Gauge(
            "provider_discord_resources_paused",
            "Managed resources that are left alone by somebody's wish; they count as not Synced.",
            ["kind"],
            registry=registry,
        )
        self.resources_held = Gauge(
            "provider_discord_resources_held",
            "Managed resources that are not put back because their guild is held; they count as not Synced.",
            ["kind"],
            registry=registry,
        )
        self.last_success = Gauge(
            "provider_discord_last_success_timestamp_seconds",
            "When the last pass over an object of the kind came to its end without a failure or a wait. Told by the "
            "copy that leads, while there is an object that is not paused.",
            ["kind"],
            registry=registry,
        )
        self.reconcile_interval = Gauge(
            "provider_discord_reconcile_interval_seconds",
            "After how long the object of that last pass is looked at again; 0 before the first.",
            ["kind"],
            registry=registry,
        )
        self.drift = Counter(
            "provider_discord_drift_total",
            "Managed resources that were found changed at Discord although their manifest had not changed.",
            ["kind"],
            registry=registry,
        )
        self.guilds_held = Gauge(
            "provider_discord_guilds_held",
            "Guilds in which only changed manifests are applied, by cause: MassDrift or IncidentActions. Told by the copy "
            "that leads.",
            ["cause"],
            registry=registry,
        )
        self.holds = Counter(
            "provider_discord_holds_total", "Holds that began, by cause.", ["cause"], registry=registry
        )
        for cause in ("MassDrift", "IncidentActions"):
            self.guilds_held.labels(cause=cause)
            self.holds.labels(cause=cause)
        self.fields_left_alone = Counter(
            "provider_discord_fields_left_alone_total",
            "Fields left alone because they were put back too often.",
            ["kind"],
            registry=registry,
        )
        self.token_valid = Gauge(
            "provider_discord_token_valid",
            "Whether the token of this ProviderConfig works: 1 or 0.",
            ["provider_config"],
            registry=registry,
        )
        self.resource_exists = Gauge(
            "crossplane_managed_resource_exists", "Managed resources.", ["gvk"], registry=registry
        )
        self.resource_ready = Gauge(
            "crossplane_managed_resource_ready",
            "Managed resources that are Ready.",
            ["gvk"],
            registry=registry,
        )
        self.resource_synced = Gauge(
            "crossplane_managed_resource_synced",
            "Managed resources that are Synced.",
            ["gvk"],
            registry=registry,
        )
        self.first_time_to_reconcile = Histogram(
            "crossplane_managed_resource_first_time_to_reconcile_seconds",
            "From the creation of a managed resource to its first reconcile.",
            ["gvk"],
            buckets=_QUEUE_BUCKETS,
            registry=registry,
        )
        self.first_time_to_readiness = Histogram(
            "crossplane_managed_resource_first_time_to_readiness_seconds",
            "From the creation of a managed resource to its first Ready.",
            ["gvk"],
            buckets=_LIFECYCLE_BUCKETS,
            registry=registry,
        )
        self.deletion_time = Histogram(
            "crossplane_managed_resource_deletion_seconds",
            "From the deletion of a managed resource to its end.",
            ["gvk"],
            buckets=_LIFECYCLE_BUCKETS,
            registry=registry,
        )
        self.drift_time = Histogram(
            "crossplane_managed_resource_drift_seconds",
            "From the last good observation to the one that found drift.",
            ["gvk"],
            buckets=_QUEUE_BUCKETS,
            registry=registry,
        )

    def _define_controllers(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, labels: Iterable[str] = ("controller",)) -> Counter:
            return Counter(f"controller_runtime_{name}_total", text, list(labels), registry=registry)

        self.reconcile_total = counter("reconcile", "Reconciles by result.", ("controller", "result"))
        self.reconcile_errors = counter("reconcile_errors", "Reconciles that ended in an error.")
        self.terminal_reconcile_errors = counter(
            "terminal_reconcile_errors", "Reconciles that ended in an error not worth a retry."
        )
        self.reconcile_panics = counter(
            "reconcile_panics", "Reconciles that ended in an unexpected exception."
        )
        self.reconcile_timeouts = counter("reconcile_timeouts", "Reconciles that ran out of time.")
        self.reconcile_time = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Time of a reconcile.",
            ["controller"],
            buckets=_RECONCILE_BUCKETS,
            registry=registry,
        )
        self.max_concurrent_reconciles = Gauge(
            "controller_runtime_max_concurrent_reconciles", "Workers.", ["controller"], registry=registry
        )
        self.active_workers = Gauge(
            "controller_runtime_active_workers",
            "Workers that are at work.",
            ["controller"],
            registry=registry,
        )
        self.queue_adds = Counter(
            "workqueue_adds_total", "Keys added.", ["name", "controller"], registry=registry
        )
        self.queue_retries = Counter(
            "workqueue_retries_total", "Keys added with backoff.", ["name", "controller"], registry=registry
        )
        self.queue_duration = Histogram(
            "workqueue_queue_duration_seconds",
            "How long a key that is due waits for a worker.",
            ["name", "controller", "priority"],
            buckets=_QUEUE_BUCKETS,
            registry=registry,
        )
        self.work_duration = Histogram(
            "workqueue_work_duration_seconds",
            "How long a worker is at work on a key.",
            ["name", "controller"],
            buckets=_QUEUE_BUCKETS,
            registry=registry,
        )

    def _define_kubernetes(self, registry: CollectorRegistry) -> None:
        self.rest_requests = Counter(
            "rest_client_requests_total",
            "Requests to the Kubernetes API server; code is <error> if it gave no answer.",
            ["code", "method", "host"],
            registry=registry,
        )
        self.leader = Gauge(
            "leader_election_master_status", "Whether this process leads.", ["name"], registry=registry
        )
        self.reflector_lists = Counter(
            "provider_discord_reflector_lists_total",
            "Complete lists of a kind read from the API server.",
            ["kind"],
            registry=registry,
        )
        self.reflector_errors = Counter(
            "provider_discord_reflector_errors_total",
            "Lists and watches that failed, by reason.",
            ["kind", "reason"],
            registry=registry,
        )
        self.watch_up = Gauge(
            "provider_discord_watch_up",
            "Whether a kind's list and watch works: 1 or 0. No series: the kind is not served (no CRD).",
            ["kind"],
            registry=registry,
        )
        self.events_dropped = Counter(
            "provider_discord_events_dropped_total",
            "Kubernetes events not sent, by reason.",
            ["reason"],
            registry=registry,
        )

    def workqueue(self, name: str) -> QueueInstruments:
        """Return the `workqueue_*` instruments of one queue; `name` is its controller's name as well."""
        return QueueInstruments(self, name)

    def controller(self, name: str, *, workers: int) -> None:
        """Make a controller's series exist from the start, as rates and alerts need it."""
        self.max_concurrent_reconciles.labels(controller=name).set(workers)
        self.active_workers.labels(controller=name).set(0)
        for result in _RESULTS:
            self.reconcile_total.labels(controller=name, result=result)
        for metric in (
            self.reconcile_errors,
            self.terminal_reconcile_errors,
            self.reconcile_panics,
            self.reconcile_timeouts,
        ):
            metric.labels(controller=name)
        self.reconcile_time.labels(controller=name)

    def set_resources(
        self, *, kind: str, gvk: str, states: Mapping[tuple[str, str], int], paused: int = 0
    ) -> None:
        """Set how many managed resources of a kind there are.

        Args:
            kind: for example `Channel`.
            gvk: as crossplane-runtime writes it: `group/version, Kind=Kind`.
            states: counts by (Ready, Synced), each True, False or Unknown; what is left out is none.
            paused: How many of them are paused.
        """
        self.resources_paused.labels(kind=kind).set(paused)
        for ready in _STATES:
            for synced in _STATES:
                self.resources.labels(kind=kind, ready=ready, synced=synced).set(
                    states.get((ready, synced), 0)
                )
        self.resource_exists.labels(gvk=gvk).set(sum(states.values()))
        self.resource_ready.labels(gvk=gvk).set(sum(n for (ready, _), n in states.items() if ready == "True"))
        self.resource_synced.labels(gvk=gvk).set(
            sum(n for (_, synced), n in states.items() if synced == "True")
        )

    def watching(self, kind: str, *, works: bool | None) -> None:
        """Set whether the list and watch of a kind works; None: there is no such kind to watch."""
        if works is not None:
            self.watch_up.labels(kind=kind).set(int(works))
        else:
            self.watch_up.remove(kind)

    def render(self) -> bytes:
        """Return everything in the Prometheus text format; its content type is `CONTENT_TYPE`."""
        return generate_latest(self.registry)


class QueueInstruments:
    """The `workqueue_*` metrics of one queue; what `kube.workqueue.QueueMetrics` asks for."""

    def __init__(self, metrics: Metrics, name: str) -> None:
        labels = {"name": name, "controller": name}
        self._name = name
        self._queues = metrics.queues
        self._adds = metrics.queue_adds.labels(**labels)
        self._retries = metrics.queue_retries.labels(**labels)
        self._work = metrics.work_duration.labels(**labels)
        self._wait = metrics.queue_duration

    def added(self) -> None:
        """Count a key that was added."""
        self._adds.inc()

    def retried(self) -> None:
        """Count a key that was added with backoff."""
        self._retries.inc()

    def got(self, *, priority: str, waited_seconds: float) -> None:
        """Count a key that a worker got."""
        self._wait.labels(name=self._name, controller=self._name, priority=priority).observe(waited_seconds)

    def finished(self, *, worked_seconds: float) -> None:
        """Count a key that a worker is done with."""
        self._work.observe(worked_seconds)

    def watch(
        self, *, depth: Callable[[], dict[str, int]], processing_seconds: Callable[[], list[float]]
    ) -> None:
        """Take what is asked at each scrape."""
        self._queues.add(self._name, depth, processing_seconds)


class _QueueCollector(Collector):
    """Asks the queues at each scrape for what would else have to be kept up to date at every move."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[str, tuple[Callable[[], dict[str, int]], Callable[[], list[float]]]] = {}

    def add(
        self, name: str, depth: Callable[[], dict[str, int]], processing_seconds: Callable[[], list[float]]
    ) -> None:
        with self._lock:
            self._queues[name] = (depth, processing_seconds)

    def collect(self) -> Iterable[Metric]:
        depths, unfinished, longest = self._families()
        with self._lock:
            queues = dict(self._queues)
        for name, (depth, processing_seconds) in queues.items():
            for priority, count in depth().items():
                depths.add_metric([name, name, priority], count)
            seconds = processing_seconds()
            unfinished.add_metric([name, name], sum(seconds))
            longest.add_metric([name, name], max(seconds, default=0.0))
        return (depths, unfinished, longest)

    def describe(self) -> Iterable[Metric]:
        return self._families()

    @staticmethod
    def _families() -> tuple[GaugeMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
        return (
            GaugeMetricFamily(
                "workqueue_depth", "Keys that are due and wait.", labels=["name", "controller", "priority"]
            ),
            GaugeMetricFamily(
                "workqueue_unfinished_work_seconds",
                "Seconds that the workers have been at what they are at, together.",
                labels=["name", "controller"],
            ),
            GaugeMetricFamily(
                "workqueue_longest_running_processor_seconds",
                "Seconds that the slowest worker has been at what it is at.",
                labels=["name", "controller"],
            ),
        )
