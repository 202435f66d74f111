"""The moderator: a human admin who edits the guild by hand, and makes things of their own.

What is the moderator's own is remembered as it was left, so that the judge can see whether anybody touched it.
Edits of what is managed are counted by how many managed objects they make differ: in general seeds so few that they
stay an ordinary hand edit.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from provider_discord.simulator import ControlClient, ControlFailure
from tests.chaos.cluster import Cluster, external_name
from tests.chaos.team import LOBBY, Key, Team

Json = dict[str, Any]
ACTOR: Final = "Moderator"
_SHIFTING: Final = frozenset({"position", "last_message_id", "permissions_synced"})
"""What changes about a thing although nobody touched it: others come and go around it."""


class Moderator:
    """Edits by hand.

    Args:
        discord: the simulated Discord.
        cluster: to look up which channel is which object's.
        team: what is wanted.
        rand: the choices.
        budget: how many managed objects may be made to differ, in all.
    """

    def __init__(
        self, *, discord: ControlClient, cluster: Cluster, team: Team, rand: random.Random, budget: int
    ) -> None:
        self._discord = discord
        self._cluster = cluster
        self._team = team
        self._rand = rand
        self.budget = budget
        self._number = 0
        self.channels: dict[str, Json] = {}
        """The moderator's own channels by id, as they were left."""
        self.roles: dict[str, Json] = {}
        """The moderator's own roles by id."""
        self.deleted: list[str] = []
        """Ids of managed things that were deleted by hand."""
        self._order: dict[int, list[str]] = {}
        self._latest = ""

    def begin(self) -> None:
        """Make a few things that nobody manages."""
        for _ in range(2):
            self.create_channel()
            self.create_role()
        self.create_channel(type_=4)

    def act(self, *, deletes: bool = True) -> str:
        """Do something by hand; return what."""
        verbs: list[Callable[[], bool]] = [
            *(self.create_channel, self.create_role, self.edit_own, self.delete_own, self.move_own),
            *(self.edit_managed, self.edit_managed, self.retouch_managed, self.edit_guild),
        ]
        if deletes:
            verbs.append(self.delete_managed)
        self._rand.shuffle(verbs)
        for verb in verbs:
            try:
                if verb():
                    self._order = self._order_of_own(self._discord.channels())
                    return f"by hand: {verb.__name__}: {self._latest}"
            except ControlFailure:
                continue  # The provider was faster: it is not there any more.
        return "nothing"

    # Things of their own.

    def create_channel(self, type_: int = 0) -> bool:
        """Make a channel, at the top or in a managed category."""
        if len(self.channels) > 8:
            return False
        self._number += 1
        self._latest = f"theirs-{self._number}"
        body: Json = {"name": f"theirs-{self._number}", "type": type_}
        if type_ == 0:
            body["topic"] = "hands off"
            parents = [None, *self._live_categories()]
            body["parent_id"] = self._rand.choice(parents)
        made = self._discord.create_channel(body, actor=ACTOR)
        self.channels[made["id"]] = made
        return True

    def create_named(self, name: str) -> str:
        """Make a text channel of a certain name, for the team to adopt; return its id."""
        return str(self._discord.create_channel({"name": name, "type": 0}, actor=ACTOR)["id"])

    def create_role(self) -> bool:
        """Make a role."""
        if len(self.roles) > 5:
            return False
        self._number += 1
        made = self._discord.create_role({"name": f"theirs-{self._number}", "color": 99}, actor=ACTOR)
        self.roles[made["id"]] = made
        return True

    def edit_own(self) -> bool:
        """Change an own channel."""
        texts = [key for key, one in self.channels.items() if one["type"] == 0]
        if not texts:
            return False
        chosen = self._rand.choice(texts)
        topic = f"theirs {self._rand.randrange(10_000)}"
        self.channels[chosen] = self._discord.edit_channel(chosen, {"topic": topic}, actor=ACTOR)
        return True

    def move_own(self) -> bool:
        """Put an own channel elsewhere in the order."""
        if not self.channels:
            return False
        chosen = self._rand.choice(list(self.channels))
        self._discord.move_channels([{"id": chosen, "position": self._rand.randrange(0, 6)}], actor=ACTOR)
        return True

    def delete_own(self) -> bool:
        """Delete an own channel or role."""
        if self._rand.random() < 0.6 or not self.roles:
            texts = [key for key, one in self.channels.items() if one["type"] == 0]
            if len(texts) < 2:
                return False
            chosen = self._rand.choice(texts)
            self._discord.delete_channel(chosen, actor=ACTOR)
            del self.channels[chosen]
            self._latest = chosen
            return True
        chosen = self._rand.choice(list(self.roles))
        self._discord.delete_role(chosen, actor=ACTOR)
        del self.roles[chosen]
        return True

    # What is managed.

    def edit_managed(self) -> bool:
        """Change a managed channel or role."""
        found = self._pick(("Channel", "Role"))
        if found is None or not self._spend(1):
            return False
        (kind, name), id_ = found
        if kind == "Role":
            self._discord.edit_role(id_, {"color": 0x123456, "hoist": True}, actor=ACTOR)
        elif self._team.wanted[kind, name]["type"] == "category":
            self._discord.edit_channel(id_, {"name": f"{name}-by-hand"}, actor=ACTOR)
        else:
            self._discord.edit_channel(id_, {"name": f"{name}-by-hand", "nsfw": True}, actor=ACTOR)
        return True

    def retouch_managed(self) -> bool:
        """Hang an overwrite on a managed channel."""
        found = self._pick(("Channel",))
        if found is None or not self._spend(1):
            return False
        self._discord.set_overwrite(found[1], "everyone", deny=["ADD_REACTIONS"], actor=ACTOR)
        return True

    def edit_guild(self) -> bool:
        """Change a setting of the guild."""
        if not self._spend(1):
            return False
        self._discord.edit_guild({"verification_level": 4}, actor=ACTOR)
        return True

    def delete_managed(self) -> bool:
        """Delete a managed channel or role that few others hang on."""
        found = self._pick(("Channel", "Role"))
        if found is None or found[0][1] == LOBBY:
            return False
        (kind, name), id_ = found
        dragged = self._team.opened_to(name) if kind == "Role" else self._team.children(name)
        if not self._spend(1 + len(dragged)):
            return False
        if kind == "Role":
            self._discord.delete_role(id_, actor=ACTOR)
        else:
            self._discord.delete_channel(id_, actor=ACTOR)
        self.deleted.append(id_)
        return True

    # Inside.

    def _spend(self, cost: int) -> bool:
        if cost > self.budget:
            return False
        self.budget -= cost
        return True

    def _pick(self, kinds: tuple[str, ...]) -> tuple[Key, str] | None:
        """Return a managed object that has an external name, and that name."""
        keys = sorted(key for key in self._team.wanted if key[0] in kinds)
        self._rand.shuffle(keys)
        for key in keys[:4]:
            obj = self._cluster.get(*key)
            self._latest = f"{key}"
            if obj is not None and external_name(obj) and not obj["metadata"].get("deletionTimestamp"):
                return key, external_name(obj)
        return None

    def _live_categories(self) -> list[str]:
        ours = set(self._team.categories())
        return [one["id"] for one in self._discord.channels() if one["type"] == 4 and one["name"] in ours]

    def _order_of_own(self, channels: Sequence[Mapping[str, Any]]) -> dict[int, list[str]]:
        """Return the ids of the moderator's own channels at the top, in their order, by type."""
        own = [one for one in channels if one["id"] in self.channels and not self._left_in_category(one)]
        own.sort(key=lambda one: (one["position"], int(one["id"])))
        return {type_: [one["id"] for one in own if one["type"] == type_] for type_ in (0, 4)}

    def _left_in_category(self, channel: Mapping[str, Any]) -> bool:
        return bool(self.channels[channel["id"]]["parent_id"])

    def touched(self, guild: Mapping[str, Any]) -> list[str]:
        """Return what of the moderator's own is not as it was left."""
        channels = {one["id"]: one for one in guild["channels"]}
        roles = {one["id"]: one for one in guild["roles"]}
        said = []
        if self._order and self._order_of_own(guild["channels"]) != self._order:
            said.append(f"the foreign channels' order has changed: it was {self._order}")
        for id_, left in self.channels.items():
            now = channels.get(id_)
            if now is None:
                said.append(f"the foreign channel {left['name']} is gone")
                continue
            lost_parent = left["parent_id"] not in channels
            changed = {
                key: (value, now.get(key))
                for key, value in left.items()
                if key not in _SHIFTING
                and now.get(key) != value
                and not (key == "parent_id" and lost_parent and now[key] is None)
                # What is synced with its category follows it: that is Discord's doing.
                and not (key == "permission_overwrites" and left["parent_id"])
            }
            if changed:
                said.append(f"the foreign channel {left['name']} has changed: {changed}")
        for id_, left in self.roles.items():
            now = roles.get(id_)
            if now is None:
                said.append(f"the foreign role {left['name']} is gone")
            elif changed := {
                key: (value, now.get(key))
                for key, value in left.items()
                if key not in _SHIFTING and now.get(key) != value
            }:
                said.append(f"the foreign role {left['name']} has changed: {changed}")
        return said
