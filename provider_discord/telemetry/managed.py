"""What the managed reconciler tells about itself, as the metrics that Crossplane's dashboards query.

The reconciler reports through a protocol of its own (`managed.metrics.ManagedMetrics`), which `ManagedInstruments`
satisfies. Upstream keys its state by bare name and so counts two objects of one name in two namespaces once
(crossplane-runtime `pkg/statemetrics`); here it is kind, namespace and name, and an object's state goes with the
object.
"""

from __future__ import annotations

import threading
from collections import Counter as Tally
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Protocol

from provider_discord.telemetry.metrics import Metrics

__all__ = ["ManagedInstruments", "Served"]


class Served(Protocol):
    """A kind, as `kube.resource.Resource` describes it."""

    @property
    def kind(self) -> str:
        """For example `Channel`."""
        ...

    @property
    def group(self) -> str:
        """For example `channel.discord.crossplane.io`."""
        ...

    @property
    def api_version(self) -> str:
        """Group and version."""
        ...


class ManagedInstruments:
    """Implements `managed.metrics.ManagedMetrics`; `refresh` sets the gauges, before each scrape.

    Args:
        metrics: Where the series are.
        counts: How many objects of each kind the cluster has, looked at yet or not.
        workers: How many passes may run at once.
        configs: The kind of the provider's configs; they have a controller, but are no managed resources.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        counts: Mapping[Served, Callable[[], int]],
        workers: int,
        configs: Served | None = None,
    ) -> None:
        self._metrics = metrics
        self._counts = counts
        self._lock = threading.Lock()
        self._states: dict[tuple[Served, object], tuple[bool, bool]] = {}
        self._configs: set[str] = set()
        for served in (*counts, *((configs,) if configs is not None else ())):
            metrics.controller(controller_name(served), workers=workers)

    def reconciled(self, resource: Served, outcome: Enum, *, seconds: float) -> None:
        """Count a pass over an object."""
        name = controller_name(resource)
        self._metrics.reconcile_total.labels(controller=name, result=str(outcome.value)).inc()
        self._metrics.reconcile_time.labels(controller=name).observe(seconds)
        if outcome.value == "error":
            self._metrics.reconcile_errors.labels(controller=name).inc()

    def panicked(self, resource: Served) -> None:
        """Count a pass that ended in a bug."""
        self._metrics.reconcile_panics.labels(controller=controller_name(resource)).inc()

    def timed_out(self, resource: Served) -> None:
        """Count a pass that took longer than it may."""
        self._metrics.reconcile_timeouts.labels(controller=controller_name(resource)).inc()

    def active_workers(self, resource: Served, count: int) -> None:
        """Tell how many passes over objects of a kind run now; all kinds share the workers."""
        self._metrics.active_workers.labels(controller=controller_name(resource)).set(count)

    def state(self, resource: Served, key: object, *, exists: bool, ready: bool, synced: bool) -> None:
        """Remember what an object's last pass left."""
        del exists  # As in crossplane-runtime: what is counted as existing is the managed resource.
        with self._lock:
            self._states[resource, key] = (ready, synced)

    def forgotten(self, resource: Served, key: object) -> None:
        """Drop an object that is gone."""
        with self._lock:
            self._states.pop((resource, key), None)

    def first_reconciled(self, resource: Served, *, seconds: float) -> None:
        """Count how long after its creation an object was first looked at."""
        self._metrics.first_time_to_reconcile.labels(gvk=gvk(resource)).observe(seconds)

    def first_ready(self, resource: Served, *, seconds: float) -> None:
        """Count how long after its creation an object was first Ready."""
        self._metrics.first_time_to_readiness.labels(gvk=gvk(resource)).observe(seconds)

    def deleted(self, resource: Served, *, seconds: float) -> None:
        """Count how long a deletion took."""
        self._metrics.deletion_time.labels(gvk=gvk(resource)).observe(seconds)

    def drifted(self, resource: Served, *, seconds: float) -> None:
        """Count drift, and how long it stood at most."""
        self._metrics.drift.labels(kind=resource.kind).inc()
        self._metrics.drift_time.labels(gvk=gvk(resource)).observe(seconds)

    def resolved(self, resource: Served, verdict: str) -> None:
        """Count a look for what became of a create of unknown outcome."""
        self._metrics.discord.ambiguous_creates.labels(
            resource_type=resource.kind.lower(), resolution=verdict
        ).inc()

    def token(self, config: str, *, valid: bool | None) -> None:
        """Set whether a ProviderConfig's token works; None removes its series."""
        gauge = self._metrics.token_valid
        with self._lock:
            if valid is not None:
                self._configs.add(config)
                gauge.labels(provider_config=config).set(1.0 if valid else 0.0)
            elif config in self._configs:
                self._configs.discard(config)
                gauge.remove(config)

    def refresh(self) -> None:
        """Set the gauges of resources to what is known now."""
        with self._lock:
            states = dict(self._states)
        for served, count in self._counts.items():
            tally = Tally(
                (_word(ready), _word(synced)) for (of, _), (ready, synced) in states.items() if of == served
            )
            unknown = count() - sum(tally.values())
            if unknown > 0:
                tally["Unknown", "Unknown"] += unknown
            self._metrics.set_resources(kind=served.kind, gvk=gvk(served), states=tally)


def controller_name(resource: Served) -> str:
    """Return crossplane-runtime's name of a kind's controller: `managed/channel.channel.discord...`.

    Its reconciler of configs has a prefix of its own (`pkg/reconciler/providerconfig`).
    """
    prefix = "providerconfig" if resource.kind == "ProviderConfig" else "managed"
    return f"{prefix}/{resource.kind}.{resource.group}".lower()


def gvk(resource: Served) -> str:
    """Return the kind as crossplane-runtime's label has it: `group/version, Kind=Kind`."""
    return f"{resource.api_version}, Kind={resource.kind}"


def _word(value: bool) -> str:  # noqa: FBT001 - it is the value that is worded
    return "True" if value else "False"
