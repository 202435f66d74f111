"""The life of one managed object, from its manifest to its end, in which the provider dies and things go wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from provider_discord.kube.resource import Key, Obj
from provider_discord.managed import meta
from provider_discord.simulator.act import Action
from provider_discord.simulator.behaviour import HiddenGet
from tests.chaos.faults import Fault
from tests.chaos.points import ORDINARY, OWN, PointWorld
from tests.chaos.sides import Mishap

KEY: Final = Key("team", "thing")
NAMES: Final = {"Channel": "general", "Role": "Helpers"}
SETTLES_WITHIN: Final = 420.0
ONE_POLL: Final = 70.0


class Phase(StrEnum):
    MAKE = "make"
    CHANGE = "change"
    DELETE = "delete"


_OF_DELETION: Final = frozenset({"hide", "give a role"})
"""What people do only while something is being deleted."""
_MIDDLE: Final = {Phase.MAKE: "create.pending", Phase.CHANGE: "update.before", Phase.DELETE: "delete.before"}
"""Where people come in between if the process does not die."""
NOWHERE: Final = ("nowhere", "nowhere, answer lost")
POINTS: Final = {
    Phase.MAKE: (
        *NOWHERE,
        "finalizer.before-add",
        "finalizer.added",
        "adopt.before-persist",
        "adopt.persisted",
        "create.before-pending",
        "create.pending",
        "in flight: POST",
        "create.sent",
        "create.persisted",
        "create.failed",
        "resolve.before",
        "resolve.found",
        "resolve.persisted",
        "status.before",
        "status.written",
    ),
    Phase.CHANGE: (
        "update.before",
        "in flight: PATCH",
        "update.sent",
        "update.persisted",
        "status.before",
        "status.written",
    ),
    Phase.DELETE: (
        "delete.before",
        "delete.before-pending",
        "delete.pending",
        "in flight: DELETE",
        "delete.sent",
        "delete.before-finalizer",
        "delete.finalizer-removed",
    ),
}
"""Where the process dies in each phase: the labels of `Tools.checkpoint`, and while a request is on its way."""


class Life:
    """One case: from the manifest to its end.

    Args:
        points: where the process dies, by phase.
        fault: what goes wrong beside.
        kind: of the object.
    """

    def __init__(self, points: Mapping[Phase, str], fault: Fault, *, kind: str) -> None:
        self.points, self.fault, self.kind = points, fault, kind
        self.resource = OWN[kind]
        self.phase = Phase.MAKE
        self.counts: dict[Phase, Counter[str]] = {phase: Counter(cases=1) for phase in points}
        self.complaints: list[str] = []
        self.forum = "update.persisted" in points.values()
        self.adopts = points[Phase.MAKE].startswith("adopt.")
        self.world = world = PointWorld(
            permissions=ORDINARY if fault.blind else None,
            adoption="ByName" if self.adopts else fault.adoption,
            audit_lag_seconds=fault.lag,
            hidden_get=fault.hidden_get,
        )
        self.wanted = self._manifest()
        self._edits = 0
        self._deleted = False
        self._left = 0
        self._first = True
        world.people.create_channel({"name": "lobby", "type": 0, "topic": "hello"})
        world.people.create_role({"name": "Members"})
        if self.adopts:
            self._make_like(actor="Bob")
        # What stands there is older than the object.
        world.clock.seconds += 60.0
        self.like: set[str] = set()
        self.hidden: set[str] = set()
        """Ours, that people have hidden from the bot since it began to delete them."""
        self.foreign = self._standing_foreign()
        world.die = self._dies
        world.bury = self._bury

    def _manifest(self) -> dict[str, Any]:
        name = NAMES[self.kind]
        if self.kind == "Role":
            return {"name": name, "hoist": False, "mentionable": False}
        wanted = {"name": name, "type": "text", "topic": "a", "nsfw": False}
        return {**wanted, "type": "forum", "availableTags": [{"name": "one"}]} if self.forum else wanted

    def _mishaps(self) -> tuple[Mishap, ...]:
        """Return what goes wrong in this phase, and what must for its point to be passed at all."""
        point, given = self.points[self.phase], self.fault.mishaps
        if self.phase is not Phase.MAKE:
            return given
        if point == "create.failed":
            limited = Mishap(method="POST", answer="rate-limit", commits="lost", times=self.fault.deaths)
            return (limited, *given)
        if point.startswith("resolve.") or point == "nowhere, answer lost":
            # Where the fault has left nothing to find, the next create has no answer.
            return (*given, Mishap(method="POST", part="/"))
        return given

    # What happens to it.

    def run(self) -> None:
        """Live."""
        world = self.world
        self._begin(Phase.MAKE)
        world.api.act(self._apply)
        self._settle()
        self._look_back()
        if Phase.CHANGE in self.points:
            self._begin(Phase.CHANGE)
            self._edit()
            self._change_by_hand()
            self._settle()
            self._look_back()
        if Phase.DELETE in self.points:
            self._begin(Phase.DELETE)
            world.suppressed(lambda: world.api.delete(self.resource, KEY))
            self._end()
            self._look_back()
        if world.after_death:
            self._complain("zombies", f"a killed process went on: {world.after_death}")

    def _begin(self, phase: Phase) -> None:
        self.phase = phase
        self._left = 0 if self.points[phase] in NOWHERE else self.fault.deaths
        self._first = True
        self.world.wire.arm(self._mishaps())
        self.world.api.trouble = list(self.fault.trouble)
        self.world.api.struck = 0

    def _look_back(self) -> None:
        """Note whether the fault has struck in the phase."""
        fault, struck, counts = self.fault, self.world.wire.struck, self.counts[self.phase]
        counts["struck"] += (
            all(struck[one] for one in (*fault.mishaps, *fault.after))
            and bool(self.world.api.struck or not (fault.trouble or fault.away))
            and not (fault.meanwhile and self._first)
            and not (fault.pause and not counts["kills"])
            and not (fault.deaths > 1 and not counts["kills"])
            and not (fault.meanwhile in _OF_DELETION and self.phase is not Phase.DELETE)
        )

    def _dies(self, label: str) -> bool:
        point = self.points[self.phase]
        if point in NOWHERE and label == _MIDDLE[self.phase] and self._first:
            self._meanwhile()
        if label != point or not self._left:
            return False
        self._left -= 1
        self.counts[self.phase]["kills"] += 1
        return True

    def _bury(self) -> None:
        if self._first:
            self.world.clock.seconds += self.fault.pause
            self._meanwhile()

    def _meanwhile(self) -> None:
        world, self._first = self.world, False
        world.wire.mishaps += self.fault.after
        world.api.away_until = world.clock.now() + self.fault.away
        match self.fault.meanwhile:
            case "edit":
                self._edit()
            case "rename":
                self.wanted["name"] = f"{self.wanted['name']}2"
                world.suppressed(self._reapply)
            case "delete":
                self._deleted = True
                world.suppressed(lambda: world.api.delete(self.resource, KEY))
            case "make its like":
                self.like.add(self._make_like(actor="Bob"))
                self.foreign = self._standing_foreign()
            case "remove":
                for thing in self._ours():
                    self._remove(thing)
            case "change by hand":
                self._change_by_hand()
            case "hide" if self.phase is Phase.DELETE:
                self.hidden = self._ours()
                for thing in self.hidden:
                    world.people.hide_channel(thing)
            case "give a role" if self.phase is Phase.DELETE:
                role = world.people.create_role({"name": "muted"})
                world.people.grant(world.bot_id, role["id"])
            case "rename by hand":
                for thing in self._ours():
                    self._edit_by_hand(thing, {"name": "renamed"})

    def _apply(self) -> Obj:
        wanted = {**self.wanted, "guildId": self.world.guild.id}
        metadata = {"namespace": KEY.namespace, "name": KEY.name}
        return self.world.api.create(self.resource, {"metadata": metadata, "spec": {"forProvider": wanted}})

    def _reapply(self) -> None:
        stored = self.world.api.get(self.resource, KEY)
        stored["spec"]["forProvider"] = {**self.wanted, "guildId": self.world.guild.id}
        self.world.api.replace(self.resource, stored)

    def _edit(self) -> None:
        self._edits += 1
        if self.kind == "Role":
            self.wanted["mentionable"] = bool(self._edits % 2)
        elif self.forum:
            # A tag more each time: one that only got another name would be none to remember.
            more = [{"name": f"new {number}"} for number in range(1, self._edits + 1)]
            self.wanted["availableTags"] = [{"name": "one"}, *more]
        else:
            self.wanted["topic"] = f"edited {self._edits} times"
        self.world.suppressed(self._reapply)

    def _change_by_hand(self) -> None:
        for thing in self._ours():
            self._edit_by_hand(thing, {"hoist": True} if self.kind == "Role" else {"nsfw": True})

    def _edit_by_hand(self, thing: str, body: dict[str, Any]) -> None:
        people = self.world.people
        (people.edit_role if self.kind == "Role" else people.edit_channel)(thing, body)

    def _remove(self, thing: str) -> None:
        people = self.world.people
        (people.delete_role if self.kind == "Role" else people.delete_channel)(thing)

    def _make_like(self, *, actor: str) -> str:
        people, name = self.world.people, self.wanted["name"]
        if self.kind == "Role":
            return str(people.create_role({"name": name}, actor=actor)["id"])
        return str(people.create_channel({"name": name, "type": 15 if self.forum else 0}, actor=actor)["id"])

    # What becomes of it.

    def _settle(self) -> None:
        """Wait until all is well, and judge."""
        self._comes_to_rest()
        self.world.run(ONE_POLL if self.world.wire.late or len(self.points) == 1 else 1.0)
        if self._deleted and self._obj() is None:
            self._judge(of_ours=set())
            self._deleted = False
            self.world.api.act(self._apply)
        if not self._comes_to_rest():
            self._help()
            self._comes_to_rest()
        if not self._well():
            self._complain("lost", f"not well: {self._told()}")
        self._judge(of_ours={self._external_name()})

    def _end(self) -> None:
        """Wait until all is gone, and judge."""
        for _ in range(2):
            if self.world.run_until(lambda: self._obj() is None, seconds=SETTLES_WITHIN):
                break
            self._help()
        self.world.run(ONE_POLL)
        if self._obj() is not None:
            self._complain("stuck", f"it does not go: {self._told()}")
        # What Discord denies as it denies what is gone may be let go, unmanaged, and is never anything worse.
        left = self.hidden if self.fault.hidden_get is HiddenGet.NOT_FOUND else set()
        self.counts[self.phase]["left hidden"] += len(left & self._ours())
        self._judge(of_ours=left)

    def _judge(self, *, of_ours: set[str]) -> None:
        more = self._ours() - of_ours
        if more:
            self._complain("duplicates", f"there is more than {of_ours or 'nothing'}: {more}")
        if self._standing_foreign() != self.foreign:
            self._complain("foreign", f"touched: {self.foreign} is now {self._standing_foreign()}")
            self.foreign = self._standing_foreign()

    def _complain(self, of: str, what: str) -> None:
        self.counts[self.phase][of] += 1
        self.complaints.append(f"{self.phase}: {what}")

    def _comes_to_rest(self) -> bool:
        return self.world.run_until(
            lambda: (self._deleted and self._obj() is None) or self._well(), seconds=SETTLES_WITHIN
        )

    def _help(self) -> None:
        """Do as a condition says, where one is documented to wait for a human."""
        said = self._told()
        world = self.world
        if self.like and ("exists already and no" in said or "exist already and no" in said):
            for thing in self.like:
                self._remove(thing)
            self.like.clear()
            self.foreign = self._standing_foreign()
            self.counts[self.phase]["refusals"] += 1
        elif "cannot determine creation result" in said:
            self.counts[self.phase]["halts"] += 1
            if not self.fault.blind:
                self._complain("needless halts", said)
            ours = self._ours()
            name, value = (meta.EXTERNAL_NAME, ours.pop()) if ours else (meta.CREATE_PENDING, None)
            world.suppressed(lambda: self._annotate({name: value}))
        elif self.hidden and ("is not listed" in said or "is hidden" in said):
            self.counts[self.phase]["halts"] += 1
            for thing in self.hidden & self._ours():
                world.people.delete_overwrite(thing, "everyone")
            self.hidden.clear()
            world.suppressed(lambda: self._annotate({meta.RECONCILE_TRIGGER: "seen again"}))
        elif self.fault.blind and ("is not listed" in said or (self.adopts and "never had it" in said)):
            # What was adopted and went before the status showed it is on no record.
            self.counts[self.phase]["halts"] += 1
            if self._external_name() in self._deleted_by_the_bot() and self.fault.meanwhile != "give a role":
                self._complain("needless halts", said)
            world.suppressed(self._let_go)

    def _annotate(self, changes: Mapping[str, str | None]) -> None:
        self.world.api.replace(
            self.resource, meta.with_annotations(self.world.api.get(self.resource, KEY), changes)
        )

    def _let_go(self) -> None:
        obj = self.world.api.get(self.resource, KEY)
        if meta.is_deleting(obj):
            obj["spec"]["managementPolicies"] = ["Observe", "Create", "Update"]
            self.world.api.replace(self.resource, obj)
        else:
            self._annotate({meta.EXTERNAL_NAME: None})

    # Looking.

    def _obj(self) -> Obj | None:
        return self.world.obj(self.resource, KEY)

    def _external_name(self) -> str:
        return meta.annotations_of(self._obj() or {}).get(meta.EXTERNAL_NAME, "")

    def _things(self) -> Mapping[str, Mapping[str, Any]]:
        guild = self.world.guild
        return guild.roles if self.kind == "Role" else guild.channels

    def _ours(self) -> set[str]:
        """Return what the bot has made and what it shall adopt, as far as it is there."""
        action = Action.ROLE_CREATE if self.kind == "Role" else Action.CHANNEL_CREATE
        makers = {self.world.bot_id}
        made = {
            entry["target_id"]
            for entry in self.world.guild.audit_log
            if entry["action_type"] == action and entry["user_id"] in makers
        }
        if self.adopts and self._external_name() not in self.like:
            made.add(self._external_name())
        return made & self._things().keys()

    def _deleted_by_the_bot(self) -> set[str]:
        return {
            entry["target_id"]
            for entry in self.world.guild.audit_log
            if entry["action_type"] in {Action.ROLE_DELETE, Action.CHANNEL_DELETE}
            and entry["user_id"] == self.world.bot_id
        }

    def _standing_foreign(self) -> str:
        guild = self.world.guild
        things = {
            thing["id"]: {name: value for name, value in thing.items() if name != "position"}
            for thing in (*guild.channels.values(), *guild.roles.values())
            if thing["name"] in {"lobby", "Members"} or thing["id"] in getattr(self, "like", ())
        }
        return json.dumps(things, sort_keys=True)

    def _well(self) -> bool:
        obj = self._obj()
        if obj is None or meta.is_deleting(obj):
            return False
        conditions = {one["type"]: one["status"] for one in (obj.get("status") or {}).get("conditions") or ()}
        thing = self._things().get(self._external_name())
        return (
            conditions.get("Ready") == conditions.get("Synced") == "True"
            and obj["status"].get("observedGeneration") == obj["metadata"]["generation"]
            and meta.CREATE_ATTEMPT not in meta.annotations_of(obj)
            and thing is not None
            and self._as_wanted(thing)
        )

    def _as_wanted(self, thing: Mapping[str, Any]) -> bool:
        plain = {name: value for name, value in self.wanted.items() if name not in {"type", "availableTags"}}
        tags = [tag["name"] for tag in self.wanted.get("availableTags", ())]
        return all(thing[name] == value for name, value in plain.items()) and (
            not self.forum or [tag["name"] for tag in thing["available_tags"]] == tags
        )

    def _told(self) -> str:
        obj = self._obj() or {}
        conditions = (obj.get("status") or {}).get("conditions") or ()
        said = "; ".join(
            f"{one['type']} {one['status']} {one['reason']}: {one.get('message', '')}" for one in conditions
        )
        return f"{said} {meta.annotations_of(obj)} finalizers {meta.finalizers_of(obj)} things {sorted(self._things())}"
