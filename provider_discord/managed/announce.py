"""Events when something happens, none when nothing happens.

A pass that fails the same way every minute would say so every minute. The last warning of each object is
remembered, and the same one is said again only after a long while, or after things had been well in between.

Warnings, and their end, are told in the log as well, so that whoever searches it for errors or for an object finds
what the events have forgotten after an hour.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import structlog

from provider_discord.kube.resource import Obj

_MAX_REMEMBERED = 20_000

_log = structlog.get_logger()


class EventType(StrEnum):
    """The types of core/v1 Events."""

    NORMAL = "Normal"
    WARNING = "Warning"


class Recorder(Protocol):
    """What `kube.events.EventRecorder` does; it never blocks."""

    def event(self, obj: Obj, type_: Any, reason: str, message: str) -> None:
        """Record one event about an object."""
        ...


@dataclass(frozen=True, slots=True)
class _Said:
    """The last thing said of an object that lasts."""

    type_: EventType
    reason: str
    message: str
    at: float
    who: Mapping[str, str]


class Announcer:
    """Says things about objects once. Thread-safe."""

    def __init__(self, recorder: Recorder, *, now: Callable[[], float], repeat_seconds: float) -> None:
        self._recorder = recorder
        self._now = now
        self._repeat = repeat_seconds
        self._lock = threading.Lock()
        self._last: dict[str, _Said] = {}
        self._told: dict[str, set[tuple[int, str]]] = {}

    def normal(self, obj: Obj, reason: str, message: str) -> None:
        """Say that something was done."""
        self._recorder.event(obj, EventType.NORMAL, reason, message)

    def warning(self, obj: Obj, reason: str, message: str) -> None:
        """Say that something is wrong, unless it was just said."""
        self._unless_said(obj, EventType.WARNING, reason, message)

    def notice(self, obj: Obj, reason: str, message: str) -> None:
        """Say something that is not wrong but lasts, unless it was just said."""
        self._unless_said(obj, EventType.NORMAL, reason, message)

    def once(self, obj: Obj, *, generation: int, reason: str, message: str) -> None:
        """Warn of something once a generation (and process)."""
        uid = str(obj["metadata"].get("uid", ""))
        with self._lock:
            told = {entry for entry in self._told.get(uid, ()) if entry[0] == generation}
            if (generation, message) in told:
                return
            self._told[uid] = told | {(generation, message)}
            self._trim(self._told)
        self._recorder.event(obj, EventType.WARNING, reason, message)

    def well(self, uid: str) -> None:
        """Take note that the object is well: the next warning is news."""
        with self._lock:
            last = self._last.pop(uid, None)
        if last is not None and last.type_ is EventType.WARNING:
            _log.info("reconcile succeeded again", **last.who)

    def forget(self, uid: str) -> None:
        """Drop what is remembered of an object that is gone."""
        with self._lock:
            self._last.pop(uid, None)
            self._told.pop(uid, None)

    def _unless_said(self, obj: Obj, type_: EventType, reason: str, message: str) -> None:
        uid, now = str(obj["metadata"].get("uid", "")), self._now()
        said = _Said(type_, reason, message, now, _who(obj))
        with self._lock:
            last = self._last.get(uid)
            same = last is not None and (last.reason, last.message) == (reason, message)
            if last is not None and same and now - last.at < self._repeat:
                return
            self._last[uid] = said
            self._trim(self._last)
        if type_ is EventType.WARNING:
            _log.warning("reconcile failed", **said.who, reason=reason, error=message)
        else:
            _log.info("reconcile held back", **said.who, reason=reason, message=message)
        self._recorder.event(obj, type_, reason, message)

    @staticmethod
    def _trim(table: dict[str, Any]) -> None:
        while len(table) > _MAX_REMEMBERED:
            del table[next(iter(table))]


def _who(obj: Obj) -> dict[str, str]:
    metadata = obj["metadata"]
    who = {"kind": str(obj.get("kind", "")), "namespace": str(metadata.get("namespace") or "")}
    return {name: value for name, value in {**who, "name": str(metadata["name"])}.items() if value}
