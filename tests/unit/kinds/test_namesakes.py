"""Nothing is made twice because two manifests ask for it."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from provider_discord.kinds.making import Making
from provider_discord.managed import attempts, meta
from provider_discord.managed.errors import AmbiguousCreate, Blocked, ManagedError, Waiting
from provider_discord.managed.external import Attempt, Observation, Verdict
from provider_discord.simulator import Effect

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
    assert [(type(error), error.retry_after) for error in outcomes] == [(Waiting, 2.0)]
    with pytest.raises(Blocked, match="default/general"):
        two.reconcile()
    assert len(world.discord.channels()) == 1


def test_nobody_begins_an_attempt_beside_one_who_creates(world: World) -> None:
    wings = [world.discord.create_channel({"name": name, "type": 4})["id"] for name in ("one", "two")]
    ours = world.channel("chat", parentId=wings[0])
    same = _another(world, "Channel", name="Chat", type="announcement", parentId=wings[0])
    elsewhere = world.make("Channel", "b", {"name": "chat", "type": "text", "guildId": world.guild_id})
    voice = world.channel("chat-voice", type="voice", parentId=wings[0]).spec(name="chat")
    client = world.session.connection.client
    post = client.create_channel
    outcomes: list[ManagedError] = []

    def create_channel(*args: Any, **options: Any) -> Any:
        patched.undo()
        try:
            same.reconcile()
        except ManagedError as error:
            outcomes.append(error)
        elsewhere.reconcile()
        voice.reconcile()
        return post(*args, **options)

    patched = pytest.MonkeyPatch()
    patched.setattr(
        type(client), "create_channel", lambda _self, *args, **options: create_channel(*args, **options)
    )
    ours.reconcile()
    assert [(type(error), getattr(error, "quiet", None)) for error in outcomes] == [(Waiting, True)]
    assert same.attempts == [], "it costs no write"
    assert [channel["name"] for channel in world.discord.channels()].count("chat") == 3


def _interrupted(thing: Thing, *, made: bool) -> None:
    thing.world.discord.add_fault(Effect.DROP, method="POST", after_commit=made)
    with pytest.raises(AmbiguousCreate):
        thing.reconcile()
    thing.annotate(attempts.begun(thing.attempts[-1], replaces=None))


@pytest.mark.parametrize("adoption", ["Refuse", "ByName"])
@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("kind", ["Channel", "Role"])
@pytest.mark.parametrize("by", ["id", "reference", "lost reference"])
def test_what_another_attempt_may_have_made_is_neither_made_nor_taken(
    world: World, adoption: str, made: bool, kind: str, by: str
) -> None:
    world.configure(adoption=adoption)
    first = world.channel("general") if kind == "Channel" else world.role("general")
    world.guild(external_name=world.guild_id)
    _interrupted(first, made=made)
    if by != "id":
        first.spec(guildId=None, guildIdRef={"name": "guild" if by == "reference" else "gone"})
    world.advance(3)
    second = _another(world, kind)
    with pytest.raises(Waiting, match=f"{kind} default/general has begun"):
        second.reconcile()
    assert second.attempts == [], "no attempt is begun"
    assert meta.EXTERNAL_NAME not in second.obj["metadata"]["annotations"]
    first.spec(guildId=world.guild_id, guildIdRef=None)
    world.advance(61)
    resolution = first.resolve()
    assert resolution.verdict is (Verdict.FOUND if made else Verdict.MISSED)
    first.annotate(
        attempts.succeeded(resolution.external_name, world.wall())
        if resolution.external_name
        else attempts.failed(world.wall())
    )
    if made:
        first.settle()
        with pytest.raises(Blocked, match="default/general"):
            second.reconcile()
    else:
        second.settle()
    listed = world.discord.channels() if kind == "Channel" else world.discord.roles()
    assert [one["name"] for one in listed].count("general") == 1


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"name": "lobby"}, "another name"),
        ({"type": "voice"}, "another type"),
        ({"parentId": "cat"}, "another place"),
        ({"guildId": "1" * 18}, "another guild"),
    ],
)
def test_an_attempt_at_something_else_holds_up_nobody(
    world: World, spec: dict[str, str], reason: str
) -> None:
    wing = world.discord.create_channel({"name": "wing", "type": 4})
    first = world.channel("general")
    first.spec(**{key: wing["id"] if value == "cat" else value for key, value in spec.items()})
    first.annotate(attempts.begun(Attempt(id="lost", started=world.wall()), replaces=None))
    _another(world, "Channel").settle()
    assert "general" in [channel["name"] for channel in world.discord.channels()], reason


@pytest.mark.parametrize("how", ["another config", "a namespace without rights", "settled", "CreateNew"])
def test_only_an_attempt_that_may_be_true_holds_up(world: World, how: str) -> None:
    first = world.channel("general")
    first.annotate(attempts.begun(Attempt(id="lost", started=world.wall()), replaces=None))
    if how == "another config":
        first.obj["spec"]["providerConfigRef"]["name"] = "other"
        first.spec()
    elif how == "a namespace without rights":
        first.obj["metadata"]["namespace"] = "elsewhere"
        first.spec()
        world.stores[first.resource].remove(
            {**first.obj, "metadata": {**first.obj["metadata"], "namespace": "default"}}
        )
        world.configure(allowedNamespaces=["default"])
    elif how == "settled":
        first.annotate({meta.EXTERNAL_NAME: "1" * 18})
    else:
        world.configure(adoption="CreateNew")
    _another(world, "Channel").settle()


def test_what_an_attempt_made_after_an_older_manifest_is_not_adopted_by_its_name(world: World) -> None:
    world.configure(adoption="ByName")
    first = world.channel("general")
    _interrupted(first, made=True)
    first.annotate(attempts.begun(replace(first.attempts[-1], generation=7), replaces=None))
    first.spec(name="lobby")
    world.advance(3)
    with pytest.raises(Waiting, match="default/general"):
        _another(world, "Channel").reconcile()


def test_of_two_attempts_at_one_name_each_is_resolved_and_the_elder_goes_first(world: World) -> None:
    first, second = world.channel("general"), _another(world, "Channel")
    second.obj["metadata"]["creationTimestamp"] = "2026-11-22T09:30:00Z"
    for thing in (first, second):
        thing.attempts.append(Attempt(id=f"lost-{thing.mr.uid}", started=world.wall()))
        thing.annotate(attempts.begun(thing.attempts[-1], replaces=None))
    waits = []
    for thing in (first, second):
        with pytest.raises(Waiting) as told:
            thing.connect().create(thing.mr, thing.attempts[-1])
        waits.append(told.value.retry_after)
        assert thing.resolve().verdict is Verdict.MISSED
    assert waits == [1.0, 3.0], "who is refused because another one is creating comes in between"
    for thing in (first, second):
        thing.annotate(attempts.failed(world.wall()))
    first.settle()
    with pytest.raises(Blocked, match="default/general"):
        second.reconcile()


def test_a_name_can_be_taken_once() -> None:
    making = Making()
    assert making.begin("a")
    assert making.taken("a")
    assert not making.begin("a")
    assert making.begin("b")
    making.end("a")
    assert making.begin("a")
