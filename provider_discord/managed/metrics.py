"""What this room tells about itself. `telemetry` makes metrics of it; the default does nothing."""

from __future__ import annotations

from typing import Protocol

from provider_discord.kube.resource import Key, Resource
from provider_discord.managed.results import Outcome


class ManagedMetrics(Protocol):
    """Called from worker threads; must not block or raise."""

    def reconciled(self, resource: Resource, outcome: Outcome, *, seconds: float) -> None:
        """Count a pass over an object."""

    def settled(self, resource: Resource, key: Key, *, next_seconds: float | None) -> None:
        """Note that a pass over an object came to its end, and when the next one is due; None: at a change."""

    def panicked(self, resource: Resource) -> None:
        """Count a pass that ended in a bug."""

    def timed_out(self, resource: Resource) -> None:
        """Count a pass that took longer than it may."""

    def active_workers(self, resource: Resource, count: int) -> None:
        """Tell how many passes over objects of a kind run now."""

    def state(
        self,
        resource: Resource,
        key: Key,
        *,
        exists: bool,
        ready: bool,
        synced: bool,
        paused: bool,
        held: bool,
    ) -> None:
        """Tell an object's state once it has conditions, from the watch.

        Args:
            resource: Its kind.
            key: Its namespace and name.
            exists: It has an external name.
            ready: It is Ready.
            synced: It is Synced.
            paused: It is left alone by somebody's wish, and therefore not Synced.
            held: It is held back by a hold, and therefore not Synced.
        """

    def forgotten(self, resource: Resource, key: Key) -> None:
        """Drop the object's series: it is gone."""

    def first_reconciled(self, resource: Resource, *, seconds: float) -> None:
        """Tell how long after its creation an object was first looked at."""

    def first_ready(self, resource: Resource, *, seconds: float) -> None:
        """Tell how long after its creation an object was first Ready."""

    def deleted(self, resource: Resource, *, seconds: float) -> None:
        """Tell how long a deletion took from the request to the finalizer's removal."""

    def drifted(self, resource: Resource, key: Key, *, seconds: float) -> None:
        """Count drift that was found, and how long after the last look at most."""

    def resolved(self, resource: Resource, verdict: str) -> None:
        """Count a look for what became of a create of unknown outcome."""

    def token(self, config: str, *, valid: bool | None) -> None:
        """Tell whether a ProviderConfig's token works; None: the config is gone."""


class NoMetrics:
    """Tells nobody."""

    def reconciled(self, resource: Resource, outcome: Outcome, *, seconds: float) -> None:
        """Do nothing."""

    def settled(self, resource: Resource, key: Key, *, next_seconds: float | None) -> None:
        """Do nothing."""

    def panicked(self, resource: Resource) -> None:
        """Do nothing."""

    def timed_out(self, resource: Resource) -> None:
        """Do nothing."""

    def active_workers(self, resource: Resource, count: int) -> None:
        """Do nothing."""

    def state(
        self,
        resource: Resource,
        key: Key,
        *,
        exists: bool,
        ready: bool,
        synced: bool,
        paused: bool,
        held: bool,
    ) -> None:
        """Do nothing."""

    def forgotten(self, resource: Resource, key: Key) -> None:
        """Do nothing."""

    def first_reconciled(self, resource: Resource, *, seconds: float) -> None:
        """Do nothing."""

    def first_ready(self, resource: Resource, *, seconds: float) -> None:
        """Do nothing."""

    def deleted(self, resource: Resource, *, seconds: float) -> None:
        """Do nothing."""

    def drifted(self, resource: Resource, key: Key, *, seconds: float) -> None:
        """Do nothing."""

    def resolved(self, resource: Resource, verdict: str) -> None:
        """Do nothing."""

    def token(self, config: str, *, valid: bool | None) -> None:
        """Do nothing."""
