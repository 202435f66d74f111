"""The verdict: what the guild and the cluster look like, held against what was wanted.

Nothing here knows what the provider did or meant to do. The audit log tells which things were ever made for which
object: two that lived at the same time are a duplicate, though one of them was removed later.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from provider_discord.simulator.permissions import parse
from tests.chaos.cluster import MANAGED, Cluster, Obj, external_name, is_true, states
from tests.chaos.moderator import Moderator
from tests.chaos.team import GUILD, LOBBY, Key, Team

Json = dict[str, Any]
_CREATED: Final = {10: "channel", 30: "role"}
_DELETED: Final = {12: "channel", 32: "role"}
_UID: Final = re.compile(r"\buid=(\S+)")
_TYPES: Final = {"text": 0, "voice": 2, "category": 4, "forum": 15}
_PLAIN: Final = {"nsfw": "nsfw", "rateLimitPerUser": "rate_limit_per_user"}
_ROLE_PLAIN: Final = {"color": "color", "hoist": "hoist", "mentionable": "mentionable"}
_GUILD_PLAIN: Final = {
    "verificationLevel": "verification_level",
    "afkTimeout": "afk_timeout",
    "defaultMessageNotifications": "default_message_notifications",
}


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is not as it shall be.

    Attributes:
        text: in words.
        about: the object that it is about; None: no single one.
    """

    text: str
    about: Key | None = None


@dataclass(slots=True)
class Verdict:
    """What is not as it shall be, by what kind of wrong it is; all empty: settled. And the objects that there are."""

    lost: list[Wrong] = field(default_factory=list)
    stuck: list[Wrong] = field(default_factory=list)
    differs: list[Wrong] = field(default_factory=list)
    foreign: list[Wrong] = field(default_factory=list)
    duplicates: list[Wrong] = field(default_factory=list)
    objects: dict[Key, Obj] = field(default_factory=dict)

    @property
    def all(self) -> list[Wrong]:
        """Everything that is wrong."""
        return [*self.duplicates, *self.lost, *self.foreign, *self.stuck, *self.differs]

    @property
    def settled(self) -> bool:
        """Whether all is as it shall be."""
        return not self.all

    @property
    def hopeless(self) -> bool:
        """Whether waiting helps no more."""
        return bool(self.duplicates or self.foreign)

    def lines(self) -> list[str]:
        """Return it in words."""
        return [
            f"{name}: {one.text}"
            for name in ("duplicates", "lost", "foreign", "stuck", "differs")
            for one in getattr(self, name)
        ]


def judge(
    *, cluster: Cluster, team: Team, moderator: Moderator, guild: Json, audit: Sequence[Json]
) -> Verdict:
    """Hold the guild, as the control API shows it, and the cluster against what the team wants."""
    objects: dict[Key, Obj] = {
        (obj["kind"], obj["metadata"]["name"]): obj
        for kind in MANAGED
        for obj in ({"kind": kind, **one} for one in cluster.objects(kind))
    }
    verdict = Verdict(objects=objects)
    verdict.foreign += map(Wrong, moderator.touched(guild))
    _look_at_objects(verdict, team, objects)
    _look_at_makings(verdict, guild, audit, objects)
    ids = {key: external_name(obj) for key, obj in objects.items()}
    channels = {one["id"]: one for one in guild["channels"]}
    roles = {one["id"]: one for one in guild["roles"]}
    for key, fields in team.wanted.items():
        kind, name = key
        id_ = ids.get(key, "")
        if kind == "Guild":
            verdict.differs += _about(key, _guild_differs(fields, guild, ids))
            continue
        there = (channels if kind == "Channel" else roles).get(id_)
        if there is None:
            said = f"{kind} {name} has nothing at Discord (external name {id_ or 'none'})"
            verdict.lost.append(Wrong(said, key))
        elif kind == "Channel":
            verdict.differs += _about(key, _channel_differs(name, fields, there, ids))
        else:
            verdict.differs += _about(key, _role_differs(name, fields, there))
    verdict.differs += map(Wrong, _order_differs(team, ids, channels, roles))
    return verdict


def _about(key: Key, said: Iterable[str]) -> list[Wrong]:
    return [Wrong(one, key) for one in said]


def _look_at_objects(verdict: Verdict, team: Team, objects: Mapping[Key, Obj]) -> None:
    for key in team.wanted:
        obj = objects.get(key)
        if obj is None:
            verdict.lost.append(Wrong(f"{key} is not in the cluster any more", key))
        elif not is_true(obj):
            verdict.stuck.append(Wrong(f"{key}: {states(obj)}", key))
    for key, obj in objects.items():
        if key not in team.wanted:
            left = obj["metadata"].get("finalizers")
            said = f"{key} was deleted and stays, finalizers {left}: {states(obj)}"
            verdict.stuck.append(Wrong(said, key))


def _look_at_makings(
    verdict: Verdict, guild: Json, audit: Iterable[Json], objects: Mapping[Key, Obj]
) -> None:
    """Look at everything that was ever made in the name of an object."""
    alive: dict[str, list[str]] = defaultdict(list)
    maker: dict[str, str] = {}
    doubles: dict[str, list[str]] = {}
    for entry in audit:
        target = str(entry.get("target_id"))
        if entry["action_type"] in _CREATED:
            found = _UID.search(entry.get("reason") or "")
            if found is None:
                continue
            uid = maker[target] = found[1]
            alive[uid].append(target)
            if len(alive[uid]) > 1:
                doubles[uid] = list(alive[uid])
        elif entry["action_type"] in _DELETED and target in maker:
            alive[maker[target]].remove(target)
    names = {obj["metadata"]["uid"]: key for key, obj in objects.items()}
    for uid, twins in doubles.items():
        said = f"{names.get(uid, uid)} was made more than once: {', '.join(twins)}"
        verdict.duplicates.append(Wrong(said, names.get(uid)))
    held = {external_name(obj) for obj in objects.values()}
    there = {one["id"]: one["name"] for one in (*guild["channels"], *guild["roles"])}
    for target, uid in maker.items():
        if target in there and target not in held:
            owner = names.get(uid, "an object that is gone")
            said = f"{there[target]} ({target}), made for {owner}, belongs to nobody"
            verdict.lost.append(Wrong(said, names.get(uid)))


def made_for(uid: str, audit: Iterable[Json]) -> list[str]:
    """Return the ids of what was ever made in the name of an object."""
    return [
        str(entry.get("target_id"))
        for entry in audit
        if entry["action_type"] in _CREATED
        and (found := _UID.search(entry.get("reason") or "")) is not None
        and found[1] == uid
    ]


def creations(audit: Iterable[Json]) -> int:
    """Return how many things were made in the name of an object."""
    return sum(
        1
        for entry in audit
        if entry["action_type"] in _CREATED and _UID.search(entry.get("reason") or "") is not None
    )


# Fields.


def _differences(what: str, pairs: Mapping[str, tuple[Any, Any]]) -> list[str]:
    return [
        f"{what}: {name} is {is_!r}, wanted {wanted!r}"
        for name, (wanted, is_) in pairs.items()
        if wanted != is_
    ]


def _channel_differs(name: str, fields: Obj, there: Json, ids: Mapping[Key, str]) -> list[str]:
    pairs: dict[str, tuple[Any, Any]] = {
        "name": (fields["name"], there["name"]),
        "type": (_TYPES[fields["type"]], there["type"]),
    }
    if "topic" in fields:
        pairs["topic"] = (fields["topic"], there.get("topic"))
    if "parentIdRef" in fields:
        pairs["parent"] = (ids.get(("Channel", fields["parentIdRef"]["name"])), there["parent_id"])
    elif fields.get("parentId") == "":
        pairs["parent"] = (None, there["parent_id"])
    for key, theirs in _PLAIN.items():
        if key in fields:
            pairs[key] = (fields[key], there.get(theirs, type(fields[key])()))
    if "availableTags" in fields:
        pairs["tags"] = (
            {one["name"] for one in fields["availableTags"]},
            {one["name"] for one in there.get("available_tags") or ()},
        )
    if "permissionOverwrites" in fields:
        wanted = {
            (ids.get(("Role", one["roleIdRef"]["name"])), 0, str(parse(one["allowNames"])), "0")
            for one in fields["permissionOverwrites"]
        }
        is_ = {
            (one["id"], one["type"], str(one["allow"]), str(one["deny"]))
            for one in there["permission_overwrites"]
        }
        pairs["overwrites"] = (wanted, is_)
    return _differences(f"channel {name}", pairs)


def _role_differs(name: str, fields: Obj, there: Json) -> list[str]:
    pairs: dict[str, tuple[Any, Any]] = {"name": (fields["name"], there["name"])}
    for key, theirs in _ROLE_PLAIN.items():
        if key in fields:
            pairs[key] = (fields[key], there[theirs])
    if "permissionNames" in fields:
        pairs["permissions"] = (parse(fields["permissionNames"]), int(there["permissions"]))
    return _differences(f"role {name}", pairs)


def _guild_differs(fields: Obj, guild: Json, ids: Mapping[Key, str]) -> list[str]:
    pairs: dict[str, tuple[Any, Any]] = {
        key: (fields[key], guild[theirs]) for key, theirs in _GUILD_PLAIN.items() if key in fields
    }
    if "systemChannelIdRef" in fields:
        pairs["system channel"] = (ids.get(("Channel", LOBBY)), guild["system_channel_id"])
    pairs["id"] = (ids.get(("Guild", GUILD)), guild["id"])
    return _differences("guild", pairs)


# Order.


def _order_differs(
    team: Team, ids: Mapping[Key, str], channels: Mapping[str, Json], roles: Mapping[str, Json]
) -> list[str]:
    """Return the groups of managed siblings whose order at Discord is not that of their manifests."""
    groups: dict[str, list[tuple[tuple[int, int], int, str]]] = defaultdict(list)
    for (kind, name), fields in team.wanted.items():
        there = (channels if kind == "Channel" else roles).get(ids.get((kind, name), ""))
        if there is None or "position" not in fields:
            continue
        group = "roles" if kind == "Role" else f"under {there['parent_id']}, {_order_class(there['type'])}"
        # Of roles with the same position Discord puts the older one on top.
        age = int(there["id"]) * (-1 if kind == "Role" else 1)
        groups[group].append(((there["position"], age), fields["position"], name))
    said = []
    for group, members in groups.items():
        shown = [(wanted, name) for _, wanted, name in sorted(members)]
        if [wanted for wanted, _ in shown] != sorted(wanted for wanted, _ in shown):
            said.append(f"the order of {group} is {shown}")
    return said


def _order_class(type_: int) -> str:
    return {2: "voice", 4: "categories", 13: "voice"}.get(type_, "text")
