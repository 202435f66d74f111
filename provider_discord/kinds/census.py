"""Counting a guild: which of its objects differ although nobody has changed their manifests.

One object's pass is not enough to tell a slip from a raid, so the first one that is about to put something back has
all of the guild's objects compared with the same picture. That takes no request, but a tenth of a second for a full guild;
it is done once for a reading in which something is to be put back, and never while nothing differs.

What differs is not always somebody's doing. Left out is what follows from something else: overwrites of a role that
is gone, the parent of channels whose category is gone, overwrites that a category has passed on to its channels as
its manifest says. What a category that somebody changed has passed on counts, but hangs on that category.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from provider_discord.apis.channel import ChannelParameters
from provider_discord.apis.errors import InvalidField
from provider_discord.apis.fields import ChannelType
from provider_discord.apis.guild import GUILD_OBSERVED, GuildParameters
from provider_discord.apis.kinds import CHANNEL, GUILD, ROLE, KindDefinition
from provider_discord.apis.parse import parse_parameters
from provider_discord.apis.role import RoleParameters
from provider_discord.discord.permissions import is_administrator, is_hidden, top_role
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.discord.snowflake import is_snowflake
from provider_discord.kinds import channel_plan, order, overwrites, role_plan, table
from provider_discord.kinds.channel_plan import TAGS_ANNOTATION
from provider_discord.kinds.fights import head_of, left_alone, without
from provider_discord.kinds.hold import Departure, Findings
from provider_discord.kinds.recent import Recent
from provider_discord.kinds.siblings import Sibling, Siblings
from provider_discord.kube.resource import Resource
from provider_discord.managed.errors import ManagedError
from provider_discord.managed.external import FieldDiff
from provider_discord.managed.resource import ManagedResource

Json = Mapping[str, Any]
Resolve = Callable[[ManagedResource], ManagedResource]
_log = structlog.get_logger()
_OVERWRITES: Final = "permissionOverwrites"


def _head(diff: FieldDiff) -> str:
    return head_of(diff.field)


def digest(for_provider: Json) -> int:
    """Return what tells one resolved manifest from another, for this process."""
    return hash(json.dumps(for_provider, sort_keys=True))


@dataclass(frozen=True, slots=True)
class Known:
    """What this process saw of an object when nothing differed: its generation, and a digest of what was wanted."""

    generation: int
    digest: int


@dataclass(frozen=True, slots=True)
class _Found:
    """What one object differs in."""

    sibling: Sibling
    raw: Json
    fields: frozenset[str]
    foreign: bool
    """Somebody changed it since it was right; False: it is at odds with its manifest for another reason."""


class _Untold:
    """Nobody can tell whether an object differs: a reference can't be resolved, say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """Counts one guild on one picture of it.

    Attributes:
        siblings: The guild's objects.
        resolve: Puts ids in place of an object's references.
        snapshot: The picture.
        bot_id: The bot's user id.
        config: The ProviderConfig whose objects are counted: what another bot can see is not known here.
        known: What was right, by UID.
        released: Tells of a hold's id whether it is released.
        gone: Tells of a channel that is not listed whether it is known to be gone.
        hold: The id of the hold in force, "" for none.
    """

    siblings: Siblings
    resolve: Resolve
    snapshot: GuildSnapshot
    bot_id: str
    config: str
    known: Recent[Known]
    released: Callable[[str], bool]
    gone: Callable[[str], bool]
    hold: str = ""

    def take(self) -> Findings:
        """Compare every object."""
        objects: set[str] = set()
        departures: dict[str, Departure] = {}
        found: list[_Found] = []
        managed: set[str] = set()
        for resource, definition in self._kinds():
            owned = self._owned(resource)
            objects.update(sibling.uid for sibling in owned)
            managed.update(str(sibling.external_name) for sibling in owned)
            judged = [sibling for sibling in owned if sibling.settled and sibling.writes]
            moved = self._moved(resource, judged)
            for sibling in judged:
                raw = self._raw(resource, str(sibling.external_name))
                if raw is None:
                    if self._vanished(resource, sibling):
                        departures[sibling.uid] = self._departure(sibling, vanished=True)
                    continue
                one = self._compare(resource, definition, sibling, raw)
                if isinstance(one, _Untold):
                    # What the hold has held back still is, until somebody can tell otherwise.
                    if sibling.held is not None and sibling.held.id == self.hold:
                        departures[sibling.uid] = self._departure(sibling)
                elif one is not None:
                    found.append(one)
                elif str(sibling.external_name) in moved and (
                    sibling.synced or sibling.held is not None or self.known.get(sibling.uid) is not None
                ):
                    departures[sibling.uid] = self._departure(sibling)
        astray = {str(one.raw["id"]) for one in found if _OVERWRITES in one.fields}
        for one in found:
            root = self._root(one, astray=astray, managed=managed)
            if root:
                departures[one.sibling.uid] = self._departure(one.sibling, root=root)
        return Findings(departures, objects)

    def _kinds(self) -> Iterator[tuple[Resource, KindDefinition]]:
        definitions = {definition.kind: definition for definition in (GUILD, CHANNEL, ROLE)}
        for resource in self.siblings.stores:
            if resource.kind in definitions:
                yield resource, definitions[resource.kind]

    def _owned(self, resource: Resource) -> list[Sibling]:
        """Return the config's objects that own what they stand for, and have seen it.

        Others neither hide those that do, nor make a guild look bigger than it is.
        """
        return [
            one
            for one in self.siblings.of(resource, self.snapshot.guild_id)
            if one.seen and one.config == self.config and self.siblings.owns(resource, one)
        ]

    def _raw(self, resource: Resource, external_name: str) -> Json | None:
        if resource.kind == GUILD.kind:
            return self.snapshot.guild
        items = self.snapshot.roles if resource.kind == ROLE.kind else self.snapshot.channels
        raw = items.get(external_name)
        return None if raw is None or (resource.kind == CHANNEL.kind and is_hidden(raw)) else raw

    def _vanished(self, resource: Resource, sibling: Sibling) -> bool:
        """Tell whether what is not listed has gone. A channel may have been hidden from the bot for long.

        From an administrator nothing is hidden. So what makes it certain that one channel is gone (that, or the audit
        log) does so for all of them, before the first is made again. What is being made again is no news: it had been
        counted, and was released or below the limit.
        """
        if sibling.held is not None:
            return True
        if sibling.creating:
            return False
        certain = resource.kind == ROLE.kind or is_administrator(self.snapshot)
        return certain or sibling.synced or self.gone(str(sibling.external_name))

    def _moved(self, resource: Resource, judged: list[Sibling]) -> frozenset[str]:
        """Return the fewest that somebody must have moved, of those whose order was right among themselves."""
        keys = {
            str(one.external_name): one.position for one in judged if one.movable and one.position is not None
        }
        if keys and resource.kind == CHANNEL.kind:
            return order.moved_channels(self.snapshot.channels.values(), keys)
        if keys and resource.kind == ROLE.kind:
            roles = self.snapshot.roles.values()
            return order.moved_roles(roles, keys, bot_top=top_role(self.snapshot))
        return frozenset()

    def _departure(self, sibling: Sibling, *, root: str = "", vanished: bool = False) -> Departure:
        name = str(sibling.external_name)
        return Departure(
            external_name=name,
            root=root or name,
            vanished=vanished,
            old=sibling.held is not None and self.released(sibling.held.id),
        )

    def _compare(
        self, resource: Resource, definition: KindDefinition, sibling: Sibling, raw: Json
    ) -> _Found | _Untold | None:
        """Return what an object differs in; None: nothing."""
        obj = self.siblings.stores[resource].get(sibling.key)
        if obj is None or str(obj["metadata"].get("uid")) != sibling.uid:
            return None
        try:
            mr = self.resolve(ManagedResource.of(resource, obj, possible=is_snowflake))
            wanted = self._without_consequences(without(mr.for_provider, left_alone(obj)))
            diffs, body = self._plan(mr, parse_parameters(definition, wanted), raw)
            if not diffs:
                return None
            fields = frozenset(map(_head, diffs))
            foreign = self._foreign(mr, sibling, diffs, raw=raw, right={**raw, **body})
            return _Found(sibling, raw, fields, foreign=foreign)
        except (ManagedError, InvalidField):
            return _Untold()
        except Exception as error:  # noqa: BLE001 - its own pass tells of it; one object's bug must not stop a guild
            _log.debug("an object could not be compared", name=str(sibling.key), cause=repr(error))
            return _Untold()

    def _without_consequences(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Leave out what can't be right because something that it names is gone."""
        if wanted.get("parentId") and str(wanted["parentId"]) not in self.snapshot.channels:
            del wanted["parentId"]
            wanted.pop("syncPermissions", None)
        entries = wanted.get(_OVERWRITES)
        if entries:
            wanted[_OVERWRITES] = [entry for entry in entries if not self._names_a_lost_role(entry)]
        return wanted

    def _names_a_lost_role(self, entry: Json) -> bool:
        word = str(entry.get("type", "role")).lower()
        role_id = entry.get("roleId") or (entry.get("id") if word in {"role", "0"} else None)
        return bool(role_id) and str(role_id) not in self.snapshot.roles

    def _plan(
        self, mr: ManagedResource, parameters: Any, raw: Json
    ) -> tuple[tuple[FieldDiff, ...], Mapping[str, Any]]:
        """Return what differs, and what of the raw object would have to be another for it to be right."""
        match parameters:
            case ChannelParameters():
                channel = channel_plan.plan_update(
                    parameters,
                    raw,
                    snapshot=self.snapshot,
                    bot_id=self.bot_id,
                    remembered_tags=mr.annotations.get(TAGS_ANNOTATION),
                    seen=mr.at_provider,
                )
                return channel.diffs, channel.body
            case RoleParameters() if str(raw["id"]) == self.snapshot.guild_id:
                everyone = role_plan.plan_everyone(parameters, raw)
                return everyone.diffs, everyone.body
            case RoleParameters():
                # Without the icon, which may have to be read from the API server.
                role = role_plan.plan_update(parameters, raw, icon=role_plan.RoleImage())
                return role.diffs, role.body
            case GuildParameters():
                return table.differences(table.wanted(parameters), raw)
            case _:
                return (), {}

    def _foreign(
        self, mr: ManagedResource, sibling: Sibling, diffs: tuple[FieldDiff, ...], *, raw: Json, right: Json
    ) -> bool:
        """Tell whether somebody changed the object at Discord since it was right.

        What is under a hold was, whatever its status shows by now. Else this process knows what was right, or the
        status shows what the object was like at the last look. What the status does not show though it would, were it
        right, was not looked at then: the release before this one did not know the field.
        """
        if sibling.held is not None:
            return True
        ours = [diff for diff in diffs if not diff.own]
        known = self.known.get(sibling.uid)
        if known is not None and known.generation == mr.generation:
            return bool(ours) and known.digest == digest(mr.for_provider)
        before, now = mr.at_provider, self._status(mr, raw)
        changed = {head for head in map(_head, ours) if before.get(head) != now.get(head)}
        if changed <= before.keys():
            return bool(changed)
        shown = self._status(mr, right)
        return any(head in before or head not in shown for head in changed)

    def _status(self, mr: ManagedResource, raw: Json) -> Json:
        if mr.kind == CHANNEL.kind:
            return channel_plan.status(raw, snapshot=self.snapshot)
        if mr.kind == ROLE.kind:
            return role_plan.status(raw, guild_id=self.snapshot.guild_id)
        return table.at_provider(GuildParameters, GUILD_OBSERVED, raw)

    def _root(self, one: _Found, *, astray: set[str], managed: set[str]) -> str:
        """Return what was done something to; "": nobody did anything to this object, or to what took it along."""
        if not one.foreign:
            return ""
        name, parent_id = str(one.raw["id"]), str(one.raw.get("parent_id") or "")
        parent = self.snapshot.channels.get(parent_id)
        if (
            one.fields != {_OVERWRITES}
            or parent is None
            or one.raw.get("type") == ChannelType.CATEGORY
            or not overwrites.same(one.raw.get("permission_overwrites"), parent.get("permission_overwrites"))
        ):
            return name
        return parent_id if parent_id in astray or parent_id not in managed else ""
