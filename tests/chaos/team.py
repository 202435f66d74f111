"""The team: the actor that writes manifests. It remembers what it wants, which is what the guild must become."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.chaos.cluster import KIND_OF, Cluster, Obj

Key = tuple[str, str]
"""Kind and name of an object."""

GUILD: Final = "guild"
LOBBY: Final = "lobby"
"""The channel that is never deleted: the guild's system channel."""
BOARD: Final = "board"
"""The forum that is never deleted: where tags change."""
PERMISSIONS: Final = ("VIEW_CHANNEL", "SEND_MESSAGES", "CONNECT", "ADD_REACTIONS", "EMBED_LINKS")
_TYPES: Final = ("text", "text", "text", "voice", "forum")
_TOPICAL: Final = ("text", "forum")
_REFERENCES: Final = {"guildIdRef": "Guild", "parentIdRef": "Channel", "systemChannelIdRef": "Channel"}


class Team:
    """Creates, edits, renames, moves, reorders and deletes managed objects.

    Args:
        cluster: where it applies them.
        config: the ProviderConfig that they use.
        rand: its choices.
        guild_name: the name of the guild, by which it is adopted.
    """

    def __init__(self, *, cluster: Cluster, config: str, rand: random.Random, guild_name: str) -> None:
        self._cluster = cluster
        self._config = config
        self._rand = rand
        self._guild_name = guild_name
        self._number = 0
        self.wanted: dict[Key, Obj] = {}
        """What there shall be: forProvider of each object."""
        self.removed: set[Key] = set()
        """What there was and shall be no more."""
        self._latest = ""
        self.made = 0
        """Objects created in the cluster, under an old name as well."""

    # What it does.

    def begin(self, channels: int, roles: int) -> None:
        """Apply the first manifests, in any order."""
        first: list[Callable[[], bool]] = [
            lambda: self._create("Guild", GUILD, self._guild()),
            lambda: self._create_channel(LOBBY),
        ]
        first += [self.create_role for _ in range(roles)]
        self._rand.shuffle(first)
        for act in first:
            act()
        self.create_category()
        self._create_channel(BOARD)
        for _ in range(channels):
            self.create_channel()

    def act(self, wish: str = "") -> str:
        """Do something, of the wished kind (create, update, delete) if that is possible; return what."""
        verbs: dict[str, tuple[Callable[[], bool], ...]] = {
            "create": (self.create_channel, self.create_channel, self.create_role, self.create_category),
            "update": (self.edit, self.edit, self.rename, self.reorder, self.move, self.edit_guild),
            "delete": (self.delete, self.delete, self.revive),
            "tags": (self.retag,),
        }
        pool = verbs.get(wish) or tuple(act for acts in verbs.values() for act in acts)
        order = self._rand.sample(pool, len(pool))
        for verb in order:
            if verb():
                return f"{verb.__name__}: {self._latest}"
        return "nothing"

    def create_channel(self) -> bool:
        """Make a channel's manifest."""
        if len(self.names("Channel")) > 24:
            return False
        return self._create_channel(self._name("channel"))

    def create_category(self) -> bool:
        """Make a category's manifest."""
        if len(self.categories()) > 3:
            return False
        name = self._name("category")
        return self._create("Channel", name, self._category(name))

    def _category(self, name: str) -> Obj:
        """Return a category's manifest; moderators put channels of their own under it, which must not keep it."""
        return {"name": name, "type": "category", "allowDelete": True, **self._in_guild()}

    def create_role(self) -> bool:
        """Make a role's manifest."""
        if len(self.names("Role")) > 10:
            return False
        name = self._name("role")
        fields: Obj = {"name": name, "color": self._rand.randrange(1, 0xFFFFFF), **self._in_guild()}
        if self._rand.random() < 0.5:
            fields["position"] = self._rand.randrange(1, 9)
        if self._rand.random() < 0.5:
            fields["permissionNames"] = self._bits()
        return self._create("Role", name, fields)

    def adopt(self, name: str) -> None:
        """Make the manifest of a text channel that somebody has made by hand; the config must adopt by name."""
        self._create("Channel", name, {"name": name, "type": "text", "topic": "ours now", **self._in_guild()})

    def rank(self, name: str, position: int) -> None:
        """Make the manifest of a role that shall stand in a certain place."""
        self._create("Role", name, {"name": name, "position": position, **self._in_guild()})

    def edit(self) -> bool:
        """Change a field or two of a channel or role."""
        kind, name = self._rand.choice(sorted(key for key in self.wanted if key[0] != "Guild"))
        held = self.wanted[kind, name]
        if kind == "Role":
            change: Obj = self._rand.choice(
                [
                    {"color": self._rand.randrange(1, 0xFFFFFF)},
                    {"hoist": not held.get("hoist", False)},
                    {"mentionable": not held.get("mentionable", False)},
                    {"permissionNames": self._bits()},
                ]
            )
        elif held["type"] == "category":
            change = {"permissionOverwrites": self._overwrites()}
        else:
            choices: list[Obj] = [
                {"nsfw": not held.get("nsfw", False)},
                {"rateLimitPerUser": self._rand.randrange(0, 60)},
                {"permissionOverwrites": self._overwrites()},
            ]
            if held["type"] in _TOPICAL:
                choices.append({"topic": f"topic {self._rand.randrange(10_000)}"})
            if held["type"] == "forum":
                choices += [{"availableTags": self._tags()}] * 3
            change = {**self._rand.choice(choices), **self._rand.choice(choices)}
        return self._change(kind, name, change)

    def change(self, kind: str, name: str, change: Mapping[str, Any]) -> None:
        """Change certain fields of a manifest."""
        self._change(kind, name, change)

    def edit_guild(self) -> bool:
        """Change a setting of the guild."""
        change = self._rand.choice(
            [
                {"verificationLevel": self._rand.randrange(0, 4)},
                {"afkTimeout": self._rand.choice([60, 300, 900])},
                {"defaultMessageNotifications": self._rand.randrange(0, 2)},
            ]
        )
        return self._change("Guild", GUILD, change)

    def rename(self) -> bool:
        """Give a channel or role a name that was never used."""
        kind, name = self._rand.choice(sorted(key for key in self.wanted if key[0] != "Guild"))
        self._number += 1
        return self._change(kind, name, {"name": f"{name}-n{self._number}"})

    def reorder(self) -> bool:
        """Put an object elsewhere among its siblings."""
        kind, name = self._rand.choice(sorted(key for key in self.wanted if key[0] != "Guild"))
        return self._change(kind, name, {"position": self._rand.randrange(0 if kind == "Channel" else 1, 9)})

    def move(self) -> bool:
        """Put a channel under another category, or under none."""
        movable = [
            name for name in self.names("Channel") if self.wanted["Channel", name]["type"] != "category"
        ]
        return self._change("Channel", self._rand.choice(movable), self._somewhere(explicit=True))

    def retag(self) -> bool:
        """Give the forum one tag more, of which there is something to remember; in the end, only the first one."""
        held = self.wanted["Channel", BOARD]["availableTags"]
        self._number += 1
        tags = [*held, {"name": f"tag-n{self._number}"}] if len(held) < 8 else held[:1]
        return self._change("Channel", BOARD, {"availableTags": tags})

    def delete(self) -> bool:
        """Delete a manifest that nothing refers to, be it in the middle of its creation.

        Only one that has its finalizer: where a DELETE meets the PUT that adds it, the API server may forget the
        object although the PUT succeeded (docs/design/chaos.md), and nobody can know of what it stood for.
        """
        free = [key for key in sorted(self.wanted) if self._is_free(key)]
        self._rand.shuffle(free)
        for key in free[:4] if len(self.wanted) >= 5 else ():
            obj = self._cluster.get(*key)
            if obj is not None and obj["metadata"].get("finalizers"):
                self.remove(key)
                return True
        return False

    def revive(self) -> bool:
        """Make an object that is gone once more, under its old name."""
        gone = [key for key in sorted(self.removed) if self._cluster.get(*key) is None]
        if not gone:
            return False
        kind, name = self._rand.choice(gone)
        if kind == "Role":
            return self._create(kind, name, {"name": name, "color": 7, **self._in_guild()})
        if name.startswith("category"):
            return self._create(kind, name, self._category(name))
        return self._create_channel(name)

    def remove(self, key: Key) -> None:
        """Delete a manifest."""
        self._cluster.delete(*key)
        self._latest = f"{key}"
        self.wanted.pop(key, None)
        self.removed.add(key)

    def remove_some(self, share: float) -> None:
        """Delete a share of the manifests that nothing refers to."""
        for key in [key for key in sorted(self.wanted) if self._is_free(key)]:
            if self._rand.random() < share:
                self.remove(key)

    def remove_all(self) -> None:
        """Delete every manifest, in any order."""
        keys = sorted(self.wanted)
        self._rand.shuffle(keys)
        for key in keys:
            self.remove(key)

    # What there is.

    def names(self, kind: str) -> list[str]:
        """Return the names of the wanted objects of a kind."""
        return sorted(name for one, name in self.wanted if one == kind)

    def categories(self) -> list[str]:
        """Return the names of the wanted categories."""
        return [name for name in self.names("Channel") if self.wanted["Channel", name]["type"] == "category"]

    def children(self, category: str) -> list[str]:
        """Return the names of the channels wanted under a category."""
        return [
            name
            for name in self.names("Channel")
            if (self.wanted["Channel", name].get("parentIdRef") or {}).get("name") == category
        ]

    def refers(self) -> dict[Key, set[Key]]:
        """Return what each wanted object refers to."""
        found: dict[Key, set[Key]] = {}
        for key, fields in self.wanted.items():
            named = found[key] = set()
            for field, kind in _REFERENCES.items():
                if (reference := fields.get(field)) is not None:
                    named.add((kind, reference["name"]))
            for one in fields.get("permissionOverwrites") or ():
                named.add(("Role", one["roleIdRef"]["name"]))
        return found

    def opened_to(self, role: str) -> list[str]:
        """Return the names of the channels with an overwrite for a role."""
        return [
            name
            for name in self.names("Channel")
            if any(
                one["roleIdRef"]["name"] == role
                for one in self.wanted["Channel", name].get("permissionOverwrites") or ()
            )
        ]

    # Inside.

    def _is_free(self, key: Key) -> bool:
        kind, name = key
        if kind == "Guild" or name in {LOBBY, BOARD}:
            return False
        return not (self.opened_to(name) if kind == "Role" else self.children(name))

    def _name(self, what: str) -> str:
        self._number += 1
        return f"{what}-{self._number}"

    def _in_guild(self) -> Obj:
        return {"guildIdRef": {"name": GUILD}}

    def _guild(self) -> Obj:
        return {
            "name": self._guild_name,
            "verificationLevel": 1,
            "systemChannelIdRef": {"name": LOBBY},
        }

    def _create_channel(self, name: str) -> bool:
        type_ = {LOBBY: "text", BOARD: "forum"}.get(name) or self._rand.choice(_TYPES)
        fields: Obj = {"name": name, "type": type_, **self._in_guild(), **self._somewhere()}
        if type_ in _TOPICAL and self._rand.random() < 0.7:
            fields["topic"] = f"about {name}"
        if type_ == "forum":
            fields["availableTags"] = self._tags()
        if self._rand.random() < 0.5:
            fields["position"] = self._rand.randrange(0, 9)
        if self._rand.random() < 0.4:
            fields["permissionOverwrites"] = self._overwrites()
        return self._create("Channel", name, fields)

    def _somewhere(self, *, explicit: bool = False) -> Obj:
        """Return a parent: a category, or none."""
        categories = self.categories()
        if categories and self._rand.random() < 0.7:
            return {"parentIdRef": {"name": self._rand.choice(categories)}, "parentId": None}
        return {"parentIdRef": None, "parentId": ""} if explicit else {}

    def _bits(self) -> list[str]:
        return sorted(self._rand.sample(PERMISSIONS, self._rand.randrange(0, 4)))

    def _tags(self) -> list[Obj]:
        return [{"name": f"tag-{number}"} for number in sorted(self._rand.sample(range(9), 2))]

    def _overwrites(self) -> list[Obj]:
        roles = self.names("Role")
        chosen = self._rand.sample(roles, min(len(roles), self._rand.randrange(0, 3)))
        return [
            {"roleIdRef": {"name": role}, "allowNames": [PERMISSIONS[self._rand.randrange(len(PERMISSIONS))]]}
            for role in sorted(chosen)
        ]

    def _create(self, kind: str, name: str, fields: Mapping[str, Any]) -> bool:
        fields = {key: value for key, value in fields.items() if value is not None}
        obj = {
            "apiVersion": KIND_OF[kind].api_version,
            "kind": kind,
            "metadata": {"name": name},
            "spec": {
                "providerConfigRef": {"kind": "ProviderConfig", "name": self._config},
                "forProvider": copy.deepcopy(fields),
            },
        }
        if not self._cluster.create(obj):
            return False
        self.made += 1
        self._latest = f"{kind} {name} {fields}"
        self.wanted[kind, name] = fields
        self.removed.discard((kind, name))
        return True

    def _change(self, kind: str, name: str, change: Mapping[str, Any]) -> bool:
        if not self._cluster.patch(kind, name, {"spec": {"forProvider": dict(change)}}):
            return False
        self._latest = f"{kind} {name} {dict(change)}"
        held = {**self.wanted[kind, name], **copy.deepcopy(dict(change))}
        self.wanted[kind, name] = {key: value for key, value in held.items() if value is not None}
        return True
