"""What a caller says about one call: how urgent, how patient, and why."""

from __future__ import annotations

from dataclasses import dataclass

from .priority import Priority


@dataclass(frozen=True, slots=True)
class CallOptions:
    """Options of a call.

    Attributes:
        priority: Its class in every queue.
        max_wait_seconds: How long it may wait for rate limits, over all its requests; past that RateLimited is
            raised at once, with the time to come back. None means the client's default (about a second).
        deadline_seconds: How long it may take altogether. None means the client's default. A create that is
            cut off by it has an unknown outcome.
        reason: For the guild's audit log, read by moderators. Sent only on routes that take one.
    """

    priority: Priority = Priority.RETRY
    max_wait_seconds: float | None = None
    deadline_seconds: float | None = None
    reason: str | None = None
