"""Sessions: what is shared by token, and what each ProviderConfig adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from provider_discord.apis.providerconfig import ProviderConfigSpec
from provider_discord.discord.difference import SnapshotChange
from provider_discord.discord.errors import DiscordError
from provider_discord.discord.options import CallOptions
from provider_discord.kinds.session import Adoption, Rules, invite_link
from provider_discord.kube.workqueue import Priority
from provider_discord.managed.errors import Blocked
from provider_discord.managed.sessions import TokenRejected
from provider_discord.simulator import DEFAULT_TOKEN

if TYPE_CHECKING:
    from tests.unit.kinds.conftest import World


def test_two_configs_with_one_token_share_one_client(world: World) -> None:
    first, second = world.open(), world.open(adoption="ByName")
    assert first.connection is second.connection is world.session.connection
    assert (first.rules.adoption, second.rules.adoption) == (Adoption.REFUSE, Adoption.BY_NAME)


def test_the_client_is_closed_with_its_last_session(world: World) -> None:
    second = world.open()
    world.sessions.close(world.session)
    assert second.connection.client.current_user(options=CallOptions()), "it still serves the other one"
    world.sessions.close(second)
    with pytest.raises(DiscordError):
        second.connection.client.current_user(options=CallOptions())
    assert world.open().connection is not second.connection


def test_the_bot_is_known_with_its_invite_link(world: World) -> None:
    identity = world.sessions.verify(world.session)
    assert identity.name == "provider-discord"
    assert str(identity.details["inviteURL"]).startswith("https://discord.com/oauth2/authorize?client_id=")


def test_a_wrong_token_is_rejected_and_latched_and_a_new_one_gets_a_new_client(world: World) -> None:
    session = world.sessions.open(config=world.config(), token="wrong-token")
    assert not world.sessions.rejected(session)
    with pytest.raises(TokenRejected):
        world.sessions.verify(session)
    assert world.sessions.rejected(session)
    again = world.sessions.open(config=world.config(), token="wrong-token")
    assert again.connection is not session.connection, "it may have become valid"
    assert not world.sessions.rejected(world.session)


def test_no_token_stands_in_any_repr(world: World) -> None:
    assert DEFAULT_TOKEN not in repr(world.session)
    assert DEFAULT_TOKEN not in repr(world.session.connection)


@pytest.mark.parametrize(
    ("spec", "rules", "reason"),
    [
        ({}, Rules(config="bot"), "the defaults"),
        ({"baseURL": "http://x/api/"}, Rules(config="bot", base_url="http://x/api"), "a trailing slash"),
        ({"allowedGuilds": []}, Rules(config="bot", allowed_guilds=frozenset()), "none is not all"),
        ({"auditLogReason": " a\n b "}, Rules(config="bot", audit_reason="a b"), "one line"),
    ],
)
def test_rules_are_read_from_the_config(spec: dict[str, Any], rules: Rules, reason: str) -> None:
    assert Rules.of({"metadata": {"name": "bot"}, "spec": spec}) == rules, reason


def test_the_defaults_of_the_crd_are_those_of_the_rules() -> None:
    credentials = {"source": "Secret", "secretRef": {"namespace": "a", "name": "b", "key": "c"}}
    filled_in = ProviderConfigSpec.model_validate({"credentials": credentials, "hold": {}})
    spec = filled_in.model_dump(by_alias=True, exclude_none=True)
    assert {"minimumResources", "percentage"} <= spec["hold"].keys()
    assert Rules.of({"metadata": {"name": "bot"}, "spec": spec}) == Rules(config="bot")


def test_a_wrong_word_is_refused() -> None:
    with pytest.raises(Blocked, match="Refuse, ByName, CreateNew"):
        Rules.of({"metadata": {"name": "bot"}, "spec": {"adoption": "Maybe"}})


def test_the_invite_link_can_name_the_guild() -> None:
    assert "guild_id=5" in invite_link("1", "5")
    assert "guild_id" not in invite_link("1")


def test_a_change_seen_in_a_refresh_is_told_and_mapped_to_the_objects_that_it_concerns(world: World) -> None:
    told: list[tuple[str, SnapshotChange]] = []
    world.sessions.subscribe(lambda guild_id, change: told.append((guild_id, change)))
    watched, other = world.channel("watched"), world.channel("other")
    for thing in (watched, other):
        thing.settle()
    assert told == [], "our own writes are no news"
    world.discord.edit_channel("watched", {"nsfw": True})
    world.advance(61)
    other.settle(Priority.POLL)
    ((guild_id, change),) = told
    assert list(world.equipment.siblings.affected(guild_id, change)) == [(watched.resource, watched.mr.key)]


def test_a_channel_that_follows_its_category_is_concerned_by_its_change(world: World) -> None:
    category = world.channel("staff", type="category")
    category.settle()
    follower = world.channel("plans", parentId=category.id, syncPermissions=True)
    follower.settle()
    change = SnapshotChange(channel_ids=frozenset({category.id}))
    found = {key.name for _, key in world.equipment.siblings.affected(world.guild_id, change)}
    assert found == {"staff", "plans"}
