"""Channels are made and put right with the fewest and smallest requests, and left alone when they are right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from provider_discord.discord.permissions import HIDDEN_NAME
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds import channel_plan
from provider_discord.kinds.session import INVITED_WITH
from provider_discord.kube.workqueue import Priority
from provider_discord.managed.errors import AmbiguousCreate, Blocked, ManagedError, Waiting
from provider_discord.managed.external import Change, Verdict
from provider_discord.managed.meta import EXTERNAL_NAME
from provider_discord.simulator import Effect, Fault, HiddenList, LimitsConfig, OnCreate, Permission

if TYPE_CHECKING:
    from tests.unit.kinds.conftest import World

VIEW = 1 << 10
SEND = 1 << 11


def test_a_channel_is_created_with_everything_in_one_call_and_then_left_alone(world: World) -> None:
    category = world.channel("staff", type="category")
    category.settle()
    thing = world.channel(
        "general",
        topic="hello",
        parentId=category.id,
        nsfw=True,
        rateLimitPerUser=5,
        permissionOverwrites=[{"target": "everyone", "denyNames": ["SEND_MESSAGES"]}],
    )
    mark = world.mark()
    thing.settle()
    writes = world.writes_since(mark)
    assert [(write["method"], write["route"]) for write in writes] == [
        ("POST", "/guilds/{guild_id}/channels")
    ]
    made = world.discord.channel("general")
    assert (made["topic"], made["nsfw"], made["rate_limit_per_user"], made["parent_id"]) == (
        "hello",
        True,
        5,
        category.id,
    )
    assert made["permission_overwrites"] == [
        {"id": world.guild_id, "type": 0, "allow": "0", "deny": str(SEND)}
    ]
    mark = world.mark()
    for _ in range(3):
        world.advance(61)
        thing.settle(Priority.POLL)
    assert world.writes_since(mark) == []


def test_the_audit_reason_names_uid_and_attempt_and_the_configs_text_but_never_the_object(
    world: World,
) -> None:
    world.configure(auditLogReason="ask the platform team")
    thing = world.channel("general")
    thing.settle()
    world.discord.edit_channel("general", {"nsfw": True})
    world.advance(61)
    thing.spec(nsfw=False).settle()
    reasons = [request["reason"] for request in world.requests(writes=True)]
    assert reasons == [
        "provider-discord uid=uid-channel-general attempt=a4 ask the platform team".replace(
            "a4", thing.attempts[0].id
        ),
        "provider-discord uid=uid-channel-general ask the platform team",
    ]
    assert all("default/" not in reason for reason in reasons)


@pytest.mark.parametrize(
    ("fields", "change", "body", "reason"),
    [
        ({"topic": "a"}, {"topic": "b"}, {"topic": "b"}, "only the topic is sent"),
        ({"topic": "a"}, {"topic": ""}, {"topic": None}, "an empty topic clears it"),
        ({}, {"rateLimitPerUser": 9}, {"rate_limit_per_user": 9}, "name and topic are not sent along"),
        ({}, {"nsfw": True}, {"nsfw": True}, "one boolean"),
        ({}, {"type": "announcement"}, {"type": 5}, "text becomes announcement in place"),
        ({"name": "General Chat"}, {"name": "general-chat"}, None, "the same name to Discord"),
        ({"name": "General Chat"}, {"name": "Other Chat"}, {"name": "other-chat"}, "a new name"),
        ({"spoiler": False}, {"spoiler": True}, {"flags": 1 << 21}, "a flag bit"),
        ({"topic": "a"}, {"topic": None}, None, "what leaves the manifest becomes unmanaged"),
        ({"topic": "  a "}, {"topic": "a"}, None, "Discord trims a topic"),
        (
            {"permissionOverwrites": [{"target": "everyone", "deny": SEND}]},
            {"permissionOverwrites": []},
            {"permission_overwrites": []},
            "an empty list removes all",
        ),
    ],
)
def test_a_patch_holds_only_what_differs(
    world: World, fields: dict[str, Any], change: dict[str, Any], body: dict[str, Any] | None, reason: str
) -> None:
    world.discord.set_guild(features=["COMMUNITY", "NEWS"])
    thing = world.channel(**{"name": "general", **fields})
    thing.settle()
    mark = world.mark()
    thing.spec(**change).settle()
    sent = [write["body"] for write in world.writes_since(mark)]
    assert sent == ([] if body is None else [body]), reason
    mark = world.mark()
    world.advance(61)
    thing.settle(Priority.POLL)
    assert world.writes_since(mark) == [], "it stays as it is"


def test_what_a_human_changes_is_put_back_and_what_is_unmanaged_is_not(world: World) -> None:
    thing = world.channel("general", topic="ours")
    thing.settle()
    world.discord.edit_channel("general", {"topic": "theirs", "nsfw": True, "rate_limit_per_user": 7})
    world.advance(61)
    thing.settle(Priority.POLL)
    after = world.discord.channel("general")
    assert (after["topic"], after["nsfw"], after["rate_limit_per_user"]) == ("ours", True, 7)


def test_bits_of_flags_that_are_not_ours_survive(world: World) -> None:
    thing = world.channel("posts", type="forum", requireTag=True)
    thing.settle()
    world.discord.edit_channel("posts", {"flags": (1 << 4) | (1 << 21)})
    world.advance(61)
    thing.spec(requireTag=False).settle()
    assert world.discord.channel("posts")["flags"] == 1 << 21


def test_a_move_carries_the_overwrites_in_the_same_patch(world: World) -> None:
    hidden = world.channel(
        "staff", type="category", permissionOverwrites=[{"target": "everyone", "deny": VIEW}]
    )
    hidden.settle()
    thing = world.channel("plans", syncPermissions=None)
    thing.settle()
    mark = world.mark()
    thing.spec(parentId=hidden.id, syncPermissions=True).settle()
    (write,) = world.writes_since(mark)
    assert write["method"] == "PATCH"
    assert write["body"]["parent_id"] == hidden.id
    assert write["body"]["permission_overwrites"] == [
        {"id": world.guild_id, "type": 0, "allow": "0", "deny": str(VIEW)}
    ]
    assert thing.observe().at_provider is not None
    assert thing.at_provider["permissionsSynced"] is True
    assert thing.at_provider["parentId"] == hidden.id


@pytest.mark.parametrize(
    ("parent", "why"),
    [(None, "has no parent"), ("hidden", "can't see its parent"), ("text", "not a category")],
)
def test_permissions_cannot_be_synced_with_what_is_not_there(
    world: World, parent: str | None, why: str
) -> None:
    world.discord.set_bot_permissions(INVITED_WITH)
    world.discord.create_channel({"name": "text", "type": 0})
    category = world.discord.create_channel({"name": "hidden", "type": 4})
    world.discord.hide_channel("hidden")
    ids = {"hidden": category["id"], "text": world.discord.channel("text")["id"]}
    thing = world.channel(
        "plans", syncPermissions=True, **({} if parent is None else {"parentId": ids[parent]})
    )
    with pytest.raises(Blocked, match=why) as refused:
        thing.reconcile()
    assert refused.value.reason == "InvalidField"
    assert world.requests(writes=True) == []


@pytest.mark.parametrize("hidden_list", list(HiddenList))
def test_nothing_is_built_on_a_category_that_the_bot_cannot_see(
    world: World, hidden_list: HiddenList
) -> None:
    """Its overwrites are unknown, or an invention: a channel made by them might be open to everyone."""
    world.discord.set_behaviour(hidden_list=str(hidden_list))
    world.discord.set_bot_permissions(INVITED_WITH)
    helper = world.discord.create_role({"name": "helper"})
    category = world.discord.create_channel({"name": "staff", "type": 4})
    world.discord.hide_channel("staff")
    world.advance(61)
    ours = [{"roleId": helper["id"], "allow": SEND}]
    thing = world.channel(
        "plans", parentId=category["id"], overwritePolicy="Declared", permissionOverwrites=ours
    )
    with pytest.raises(Blocked, match="can't see") as refused:
        thing.reconcile()
    assert refused.value.field == "forProvider.overwritePolicy"
    thing.spec(overwritePolicy=None, permissionOverwrites=None, syncPermissions=True)
    with pytest.raises(Blocked, match="can't see its parent"):
        thing.reconcile()
    assert world.requests(writes=True) == []
    thing.spec(syncPermissions=None, permissionOverwrites=ours)
    with pytest.raises(Blocked, match=r"no access|hidden from the bot"):
        thing.reconcile()


def test_an_invented_overwrite_of_a_hidden_category_is_compared_with_nothing() -> None:
    fake = {"id": "1", "type": 0, "allow": "0", "deny": str(VIEW)}
    category = {"id": "10", "type": 4, "name": HIDDEN_NAME, "permission_overwrites": [fake]}
    child = {"id": "11", "type": 0, "name": "a", "parent_id": "10", "permission_overwrites": [fake]}
    snapshot = GuildSnapshot({"id": "1"}, {"10": category, "11": child}, {}, {}, 0.0)
    assert "permissionsSynced" not in channel_plan.status(child, snapshot=snapshot)
    assert channel_plan.parent_of(None, child, snapshot=snapshot) is None
    assert channel_plan.effective_overwrites({"parent_id": "10"}, {}, snapshot=snapshot) == []


def test_a_parent_that_was_just_made_is_looked_for_before_anything_is_refused(world: World) -> None:
    world.channel("other").settle()
    category = world.discord.create_channel({"name": "staff", "type": 4})
    thing = world.channel("plans", parentId=category["id"], syncPermissions=True)
    world.advance(3)
    thing.settle()
    assert world.discord.channel("plans")["parent_id"] == category["id"]


def test_a_forum_is_created_with_its_flags_and_they_are_set_where_discord_passes_over_them(
    world: World,
) -> None:
    for answer, writes in ((OnCreate.ACCEPTED, 1), (OnCreate.IGNORED, 2)):
        world.discord.set_behaviour(flags_on_create=str(answer))
        mark = world.mark()
        thing = world.channel(f"help-{answer}", type="forum", requireTag=True, spoiler=False)
        thing.settle()
        assert len(world.writes_since(mark)) == writes
        assert world.discord.channel(thing.id)["flags"] == 1 << 4
        assert (thing.at_provider["requireTag"], thing.at_provider["spoiler"]) == (True, False)


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ([{"name": "bug"}, {"name": "b\u200bug"}], "have one name"),
        ([{"name": f"t{number}"} for number in range(21)], "20"),
    ],
)
def test_tags_are_checked_before_a_forum_is_created(
    world: World, tags: list[dict[str, Any]], why: str
) -> None:
    thing = world.channel("help", type="forum", availableTags=tags)
    with pytest.raises(Blocked, match=why) as refused:
        thing.reconcile()
    assert refused.value.reason == "InvalidField"
    assert world.requests(writes=True) == []


def test_an_emoji_that_comes_back_without_its_selector_is_no_drift(world: World) -> None:
    thing = world.channel("help", type="forum", defaultReactionEmoji={"emojiName": "\u2764\ufe0f"})
    thing.settle()
    world.discord.edit_channel("help", {"default_reaction_emoji": {"emoji_name": "\u2764"}})
    world.advance(61)
    mark = world.mark()
    assert thing.observe(Priority.POLL).diff == ()
    world.discord.edit_channel("help", {"default_reaction_emoji": {"emoji_name": "\U0001f41b"}})
    world.advance(61)
    thing.settle(Priority.POLL)
    assert len(world.writes_since(mark)) == 1


def test_a_channel_that_follows_its_category_is_drift_only_where_somebody_changed_it(world: World) -> None:
    category = world.channel("staff", type="category", permissionOverwrites=[])
    category.settle()
    thing = world.channel("plans", parentId=category.id, syncPermissions=True)
    thing.settle()
    category.spec(permissionOverwrites=[{"target": "everyone", "deny": SEND}]).settle()
    assert all(diff.own for diff in thing.observe().diff), "left behind, if Discord does not change it along"
    thing.settle()
    world.discord.set_overwrite(thing.id, world.guild_id, deny=VIEW)
    world.advance(61)
    assert [diff.own for diff in thing.observe(Priority.POLL).diff] == [False]
    thing.settle()
    helper = world.discord.create_role({"name": "helper"})
    left_behind = world.discord.channel("plans")["permission_overwrites"]
    world.discord.set_overwrite(category.id, helper["id"], allow=SEND)
    world.discord.edit_channel("plans", {"permission_overwrites": left_behind})
    world.advance(61)
    assert [diff.own for diff in thing.observe(Priority.POLL).diff] == [True]


def test_an_empty_parent_moves_the_channel_to_the_top(world: World) -> None:
    category = world.channel("staff", type="category")
    category.settle()
    thing = world.channel("plans", parentId=category.id)
    thing.settle()
    thing.spec(parentId="").settle()
    assert world.discord.channel("plans")["parent_id"] is None


def test_overwrites_of_others_are_removed_or_kept_as_the_policy_says(world: World) -> None:
    helper = world.discord.create_role({"name": "helper"})
    ours = [{"target": "everyone", "deny": SEND}]
    strict = world.channel("strict", permissionOverwrites=ours)
    lax = world.channel("lax", permissionOverwrites=ours, overwritePolicy="Declared")
    for thing in (strict, lax):
        thing.settle()
        world.discord.set_overwrite(thing.id, helper["id"], allow=SEND)
    world.advance(61)
    for thing in (strict, lax):
        thing.settle(Priority.POLL)
    assert [o["id"] for o in world.discord.channel("strict")["permission_overwrites"]] == [world.guild_id]
    assert {o["id"] for o in world.discord.channel("lax")["permission_overwrites"]} == {
        world.guild_id,
        helper["id"],
    }


def test_a_channel_declared_only_in_part_starts_with_its_categorys_other_overwrites(world: World) -> None:
    helper = world.discord.create_role({"name": "helper"})
    category = world.channel(
        "staff", type="category", permissionOverwrites=[{"target": "everyone", "deny": VIEW}]
    )
    category.settle()
    thing = world.channel(
        "plans",
        parentId=category.id,
        overwritePolicy="Declared",
        permissionOverwrites=[{"roleId": helper["id"], "allow": VIEW}],
    )
    thing.settle()
    made = {o["id"]: o for o in world.discord.channel("plans")["permission_overwrites"]}
    assert made[world.guild_id]["deny"] == str(VIEW), "it was never open to everyone"
    assert made[helper["id"]]["allow"] == str(VIEW)


def test_a_renamed_tag_keeps_its_id_and_strangers_tags_stay(world: World) -> None:
    thing = world.channel("help", type="forum", availableTags=[{"name": "bug"}, {"name": "idea"}])
    thing.settle()
    before = {tag["name"]: tag["id"] for tag in world.discord.channel("help")["available_tags"]}
    world.discord.edit_channel(
        "help", {"available_tags": [*world.discord.channel("help")["available_tags"], {"name": "theirs"}]}
    )
    world.advance(61)
    thing.spec(availableTags=[{"name": "defect"}, {"name": "idea"}]).settle()
    after = {tag["name"]: tag["id"] for tag in world.discord.channel("help")["available_tags"]}
    assert after["defect"] == before["bug"]
    assert set(after) == {"defect", "idea", "theirs"}
    mark = world.mark()
    world.advance(61)
    thing.settle(Priority.POLL)
    assert world.writes_since(mark) == []


@pytest.mark.parametrize("kind", ["announcement", "stage"])
def test_a_type_that_the_guild_does_not_have_yet_is_explained(world: World, kind: str) -> None:
    thing = world.channel("news", type=kind)
    with pytest.raises(
        Blocked,
        match=rf"a guild has {kind} channels once it is a Community.*Discord refuses forProvider.type",
    ):
        thing.settle()
    world.discord.set_guild(features=["COMMUNITY", "NEWS"])
    world.advance(61)
    thing.settle()
    assert world.discord.channel("news")


def test_every_type_settles_and_then_stays(world: World) -> None:
    world.discord.set_guild(features=["COMMUNITY", "NEWS"])
    made = [
        world.channel("text", topic="t", defaultAutoArchiveDuration=1440),
        world.channel(
            "Voice Room", type="voice", bitrate=64000, userLimit=5, rtcRegion="", videoQualityMode="full"
        ),
        world.channel("Cat", type="category"),
        world.channel("news", type="announcement", topic="n"),
        world.channel("Stage", type="stage", bitrate=64000),
        world.channel(
            "forum",
            type="forum",
            topic="guidelines",
            availableTags=[{"name": "x", "moderated": True, "emojiName": "🐛"}],
            defaultReactionEmoji={"emojiName": "👍"},
            defaultSortOrder="creation_date",
            defaultForumLayout="gallery_view",
            requireTag=True,
            defaultThreadRateLimitPerUser=3,
        ),
        world.channel("media", type="media", nsfw=True, hideMediaDownloadOptions=True),
    ]
    for thing in made:
        thing.settle()
    mark = world.mark()
    world.advance(61)
    for thing in made:
        thing.settle(Priority.POLL)
    assert world.writes_since(mark) == []
    assert made[0].at_provider["typeName"] == "text"
    assert made[5].at_provider["defaultReactionEmoji"] == {"emojiName": "👍"}
    assert made[5].at_provider["requireTag"] is True


def test_zero_values_that_do_not_fit_the_type_are_passed_over(world: World) -> None:
    thing = world.channel("Lounge", type="voice", topic="", rateLimitPerUser=0, nsfw=False, position=0)
    thing.settle()
    assert world.discord.channel("Lounge")["type"] == 2


def test_a_field_that_does_not_fit_the_type_is_refused_by_name(world: World) -> None:
    thing = world.channel("Lounge", type="voice", topic="no")
    with pytest.raises(Blocked, match=r"topic") as refused:
        thing.reconcile()
    assert refused.value.field == "forProvider.topic"
    assert world.requests(writes=True) == []


def test_discords_own_refusal_names_the_manifests_field_and_says_its_reason_last(world: World) -> None:
    thing = world.channel("Lounge", type="voice", bitrate=384000)
    with pytest.raises(Blocked) as refused:
        thing.reconcile()
    assert refused.value.field == "forProvider.bitrate"
    assert "forProvider.bitrate" in str(refused.value)


def test_a_limit_of_the_guild_is_told_with_discords_reason(world: World) -> None:
    for number in range(50):
        world.discord.create_channel({"name": f"c{number}", "type": 0, "parent_id": None})
    world.discord.set_guild()
    category = world.channel("full", type="category")
    category.settle()
    for number in range(50):
        world.discord.edit_channel(f"c{number}", {"parent_id": category.id})
    thing = world.channel("one-more", parentId=category.id)
    with pytest.raises(Blocked) as refused:
        thing.reconcile()
    assert "parent" in str(refused.value).lower()


def test_a_write_that_would_shut_the_bot_out_is_refused_and_not_sent(world: World) -> None:
    world.discord.set_bot_permissions(
        int(Permission.MANAGE_CHANNELS | Permission.MANAGE_ROLES | Permission.VIEW_CHANNEL)
    )
    thing = world.channel("secret", permissionOverwrites=[{"target": "everyone", "deny": VIEW}])
    with pytest.raises(Blocked) as refused:
        thing.reconcile()
    assert refused.value.reason == "WouldLockOut"
    assert world.requests(writes=True) == []
    thing.spec(permissionOverwrites=[{"target": "everyone", "deny": VIEW}, {"target": "bot", "allow": VIEW}])
    thing.settle()
    assert world.discord.channel("secret")["permission_overwrites"]


def test_a_missing_permission_is_told_without_a_request_and_noticed_when_it_is_given(world: World) -> None:
    world.discord.set_bot_permissions(int(Permission.VIEW_CHANNEL))
    thing = world.channel("general")
    with pytest.raises(Blocked) as refused:
        thing.reconcile()
    assert refused.value.reason == "MissingPermission"
    assert "MANAGE_CHANNELS" in str(refused.value)
    assert world.requests(writes=True) == []
    extra = world.discord.create_role({"name": "extra", "permissions": str(1 << 4)})
    world.discord.grant("provider-discord", extra["id"])
    world.advance(61)
    thing.settle()


def test_a_sub_limit_on_the_name_holds_up_nothing_else(world: World) -> None:
    world.discord.set_limits(LimitsConfig())
    thing = world.channel("one")
    thing.settle()
    for name in ("two", "three"):
        thing.spec(name=name).settle()
    mark = world.mark()
    thing.spec(name="four", nsfw=True)
    with pytest.raises(Waiting, match="name") as waiting:
        thing.settle()
    assert waiting.value.quiet
    assert waiting.value.retry_after is not None
    assert waiting.value.retry_after > 60
    assert world.discord.channel(thing.id)["nsfw"] is True
    assert {"nsfw": True} in [write["body"] for write in world.writes_since(mark)]


@pytest.mark.parametrize(
    ("fault", "committed", "reason"),
    [
        (Fault(Effect.STATUS, method="POST", after_commit=True), True, "a 5xx after the commit"),
        (Fault(Effect.DROP, method="POST", after_commit=True), True, "a connection dropped after the commit"),
        (Fault(Effect.TRUNCATE, method="POST", after_commit=True), True, "half an answer"),
        (Fault(Effect.STATUS, method="POST"), False, "a 5xx before the commit"),
    ],
)
def test_a_create_of_unknown_outcome_is_found_by_its_attempt(
    world: World, fault: Fault, committed: bool, reason: str
) -> None:
    world.discord.add_fault(fault)
    thing = world.channel("general")
    with pytest.raises(AmbiguousCreate):
        thing.reconcile()
    resolution = thing.resolve()
    assert resolution.verdict is (Verdict.FOUND if committed else Verdict.MISSED), reason
    found = [c["id"] for c in world.discord.channels() if c["name"] == "general"]
    assert found == ([resolution.external_name] if committed else [])


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_tags_of_a_lost_write_are_ours_although_the_manifest_has_changed(world: World, method: str) -> None:
    """As chaos found: nobody saw the ids of tags that the next manifest no longer has."""
    tags = [{"name": "bug"}, {"name": "idea"}]
    if method == "PATCH":
        thing = world.channel("help", type="forum")
        thing.settle()
        thing.spec(availableTags=tags)
    else:
        thing = world.channel("help", type="forum", availableTags=tags)
    world.discord.add_fault(Effect.DROP, method=method, after_commit=True, times=3)
    with pytest.raises(ManagedError):
        thing.reconcile()
    world.discord.clear_faults()
    if method == "POST":
        found = thing.resolve()
        thing.annotate({EXTERNAL_NAME: found.external_name, **found.annotations})
    made = {tag["name"]: tag["id"] for tag in world.discord.channel("help")["available_tags"]}
    assert set(made) == {"bug", "idea"}, "it was carried out"
    by_hand = [*world.discord.channel("help")["available_tags"], {"name": "theirs"}]
    world.advance(5)
    world.discord.edit_channel("help", {"available_tags": by_hand})
    thing.spec(availableTags=[{"name": "idea"}, {"name": "new"}]).settle()
    now = {tag["name"]: tag["id"] for tag in world.discord.channel("help")["available_tags"]}
    assert set(now) == {"idea", "new", "theirs"}
    assert now["idea"] == made["idea"]


def test_without_the_audit_log_the_list_decides(world: World) -> None:
    world.discord.set_bot_permissions(
        int(Permission.MANAGE_CHANNELS | Permission.MANAGE_ROLES | Permission.VIEW_CHANNEL)
    )
    world.discord.add_fault(Effect.DROP, method="POST", after_commit=True)
    thing = world.channel("general")
    with pytest.raises(AmbiguousCreate):
        thing.reconcile()
    resolution = thing.resolve()
    assert resolution.verdict is Verdict.FOUND
    assert resolution.external_name == world.discord.channel("general")["id"]


def test_a_lagging_audit_log_makes_nobody_create_again(world: World) -> None:
    world.discord.set_behaviour(audit_log_lag_seconds=600)
    world.discord.add_fault(Effect.DROP, method="POST", after_commit=True)
    thing = world.channel("general")
    with pytest.raises(AmbiguousCreate):
        thing.reconcile()
    with pytest.raises(Waiting, match="audit log"):
        thing.resolve()
    world.advance(130)
    assert thing.resolve().external_name == world.discord.channel("general")["id"]


def test_the_status_mirrors_the_channel_and_messages_alone_change_nothing(world: World) -> None:
    thing = world.channel("general", topic="hello")
    thing.settle()
    assert thing.at_provider["id"] == thing.id
    assert thing.at_provider["guildId"] == world.guild_id
    assert thing.at_provider["topic"] == "hello"
    assert thing.at_provider["hasMessages"] is False
    world.discord.post_message("general")
    world.advance(61)
    thing.settle(Priority.POLL)
    first = thing.at_provider
    assert first["hasMessages"] is True
    world.discord.post_message("general")
    world.advance(61)
    thing.settle(Priority.POLL)
    assert thing.at_provider == first


def test_many_channels_cost_two_requests_a_poll(world: World) -> None:
    things = [world.channel(f"c{number}", type="voice") for number in range(40)]
    for thing in things:
        thing.settle()
    for _ in range(3):
        world.advance(60.5)
        mark = world.mark()
        for thing in things:
            thing.settle(Priority.POLL)
        assert len(world.requests(since=mark)) == 2


def test_a_changed_manifest_that_is_right_already_writes_nothing(world: World) -> None:
    thing = world.channel("general")
    thing.settle()
    mark = world.mark()
    assert not isinstance(thing.spec(nsfw=False, topic="").reconcile(), Change)
    assert world.writes_since(mark) == []
