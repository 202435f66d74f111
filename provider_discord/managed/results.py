"""What a reconcile pass ends with: when to look again, and what that does to the backoff."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from provider_discord.kube.workqueue import Priority


class Outcome(Enum):
    """How a pass counts in `controller_runtime_reconcile_total{result}`."""

    SUCCESS = "success"
    ERROR = "error"
    REQUEUE = "requeue"
    REQUEUE_AFTER = "requeue_after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What to do next with the key. Make one with `forget`, `poll`, `after`, `requeue` or `failed`.

    Attributes:
        requeue_after_seconds: Look again then; None: nothing is due.
        rate_limited: Look again after the key's exponential backoff instead.
        forget: Start the backoff anew.
        priority: The class in which the next look waits.
        outcome: For the metrics.
    """

    requeue_after_seconds: float | None = None
    rate_limited: bool = False
    forget: bool = True
    priority: Priority = Priority.RETRY
    outcome: Outcome = Outcome.SUCCESS

    @property
    def settled(self) -> bool:
        """Whether the pass came to its end: nothing is tried again before the next poll or change.

        What only a person can put right counts as well; what has failed or waits does not.
        """
        at_ease = self.requeue_after_seconds is None or self.priority is Priority.POLL
        return at_ease and not self.rate_limited and self.outcome is not Outcome.ERROR


def forget() -> Result:
    """Nothing more to do until something changes."""
    return Result()


def poll(seconds: float) -> Result:
    """All is well, or nothing but time will tell: look again at the next poll."""
    return Result(requeue_after_seconds=seconds, priority=Priority.POLL, outcome=Outcome.REQUEUE_AFTER)


def after(seconds: float, *, failed: bool = False, priority: Priority = Priority.RETRY) -> Result:
    """Look again at a known time; `failed` keeps the backoff where it is and counts as an error."""
    outcome = Outcome.ERROR if failed else Outcome.REQUEUE_AFTER
    return Result(requeue_after_seconds=seconds, forget=not failed, outcome=outcome, priority=priority)


def requeue(*, anew: bool = False) -> Result:
    """Look again after the backoff; nothing is wrong (a conflict, an update that has just been made).

    With `anew` the backoff starts from its beginning: what was waited for before has come to pass.
    """
    return Result(rate_limited=True, forget=anew, outcome=Outcome.REQUEUE)


def failed(*, priority: Priority = Priority.RETRY) -> Result:
    """Look again after the backoff, because something is wrong."""
    return Result(rate_limited=True, forget=False, outcome=Outcome.ERROR, priority=priority)
