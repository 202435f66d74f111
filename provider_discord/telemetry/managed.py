"""What the managed reconciler tells about itself, as the metrics that Crossplane's dashboards query.

The reconciler reports through a protocol of its own (`managed.metrics.ManagedMetrics`), which `ManagedInstruments`
satisfies. Upstream keys its state by bare name and so counts two objects of one name in two namespaces once
(crossplane-runtime `pkg/statemetrics`); here it is kind, namespace and name, and an object's state goes with the
object.
"""

from __future__ import annotations

import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from provider_discord.telemetry.guilds import GuildOf, ObjectState
from provider_discord.telemetry.metrics import Metrics

__all__ = ["ManagedInstruments", "Served", "controller_name"]


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


@dataclass(frozen=True, slots=True)
class _State:
    ready: bool
    synced: bool
    paused: bool
    held: bool


class ManagedInstruments:
    """Implements `managed.metrics.ManagedMetrics`; `refresh` sets the gauges, before each scrape.

    Of two copies the one that does not lead makes no passes. What passes alone can tell (how fresh things are, whether
    a token works) has no series there, or an alert would go by what was true when that copy led.

    Args:
        metrics: Where the series are.
        counts: How many objects of each kind the cluster has, looked at yet or not.
        workers: How many passes may run at once.
        configs: The kind of the provider's configs; they have a controller, but are no managed resources.
        guild_of: To which guild an object belongs.
        leads: Whether this copy makes the passes.
        wall: Seconds since the epoch.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        counts: Mapping[Served, Callable[[], int]],
        workers: int,
        configs: Served | None = None,
        guild_of: GuildOf = lambda _kind, _key: "",
        leads: Callable[[], bool] = lambda: True,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._metrics = metrics
        self._counts = counts
        self._leads = leads
        self._wall = wall
        self._lock = threading.Lock()
        self._states: dict[tuple[Served, object], _State] = {}
        self._tokens: dict[str, bool] = {}
        self._settled: dict[str, tuple[float, float | None]] = {}
        self._since: dict[str, float] = {}
        metrics.guilds.watch(guild_of=guild_of, states=self._object_states)
        for served in (*counts, *((configs,) if configs is not None else ())):
            metrics.controller(controller_name(served), workers=workers)
        for served in counts:
            metrics.drift.labels(kind=served.kind)

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

    def settled(self, resource: Served, key: object, *, next_seconds: float | None) -> None:
        """Remember when a pass over an object came to its end, and after how long the next one is due."""
        if resource not in self._counts:
            return
        now = self._wall()
        with self._lock:
            self._settled[resource.kind] = (now, next_seconds)
        self._metrics.guilds.settled(resource.kind, key, now)

    def state(
        self,
        resource: Served,
        key: object,
        *,
        exists: bool,
        ready: bool,
        synced: bool,
        paused: bool = False,
        held: bool = False,
    ) -> None:
        """Remember what an object's last pass left."""
        del exists  # As in crossplane-runtime: what is counted as existing is the managed resource.
        with self._lock:
            self._states[resource, key] = _State(ready, synced, paused, held)

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

    def drifted(self, resource: Served, key: object, *, seconds: float) -> None:
        """Count drift, and how long it stood at most."""
        self._metrics.guilds.drifted(resource.kind, key)
        self._metrics.drift.labels(kind=resource.kind).inc()
        self._metrics.drift_time.labels(gvk=gvk(resource)).observe(seconds)

    def resolved(self, resource: Served, verdict: str) -> None:
        """Count a look for what became of a create of unknown outcome."""
        self._metrics.discord.ambiguous_creates.labels(
            resource_type=resource.kind.lower(), resolution=verdict
        ).inc()

    def token(self, config: str, *, valid: bool | None) -> None:
        """Remember whether a ProviderConfig's token works; None: there is no such config any more."""
        with self._lock:
            if valid is None:
                self._tokens.pop(config, None)
            else:
                self._tokens[config] = valid

    def object_counts(self) -> dict[str, int]:
        """Return how many managed resources of each kind there are."""
        return {served.kind: count() for served, count in self._counts.items()}

    def refresh(self) -> None:
        """Set the gauges to what is known now."""
        leads = self._leads()
        with self._lock:
            states, tokens = dict(self._states), dict(self._tokens)
        metrics = self._metrics
        metrics.token_valid.clear()
        for config, valid in tokens.items() if leads else ():
            metrics.token_valid.labels(provider_config=config).set(valid)
        if not leads:
            metrics.guilds.forget_passes()
        for served, count in self._counts.items():
            mine = [state for (of, _), state in states.items() if of == served]
            tally = Tally((_word(state.ready), _word(state.synced)) for state in mine)
            objects, paused = count(), sum(state.paused for state in mine)
            unknown = objects - len(mine)
            if unknown > 0:
                tally["Unknown", "Unknown"] += unknown
            metrics.set_resources(kind=served.kind, gvk=gvk(served), states=tally, paused=paused)
            metrics.resources_held.labels(kind=served.kind).set(sum(state.held for state in mine))
            self._show_passes(served.kind, some=leads and objects > paused)

    def _show_passes(self, kind: str, *, some: bool) -> None:
        """Show when the last pass came to its end, while there is something to make passes over."""
        metrics = self._metrics
        with self._lock:
            if not some:
                self._since.pop(kind, None)
                self._settled.pop(kind, None)
            since = self._since.setdefault(kind, self._wall()) if some else 0.0
            # Until the first pass has ended, time counts from when there was one to make.
            at, interval = self._settled.get(kind, (since, None))
        if some:
            metrics.last_success.labels(kind=kind).set(max(at, since))
        elif (kind,) in metrics.last_success._metrics:  # noqa: SLF001 - remove() warns of what is not there
            metrics.last_success.remove(kind)
        metrics.reconcile_interval.labels(kind=kind).set(interval or 0.0)

    def _object_states(self) -> dict[tuple[str, object], ObjectState]:
        with self._lock:
            states = dict(self._states)
        return {
            (of.kind, key): (_word(state.ready), _word(state.synced), state.held)
            for (of, key), state in states.items()
        }


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
