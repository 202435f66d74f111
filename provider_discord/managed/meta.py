"""Names of annotations, labels and finalizers, and how to read and set them on raw objects.

Sources: crossplane-runtime `pkg/meta/meta.go`, `pkg/reconciler/managed/reconciler.go`,
`pkg/reconciler/providerconfig/reconciler.go`. The names under `discord.crossplane.io` are our own.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Obj = dict[str, Any]

FINALIZER = "finalizer.managedresource.crossplane.io"
CONFIG_FINALIZER = "in-use.crossplane.io"

EXTERNAL_NAME = "crossplane.io/external-name"
CREATE_PENDING = "crossplane.io/external-create-pending"
CREATE_SUCCEEDED = "crossplane.io/external-create-succeeded"
CREATE_FAILED = "crossplane.io/external-create-failed"
PAUSED = "crossplane.io/paused"
POLL_INTERVAL = "crossplane.io/poll-interval"
RECONCILE_REQUESTED_AT = "crossplane.io/reconcile-requested-at"
RECONCILE_TRIGGER = "reconcile.crossplane.io/trigger"

CREATE_ATTEMPT = "discord.crossplane.io/create-attempt"
"""JSON of the attempt to create that is not settled yet: `{"id", "started", "ended", "misses", "replaces"}`."""
CREATED = "discord.crossplane.io/created"
"""JSON of what the object has made, and which object that was: `{"id", "uid"}`. In a copy of it the UID is another's."""
DELETE_ATTEMPT = "discord.crossplane.io/delete-attempt"
"""JSON of the delete that is about to be sent, or was: `{"id", "uid", "started", "sight"}`."""
ACKNOWLEDGED_BOT = "discord.crossplane.io/acknowledged-bot"
"""On a ProviderConfig: the id of the bot user whose writes are wanted. Set at the first connection."""

ACKNOWLEDGED_NAME = "discord.crossplane.io/acknowledged-external-name"
"""On an object that stood for something else: the external name that it shall stand for now. The provider sets it itself
where it makes or adopts something in place of what is gone."""

RELEASE_HOLD = "discord.crossplane.io/release-hold"
"""On a Guild or a ProviderConfig: the id of the hold that is released, as the condition `Held` names it."""

IGNORED_BY_PREDICATE = frozenset({CREATE_PENDING, CREATE_FAILED, CREATE_ATTEMPT, DELETE_ATTEMPT})
"""Changes of these alone do not enqueue: we make them ourselves in the middle of a pass, which requeues anyway."""

LABEL_CONFIG = "crossplane.io/provider-config"
LABEL_CONFIG_KIND = "crossplane.io/provider-config-kind"

CONNECTION_SECRET_TYPE = "connection.crossplane.io/v1alpha1"  # noqa: S105 - a Secret's type

_FRACTION = re.compile(r"\.(\d{1,6})\d*")


def annotations_of(obj: Mapping[str, Any]) -> dict[str, str]:
    """Return a copy of the annotations."""
    return dict(obj.get("metadata", {}).get("annotations") or {})


def labels_of(obj: Mapping[str, Any]) -> dict[str, str]:
    """Return a copy of the labels."""
    return dict(obj.get("metadata", {}).get("labels") or {})


def finalizers_of(obj: Mapping[str, Any]) -> list[str]:
    """Return a copy of the finalizers."""
    return list(obj.get("metadata", {}).get("finalizers") or ())


def generation_of(obj: Mapping[str, Any]) -> int:
    """Return metadata.generation, 0 if there is none."""
    return int(obj.get("metadata", {}).get("generation") or 0)


def is_deleting(obj: Mapping[str, Any]) -> bool:
    """Tell whether the object's deletion was asked for."""
    return bool(obj.get("metadata", {}).get("deletionTimestamp"))


def is_paused(obj: Mapping[str, Any]) -> bool:
    """Tell whether the object is paused by annotation; only the text "true" pauses."""
    return annotations_of(obj).get(PAUSED) == "true"


def with_annotations(obj: Mapping[str, Any], changes: Mapping[str, str | None]) -> Obj:
    """Return a copy of the object with annotations set, or removed where the value is None."""
    out: Obj = copy.deepcopy(dict(obj))
    annotations = out.setdefault("metadata", {}).get("annotations") or {}
    for name, value in changes.items():
        if value is None:
            annotations.pop(name, None)
        else:
            annotations[name] = value
    if annotations:
        out["metadata"]["annotations"] = annotations
    else:
        out["metadata"].pop("annotations", None)
    return out


def with_finalizer(obj: Mapping[str, Any], finalizer: str, *, present: bool) -> Obj:
    """Return a copy of the object with the finalizer added or removed."""
    out: Obj = copy.deepcopy(dict(obj))
    finalizers = [name for name in finalizers_of(out) if name != finalizer]
    if present:
        finalizers.append(finalizer)
    if finalizers:
        out["metadata"]["finalizers"] = finalizers
    else:
        out["metadata"].pop("finalizers", None)
    return out


def parse_record(text: str) -> dict[str, Any]:
    """Return what an annotation of ours holds as JSON; nothing for anything that is no record: people edit them."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def to_rfc3339(instant: datetime) -> str:
    """Return `2026-01-02T03:04:05Z`, whole seconds, as Crossplane and Kubernetes write them."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_rfc3339_micro(instant: datetime) -> str:
    """Return `2026-01-02T03:04:05.000006Z`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_rfc3339(text: str | None) -> datetime | None:
    """Return the instant (aware, UTC); None for anything that is none, since people edit annotations."""
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(_FRACTION.sub(lambda m: "." + m[1].ljust(6, "0"), text))
    except ValueError:
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


_GO_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_GO_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


def parse_go_duration(text: str) -> float | None:
    """Return the seconds of a Go duration (`90s`, `1h30m`); None if it is none, or not positive."""
    total, position, text = 0.0, 0, text.strip().removeprefix("+")
    while position < len(text):
        part = _GO_PART.match(text, position)
        if part is None:
            return None
        total += float(part[1]) * _GO_UNITS[part[2]]
        position = part.end()
    return total if total > 0 else None
