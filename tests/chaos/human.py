"""The human who is asked: does what the condition of a halted object says, and nothing else.

A bot that may not read the audit log may end in front of evidence that fits more than one course of events. Then it halts
and says what a human can do. This human may read the audit log, looks there what was made in the object's name, and
sets or removes the annotation that the condition names. Afterwards the object must go on as if nothing had been.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from provider_discord.managed import meta
from tests.chaos.cluster import Obj, condition, external_name
from tests.chaos.judge import Verdict, Wrong, made_for
from tests.chaos.team import Key

Json = dict[str, Any]
_UNKNOWN_CREATE: Final = "cannot determine creation result"
_UNLISTED: Final = re.compile(r"channel (\d+) is not listed: hidden from the bot, or deleted")
_ID: Final = re.compile(r"\b\d{17,20}\b")
_KEEPS: Final = ("Observe", "Create", "Update")
"""Management policies of an object that goes without anything being deleted."""
_OFTEN: Final = 2
"""So often an object may halt: in its creation, and once more in its deletion."""


def halt_of(obj: Obj) -> str:
    """Return what an object that waits for a human says, for what it is now; "" if it does not."""
    synced = condition(obj, "Synced")
    said = str(synced.get("message", "")) if synced.get("status") == "False" else ""
    return said if _UNKNOWN_CREATE in said or _UNLISTED.search(said) else ""


def unexplained(
    verdict: Verdict, halted: Collection[Key], refers: Mapping[Key, Iterable[Key]]
) -> list[Wrong]:
    """Return what is wrong beside the halts: neither about a halted object nor about one that refers to such.

    Args:
        verdict: what is wrong.
        halted: the objects that wait for a human.
        refers: what each wanted object refers to.
    """
    held = set(halted)
    while more := {key for key, to in refers.items() if key not in held and held.intersection(to)}:
        held |= more
    return [one for one in verdict.all if one.about not in held]


class Human:
    """Answers halts.

    Args:
        patch: merge-patches the object of a kind and name.
    """

    def __init__(self, patch: Callable[[str, str, Obj], bool]) -> None:
        self._patch_object = patch
        self._answered: dict[str, list[str]] = {}
        self.decisions: list[str] = []
        """What was decided."""

    def answer(self, obj: Obj, said: str, *, guild: Json, audit: Sequence[Json]) -> list[str]:
        """Do as a condition says; return what is wrong with what it says.

        Args:
            obj: the object.
            said: its condition.
            guild: as it is.
            audit: the guild's audit log.
        """
        uid, what = obj["metadata"]["uid"], f"{obj['kind']} {obj['metadata']['name']}"
        before = self._answered.setdefault(uid, [])
        before.append(said)
        there = {one["id"] for one in (*guild["channels"], *guild["roles"])}
        if len(before) > _OFTEN:
            return [f"{what} does not go on although it was told how to: {before}"]
        if (unlisted := _UNLISTED.search(said)) is not None:
            return self._unlisted(obj, what, unlisted[1], there)
        made = [one for one in made_for(uid, audit) if one in there]
        named = set(_ID.findall(said))
        if len(made) > 1 or (made and named and not named.intersection(made)):
            return [f"{what} says {said!r}, but made for it were {made}"]
        if made:
            self._annotate(obj, {meta.EXTERNAL_NAME: made[0]})
            self.decisions.append(f"{what} had made {made[0]}")
        else:
            self._annotate(obj, {meta.CREATE_PENDING: None})
            self.decisions.append(f"{what} had made nothing")
        return []

    def _unlisted(self, obj: Obj, what: str, channel: str, there: Collection[str]) -> list[str]:
        if channel in there:
            return [f"{what} does not see channel {channel}, which nobody has hidden"]
        if obj["metadata"].get("deletionTimestamp"):
            self._patch(obj, {"spec": {"managementPolicies": list(_KEEPS)}})
        else:
            self._annotate(obj, {meta.EXTERNAL_NAME: None})
        self.decisions.append(f"{what}: {external_name(obj)} is gone")
        return []

    def _annotate(self, obj: Obj, annotations: Mapping[str, str | None]) -> None:
        self._patch(obj, {"metadata": {"annotations": dict(annotations)}})

    def _patch(self, obj: Obj, body: Obj) -> None:
        self._patch_object(obj["kind"], obj["metadata"]["name"], body)
