"""The seam to whoever opens connections: this room decides when and with which token, `kinds` knows how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from provider_discord.kube.resource import Obj
from provider_discord.managed.errors import ManagedError

Session = Any
"""Opaque here; what `SessionFactory.open` returned is handed to `Connector.connect`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a token belongs to.

    Attributes:
        id: The bot user's id.
        name: Its name, to show.
        details: More to show in the ProviderConfig's status; only JSON values, never the token.
    """

    id: str
    name: str
    details: Mapping[str, Any] = field(default_factory=dict)


class TokenRejected(ManagedError):
    """The token was refused. It is not tried again until the Secret's data changes."""


class SessionFactory(Protocol):
    """Opens sessions. Several configs may share what is behind a session (one client per token)."""

    def open(self, *, config: Obj, token: str) -> Session:
        """Make a session from a ProviderConfig (raw) and a token, without a request.

        Raises a `ManagedError` when the config makes no sense.
        """
        ...

    def verify(self, session: Session) -> Identity:
        """Ask who the token belongs to: one request. Raises `TokenRejected`, or a `ManagedError` to try again."""
        ...

    def close(self, session: Session) -> None:
        """Let go of a session that no pass uses any more."""
        ...

    def rejected(self, session: Session) -> bool:
        """Tell whether the session's token was refused (a 401) since it was opened. No request."""
        ...
