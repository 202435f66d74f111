"""What has to wait apart from buckets: routes under a shared limit, fields under a limit of their own.

Discord limits some fields beyond their bucket (two changes of a channel's name in ten minutes; discord-api-docs
#1900, #2190) and shows that in no header: a 429 comes although requests remain. Only what carries these fields is
parked, and of one major parameter alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import Scope


@dataclass(frozen=True, slots=True)
class Parked:
    """Some fields of a (route, major) that have to wait; no field means all."""

    fields: frozenset[str]
    until: float
    scope: Scope


class Parking:
    """Everything parked. Not safe for threads."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], list[Parked]] = {}

    def count(self, now: float) -> int:
        """Return how many entries are in force."""
        return sum(entry.until > now for entries in self._entries.values() for entry in entries)

    def __bool__(self) -> bool:
        return bool(self._entries)

    def __contains__(self, member: tuple[str, str]) -> bool:
        return member in self._entries

    def park(self, route: str, major: str, parked: Parked) -> None:
        """Let it wait from now on."""
        entries = self._entries.setdefault((route, major), [])
        # What is now known of fewer fields replaces what was suspected of more; "all" says nothing of single ones.
        entries[:] = [
            entry
            for entry in entries
            if entry.fields != parked.fields and not (parked.fields and parked.fields < entry.fields)
        ]
        entries.append(parked)

    def blocking(self, route: str, major: str, fields: frozenset[str], now: float) -> Parked | None:
        """Return what parks a body longest: a block of fields that are all in it."""
        entries = self._entries.get((route, major), ())
        live = [entry for entry in entries if entry.until > now and entry.fields <= fields]
        return max(live, key=lambda entry: entry.until, default=None)

    def ends(self, route: str, major: str) -> list[float]:
        """Return when each of its blocks ends."""
        return [entry.until for entry in self._entries.get((route, major), ())]

    def sublimits(self, route: str, major: str, now: float) -> list[tuple[frozenset[str], float]]:
        """Return the sub-limits in force: the fields and the seconds left."""
        return [
            (entry.fields, entry.until - now)
            for entry in self._entries.get((route, major), ())
            if entry.until > now and entry.scope is Scope.SUBLIMIT
        ]

    def sweep(self, now: float) -> None:
        """Forget what is over."""
        for key, entries in list(self._entries.items()):
            entries[:] = [entry for entry in entries if entry.until > now]
            if not entries:
                del self._entries[key]
