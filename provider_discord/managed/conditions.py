"""Conditions as Crossplane has them: types, reasons, and when lastTransitionTime moves.

Sources: crossplane `apis/core/v2/condition.go`, crossplane-runtime `pkg/conditions/manager.go`. An equal
condition (time ignored) is left untouched; any change, the message included, renews lastTransitionTime.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from provider_discord.managed.meta import to_rfc3339

READY = "Ready"
SYNCED = "Synced"
TERMINATING = "Terminating"
HELD = "Held"

_MESSAGE_LIMIT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition to set; the generation and the time are added when it is written."""

    type: str
    status: bool | None
    """None is Unknown."""
    reason: str
    message: str = ""


def available() -> Condition:
    """The external resource is there and usable."""
    return Condition(type=READY, status=True, reason="Available")


def unavailable(message: str = "") -> Condition:
    """The external resource (or a config's connection) is not usable."""
    return Condition(type=READY, status=False, reason="Unavailable", message=message)


def creating() -> Condition:
    """The external resource is being made."""
    return Condition(type=READY, status=False, reason="Creating")


def deleting() -> Condition:
    """The external resource is being deleted."""
    return Condition(type=READY, status=False, reason="Deleting")


def reconcile_success() -> Condition:
    """The last pass did all there was to do."""
    return Condition(type=SYNCED, status=True, reason="ReconcileSuccess")


def reconcile_error(message: str) -> Condition:
    """The last pass could not do what there was to do."""
    return Condition(type=SYNCED, status=False, reason="ReconcileError", message=message)


def reconcile_paused(message: str = "") -> Condition:
    """The object is not reconciled, by somebody's wish."""
    return Condition(type=SYNCED, status=False, reason="ReconcilePaused", message=message)


def held(cause: str, message: str) -> Condition:
    """People seem to be changing the external resource on purpose: nothing is put back."""
    return Condition(type=HELD, status=True, reason=cause, message=message)


def not_held(message: str = "") -> Condition:
    """Things are put back again."""
    return Condition(type=HELD, status=False, reason="NotHeld", message=message)


def held_back(message: str) -> Condition:
    """What the external resource differs in is left so, because of a hold."""
    return Condition(type=SYNCED, status=False, reason="Held", message=message)


def terminating(message: str) -> Condition:
    """A ProviderConfig's deletion waits for its users."""
    return Condition(type=TERMINATING, status=True, reason="InUse", message=message)


def find(conditions: Iterable[Mapping[str, Any]] | None, type_: str) -> Mapping[str, Any]:
    """Return the raw condition of a type, an empty mapping if there is none."""
    return next((c for c in conditions or () if c.get("type") == type_), {})


def merge(
    existing: Iterable[Mapping[str, Any]] | None,
    new: Iterable[Condition],
    *,
    generation: int,
    now: datetime,
    remove: Iterable[str] = (),
) -> list[dict[str, Any]]:
    """Return the raw conditions with the new ones set; those that are equal keep their time and place."""
    dropped = set(remove)
    merged = [dict(condition) for condition in existing or () if condition.get("type") not in dropped]
    for condition in new:
        raw = _raw(condition, generation=generation)
        for index, old in enumerate(merged):
            if old.get("type") != condition.type:
                continue
            if {**old, "lastTransitionTime": None, "message": old.get("message", "")} != {
                **raw,
                "lastTransitionTime": None,
            }:
                merged[index] = _finish(raw, now)
            break
        else:
            merged.append(_finish(raw, now))
    return merged


def _raw(condition: Condition, *, generation: int) -> dict[str, Any]:
    status = {True: "True", False: "False", None: "Unknown"}[condition.status]
    message = condition.message
    if len(message) > _MESSAGE_LIMIT:
        # The specific cause stands last.
        message = message[: _MESSAGE_LIMIT // 2 - 3] + " ... " + message[-(_MESSAGE_LIMIT // 2 - 3) :]
    raw: dict[str, Any] = {
        "type": condition.type,
        "status": status,
        "reason": condition.reason,
        "message": message,
    }
    if generation:
        raw["observedGeneration"] = generation
    return raw


def _finish(raw: dict[str, Any], now: datetime) -> dict[str, Any]:
    finished = {**raw, "lastTransitionTime": to_rfc3339(now)}
    if not finished["message"]:
        del finished["message"]
    return finished
