"""Roles: made complete and without borrowed permissions, @everyone and managed ones handled, guarded deletion."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from provider_discord.apis.crds import crd
from provider_discord.apis.kinds import CHANNEL, GUILD, ROLE
from provider_discord.discord.client import DiscordClient
from provider_discord.kube.errors import Forbidden
from provider_discord.kube.resource import Key
from provider_discord.kube.workqueue import Priority
from provider_discord.managed.errors import AmbiguousCreate, Blocked, ExternalFailure, Waiting
from provider_discord.managed.external import Attempt, Change, Observation, Verdict
from provider_discord.simulator import Effect, Permission

if TYPE_CHECKING:
    from tests.unit.kinds.conftest import World

EXTERNAL_NAME = "crossplane.io/external-name"
VIEW = 1 << 10
SEND = 1 << 11
_UNKNOWN_BIT = 1 << 60
_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_PNG_URI = f"data:image/png;base64,{base64.b64encode(_PNG).decode()}"


def test_a_role_is_created_with_everything_in_one_call_and_then_left_alone(world: World) -> None:
    thing = world.role(
        "helper", permissionNames=["VIEW_CHANNEL"], color="#ff0000", hoist=True, mentionable=True
    )
    thing.settle()
    assert [write["method"] for write in world.requests(writes=True)] == ["POST"]
    made = world.discord.role("helper")
    assert (made["permissions"], made["color"], made["hoist"], made["mentionable"]) == (
        str(VIEW),
        0xFF0000,
        True,
        True,
    )
    mark = world.mark()
    world.advance(61)
    thing.settle(Priority.POLL)
    assert world.writes_since(mark) == []
    assert thing.at_provider["permissionNames"] == ["VIEW_CHANNEL"]
    assert thing.at_provider["guildId"] == world.guild_id


def test_a_role_without_permissions_in_its_manifest_gets_none_at_all(world: World) -> None:
    world.role("helper").settle()
    (write,) = world.requests(writes=True)
    assert write["body"] == {"name": "helper", "permissions": "0"}
    assert world.discord.role("helper")["permissions"] == "0"


@pytest.mark.parametrize(
    ("fields", "change", "body", "reason"),
    [
        ({}, {"hoist": True}, {"hoist": True}, "one boolean"),
        ({}, {"name": "aide"}, {"name": "aide"}, "a name"),
        ({"color": 5}, {"color": 0}, {"color": 0}, "a colour is taken away"),
        ({"permissions": str(VIEW)}, {"permissions": VIEW | SEND}, {"permissions": str(VIEW | SEND)}, "bits"),
        ({"permissions": "1024"}, {"permissions": 1024}, None, "the same bits in another form"),
        ({"permissionNames": ["VIEW_CHANNEL"]}, {"permissionNames": []}, {"permissions": "0"}, "none at all"),
    ],
)
def test_a_patch_holds_only_what_differs(
    world: World, fields: dict[str, Any], change: dict[str, Any], body: dict[str, Any] | None, reason: str
) -> None:
    thing = world.role("helper", **fields)
    thing.settle()
    mark = world.mark()
    thing.spec(**change).settle()
    assert [write["body"] for write in world.writes_since(mark)] == ([] if body is None else [body]), reason


def test_gradient_colours_are_compared_as_a_whole(world: World) -> None:
    world.discord.set_guild(features=["ENHANCED_ROLE_COLORS"])
    thing = world.role("shiny", colors={"primaryColor": "#010203", "secondaryColor": 9})
    thing.settle()
    mark = world.mark()
    thing.spec(colors={"primaryColor": "#010203"}).settle()
    (write,) = world.writes_since(mark)
    assert write["body"] == {
        "colors": {"primary_color": 0x010203, "secondary_color": None, "tertiary_color": None}
    }


def test_bits_that_this_release_does_not_know_are_kept(world: World) -> None:
    thing = world.role("helper", permissionNames=["VIEW_CHANNEL"])
    thing.settle()
    world.discord.edit_role(thing.id, {"permissions": str(VIEW | _UNKNOWN_BIT)})
    world.advance(61)
    mark = world.mark()
    thing.settle(Priority.POLL)
    assert world.writes_since(mark) == [], "a bit without a name is no drift"


def test_a_role_deleted_by_hand_is_made_again(world: World) -> None:
    thing = world.role("helper")
    thing.settle()
    before = thing.id
    world.discord.delete_role("helper")
    world.advance(61)
    thing.settle(Priority.POLL)
    assert thing.id != before
    assert world.discord.role("helper")["id"] == thing.id


def test_a_role_restored_from_a_backup_without_status_is_made_again_if_the_audit_log_shows_its_end(
    world: World,
) -> None:
    there = world.discord.create_role({"name": "helper"})
    world.discord.delete_role("helper")
    thing = world.role("helper", external_name=there["id"])
    thing.settle()
    assert thing.id != there["id"]


def test_an_external_name_that_never_was_a_role_of_the_guild_is_refused(world: World) -> None:
    channel = world.discord.create_channel({"name": "general", "type": 0})
    other = world.discord.create_guild("other")
    foreign = world.discord.create_role({"name": "helper"}, guild=other["id"])
    for external_name in (channel["id"], foreign["id"]):
        with pytest.raises(Blocked) as refused:
            world.role("helper", external_name=external_name).reconcile()
        assert refused.value.reason == "ExternalNameInvalid"
    assert world.requests(writes=True) == []


def test_a_role_of_the_same_name_is_refused_or_adopted(world: World) -> None:
    there = world.discord.create_role({"name": "helper"})
    with pytest.raises(Blocked, match=there["id"]) as refused:
        world.role("helper").reconcile()
    assert refused.value.reason == "SameNameExists"
    world.configure(adoption="ByName")
    thing = world.role("helper", hoist=True)
    thing.settle()
    assert thing.id == there["id"]
    assert world.discord.role("helper")["hoist"] is True


@pytest.mark.parametrize("adoption", ["Refuse", "ByName", "CreateNew"])
def test_a_role_whose_object_lost_its_annotation_is_known_again_by_the_status(
    world: World, adoption: str
) -> None:
    world.configure(adoption=adoption)
    thing = world.role("helper")
    thing.settle()
    ours, before = thing.id, len(world.discord.roles())
    thing.annotate({EXTERNAL_NAME: None}).spec(name="aide").settle()
    assert thing.id == ours
    assert world.discord.role("aide")["id"] == ours
    assert len(world.discord.roles()) == before


def test_a_role_that_the_list_shows_just_before_the_create_is_not_made_twice(world: World) -> None:
    world.configure(adoption="CreateNew")
    thing = world.role("helper")
    thing.settle()
    thing.annotate({EXTERNAL_NAME: None})
    external, mark = thing.connect(), world.mark()
    with pytest.raises(Waiting, match="after all"):
        external.create(thing.mr, Attempt(id="a", started=world.wall()))
    assert world.writes_since(mark) == []


def test_an_object_that_stood_for_everyone_and_now_names_a_role_makes_that_role(world: World) -> None:
    thing = world.make("Role", "helper", {"guildId": world.guild_id, "everyone": True})
    thing.settle()
    thing.annotate({EXTERNAL_NAME: None}).spec(everyone=None, name="helper").settle()
    assert thing.id != world.guild_id


# @everyone and roles that belong to bots.


@pytest.mark.parametrize("fields", [{"everyone": True}, {"name": "@everyone"}])
def test_everyone_is_bound_to_the_guilds_id_and_only_its_permissions_are_written(
    world: World, fields: dict[str, Any]
) -> None:
    thing = world.make(
        "Role", "everyone", {"guildId": world.guild_id, "permissionNames": ["VIEW_CHANNEL"], **fields}
    )
    thing.settle()
    assert thing.id == world.guild_id
    (write,) = world.requests(writes=True)
    assert (write["method"], write["body"]) == ("PATCH", {"permissions": str(VIEW)})
    observed = thing.mark_deleted().reconcile()
    assert isinstance(observed, Observation)
    assert not observed.exists, "the object goes"
    assert world.discord.role(world.guild_id)["permissions"] == str(VIEW), "@everyone stays"


def test_what_everyone_does_not_have_is_ignored_with_a_warning(world: World) -> None:
    thing = world.make("Role", "everyone", {"guildId": world.guild_id, "everyone": True, "hoist": True})
    observed = thing.settle()
    assert "hoist" in observed.warnings[0]
    assert world.requests(writes=True) == []


def test_a_bots_own_role_is_neither_touched_nor_deleted_and_its_object_goes(world: World) -> None:
    own = next(role for role in world.discord.roles() if role["managed"])
    thing = world.role("whatever", external_name=own["id"], hoist=True)
    with pytest.raises(Blocked):
        thing.reconcile()
    observed = thing.mark_deleted().reconcile()
    assert isinstance(observed, Observation)
    assert not observed.exists
    assert world.requests(writes=True) == []


# What the bot may not do.


def test_a_role_above_the_bots_is_refused_without_a_request(world: World) -> None:
    boss = world.discord.create_role({"name": "boss"})
    own = next(role for role in world.discord.roles() if role["managed"])
    world.discord.move_roles([{"id": boss["id"], "position": own["position"] + 3}])
    thing = world.role("boss", external_name=boss["id"], hoist=True)
    with pytest.raises(Blocked, match="above") as refused:
        thing.reconcile()
    assert refused.value.reason == "MissingPermission"
    with pytest.raises(Blocked, match="managementPolicies"):
        thing.mark_deleted().reconcile()
    assert world.requests(writes=True) == []


def test_a_permission_that_the_bot_lacks_is_not_granted(world: World) -> None:
    world.discord.set_bot_permissions(int(Permission.MANAGE_ROLES))
    with pytest.raises(Blocked, match="BAN_MEMBERS"):
        world.role("helper", permissionNames=["BAN_MEMBERS"]).reconcile()
    assert world.requests(writes=True) == []


# Deleting.


def test_a_role_without_members_is_deleted(world: World) -> None:
    thing = world.role("helper")
    thing.settle()
    assert isinstance(thing.mark_deleted().reconcile(), Change)
    assert [role["name"] for role in world.discord.roles() if role["name"] == "helper"] == []


@pytest.mark.parametrize("show_zero", [True, False])
def test_a_role_that_members_have_is_not_deleted(world: World, show_zero: bool) -> None:
    world.discord.set_behaviour(member_counts_show_zero=show_zero)
    thing = world.role("helper")
    thing.settle()
    world.discord.add_member("Bob", roles=[thing.id])
    with pytest.raises(Blocked, match="a member has it") as refused:
        thing.mark_deleted().reconcile()
    assert refused.value.reason == "DeletionGuarded"
    assert "allowDelete" in str(refused.value)
    thing.spec(allowDelete=True).reconcile()
    assert not [role for role in world.discord.roles() if role["name"] == "helper"]


def test_when_the_members_cannot_be_counted_the_role_is_not_deleted(world: World) -> None:
    thing = world.role("helper")
    thing.settle()
    world.discord.add_fault(
        Effect.STATUS, status=400, route="/guilds/{guild_id}/roles/member-counts", times=0
    )
    with pytest.raises(Blocked, match="can't be told") as refused:
        thing.mark_deleted().reconcile()
    assert refused.value.reason == "DeletionGuarded"
    assert world.discord.role("helper")


@pytest.mark.parametrize(
    ("others", "deleted", "reason"),
    [
        ({}, True, "roles that nobody has are left out"),
        ({"1": 3}, True, "likewise"),
        ({"1": 3, "2": 0}, False, "roles that nobody has are shown, so leaving one out says nothing of it"),
    ],
)
def test_a_role_left_out_of_the_count_has_no_members_only_if_none_are_shown_with_zero(
    world: World, monkeypatch: pytest.MonkeyPatch, others: dict[str, int], deleted: bool, reason: str
) -> None:
    thing = world.role("helper")
    thing.settle()
    monkeypatch.setattr(DiscordClient, "role_member_counts", lambda *_args, **_options: others)
    thing.mark_deleted()
    if deleted:
        thing.reconcile()
    else:
        with pytest.raises(Blocked, match="can't be told") as refused:
            thing.reconcile()
        assert refused.value.reason == "DeletionGuarded"
    assert any(role["id"] == thing.id for role in world.discord.roles()) is not deleted, reason


# A lost answer.


def test_a_create_of_unknown_outcome_is_found(world: World) -> None:
    world.discord.add_fault(Effect.DROP, method="POST", after_commit=True)
    thing = world.role("helper")
    with pytest.raises(AmbiguousCreate):
        thing.reconcile()
    resolution = thing.resolve()
    assert resolution.verdict is Verdict.FOUND
    assert resolution.external_name == world.discord.role("helper")["id"]


# Icons.


def test_an_icon_from_a_config_map_is_sent_once(world: World) -> None:
    world.discord.set_guild(features=["ROLE_ICONS"])
    thing = world.role("helper", iconFrom={"configMapKeyRef": {"name": "icons", "key": "helper.png"}})
    with pytest.raises(Waiting, match="icons"):
        thing.reconcile()
    world.objects.held["ConfigMap", Key("default", "icons")] = {
        "binaryData": {"helper.png": base64.b64encode(_PNG).decode()}
    }
    thing.settle()
    assert world.requests(writes=True)[-1]["body"]["icon"] == _PNG_URI
    mark = world.mark()
    world.advance(61)
    thing.settle(Priority.POLL)
    assert world.writes_since(mark) == []


def test_an_icon_that_may_not_be_read_is_waited_for_and_tells_what_to_allow(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default the chart lets the provider read no namespace's ConfigMaps."""

    def forbid(*_: object) -> None:
        raise Forbidden(status=403, message="icons is forbidden")

    world.discord.set_guild(features=["ROLE_ICONS"])
    thing = world.role("helper", iconFrom={"configMapKeyRef": {"name": "icons", "key": "helper.png"}})
    monkeypatch.setattr(world.objects, "get", forbid)
    with pytest.raises(Waiting, match=r"rbac\.readNamespaces") as caught:
        thing.reconcile()
    assert "ConfigMap default/icons: RBAC forbids" in str(caught.value)
    assert world.requests(writes=True) == []


def test_all_that_a_status_shows_is_in_its_schema(world: World) -> None:
    """The API server drops what is not, and a status that never comes to what it shall be is written at each pass."""
    forum = world.channel("help", type="forum", availableTags=[{"name": "bug"}], requireTag=True)
    for definition, thing in (
        (GUILD, world.guild(external_name=world.guild_id, description="changed")),
        (ROLE, world.role("helper", color=1, permissionNames=["VIEW_CHANNEL"])),
        (CHANNEL, forum),
    ):
        thing.settle()
        (version,) = crd(definition)["spec"]["versions"]
        status = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
        assert set(thing.at_provider) - set(status["atProvider"]["properties"]) == set()
        assert "updatedAt" in thing.at_provider


def test_a_status_remembers_when_its_object_was_changed_and_the_process_need_not(world: World) -> None:
    thing = world.role("helper")
    thing.settle()
    first = thing.at_provider["updatedAt"]
    thing.observe()
    assert len(world.session.connection.written) == 0
    world.advance(61)
    assert thing.settle(Priority.POLL).at_provider == thing.at_provider
    thing.spec(hoist=True).settle()
    assert thing.at_provider["updatedAt"] > first


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 503, "after_commit": True}])
def test_after_a_change_without_an_answer_the_guild_is_looked_at_anew(
    world: World, fault: dict[str, Any]
) -> None:
    thing = world.role("helper")
    thing.settle()
    thing.spec(hoist=True)
    world.discord.add_fault(Effect.STATUS, method="PATCH", times=3, **fault)
    with pytest.raises(ExternalFailure):
        thing.reconcile()
    mark = world.mark()
    thing.settle()
    assert len(world.writes_since(mark)) == (0 if fault.get("after_commit") else 1)
    assert world.discord.role("helper")["hoist"] is True


def test_an_icon_whose_source_changed_is_no_drift_and_one_changed_by_hand_is(world: World) -> None:
    world.discord.set_guild(features=["ROLE_ICONS"])
    held = world.objects.held["ConfigMap", Key("default", "icons")] = {"data": {"icon": _PNG_URI}}
    thing = world.role("helper", iconFrom={"configMapKeyRef": {"name": "icons", "key": "icon"}})
    thing.settle()
    world.discord.edit_role(thing.id, {"icon": None})
    world.advance(61)
    assert [diff.own for diff in thing.observe().diff] == [False]
    thing.settle()
    held["data"]["icon"] = "data:image/gif;base64,R0lGODlhAQABAAAAACw="
    assert [(diff.field, diff.own) for diff in thing.observe().diff] == [("icon", True)]


def test_an_icon_changed_by_hand_is_put_back_and_an_empty_one_removes_it(world: World) -> None:
    world.discord.set_guild(features=["ROLE_ICONS"])
    thing = world.role("helper", icon=_PNG_URI)
    thing.settle()
    ours = world.discord.role("helper")["icon"]
    assert ours
    world.discord.edit_role(thing.id, {"icon": None})
    world.advance(61)
    thing.settle(Priority.POLL)
    assert world.discord.role("helper")["icon"]
    thing.spec(icon="").settle()
    assert world.discord.role("helper")["icon"] is None


def test_a_role_is_not_let_go_because_the_bot_was_thrown_out(world: World) -> None:
    thing = world.role("helper", allowDelete=True)
    thing.settle()
    thing.mark_deleted()
    external, observation = thing.connect(), thing.observe()
    world.discord.remove_bot()
    with pytest.raises(ExternalFailure, match="Unknown Guild"):
        external.delete(thing.mr, observation)
