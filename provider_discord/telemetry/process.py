"""The metrics of this process as a whole: its health checks, and the memory that it may use.

The checks are those of `/healthz`, so that an alert sees what a person sees there. The limit is the container's, from
the cgroup: an alert on a share of it needs no other exporter, and there is no series where there is no limit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["ProcessInstruments", "memory_limit_bytes", "resident_bytes"]

_LIMIT_FILES: Final = (Path("sys/fs/cgroup/memory.max"), Path("sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Of cgroup v2 and v1, as a container sees its own."""
_NO_LIMIT: Final = 1 << 60
"""cgroup v1 writes a number near 2^63 for none."""


class Check(Protocol):
    """One line of `/healthz`: `health.CheckResult`."""

    @property
    def name(self) -> str:
        """What is checked."""

    @property
    def ok(self) -> bool:
        """Whether it is well."""


def memory_limit_bytes(root: Path = Path("/")) -> int | None:
    """Return how much memory the container may use, None where there is no limit or no telling."""
    for file in _LIMIT_FILES:
        try:
            text = (root / file).read_text().strip()
        except OSError:
            continue
        if text.isdecimal() and int(text) < _NO_LIMIT:
            return int(text)
        return None
    return None


def resident_bytes(process: Path = Path("/proc/self")) -> int:
    """Return the resident size of this process, as `process_resident_memory_bytes` has it; 0 where it can't be told."""
    try:
        pages = int((process / "statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


class ProcessInstruments(Collector):
    """Asks for the checks at each scrape."""

    def __init__(self) -> None:
        self._limit: int | None = None
        self._checks: Callable[[], Sequence[Check]] = tuple

    def watch(self, *, checks: Callable[[], Sequence[Check]], memory_limit: int | None) -> None:
        """Take what `/healthz` asks, and how many bytes of memory the process may use (None: any number)."""
        self._checks = checks
        self._limit = memory_limit

    def collect(self) -> Iterable[Metric]:
        """Return the families as they are now."""
        health, limit = self._families()
        for check in self._checks():
            health.add_metric([check.name], float(check.ok))
        if self._limit is not None:
            limit.add_metric([], self._limit)
        return health, limit

    def describe(self) -> Iterable[Metric]:
        """Return the families without a series."""
        return self._families()

    @staticmethod
    def _families() -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
        return (
            GaugeMetricFamily(
                "provider_discord_health_check_ok",
                "The checks of /healthz: 1 or 0. `discord`: no circuit breaker of what every pass asks first (user, guild) is"
                " open; `tokens`: some token works.",
                labels=["check"],
            ),
            GaugeMetricFamily(
                "provider_discord_memory_limit_bytes",
                "Memory that the container may use; absent where there is no limit.",
                labels=[],
            ),
        )
