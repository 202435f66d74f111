"""Beyond the thresholds: what ordinary chaos stays under is exceeded here, and the documented condition must come.

Each trial begins with a settled guild, does what the provider must not answer by itself, kills it again and again
while it has to hold back, and then does what the condition says. In between nothing that waits for a human may have
been touched.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from provider_discord.managed import meta
from provider_discord.simulator import ControlClient
from tests.chaos.cluster import Cluster, Obj, condition, external_name
from tests.chaos.moderator import ACTOR
from tests.chaos.team import GUILD, LOBBY, Team

WAIT_SECONDS: Final = 60.0
PUT_BACK_LIMIT: Final = 3
MANY: Final = 8
"""More objects than a hold needs: more than five, and more than a tenth."""


class Missing(Exception):
    """The documented condition did not come, or something was written all the same."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a trial works with.

    Attributes:
        discord, cluster, team: the guild, the cluster and the team.
        die: kills the provider and begins another life, some times.
    """

    discord: ControlClient
    cluster: Cluster
    team: Team
    die: Callable[[], None]

    def until(self, found: Callable[[], Any], what: str) -> Any:
        """Wait for something and return it. Raises Missing."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not (result := found()):
            if time.monotonic() > deadline:
                msg = f"in vain: {what}"
                raise Missing(msg)
            time.sleep(0.1)
        return result

    def told(self, kind: str, name: str, type_: str, status: str, pattern: str) -> str:
        """Wait for a condition whose message matches; return the message."""

        def message() -> str:
            found = condition(self.cluster.get(kind, name) or {"metadata": {}}, type_)
            text = str(found.get("message", ""))
            return text if found.get("status") == status and re.search(pattern, text) else ""

        return str(self.until(message, f"{kind} {name} {type_}={status} with {pattern!r}"))

    def id_of(self, name: str, kind: str = "Channel") -> str:
        """Return the external name of an object, "" if it has none yet."""
        obj: Obj = self.cluster.get(kind, name) or {"metadata": {}}
        return external_name(obj)

    def annotate(self, kind: str, name: str, key: str, value: str) -> None:
        """Set an annotation, as a condition says."""
        self.cluster.patch(kind, name, {"metadata": {"annotations": {key: value}}})


def same_name(scene: Scene, variant: int) -> None:
    """Let a stranger have the name that a manifest wants: nothing is made beside it until a human decides."""
    name = "twin-1"
    stranger = str(scene.discord.create_channel({"name": name, "type": 0}, actor=ACTOR)["id"])
    # The provider creates on the account of a list that may be two (unscaled) seconds old.
    made = scene.discord.last_request()
    scene.until(
        lambda: scene.discord.requests(since=made, method="GET", route="/guilds/{guild_id}/channels"),
        "the channels to be listed with the stranger",
    )
    scene.team.adopt(name)
    left = scene.discord.channel(stranger)
    scene.told("Channel", name, "Synced", "False", stranger)
    scene.die()
    scene.told("Channel", name, "Synced", "False", stranger)
    _unchanged(scene, {stranger: left})
    twins = [one["id"] for one in scene.discord.channels() if one["name"] == name]
    if twins != [stranger]:
        msg = f"beside the stranger there is another channel of its name: {twins}"
        raise Missing(msg)
    if variant == 0:
        scene.annotate("Channel", name, meta.EXTERNAL_NAME, stranger)
    elif variant == 1:
        scene.discord.delete_channel(stranger, actor=ACTOR)
    else:
        scene.discord.rename_channel(stranger, "elsewhere", actor=ACTOR)


def hold(scene: Scene, variant: int) -> None:
    """Change much of the guild by hand at once: nothing is put back until a human releases it."""
    names = [name for name in scene.team.names("Channel") if name.startswith("channel-")][:MANY]
    ids = [scene.id_of(name) for name in names]
    if variant == 2:
        scene.discord.set_guild(
            incidents_data={"invites_disabled_until": "2999-01-01T00:00:00+00:00", "dms_disabled_until": None}
        )
        ids = ids[:2]
    for id_ in ids:
        if variant == 1:
            scene.discord.delete_channel(id_, actor=ACTOR)
        else:
            scene.discord.edit_channel(id_, {"name": f"locked-{id_}", "nsfw": True}, actor=ACTOR)
    message = scene.told("Guild", GUILD, "Held", "True", "")
    left = {id_: scene.discord.channel(id_) for id_ in ids if variant != 1}
    scene.die()
    scene.team.change("Channel", LOBBY, {"topic": "meanwhile"})
    scene.until(
        lambda: scene.discord.channel(scene.id_of(LOBBY)).get("topic") == "meanwhile",
        "a changed manifest to be applied during the hold",
    )
    scene.told("Guild", GUILD, "Held", "True", "")
    _unchanged(scene, left)
    there = {one["name"] for one in scene.discord.channels()}
    if variant == 1 and there.intersection(names):
        msg = f"made again during the hold: {sorted(there.intersection(names))}"
        raise Missing(msg)
    if variant == 2:
        scene.discord.set_guild(incidents_data={"invites_disabled_until": None, "dms_disabled_until": None})
        return
    found = re.search(rf"{re.escape(meta.RELEASE_HOLD)}=(\S+)", message)
    if found is None:
        msg = f"the condition names no way out: {message}"
        raise Missing(msg)
    scene.annotate("Guild", GUILD, meta.RELEASE_HOLD, found[1])


def fight(scene: Scene, variant: int) -> None:
    """Change one field again and again: it is left alone in the end, and told, until the manifest changes."""
    del variant
    id_ = scene.id_of(LOBBY)
    scene.team.change("Channel", LOBBY, {"topic": "ours"})
    scene.until(lambda: scene.discord.channel(id_).get("topic") == "ours", "the manifest to be applied")
    for number in range(PUT_BACK_LIMIT + 1):
        wish = f"theirs {number}"
        scene.discord.edit_channel(id_, {"topic": wish}, actor=ACTOR)
        if number < PUT_BACK_LIMIT:
            scene.until(
                lambda wish=wish: scene.discord.channel(id_).get("topic") != wish,  # type: ignore[misc]
                f"the topic to be put back for the {number + 1}. time",
            )
    scene.until(
        lambda: (
            "left-alone"
            in str(((scene.cluster.get("Channel", LOBBY) or {})["metadata"]).get("annotations", {}))
        ),
        "the field to be left alone",
    )
    left = scene.discord.channel(id_)
    scene.die()
    time.sleep(2.0)
    _unchanged(scene, {id_: left})
    scene.team.change("Channel", LOBBY, {"topic": "settled"})


def no_room(scene: Scene, variant: int) -> None:
    """Want an order of roles that tie with the bot's own: it can't be had until a human drags the bot's role up."""
    del variant
    ranks = {"low": 1, "middle": 2, "high": 3}
    made: list[str] = []
    for name, position in ranks.items():
        # Of roles in one place the oldest is the highest: as they are made, they are upside down.
        scene.team.rank(name, position)
        made.append(scene.until(lambda name=name: scene.id_of(name, "Role"), f"role {name} to be made"))  # type: ignore[misc]
    roles = scene.discord.guild()["roles"]
    (own,) = [one["id"] for one in roles if (one.get("tags") or {}).get("bot_id")]
    left = [one for one in roles if one["id"] not in made]

    def refused() -> list[str]:
        conditions = [
            condition(scene.cluster.get("Role", name) or {"metadata": {}}, "Synced") for name in ranks
        ]
        return [one["message"] for one in conditions if "drag the bot's own role" in one.get("message", "")]

    scene.until(refused, "a condition that asks for room below the bot's role")
    scene.die()
    scene.until(refused, "the same condition again")
    if [one for one in scene.discord.guild()["roles"] if one["id"] not in made] != left:
        msg = f"other roles were touched: they were {left}"
        raise Missing(msg)
    scene.discord.move_roles([{"id": own, "position": len(roles) + 1}], actor=ACTOR)


TRIALS: Final = (same_name, hold, fight, no_room)


def trial_of(seed: int) -> tuple[Callable[[Scene, int], None], int]:
    """Return a seed's trial and its variant."""
    variant, number = divmod(seed % 1000, len(TRIALS))
    return TRIALS[number], variant % 3


def _unchanged(scene: Scene, left: dict[str, dict[str, Any]]) -> None:
    for id_, before in left.items():
        now = scene.discord.channel(id_)
        changed = {key for key in before if key != "position" and now.get(key) != before[key]}
        if changed:
            msg = f"touched although it waits for a human: {before['name']} ({id_}): {sorted(changed)}"
            raise Missing(msg)
