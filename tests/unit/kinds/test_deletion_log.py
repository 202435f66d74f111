"""Reading the audit log for what was deleted: all of it, however much, and nothing twice."""

from __future__ import annotations

import pytest

from provider_discord.kinds.session import INVITED_WITH
from provider_discord.kube.workqueue import Priority
from provider_discord.managed.errors import Blocked

from .conftest import Thing, World

_AUDIT_LOG = "/guilds/{guild_id}/audit-logs"


@pytest.fixture
def invited(world: World) -> World:
    """A bot as it is invited, which Discord does not show everything: it is no administrator."""
    world.discord.set_bot_permissions(INVITED_WITH)
    world.configure(hold={"enabled": False})
    return world


def test_more_deletions_at_once_than_a_page_of_the_log_holds_are_all_put_right_at_the_next_poll(
    invited: World,
) -> None:
    things = [_made_by_hand(invited, f"c{number}") for number in range(130)]
    for thing in things:
        thing.settle()
        invited.discord.delete_channel(thing.id)
    invited.advance(61)
    for thing in things:
        thing.settle(Priority.POLL)
    assert sorted(channel["name"] for channel in invited.discord.channels()) == sorted(
        f"c{number}" for number in range(130)
    )


def test_what_was_deleted_before_much_else_was_is_found(invited: World) -> None:
    thing = invited.channel("general")
    thing.settle()
    invited.discord.delete_channel(thing.id)
    for _ in range(1250):
        invited.discord.delete_channel(invited.discord.create_channel({"name": "temporary"})["id"])
    invited.advance(61)
    with pytest.raises(Blocked):
        thing.reconcile(Priority.POLL)  # A thousand entries a look.
    invited.advance(61)
    thing.settle(Priority.POLL)
    assert [channel["name"] for channel in invited.discord.channels()] == ["general"]


def test_an_older_channel_is_looked_for_further_back(invited: World) -> None:
    older = invited.channel("older")
    older.settle()
    invited.discord.delete_channel(older.id)
    younger = invited.channel("younger")
    younger.settle()
    invited.discord.delete_channel(younger.id)
    invited.advance(61)
    younger.settle(Priority.POLL)
    older.settle(Priority.POLL)
    assert {channel["name"] for channel in invited.discord.channels()} == {"older", "younger"}


def test_what_has_been_read_is_not_read_again(invited: World) -> None:
    hidden, thing = invited.channel("hidden"), invited.channel("general")
    hidden.settle()
    thing.settle()
    for _ in range(250):
        invited.discord.delete_channel(invited.discord.create_channel({"name": "temporary"})["id"])
    invited.discord.hide_channel(hidden.id)
    # An entry may turn up some minutes late: so long is it read again.
    assert [_pages_read_for(invited, hidden) for _ in range(4)] == [3, 3, 3, 1]
    for _ in range(3):
        assert _pages_read_for(invited, hidden) == 1
    invited.discord.delete_channel(thing.id)
    invited.advance(61)
    thing.settle(Priority.POLL)
    assert "general" in {channel["name"] for channel in invited.discord.channels()}


def _made_by_hand(world: World, name: str) -> Thing:
    made = world.discord.create_channel({"name": name, "type": 0})
    return world.channel(name, external_name=made["id"])


def _pages_read_for(world: World, hidden: Thing) -> int:
    world.advance(61)
    mark = world.mark()
    with pytest.raises(Blocked, match="hidden"):
        hidden.reconcile(Priority.POLL)
    return len(world.requests(since=mark, route=_AUDIT_LOG))
