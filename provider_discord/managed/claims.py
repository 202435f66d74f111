"""Who claims which external resource.

Two managed objects with one external name would fight, and deleting the copy would delete the original's
channel. So of all objects that may write, the oldest owns the name (creationTimestamp, then UID); the others
write and delete nothing and say so. Objects that only observe neither own nor are hindered; nor do those that their
ProviderConfig does not serve, or whose external name turned out to be none of theirs: a manifest that can do nothing
must not hold up one that can.

An object that *had* the name, and whose ProviderConfig was narrowed since, is another matter. It owns nothing any more,
but the name does not go to the next in line by itself: a slip in a ProviderConfig would have another manifest written
over a channel, and its deletion would delete it. Somebody has to let the older object go.

The same holds for an object whose external name was changed: what it stood for until then stays its own, as long as the
change has neither been acknowledged nor proved to be right.

The table is fed from the watch, and at once by the reconciler when it adopts or creates, so that two workers
cannot take the same thing between a write and its echo.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import datetime

from provider_discord.kube.resource import Key

DISOWNING = frozenset({"NotAllowed", "ExternalNameInvalid", "ExternalNameChanged"})
"""Reasons of refusals that say that an object never had a right to its external name: it owns nothing by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One object's claim on an external name."""

    kind: str
    key: Key
    uid: str
    created_at: datetime
    writes: bool = True
    """False: the object only observes, or may not have the name."""
    lost: bool = False
    """It had the name by right and has lost the right: it writes nothing, and while it is there no younger one does."""
    stood_for: str = ""
    """What the object stood for until its external name was changed: it has that, too, as a name that it has lost."""

    @property
    def seniority(self) -> tuple[datetime, str]:
        """Sorts the owner first."""
        return (self.created_at, self.uid)

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class Claims:
    """External name -> claims, for each kind, over all namespaces. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claims: dict[tuple[str, str], dict[Key, Claim]] = {}
        self._names: dict[tuple[str, Key], str] = {}
        self._stood_for: dict[tuple[str, Key], str] = {}
        self._version = 0

    @property
    def version(self) -> int:
        """Return a number that is another one after every change, for who remembers what follows from the table."""
        return self._version

    def register(self, external_name: str, claim: Claim) -> Claim:
        """Record the claim (an object has one at a time) and return the claim that the name belongs to now."""
        with self._lock:
            before = self._claims.get((claim.kind, external_name), {}).get(claim.key)
            self._remove(claim.kind, claim.key)
            self._version += before != claim
            self._claims.setdefault((claim.kind, external_name), {})[claim.key] = claim
            self._names[(claim.kind, claim.key)] = external_name
            if claim.stood_for and claim.stood_for != external_name:
                former = replace(claim, writes=False, lost=True)
                self._claims.setdefault((claim.kind, claim.stood_for), {})[claim.key] = former
                self._stood_for[(claim.kind, claim.key)] = claim.stood_for
            return self._holder(claim.kind, external_name) or claim

    def release(self, kind: str, key: Key) -> tuple[str, list[Claim]]:
        """Forget an object's claim; return the name that it had ("": none) and who else claims it, or what it stood for."""
        with self._lock:
            stood_for = self._stood_for.get((kind, key), "")
            name = self._remove(kind, key)
            self._version += bool(name)
            return name, [
                claim for one in (name, stood_for) for claim in self._claims.get((kind, one), {}).values()
            ]

    def owner(self, kind: str, external_name: str) -> Claim | None:
        """Return who owns the name; None: nobody that writes claims it, or who did has lost the right to it."""
        with self._lock:
            holder = self._holder(kind, external_name)
        return holder if holder is not None and holder.writes else None

    def claimed(self, kind: str, external_name: str) -> bool:
        """Tell whether any object claims the name, observers included."""
        with self._lock:
            return bool(self._claims.get((kind, external_name)))

    def claimants(self, kind: str, external_name: str) -> list[Claim]:
        """Return all claims on the name, the oldest first."""
        with self._lock:
            return sorted(self._claims.get((kind, external_name), {}).values(), key=lambda c: c.seniority)

    def name_of(self, kind: str, key: Key) -> str | None:
        """Return the external name that an object claims."""
        with self._lock:
            return self._names.get((kind, key))

    def _holder(self, kind: str, external_name: str) -> Claim | None:
        claims = self._claims.get((kind, external_name), {}).values()
        return min(
            (one for one in claims if one.writes or one.lost), key=lambda claim: claim.seniority, default=None
        )

    def _remove(self, kind: str, key: Key) -> str:
        name = self._names.pop((kind, key), "")
        for one in (name, self._stood_for.pop((kind, key), "")):
            claims = self._claims.get((kind, one), {})
            claims.pop(key, None)
            if not claims:
                self._claims.pop((kind, one), None)
        return name
