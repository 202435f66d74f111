"""A channel whose category is not there: ours is waited for, what never was is refused before Discord is asked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from provider_discord.kube.workqueue import Priority
from provider_discord.managed.errors import Blocked, Waiting
from provider_discord.managed.external import Change

if TYPE_CHECKING:
    from tests.unit.kinds.conftest import World


@pytest.mark.parametrize("sync", [False, True])
def test_that_our_own_category_is_deleted_is_no_drift_of_its_channels(world: World, *, sync: bool) -> None:
    wing = world.channel("wing", type="category", allowDelete=True)
    wing.settle()
    fields = {"syncPermissions": True} if sync else {}
    inside = world.make(
        "Channel",
        "inside",
        {"name": "inside", "type": "text", "guildId": world.guild_id, "parentId": wing.id, **fields},
    )
    inside.settle()
    assert wing.mark_deleted().reconcile() == Change()
    mark = world.mark()
    for priority in (Priority.CHANGE, Priority.POLL):
        with pytest.raises(Waiting, match="default/wing is being deleted") as waiting:
            inside.reconcile(priority)
        assert waiting.value.quiet
        assert waiting.value.retry_after == math.inf, (
            "a category that comes back wakes it; nothing is asked until then"
        )
    assert world.writes_since(mark) == []
    # Without the object nobody will make the category again.
    world.stores[wing.resource].remove(wing.obj)
    world.equipment.claims.release("Channel", wing.mr.key)
    with pytest.raises(Blocked, match=r"gone|can't be followed"):
        inside.reconcile()
    inside.spec(parentId="", syncPermissions=None).settle()
    assert world.discord.channel("inside")["parent_id"] is None


@pytest.mark.parametrize("existing", [False, True])
def test_a_parent_that_the_guild_does_not_have_is_refused_unasked(world: World, *, existing: bool) -> None:
    other = world.discord.create_guild("Other Guild")["id"]
    theirs = world.discord.create_channel({"name": "wing", "type": 4}, guild=other)
    thing = world.channel("inside", **({} if existing else {"parentId": theirs["id"]}))
    if existing:
        thing.settle()
        thing.spec(parentId=theirs["id"])
    mark = world.mark()
    for priority in (Priority.CHANGE, Priority.POLL, Priority.POLL):
        with pytest.raises(Blocked, match=theirs["id"]) as error:
            thing.reconcile(priority)
        world.advance(61)
    assert error.value.field == "forProvider.parentId"
    assert world.writes_since(mark) == []
