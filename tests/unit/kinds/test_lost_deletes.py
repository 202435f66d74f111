"""A DELETE of ours whose answer was lost, by a bot from which channels may be hidden and that reads no audit log."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from provider_discord.kube.workqueue import Priority
from provider_discord.managed import meta
from provider_discord.managed.errors import Blocked, ManagedError, Waiting
from provider_discord.managed.external import Observation
from provider_discord.simulator import Effect, HiddenGet, Permission

if TYPE_CHECKING:
    from tests.unit.kinds.conftest import Thing, World

_ORDINARY = int(Permission.MANAGE_CHANNELS | Permission.MANAGE_ROLES | Permission.VIEW_CHANNEL)


def _deleting(world: World, name: str = "general", **fields: Any) -> Thing:
    """Return a settled channel whose object is to go."""
    world.discord.set_bot_permissions(_ORDINARY)
    thing = world.channel(name, **fields)
    thing.settle()
    return thing.mark_deleted()


def _lose(world: World, thing: Thing, *, committed: bool = True) -> None:
    """Let the DELETE get no answer, however often the client sends it."""
    world.discord.add_fault(Effect.DROP, method="DELETE", after_commit=committed, times=9)
    with pytest.raises(ManagedError) as lost:
        thing.reconcile()
    assert not isinstance(lost.value, Blocked)
    world.discord.clear_faults()


def _looks_gone(world: World, thing: Thing) -> bool:
    """Tell whether a pass takes the channel for gone; else it says that it may be hidden, and the way out."""
    world.advance(61)
    try:
        seen = thing.reconcile(Priority.POLL)
    except Blocked as refused:
        said = refused
    else:
        assert isinstance(seen, Observation)
        return not seen.exists
    assert said.reason == "HiddenOrGone"
    assert "managementPolicies" in str(said)
    return False


def test_it_is_taken_for_gone(world: World) -> None:
    thing = _deleting(world)
    _lose(world, thing)
    assert world.discord.channels() == []
    assert _looks_gone(world, thing)


def test_also_by_a_process_that_knows_nothing_of_it(world: World) -> None:
    thing = _deleting(world)
    _lose(world, thing)
    world.close()
    world.session = world.open()
    assert _looks_gone(world, thing)


def test_it_is_recorded_before_the_request_leaves_and_after_the_guards(world: World) -> None:
    thing = _deleting(world)
    world.discord.post_message("general")
    with pytest.raises(Blocked, match="messages"):
        thing.reconcile()
    assert meta.DELETE_ATTEMPT not in thing.mr.annotations
    thing.spec(allowDelete=True)
    _lose(world, thing, committed=False)
    record = json.loads(thing.mr.annotations[meta.DELETE_ATTEMPT])
    assert (record["id"], record["uid"]) == (thing.id, thing.mr.uid)


@dataclass
class Case:
    reason: str
    meanwhile: Callable[[World, Thing], object]
    hidden_get: HiddenGet = HiddenGet.NOT_FOUND


def _lose_a_role(world: World, _thing: Thing) -> None:
    world.discord.set_bot_permissions(int(Permission.MANAGE_CHANNELS))


def _get_a_role(world: World, _thing: Thing) -> None:
    role = world.discord.create_role({"name": "muted"})
    world.discord.grant(world.session.bot.id, role["id"])


def _copy_the_record(_world: World, thing: Thing) -> None:
    record = json.loads(thing.mr.annotations[meta.DELETE_ATTEMPT])
    thing.annotate({meta.DELETE_ATTEMPT: json.dumps({**record, "uid": "another object's"})})


def _record_of_another(_world: World, thing: Thing) -> None:
    record = json.loads(thing.mr.annotations[meta.DELETE_ATTEMPT])
    thing.annotate({meta.DELETE_ATTEMPT: json.dumps({**record, "id": "1"})})


CASES = (
    Case("Discord tells what is hidden", lambda *_: None, HiddenGet.FORBIDDEN),
    Case("Discord shows what is hidden without its contents", lambda *_: None, HiddenGet.OBFUSCATED),
    Case("the bot may do less than then", _lose_a_role),
    Case("the bot has another role than then", _get_a_role),
    Case("the record is about another object", _copy_the_record),
    Case("the record is about another channel", _record_of_another),
    Case(
        "there is no record",
        lambda _world, thing: thing.annotate({meta.DELETE_ATTEMPT: None}),
    ),
    Case("there is nonsense", lambda _world, thing: thing.annotate({meta.DELETE_ATTEMPT: "[1"})),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_what_was_hidden_instead_is_not_taken_for_gone(world: World, case: Case) -> None:
    world.discord.set_behaviour(hidden_get=str(case.hidden_get))
    thing = _deleting(world)
    _lose(world, thing, committed=False)
    world.discord.hide_channel("general")
    case.meanwhile(world, thing)
    for _ in range(2):
        assert not _looks_gone(world, thing), case.reason
    assert len(world.discord.channels()) == 1


def test_a_category_in_which_there_are_channels_is_there(world: World) -> None:
    world.discord.set_behaviour(hidden_get=str(HiddenGet.NOT_FOUND), category_shown_by_child=False)
    world.discord.set_bot_permissions(_ORDINARY)
    thing = world.channel("staff", type="category", allowDelete=True)
    thing.settle()
    world.discord.create_channel({"name": "in it", "type": 0, "parent_id": thing.id})
    thing.mark_deleted()
    _lose(world, thing, committed=False)
    world.discord.hide_channel("staff")
    assert not _looks_gone(world, thing)


@pytest.mark.parametrize(
    ("goes_too", "gone", "reason"),
    [
        (False, False, "somebody made the whole category private"),
        (True, True, "the category is being deleted as well, and may be gone"),
    ],
)
def test_a_category_that_went_out_of_sight_speaks_against_it(
    world: World, goes_too: bool, gone: bool, reason: str
) -> None:
    world.discord.set_behaviour(hidden_get=str(HiddenGet.NOT_FOUND), category_shown_by_child=False)
    world.discord.set_bot_permissions(_ORDINARY)
    category = world.channel("staff", type="category")
    category.settle()
    thing = _deleting(world, parentId=category.id)
    _lose(world, thing, committed=False)
    if goes_too:
        category.mark_deleted()
    world.discord.hide_channel("general")
    world.discord.hide_channel("staff")
    assert _looks_gone(world, thing) is gone, reason


def test_it_is_deleted_again_where_it_is_still_there(world: World) -> None:
    thing = _deleting(world)
    _lose(world, thing, committed=False)
    before = thing.mr.annotations[meta.DELETE_ATTEMPT]
    thing.reconcile()
    assert world.discord.channels() == []
    assert thing.mr.annotations[meta.DELETE_ATTEMPT] == before, "what is true already costs no write"


def test_looking_costs_one_probe_a_poll(world: World) -> None:
    world.discord.set_behaviour(hidden_get=str(HiddenGet.NOT_FOUND))
    thing = _deleting(world)
    _lose(world, thing, committed=False)
    world.discord.hide_channel("general")
    _lose_a_role(world, thing)
    assert not _looks_gone(world, thing)
    mark = world.mark()
    for _ in range(5):
        with contextlib.suppress(Blocked):
            thing.reconcile(Priority.RETRY)
    assert world.requests(since=mark, route="/channels/{channel_id}") == []


def test_a_channel_that_is_found_missing_by_the_delete_itself_is_looked_for(world: World) -> None:
    thing = _deleting(world, allowDelete=True)
    thing.observe()
    world.discord.delete_channel("general")
    external = thing.connect()
    with pytest.raises(Waiting):
        external.delete(thing.mr, thing.observe())
    assert _looks_gone(world, thing)
