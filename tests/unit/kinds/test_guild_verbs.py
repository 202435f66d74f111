"""Guilds are adopted, never made or deleted; features and references are handled with care."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from provider_discord.kube.resource import Key
from provider_discord.kube.workqueue import Priority
from provider_discord.managed.errors import Blocked, Waiting
from provider_discord.managed.external import Observation
from provider_discord.simulator import ForeignGuild, Permission

if TYPE_CHECKING:
    from tests.unit.kinds.conftest import World

_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_a_guild_is_adopted_by_its_exact_name_and_left_alone(world: World) -> None:
    thing = world.guild(name="Simulated Guild")
    observed = thing.settle()
    assert thing.id == world.guild_id
    assert observed.connection_details == {
        "guildId": world.guild_id.encode(),
        "guildName": b"Simulated Guild",
    }
    assert world.requests(writes=True) == []


def test_a_guild_is_adopted_by_its_id_and_renamed(world: World) -> None:
    thing = world.guild(external_name=world.guild_id, name="Ours", verificationLevel="low")
    thing.settle()
    (write,) = world.requests(writes=True)
    assert write["body"] == {"name": "Ours", "verification_level": 1}
    assert thing.at_provider["name"] == "Ours"


def test_the_members_are_counted_and_their_number_alone_wakes_nobody(world: World) -> None:
    thing = world.guild(external_name=world.guild_id)
    thing.settle()
    first = thing.at_provider["memberCount"]
    assert first >= 1
    told: list[object] = []
    world.session.connection.snapshots.subscribe(lambda *change: told.append(change))
    world.discord.add_member("newcomer")
    world.advance(61)
    thing.settle(Priority.POLL)
    assert told == []
    assert thing.at_provider["memberCount"] == first, "it goes along with the next real change"
    world.discord.set_guild(description="new")
    world.advance(61)
    thing.settle(Priority.POLL)
    assert thing.at_provider["memberCount"] == first + 1


def test_a_name_that_no_guild_has_is_answered_with_the_invite_link(world: World) -> None:
    with pytest.raises(Blocked, match=r"https://discord\.com/oauth2/authorize\?client_id=\d+") as refused:
        world.guild(name="Nowhere").reconcile()
    assert refused.value.reason == "NoSuchGuild"


def test_a_name_that_two_guilds_have_is_answered_with_their_ids(world: World) -> None:
    other = world.discord.create_guild("Simulated Guild")
    with pytest.raises(Blocked, match=other["id"]) as refused:
        world.guild(name="Simulated Guild").reconcile()
    assert world.guild_id in str(refused.value)
    world.configure(allowedGuilds=[other["id"]])
    thing = world.guild(name="Simulated Guild")
    thing.settle()
    assert thing.id == other["id"], "only one of them is allowed"


@pytest.mark.parametrize("answer", list(ForeignGuild))
def test_a_guild_that_the_bot_is_not_in_is_answered_with_its_invite_link(
    world: World, answer: ForeignGuild
) -> None:
    world.discord.set_behaviour(foreign_guild=str(answer))
    guild_id = world.guild_id
    world.discord.remove_bot()
    with pytest.raises(Blocked, match=f"guild_id={guild_id}") as refused:
        world.guild(external_name=guild_id).reconcile()
    assert refused.value.reason == "NotInGuild"


def test_the_bots_guilds_are_listed_once_for_all_in_a_poll(world: World) -> None:
    things = [world.make("Guild", f"g{number}", {"name": "Nowhere"}) for number in range(5)]
    for thing in things:
        with pytest.raises(Blocked):
            thing.reconcile(Priority.POLL)
    assert len(world.requests(route="/users/@me/guilds")) == 1


def test_a_guild_that_is_not_allowed_is_not_reached(world: World) -> None:
    world.configure(allowedGuilds=[])
    for thing in (world.guild(external_name=world.guild_id), world.guild(name="Simulated Guild")):
        with pytest.raises(Blocked) as refused:
            thing.reconcile()
        assert refused.value.reason == "NotAllowed"


def test_deleting_the_object_leaves_the_guild_alone_without_a_request(world: World) -> None:
    thing = world.guild(name="Simulated Guild")
    thing.settle()
    mark = world.mark()
    observed = thing.mark_deleted().reconcile()
    assert isinstance(observed, Observation)
    assert not observed.exists
    assert world.requests(since=mark) == []


@pytest.mark.parametrize(
    ("before", "fields", "after", "reason"),
    [
        (["NEWS"], {"invitesDisabled": True}, {"NEWS", "INVITES_DISABLED"}, "the others stay"),
        (["NEWS", "INVITES_DISABLED"], {"invitesDisabled": False}, {"NEWS"}, "only this one goes"),
        (["NEWS", "SOMETHING_NEW"], {"raidAlertsDisabled": True}, {"NEWS", "SOMETHING_NEW", "RAID_ALERTS_DISABLED"}, "features unknown to us stay"),
        (["NEWS", "INVITES_DISABLED"], {}, {"NEWS", "INVITES_DISABLED"}, "absent is unmanaged"),
    ],
)  # fmt: skip
def test_features_are_read_modified_and_written(
    world: World, before: list[str], fields: dict[str, Any], after: set[str], reason: str
) -> None:
    world.discord.set_guild(features=before)
    world.guild(name="Simulated Guild", **fields).settle()
    assert set(world.discord.guild()["features"]) == after, reason


def test_community_waits_for_the_channels_that_it_needs_and_then_comes(world: World) -> None:
    thing = world.guild(name="Simulated Guild", community=True, description="ours")
    change = thing.reconcile()
    assert change.requeue_after_seconds is not None, "it is not settled by half of it"
    with pytest.raises(Waiting, match="rulesChannelId") as waiting:
        thing.settle()
    assert waiting.value.quiet
    assert "COMMUNITY" not in world.discord.guild()["features"]
    assert world.discord.guild()["description"] == "ours", "nothing else is held up"
    rules = world.discord.create_channel({"name": "rules", "type": 0})
    thing.spec(
        rulesChannelId=rules["id"],
        publicUpdatesChannelId=rules["id"],
        explicitContentFilter="all_members",
        verificationLevel="low",
    )
    thing.settle()
    assert "COMMUNITY" in world.discord.guild()["features"]
    assert world.discord.guild()["rules_channel_id"] == rules["id"]


def test_what_community_waits_for_is_said_with_the_references_reason(world: World) -> None:
    thing = world.guild(external_name=world.guild_id, community=True)
    external = thing.connect()
    mr = replace(thing.mr, unresolved={"rulesChannelId": "Channel rules does not exist"})
    observed = external.observe(mr)
    with pytest.raises(Waiting, match="Channel rules does not exist"):
        external.update(mr, observed)


def test_references_are_cleared_by_an_empty_value(world: World) -> None:
    channel = world.discord.create_channel({"name": "welcome", "type": 0})
    thing = world.guild(name="Simulated Guild", systemChannelId=channel["id"])
    thing.settle()
    assert world.discord.guild()["system_channel_id"] == channel["id"]
    thing.spec(systemChannelId="").settle()
    assert world.discord.guild()["system_channel_id"] is None


def test_a_missing_permission_is_told_without_a_request(world: World) -> None:
    world.discord.set_bot_permissions(int(Permission.VIEW_CHANNEL))
    with pytest.raises(Blocked, match="MANAGE_GUILD") as refused:
        world.guild(external_name=world.guild_id, name="Ours").reconcile()
    assert refused.value.reason == "MissingPermission"
    assert world.requests(writes=True) == []


def test_images_are_sent_once_also_after_the_others_changed(world: World) -> None:
    world.discord.set_guild(features=["BANNER"])
    world.objects.held["Secret", Key("default", "art")] = {"data": {"icon": base64.b64encode(_PNG).decode()}}
    thing = world.guild(
        name="Simulated Guild",
        iconFrom={"secretKeyRef": {"name": "art", "key": "icon"}},
        banner=f"data:image/png;base64,{base64.b64encode(_PNG).decode()}",
    )
    thing.settle()
    assert thing.at_provider["icon"] == world.discord.guild()["icon"]
    mark = world.mark()
    world.advance(61)
    thing.spec(description="new").settle()
    assert [write["body"] for write in world.writes_since(mark)] == [{"description": "new"}]
    mark = world.mark()
    thing.spec(banner="").settle()
    assert [write["body"] for write in world.writes_since(mark)] == [{"banner": None}]
    world.advance(61)
    mark = world.mark()
    thing.settle(Priority.POLL)
    assert world.writes_since(mark) == []


def test_the_region_of_the_go_providers_manifests_is_ignored(world: World) -> None:
    world.guild(name="Simulated Guild", region="us-west").settle()
    assert world.requests(writes=True) == []
