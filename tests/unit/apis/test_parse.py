"""Reading a forProvider: every spelling into one form, and what is wrong in one clear line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from provider_discord.apis.channel import ChannelParameters
from provider_discord.apis.errors import InvalidField
from provider_discord.apis.fields import ChannelType
from provider_discord.apis.guild import GuildParameters
from provider_discord.apis.kinds import CHANNEL, GUILD, PROVIDER_CONFIG, ROLE, KindDefinition
from provider_discord.apis.overwrites import Overwrite
from provider_discord.apis.parse import check_channel, parse_parameters
from provider_discord.apis.role import RoleParameters
from provider_discord.apis.tags import ForumTag, ReactionEmoji

G = "1029384756473829105"
R = "1029384756473829106"


def channel(**fields: Any) -> ChannelParameters:
    parameters = parse_parameters(CHANNEL, fields)
    assert isinstance(parameters, ChannelParameters)
    return parameters


def role(**fields: Any) -> RoleParameters:
    parameters = parse_parameters(ROLE, fields)
    assert isinstance(parameters, RoleParameters)
    return parameters


def guild(**fields: Any) -> GuildParameters:
    parameters = parse_parameters(GUILD, fields)
    assert isinstance(parameters, GuildParameters)
    return parameters


def test_absent_is_told_from_empty() -> None:
    parameters = channel(topic="", permissionOverwrites=[])
    assert parameters.model_fields_set == {"topic", "permission_overwrites"}
    assert parameters.topic == ""
    assert parameters.name is None


@pytest.mark.parametrize("form", [13, "stage", "13"])
def test_a_type_has_three_forms(form: int | str) -> None:
    assert channel(type=form).type is ChannelType.STAGE


def test_words_and_numbers_are_the_same() -> None:
    assert guild(verificationLevel="very_high").verification_level == 4
    assert guild(explicitContentFilter=2) == guild(explicitContentFilter="all_members")
    assert channel(videoQualityMode="full").video_quality_mode == 2
    assert channel(defaultForumLayout="gallery_view", defaultSortOrder="creation_date") == channel(
        defaultForumLayout=2, defaultSortOrder=1
    )


def test_colours_and_permissions_are_numbers() -> None:
    assert role(color="#5865F2").color == 0x5865F2
    assert role(color=255) == role(color="255")
    assert role(permissions=str(1 << 52)).permissions == 1 << 52
    colors = role(colors={"primaryColor": "#ff0000"}).colors
    assert colors is not None
    assert colors.to_discord() == {"primary_color": 0xFF0000, "secondary_color": None, "tertiary_color": None}


def test_fields_of_a_later_release_are_ignored() -> None:
    assert channel(topic="x", newerField=1) == channel(topic="x")


@dataclass(frozen=True)
class Wrong:
    reason: str
    kind: KindDefinition
    fields: dict[str, Any]
    field: str
    says: str


WRONG = [
    Wrong("a word that is none", CHANNEL, {"type": "vioce"}, "type", "2 (voice)"),
    Wrong("a type that is not for bots", CHANNEL, {"type": 1}, "type", "0 (text)"),
    Wrong("true is no number", CHANNEL, {"type": True}, "type", "0 (text)"),
    Wrong("a field of another type", CHANNEL, {"type": "voice", "topic": "x"}, "topic", "only text"),
    Wrong("a bad id", CHANNEL, {"guildId": "guild"}, "guildId", "15 to 20 digits"),
    Wrong("a bound", CHANNEL, {"bitrate": 1}, "bitrate", "8000"),
    Wrong(
        "an overwrite without target",
        CHANNEL,
        {"permissionOverwrites": [{"target": "bot"}, {"allow": 1}]},
        "permissionOverwrites[1]",
        "found none",
    ),
    Wrong(
        "an overwrite with two targets",
        CHANNEL,
        {"permissionOverwrites": [{"target": "bot", "roleId": R}]},
        "permissionOverwrites[0]",
        "found roleId and target",
    ),
    Wrong("an id without type", CHANNEL, {"permissionOverwrites": [{"id": R}]}, "permissionOverwrites[0]", "role or member"),
    Wrong(
        "one target twice, in two ways",
        CHANNEL,
        {"permissionOverwrites": [{"roleId": R}, {"id": R, "type": "role"}]},
        "permissionOverwrites[1]",
        "already",
    ),
    Wrong(
        "everyone twice, once by the guild's id",
        CHANNEL,
        {"guildId": G, "permissionOverwrites": [{"target": "everyone"}, {"roleId": G}]},
        "permissionOverwrites[1]",
        "already",
    ),
    Wrong("bits in words", CHANNEL, {"permissionOverwrites": [{"target": "bot", "allow": "all"}]}, "permissionOverwrites[0].allow", "decimal"),
    Wrong("a tag twice", CHANNEL, {"availableTags": [{"name": "a"}, {"name": "a"}]}, "availableTags[1].name", "already"),
    Wrong("a tag with two emoji", CHANNEL, {"availableTags": [{"name": "a", "emojiId": R, "emojiName": "x"}]}, "availableTags[0]", "not both"),
    Wrong("bits beyond 63", ROLE, {"permissions": "9999999999999999999"}, "permissions", "2^63-1"),
    Wrong("a name of spaces", ROLE, {"name": "\u2003 "}, "name", "not a space"),
    Wrong("an emoji by its name", ROLE, {"unicodeEmoji": "shield"}, "unicodeEmoji", "the emoji itself"),
    Wrong("a colour's name", ROLE, {"color": "red"}, "color", "#RRGGBB"),
    Wrong("a colour beyond white", ROLE, {"colors": {"primaryColor": 1 << 24}}, "colors.primaryColor", "16777215"),
    Wrong("an image's address", GUILD, {"icon": "https://example.com/a.png"}, "icon", "data URI"),
]  # fmt: skip


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.reason)
def test_what_is_wrong_is_said_in_one_line(case: Wrong) -> None:
    with pytest.raises(InvalidField) as caught:
        parse_parameters(case.kind, case.fields)
    assert caught.value.field == case.field
    assert case.says in str(caught.value)
    assert str(caught.value).startswith(f"spec.forProvider.{case.field}: ")
    assert "\n" not in str(caught.value)


def test_a_message_carries_no_whole_image() -> None:
    with pytest.raises(InvalidField) as caught:
        guild(icon="data:text/plain;base64," + "A" * 100_000)
    assert len(str(caught.value)) < 500


ZEROS = {
    "topic": "",
    "nsfw": False,
    "userLimit": 0,
    "availableTags": [],
    "defaultReactionEmoji": {},
    "parentId": "",
}


@pytest.mark.parametrize("channel_type", list(ChannelType))
def test_zero_values_fit_every_type(channel_type: ChannelType) -> None:
    channel(type=int(channel_type), **ZEROS)


def test_an_adopted_channel_is_checked_against_the_type_it_has() -> None:
    parameters = channel(topic="x")
    check_channel(parameters, ChannelType.TEXT)
    with pytest.raises(InvalidField, match="topic"):
        check_channel(parameters, ChannelType.STAGE)


TARGETS = [
    ({"target": "everyone"}, ("role", G)),
    ({"target": "bot"}, ("member", "bot")),
    ({"memberId": R}, ("member", R)),
    ({"roleId": R}, ("role", R)),
    ({"roleIdRef": {"name": "x"}, "roleId": R}, ("role", R)),
    ({"roleIdRef": {"name": "x"}}, None),
    ({"id": R, "type": "member"}, ("member", R)),
    ({"id": R, "type": "role"}, ("role", R)),
]


@pytest.mark.parametrize(("entry", "target"), TARGETS)
def test_the_target_of_an_overwrite(entry: dict[str, Any], target: tuple[str, str] | None) -> None:
    assert Overwrite.model_validate(entry).target_of(guild_id=G, bot_id="bot") == target


def test_tags_and_reactions_as_discord_wants_them() -> None:
    assert ForumTag(name="a", emoji_name="x").to_discord() == {
        "name": "a",
        "moderated": False,
        "emoji_id": None,
        "emoji_name": "x",
    }
    assert ReactionEmoji().to_discord() is None
    assert ReactionEmoji(emoji_id=R).to_discord() == {"emoji_id": R, "emoji_name": None}


def test_a_kind_without_parameters_cannot_be_parsed() -> None:
    with pytest.raises(TypeError, match="ProviderConfig"):
        parse_parameters(PROVIDER_CONFIG, {})
