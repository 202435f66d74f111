"""The CRDs on a real API server: what `kubectl apply` lets through, what it refuses, and in which words."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import pytest
from controlplane import ControlPlane
from controlplane.errors import ApiRefused

from provider_discord.apis.kinds import (
    CHANNEL,
    GUILD,
    KINDS,
    PROVIDER_CONFIG,
    PROVIDER_CONFIG_USAGE,
    ROLE,
    KindDefinition,
    Scope,
)
from provider_discord.managed.policies import ACCEPTED_SETS

pytestmark = pytest.mark.usefixtures("crds")

G = "1029384756473829105"
OTHER = "1029384756473829106"
PNG = "data:image/png;base64,iVBORw0KGgo="


def channel(type_: int | str = "text", **fields: Any) -> dict[str, Any]:
    return {"forProvider": {"name": "general", "type": type_, "guildId": G, **fields}}


def role(**fields: Any) -> dict[str, Any]:
    return {"forProvider": {"name": "Moderator", "guildId": G, **fields}}


def guild(**fields: Any) -> dict[str, Any]:
    return {"forProvider": {"name": "My Guild", **fields}}


def config(**fields: Any) -> dict[str, Any]:
    credentials = {"source": "Secret", "secretRef": {"namespace": "a", "name": "b", "key": "token"}}
    return {"credentials": credentials, **fields}


def overwritten(**entry: Any) -> dict[str, Any]:
    return channel(permissionOverwrites=[entry])


def path_of(kind: KindDefinition, namespace: str, name: str = "") -> str:
    scope = f"/namespaces/{namespace}" if kind.scope is Scope.NAMESPACED else ""
    tail = f"/{name}" if name else ""
    return f"/apis/{kind.group}/{kind.version}{scope}/{kind.plural}{tail}"


def manifest(kind: KindDefinition, spec: dict[str, Any], name: str = "thing") -> dict[str, Any]:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def submit(control_plane: ControlPlane, kind: KindDefinition, spec: dict[str, Any]) -> dict[str, Any]:
    """Create with kubectl's own strictness, without leaving anything behind."""
    query = "?dryRun=All&fieldValidation=Strict"
    made = control_plane.request("POST", path_of(kind, "default") + query, body=manifest(kind, spec))
    assert isinstance(made, dict)
    return made


def refusal(error: ApiRefused) -> str:
    return str(json.loads(error.body)["message"])


@dataclass(frozen=True)
class Accepted:
    reason: str
    kind: KindDefinition
    spec: dict[str, Any]


ACCEPTED = [
    # As the Go provider's users have them.
    Accepted("the Go provider's text channel", CHANNEL, channel(0, topic="Talk", position=0, nsfw=False)),
    Accepted(
        "the Go provider's voice channel",
        CHANNEL,
        channel(2, bitrate=64000, userLimit=10, parentId=OTHER, allowDelete=True),
    ),
    Accepted(
        "zero values of fields that a category has not",
        CHANNEL,
        channel(4, topic="", nsfw=False, userLimit=0, rateLimitPerUser=0, parentId="", availableTags=[]),
    ),
    Accepted(
        "zero values of fields that a voice channel has not", CHANNEL, channel(2, topic="", requireTag=False)
    ),
    Accepted("a zero user limit on a text channel", CHANNEL, channel(0, userLimit=0, rtcRegion="")),
    Accepted(
        "the Go provider's overwrites",
        CHANNEL,
        overwritten(id=OTHER, type="role", allow=1024, deny=0),
    ),
    Accepted("allow alone", CHANNEL, overwritten(id=OTHER, type="member", allow=1 << 46)),
    Accepted(
        "the Go provider's config reference and policies",
        CHANNEL,
        {
            **channel(0),
            "providerConfigRef": {"kind": "ProviderConfig", "name": "default"},
            "managementPolicies": ["Observe", "Create", "Update", "Delete", "LateInitialize"],
            "writeConnectionSecretToRef": {"name": "details"},
        },
    ),
    Accepted(
        "the Go provider's role",
        ROLE,
        role(color=3447003, hoist=True, mentionable=False, permissions="104324673", position=5),
    ),
    Accepted(
        "the Go provider's guild",
        GUILD,
        guild(
            region="",
            icon="",
            afkChannelId="",
            systemChannelId=OTHER,
            verificationLevel=2,
            defaultMessageNotifications=1,
            explicitContentFilter=2,
            afkTimeout=300,
            systemChannelFlags=0,
        ),
    ),
    Accepted("a guild that is known by its external name only", GUILD, {"forProvider": {}}),
    Accepted(
        "the Go provider's ProviderConfig",
        PROVIDER_CONFIG,
        config(
            baseURL="https://discord.com/api/v10",
            garbageCollection={
                "enabled": False,
                "preventDuplicatesOnCreate": True,
                "pollIntervalSeconds": 300,
                "deleteOrphanedResources": False,
                "deleteUnmanagedChannels": False,
                "targetGuilds": [G],
            },
            deduplication={
                "enabled": True,
                "mode": "report",
                "deleteOrphanedResources": False,
                "targetGuilds": [],
            },
        ),
    ),
    # Our own.
    Accepted("a type by its number", CHANNEL, channel(15, availableTags=[{"name": "solved"}])),
    Accepted("a topic on a forum beyond 1024", CHANNEL, channel("forum", topic="x" * 4096)),
    Accepted(
        "every field of a forum",
        CHANNEL,
        channel(
            "forum",
            guildIdRef=None,
            nsfw=False,
            rateLimitPerUser=30,
            defaultAutoArchiveDuration=4320,
            defaultThreadRateLimitPerUser=5,
            availableTags=[
                {"name": "bug", "moderated": True, "emojiName": "🐛"},
                {"name": "idea", "emojiId": OTHER},
            ],
            requireTag=True,
            defaultReactionEmoji={"emojiName": "👍"},
            defaultSortOrder="creation_date",
            defaultForumLayout="gallery_view",
            spoiler=True,
        ),
    ),
    Accepted("a reaction that is removed", CHANNEL, channel("forum", defaultReactionEmoji={})),
    Accepted("a media channel without download options", CHANNEL, channel(16, hideMediaDownloadOptions=True)),
    Accepted("a stage", CHANNEL, channel("stage", bitrate=64000, userLimit=5000, videoQualityMode="full")),
    Accepted(
        "references everywhere",
        CHANNEL,
        {
            "forProvider": {
                "name": "staff",
                "type": "text",
                "guildIdSelector": {"matchLabels": {"app": "community"}},
                "parentIdRef": {"name": "staff", "policy": {"resolution": "Optional"}},
                "permissionOverwrites": [
                    {"target": "everyone", "type": "role", "denyNames": ["VIEW_CHANNEL"]},
                    {"target": "bot", "allowNames": ["VIEW_CHANNEL"]},
                    {"roleIdRef": {"name": "moderator", "namespace": "x"}, "allowNames": ["VIEW_CHANNEL"]},
                    {"roleIdSelector": {"matchLabels": {"a": "b"}}, "type": "role", "allow": "1024"},
                    {"memberId": OTHER, "denyNames": []},
                    {"roleId": OTHER, "allow": 0},
                ],
                "overwritePolicy": "Declared",
            },
        },
    ),
    Accepted("synced permissions", CHANNEL, channel(parentIdRef={"name": "x"}, syncPermissions=True)),
    Accepted(
        "the Go provider's empty id beside a reference",
        CHANNEL,
        channel(parentId="", parentIdRef={"name": "x"}),
    ),
    Accepted(
        "an object that is only observed needs nothing",
        CHANNEL,
        {"forProvider": {}, "managementPolicies": ["Observe"]},
    ),
    Accepted(
        "an adopted object may leave its name unmanaged",
        CHANNEL,
        {"forProvider": {"topic": "x"}, "managementPolicies": ["Observe", "Update"]},
    ),
    Accepted(
        "@everyone",
        ROLE,
        {"forProvider": {"everyone": True, "guildIdRef": {"name": "g"}, "permissionNames": ["VIEW_CHANNEL"]}},
    ),
    Accepted(
        "zero values beside everyone", ROLE, role(everyone=True, name="@everyone", hoist=False, position=0)
    ),
    Accepted("a colour in hexadecimal", ROLE, role(color="#5865F2")),
    Accepted("a colour as a string of digits", ROLE, role(color="255")),
    Accepted("an emoji", ROLE, role(unicodeEmoji="🛡")),
    Accepted("an emoji that begins with a digit", ROLE, role(unicodeEmoji="1️⃣")),
    Accepted("no emoji", ROLE, role(unicodeEmoji="")),
    Accepted("a name of few characters that show", ROLE, role(name=" \u2603 ")),
    *(
        Accepted(
            f"the policies {sorted(policies)}", CHANNEL, {**channel(), "managementPolicies": sorted(policies)}
        )
        for policies in sorted(ACCEPTED_SETS, key=sorted)
    ),
    Accepted("a gradient", ROLE, role(colors={"primaryColor": "#ff0000", "secondaryColor": 255})),
    Accepted("permissions as an integer", ROLE, role(permissions=0)),
    Accepted("permissions above 2^53", ROLE, role(permissions=str(1 << 52))),
    Accepted(
        "a role icon from a ConfigMap",
        ROLE,
        role(iconFrom={"configMapKeyRef": {"name": "i", "key": "a.png"}}),
    ),
    Accepted(
        "words, features and images of a guild",
        GUILD,
        guild(
            description="A place",
            verificationLevel="medium",
            defaultMessageNotifications="only_mentions",
            explicitContentFilter="all_members",
            preferredLocale="de",
            community=True,
            discoverable=False,
            invitesDisabled=False,
            raidAlertsDisabled=True,
            premiumProgressBarEnabled=True,
            icon=PNG,
            bannerFrom={"secretKeyRef": {"name": "images", "key": "banner"}},
            splash="",
            rulesChannelIdRef={"name": "rules"},
            publicUpdatesChannelIdSelector={"matchLabels": {"is": "updates"}, "matchControllerRef": True},
            safetyAlertsChannelId="",
            afkChannelIdRef={"name": "afk"},
            systemChannelIdRef={"name": "lobby"},
        ),
    ),
    Accepted(
        "every field of a ProviderConfig",
        PROVIDER_CONFIG,
        config(
            baseURL="http://127.0.0.1:8099/api/v10",
            allowedGuilds=[G],
            allowedNamespaces=["community"],
            adoption="ByName",
            auditLogReason="Managed by the platform team",
            hold={"disabled": False, "minimumResources": 10, "percentage": 20},
        ),
    ),
]


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.reason)
def test_is_accepted(control_plane: ControlPlane, case: Accepted) -> None:
    stored = submit(control_plane, case.kind, without_nones(case.spec))
    if "forProvider" in case.spec:
        # Whatever the API server filled in would have made an absent field a managed one.
        assert stored["spec"]["forProvider"] == without_nones(case.spec["forProvider"])


def without_nones(value: dict[str, Any]) -> dict[str, Any]:
    return {
        key: without_nones(part) if isinstance(part, dict) else part
        for key, part in value.items()
        if part is not None
    }


@dataclass(frozen=True)
class Refused:
    reason: str
    kind: KindDefinition
    spec: dict[str, Any]
    says: list[str] = field(default_factory=list)


P = "spec.forProvider"
REFUSED = [
    # Fields that do not fit the channel's type.
    Refused("a topic on voice", CHANNEL, channel("voice", topic="x"), [f"{P}.topic", "text, announcement, forum or media"]),
    Refused("a topic on voice, by number", CHANNEL, channel(2, topic="x"), [f"{P}.topic"]),
    Refused("a bitrate on text", CHANNEL, channel("text", bitrate=64000), [f"{P}.bitrate", "voice or stage"]),
    Refused("a user limit on a forum", CHANNEL, channel("forum", userLimit=1), [f"{P}.userLimit"]),
    Refused("slow mode on an announcement channel", CHANNEL, channel(5, rateLimitPerUser=5), [f"{P}.rateLimitPerUser"]),
    Refused("nsfw on a category", CHANNEL, channel(4, nsfw=True), [f"{P}.nsfw", "type category do not have it"]),
    Refused("a parent of a category", CHANNEL, channel(4, parentId=OTHER), [f"{P}.parentId"]),
    Refused("a parent of a category by reference", CHANNEL, channel(4, parentIdRef={"name": "x"}), [f"{P}.parentIdRef"]),
    Refused("a region for text", CHANNEL, channel(rtcRegion="rotterdam"), [f"{P}.rtcRegion"]),
    Refused("a video quality for text", CHANNEL, channel(videoQualityMode=1), [f"{P}.videoQualityMode"]),
    Refused("archiving on voice", CHANNEL, channel(2, defaultAutoArchiveDuration=60), [f"{P}.defaultAutoArchiveDuration"]),
    Refused("thread slow mode on a stage", CHANNEL, channel(13, defaultThreadRateLimitPerUser=1), [f"{P}.defaultThreadRateLimitPerUser"]),
    Refused("tags on text", CHANNEL, channel(availableTags=[{"name": "a"}]), [f"{P}.availableTags", "forum or media"]),
    Refused("required tags on text", CHANNEL, channel(requireTag=True), [f"{P}.requireTag"]),
    Refused("no downloads in a forum", CHANNEL, channel("forum", hideMediaDownloadOptions=True), [f"{P}.hideMediaDownloadOptions"]),
    Refused("a spoiler stage", CHANNEL, channel("stage", spoiler=True), [f"{P}.spoiler"]),
    Refused("a reaction on text", CHANNEL, channel(defaultReactionEmoji={"emojiName": "x"}), [f"{P}.defaultReactionEmoji"]),
    Refused("a sort order on text", CHANNEL, channel(defaultSortOrder=1), [f"{P}.defaultSortOrder"]),
    Refused("a layout on a media channel", CHANNEL, channel(16, defaultForumLayout=1), [f"{P}.defaultForumLayout"]),
    # Bounds.
    Refused("a long topic on text", CHANNEL, channel(topic="x" * 1025), [f"{P}.topic", "1024"]),
    Refused("a long topic on a forum", CHANNEL, channel(15, topic="x" * 4097), [f"{P}.topic", "4096"]),
    Refused("a bitrate of 1", CHANNEL, channel(2, bitrate=1), [f"{P}.bitrate", "8000"]),
    Refused("too high a bitrate for a stage", CHANNEL, channel(13, bitrate=96000), [f"{P}.bitrate", "64000"]),
    Refused("a user limit of 100 on voice", CHANNEL, channel(2, userLimit=100), [f"{P}.userLimit", "99"]),
    Refused("slow mode of a week", CHANNEL, channel(rateLimitPerUser=604800), [f"{P}.rateLimitPerUser", "21600"]),
    Refused("a negative position", CHANNEL, channel(position=-1), [f"{P}.position"]),
    Refused("an odd archive duration", CHANNEL, channel(defaultAutoArchiveDuration=61), [f"{P}.defaultAutoArchiveDuration", "1440"]),
    Refused("an unknown type", CHANNEL, channel("vioce"), [f"{P}.type", '"voice"']),
    Refused("a type that no bot can make", CHANNEL, channel(1), [f"{P}.type"]),
    Refused("an empty name", CHANNEL, channel(name=""), [f"{P}.name"]),
    Refused("a name of 101 characters", CHANNEL, channel(name="x" * 101), [f"{P}.name"]),
    Refused("a bad snowflake", CHANNEL, channel(guildId="my-guild"), [f"{P}.guildId", "15 to 20 digits"]),
    Refused("a bad parent snowflake", CHANNEL, channel(parentId="123"), [f"{P}.parentId"]),
    Refused("21 tags", CHANNEL, channel(15, availableTags=[{"name": f"t{n}"} for n in range(21)]), [f"{P}.availableTags", "20"]),
    Refused("a tag twice", CHANNEL, channel(15, availableTags=[{"name": "a"}, {"name": "a"}]), [f"{P}.availableTags[1]", "Duplicate"]),
    Refused("a tag with two emoji", CHANNEL, channel(15, availableTags=[{"name": "a", "emojiId": G, "emojiName": "x"}]), [f"{P}.availableTags[0]", "emojiId"]),
    # What excludes each other.
    Refused("nsfw and spoiler", CHANNEL, channel(nsfw=True, spoiler=True), [f"{P}.spoiler"]),
    Refused("a guild twice", CHANNEL, channel(guildIdRef={"name": "x"}), [f"{P}.guildId", "only one of"]),
    Refused("a parent twice", CHANNEL, channel(parentId=OTHER, parentIdSelector={"matchLabels": {"a": "b"}}), [f"{P}.parentId", "only one of"]),
    Refused("synced and own permissions", CHANNEL, channel(parentId=OTHER, syncPermissions=True, permissionOverwrites=[]), [f"{P}.syncPermissions"]),
    Refused("synced with nothing", CHANNEL, channel(syncPermissions=True), [f"{P}.syncPermissions", "parentId"]),
    Refused("a synced category", CHANNEL, channel(4, syncPermissions=True), [f"{P}.syncPermissions"]),
    Refused("an overwrite without target", CHANNEL, overwritten(allow=1), [f"{P}.permissionOverwrites[0]", "target"]),
    Refused("an overwrite with two targets", CHANNEL, overwritten(target="bot", memberId=G), [f"{P}.permissionOverwrites[0]", "exactly one"]),
    Refused("an id without type", CHANNEL, overwritten(id=G), [f"{P}.permissionOverwrites[0].type", "role or member"]),
    Refused("a member's id called a role", CHANNEL, overwritten(memberId=G, type="role"), [f"{P}.permissionOverwrites[0].type"]),
    Refused("bits and names", CHANNEL, overwritten(target="everyone", allow=1, allowNames=[]), [f"{P}.permissionOverwrites[0].allowNames"]),
    Refused("an unknown permission", CHANNEL, overwritten(target="everyone", denyNames=["VIEW_CHANELS"]), [f"{P}.permissionOverwrites[0].denyNames[0]", "VIEW_CHANNEL"]),
    Refused("a permission twice", CHANNEL, overwritten(target="everyone", denyNames=["SPEAK", "SPEAK"]), [f"{P}.permissionOverwrites[0].denyNames[1]"]),
    Refused("negative bits", CHANNEL, overwritten(target="everyone", deny=-1), [f"{P}.permissionOverwrites[0].deny"]),
    Refused("bits in hexadecimal", CHANNEL, overwritten(target="everyone", deny="0x400"), [f"{P}.permissionOverwrites[0].deny"]),
    # What has to be there.
    Refused("a channel without name", CHANNEL, {"forProvider": {"type": 0, "guildId": G}}, [f"{P}.name is a required parameter"]),
    Refused("a channel without type", CHANNEL, {"forProvider": {"name": "x", "guildId": G}}, [f"{P}.type is a required parameter"]),
    Refused("a channel without guild", CHANNEL, {"forProvider": {"name": "x", "type": 0}}, [f"{P}.guildId", "guildIdSelector is a required parameter"]),
    Refused("an empty guild", CHANNEL, channel(guildId=""), [f"{P}.guildId"]),
    Refused("no forProvider", CHANNEL, {}, ["spec.forProvider"]),
    Refused("a reference without name", CHANNEL, channel(parentIdRef={}), [f"{P}.parentIdRef.name"]),
    Refused("a misspelt field", CHANNEL, channel(topics="x"), [f"{P}.topics"]),
    Refused("a config reference without name", CHANNEL, {**channel(), "providerConfigRef": {"kind": "ProviderConfig"}}, ["providerConfigRef.name"]),
    Refused("another config kind", CHANNEL, {**channel(), "providerConfigRef": {"kind": "Config", "name": "x"}}, ["providerConfigRef.kind", "ClusterProviderConfig"]),
    Refused("an unknown policy", CHANNEL, {**channel(), "managementPolicies": ["Read"]}, ["managementPolicies[0]"]),
    # Roles.
    Refused("a role without name", ROLE, {"forProvider": {"guildId": G}}, [f"{P}.name is a required parameter"]),
    Refused("a role's bits and names", ROLE, role(permissions="0", permissionNames=[]), [f"{P}.permissionNames"]),
    Refused("bits that are no number", ROLE, role(permissions="all"), [f"{P}.permissions"]),
    Refused("empty bits", ROLE, role(permissions=""), [f"{P}.permissions"]),
    Refused("colour twice", ROLE, role(color=1, colors={"primaryColor": 1}), [f"{P}.colors"]),
    Refused("a colour beyond white", ROLE, role(color=16777216), [f"{P}.color", "16777215"]),
    Refused("a colour's name", ROLE, role(color="red"), [f"{P}.color", '"#RRGGBB" or as an integer']),
    Refused("a short colour", ROLE, role(colors={"primaryColor": "#abc"}), [f"{P}.colors.primaryColor", '"#RRGGBB"']),
    Refused("a colour of another base", ROLE, role(color="0x400"), [f"{P}.color", '"#RRGGBB"']),
    Refused("an emoji by its name", ROLE, role(unicodeEmoji="shield"), [f"{P}.unicodeEmoji", "the emoji itself"]),
    Refused("a name of spaces", CHANNEL, channel(name="  "), [f"{P}.name", "not a space"]),
    Refused("a role's name of spaces", ROLE, role(name=" "), [f"{P}.name", "not a space"]),
    Refused("deleting what is not looked at", CHANNEL, {**channel(), "managementPolicies": ["Delete"]}, ["managementPolicies", "Observe with"]),
    Refused("all and more", CHANNEL, {**channel(), "managementPolicies": ["*", "Observe"]}, ["managementPolicies"]),
    Refused("a set that Crossplane lacks", CHANNEL, {**channel(), "managementPolicies": ["Observe", "Update", "Delete"]}, ["managementPolicies", "only with Create"]),
    Refused("an icon's URL", ROLE, role(icon="https://example.com/icon.png"), [f"{P}.icon"]),
    Refused("an icon twice", ROLE, role(icon=PNG, iconFrom={"secretKeyRef": {"name": "a", "key": "b"}}), [f"{P}.iconFrom"]),
    Refused("an icon and an emoji", ROLE, role(icon=PNG, unicodeEmoji="🛡"), [f"{P}.unicodeEmoji"]),
    Refused("an icon from nowhere", ROLE, role(iconFrom={}), [f"{P}.iconFrom", "exactly one"]),
    Refused("a moved @everyone", ROLE, role(everyone=True, name="@everyone", position=3), [f"{P}.position", "@everyone"]),
    Refused("a renamed @everyone", ROLE, role(everyone=True), [f"{P}.name", "@everyone"]),
    # Guilds.
    Refused("a guild's name of one letter", GUILD, guild(name="x"), [f"{P}.name"]),
    Refused("a timeout that Discord has not", GUILD, guild(afkTimeout=120), [f"{P}.afkTimeout", "300"]),
    Refused("verification level 5", GUILD, guild(verificationLevel=5), [f"{P}.verificationLevel", '"very_high"']),
    Refused("an unknown locale", GUILD, guild(preferredLocale="xx"), [f"{P}.preferredLocale"]),
    Refused("a rules channel twice", GUILD, guild(rulesChannelId=G, rulesChannelIdRef={"name": "x"}), [f"{P}.rulesChannelId"]),
    Refused("an icon's file", GUILD, guild(icon="./icon.png"), [f"{P}.icon"]),
    # ProviderConfigs.
    Refused("no credentials", PROVIDER_CONFIG, {}, ["spec.credentials"]),
    Refused("no secret", PROVIDER_CONFIG, {"credentials": {"source": "Secret"}}, ["spec.credentials.secretRef"]),
    Refused("a token from the environment", PROVIDER_CONFIG, {"credentials": {"source": "Environment", "env": {"name": "T"}}}, ["spec.credentials.source", '"Secret"']),
    Refused("an environment variable besides", PROVIDER_CONFIG, {"credentials": {**config()["credentials"], "env": {"name": "T"}}}, ["spec.credentials.env", "Secret"]),
    Refused("a base URL without scheme", PROVIDER_CONFIG, config(baseURL="discord.com/api"), ["spec.baseURL"]),
    Refused("an unknown adoption", PROVIDER_CONFIG, config(adoption="Always"), ["spec.adoption", "CreateNew"]),
    Refused("an allowed guild that is no id", PROVIDER_CONFIG, config(allowedGuilds=["x"]), ["spec.allowedGuilds[0]"]),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.reason)
def test_is_refused(control_plane: ControlPlane, case: Refused) -> None:
    with pytest.raises(ApiRefused) as caught:
        submit(control_plane, case.kind, case.spec)
    message = refusal(caught.value)
    for words in case.says:
        assert words in message
    assert "Traceback" not in message


@dataclass(frozen=True)
class Step:
    reason: str
    kind: KindDefinition
    before: dict[str, Any]
    after: dict[str, Any]
    says: list[str] = field(default_factory=list)


UNGUIDED = {key: value for key, value in channel()["forProvider"].items() if key != "guildId"}
BY_REFERENCE = {"forProvider": {**UNGUIDED, "guildIdRef": {"name": "g"}}}
STEPS = [
    Step("text becomes announcement", CHANNEL, channel(0), channel("announcement")),
    Step("announcement becomes text", CHANNEL, channel(5), channel(0)),
    Step("the same type in another form", CHANNEL, channel(2), channel("voice")),
    Step("text becomes voice", CHANNEL, channel(0), channel("voice"), [f"{P}.type", "cannot change"]),
    Step("forum becomes text", CHANNEL, channel("forum"), channel("text"), [f"{P}.type", "new object"]),
    Step("another guild", CHANNEL, channel(), channel(guildId=OTHER), [f"{P}.guildId", "cannot change"]),
    Step("another guild for a role", ROLE, role(), role(guildId=OTHER), [f"{P}.guildId", "cannot change"]),
    Step("an id becomes a reference", CHANNEL, channel(), BY_REFERENCE),
    Step("a reference becomes an id", CHANNEL, BY_REFERENCE, channel()),
    Step("an empty id is filled", CHANNEL, {"forProvider": {**BY_REFERENCE["forProvider"], "guildId": ""}}, channel()),
    Step("another category", CHANNEL, channel(parentId=G), channel(parentId=OTHER)),
    Step("out of its category", CHANNEL, channel(parentId=G), channel(parentId="")),
    Step("a role becomes @everyone", ROLE, role(), role(everyone=True, name="@everyone"), [f"{P}.everyone"]),
    Step("everyone false is said aloud", ROLE, role(), role(everyone=False)),
]  # fmt: skip


@pytest.mark.parametrize("case", STEPS, ids=lambda case: case.reason)
def test_change(control_plane: ControlPlane, case: Step) -> None:
    name = f"step-{secrets.token_hex(4)}"
    path = path_of(case.kind, "default")
    stored = control_plane.request("POST", path, body=manifest(case.kind, case.before, name))
    try:
        changed = {**stored, "spec": case.after}
        put = f"{path}/{name}?dryRun=All&fieldValidation=Strict"
        if not case.says:
            control_plane.request("PUT", put, body=changed)
            return
        with pytest.raises(ApiRefused) as caught:
            control_plane.request("PUT", put, body=changed)
        message = refusal(caught.value)
        for words in case.says:
            assert words in message
    finally:
        control_plane.request("DELETE", f"{path}/{name}")


def test_the_defaults_are_crossplanes(control_plane: ControlPlane) -> None:
    stored = submit(control_plane, CHANNEL, channel())
    assert stored["spec"]["managementPolicies"] == ["*"]
    assert stored["spec"]["providerConfigRef"] == {"kind": "ClusterProviderConfig", "name": "default"}


def test_a_short_config_reference_means_the_cluster_wide_one(control_plane: ControlPlane) -> None:
    stored = submit(control_plane, CHANNEL, {**channel(), "providerConfigRef": {"name": "mine"}})
    assert stored["spec"]["providerConfigRef"] == {"kind": "ClusterProviderConfig", "name": "mine"}


def test_a_usage_is_stored_as_crossplane_writes_it(control_plane: ControlPlane) -> None:
    body = {
        "apiVersion": PROVIDER_CONFIG_USAGE.api_version,
        "kind": PROVIDER_CONFIG_USAGE.kind,
        "metadata": {"name": "3f0e", "labels": {"crossplane.io/provider-config": "default"}},
        "providerConfigRef": {"kind": "ProviderConfig", "name": "default"},
        "resourceRef": {"apiVersion": CHANNEL.api_version, "kind": "Channel", "name": "x", "uid": "3f0e"},
    }
    path = f"{path_of(PROVIDER_CONFIG_USAGE, 'default')}?dryRun=All&fieldValidation=Strict"
    stored = control_plane.request("POST", path, body=body)
    assert stored["resourceRef"] == body["resourceRef"]
    assert stored["providerConfigRef"] == body["providerConfigRef"]


def test_every_value_of_a_full_status_survives(control_plane: ControlPlane, namespace: str) -> None:
    made = control_plane.request("POST", path_of(CHANNEL, namespace), body=manifest(CHANNEL, channel()))
    status = {
        "atProvider": {
            "id": OTHER,
            "guildId": G,
            "name": "general",
            "type": 0,
            "typeName": "text",
            "position": 3,
            "hasMessages": True,
            "createdAt": "2026-01-01T00:00:00Z",
            "defaultSortOrder": 1,
            "permissionOverwrites": [
                {"id": G, "type": "role", "allow": 0, "deny": 1 << 52, "denyNames": ["BYPASS_SLOWMODE"]}
            ],
            "availableTags": [{"id": G, "name": "x", "moderated": False, "emojiName": "🐛"}],
            "defaultReactionEmoji": {"emojiName": "👍"},
        },
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Available",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
                "observedGeneration": 1,
            }
        ],
        "observedGeneration": 1,
        "lastHandledReconcileAt": "x",
    }
    path = path_of(CHANNEL, namespace, "thing")
    stored = control_plane.request("PUT", f"{path}/status", body={**made, "status": status})
    assert stored["status"] == status


HEADINGS = {
    "Guild": ["NAME", "NAME", "GUILD-ID", "MEMBERS", "READY", "SYNCED", "HELD", "EXTERNAL-NAME", "AGE"],
    "Channel": [
        "NAME", "NAME", "TYPE", "GUILD", "CHANNEL-ID", "HAS-MESSAGES", "READY", "SYNCED", "EXTERNAL-NAME", "AGE",
    ],
    "Role": ["NAME", "NAME", "GUILD", "POSITION", "READY", "SYNCED", "EXTERNAL-NAME", "AGE"],
    "ProviderConfig": ["NAME", "BOT", "READY", "USERS", "AGE"],
    "ProviderConfigUsage": ["NAME", "CONFIG-NAME", "RESOURCE-KIND", "RESOURCE-NAME", "AGE"],
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_kubectl_shows_these_columns_under_these_names(
    control_plane: ControlPlane, kind: KindDefinition
) -> None:
    crd = control_plane.request(
        "GET", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind.crd_name}"
    )
    names = crd["status"]["acceptedNames"]
    assert tuple(names.get("shortNames", ())) == kind.short_names
    assert tuple(names["categories"]) == kind.categories
    columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]
    # kubectl puts the object's own name before.
    assert ["NAME", *(c["name"] for c in columns if not c.get("priority"))] == HEADINGS[kind.kind]


@pytest.mark.parametrize("kind", [GUILD, CHANNEL, ROLE, PROVIDER_CONFIG], ids=lambda kind: kind.kind)
def test_kubectl_explains_every_field(control_plane: ControlPlane, kind: KindDefinition) -> None:
    text = control_plane.kubectl("explain", f"{kind.plural}.{kind.group}.spec", "--recursive")
    assert "forProvider" in text or "credentials" in text
    explained = control_plane.kubectl("explain", f"{kind.plural}.{kind.group}.spec")
    assert "<no description>" not in explained
