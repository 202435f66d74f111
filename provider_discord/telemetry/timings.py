"""Every constant of time of this room."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TelemetryTimings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryTimings:
    """All durations are seconds."""

    memory_first_seconds: float = 60.0
    """After the start; by then everything has been listed, so that later lines can be held against this one."""
    memory_every_seconds: float = 600.0
    """Often enough to see a leak over hours, seldom enough to be quiet."""
