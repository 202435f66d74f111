"""What is said in the log about a kind's list and watch while they fail: once, and again when it changes or lasts.

They are tried again every few seconds, for as long as an outage lasts. A kind that is not served (no CRD) is said once:
that may be meant to be so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from provider_discord.kube.errors import KubeError, NotFound


class Complaints:
    """One kind's. Not thread-safe: they belong to one loop."""

    def __init__(self, log: Any, *, now: Callable[[], float], repeat_seconds: float) -> None:
        """Have nothing said yet.

        Args:
            log: a structlog logger, bound to the kind.
            now: monotonic seconds.
            repeat_seconds: how often what lasts is said again.
        """
        self._log = log
        self._now = now
        self._repeat_seconds = repeat_seconds
        self._said: tuple[str, float] | None = None

    def say(self, error: KubeError) -> None:
        """Say what is wrong, unless that was said."""
        text, now = str(error), self._now()
        missing = isinstance(error, NotFound)
        if self._said and self._said[0] == text and (missing or now - self._said[1] < self._repeat_seconds):
            return
        self._said = (text, now)
        if missing:
            self._log.warning(
                "this kind is not served; is its CustomResourceDefinition installed? It is waited for",
                error=text,
            )
        else:
            self._log.warning("list and watch failed; they are tried again", error=text)

    def over(self) -> None:
        """Say that it is well again, if anything else was said."""
        if self._said is not None:
            self._said = None
            self._log.info("list and watch work again")
