"""What is told of held guilds and of fights; satisfies `kinds.holds.HoldMetrics`."""

from __future__ import annotations

from provider_discord.telemetry.metrics import Metrics

__all__ = ["HoldInstruments"]


class HoldInstruments:
    """Sets and counts; every label is one of a few words.

    Args:
        metrics: Where the series are.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def held(self, cause: str, *, guilds: int) -> None:
        """Set how many guilds are held for a cause."""
        self._metrics.guilds_held.labels(cause=cause).set(guilds)

    def hold_began(self, cause: str) -> None:
        """Count a hold."""
        self._metrics.holds.labels(cause=cause).inc()

    def left_alone(self, kind: str) -> None:
        """Count a field that is left alone after a fight."""
        self._metrics.fields_left_alone.labels(kind=kind).inc()
