"""ProviderConfig: a bot's token, where it may act, and how careful it is; and the usage that protects it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from provider_discord.apis.model import ApiModel
from provider_discord.apis.references import NamespaceName, ObjectName
from provider_discord.apis.scalars import SnowflakeItem, ruled


class Adoption(StrEnum):
    """What to do about something of the same name that no object claims."""

    REFUSE = "Refuse"
    BY_NAME = "ByName"
    CREATE_NEW = "CreateNew"


BaseUrl = Annotated[
    str,
    WithJsonSchema(
        ruled(
            "self.matches('^https?://[^/?#]+[^?#]*$')",
            "baseURL is the root of an API, such as https://discord.com/api/v10, without a query",
            maxLength=2048,
        ),
    ),
]

_Name = Annotated[str, Field(min_length=1, max_length=253)]


class SecretKeyReference(ApiModel):
    """One key of a Secret in any namespace."""

    namespace: Annotated[NamespaceName, Field(description="Namespace of the Secret.")]
    name: Annotated[ObjectName, Field(description="Name of the Secret.")]
    key: Annotated[_Name, Field(description="Key of the Secret that holds the bot's token.")]


class EnvironmentSource(ApiModel):
    """Part of Crossplane's shape; refused."""

    name: Annotated[_Name, Field(description="Name of an environment variable.")]


class FileSource(ApiModel):
    """Part of Crossplane's shape; refused."""

    path: Annotated[str, Field(max_length=4096, description="Path of a file.")]


class Credentials(ApiModel):
    """Where the bot's token is."""

    source: Annotated[
        Literal["Secret"],
        Field(description="Where the token comes from. Only Secret is supported."),
    ]
    secret_ref: Annotated[
        SecretKeyReference | None,
        Field(
            description="The Secret that holds the token, as Discord's developer portal shows it (without the "
            "word Bot). A change takes effect without a restart.",
        ),
    ] = None
    env: Annotated[
        EnvironmentSource | None,
        Field(description="Not supported: put the token into a Secret."),
    ] = None
    fs: Annotated[
        FileSource | None,
        Field(description="Not supported: put the token into a Secret."),
    ] = None


class Hold(ApiModel):
    """When the provider stops putting things back and waits for a human."""

    disabled: Annotated[
        bool,
        Field(
            description="Never hold, and never leave a field alone: put every change back, whoever made it."
        ),
    ] = False
    minimum_resources: Annotated[
        int,
        Field(
            ge=1,
            le=10000,
            description="Hold only if more than this many objects of a guild were changed at Discord within one "
            "poll while their manifests were not.",
        ),
    ] = 5
    percentage: Annotated[
        int,
        Field(
            ge=1,
            le=100,
            description="Hold only if they are more than this percentage of the guild's objects.",
        ),
    ] = 10
    put_back_limit: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="How many times one field is put back within putBackWindowSeconds, before it is left "
            "alone and reported until the object's manifest changes.",
        ),
    ] = 5
    put_back_window_seconds: Annotated[
        int,
        Field(ge=60, le=604800, description="The window that putBackLimit counts in, in seconds."),
    ] = 3600


class GarbageCollection(ApiModel):
    """The Go provider's settings; accepted and not acted upon."""

    enabled: Annotated[bool | None, Field(description="Accepted, has no effect yet.")] = None
    prevent_duplicates_on_create: Annotated[
        bool | None,
        Field(description="Accepted. Duplicates are always prevented."),
    ] = None
    poll_interval_seconds: Annotated[
        int | None,
        Field(ge=60, le=3600, description="Accepted, has no effect yet."),
    ] = None
    delete_orphaned_resources: Annotated[bool | None, Field(description="Accepted, has no effect yet.")] = (
        None
    )
    delete_unmanaged_channels: Annotated[bool | None, Field(description="Accepted, has no effect yet.")] = (
        None
    )
    target_guilds: Annotated[
        list[SnowflakeItem] | None,
        Field(max_length=1000, description="Accepted, has no effect yet."),
    ] = None


class Deduplication(ApiModel):
    """The Go provider's settings; accepted and not acted upon."""

    enabled: Annotated[bool | None, Field(description="Accepted, has no effect yet.")] = None
    mode: Annotated[
        Literal["report", "action"] | None,
        Field(description="Accepted, has no effect yet."),
    ] = None
    delete_orphaned_resources: Annotated[bool | None, Field(description="Accepted, has no effect yet.")] = (
        None
    )
    target_guilds: Annotated[
        list[SnowflakeItem] | None,
        Field(max_length=1000, description="Accepted, has no effect yet."),
    ] = None


class ProviderConfigSpec(ApiModel):
    """``spec`` of a ProviderConfig."""

    credentials: Annotated[Credentials, Field(description="Where the bot's token is.")]
    base_url: Annotated[
        BaseUrl | None,
        Field(
            alias="baseURL",
            description="Root of Discord's API, for a proxy or a simulator. Default: https://discord.com/api/v10.",
        ),
    ] = None
    allowed_guilds: Annotated[
        list[SnowflakeItem] | None,
        Field(
            max_length=1000,
            json_schema_extra={"x-kubernetes-list-type": "set"},
            description="Ids of the guilds that manifests may reach with this token. Absent: every guild that "
            "the bot is in. []: none.",
        ),
    ] = None
    allowed_namespaces: Annotated[
        list[NamespaceName] | None,
        Field(
            max_length=1000,
            json_schema_extra={"x-kubernetes-list-type": "set"},
            description="Namespaces whose objects may use this token. Absent: all. []: none.",
        ),
    ] = None
    adoption: Annotated[
        Adoption,
        Field(
            description="What to do about a channel or role of the same name that no object claims. Refuse: "
            "create nothing, say so. ByName: adopt it if it is the only one. CreateNew: make another one.",
        ),
    ] = Adoption.REFUSE
    audit_log_reason: Annotated[
        str | None,
        Field(
            max_length=200,
            pattern=r"^[^\r\n]*$",
            description="Free text for the reason in the guild's audit log, which moderators read, such as who "
            "to ask about a change.",
        ),
    ] = None
    hold: Annotated[
        Hold | None,
        Field(
            description="When the provider stops putting things back, because people seem to be changing the "
            "guild on purpose: more objects of it than the percentage or the minimum, whichever is more, or "
            "Discord's incident actions are active. Then only changed manifests are applied, until the hold is "
            "released by the annotation that the condition Held of the Guild names.",
        ),
    ] = None
    garbage_collection: Annotated[
        GarbageCollection | None,
        Field(description="The Go provider's garbage collection; accepted, with a warning event."),
    ] = None
    deduplication: Annotated[
        Deduplication | None,
        Field(description="The Go provider's deduplication; accepted, with a warning event."),
    ] = None
