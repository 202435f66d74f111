"""What the holds of guilds need of the pass that asks, and of the rest of the process.

Without the latter nobody is told and nobody woken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from provider_discord.discord.options import CallOptions
from provider_discord.kinds.session import Connection, Rules
from provider_discord.kinds.timings import KindTimings
from provider_discord.kube.resource import Key, Obj, Resource
from provider_discord.managed.announce import Recorder
from provider_discord.managed.resource import ManagedResource


class HoldMetrics(Protocol):
    """What is told to Prometheus; must not block or raise."""

    def held(self, cause: str, *, guilds: int) -> None:
        """Tell how many guilds are held for a cause."""

    def hold_began(self, cause: str) -> None:
        """Count a hold."""

    def left_alone(self, kind: str) -> None:
        """Count a field that is left alone after a fight."""


class NoHoldMetrics:
    """Tells nobody."""

    def held(self, cause: str, *, guilds: int) -> None:
        """Do nothing."""

    def hold_began(self, cause: str) -> None:
        """Do nothing."""

    def left_alone(self, kind: str) -> None:
        """Do nothing."""


class Asker(Protocol):
    """The pass of an object, as far as the holds must know it: by whose rules, and its way to Discord."""

    @property
    def rules(self) -> Rules:
        """What the ProviderConfig says."""

    @property
    def bot_id(self) -> str:
        """The bot's user id."""

    @property
    def connection(self) -> Connection:
        """What the token's users share."""

    @property
    def timings(self) -> KindTimings:
        """This room's constants."""

    def options(self) -> CallOptions:
        """Return the options of a call that reads."""


@dataclass(slots=True, kw_only=True)
class HoldLinks:
    """What the holds need of the rest of the process; the composition root sets it.

    Attributes:
        wake: Looks at objects now.
        config: Returns a ProviderConfig by name.
        resolve: Puts ids in place of an object's references.
        recorder: Takes events.
        metrics: Takes numbers.
    """

    wake: Callable[[Iterable[tuple[Resource, Key]]], None] = lambda _who: None
    config: Callable[[str], Obj | None] = lambda _name: None
    resolve: Callable[[ManagedResource], ManagedResource] = lambda mr: mr
    recorder: Recorder | None = None
    metrics: HoldMetrics = field(default_factory=NoHoldMetrics)
