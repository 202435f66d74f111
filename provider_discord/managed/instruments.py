"""`ManagedMetrics` over the program's metrics, with the names and labels that Crossplane's dashboards query."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

from provider_discord.kube.resource import Key, Resource
from provider_discord.managed.results import Outcome
from provider_discord.telemetry.metrics import Metrics


def controller_name(resource: Resource, *, managed: bool = True) -> str:
    """Return the controller's name as crossplane-runtime gives it: `managed/channel.example.org`."""
    return f"{'managed' if managed else 'providerconfig'}/{resource.kind.lower()}.{resource.group}"


def gvk(resource: Resource) -> str:
    """Return `group/version, Kind=Kind`, the label of `crossplane_managed_resource_*`."""
    return f"{resource.api_version}, Kind={resource.kind}"


class Instruments:
    """Counts into `Metrics`. Objects are kept by namespace and name, so that series go with their object."""

    def __init__(self, metrics: Metrics, *, managed: Mapping[Resource, object], workers: int) -> None:
        self._metrics = metrics
        self._managed = set(managed)
        self._lock = threading.Lock()
        self._states: dict[Resource, dict[Key, tuple[str, str]]] = {resource: {} for resource in managed}
        self._counts: dict[Resource, Counter[tuple[str, str]]] = {resource: Counter() for resource in managed}
        for resource in managed:
            metrics.controller(self._name(resource), workers=workers)

    def reconciled(self, resource: Resource, outcome: Outcome, *, seconds: float) -> None:
        """Count a pass over an object."""
        name = self._name(resource)
        self._metrics.reconcile_total.labels(controller=name, result=outcome.value).inc()
        self._metrics.reconcile_time.labels(controller=name).observe(seconds)
        if outcome is Outcome.ERROR:
            self._metrics.reconcile_errors.labels(controller=name).inc()

    def panicked(self, resource: Resource) -> None:
        """Count a pass that ended in a bug."""
        self._metrics.reconcile_panics.labels(controller=self._name(resource)).inc()

    def active_workers(self, count: int) -> None:
        """Tell how many passes run now, of all kinds together: they share their workers."""
        self._metrics.active_workers.labels(controller="managed").set(count)

    def state(self, resource: Resource, key: Key, *, ready: str, synced: str) -> None:
        """Tell an object's conditions."""
        with self._lock:
            states, counts = self._states[resource], self._counts[resource]
            before = states.get(key)
            if before == (ready, synced):
                return
            if before is not None:
                counts[before] -= 1
            states[key] = (ready, synced)
            counts[(ready, synced)] += 1
            self._show(resource)

    def forgotten(self, resource: Resource, key: Key) -> None:
        """Take an object that is gone out of the counts."""
        with self._lock:
            before = self._states[resource].pop(key, None)
            if before is not None:
                self._counts[resource][before] -= 1
                self._show(resource)

    def first_reconciled(self, resource: Resource, *, seconds: float) -> None:
        """Observe the time from creation to the first pass."""
        self._metrics.first_time_to_reconcile.labels(gvk=gvk(resource)).observe(max(0.0, seconds))

    def first_ready(self, resource: Resource, *, seconds: float) -> None:
        """Observe the time from creation to Ready."""
        self._metrics.first_time_to_readiness.labels(gvk=gvk(resource)).observe(max(0.0, seconds))

    def deleted(self, resource: Resource, *, seconds: float) -> None:
        """Observe the time that a deletion took."""
        self._metrics.deletion_time.labels(gvk=gvk(resource)).observe(max(0.0, seconds))

    def drifted(self, resource: Resource, *, seconds: float) -> None:
        """Count drift that is put back."""
        self._metrics.drift.labels(kind=resource.kind, action="put_back").inc()
        self._metrics.drift_time.labels(gvk=gvk(resource)).observe(max(0.0, seconds))

    def resolved(self, resource: Resource, verdict: str) -> None:
        """Count a look for what became of a create of unknown outcome."""
        self._metrics.discord.ambiguous_creates.labels(
            resource_type=resource.kind.lower(), resolution=verdict
        ).inc()

    def token(self, config: str, *, valid: bool | None) -> None:
        """Tell whether a ProviderConfig's token works; None: the config is gone."""
        if valid is None:
            try:
                self._metrics.discord.token_valid.remove(config)
            except KeyError:
                return
        else:
            self._metrics.discord.token_valid.labels(provider_config=config).set(valid)

    def _name(self, resource: Resource) -> str:
        return controller_name(resource, managed=resource in self._managed)

    def _show(self, resource: Resource) -> None:
        self._metrics.set_resources(
            kind=resource.kind, gvk=gvk(resource), states=dict(self._counts[resource])
        )
