"""A bot that loses sight of a whole guild asks about it once a poll, not three hundred times: 403s ban an address."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from provider_discord.kube.workqueue import Priority
from provider_discord.managed.errors import Blocked
from provider_discord.simulator import HiddenGet, HiddenList, Permission

if TYPE_CHECKING:
    from tests.unit.kinds.conftest import World

_CHANNELS = 300
_POLLS = 3
_PERMISSIONS = Permission.MANAGE_CHANNELS | Permission.MANAGE_ROLES | Permission.VIEW_CHANNEL


@pytest.mark.parametrize("audit_log", [False, True], ids=["without-the-audit-log", "with-the-audit-log"])
@pytest.mark.parametrize(
    "behaviour",
    [
        {"hidden_get": HiddenGet.FORBIDDEN},
        {"hidden_get": HiddenGet.NOT_FOUND},
        {"hidden_get": HiddenGet.OBFUSCATED},
        {"hidden_list": HiddenList.OBFUSCATED},
    ],
    ids=lambda one: "-".join(f"{name}-{value}" for name, value in one.items()),
)
def test_300_hidden_channels_are_no_storm(world: World, behaviour: dict[str, str], audit_log: bool) -> None:
    discord = world.discord
    discord.set_behaviour(**{name: str(value) for name, value in behaviour.items()})
    discord.set_bot_permissions(int(_PERMISSIONS | (Permission.VIEW_AUDIT_LOG if audit_log else 0)))
    made = [discord.create_channel({"name": f"c{number}"}) for number in range(_CHANNELS)]
    things = [world.channel(one["name"], external_name=one["id"]) for one in made]
    for thing in things:
        thing.settle()
    for one in made:
        discord.hide_channel(one["id"])
    world.advance(61)  # The first poll after it went dark.

    mark = world.mark()
    for _ in range(_POLLS):
        for thing in things:
            with pytest.raises(Blocked) as refused:
                thing.reconcile(Priority.POLL)
            assert refused.value.reason == "HiddenOrGone"
        world.advance(61)

    asked = Counter((one["method"], one["route"]) for one in world.requests(since=mark))
    looks = asked.pop(("GET", "/channels/{channel_id}"), 0)
    assert looks <= _POLLS, "more than one probe a guild and poll"
    assert asked.pop(("GET", "/guilds/{guild_id}/audit-logs"), 0) <= (_POLLS if audit_log else 0)
    assert sum(one["status"] in {401, 403, 429} for one in world.requests(since=mark)) <= _POLLS
    for route in ("/guilds/{guild_id}", "/guilds/{guild_id}/channels"):
        assert asked.pop(("GET", route)) <= _POLLS + 1
    # Its own member, once.
    assert sum(asked.values()) <= 1, asked
    assert world.writes_since(mark) == []
    assert len(discord.channels()) == _CHANNELS
