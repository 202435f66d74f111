"""The metrics of single guilds, for the dashboard that somebody responsible for one of them looks at.

The label `guild` is namespace and name of the Guild object, and so bounded by the number of guilds managed; an id
would say nothing to anybody. Objects of a guild that no Guild object stands for share the label "". All series of a
guild go with it. For each guild there are at most 11 series a kind, those of conditions that no object has left out.
"""

from __future__ import annotations

import threading
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["GuildCollector", "GuildOf", "ObjectState"]

GuildOf = Callable[[str, object], str]
"""Tells the Guild object (namespace/name) of an object's guild, by the object's kind and key; "" for none."""

ObjectState = tuple[str, str, bool]
"""Ready and Synced, each True, False or Unknown, and whether it is held back."""


class GuildCollector(Collector):
    """Makes the series of guilds at each scrape."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._guild_of: GuildOf = lambda _kind, _key: ""
        self._states: Callable[[], Mapping[tuple[str, object], ObjectState]] = dict
        self._drift: Tally[tuple[str, str]] = Tally()
        self._settled: dict[str, float] = {}

    def watch(
        self, *, guild_of: GuildOf, states: Callable[[], Mapping[tuple[str, object], ObjectState]]
    ) -> None:
        """Take what is asked at each scrape.

        Args:
            guild_of: To which guild an object belongs.
            states: The state of every managed resource, by kind and key.
        """
        self._guild_of = guild_of
        self._states = states

    def drifted(self, kind: str, key: object) -> None:
        """Count drift."""
        guild = self._guild_of(kind, key)
        with self._lock:
            self._drift[guild, kind] += 1

    def settled(self, kind: str, key: object, at: float) -> None:
        """Note when a pass over an object of the guild came to its end (seconds since the epoch)."""
        guild = self._guild_of(kind, key)
        with self._lock:
            self._settled[guild] = at

    def forget_passes(self) -> None:
        """Drop what is only told by the copy that makes the passes."""
        with self._lock:
            self._settled.clear()

    def collect(self) -> Iterable[Metric]:
        """Return the families as they are now."""
        tally: Tally[tuple[str, str, str, str]] = Tally()
        held: Tally[tuple[str, str]] = Tally()
        for (kind, key), (ready, synced, is_held) in self._states().items():
            guild = self._guild_of(kind, key)
            tally[guild, kind, ready, synced] += 1
            held[guild, kind] += is_held
        guilds = {guild for guild, *_ in tally}
        with self._lock:
            self._drift = Tally({at: n for at, n in self._drift.items() if at[0] in guilds})
            self._settled = {guild: at for guild, at in self._settled.items() if guild in guilds}
            drift, settled = dict(self._drift), dict(self._settled)
        resources, holds, drifts, passes = self._families()
        for labels, count in sorted(tally.items()):
            resources.add_metric(labels, count)
        for of_kind, count in sorted(held.items()):
            holds.add_metric(of_kind, count)
            drifts.add_metric(of_kind, drift.get(of_kind, 0))
        for guild, at in sorted(settled.items()):
            passes.add_metric((guild,), at)
        return resources, holds, drifts, passes

    def describe(self) -> Iterable[Metric]:
        """Return the families without a series."""
        return self._families()

    @staticmethod
    def _families() -> tuple[GaugeMetricFamily, GaugeMetricFamily, CounterMetricFamily, GaugeMetricFamily]:
        return (
            GaugeMetricFamily(
                "provider_discord_guild_resources",
                "Managed resources of a guild by kind and by the status of their conditions.",
                labels=["guild", "kind", "ready", "synced"],
            ),
            GaugeMetricFamily(
                "provider_discord_guild_resources_held",
                "Managed resources of a guild that are not put back because it is held.",
                labels=["guild", "kind"],
            ),
            CounterMetricFamily(
                "provider_discord_guild_drift",
                "Managed resources of a guild that were found changed at Discord although their manifest had not changed.",
                labels=["guild", "kind"],
            ),
            GaugeMetricFamily(
                "provider_discord_guild_last_success_timestamp_seconds",
                "When the last pass over an object of the guild came to its end; told by the copy that leads.",
                labels=["guild"],
            ),
        )
