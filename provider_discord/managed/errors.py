"""What a pass can end with other than success; each error carries what the reconciler decides by."""

from __future__ import annotations

from datetime import datetime

from provider_discord.kube.errors import KubeError


class ManagedError(Exception):
    """Base of this room's errors. ``str()`` is one line for a condition, the specific cause last."""

    retry_after: float | None = None
    """Seconds to wait before another look; None: the queue's exponential backoff."""


class Blocked(ManagedError):
    """Nothing was done and trying again changes nothing until a human or another object does something.

    Polled, not retried. ``reason`` is the event's reason in CamelCase (``SameNameExists``, ``DeletionGuarded``,
    ``HiddenOrGone``, ``MissingPermission``, ``WouldLockOut``, ``ExternalNameInUse``, ``NotAllowed`` ...).
    """

    def __init__(self, message: str, *, reason: str, field: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.field = field


class Waiting(ManagedError):
    """Something else must happen first (a reference, a rate limit, an open circuit); look again after ``retry_after``.

    Raised by create it means, as every error but ``AmbiguousCreate``: nothing was created.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, quiet: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.quiet = quiet
        """True: no event (rate limits, references that are merely not ready yet)."""


class Paused(ManagedError):
    """Something above the object is paused by annotation (its ProviderConfig, its Guild): touch nothing, poll."""


class Held(ManagedError):
    """People seem to be changing things on purpose: what differs is left so until a human decides. Polled.

    ``cause`` is the reason of the condition ``Held``, in CamelCase; ``told`` its message, "" for the error's own.
    """

    def __init__(self, message: str, *, cause: str, told: str = "") -> None:
        super().__init__(message)
        self.cause = cause
        self.told = told


class Starting(ManagedError):
    """This process does not know enough yet (lists are coming in): say nothing, look again in a moment."""


class ExternalFailure(ManagedError):
    """The external API refused or failed, in a way worth trying again with backoff."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotConnected(ManagedError):
    """No usable session: ProviderConfig or Secret missing, token rejected. Names the config."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotPublished(ManagedError):
    """The connection details could not be written; ``cause`` says why."""

    def __init__(self, cause: Blocked | KubeError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class AmbiguousCreate(ManagedError):
    """The create call may or may not have gone through."""

    def __init__(self, message: str, *, started: datetime, ended: datetime) -> None:
        super().__init__(message)
        self.started = started
        self.ended = ended
