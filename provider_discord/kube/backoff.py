"""How long to wait after a failure: twice as long as the last time, with jitter.

Jitter keeps the watches of one process, and the processes of one cluster, from coming back all at once when an
API server comes up again.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Backoff"]


class Backoff:
    """A growing wait. Not thread-safe: it belongs to one loop."""

    def __init__(self, *, minimum: float, maximum: float, rand: Callable[[], float]) -> None:
        """Make one.

        Args:
            minimum: seconds, the first wait.
            maximum: seconds, the longest wait before jitter.
            rand: uniform in [0, 1).
        """
        self._minimum = minimum
        self._maximum = maximum
        self._rand = rand
        self._next = minimum

    def next(self, *, maximum: float | None = None) -> float:
        """Return the seconds to wait now: up to half as long again as the wait by itself.

        Args:
            maximum: the longest wait this time, if shorter.
        """
        wait = min(self._next, self._maximum if maximum is None else min(maximum, self._maximum))
        self._next = min(self._next * 2, self._maximum)
        return wait * (1 + self._rand() / 2)

    def reset(self) -> None:
        """Begin anew, after a success."""
        self._next = self._minimum
