"""What must never happen to a channel: a second one beside it, a deletion that loses something, a guess."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from provider_discord.kinds.audit_log import Action
from provider_discord.kube.workqueue import Priority
from provider_discord.managed.errors import Blocked, Waiting
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


def test_the_annotation_adopts(world: World) -> None:
    there = world.discord.create_channel({"name": "lobby", "type": 0})
    thing = world.channel("general", external_name=there["id"])
    thing.settle()
    assert world.discord.channel(there["id"])["name"] == "general"


# External names that are not ours.


def test_an_external_name_of_another_type_is_refused_and_let_go(world: World) -> None:
    there = world.discord.create_channel({"name": "Lounge", "type": 2})
    thing = world.channel("general", external_name=there["id"])
    with pytest.raises(Blocked) as refused:
        thing.reconcile()
    assert refused.value.reason == "ExternalNameInvalid"
    left = thing.mark_deleted().reconcile()
    assert isinstance(left, Observation)
    assert there["id"] in left.let_go
    assert world.requests(writes=True) == []


def test_a_channel_whose_type_was_changed_by_the_manifest_is_not_deleted(world: World) -> None:
    thing = world.channel("general")
    thing.settle()
    thing.spec(type="voice")
    for attempt in (thing.reconcile, thing.mark_deleted().reconcile):
        with pytest.raises(Blocked) as refused:
            attempt()
        assert refused.value.reason == "ExternalNameInvalid"
    assert len(world.discord.channels()) == 1


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


_NOBODYS = "123456789012345678"
_NEVER = 100_000


def test_an_id_that_no_channel_ever_had_is_refused_and_stays_so(world: World) -> None:
    thing = world.channel("general", external_name=_NOBODYS)
    for _ in range(3):
        with pytest.raises(Blocked, match=f"no channel {_NOBODYS} is known") as refused:
            thing.reconcile(Priority.POLL)
        assert refused.value.reason == "ExternalNameInvalid"
        assert "crossplane.io/external-name" in str(refused.value)
        world.advance(61)
    assert world.requests(writes=True) == []


def test_a_wrong_digit_in_the_id_of_a_channel_of_ours_is_refused(world: World) -> None:
    thing = world.channel("general")
    thing.settle()
    right, mark = thing.id, world.mark()
    thing.annotate({"crossplane.io/external-name": str(int(right) + 1)})
    with pytest.raises(Blocked, match=f'"{right}" back') as refused:
        thing.reconcile()
    assert refused.value.reason == "ExternalNameChanged"
    assert world.writes_since(mark) == []


def test_an_object_with_an_id_that_no_channel_has_can_be_deleted(world: World) -> None:
    thing = world.channel("general", external_name=_NOBODYS)
    with pytest.raises(Blocked):
        thing.reconcile()
    seen = thing.mark_deleted().reconcile()
    assert isinstance(seen, Observation)
    assert not seen.exists


def test_that_one_object_never_saw_it_does_not_keep_another_that_did_from_making_it_again(
    world: World,
) -> None:
    ours = world.channel("general")
    ours.settle()
    world.discord.set_behaviour(audit_log_lag_seconds=_NEVER)
    world.discord.delete_channel("general")
    stranger = world.make("Channel", "copy", {**ours.mr.for_provider, "name": "copy"}, external_name=ours.id)
    world.advance(61)
    with pytest.raises(Blocked) as refused:
        stranger.reconcile(Priority.POLL)
    assert refused.value.reason == "ExternalNameInvalid"
    ours.settle(Priority.POLL)
    assert [c["name"] for c in world.discord.channels()] == ["general"]


def test_a_channel_of_ours_that_is_gone_before_its_status_is_written_is_made_again(world: World) -> None:
    thing = world.channel("general")
    thing.reconcile()
    del thing.obj["status"]["atProvider"]
    world.discord.set_behaviour(audit_log_lag_seconds=_NEVER)
    world.discord.delete_channel("general")
    world.advance(61)
    thing.settle(Priority.POLL)
    assert [c["id"] for c in world.discord.channels()] == [thing.id]


@pytest.mark.parametrize(("logged", "reason"), [(True, "its deletion is seen"), (False, "nothing tells")])
def test_a_channel_restored_from_a_backup_without_status_is_made_again_only_if_its_deletion_is_seen(
    world: World, logged: bool, reason: str
) -> None:
    there = world.discord.create_channel({"name": "general", "type": 0})
    if not logged:
        world.discord.set_behaviour(audit_log_lag_seconds=_NEVER)
    world.discord.delete_channel("general")
    thing = world.channel("general", external_name=there["id"])
    if logged:
        thing.settle()
        assert [c["id"] for c in world.discord.channels()] == [thing.id], reason
        return
    with pytest.raises(Blocked) as refused:
        thing.reconcile()
    assert refused.value.reason == "ExternalNameInvalid", reason


def test_a_deletion_that_is_seen_only_when_it_is_another_objects_turn_is_seen_later(world: World) -> None:
    there = world.discord.create_channel({"name": "general", "type": 0})
    with pytest.raises(Blocked):
        world.channel(
            "other", external_name=_NOBODYS
        ).reconcile()  # Takes the guild's turn to be looked into.
    world.discord.delete_channel("general")
    world.advance(30)
    thing = world.channel("general", external_name=there["id"])
    with pytest.raises(Blocked) as refused:
        thing.reconcile(Priority.RETRY)
    assert refused.value.reason == "HiddenOrGone"
    world.advance(61)
    thing.settle(Priority.POLL)
    assert [c["name"] for c in world.discord.channels()] == ["general"]


def test_a_deletion_that_the_audit_log_shows_late_is_still_seen(world: World) -> None:
    there = world.discord.create_channel({"name": "general", "type": 0})
    world.discord.delete_channel("general")
    world.session.connection.visibility.may_read(f"{Action.CHANNEL_DELETE.name} of {world.guild_id}")
    thing = world.channel("general", external_name=there["id"])
    with pytest.raises(Blocked) as refused:
        thing.reconcile()
    assert refused.value.reason == "ExternalNameInvalid"
    world.advance(61)
    thing.settle(Priority.POLL)
    assert [c["name"] for c in world.discord.channels()] == ["general"]


# The annotation is lost.


@pytest.mark.parametrize("adoption", ["Refuse", "ByName", "CreateNew"])
def test_a_channel_whose_object_lost_its_annotation_is_known_again_by_the_status(
    world: World, adoption: str
) -> None:
    world.configure(adoption=adoption)
    thing = world.channel("general")
    thing.settle()
    ours = thing.id
    world.discord.create_channel({"name": "general", "type": 0})
    thing.annotate({"crossplane.io/external-name": None}).spec(topic="new").settle()
    assert thing.id == ours
    assert world.discord.channel(ours)["topic"] == "new"
    assert len(world.discord.channels()) == 2


def test_what_an_object_only_observed_is_no_channel_of_its_own(world: World) -> None:
    theirs = world.discord.create_channel({"name": "theirs", "type": 0})["id"]
    thing = world.channel("general", external_name=theirs)
    thing.obj["status"] = {"atProvider": {"id": theirs, "guildId": world.guild_id}, "observedOnly": True}
    thing.annotate({"crossplane.io/external-name": None}).settle()
    assert thing.id != theirs
    assert world.discord.channel(theirs)["name"] == "theirs"


def test_an_annotation_put_back_to_an_older_channel_that_is_gone_finds_the_newer_one(world: World) -> None:
    world.configure(adoption="CreateNew")
    thing = world.channel("general")
    thing.settle()
    first = thing.id
    world.discord.delete_channel("general")
    world.advance(61)
    thing.settle(Priority.POLL)
    second = thing.id
    thing.annotate({"crossplane.io/external-name": first}).settle()
    assert thing.id == second
    assert len(world.discord.channels()) == 1


def test_what_the_status_shows_is_left_to_whoever_claims_it_by_now(world: World) -> None:
    world.configure(adoption="CreateNew")
    thing = world.channel("general")
    thing.settle()
    ours = thing.id
    thing.annotate({"crossplane.io/external-name": None})
    world.make("Channel", "other", dict(thing.mr.for_provider), external_name=ours).settle()
    world.advance(61)
    thing.settle()
    assert thing.id != ours


def test_a_hidden_channel_whose_annotation_is_removed_is_made_anew(world: World) -> None:
    """The way out that the condition names."""
    world.discord.set_bot_permissions(_WITH_AUDIT_LOG)
    thing = world.channel("general")
    thing.settle()
    hidden = thing.id
    world.discord.hide_channel("general")
    world.advance(61)
    with pytest.raises(Blocked):
        thing.reconcile(Priority.POLL)
    thing.annotate({"crossplane.io/external-name": None}).settle()
    assert thing.id != hidden


def test_a_channel_that_the_list_shows_just_before_the_create_is_not_made_twice(world: World) -> None:
    world.configure(adoption="CreateNew")
    thing = world.channel("general")
    thing.settle()
    thing.annotate({"crossplane.io/external-name": None})
    external = thing.connect()
    with pytest.raises(Waiting, match="after all"):
        external.create(thing.mr, Attempt(id="a", started=world.wall()))
    assert len(world.discord.channels()) == 1


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


# Categories.


@pytest.mark.parametrize(
    ("child", "reason"),
    [
        (None, "a stranger's: nobody has decided that it goes"),
        ({}, "one of ours that is not deleted"),
        ({"deleted": True}, "it goes too, but is not gone yet"),
        ({"deleted": True, "message": True}, "its messages keep it"),
        (
            {"deleted": True, "message": True, "allowDelete": True},
            "they do not any more, but it is not gone yet",
        ),
        ({"deleted": True, "thread": True}, "a thread keeps it, and leaves no message"),
        ({"deleted": True, "rules": True}, "a Community guild must have it"),
        ({"deleted": True, "policies": ["Observe", "Create", "Update"]}, "only its object goes"),
    ],
)
def test_a_category_that_holds_channels_is_not_deleted(
    world: World, child: dict[str, Any] | None, reason: str
) -> None:
    wing = world.channel("wing", type="category")
    wing.settle()
    if child is None:
        world.discord.create_channel({"name": "inside", "parent_id": wing.id})
    else:
        allow: dict[str, Any] = {"allowDelete": True} if child.get("allowDelete") else {}
        inside = world.channel("inside", parentId=wing.id, **allow)
        inside.settle()
        inside.obj["spec"]["managementPolicies"] = child.get("policies", ["*"])
        if child.get("deleted"):
            inside.mark_deleted()
        if child.get("message"):
            world.discord.post_message("inside", "hello")
        if child.get("thread"):
            world.discord.start_thread("inside", "aside")
        if child.get("rules"):
            rules = {"rules_channel_id": inside.id, "public_updates_channel_id": inside.id}
            world.discord.edit_guild({"features": ["COMMUNITY"], **rules})
    wing.mark_deleted()
    with pytest.raises(Blocked, match="inside") as error:
        wing.reconcile()
    assert error.value.reason == "DeletionGuarded", reason
    assert {c["name"] for c in world.discord.channels()} == {"wing", "inside"}
    wing.spec(allowDelete=True)
    assert wing.reconcile() == Change()
    assert [c["name"] for c in world.discord.channels()] == ["inside"]


def test_a_category_goes_when_the_last_channel_in_it_is_gone(world: World) -> None:
    wing = world.channel("wing", type="category")
    wing.settle()
    inside = [world.channel(f"inside{n}", parentId=wing.id) for n in range(2)]
    for one in inside:
        one.settle()
    wing.mark_deleted()
    for one in inside:
        with pytest.raises(Blocked, match="inside1"):
            wing.reconcile()
        assert one.mark_deleted().reconcile() == Change()
    assert wing.reconcile() == Change()
    assert world.discord.channels() == []


def test_categories_that_are_not_deleted_cost_a_poll_nothing(world: World) -> None:
    """However many there are, and however their polls are spread: what the shared picture tells is not asked for."""
    wings = [world.channel(f"wing{n}", type="category") for n in range(10)]
    for wing in wings:
        wing.settle()
        world.discord.create_channel({"name": "inside", "parent_id": wing.id})
    world.advance(61)
    mark = world.mark()
    for wing in wings:
        wing.mark_deleted()
        with pytest.raises(Blocked, match="inside"):
            wing.reconcile(Priority.POLL)
        world.advance(5)
    assert [request["method"] for request in world.requests(since=mark)] == ["GET", "GET"]


def test_a_channel_that_came_into_a_category_since_the_last_look_keeps_it(world: World) -> None:
    wing = world.channel("wing", type="category")
    wing.settle()
    external = wing.mark_deleted().connect()
    observed = external.observe(wing.mr)
    world.discord.create_channel({"name": "inside", "parent_id": wing.id})
    with pytest.raises(Blocked, match="inside"):
        external.delete(wing.mr, observed)


def test_what_was_not_looked_for_yet_is_told_so(world: World) -> None:
    """One channel is looked for in a poll; to remove the annotation meanwhile would make a second channel."""
    one, two = (world.channel(f"c{n}", external_name=str(int(_NOBODYS) + n)) for n in range(2))
    with pytest.raises(Blocked, match="no channel"):
        one.reconcile()
    with pytest.raises(Blocked, match="not looked for yet") as error:
        two.reconcile()
    assert "remove" not in str(error.value)
    world.discord.set_bot_permissions(_WITHOUT_AUDIT_LOG)
    world.advance(3600)
    with pytest.raises(Blocked, match="typo"):
        two.reconcile()
