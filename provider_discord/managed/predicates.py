"""Which changes of an object are worth a pass.

Crossplane's rule (`pkg/resource/predicates.go`): a change of generation, labels or annotations, without those
annotations that a pass writes itself before it is over. A status-only change never is, or every pass would cause
the next. Beyond that rule: other finalizers that go while an object is deleted (ours goes last), and a
create-pending annotation that somebody removes (it releases a halt).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provider_discord.managed import conditions, meta


def worth_a_pass(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> bool:
    """Tell whether a change is worth a pass; None stands for "did not exist" and "is gone"."""
    if old is None or new is None:
        return True
    if meta.generation_of(old) != meta.generation_of(new) or meta.is_deleting(old) != meta.is_deleting(new):
        return True
    if meta.labels_of(old) != meta.labels_of(new):
        return True
    before, after = meta.annotations_of(old), meta.annotations_of(new)
    if _without_ours(before) != _without_ours(after):
        return True
    if meta.CREATE_PENDING in before and meta.CREATE_PENDING not in after:
        return True
    return meta.is_deleting(new) and meta.finalizers_of(old) != meta.finalizers_of(new)


def is_settled(obj: Mapping[str, Any]) -> bool:
    """Tell whether an object that a new process finds can wait for its poll: all was well, and still seems so."""
    status = obj.get("status") or {}
    annotations = meta.annotations_of(obj)
    generation = meta.generation_of(obj)
    synced = conditions.find(status.get("conditions"), conditions.SYNCED)
    ready = conditions.find(status.get("conditions"), conditions.READY)
    return (
        not meta.is_deleting(obj)
        and synced.get("status") == "True"
        and synced.get("observedGeneration") == generation
        and ready.get("status") == "True"
        and annotations.get(meta.RECONCILE_REQUESTED_AT) in {None, "", status.get("lastHandledReconcileAt")}
        and meta.CREATE_ATTEMPT not in annotations
    )


def _without_ours(annotations: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in annotations.items() if name not in meta.IGNORED_BY_PREDICATE}
