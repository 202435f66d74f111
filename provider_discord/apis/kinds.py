"""Every kind of this API in one table: names, scope, columns, parameters, references.

``kinds`` turns these into what the managed reconciler drives; ``apis.crds`` turns them into CRDs. The leading
columns are the Go provider's. A kind's TYPE column shows ``status.atProvider.typeName``: a column reads a
JSONPath, and ``type`` holds Discord's number there, as in the Go provider.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from pydantic import BaseModel

from provider_discord.apis.channel import CHANNEL_OBSERVED, ChannelParameters
from provider_discord.apis.fields import ObservedField
from provider_discord.apis.guild import GUILD_OBSERVED, GuildParameters
from provider_discord.apis.role import ROLE_OBSERVED, RoleParameters

GROUP: Final = "discord.crossplane.io"
VERSION: Final = "v1alpha1"


class Scope(Enum):
    """Where objects of a kind live."""

    NAMESPACED = "Namespaced"
    CLUSTER = "Cluster"


class RequiredBefore(Enum):
    """What has to wait for a reference that does not resolve yet."""

    CREATE = "create"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of ``kubectl get``."""

    name: str
    type: str
    path: str
    priority: int = 0
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceDefinition:
    """A field of ``forProvider`` that may be given by reference.

    Attributes:
        path: Where the id goes, dotted; ``[]`` for each item of a list.
        ref: Its sibling that names an object.
        selector: Its sibling that finds an object by labels.
        target_kind: The kind referred to.
        required_before: ``NEVER`` for what an object can do without for now.
    """

    path: str
    ref: str
    selector: str
    target_kind: str
    required_before: RequiredBefore = RequiredBefore.CREATE


@dataclass(frozen=True, slots=True, kw_only=True)
class KindDefinition:
    """What a kind is called and made of.

    Attributes:
        group: Its whole API group.
        kind: CamelCase.
        plural: Lower case, as in paths.
        singular: Lower case.
        short_names: What ``kubectl get`` takes besides.
        categories: Under which collective names ``kubectl get`` lists it.
        scope: Namespaced or cluster.
        description: The first lines of ``kubectl explain``.
        columns: In their order.
        parameters: ``spec.forProvider``; None for a kind that is no managed resource.
        observed: What ``status.atProvider`` has beside the parameters.
        references: Fields that may be given by reference.
        version: The one version that is served and stored.
    """

    group: str
    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ("crossplane", "managed", "discord")
    scope: Scope = Scope.NAMESPACED
    description: str
    columns: tuple[Column, ...]
    parameters: type[BaseModel] | None = None
    observed: tuple[ObservedField, ...] = ()
    references: tuple[ReferenceDefinition, ...] = ()
    version: str = VERSION

    @property
    def api_version(self) -> str:
        """Return ``group/version``."""
        return f"{self.group}/{self.version}"

    @property
    def crd_name(self) -> str:
        """Return the name of its CustomResourceDefinition."""
        return f"{self.plural}.{self.group}"


def reference(
    field: str,
    target_kind: str,
    *,
    required_before: RequiredBefore = RequiredBefore.CREATE,
) -> ReferenceDefinition:
    """Declare a reference whose siblings are named as Crossplane names them: ``xRef`` and ``xSelector``."""
    last = field.rpartition(".")[2]
    return ReferenceDefinition(
        path=field,
        ref=f"{last}Ref",
        selector=f"{last}Selector",
        target_kind=target_kind,
        required_before=required_before,
    )


_AGE: Final = Column(name="AGE", type="date", path=".metadata.creationTimestamp")
_STATE: Final = (
    Column(name="READY", type="string", path=".status.conditions[?(@.type=='Ready')].status"),
    Column(name="SYNCED", type="string", path=".status.conditions[?(@.type=='Synced')].status"),
    Column(
        name="EXTERNAL-NAME",
        type="string",
        path=r".metadata.annotations.crossplane\.io/external-name",
    ),
    _AGE,
)
_CONFIG_CATEGORIES: Final = ("crossplane", "provider", "discord")

GUILD: Final = KindDefinition(
    group=f"guild.{GROUP}",
    kind="Guild",
    plural="guilds",
    singular="guild",
    short_names=("dguild",),
    description="A Guild is a Discord server that exists already: it is adopted by its id (annotation "
    "crossplane.io/external-name) or its name, its settings are managed, and deleting this object "
    "leaves it alone.",
    columns=(
        Column(name="NAME", type="string", path=".status.atProvider.name"),
        Column(name="GUILD-ID", type="string", path=".status.atProvider.id"),
        Column(name="MEMBERS", type="integer", path=".status.atProvider.memberCount"),
        *_STATE[:2],
        Column(name="HELD", type="string", path=".status.conditions[?(@.type=='Held')].status"),
        *_STATE[2:],
    ),
    parameters=GuildParameters,
    observed=GUILD_OBSERVED,
    references=tuple(
        reference(field, "Channel", required_before=RequiredBefore.NEVER)
        for field in (
            "afkChannelId",
            "systemChannelId",
            "rulesChannelId",
            "publicUpdatesChannelId",
            "safetyAlertsChannelId",
        )
    ),
)

CHANNEL: Final = KindDefinition(
    group=f"channel.{GROUP}",
    kind="Channel",
    plural="channels",
    singular="channel",
    short_names=("dchannel",),
    description="A Channel is a channel or category of a guild: text, voice, category, announcement, stage, forum "
    "or media.",
    columns=(
        Column(name="NAME", type="string", path=".spec.forProvider.name"),
        Column(name="TYPE", type="string", path=".status.atProvider.typeName"),
        Column(name="GUILD", type="string", path=".status.atProvider.guildId"),
        Column(name="CHANNEL-ID", type="string", path=".status.atProvider.id"),
        Column(name="HAS-MESSAGES", type="boolean", path=".status.atProvider.hasMessages"),
        *_STATE,
    ),
    parameters=ChannelParameters,
    observed=CHANNEL_OBSERVED,
    references=(
        reference("guildId", "Guild"),
        reference("parentId", "Channel"),
        reference("permissionOverwrites[].roleId", "Role"),
    ),
)

ROLE: Final = KindDefinition(
    group=f"role.{GROUP}",
    kind="Role",
    plural="roles",
    singular="role",
    short_names=("drole",),
    description="A Role is a role of a guild: a name, a place in the order, and what its members may do.",
    columns=(
        Column(name="NAME", type="string", path=".spec.forProvider.name"),
        Column(name="GUILD", type="string", path=".status.atProvider.guildId"),
        Column(name="POSITION", type="integer", path=".status.atProvider.position"),
        *_STATE,
    ),
    parameters=RoleParameters,
    observed=ROLE_OBSERVED,
    references=(reference("guildId", "Guild"),),
)

PROVIDER_CONFIG: Final = KindDefinition(
    group=GROUP,
    kind="ProviderConfig",
    plural="providerconfigs",
    singular="providerconfig",
    short_names=("dpc",),
    categories=_CONFIG_CATEGORIES,
    scope=Scope.CLUSTER,
    description="A ProviderConfig holds a bot: where its token is, which guilds and namespaces it serves, and how "
    "careful it is.",
    columns=(
        Column(name="BOT", type="string", path=".status.bot.name"),
        Column(name="READY", type="string", path=".status.conditions[?(@.type=='Ready')].status"),
        Column(name="USERS", type="integer", path=".status.users"),
        _AGE,
        Column(name="SECRET-NAME", type="string", path=".spec.credentials.secretRef.name", priority=1),
    ),
)

PROVIDER_CONFIG_USAGE: Final = KindDefinition(
    group=GROUP,
    kind="ProviderConfigUsage",
    plural="providerconfigusages",
    singular="providerconfigusage",
    # Not in `discord`: one for each object would bury `kubectl get discord -A`, and a backup made with it.
    categories=("crossplane", "provider"),
    description="A ProviderConfigUsage says that a managed resource uses a ProviderConfig, which therefore cannot be "
    "deleted. The provider keeps it.",
    columns=(
        Column(name="CONFIG-NAME", type="string", path=".providerConfigRef.name"),
        Column(name="RESOURCE-KIND", type="string", path=".resourceRef.kind"),
        Column(name="RESOURCE-NAME", type="string", path=".resourceRef.name"),
        _AGE,
    ),
)

KINDS: Final = (PROVIDER_CONFIG, PROVIDER_CONFIG_USAGE, GUILD, CHANNEL, ROLE)
"""Every kind, in the order in which the CRDs are written."""

MANAGED_KINDS: Final = tuple(kind for kind in KINDS if kind.parameters is not None)
