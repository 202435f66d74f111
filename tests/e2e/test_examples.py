"""Every manifest of `examples/` is applied, and the guild at Discord is what it says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from provider_discord.simulator import Permission

from .conftest import MANAGED, TOKEN, Obj, System, is_true

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"
COMMUNITY: Final = EXAMPLES / "community"
MINIMAL: Final = ("providerconfig.yaml", "guild.yaml", "role.yaml", "channel.yaml")
"""In the order in which a newcomer goes through them."""
CONFIG: Final = "default"
"""The ProviderConfig of objects that name none."""
TYPES: Final = {"text": 0, "voice": 2, "category": 4, "announcement": 5, "stage": 13, "forum": 15}
WORDS: Final[Mapping[str, Mapping[str, int]]] = {
    "type": TYPES,
    "videoQualityMode": {"auto": 1, "full": 2},
    "defaultSortOrder": {"latest_activity": 0, "creation_date": 1},
    "defaultForumLayout": {"not_set": 0, "list_view": 1, "gallery_view": 2},
    "verificationLevel": {"none": 0, "low": 1, "medium": 2, "high": 3, "very_high": 4},
    "defaultMessageNotifications": {"all_messages": 0, "only_mentions": 1},
    "explicitContentFilter": {"disabled": 0, "members_without_roles": 1, "all_members": 2},
}
"""Discord's numbers for the words of the examples, from its documentation and not from this project's tables."""
GUILD_CHANNELS: Final = (
    "rulesChannelId",
    "publicUpdatesChannelId",
    "safetyAlertsChannelId",
    "systemChannelId",
    "afkChannelId",
)
ELSEWHERE: Final = frozenset(
    {"guildIdRef", "parentIdRef", "parentIdSelector", "position", "permissionOverwrites", "syncPermissions"}
    | {"availableTags", "defaultReactionEmoji", "requireTag", "permissionNames", "color", "everyone"}
    | {"community", *(f"{name}Ref" for name in GUILD_CHANNELS)}
)
"""What is not compared field by field, but below."""
REQUIRE_TAG: Final = 1 << 4
SPOKEN: Final = frozenset({TYPES["voice"], TYPES["stage"]})

Read = Callable[[Path], list[Obj]]


@pytest.fixture
def provider_arguments() -> tuple[str, ...]:
    """Polls so rare that none comes: what converges, converges because something woke it."""
    return ("--no-leader-election", "--poll", "1h")


@pytest.mark.parametrize(
    "features",
    [
        pytest.param(["COMMUNITY", "NEWS"], id="community-guild"),
        pytest.param([], id="plain-guild"),
    ],
)
def test_the_community_becomes_what_its_manifests_say(
    system: System, documents: Read, features: list[str]
) -> None:
    """In a guild that is no Community yet, announcement and stage channels must wait for the guild, and it for its channels."""
    objects = documents(COMMUNITY)
    _use(system, objects, features=features)
    made = _apply_all(system, objects)

    _check_guild(system, made)
    _check_roles(system, made)
    _check_channels(system, made)
    _check_staff_area(system)
    assert len(system.discord.channels()) == sum(1 for obj in made if obj["kind"] == "Channel")
    _check_nothing_is_written_again(system, made, lambda: system.apply(*objects))


def test_each_minimal_example_is_applied_in_turn(system: System, documents: Read) -> None:
    files = {name: documents(EXAMPLES / name) for name in MINIMAL}
    objects = [obj for name in MINIMAL for obj in files[name]]
    _use(system, objects)
    for name in MINIMAL:
        _apply_all(system, files[name])

    _check_guild(system, objects)
    _check_roles(system, objects)
    _check_channels(system, objects)
    made = [obj for obj in objects if obj["kind"] in MANAGED]
    _check_nothing_is_written_again(system, made, lambda: system.apply(*objects))


def test_no_example_is_left_out() -> None:
    files = {path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*.yaml")}
    assert {name for name in files if not name.startswith("community/")} == set(MINIMAL)
    assert all(Path(name).parts[0] == "community" for name in files - set(MINIMAL))


# Applying.


def _use(system: System, objects: Iterable[Obj], *, features: Iterable[str] = ()) -> None:
    """Fit the manifests to this test's namespace, bot and Discord, and the guild to their name, as the demo does."""
    system.config_name = CONFIG
    for obj in objects:
        if obj["kind"] == "ProviderConfig":
            assert obj["metadata"]["name"] == CONFIG
            obj["spec"]["baseURL"] = system.simulator.base_url
            reference = obj["spec"]["credentials"]["secretRef"]
            reference["namespace"] = system.namespace
            secret = {"name": reference["name"], "namespace": system.namespace}
            data = {reference["key"]: TOKEN}
            system.apply({"apiVersion": "v1", "kind": "Secret", "metadata": secret, "stringData": data})
        elif obj["kind"] == "Guild":
            system.discord.set_guild(name=obj["spec"]["forProvider"]["name"], features=list(features))


def _apply_all(system: System, objects: list[Obj]) -> list[Obj]:
    """Apply the manifests, wait until all are true, and return the managed ones."""
    system.apply(*objects)
    made = [obj for obj in objects if obj["kind"] in MANAGED]
    system.until_true(*made, seconds=30)
    return made


def _check_nothing_is_written_again(system: System, made: list[Obj], apply: Callable[[], Any]) -> None:
    settled = system.discord.last_request()
    apply()
    system.reconcile(*made)
    assert system.writes(settled) == []
    assert all(is_true(system.get(obj["kind"], obj["metadata"]["name"])) for obj in made)


# Comparing. The manifests are read plainly here, by what Discord's documentation says of each field.


def _check_guild(system: System, made: list[Obj]) -> None:
    (manifest,) = (obj for obj in made if obj["kind"] == "Guild")
    wanted, guild = manifest["spec"]["forProvider"], system.discord.guild()
    assert _plain(wanted) == _of(guild, _plain(wanted))
    for field in GUILD_CHANNELS:
        if f"{field}Ref" in wanted:
            assert guild[_snake(field)] == system.external_name("Channel", wanted[f"{field}Ref"]["name"]), (
                field
            )
    if wanted.get("community"):
        assert {"COMMUNITY", "NEWS"} <= set(guild["features"])


def _check_roles(system: System, made: list[Obj]) -> None:
    roles = {role["id"]: role for role in system.discord.roles()}
    ranked = []
    for manifest in (obj for obj in made if obj["kind"] == "Role"):
        wanted = manifest["spec"]["forProvider"]
        role = roles[system.external_name("Role", manifest["metadata"]["name"])]
        assert _plain(wanted) == _of(role, _plain(wanted))
        if "permissionNames" in wanted:
            assert int(role["permissions"]) == _bits(wanted["permissionNames"]), role["name"]
        if "color" in wanted:
            assert role["colors"]["primary_color"] == int(wanted["color"].removeprefix("#"), 16)
        if wanted.get("everyone"):
            assert role["id"] == system.discord.guild()["id"]
        if "position" in wanted:
            ranked.append((wanted["position"], role["position"], role["name"]))
    assert [name for _, _, name in sorted(ranked)] == [
        name for _, _, name in sorted(ranked, key=lambda one: one[1])
    ]


def _check_channels(system: System, made: list[Obj]) -> None:
    channels = {channel["id"]: channel for channel in system.discord.channels()}
    manifests = [obj for obj in made if obj["kind"] == "Channel"]
    siblings: dict[tuple[str | None, str], list[tuple[int, int, str]]] = {}
    for manifest in manifests:
        wanted = manifest["spec"]["forProvider"]
        channel = channels[system.external_name("Channel", manifest["metadata"]["name"])]
        assert _plain(wanted) == _of(channel, _plain(wanted)), wanted["name"]
        assert channel["parent_id"] == _parent(system, wanted, manifests)
        _check_overwrites(system, wanted, channel, channels)
        _check_forum(wanted, channel)
        if "position" in wanted:
            group = (channel["parent_id"], _class(channel["type"]))
            siblings.setdefault(group, []).append((wanted["position"], channel["position"], wanted["name"]))
    for members in siblings.values():
        by_manifest = [name for _, _, name in sorted(members)]
        assert by_manifest == [name for _, _, name in sorted(members, key=lambda one: one[1])]


def _check_overwrites(system: System, wanted: Obj, channel: Obj, channels: Mapping[str, Obj]) -> None:
    has = {one["id"]: (int(one["allow"]), int(one["deny"])) for one in channel["permission_overwrites"]}
    if wanted.get("syncPermissions"):
        parent = channels[channel["parent_id"]]
        inherited = {
            one["id"]: (int(one["allow"]), int(one["deny"])) for one in parent["permission_overwrites"]
        }
        assert has == inherited
    elif "permissionOverwrites" in wanted:
        assert has == {
            _target(system, one): (_bits(one.get("allowNames", ())), _bits(one.get("denyNames", ())))
            for one in wanted["permissionOverwrites"]
        }


def _check_forum(wanted: Obj, channel: Obj) -> None:
    if "availableTags" in wanted:
        tags = [(tag["name"], tag["emoji_name"], tag["moderated"]) for tag in channel["available_tags"]]
        assert tags == [
            (tag["name"], tag["emojiName"], tag.get("moderated", False)) for tag in wanted["availableTags"]
        ]
    if "defaultReactionEmoji" in wanted:
        emoji = wanted["defaultReactionEmoji"]["emojiName"]
        assert channel["default_reaction_emoji"]["emoji_name"] == emoji
    if "requireTag" in wanted:
        assert bool(channel["flags"] & REQUIRE_TAG) is wanted["requireTag"]


def _check_staff_area(system: System) -> None:
    """Somebody without roles sees everything but the staff's area; a moderator sees that too, a maker does not."""
    hidden = {"Staff", "staff-chat", "notices"}
    channels = system.discord.channels()
    everyone, maker = system.external_name("Role", "everyone"), system.external_name("Role", "maker")
    staff = [system.external_name("Role", name) for name in ("organiser", "moderator")]
    roles = {role["id"]: int(role["permissions"]) for role in system.discord.roles()}

    def invisible_to(*held: str) -> set[str]:
        return {
            channel["name"]
            for channel in channels
            if not _permissions(channel, roles, everyone, held) & Permission.VIEW_CHANNEL
        }

    assert invisible_to() == hidden
    assert invisible_to(maker) == hidden
    for role in staff:
        assert invisible_to(role) == set()
    rules = next(channel for channel in channels if channel["name"] == "rules")
    assert not _permissions(rules, roles, everyone, (maker,)) & Permission.SEND_MESSAGES
    assert _permissions(rules, roles, everyone, (staff[0],)) & Permission.SEND_MESSAGES


def _permissions(channel: Obj, roles: Mapping[str, int], everyone: str, held: Iterable[str]) -> int:
    """Return what holders of these roles may do there (Discord docs, topics/permissions, "Permission Overwrites")."""
    held = tuple(held)
    bits = roles[everyone]
    for role in held:
        bits |= roles[role]
    for layer in ((everyone,), held):
        found = [one for one in channel["permission_overwrites"] if one["id"] in layer]
        for one in found:
            bits &= ~int(one["deny"])
        for one in found:
            bits |= int(one["allow"])
    return bits


def _plain(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that Discord knows by the same name, with its values."""
    plain = {}
    for name, value in wanted.items():
        if name not in ELSEWHERE:
            number = WORDS[name][value] if name in WORDS else value
            # Discord's null is the automatic region.
            plain[_snake(name)] = None if (name, value) == ("rtcRegion", "") else number
    return plain


def _of(raw: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: raw.get(name) for name in names}


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name)


def _class(channel_type: int) -> str:
    """Return the class within which channels are sorted: those that are spoken in stand below the others."""
    return (
        "category" if channel_type == TYPES["category"] else "spoken" if channel_type in SPOKEN else "written"
    )


def _bits(names: Iterable[str]) -> int:
    return sum(Permission[name] for name in names)


def _parent(system: System, wanted: Mapping[str, Any], manifests: Iterable[Obj]) -> str | None:
    if "parentIdRef" in wanted:
        return system.external_name("Channel", wanted["parentIdRef"]["name"])
    if "parentIdSelector" in wanted:
        labels = wanted["parentIdSelector"]["matchLabels"].items()
        (parent,) = (one for one in manifests if labels <= one["metadata"].get("labels", {}).items())
        return system.external_name("Channel", parent["metadata"]["name"])
    return None


def _target(system: System, overwrite: Mapping[str, Any]) -> str:
    if "roleIdRef" in overwrite:
        return system.external_name("Role", overwrite["roleIdRef"]["name"])
    if overwrite["target"] == "everyone":
        return str(system.discord.guild()["id"])
    assert overwrite["target"] == "bot"
    return str(system.get("ProviderConfig", CONFIG)["status"]["bot"]["id"])
