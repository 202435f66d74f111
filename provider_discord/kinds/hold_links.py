"""What the holds of guilds need of the rest of the process; without it, nobody is told and nobody woken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

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
