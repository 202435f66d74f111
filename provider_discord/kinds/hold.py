"""Hold: the provider does not fight moderators. Here is the decision, for one guild, without I/O.

Many objects that change at Discord while their manifests stay the same are not an accident to be put right but
somebody at work: moderators who lock a guild down, or an attacker. Putting that back would undo the lockdown, or race
the attacker. So before anything is put back the whole guild is counted, on the picture of it that the first object
saw; above the limit nothing is written whose manifest has not changed, until a human releases the hold or nothing
differs any more. While Discord's own incident actions are active the same goes for a single object.

What is counted are objects that *began to differ* within the last poll, those included that were put back meanwhile:
an object that differs for long because a permission is missing says nothing about today. And what one act at Discord
has brought about is one act: it holds nothing, however many objects it touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from provider_discord.managed import conditions, meta

_LONG_AGO: Final = float("-inf")
_MARK: Final = re.compile(r"\bhold ([0-9a-z-]+) since ([0-9T:-]+Z)")
_INCIDENT_ENDS: Final = ("invites_disabled_until", "dms_disabled_until")


class Cause(StrEnum):
    """Why a guild is held; the reason of the condition ``Held``."""

    MASS_DRIFT = "MassDrift"
    INCIDENT = "IncidentActions"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRules:
    """What ``spec.hold`` of a ProviderConfig says.

    Attributes:
        disabled: Never hold, and never leave a field alone.
        minimum: Hold only if more than so many objects of a guild began to differ ...
        percentage: ... and more than so many of a hundred.
        put_back_limit: How many times one field is put back ...
        put_back_window_seconds: ... in so many seconds, before it is left alone.
    """

    disabled: bool = False
    minimum: int = 5
    percentage: int = 10
    put_back_limit: int = 5
    put_back_window_seconds: float = 3600.0

    @classmethod
    def of(cls, spec: Mapping[str, Any] | None) -> HoldRules:
        """Read the raw block; what is left out has its default."""
        given = spec or {}
        plain = cls()
        return cls(
            disabled=bool(given.get("disabled", plain.disabled)),
            minimum=int(given.get("minimumResources", plain.minimum)),
            percentage=int(given.get("percentage", plain.percentage)),
            put_back_limit=int(given.get("putBackLimit", plain.put_back_limit)),
            put_back_window_seconds=float(given.get("putBackWindowSeconds", plain.put_back_window_seconds)),
        )

    def limit(self, total: int) -> float:
        """Return how many of a guild's objects may begin to differ without a hold."""
        return max(self.minimum, total * self.percentage / 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """One object that differs although its manifest is the one that was true.

    Attributes:
        external_name: Its Discord id.
        root: The id of what was done something to, if that took this object along; else its own.
        vanished: It is not there any more.
        old: It has been held and released: it differs by consent, and does not count again.
    """

    external_name: str
    root: str
    vanished: bool = False
    old: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """A guild as one reading of it shows it: what differs, by the objects' UID, and the UIDs of all objects."""

    departures: Mapping[str, Departure]
    objects: Collection[str]

    @property
    def total(self) -> int:
        """How many objects the guild has."""
        return len(self.objects)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A hold that is in force.

    Attributes:
        id: What the release annotation must say; another one for every hold.
        cause: Why.
        since: When it began (UTC).
        until: When Discord's incident actions end; None: a human ends it.
        differing: How many objects differ now ...
        vanished: ... and how many of these are gone from Discord.
        total: How many objects the guild has.
        counted: How many had begun to differ within a poll when the hold began, also those that were put back.
        actors: Who did it, in words; "" while nobody has asked.
    """

    id: str
    cause: Cause
    since: datetime
    until: datetime | None = None
    differing: int = 0
    vanished: int = 0
    total: int = 0
    counted: int = 0
    actors: str = ""

    @property
    def mark(self) -> str:
        """Return the words by which ``mark_of`` knows the hold again in a condition, also after a restart."""
        return f"hold {self.id} since {meta.to_rfc3339(self.since)}"


@dataclass(frozen=True, slots=True)
class Mark:
    """What an object's condition tells of the hold that it is under."""

    id: str
    cause: Cause
    since: datetime


def mark_of(obj: Mapping[str, Any], *, of_guild: bool = False) -> Mark | None:
    """Return which hold an object's condition ``Held`` tells of; None: of none.

    A Guild's tells of the whole guild, so a change of its manifest makes it no less true.
    """
    raw = conditions.find((obj.get("status") or {}).get("conditions"), conditions.HELD)
    about = raw.get("observedGeneration", 0)
    if raw.get("status") != "True" or not (of_guild or about == meta.generation_of(obj)):
        return None
    found = _MARK.search(str(raw.get("message") or ""))
    since = meta.from_rfc3339(found[2]) if found else None
    if found is None or since is None:
        return None
    cause = Cause.INCIDENT if raw.get("reason") == Cause.INCIDENT else Cause.MASS_DRIFT
    return Mark(found[1], cause, since)


def freed_at(obj: Mapping[str, Any]) -> datetime | None:
    """Return when an object's condition ``Held`` began to tell of no hold; None: it never has."""
    raw = conditions.find((obj.get("status") or {}).get("conditions"), conditions.HELD)
    return meta.from_rfc3339(raw.get("lastTransitionTime")) if raw.get("status") == "False" else None


def incident_end(guild: Mapping[str, Any], *, wall: datetime) -> datetime | None:
    """Return when a guild's incident actions end; None: there are none in force.

    Values that have expired linger, so they are compared with the time (Discord docs, resources/guild, "Incidents Data
    Object").
    """
    data = guild.get("incidents_data") or {}
    ends = [meta.from_rfc3339(data.get(name)) for name in _INCIDENT_ENDS]
    return max((end for end in ends if end is not None and end > wall), default=None)


@dataclass(slots=True)
class GuildWatch:
    """What is remembered of one guild. Not thread-safe; ``holds.Holds`` guards it.

    Attributes:
        hold: The hold in force.
        began: When each object that differs began to (monotonic), by UID; minus infinity: it does not count any more.
        returned: What was found right again lately: when it had begun to differ, and its root.
        reading: When the picture was taken that was counted last; the count holds for all who look at the same.
        recovered: The objects' conditions were looked at for a hold that another process left.
        counted: The hold was counted at least once by this process.
        complete: The last count saw every kind of object.
        untold: The hold has just begun: somebody has to tell.
        asks: How often the audit log was read for the hold.
    """

    hold: Hold | None = None
    began: dict[str, float] = field(default_factory=dict)
    roots: dict[str, str] = field(default_factory=dict)
    returned: dict[str, tuple[float, str]] = field(default_factory=dict)
    reading: float | None = None
    names: frozenset[str] = frozenset()
    recovered: bool = False
    counted: bool = False
    complete: bool = False
    untold: bool = False
    asks: int = 0

    def noticed(self, uid: str, *, now: float) -> None:
        """An object differs; if it did not before, it begins to now."""
        self.began.setdefault(uid, now)

    def well(self, uid: str) -> None:
        """An object is as its manifest says."""
        began, root = self.began.pop(uid, None), self.roots.pop(uid, None)
        if began is not None and root is not None and began != _LONG_AGO:
            self.returned[uid] = (began, root)

    def recover(self, marks: Collection[Mark], *, released: Callable[[str], bool]) -> None:
        """Go on with a hold that the objects' conditions tell of; the first mark that is not released."""
        self.recovered = True
        if self.hold is not None:
            return
        for mark in marks:
            if not released(mark.id):
                self.hold = Hold(id=mark.id, cause=mark.cause, since=mark.since)
                self.counted = False
                return

    def release(self) -> None:
        """Let everything that differs now be put back; whatever begins to differ from now on counts anew."""
        self.began = dict.fromkeys(self.began, _LONG_AGO)
        self.returned.clear()
        self.end()

    def end(self) -> None:
        """The hold is over."""
        self.hold, self.untold, self.counted, self.asks = None, False, False, 0

    def count(
        self,
        findings: Findings,
        *,
        rules: HoldRules,
        now: float,
        wall: datetime,
        window_seconds: float,
        incident: datetime | None,
        complete: bool,
        new_id: Callable[[], str],
    ) -> None:
        """Take in what a new reading of the guild shows, and decide.

        Args:
            findings: What differs in it.
            rules: The limits.
            now: Monotonic seconds.
            wall: The time (UTC).
            window_seconds: How long what began to differ counts.
            incident: When incident actions end that are in force and not released; None: there are none.
            complete: Every kind of object was counted; what can't be seen does not end a hold.
            new_id: Makes the id of a new hold.
        """
        self._take(findings, now=now, window_seconds=window_seconds)
        self.counted, self.complete = True, complete
        oldest = now - window_seconds
        recent = {uid: root for uid, root in self.roots.items() if self.began[uid] >= oldest}
        recent |= {uid: root for uid, (_, root) in self.returned.items() if uid not in recent}
        hold = self.hold
        if incident is not None and (hold is None or hold.cause is Cause.INCIDENT):
            identity = incident_id(incident)
            if hold is None or hold.id != identity:
                self._begin(identity, Cause.INCIDENT, wall=wall)
        elif hold is not None and hold.cause is Cause.INCIDENT:
            # The incident is over. What was done meanwhile by many hands is for a human to decide, the rest is not.
            if self._too_many({uid: self.roots[uid] for uid in findings.departures}, findings.total, rules):
                self._begin(new_id(), Cause.MASS_DRIFT, wall=wall)
            else:
                self.end()
        elif hold is not None and not findings.departures and complete:
            self.end()
        elif hold is None and self._too_many(recent, findings.total, rules):
            self._begin(new_id(), Cause.MASS_DRIFT, wall=wall, counted=len(recent))
        if self.hold is not None:
            self.hold = replace(
                self.hold,
                differing=len(findings.departures),
                vanished=sum(departure.vanished for departure in findings.departures.values()),
                total=findings.total,
                until=incident if self.hold.cause is Cause.INCIDENT else None,
            )

    def _take(self, findings: Findings, *, now: float, window_seconds: float) -> None:
        for uid in [uid for uid in self.roots if uid not in findings.departures]:
            self.well(uid)
        for uid in [uid for uid in self.began if uid not in findings.objects]:
            del self.began[uid]
        for uid, departure in findings.departures.items():
            self.began.setdefault(uid, now)
            if departure.old:
                self.began[uid] = _LONG_AGO
            self.roots[uid] = departure.root
        self.returned = {uid: kept for uid, kept in self.returned.items() if kept[0] >= now - window_seconds}
        self.names = frozenset(departure.external_name for departure in findings.departures.values())

    def _begin(self, identity: str, cause: Cause, *, wall: datetime, counted: int = 0) -> None:
        since = wall.astimezone(UTC).replace(microsecond=0)
        self.hold = Hold(id=identity, cause=cause, since=since, counted=counted)
        self.untold, self.counted, self.asks = True, True, 0

    @staticmethod
    def _too_many(roots: Mapping[str, str], total: int, rules: HoldRules) -> bool:
        return len(roots) > rules.limit(total) and len(set(roots.values())) > 1


def incident_id(end: datetime) -> str:
    """Return the id of the hold for incident actions that end then: the same in every process."""
    return f"incident-{int(end.timestamp())}"
