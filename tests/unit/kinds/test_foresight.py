"""Foresight: what Discord would answer with a bare 403, and what would shut the bot out, is told beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_discord.discord.permissions import PERMISSIONS, channel_permissions
from provider_discord.kinds import foresight

Raw = dict[str, Any]

GUILD, BOT, BOT_ROLE = "100000000000000001", "200000000000000002", "300000000000000003"
LOW, HIGH, OTHER_BOT_ROLE = "400000000000000004", "500000000000000005", "600000000000000006"
CATEGORY, CHANNEL, VOICE = "700000000000000007", "800000000000000008", "900000000000000009"
NEW: Final = 1 << 60

BITS: Mapping[str, int] = MappingProxyType(dict(PERMISSIONS))
VIEW, SEND, CONNECT = BITS["VIEW_CHANNEL"], BITS["SEND_MESSAGES"], BITS["CONNECT"]
CHANNELS, ROLES, ADMIN = BITS["MANAGE_CHANNELS"], BITS["MANAGE_ROLES"], BITS["ADMINISTRATOR"]
KICK, MANAGE_GUILD = BITS["KICK_MEMBERS"], BITS["MANAGE_GUILD"]


@dataclass(frozen=True, slots=True)
class Guild:
    """What foresight reads of a guild's snapshot."""

    guild: Raw
    channels: Mapping[str, Raw]
    roles: Mapping[str, Raw]
    member: Raw


def role(role_id: str, name: str, position: int, bits: int = 0) -> Raw:
    return {"id": role_id, "name": name, "position": position, "permissions": str(bits)}


def raw(target: str, allow: int = 0, deny: int = 0) -> Raw:
    return {"id": target, "type": int(target == BOT), "allow": str(allow), "deny": str(deny)}


def channel(
    channel_id: str, name: str, kind: int = 0, parent: str | None = None, overwrites: Iterable[Raw] = ()
) -> Raw:
    return {
        "id": channel_id,
        "name": name,
        "type": kind,
        "parent_id": parent,
        "permission_overwrites": list(overwrites),
    }


def guild(
    bits: int, *channels: Raw, everyone: int = VIEW | SEND, features: Iterable[str] = (), known: bool = True
) -> Guild:
    roles = [
        role(GUILD, "@everyone", 0, everyone),
        role(LOW, "Members", 1),
        role(BOT_ROLE, "Keeper", 5, bits),
        role(OTHER_BOT_ROLE, "Music", 5),
        role(HIGH, "Owners", 9),
    ]
    return Guild(
        guild={"id": GUILD, "owner_id": "1", "features": list(features)},
        channels={one["id"]: one for one in channels},
        roles={one["id"]: one for one in roles},
        member={"user": {"id": BOT}, "roles": [BOT_ROLE]} if known else {},
    )


def told(answer: str | None, *words: str) -> None:
    assert answer is not None
    assert "\n" not in answer
    for word in words:
        assert word in answer, answer


def test_creating_needs_manage_channels_in_the_guild_or_the_category() -> None:
    body = {"name": "general"}
    told(
        foresight.missing_for_channel_write(guild(0), None, body),
        "lacks MANAGE_CHANNELS in the guild to create general",
        "grant MANAGE_CHANNELS to the bot's role Keeper",
    )
    assert foresight.missing_for_channel_write(guild(CHANNELS), {}, body) is None
    inside = {**body, "parent_id": CATEGORY}
    category = channel(CATEGORY, "Team", 4, overwrites=[raw(BOT, CHANNELS)])
    assert foresight.missing_for_channel_write(guild(0, category), None, inside) is None
    told(
        foresight.missing_for_channel_write(guild(0, channel(CATEGORY, "Team", 4)), None, inside),
        "in the category Team (7",
    )


def test_creating_with_overwrites_sets_only_what_the_bot_has() -> None:
    has = guild(CHANNELS)
    fine = {"name": "x", "permission_overwrites": [raw(GUILD, deny=VIEW), raw(LOW, SEND | NEW)]}
    assert foresight.missing_for_channel_write(has, None, fine) is None
    told(
        foresight.missing_for_channel_write(
            has, None, {"name": "x", "permission_overwrites": [raw(LOW, SEND | CONNECT)]}
        ),
        "cannot allow or deny CONNECT for the role Members",
        "take it out of the manifest",
    )
    told(
        foresight.missing_for_channel_write(
            guild(CHANNELS | ROLES), None, {"name": "x", "permission_overwrites": [raw(BOT, ROLES)]}
        ),
        "only an administrator can set MANAGE_ROLES",
        f"the member {BOT}",
    )
    everything = {"name": "x", "permission_overwrites": [raw(LOW, ROLES | CONNECT)]}
    assert foresight.missing_for_channel_write(guild(ADMIN), None, everything) is None


@pytest.mark.parametrize(
    ("bits", "overwrites", "kind", "says", "reason"),
    [
        (CHANNELS, [], 0, None, "enough"),
        (ADMIN, [raw(GUILD, deny=VIEW)], 0, None, "administrators are never kept out"),
        (0, [], 0, "lacks MANAGE_CHANNELS in general", "missing everywhere"),
        (
            CHANNELS,
            [raw(BOT_ROLE, deny=CHANNELS)],
            0,
            "lacks MANAGE_CHANNELS in general",
            "denied in the channel",
        ),
        (CHANNELS, [raw(GUILD, deny=VIEW)], 0, "lacks MANAGE_CHANNELS, VIEW_CHANNEL in general", "hidden"),
        (CHANNELS, [], 2, "lacks MANAGE_CHANNELS, CONNECT in general", "a voice channel needs CONNECT"),
        (CHANNELS | CONNECT, [], 13, None, "as does a stage"),
        (0, [raw(BOT, CHANNELS)], 0, None, "allowed in the channel alone"),
    ],
)
def test_changing_needs_manage_channels_there(
    bits: int, overwrites: list[Raw], kind: int, says: str | None, reason: str
) -> None:
    there = channel(CHANNEL, "general", kind, overwrites=overwrites)
    for answer in (
        foresight.missing_for_channel_write(guild(bits, there), there, {"topic": "x"}),
        foresight.missing_for_channel_delete(guild(bits, there), there),
    ):
        assert (answer is None) is (says is None), reason
        assert says is None or says in (answer or ""), reason


def test_changing_overwrites_needs_manage_roles_there() -> None:
    there = channel(CHANNEL, "general", overwrites=[raw(LOW, CONNECT)])
    told(
        foresight.missing_for_channel_write(guild(CHANNELS, there), there, {"permission_overwrites": []}),
        "lacks MANAGE_ROLES in general",
        "to change its permission overwrites",
    )
    has = guild(CHANNELS | ROLES, there)
    assert foresight.missing_for_channel_write(has, there, {"permission_overwrites": []}) is None
    same = {"permission_overwrites": [{"id": LOW, "type": 0, "allow": CONNECT}]}
    assert foresight.missing_for_channel_write(guild(CHANNELS, there), there, same) is None, "no change"
    more = {"permission_overwrites": [raw(LOW, CONNECT | SEND)]}
    assert foresight.missing_for_channel_write(has, there, more) is None, "only what is new is ours to have"
    told(
        foresight.missing_for_channel_write(has, there, {"permission_overwrites": [raw(LOW, deny=CONNECT)]}),
        "cannot allow or deny CONNECT",
    )


def test_a_permission_of_the_new_parent_and_a_given_manage_roles_count() -> None:
    there = channel(CHANNEL, "general")
    category = channel(CATEGORY, "Team", 4, overwrites=[raw(BOT, CONNECT)])
    body = {"parent_id": CATEGORY, "permission_overwrites": [raw(LOW, CONNECT)]}
    assert foresight.missing_for_channel_write(guild(CHANNELS | ROLES, there, category), there, body) is None
    given = channel(CHANNEL, "general", overwrites=[raw(BOT, ROLES)])
    body = {"permission_overwrites": [raw(BOT, ROLES), raw(LOW, KICK)]}
    assert foresight.missing_for_channel_write(guild(CHANNELS, given), given, body) is None


def test_roles_need_manage_roles_and_rank() -> None:
    has = guild(ROLES)
    told(
        foresight.missing_for_role_write(guild(0), None, {"name": "x"}),
        "lacks MANAGE_ROLES",
        "to create roles",
    )
    told(foresight.missing_for_role_write(guild(0), has.roles[LOW], {"name": "x"}), "MANAGE_ROLES")
    assert foresight.missing_for_role_write(has, None, {"name": "x"}) is None
    assert foresight.missing_for_role_write(has, has.roles[LOW], {"name": "x"}) is None
    assert foresight.missing_for_role_write(has, has.roles[OTHER_BOT_ROLE], {"name": "x"}) is None, (
        "younger is lower"
    )
    assert foresight.missing_for_role_write(has, has.roles[GUILD], {"permissions": str(SEND)}) is None, (
        "@everyone"
    )
    told(
        foresight.missing_for_role_write(has, has.roles[HIGH], {"name": "x"}),
        "Owners (5",
        "above the bot's highest role Keeper",
        "drag the bot's role",
    )
    told(foresight.missing_for_role_delete(has, has.roles[BOT_ROLE]), "the bot's own highest role")
    assert foresight.missing_for_role_order(has, has.roles[LOW]) is None


def test_roles_are_granted_only_what_the_bot_has() -> None:
    has = guild(ROLES | SEND)
    told(
        foresight.missing_for_role_write(has, None, {"name": "Mods", "permissions": str(SEND | KICK)}),
        "cannot grant KICK_MEMBERS to the role Mods",
        "grant KICK_MEMBERS to the bot's role Keeper",
    )
    kicks = {**has.roles[LOW], "permissions": str(KICK)}
    for bits in (KICK | SEND, SEND, 0, NEW):
        assert foresight.missing_for_role_write(has, kicks, {"permissions": str(bits)}) is None
    assert foresight.missing_for_role_write(guild(ADMIN), None, {"permissions": str(KICK)}) is None


def test_guild_settings_need_manage_guild_and_the_larger_features_an_administrator() -> None:
    told(foresight.missing_for_guild_write(guild(0), {"name": "x"}), "MANAGE_GUILD in the guild")
    assert foresight.missing_for_guild_write(guild(MANAGE_GUILD), {"name": "x"}) is None
    community = guild(MANAGE_GUILD, features=["COMMUNITY"])
    assert (
        foresight.missing_for_guild_write(community, {"features": ["COMMUNITY", "INVITES_DISABLED"]}) is None
    )
    told(foresight.missing_for_guild_write(community, {"features": []}), "ADMINISTRATOR", "switch COMMUNITY")
    assert foresight.missing_for_guild_write(guild(ADMIN), {"features": ["COMMUNITY"]}) is None
    told(foresight.missing_for_channel_order(guild(0)), "MANAGE_CHANNELS in the guild")
    assert foresight.missing_for_channel_order(guild(CHANNELS)) is None


@pytest.mark.parametrize(
    ("bits", "overwrites", "says", "reason"),
    [
        (CHANNELS, [raw(GUILD, deny=VIEW)], "allows VIEW_CHANNEL", "private, without the bot"),
        (CHANNELS, [raw(GUILD, deny=VIEW), raw(BOT, VIEW)], None, "private, with the bot"),
        (CHANNELS, [raw(GUILD, deny=VIEW), raw(BOT_ROLE, VIEW)], None, "or with its role"),
        (ADMIN, [raw(GUILD, deny=VIEW)], None, "administrators cannot be shut out"),
        (CHANNELS | ROLES, [raw(BOT_ROLE, deny=ROLES)], "lose MANAGE_ROLES", "it could not undo this"),
        (CHANNELS, [raw(BOT_ROLE, deny=ROLES)], None, "what it does not have it cannot lose"),
        (CHANNELS, [raw(GUILD, deny=SEND)], None, "it need not speak"),
    ],
)
def test_lock_out(bits: int, overwrites: list[Raw], says: str | None, reason: str) -> None:
    there = channel(CHANNEL, "general")
    for view, written in (
        (guild(bits, there), there),
        (guild(bits, there), {**there, "permission_overwrites": overwrites}),
        (guild(bits), {"name": "general", "type": 0}),
    ):
        answer = foresight.would_lock_out(view, written, overwrites)
        assert (answer is None) is (says is None), reason
        assert says is None or says in (answer or ""), reason


def test_a_channel_that_the_bot_cannot_manage_anyway_is_no_lock_out() -> None:
    there = channel(CHANNEL, "general", overwrites=[raw(BOT, deny=CHANNELS)])
    assert foresight.would_lock_out(guild(CHANNELS, there), there, [raw(BOT, deny=CHANNELS | SEND)]) is None


def test_voice_channels_need_connect_also_under_a_synced_category() -> None:
    category = channel(CATEGORY, "Team", 4)
    voice = channel(VOICE, "Lounge", 2, CATEGORY)
    apart = channel(CHANNEL, "Apart", 2, CATEGORY, [raw(BOT, CONNECT)])
    has = guild(CHANNELS, category, voice, apart, everyone=VIEW | CONNECT)
    told(foresight.would_lock_out(has, voice, [raw(GUILD, deny=CONNECT)]), "Lounge", "allows CONNECT")
    told(
        foresight.would_lock_out(has, category, [raw(GUILD, deny=CONNECT)]),
        "Lounge (9",
        "which is synced with Team",
    )
    no_follower = guild(CHANNELS, category, apart, everyone=VIEW | CONNECT)
    assert foresight.would_lock_out(no_follower, category, [raw(GUILD, deny=CONNECT)]) is None


def test_a_role_that_carries_the_bot_keeps_what_it_gives_it() -> None:
    has = guild(CHANNELS)
    told(
        foresight.role_would_lock_out(has, has.roles[GUILD], SEND),
        "@everyone",
        "would lose VIEW_CHANNEL",
        "grant VIEW_CHANNEL to the bot's role Keeper",
    )
    assert foresight.role_would_lock_out(has, has.roles[GUILD], VIEW) is None
    assert foresight.role_would_lock_out(has, has.roles[LOW], 0) is None
    assert foresight.role_would_lock_out(guild(ADMIN), has.roles[GUILD], 0) is None


def test_nothing_is_refused_while_the_bots_member_is_unknown() -> None:
    unknown, there = guild(0, known=False), channel(CHANNEL, "general")
    assert foresight.missing_for_channel_write(unknown, None, {"name": "x"}) is None
    assert (
        foresight.missing_for_channel_write(unknown, there, {"permission_overwrites": [raw(LOW, KICK)]})
        is None
    )
    assert foresight.missing_for_overwrites(unknown, there, [], [raw(LOW, KICK)]) is None
    assert foresight.missing_for_channel_delete(unknown, there) is None
    assert foresight.missing_for_channel_order(unknown) is None
    assert foresight.missing_for_role_write(unknown, None, {"permissions": "8"}) is None
    assert foresight.missing_for_role_delete(unknown, unknown.roles[HIGH]) is None
    assert foresight.missing_for_guild_write(unknown, {"name": "x"}) is None
    assert foresight.would_lock_out(unknown, there, [raw(GUILD, deny=VIEW)]) is None
    assert foresight.role_would_lock_out(unknown, unknown.roles[GUILD], 0) is None


def test_a_bot_without_a_role_is_told_to_get_one() -> None:
    bare = guild(0)
    view = Guild(bare.guild, {}, bare.roles, {"user": {"id": BOT}, "roles": []})
    told(
        foresight.missing_for_channel_write(view, None, {"name": "x"}),
        "give the bot a role with MANAGE_CHANNELS",
    )


OVERWRITES: Final = st.dictionaries(
    st.sampled_from([GUILD, BOT, BOT_ROLE, LOW]),
    st.tuples(*(st.integers(0, 31),) * 2),
    max_size=4,
).map(
    lambda found: [raw(target, _mask(allow), _mask(deny & ~allow)) for target, (allow, deny) in found.items()]
)


def _mask(number: int) -> int:
    return sum(bit for place, bit in enumerate((VIEW, CHANNELS, ROLES, CONNECT, SEND)) if number >> place & 1)


@given(
    OVERWRITES,
    OVERWRITES,
    st.sampled_from([0, 2, 4]),
    st.integers(0, 31).map(_mask),
    st.integers(0, 31).map(_mask),
)
@settings(deadline=None, derandomize=True, max_examples=300)
def test_a_write_that_is_let_through_leaves_the_bot_its_access(
    before: list[Raw], after: list[Raw], kind: int, bits: int, everyone: int
) -> None:
    there = channel(CHANNEL, "general", kind, overwrites=before)
    view = guild(bits, there, everyone=everyone)
    access = VIEW | CHANNELS | ROLES
    kept = channel_permissions(view, {**there, "permission_overwrites": after})
    lost = channel_permissions(view, there) & access & ~kept
    assert (foresight.would_lock_out(view, there, after) is None) is (not lost)
