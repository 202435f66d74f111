"""The generated schemas keep the API server's rules and our own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from provider_discord.apis.channel import CHANNEL_FLAGS, ChannelParameters
from provider_discord.apis.crds import crd
from provider_discord.apis.fields import ChannelType, fields_of
from provider_discord.apis.guild import GUILD_FEATURES, GUILD_IMAGES, GuildParameters
from provider_discord.apis.kinds import CHANNEL, KINDS, MANAGED_KINDS, ROLE, KindDefinition
from provider_discord.apis.permissions import PERMISSION_NAMES
from provider_discord.discord.permissions import PERMISSIONS

Schema = dict[str, Any]


def root(kind: KindDefinition) -> Schema:
    schema = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert isinstance(schema, dict)
    return schema


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    yield path, schema
    for name, value in schema.get("properties", {}).items():
        yield from nodes(value, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
managed = pytest.mark.parametrize("kind", MANAGED_KINDS, ids=lambda kind: kind.kind)


@kinds
def test_the_schema_is_structural(kind: KindDefinition) -> None:
    for path, schema in nodes(root(kind)):
        assert "$ref" not in schema, path
        assert "title" not in schema, path
        assert "const" not in schema, path
        assert "type" in schema or schema.get("x-kubernetes-int-or-string"), path
        assert schema.get("type") != "null", path


@kinds
def test_every_field_is_described(kind: KindDefinition) -> None:
    for path, schema in nodes(root(kind)):
        if path == ".metadata" or path.endswith(("[]", "{}")):
            continue
        text = schema.get("description", "")
        assert text, path
        assert text.strip().endswith((".", ")")), f"{path}: {text}"


@kinds
def test_docstrings_do_not_reach_users(kind: KindDefinition) -> None:
    for path, schema in nodes(root(kind)):
        assert "``" not in schema.get("description", ""), path


@managed
def test_nothing_in_for_provider_has_a_default(kind: KindDefinition) -> None:
    for path, schema in nodes(root(kind)["properties"]["spec"]["properties"]["forProvider"]):
        assert "default" not in schema, f"{path}: absent must stay absent"


@kinds
def test_every_list_and_string_of_a_spec_is_bounded(kind: KindDefinition) -> None:
    spec = root(kind)["properties"].get("spec", {})
    for path, schema in nodes(spec):
        if schema.get("type") == "string":
            assert "maxLength" in schema or "enum" in schema, path
        if schema.get("type") == "array":
            assert "maxItems" in schema, path
        if "additionalProperties" in schema:
            assert "maxProperties" in schema, path


@managed
def test_every_rule_points_to_a_field_that_exists(kind: KindDefinition) -> None:
    for path, schema in nodes(root(kind)["properties"]["spec"]):
        for rule in schema.get("x-kubernetes-validations", ()):
            target: Schema = schema
            for part in rule.get("fieldPath", "").split(".")[1:]:
                target = target["properties"][part]
            assert len(rule["message"]) > 20, path


@managed
def test_every_reference_has_its_siblings(kind: KindDefinition) -> None:
    parameters = root(kind)["properties"]["spec"]["properties"]["forProvider"]
    names = {other.kind for other in MANAGED_KINDS}
    for reference in kind.references:
        holder = parameters
        list_name, _, field = reference.path.rpartition("[].")
        if list_name:
            holder = parameters["properties"][list_name]["items"]
        assert {field, reference.ref, reference.selector} <= set(holder["properties"])
        assert reference.target_kind in names


@managed
def test_every_field_that_can_be_referred_to_is_declared(kind: KindDefinition) -> None:
    declared = {reference.path.rpartition(".")[2] for reference in kind.references}
    schema = root(kind)["properties"]["spec"]["properties"]["forProvider"]
    found = {
        path.rpartition(".")[2].removesuffix("Ref") for path, _ in nodes(schema) if path.endswith("IdRef")
    }
    assert found == declared


def test_the_permission_names_are_those_of_the_discord_room() -> None:
    assert list(PERMISSION_NAMES) == sorted(PERMISSIONS, key=lambda name: PERMISSIONS[name])


def test_flags_and_features_stand_for_attributes_that_exist() -> None:
    assert set(CHANNEL_FLAGS) <= set(ChannelParameters.model_fields)
    assert set(GUILD_FEATURES) <= set(GuildParameters.model_fields)
    for image in GUILD_IMAGES:
        assert {image, f"{image}_from"} <= set(GuildParameters.model_fields)
    flagged = {f.attribute for f in fields_of(ChannelParameters) if f.discord and f.discord.name == "flags"}
    assert flagged == set(CHANNEL_FLAGS)
    featured = {f.attribute for f in fields_of(GuildParameters) if f.discord and f.discord.name == "features"}
    assert featured == set(GUILD_FEATURES)


GO_PROVIDER_STATUS = {
    "Guild": {
        "id", "name", "ownerId", "region", "icon", "afkChannelId", "systemChannelId", "features", "verificationLevel",
        "defaultMessageNotifications", "explicitContentFilter", "afkTimeout", "systemChannelFlags", "memberCount",
        "createdAt", "updatedAt",
    },
    "Channel": {
        "id", "name", "type", "guildId", "topic", "position", "parentId", "nsfw", "bitrate", "userLimit",
        "rateLimitPerUser", "defaultAutoArchiveDuration", "lastMessageId", "hasMessages", "permissionOverwrites",
        "createdAt", "updatedAt",
    },
    "Role": {"id", "managed"},
}  # fmt: skip


@managed
def test_the_status_has_every_field_of_the_go_provider(kind: KindDefinition) -> None:
    status = root(kind)["properties"]["status"]["properties"]
    assert set(status["atProvider"]["properties"]) >= GO_PROVIDER_STATUS[kind.kind]
    assert set(status) == {
        "atProvider", "conditions", "observedGeneration", "lastHandledReconcileAt", "lastSyncedGeneration",
        "observedOnly",
    }  # fmt: skip


@managed
def test_the_status_can_show_whatever_discord_sends(kind: KindDefinition) -> None:
    bounds = {"minLength", "maxLength", "pattern", "enum", "minimum", "maximum", "maxItems", "required"}
    for path, schema in nodes(root(kind)["properties"]["status"]["properties"]["atProvider"]):
        assert not bounds & set(schema), path
        assert "x-kubernetes-validations" not in schema, path


def test_numbers_in_the_status_are_numbers_and_big_ones_are_text() -> None:
    channel = root(CHANNEL)["properties"]["status"]["properties"]["atProvider"]["properties"]
    assert channel["type"]["type"] == "integer"
    assert channel["defaultSortOrder"]["type"] == "integer"
    assert channel["typeName"]["type"] == "string"
    role = root(ROLE)["properties"]["status"]["properties"]["atProvider"]["properties"]
    assert role["permissions"]["type"] == "string"
    assert role["color"]["type"] == "integer"


def test_every_channel_type_has_a_word() -> None:
    assert [t.word for t in ChannelType] == [
        "text", "voice", "category", "announcement", "stage", "forum", "media",
    ]  # fmt: skip
