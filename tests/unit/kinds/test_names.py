"""Names: no rename for what Discord itself made of a name, and no second channel beside one that exists."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_discord.apis.fields import ChannelType
from provider_discord.kinds.names import (
    channel_name_key,
    normalise_channel_name,
    normalise_role_name,
    role_name_key,
    same_name,
    same_role_name,
)

TYPES: Final = st.sampled_from([*ChannelType, 14])


@pytest.mark.parametrize(
    ("name", "channel_type", "stored", "reason"),
    [
        ("My Channel", ChannelType.TEXT, "my-channel", "spaces and case"),
        ("a \t -- b", ChannelType.ANNOUNCEMENT, "a-b", "runs collapse"),
        ("  -help-  ", ChannelType.FORUM, "help", "trimmed"),
        ("Größe", ChannelType.MEDIA, "größe", "letters beyond ASCII stay"),
        ("--", ChannelType.TEXT, "--", "nothing would be left, so it is sent as it stands"),
        ("  Voice  Room ", ChannelType.VOICE, "Voice  Room", "voice keeps case and inner spaces"),
        (" Main Stage ", ChannelType.STAGE, "Main Stage", "as does stage"),
        ("TEAM - Staff", ChannelType.CATEGORY, "TEAM - Staff", "and category"),
        ("Shop Window", 14, "shop-window", "a type we do not know is text-like"),
    ],
)
def test_normalises_as_discord_does(name: str, channel_type: int, stored: str, reason: str) -> None:
    assert normalise_channel_name(name, channel_type) == stored, reason


@pytest.mark.parametrize(
    ("one", "other", "channel_type", "same", "reason"),
    [
        ("My Chan", "my-chan", ChannelType.TEXT, True, "Discord's own normal form"),
        ("Joey's Cool Channel!", "joeys-cool-channel", ChannelType.TEXT, True, "punctuation may be dropped"),
        ("Q & A", "q-a", ChannelType.TEXT, True, "also between spaces"),
        ("a_b", "a-b", ChannelType.TEXT, False, "underscores stay"),
        ("rules", "rules-2", ChannelType.TEXT, False, "another channel"),
        ("My\u00a0Room", "My Room", ChannelType.VOICE, True, "other space characters since May 2025"),
        ("My\u2009\u200bRoom", "My Room", ChannelType.VOICE, True, "thin and zero-width spaces"),
        ("My  Room", "My Room", ChannelType.VOICE, True, "runs of spaces"),
        ("my room", "My Room", ChannelType.VOICE, False, "voice keeps case"),
        ("Room!", "Room", ChannelType.VOICE, False, "and punctuation"),
        ("\uff46ull", "full", ChannelType.TEXT, True, "compatibility forms"),
        ("!!!", "???", ChannelType.TEXT, False, "names of punctuation alone stay apart"),
        (
            "\u2764\ufe0f",
            "\u2764",
            ChannelType.TEXT,
            True,
            "an emoji with and without its variation selector",
        ),
    ],
)
def test_same_name(one: str, other: str, channel_type: int, same: bool, reason: str) -> None:
    assert same_name(one, other, channel_type) is same, reason
    assert same_name(other, one, channel_type) is same, reason


@given(st.text(min_size=1, max_size=20), TYPES)
@settings(deadline=None, derandomize=True)
def test_a_name_is_the_same_as_what_discord_stores(name: str, channel_type: int) -> None:
    stored = normalise_channel_name(name, channel_type)
    assert same_name(name, stored, channel_type)
    assert normalise_channel_name(stored, channel_type) == stored


@given(st.text(max_size=20), TYPES)
@settings(deadline=None, derandomize=True)
def test_keys_are_stable(name: str, channel_type: int) -> None:
    key = channel_name_key(name, channel_type)
    assert channel_name_key(key, channel_type) == key
    assert role_name_key(role_name_key(name)) == role_name_key(name)


def test_roles_keep_case_and_punctuation() -> None:
    assert normalise_role_name("  The Boss! ") == "The Boss!"
    assert same_role_name("The\u00a0Boss", " The  Boss")
    assert not same_role_name("the boss", "The Boss")
