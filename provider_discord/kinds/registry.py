"""Every kind as the managed reconciler takes it: the tables of ``apis`` joined with the code of this room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from provider_discord.apis.kinds import CHANNEL, GUILD, MANAGED_KINDS, ROLE, KindDefinition, Scope
from provider_discord.discord.snowflake import is_snowflake
from provider_discord.kinds.channel import ChannelConnector
from provider_discord.kinds.guild import GuildConnector
from provider_discord.kinds.role import RoleConnector
from provider_discord.kinds.visit import Equipment
from provider_discord.kube.resource import Resource
from provider_discord.managed.external import Connector, ManagedKind, ParentField, ReferenceField
from provider_discord.managed.references import ReferenceResolver


def resource_of(definition: KindDefinition) -> Resource:
    """Return a kind's coordinates at the API server."""
    return Resource(
        definition.group,
        definition.version,
        definition.plural,
        definition.kind,
        namespaced=definition.scope is Scope.NAMESPACED,
    )


_CONCERNS_REFERRERS: Final[Mapping[str, tuple[str, ...]]] = {
    # Some types of channel exist only where the guild has a feature.
    GUILD.kind: ("features",),
    # Channels in a category may be synced with it.
    CHANNEL.kind: ("permissionOverwrites",),
}

RESOURCES: Final = tuple(resource_of(definition) for definition in MANAGED_KINDS)
"""The coordinates of every managed kind; its stores are what ``Siblings`` indexes."""


def managed_kinds(equipment: Equipment) -> tuple[ManagedKind, ...]:
    """Return every managed kind.

    Args:
        equipment: What their passes share.
    """
    connectors: Mapping[str, Connector] = {
        GUILD.kind: GuildConnector(equipment),
        CHANNEL.kind: ChannelConnector(equipment),
        ROLE.kind: RoleConnector(equipment),
    }
    targets = {definition.kind: resource_of(definition) for definition in MANAGED_KINDS}
    kinds = tuple(
        ManagedKind(
            resource=targets[definition.kind],
            connector=connectors[definition.kind],
            references=tuple(
                ReferenceField(
                    path=one.path,
                    ref=one.ref,
                    selector=one.selector,
                    target=targets[one.target_kind],
                    required_before=one.required_before.value,
                )
                for one in definition.references
            ),
            is_external_name=is_snowflake,
            parent=None if definition is GUILD else ParentField(path="guildId", target=targets[GUILD.kind]),
            concerns_referrers=_CONCERNS_REFERRERS.get(definition.kind, ()),
        )
        for definition in MANAGED_KINDS
    )
    references = {kind.resource: kind.references for kind in kinds}
    resolver = ReferenceResolver(
        kinds={kind.resource: kind for kind in kinds}, stores=equipment.siblings.stores
    )
    equipment.holds.links.resolve = lambda mr: resolver.resolve(mr, references[mr.resource])
    return kinds
