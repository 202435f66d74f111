"""Nothing is made twice because two manifests ask for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from provider_discord.kinds.making import Making
from provider_discord.managed import meta
from provider_discord.managed.errors import Blocked, ManagedError, Waiting
from provider_discord.managed.external import Attempt, Observation

if TYPE_CHECKING:
    from tests.unit.kinds.conftest import Thing, World


def _another(world: World, kind: str, **fields: Any) -> Thing:
    """Make another object, as from another namespace or under a new metadata.name."""
    wanted = {"name": "general", "guildId": world.guild_id, **fields}
    return world.make(
        kind, "another", {**wanted, "type": "text"} if kind == "Channel" and "type" not in fields else wanted
    )


@pytest.mark.parametrize(
    ("first", "second", "refused", "reason"),
    [
        ({}, {}, True, "the very same manifest"),
        ({}, {"name": "General"}, True, "one name to Discord"),
        ({}, {"parentId": ""}, True, "both in no category"),
        ({}, {"parentId": "cat"}, False, "in another category"),
        ({"parentId": "cat"}, {}, False, "the second one would be made outside of the category"),
        ({"parentId": "cat"}, {"parentId": "cat"}, True, "in the same category"),
        ({}, {"type": "voice"}, False, "something else"),
        ({}, {"name": "lobby"}, False, "another name"),
    ],
)
def test_a_channel_that_another_object_stands_for_is_not_made_again(
    world: World, first: dict[str, Any], second: dict[str, Any], refused: bool, reason: str
) -> None:
    category = world.discord.create_channel({"name": "wing", "type": 4})
    first, second = (
        {key: category["id"] if value == "cat" else value for key, value in given.items()}
        for given in (first, second)
    )
    ours = world.channel("general", **first)
    ours.settle()
    another = _another(world, "Channel", **second)
    if not refused:
        another.settle()
        assert len(world.discord.channels()) == 3, reason
        return
    with pytest.raises(Blocked, match=f"{ours.id}.*default/general") as error:
        another.reconcile()
    assert error.value.reason == "SameNameExists", reason
    assert len(world.discord.channels()) == 2


def test_a_role_that_another_object_stands_for_is_not_made_again(world: World) -> None:
    world.role("general").settle()
    another = _another(world, "Role")
    with pytest.raises(Blocked, match="belongs to Role default/general"):
        another.reconcile()
    world.configure(adoption="CreateNew")
    another.settle()
    assert [role["name"] for role in world.discord.roles()].count("general") == 2


def test_an_object_that_was_renamed_in_git_takes_over_as_its_condition_says(world: World) -> None:
    """The old one is deleted and kept by its messages; the new one must not make an empty channel beside it."""
    old = world.channel("general")
    old.settle()
    world.discord.post_message("general", "hello")
    old.mark_deleted()
    new = _another(world, "Channel")
    with pytest.raises(Blocked, match=r"being deleted.*leaves it alone"):
        new.reconcile()
    new.annotate({meta.EXTERNAL_NAME: old.id})
    new.settle()
    assert len(world.discord.channels()) == 1


def test_who_wants_another_name_by_now_is_in_nobodys_way(world: World) -> None:
    old = world.channel("general")
    old.settle()
    old.spec(name="lobby")
    _another(world, "Channel").settle()
    old.settle()
    assert {channel["name"] for channel in world.discord.channels()} == {"general", "lobby"}


def test_the_second_of_two_that_are_made_at_once_waits_for_the_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = world.channel("general"), _another(world, "Channel", name="General")
    for thing in (one, two):
        found = thing.observe()
        assert isinstance(found, Observation)
        assert found.refusal is None, "there is nothing yet"
    outcomes: list[ManagedError] = []
    client = world.session.connection.client
    post = client.create_channel

    def create_channel(*args: Any, **options: Any) -> Any:
        monkeypatch.undo()

        def race() -> None:
            try:
                two.connect().create(two.mr, Attempt(id="b", started=world.wall()))
            except ManagedError as error:
                outcomes.append(error)

        thread = threading.Thread(target=race)
        thread.start()
        thread.join(10)
        return post(*args, **options)

    monkeypatch.setattr(
        type(client), "create_channel", lambda _self, *args, **options: create_channel(*args, **options)
    )
    one.reconcile()
    assert [type(error) for error in outcomes] == [Waiting]
    with pytest.raises(Blocked, match="default/general"):
        two.reconcile()
    assert len(world.discord.channels()) == 1


def test_a_name_can_be_taken_once() -> None:
    making = Making()
    assert making.begin("a")
    assert not making.begin("a")
    assert making.begin("b")
    making.end("a")
    assert making.begin("a")
