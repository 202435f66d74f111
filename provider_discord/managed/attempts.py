"""The record of a create on the object itself, so that a crash at any moment leaves a trace.

Crossplane's three annotations have whole seconds and say only *that* an attempt is open. Beside them one
annotation of our own holds the attempt's id (which travels in the audit-log reason), when it ended without an
outcome, when it was looked for in vain, and which external name the object had before it.

An attempt is open while that annotation is there, or, for objects that another provider left behind, while
external-create-pending is later than -succeeded and -failed. A human settles it by removing
external-create-pending, or by setting another external-name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from provider_discord.managed import meta
from provider_discord.managed.external import Attempt

_MAX_MISSES = 5
_BEGINNING = datetime.fromtimestamp(0, tz=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAttempt:
    """An attempt whose outcome is not known."""

    attempt: Attempt
    replaces: str = ""
    """The external name when it began: the id of something that is gone."""


def open_attempt(obj: Mapping[str, Any]) -> OpenAttempt | None:
    """Read the open attempt from an object, None if there is none.

    An annotation of ours that cannot be read (somebody edited it) is treated as one without an id.
    """
    annotations = meta.annotations_of(obj)
    pending = annotations.get(meta.CREATE_PENDING)
    if not pending:
        return None
    record = annotations.get(meta.CREATE_ATTEMPT)
    started = meta.from_rfc3339(pending)
    if record is None:
        if started is None:
            return None
        settled = (annotations.get(meta.CREATE_SUCCEEDED), annotations.get(meta.CREATE_FAILED))
        if any((at := meta.from_rfc3339(text)) is not None and at >= started for text in settled):
            return None
        return OpenAttempt(attempt=Attempt(id="", started=started))
    # The attempt cannot be older than the object.
    created = meta.from_rfc3339(obj.get("metadata", {}).get("creationTimestamp"))
    return _parse(record, fallback=started or created or _BEGINNING)


def is_open_under(obj: Mapping[str, Any], attempt_id: str) -> bool:
    """Tell whether the object's record still is that of this attempt: nobody has settled it, or begun another."""
    record = meta.annotations_of(obj).get(meta.CREATE_ATTEMPT)
    return record is not None and _parse(record, fallback=_BEGINNING).attempt.id == attempt_id


def settled_by_human(opened: OpenAttempt, external_name: str | None) -> bool:
    """Tell whether somebody has set an external name since the attempt began."""
    return bool(external_name) and external_name != opened.replaces


def begun(attempt: Attempt, *, replaces: str | None) -> dict[str, str | None]:
    """Return the annotations to set before the request is sent."""
    return {
        meta.CREATE_PENDING: meta.to_rfc3339(attempt.started),
        meta.CREATE_ATTEMPT: _dump(OpenAttempt(attempt=attempt, replaces=replaces or "")),
    }


def still_open(opened: OpenAttempt) -> dict[str, str | None]:
    """Return the annotations that record what is known of an attempt that stays open."""
    return {meta.CREATE_ATTEMPT: _dump(opened)}


def succeeded(external_name: str, at: datetime) -> dict[str, str | None]:
    """Return the annotations that settle an attempt: it made this."""
    return {
        meta.EXTERNAL_NAME: external_name,
        meta.CREATE_SUCCEEDED: meta.to_rfc3339(at),
        meta.CREATE_ATTEMPT: None,
    }


def created(external_name: str, uid: str) -> dict[str, str | None]:
    """Return the annotation that tells for good what an object, by its UID, has made: its status may never come to it."""
    return {meta.CREATED: json.dumps({"id": external_name, "uid": uid}, separators=(",", ":"))}


def recorded(obj: Mapping[str, Any]) -> str | None:
    """Return what the object's own annotation says that it has made last; None: it is silent, or a copy of another one's."""
    record = meta.parse_record(meta.annotations_of(obj).get(meta.CREATED, ""))
    uid, made = obj.get("metadata", {}).get("uid"), record.get("id")
    return made if uid and record.get("uid") == uid and made and isinstance(made, str) else None


def has_created(obj: Mapping[str, Any], external_name: str) -> bool:
    """Tell whether the object's own annotation says that it has made this, and it is no copy of another one's."""
    return recorded(obj) == external_name


def failed(at: datetime) -> dict[str, str | None]:
    """Return the annotations that settle an attempt: it made nothing."""
    return {meta.CREATE_FAILED: meta.to_rfc3339(at), meta.CREATE_ATTEMPT: None}


def missed(opened: OpenAttempt, at: datetime, *, ended: datetime | None) -> OpenAttempt:
    """Return the attempt with one more miss."""
    misses = (*opened.attempt.misses, at)[-_MAX_MISSES:]
    return replace(opened, attempt=replace(opened.attempt, misses=misses, ended=ended))


def _dump(opened: OpenAttempt) -> str:
    attempt = opened.attempt
    record: dict[str, Any] = {"id": attempt.id, "started": meta.to_rfc3339_micro(attempt.started)}
    if attempt.ended is not None:
        record["ended"] = meta.to_rfc3339_micro(attempt.ended)
    if attempt.misses:
        record["misses"] = [meta.to_rfc3339_micro(miss) for miss in attempt.misses]
    if attempt.generation:
        record["generation"] = attempt.generation
    if opened.replaces:
        record["replaces"] = opened.replaces
    return json.dumps(record, separators=(",", ":"))


def _parse(text: str, *, fallback: datetime) -> OpenAttempt:
    record = meta.parse_record(text)
    started = meta.from_rfc3339(str(record.get("started") or "")) or fallback
    misses, generation = record.get("misses"), record.get("generation")
    return OpenAttempt(
        attempt=Attempt(
            id=str(record.get("id") or ""),
            started=started,
            ended=meta.from_rfc3339(str(record.get("ended") or "")),
            misses=tuple(
                at
                for miss in (misses if isinstance(misses, list) else ())
                if (at := meta.from_rfc3339(str(miss))) is not None
            ),
            generation=generation if isinstance(generation, int) else 0,
        ),
        replaces=str(record.get("replaces") or ""),
    )
