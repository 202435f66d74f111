"""What stands between an object and its ProviderConfig's session, and who waits there.

An object that is turned away is remembered and woken when the reason is gone, so that a corrected Secret heals
everything within seconds, and a config that is fine wakes nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from provider_discord.managed.errors import Blocked
from provider_discord.managed.references import Referrer
from provider_discord.managed.sessions import Identity, Session


class Hindrance(Enum):
    """Why an object was turned away."""

    NOT_CONNECTED = "not connected"
    NOT_WRITABLE = "not writable"
    PAUSED = "paused"
    NOT_ALLOWED = "not allowed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigState:
    """What this process knows of one ProviderConfig's connection.

    Attributes:
        session: To hand to passes; None: not connected.
        credential: Digest of the token and the base URL that the session, or the refusal, is about.
        generation: The config's generation that the session was opened with.
        identity: Whom the token belongs to.
        verified_at: When that was last asked (monotonic).
        rejected: The credential was refused: it is not tried again.
        problem: What is wrong, for conditions; "" when nothing is.
        write_refusal: Why nothing may be written although connected.
    """

    session: Session | None = None
    credential: str = ""
    generation: int = 0
    identity: Identity | None = None
    verified_at: float = 0.0
    rejected: bool = False
    problem: str = ""
    write_refusal: Blocked | None = None

    @property
    def connected(self) -> bool:
        """Tell whether passes can be connected."""
        return self.session is not None

    def refused(self, problem: str, *, credential: str, generation: int) -> ConfigState:
        """Return the state after the credential was refused."""
        return replace(
            self,
            session=None,
            credential=credential,
            generation=generation,
            rejected=True,
            problem=problem,
        )


class Gate:
    """The states of all configs, and who waits for a change of them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, ConfigState] = {}
        self._waiting: dict[tuple[str, Hindrance], set[Referrer]] = {}

    def state(self, name: str) -> ConfigState | None:
        """Return a config's state; None: it was not looked at yet."""
        with self._lock:
            return self._states.get(name)

    def states(self) -> dict[str, ConfigState]:
        """Return all states."""
        with self._lock:
            return dict(self._states)

    def put(self, name: str, state: ConfigState) -> None:
        """Set a config's state."""
        with self._lock:
            self._states[name] = state

    def drop(self, name: str) -> ConfigState | None:
        """Forget a config that is gone; return its last state."""
        with self._lock:
            return self._states.pop(name, None)

    def turn_away(self, name: str, who: Referrer, why: Hindrance, *, seen: ConfigState | None) -> bool:
        """Remember who waits. Return False if the state is no longer the one `seen`: look again instead."""
        with self._lock:
            if self._states.get(name) is not seen:
                return False
            self._waiting.setdefault((name, why), set()).add(who)
            return True

    def take_waiting(self, name: str, why: Iterable[Hindrance]) -> set[Referrer]:
        """Return who waits for one of these reasons to go away, and forget them."""
        with self._lock:
            taken: set[Referrer] = set()
            for reason in why:
                taken |= self._waiting.pop((name, reason), set())
            return taken
