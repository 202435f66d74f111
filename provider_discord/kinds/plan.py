"""What a comparison with a manifest comes to, for every kind: what differs, and the one request that settles it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provider_discord.managed.external import FieldDiff

Difference = tuple[FieldDiff, str, Any]
"""What differs, to show; Discord's name of the field; what to send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a thing differs from its manifest, and what settles it.

    Attributes:
        raw: The thing as observed; empty: it is to be made.
        body: The PATCH with only what differs, or the whole POST; empty: nothing to send.
        diffs: What differs, to show.
        position: The sort key, if the thing stands in the wrong place; None: it does not.
        annotations: What to remember of it now; only what changes.
        warnings: What to tell, though it hinders nothing.
    """

    raw: Mapping[str, Any]
    body: dict[str, Any] = field(default_factory=dict)
    diffs: tuple[FieldDiff, ...] = ()
    position: int | None = None
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
