"""Fights over one field: what is put back again and again is left alone.

Somebody who changes a field as often as we put it back is another program, or a person who means it; neither gives
up, and the guild's audit log fills. The same goes for a value that Discord never keeps. So put-backs are counted for
each object and field; at the limit the field is treated as if the manifest did not give it, and its object says so,
until its manifest changes. The count is this process's; that a field is left alone stands in an annotation of the
object, so a restart begins no new fight.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from provider_discord.kinds.hold import HoldRules
from provider_discord.managed import meta

LEFT_ALONE: Final = "discord.crossplane.io/left-alone"
_REMEMBERED: Final = 20_000
_HEAD: Final = re.compile(r"\w+")
_TOGETHER: Final = (
    frozenset({"permissionOverwrites", "syncPermissions", "overwritePolicy"}),
    frozenset({"permissions", "permissionNames"}),
    frozenset({"color", "colors"}),
)
"""Fields that say one thing: they are left alone together."""

Version = tuple[int, int]
"""What is wanted: the manifest's generation, and a digest of the manifest with its references resolved."""


def head_of(name: str) -> str:
    """Return the manifest's field of which a difference names a part in brackets."""
    found = _HEAD.match(name)
    return found.group() if found else name


def left_alone(obj: Mapping[str, Any]) -> frozenset[str]:
    """Return the fields of an object that its annotation says are left alone, for the manifest as it is."""
    memory = _memory(obj)
    return frozenset(memory["fields"]) if memory is not None else frozenset()


def left_alone_since(obj: Mapping[str, Any]) -> datetime | None:
    """Return since when; None: nothing is left alone."""
    memory = _memory(obj)
    return None if memory is None else meta.from_rfc3339(str(memory.get("since") or ""))


def remember(obj: Mapping[str, Any], fields: Collection[str], *, wall: datetime) -> str:
    """Return the annotation that says that fields of the manifest as it is are left alone."""
    since = left_alone_since(obj) if left_alone(obj) == frozenset(fields) else None
    memory = {
        "uid": obj["metadata"].get("uid"),
        "generation": meta.generation_of(obj),
        "fields": sorted(fields),
        "since": meta.to_rfc3339(since or wall),
    }
    return json.dumps(memory, separators=(",", ":"))


def without(for_provider: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Return a manifest's ``forProvider`` without what is left alone: absent is unmanaged."""
    gone: set[str] = set()
    for name in fields:
        group = next((group for group in _TOGETHER if name in group), frozenset({name}))
        gone |= group | {f"{one}From" for one in group}
    return {name: value for name, value in for_provider.items() if name not in gone}


def _memory(obj: Mapping[str, Any]) -> dict[str, Any] | None:
    text = ((obj.get("metadata") or {}).get("annotations") or {}).get(LEFT_ALONE)
    if not text:
        return None
    # Anybody who may write an object may write this, and the index of all objects reads it.
    memory = meta.parse_record(text)
    same = (memory.get("uid"), memory.get("generation")) == (
        obj["metadata"].get("uid"),
        meta.generation_of(obj),
    )
    fields = memory.get("fields")
    told = isinstance(fields, list) and all(isinstance(name, str) for name in fields)
    return memory if same and told else None


@dataclass(slots=True)
class _Record:
    version: Version
    times: dict[str, list[float]] = field(default_factory=dict)
    """When each field was put back."""
    written: set[str] = field(default_factory=set)
    """What was written for this version: writing it again is putting it back, also if it never was true."""
    moved: bool = False
    """The place in the order was counted since all was well: it is asked for again and again until it is sent."""


class Fights:
    """Counts what is put back. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, _Record] = {}

    def put_back(
        self, uid: str, version: Version, fields: Iterable[str], *, settled: bool, now: float
    ) -> None:
        """Count fields that were written.

        Args:
            uid: The object.
            version: What is wanted.
            fields: What differed, as ``FieldDiff.field`` names it.
            settled: The manifest was true before; else only a second write of the same is putting back.
            now: Monotonic seconds.
        """
        with self._lock:
            record = self._records.pop(uid, None)
            if record is None or record.version != version:
                record = _Record(version)
            self._records[uid] = record
            for name in fields:
                if name == "position":
                    if record.moved:
                        continue
                    record.moved = True
                if settled or name in record.written:
                    record.times.setdefault(name, []).append(now)
                record.written.add(name)
            while len(self._records) > _REMEMBERED:
                del self._records[next(iter(self._records))]

    def knows(self, uid: str) -> bool:
        """Tell whether anything of the object was put back at all."""
        return uid in self._records

    def well(self, uid: str) -> None:
        """Take note that nothing differs."""
        with self._lock:
            record = self._records.get(uid)
            if record is not None:
                record.moved = False

    def often(self, uid: str, version: Version, *, rules: HoldRules, now: float) -> dict[str, int]:
        """Return the manifest's fields that have been put back as often as the rules allow, and how often."""
        with self._lock:
            record = self._records.get(uid)
            if record is None or record.version != version:
                return {}
            oldest = now - rules.put_back_window_seconds
            for name, times in record.times.items():
                record.times[name] = [at for at in times if at > oldest]
            often: dict[str, int] = {}
            for name, times in record.times.items():
                on_its_way = name == "position" and record.moved
                if len(times) >= rules.put_back_limit + on_its_way:
                    head = head_of(name)
                    often[head] = max(len(times), often.get(head, 0))
            return often
