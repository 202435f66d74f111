"""Sessions that have been replaced and that passes may still use: each is closed once no pass can have it any more."""

from __future__ import annotations

import threading
from collections.abc import Callable

from provider_discord.managed.sessions import Session


class Lingering:
    """Keeps what was retired until its time is over. Thread-safe."""

    def __init__(
        self, *, close: Callable[[Session], None], linger_seconds: float, now: Callable[[], float]
    ) -> None:
        """Keep nothing yet.

        Args:
            close: Lets go of a session.
            linger_seconds: How long a pass can have one.
            now: Monotonic clock.
        """
        self._close = close
        self._linger_seconds = linger_seconds
        self._now = now
        self._lock = threading.Lock()
        self._retired: list[tuple[float, Session]] = []

    def __bool__(self) -> bool:
        """Tell whether there is one."""
        with self._lock:
            return bool(self._retired)

    def retire(self, session: Session) -> None:
        """Take one that no further pass will get."""
        with self._lock:
            self._retired.append((self._now() + self._linger_seconds, session))

    def close_due(self) -> None:
        """Close those whose time is over."""
        now = self._now()
        with self._lock:
            due = [session for at, session in self._retired if at <= now]
            self._retired = [(at, session) for at, session in self._retired if at > now]
        for session in due:
            self._close(session)

    def close_all(self) -> None:
        """Close all, at the end of the process."""
        with self._lock:
            retired, self._retired = self._retired, []
        for _, session in retired:
            self._close(session)
