"""What is being made just now, so that nothing else of its name is made at the same time."""

from __future__ import annotations

import threading
from collections.abc import Hashable


class Making:
    """The names that something is being made under. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: set[Hashable] = set()

    def begin(self, name: Hashable) -> bool:
        """Take a name; False: it is taken."""
        with self._lock:
            taken = name in self._names
            self._names.add(name)
            return not taken

    def taken(self, name: Hashable) -> bool:
        """Tell whether a name is taken."""
        with self._lock:
            return name in self._names

    def end(self, name: Hashable) -> None:
        """Give a name back."""
        with self._lock:
            self._names.discard(name)
