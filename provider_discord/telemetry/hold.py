"""What is told of held guilds and of fights; satisfies `kinds.holds.HoldMetrics`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from provider_discord.telemetry.metrics import Metrics

__all__ = ["HoldInstruments"]


class HoldInstruments:
    """Sets and counts; every label is one of a few words.

    A copy that does not lead knows of no hold, or an alert would go by what was true when it led.

    Args:
        metrics: Where the series are.
        leads: Whether this copy makes the passes.
    """

    def __init__(self, metrics: Metrics, *, leads: Callable[[], bool] = lambda: True) -> None:
        self._metrics = metrics
        self._leads = leads
        self._held: Counter[str] = Counter()

    def held(self, cause: str, *, guilds: int) -> None:
        """Set how many guilds are held for a cause."""
        self._held[cause] = guilds
        self._metrics.guilds_held.labels(cause=cause).set_function(
            lambda: self._held[cause] if self._leads() else 0
        )

    def hold_began(self, cause: str) -> None:
        """Count a hold."""
        self._metrics.holds.labels(cause=cause).inc()

    def left_alone(self, kind: str) -> None:
        """Count a field that is left alone after a fight."""
        self._metrics.fields_left_alone.labels(kind=kind).inc()
