"""Overwrites: a set by target. Nobody's access changes but by the manifest, and an idle channel is not written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_discord.apis.errors import InvalidField
from provider_discord.apis.overwrites import Overwrite as Listed
from provider_discord.discord.permissions import PERMISSIONS
from provider_discord.kinds.overwrites import (
    Overwrite,
    Policy,
    TargetType,
    copy_of_parent,
    plan,
    plan_copy,
    resolve_desired,
    same,
)
from provider_discord.kinds.permission_fields import KNOWN

GUILD, BOT = "100000000000000001", "200000000000000002"
STAFF, CARL = "300000000000000003", "400000000000000004"
VIEW, SEND, MANAGE = (PERMISSIONS[name] for name in ("VIEW_CHANNEL", "SEND_MESSAGES", "MANAGE_CHANNELS"))
NEW: Final = 1 << 60
ROLE, MEMBER = TargetType.ROLE, TargetType.MEMBER


def resolve(*items: Mapping[str, Any] | Listed) -> tuple[Overwrite, ...]:
    return resolve_desired(items, guild_id=GUILD, bot_id=BOT)


def raw(target: str, allow: int = 0, deny: int = 0, kind: int = 0) -> dict[str, Any]:
    return {"id": target, "type": kind, "allow": str(allow), "deny": str(deny)}


@pytest.mark.parametrize(
    ("item", "overwrite", "reason"),
    [
        (
            {"target": "everyone", "deny": "1024"},
            Overwrite(GUILD, ROLE, 0, VIEW),
            "@everyone is the guild's id",
        ),
        (
            {"target": "bot", "allowNames": ["VIEW_CHANNEL"]},
            Overwrite(BOT, MEMBER, VIEW),
            "the bot, a member",
        ),
        (
            {"id": STAFF, "type": "role", "allow": 1024},
            Overwrite(STAFF, ROLE, VIEW),
            "as the Go provider writes",
        ),
        ({"roleId": STAFF, "denyNames": []}, Overwrite(STAFF, ROLE), "where a reference leads"),
        ({"memberId": CARL, "allow": str(NEW)}, Overwrite(CARL, MEMBER, NEW), "a bit without a name"),
    ],
)
def test_resolves_every_way_to_name_a_target(item: dict[str, Any], overwrite: Overwrite, reason: str) -> None:
    assert resolve(item) == (overwrite,), reason
    assert resolve(Listed.model_validate(item)) == (overwrite,), "a parsed model means the same"


@pytest.mark.parametrize(
    ("items", "field", "says"),
    [
        ([{}], "permissionOverwrites[0]", "name its target"),
        ([{"id": STAFF}], "permissionOverwrites[0]", "role or member"),
        ([{"roleIdRef": {"name": "staff"}}], "permissionOverwrites[0]", "not known yet"),
        ([{"id": GUILD, "type": "member"}], "permissionOverwrites[0].type", "@everyone"),
        ([{"target": "bot", "allow": "x"}], "permissionOverwrites[0].allow", "decimal"),
        (
            [{"target": "bot", "allow": 1, "allowNames": ["VIEW_CHANNEL"]}],
            "permissionOverwrites[0].allowNames",
            "not both",
        ),
        ([{"target": "bot", "allow": 3072, "deny": 1024}], "permissionOverwrites[0]", "at once"),
        (
            [{"target": "everyone"}, {"target": "bot"}, {"roleId": GUILD}],
            "permissionOverwrites[2]",
            "permissionOverwrites[0] and permissionOverwrites[2]",
        ),
    ],
)
def test_refuses_naming_the_entry(items: list[dict[str, Any]], field: str, says: str) -> None:
    with pytest.raises(InvalidField) as caught:
        resolve(*items)
    assert caught.value.field == field
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("desired", "observed", "policy", "target", "reason"),
    [
        ([], [], Policy.AUTHORITATIVE, None, "nothing is nothing"),
        (
            [Overwrite(STAFF, ROLE, VIEW), Overwrite(CARL, MEMBER, 0, SEND)],
            [
                {"id": CARL, "type": 1, "deny": str(SEND)},
                {"id": STAFF, "type": 0, "allow": str(VIEW), "deny": None},
            ],
            Policy.AUTHORITATIVE,
            None,
            "order and absent bits mean nothing",
        ),
        (
            [],
            [raw(STAFF, VIEW)],
            Policy.AUTHORITATIVE,
            [],
            "what is not listed is removed",
        ),
        ([], [raw(STAFF, VIEW)], Policy.DECLARED, None, "or left alone"),
        (
            [Overwrite(GUILD, ROLE, 0, VIEW)],
            [raw(STAFF, VIEW), raw(GUILD, NEW)],
            Policy.DECLARED,
            [raw(STAFF, VIEW), raw(GUILD, NEW, VIEW)],
            "others are sent back as they are, and unknown bits stay",
        ),
        (
            [Overwrite(STAFF, ROLE, VIEW)],
            [raw(STAFF, VIEW | NEW, NEW)],
            Policy.AUTHORITATIVE,
            None,
            "unknown bits",
        ),
        (
            [Overwrite(STAFF, ROLE, VIEW | NEW)],
            [raw(STAFF, VIEW, NEW)],
            Policy.AUTHORITATIVE,
            [raw(STAFF, VIEW | NEW)],
            "a nameless bit that the manifest gives is ours, and leaves the other side",
        ),
        (
            [Overwrite(CARL, MEMBER), Overwrite(STAFF, ROLE, VIEW)],
            [raw(STAFF, VIEW)],
            Policy.AUTHORITATIVE,
            [raw(STAFF, VIEW), raw(CARL, kind=1)],
            "new ones go last; an entry without bits is one all the same",
        ),
    ],
)
def test_plans(
    desired: list[Overwrite],
    observed: list[dict[str, Any]],
    policy: Policy,
    target: list[dict[str, Any]] | None,
    reason: str,
) -> None:
    planned = plan(desired, observed, policy=policy)
    assert planned.changed is (target is not None), reason
    assert planned.changed is bool(planned.diffs), reason
    if target is not None:
        assert list(planned.target) == target, reason


def test_no_overwrites_at_all_is_an_empty_list() -> None:
    assert plan([], None).target == ()
    assert same(None, [])


def test_a_diff_names_the_target_and_the_permissions() -> None:
    planned = plan(
        [Overwrite(GUILD, ROLE, SEND, VIEW), Overwrite(STAFF, ROLE, VIEW)],
        [raw(GUILD, SEND | MANAGE | NEW), raw(CARL, VIEW, kind=1)],
        labels={GUILD: "@everyone"},
    )
    assert [str(diff) for diff in planned.diffs] == [
        (
            f"permissionOverwrites[role @everyone ({GUILD})]: allow +MANAGE_CHANNELS; deny -VIEW_CHANNEL"
            " -> allow -MANAGE_CHANNELS; deny +VIEW_CHANNEL"
        ),
        f"permissionOverwrites[member {CARL}]: allow VIEW_CHANNEL -> none",
        f"permissionOverwrites[role {STAFF}]: none -> allow VIEW_CHANNEL",
    ]


def test_sync_copies_every_bit_and_knows_when_it_is_done() -> None:
    parent = [raw(GUILD, 0, VIEW), raw(STAFF, VIEW | NEW)]
    planned = plan_copy(parent, [raw(STAFF, VIEW), raw(CARL, VIEW, kind=1)])
    assert planned.changed
    assert [str(diff) for diff in planned.diffs] == [
        f"permissionOverwrites[role {STAFF}]: allow -1<<60 -> allow +1<<60",
        f"permissionOverwrites[member {CARL}]: allow VIEW_CHANNEL -> none",
        f"permissionOverwrites[role {GUILD}]: none -> deny VIEW_CHANNEL",
    ]
    assert same(planned.target, parent)
    assert not plan_copy(parent, reversed(parent)).changed
    copied = copy_of_parent(parent)
    copied[0]["allow"] = "1"
    assert parent[0]["allow"] == "0", "the parent's own list is not handed out"


TARGETS: Final = st.sampled_from([GUILD, BOT, STAFF, CARL])
BITS: Final = st.integers(0, 15).map(
    lambda n: sum(bit for i, bit in enumerate((VIEW, SEND, MANAGE, NEW)) if n >> i & 1)
)


@st.composite
def listed(draw: st.DrawFn) -> list[Overwrite]:
    found = []
    for target in draw(st.lists(TARGETS, unique=True)):
        allow = draw(BITS)
        found.append(Overwrite(target, MEMBER if target in {BOT, CARL} else ROLE, allow, draw(BITS) & ~allow))
    return found


@given(listed(), listed(), st.sampled_from(Policy))
@settings(deadline=None, derandomize=True)
def test_one_write_settles_it(desired: list[Overwrite], there: list[Overwrite], policy: Policy) -> None:
    observed = [overwrite.to_raw() for overwrite in there]
    planned = plan(desired, observed, policy=policy)
    again = plan(desired, planned.target, policy=policy)
    assert not again.changed
    assert same(again.target, planned.target)
    assert planned.changed or same(planned.target, observed)
    stored = {entry["id"]: Overwrite.from_raw(entry) for entry in planned.target}
    assert all(stored[want.id].allow & KNOWN == want.allow & KNOWN for want in desired)
    assert all(not entry.allow & entry.deny for entry in stored.values())
    unlisted = {overwrite.id for overwrite in there} - {overwrite.id for overwrite in desired}
    kept = {
        overwrite for overwrite in there if overwrite.id in unlisted and overwrite == stored.get(overwrite.id)
    }
    assert len(kept) == (len(unlisted) if policy is Policy.DECLARED else 0)
