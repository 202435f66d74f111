"""What this process did lately, by Discord id. Bounded: a process that runs for months makes and deletes many things."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

V = TypeVar("V")
_REMEMBERED = 20_000


class Recent(Generic[V]):
    """A mapping that forgets what was put into it longest ago. Thread-safe."""

    def __init__(self, limit: int = _REMEMBERED) -> None:
        """Make an empty one that holds so many at most."""
        self._limit = limit
        self._lock = threading.Lock()
        self._held: dict[str, V] = {}

    def __len__(self) -> int:
        return len(self._held)

    def get(self, external_name: str) -> V | None:
        """Return what was put last; None: nothing, or it was long ago."""
        with self._lock:
            return self._held.get(external_name)

    def put(self, external_name: str, value: V) -> None:
        """Remember it."""
        with self._lock:
            self._held.pop(external_name, None)
            self._held[external_name] = value
            while len(self._held) > self._limit:
                del self._held[next(iter(self._held))]

    def drop(self, external_name: str, value: V) -> None:
        """Forget it, unless something else was put in the meantime."""
        with self._lock:
            if self._held.get(external_name) == value:
                del self._held[external_name]
