"""What must never happen to a channel: a second one beside it, a deletion that loses something, a guess."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from provider_discord.kube.workqueue import Priority
from provider_discord.managed.errors import Blocked
from provider_discord.managed.external import Attempt, Change, Observation
from provider_discord.simulator import HiddenGet, HiddenList, Permission

if TYPE_CHECKING:
    from tests.unit.kinds.conftest import Thing, World

VIEW = 1 << 10
_WITHOUT_AUDIT_LOG = int(Permission.MANAGE_CHANNELS | Permission.MANAGE_ROLES | Permission.VIEW_CHANNEL)
_WITH_AUDIT_LOG = _WITHOUT_AUDIT_LOG | int(Permission.VIEW_AUDIT_LOG)


# The same name.


@pytest.mark.parametrize(
    ("theirs", "ours", "refused", "reason"),
    [
        ({"name": "general", "type": 0}, {}, True, "the very same"),
        ({"name": "general", "type": 5}, {}, True, "announcement and text are one class"),
        ({"name": "general", "type": 2}, {}, False, "a voice channel is something else"),
        ({"name": "general", "type": 0}, {"name": "General"}, True, "Discord makes them the same"),
        ({"name": "general", "type": 0, "parent_id": "cat"}, {}, True, "no parent given: any will do"),
        ({"name": "general", "type": 0, "parent_id": "cat"}, {"parentId": ""}, False, "another parent"),
    ],
)
def test_a_channel_of_the_same_name_is_refused(
    world: World, theirs: dict[str, Any], ours: dict[str, Any], refused: bool, reason: str
) -> None:
    world.discord.set_guild(features=["COMMUNITY", "NEWS"])
    world.discord.create_channel({"name": "cat", "type": 4})
    there = world.discord.create_channel(theirs)
    thing = world.channel(**{"name": "general", **ours})
    if not refused:
        thing.settle()
        assert len(world.discord.channels()) == 3, reason
        return
    with pytest.raises(Blocked, match=there["id"]) as error:
        thing.reconcile()
    assert error.value.reason == "SameNameExists"
    assert "crossplane.io/external-name" in str(error.value)
    assert "spec.adoption" in str(error.value)
    assert world.requests(writes=True) == [], reason


def test_by_name_adopts_the_only_match_and_puts_it_right(world: World) -> None:
    world.configure(adoption="ByName")
    there = world.discord.create_channel({"name": "general", "type": 0, "topic": "old"})
    thing = world.channel("general", topic="new")
    thing.settle()
    assert thing.id == there["id"]
    assert world.discord.channel("general")["topic"] == "new"
    assert [write["method"] for write in world.requests(writes=True)] == ["PATCH"]


def test_by_name_refuses_to_choose(world: World) -> None:
    world.configure(adoption="ByName")
    for _ in range(2):
        world.discord.create_channel({"name": "general", "type": 0})
    with pytest.raises(Blocked, match="2 channels"):
        world.channel("general").reconcile()


@pytest.mark.parametrize(("adoption", "refused"), [("Refuse", True), ("ByName", False)])
def test_one_made_by_hand_in_place_of_ours_is_refused_or_adopted(
    world: World, adoption: str, refused: bool
) -> None:
    thing = world.channel("general", topic="ours")
    thing.settle()
    world.configure(adoption=adoption)
    world.discord.delete_channel("general")
    theirs = world.discord.create_channel({"name": "general", "type": 0})
    world.advance(61)
    if refused:
        with pytest.raises(Blocked, match=theirs["id"]):
            thing.reconcile(Priority.POLL)
    else:
        thing.settle(Priority.POLL)
        assert thing.id == theirs["id"]
    assert len(world.discord.channels()) == 1


def test_what_another_object_has_just_made_is_not_adopted_before_it_is_claimed(world: World) -> None:
    world.configure(adoption="ByName")
    first = world.channel("general")
    external = first.connect()
    external.create(first.mr, Attempt(id="a", started=world.wall()))
    second = world.make("Channel", "other", {"name": "general", "type": "text", "guildId": world.guild_id})
    assert not second.observe().exists


def test_create_new_makes_another_one(world: World) -> None:
    world.configure(adoption="CreateNew")
    there = world.discord.create_channel({"name": "general", "type": 0})
    thing = world.channel("general")
    thing.settle()
    assert thing.id != there["id"]


def test_what_another_object_claims_is_no_stranger(world: World) -> None:
    world.channel("general").settle()
    second = world.make(
        "Channel", "general-2", {"name": "general", "type": "text", "guildId": world.guild_id}
    )
    second.settle()
    assert len([c for c in world.discord.channels() if c["name"] == "general"]) == 2


def test_the_annotation_adopts(world: World) -> None:
    there = world.discord.create_channel({"name": "lobby", "type": 0})
    thing = world.channel("general", external_name=there["id"])
    thing.settle()
    assert world.discord.channel(there["id"])["name"] == "general"


# External names that are not ours.


def test_an_external_name_of_another_type_is_refused_also_for_deletion(world: World) -> None:
    there = world.discord.create_channel({"name": "Lounge", "type": 2})
    thing = world.channel("general", external_name=there["id"])
    for attempt in (thing.reconcile, thing.mark_deleted().reconcile):
        with pytest.raises(Blocked) as refused:
            attempt()
        assert refused.value.reason == "ExternalNameInvalid"
    assert world.requests(writes=True) == []


def test_an_external_name_of_another_guild_is_refused(world: World) -> None:
    other = world.discord.create_guild("other")
    there = world.discord.create_channel({"name": "general", "type": 0}, guild=other["id"])
    thing = world.channel("general", external_name=there["id"])
    with pytest.raises(Blocked, match=other["id"]) as refused:
        thing.reconcile()
    assert refused.value.reason == "ExternalNameInvalid"


def test_an_external_name_of_a_role_is_refused(world: World) -> None:
    role = world.discord.create_role({"name": "helper"})
    thing = world.channel("general", external_name=role["id"])
    with pytest.raises(Blocked, match="role"):
        thing.reconcile()


def test_another_guild_in_the_manifest_is_refused(world: World) -> None:
    other = world.discord.create_guild("other")
    thing = world.channel("general")
    thing.settle()
    thing.spec(guildId=other["id"])
    with pytest.raises(Blocked, match="guildId") as refused:
        thing.reconcile()
    assert refused.value.field == "forProvider.guildId"


def test_a_guild_that_the_config_does_not_allow_is_out_of_reach(world: World) -> None:
    world.configure(allowedGuilds=["123456789012345678"])
    with pytest.raises(Blocked, match="allowedGuilds") as refused:
        world.channel("general").reconcile()
    assert refused.value.reason == "NotAllowed"
    assert world.requests(method="GET", route="/guilds/{guild_id}") == []


def test_a_guild_that_the_bot_is_not_in_is_asked_for_once_by_all(world: World) -> None:
    things = [world.channel(f"c{number}") for number in range(5)]
    world.discord.remove_bot()
    for thing in things:
        with pytest.raises(Blocked, match="oauth2/authorize") as refused:
            thing.reconcile(Priority.POLL)
        assert refused.value.reason == "NotInGuild"
    assert len(world.requests(route="/guilds/{guild_id}")) == 1


# Deleting.


def _delete(thing: Thing) -> Observation | Change:
    return thing.mark_deleted().reconcile()


def test_an_empty_channel_is_deleted(world: World) -> None:
    thing = world.channel("general")
    thing.settle()
    assert isinstance(_delete(thing), Change)
    assert world.discord.channels() == []
    seen = thing.reconcile()
    assert isinstance(seen, Observation)
    assert not seen.exists


@pytest.mark.parametrize(("kind", "word"), [("text", "messages"), ("forum", "posts"), ("voice", "messages")])
def test_a_channel_that_was_written_in_is_not_deleted(world: World, kind: str, word: str) -> None:
    world.discord.set_guild(features=["COMMUNITY"])
    thing = world.channel("general", type=kind)
    thing.settle()
    world.discord.post_message("general")
    with pytest.raises(Blocked, match=word) as refused:
        _delete(thing)
    assert refused.value.reason == "DeletionGuarded"
    assert "allowDelete" in str(refused.value)
    assert "managementPolicies" in str(refused.value)
    assert len(world.discord.channels()) == 1
    thing.spec(allowDelete=True).reconcile()
    assert world.discord.channels() == []


def test_a_message_posted_after_the_last_look_is_seen(world: World) -> None:
    thing = world.channel("general")
    thing.settle()
    thing.observe()
    world.discord.post_message("general")
    with pytest.raises(Blocked, match="messages"):
        _delete(thing)


def test_a_channel_that_can_no_longer_be_reached_says_how_its_object_can_go(world: World) -> None:
    thing = world.channel("general")
    thing.settle()
    world.discord.remove_bot()
    world.advance(61)
    with pytest.raises(Blocked, match="managementPolicies") as refused:
        _delete(thing)
    assert refused.value.reason == "NotInGuild"


def test_discords_refusal_to_delete_says_how_the_object_can_go(world: World) -> None:
    thing = world.channel("general")
    thing.settle()
    world.discord.set_guild(features=["COMMUNITY"], rules_channel_id=thing.id)
    with pytest.raises(Blocked, match="managementPolicies") as refused:
        _delete(thing)
    assert str(refused.value).endswith("(50074)")


def test_a_category_is_deleted_and_its_children_stay(world: World) -> None:
    category = world.channel("staff", type="category")
    category.settle()
    child = world.channel("plans", parentId=category.id)
    child.settle()
    _delete(category)
    assert [c["name"] for c in world.discord.channels()] == ["plans"]


def test_a_channel_that_a_community_requires_is_not_deleted(world: World) -> None:
    thing = world.channel("rules")
    thing.settle()
    world.discord.set_guild(features=["COMMUNITY"], rules_channel_id=thing.id)
    world.advance(3)
    with pytest.raises(Blocked, match="rules channel"):
        _delete(thing)


def test_deleting_falls_back_on_the_guild_that_the_status_shows(world: World) -> None:
    thing = world.channel("general")
    thing.settle()
    thing.spec(guildId=None, type="nonsense")
    _delete(thing)
    assert world.discord.channels() == []


def test_an_object_without_external_name_goes_without_a_request(world: World) -> None:
    thing = world.channel("general")
    mark = world.mark()
    seen = _delete(thing)
    assert isinstance(seen, Observation)
    assert not seen.exists
    assert world.requests(since=mark) == []


# Missing is not deleted.


@pytest.mark.parametrize("permissions", [8, _WITH_AUDIT_LOG])
def test_a_deletion_that_can_be_seen_is_put_back(world: World, permissions: int) -> None:
    world.discord.set_bot_permissions(permissions)
    thing = world.channel("general")
    thing.settle()
    before = thing.id
    world.discord.delete_channel("general")
    world.advance(61)
    thing.settle(Priority.POLL)
    assert thing.id != before
    assert [c["name"] for c in world.discord.channels()] == ["general"]


@pytest.mark.parametrize("hidden_get", list(HiddenGet))
@pytest.mark.parametrize("hidden_list", list(HiddenList))
@pytest.mark.parametrize("permissions", [_WITHOUT_AUDIT_LOG, _WITH_AUDIT_LOG])
def test_a_hidden_channel_is_never_taken_for_gone(
    world: World, hidden_get: HiddenGet, hidden_list: HiddenList, permissions: int
) -> None:
    world.discord.set_behaviour(hidden_get=str(hidden_get), hidden_list=str(hidden_list))
    world.discord.set_bot_permissions(permissions)
    thing = world.channel("general", topic="ours")
    thing.settle()
    world.discord.hide_channel("general")
    mark = world.mark()
    for _ in range(3):
        world.advance(61)
        with pytest.raises(Blocked) as refused:
            thing.reconcile(Priority.POLL)
        assert refused.value.reason == "HiddenOrGone"
    assert "View Channel" in str(refused.value)
    thing.mark_deleted()
    with pytest.raises(Blocked, match="managementPolicies"):
        thing.reconcile()
    assert world.writes_since(mark) == []
    assert len(world.discord.channels()) == 1


def test_hidden_channels_cost_one_probe_a_guild_and_poll(world: World) -> None:
    world.discord.set_bot_permissions(_WITHOUT_AUDIT_LOG)
    things = [world.channel(f"c{number}") for number in range(5)]
    for thing in things:
        thing.settle()
        world.discord.hide_channel(thing.id)
    for _ in range(2):
        world.advance(61)
        mark = world.mark()
        for thing in things:
            with pytest.raises(Blocked):
                thing.reconcile(Priority.POLL)
        assert len(world.requests(since=mark, route="/channels/{channel_id}")) == 1
        assert len(world.requests(since=mark)) == 3


def test_many_deletions_are_seen_at_once_in_the_audit_log(world: World) -> None:
    things = [world.channel(f"c{number}") for number in range(5)]
    for thing in things:
        thing.settle()
        world.discord.delete_channel(thing.id)
    world.advance(61)
    for thing in things:
        thing.settle(Priority.POLL)
    assert len(world.discord.channels()) == 5


def test_gone_without_proof_is_said_with_the_permission_that_would_tell(world: World) -> None:
    world.discord.set_bot_permissions(_WITHOUT_AUDIT_LOG)
    thing = world.channel("general")
    thing.settle()
    world.discord.delete_channel("general")
    world.advance(61)
    with pytest.raises(Blocked, match="View Audit Log") as refused:
        thing.reconcile(Priority.POLL)
    assert refused.value.reason == "HiddenOrGone"
    assert world.discord.channels() == []


def test_a_channel_shown_again_is_put_right(world: World) -> None:
    world.discord.set_bot_permissions(_WITHOUT_AUDIT_LOG)
    thing = world.channel("general", topic="ours")
    thing.settle()
    world.discord.hide_channel("general")
    world.advance(61)
    with pytest.raises(Blocked):
        thing.reconcile(Priority.POLL)
    world.discord.delete_overwrite("general", "everyone")
    world.discord.edit_channel("general", {"topic": "theirs"})
    world.advance(61)
    thing.settle(Priority.POLL)
    assert world.discord.channel("general")["topic"] == "ours"
