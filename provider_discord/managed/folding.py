"""Log lines that say the same of every object: one at first, then one in a while with how many it stands for.

When the API server is away each object's pass finds that out for itself, again and again; thousands of lines would
bury what else there is to read, and tell no more than the first.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(slots=True)
class _Line:
    said_at: float
    seen_at: float
    folded: int = 0


class Folding:
    """Counts lines by what they say. Thread-safe; instants are monotonic seconds."""

    def __init__(self, *, every_seconds: float) -> None:
        self._every = every_seconds
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] = {}

    def due(self, line: str, *, now: float) -> int | None:
        """Tell whether to say a line now: how many were left out since it was said last, or None to leave it out.

        After a while in which nobody had to say it, it is news again.
        """
        with self._lock:
            known = self._lines.get(line)
            if known is None or now - known.seen_at >= self._every:
                self._lines[line] = _Line(said_at=now, seen_at=now)
                return 0
            known.seen_at = now
            if now - known.said_at < self._every:
                known.folded += 1
                return None
            folded, known.folded, known.said_at = known.folded, 0, now
            return folded
