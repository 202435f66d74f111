"""Tells in the log, every ten minutes, how much memory the process has and for how many objects.

Metrics tell the same, but whoever looks at a process that was killed for its memory has its log and maybe no more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import structlog

from provider_discord.telemetry.process import resident_bytes
from provider_discord.telemetry.timings import TelemetryTimings

__all__ = ["MemoryReports"]

_log = structlog.get_logger()
_MIB = 1024 * 1024


class MemoryReports:
    """A thread that logs one line at a time.

    Args:
        objects: How many objects of each kind there are.
        limit_bytes: What the container may use; None: any amount.
        timings: When.
    """

    def __init__(
        self, *, objects: Callable[[], Mapping[str, int]], limit_bytes: int | None, timings: TelemetryTimings
    ) -> None:
        self._objects = objects
        self._limit_bytes = limit_bytes
        self._timings = timings
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def _run(self) -> None:
        delay = self._timings.memory_first_seconds
        while not self._stopping.wait(delay):
            self._report()
            delay = self._timings.memory_every_seconds

    def _report(self) -> None:
        limit = None if self._limit_bytes is None else round(self._limit_bytes / _MIB)
        counts = {kind.lower() + "s": count for kind, count in self._objects().items()}
        _log.info("memory", resident_mib=round(resident_bytes() / _MIB), limit_mib=limit, **counts)
