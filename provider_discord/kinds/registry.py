"""Every kind as the managed reconciler takes it: the tables of ``apis`` joined with the code of this room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from provider_discord.apis.kinds import CHANNEL, GUILD, MANAGED_KINDS, ROLE, KindDefinition, Scope
from provider_discord.discord.snowflake import is_snowflake
from provider_discord.kinds.channel import ChannelKind
from provider_discord.kinds.guild import GuildExternal
from provider_discord.kinds.identity import Identified
from provider_discord.kinds.in_guild import ExternalInGuild
from provider_discord.kinds.role import RoleKind
from provider_discord.kinds.session import DiscordSession
from provider_discord.kinds.visit import Equipment, Visit
from provider_discord.kube.resource import Resource
from provider_discord.managed.external import External, ManagedKind, ParentField, PassContext, ReferenceField
from provider_discord.managed.references import ReferenceResolver
from provider_discord.managed.resource import ManagedResource


def resource_of(definition: KindDefinition) -> Resource:
    """Return a kind's coordinates at the API server."""
    return Resource(
        definition.group,
        definition.version,
        definition.plural,
        definition.kind,
        namespaced=definition.scope is Scope.NAMESPACED,
    )


_EXTERNALS: Final[Mapping[str, Callable[[Visit], External]]] = {
    GUILD.kind: GuildExternal,
    CHANNEL.kind: lambda visit: ExternalInGuild(visit, ChannelKind(visit)),
    ROLE.kind: lambda visit: ExternalInGuild(visit, RoleKind(visit)),
}

_CONCERNS_REFERRERS: Final[Mapping[str, tuple[str, ...]]] = {
    # Some types of channel exist only where the guild has a feature.
    GUILD.kind: ("features",),
    # Channels in a category may be synced with it.
    CHANNEL.kind: ("permissionOverwrites",),
}

RESOURCES: Final = tuple(resource_of(definition) for definition in MANAGED_KINDS)
"""The coordinates of every managed kind; its stores are what ``Siblings`` indexes."""


@dataclass(frozen=True, slots=True)
class VisitConnector:
    """Makes a kind's external client for one pass; it touches only what is the object's own."""

    external: Callable[[Visit], External]
    equipment: Equipment

    def connect(self, mr: ManagedResource, session: DiscordSession, context: PassContext) -> External:
        """Return the external client for this object."""
        visit = Visit(mr, session=session, context=context, equipment=self.equipment)
        return Identified(self.external(visit), visit)


def managed_kinds(equipment: Equipment) -> tuple[ManagedKind, ...]:
    """Return every managed kind.

    Args:
        equipment: What their passes share.
    """
    targets = {definition.kind: resource_of(definition) for definition in MANAGED_KINDS}
    kinds = tuple(
        ManagedKind(
            resource=targets[definition.kind],
            connector=VisitConnector(_EXTERNALS[definition.kind], equipment),
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
