"""The other managed objects of a guild, as far as one object's pass must know them.

Positions are sort keys *among the managed siblings*, and a change that a refresh of a guild shows concerns only
some objects. Both need a few facts about every object of a guild, thousands of times a minute; decoding the
objects each time would cost more than everything else together. So the facts are taken out once per version of an
object, by the function that the store calls to index it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from provider_discord.apis.kinds import GUILD
from provider_discord.discord.difference import SnapshotChange
from provider_discord.discord.snowflake import is_snowflake
from provider_discord.kinds import fights
from provider_discord.kinds.hold import Mark, freed_at, mark_of
from provider_discord.kube.resource import Key, Obj, Resource, key_of
from provider_discord.kube.store import Store
from provider_discord.managed import attempts, conditions, meta
from provider_discord.managed.attempts import OpenAttempt
from provider_discord.managed.claims import Claims
from provider_discord.managed.resource import config_name_of, settled_generation_of, synced_generation_of

INDEX = "kinds.guild"
_UNSETTLED: Final = "kinds.unsettled"
_CREATING: Final = conditions.creating().reason
PAUSED_REASON: Final = conditions.reconcile_paused().reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Sibling:
    """One managed object of a guild.

    Attributes:
        key: Namespace and name.
        guild_id: The guild it is in, as far as known: from its status, else from its spec.
        external_name: Its Discord id; None before it has one.
        position: Its sort key; None: its place is unmanaged.
        seen: Its own pass has seen what it claims. Until then nobody knows whether its ProviderConfig lets it reach that.
        movable: It may be moved: not paused, not being deleted, its policies include Update, and seen.
        seniority: Sorts the eldest first.
        follows: It copies the overwrites of its parent (``syncPermissions``).
        parent_id: The parent that its status shows.
        uid: Its UID.
        config: The name of its ProviderConfig.
        settled: Its manifest is the one that was true at Discord when last looked at, and it is not being deleted.
        synced: It is Synced now.
        creating: It is being made, or made again: an attempt has begun. What may not be made yet is not.
        writes: Its policies include Create or Update, and it is not paused by its own annotation. (Whoever asks is not
            paused by what is above them all, whatever the conditions of the others still say.)
        held: The hold that its condition tells of; None: none.
        freed_at: Since when its condition tells that there is no hold; None: it never has.
        release: The hold that its annotation releases, "" for none.
    """

    key: Key
    guild_id: str
    external_name: str | None
    position: int | None
    seen: bool
    movable: bool
    seniority: tuple[str, str]
    follows: bool
    parent_id: str | None
    uid: str
    config: str
    settled: bool
    synced: bool
    creating: bool
    writes: bool
    held: Mark | None
    freed_at: datetime | None
    release: str


class Siblings:
    """Looks up the managed objects of a guild. Every method may be called from any thread."""

    def __init__(self, stores: Mapping[Resource, Store], claims: Claims) -> None:
        """Index the stores.

        Args:
            stores: The store of each kind that lives in a guild, Guild itself included.
            claims: Who owns which Discord id.
        """
        self._stores = dict(stores)
        self._claims = claims
        self._lock = threading.Lock()
        self._records: dict[Resource, dict[Key, Sibling]] = {resource: {} for resource in self._stores}
        self._versions: dict[Resource, int] = dict.fromkeys(self._stores, 0)
        self._sort_keys: dict[tuple[Resource, str], tuple[tuple[int, int], list[Key], dict[str, int]]] = {}
        for resource, store in self._stores.items():
            store.add_index(INDEX, partial(self._take, resource))
            store.add_index(_UNSETTLED, _unsettled)

    @property
    def stores(self) -> Mapping[Resource, Store]:
        """The store of each kind."""
        return self._stores

    def of(self, resource: Resource, guild_id: str) -> list[Sibling]:
        """Return the objects of one kind in a guild."""
        store = self._stores.get(resource)
        if store is None:
            return []
        keys = store.by_index(INDEX, guild_id)
        with self._lock:
            found = [self._records[resource].get(key) for key in keys]
            return [sibling for sibling in found if sibling is not None and sibling.guild_id == guild_id]

    def unsettled(self, resource: Resource) -> Iterator[tuple[Obj, OpenAttempt]]:
        """Yield the objects of one kind, in whatever guild, whose attempt to create has no outcome yet."""
        store = self._stores.get(resource)
        for key in () if store is None else store.by_index(_UNSETTLED, ""):
            obj = None if store is None else store.get(key)
            opened = None if obj is None else attempts.open_attempt(obj)
            if obj is not None and opened is not None:
                yield obj, opened

    def all_of(self, guild_id: str) -> list[tuple[Resource, Sibling]]:
        """Return the guild's objects of every kind, the Guild itself first."""
        found = [(resource, sibling) for resource in self._stores for sibling in self.of(resource, guild_id)]
        return sorted(found, key=lambda one: one[0].kind != GUILD.kind)

    def guild_objects(self, guild_id: str) -> list[tuple[Resource, Sibling]]:
        """Return the Guild objects that have seen the guild, the eldest first: any other may be a stranger's."""
        found = [
            (resource, sibling)
            for resource in self._stores
            if resource.kind == GUILD.kind
            for sibling in self.of(resource, guild_id)
            if sibling.seen
        ]
        return sorted(found, key=lambda one: one[1].seniority)

    def home(self, kind: str, key: object) -> str:
        """Return namespace/name of the Guild object that stands for an object's guild, "" where there is none."""
        resources = {resource.kind: resource for resource in self._stores}
        guild, resource = resources.get(GUILD.kind), resources.get(kind)
        if guild is None or resource is None or not isinstance(key, Key):
            return ""
        with self._lock:
            record = self._records[resource].get(key)
        found = self.of(guild, record.guild_id) if record is not None and record.guild_id else []
        owner = min(found, key=lambda one: (not self.owns(guild, one), one.seniority), default=None)
        return "" if owner is None else f"{owner.key.namespace}/{owner.key.name}"

    def owns(self, resource: Resource, sibling: Sibling) -> bool:
        """Tell whether an object owns the Discord id that it names: what others say of that does not count."""
        name = sibling.external_name
        owner = self._claims.owner(resource.kind, name) if name is not None else None
        return owner is not None and owner.uid == sibling.uid

    def sort_keys(self, resource: Resource, guild_id: str) -> dict[str, int]:
        """Return the sort key of each object of the guild that is ours to move, by Discord id."""
        store = self._stores.get(resource)
        if store is None:
            return {}
        # Objects that came or changed raise the version, objects that went are missing from the keys.
        version = self._versions[resource], self._claims.version
        keys = store.by_index(INDEX, guild_id)
        with self._lock:
            known = self._sort_keys.get((resource, guild_id))
        if known is None or known[0] != version or known[1] != keys:
            found = {
                sibling.external_name: sibling.position
                for sibling in self.of(resource, guild_id)
                if sibling.movable and sibling.position is not None and self.owns(resource, sibling)
                if sibling.external_name is not None
            }
            known = (version, keys, found)
            with self._lock:
                self._sort_keys[resource, guild_id] = known
        return dict(known[2])

    def affected(self, guild_id: str, change: SnapshotChange) -> Iterator[tuple[Resource, Key]]:
        """Yield the objects that a change seen at Discord concerns: look at them again."""
        changed = change.channel_ids | change.role_ids | ({guild_id} if change.guild_changed else set())
        for resource in self._stores:
            for sibling in self.of(resource, guild_id):
                if sibling.external_name in changed or (sibling.follows and sibling.parent_id in changed):
                    yield resource, sibling.key

    def _take(self, resource: Resource, obj: Obj) -> Iterator[str]:
        sibling = sibling_of(obj)
        records, store = self._records[resource], self._stores[resource]
        with self._lock:
            self._versions[resource] += records.get(sibling.key) != sibling
            records[sibling.key] = sibling
            if len(records) > 2 * len(store) + 100:
                # A store does not tell of removals. Its lock is held by this thread already.
                for key in [key for key in records if key not in store and key != sibling.key]:
                    del records[key]
        if sibling.guild_id:
            yield sibling.guild_id


def was_paused(obj: Mapping[str, Any]) -> bool:
    """Tell whether an object was paused, by itself or from above, when it was last looked at."""
    synced = conditions.find((obj.get("status") or {}).get("conditions"), conditions.SYNCED)
    return bool(synced.get("reason") == PAUSED_REASON)


def _is_being_made(obj: Mapping[str, Any]) -> bool:
    annotations = meta.annotations_of(obj)
    begun, ended = (
        meta.from_rfc3339(annotations.get(name)) for name in (meta.CREATE_PENDING, meta.CREATE_SUCCEEDED)
    )
    ready = conditions.find((obj.get("status") or {}).get("conditions"), conditions.READY)
    return ready.get("reason") == _CREATING and begun is not None and (ended is None or begun > ended)


def _unsettled(obj: Obj) -> Iterator[str]:
    if attempts.open_attempt(obj) is not None:
        yield ""


def sibling_of(obj: Obj) -> Sibling:
    """Take the facts out of an object. Never raises for what the schema lets through."""
    metadata: Mapping[str, Any] = obj.get("metadata") or {}
    annotations: Mapping[str, Any] = metadata.get("annotations") or {}
    spec: Mapping[str, Any] = obj.get("spec") or {}
    wanted: Mapping[str, Any] = spec.get("forProvider") or {}
    status: Mapping[str, Any] = obj.get("status") or {}
    seen: Mapping[str, Any] = status.get("atProvider") or {}
    external_name = str(annotations.get(meta.EXTERNAL_NAME) or "")
    policies = spec.get("managementPolicies")
    if policies is None:
        policies = ["*"]
    position = wanted.get("position")
    is_guild = obj.get("kind") == GUILD.kind
    deleting = bool(metadata.get("deletionTimestamp"))
    # Its own annotation, or that of what is above it: then its condition says so.
    paused = annotations.get(meta.PAUSED) == "true" or was_paused(obj)
    generation = meta.generation_of(obj)
    return Sibling(
        key=key_of(obj),
        guild_id=str(external_name if is_guild else seen.get("guildId") or wanted.get("guildId") or ""),
        external_name=external_name if is_snowflake(external_name) else None,
        position=position if isinstance(position, int) and not isinstance(position, bool) else None,
        seen=bool(external_name) and seen.get("id") == external_name,
        movable=not deleting
        and not paused
        and ("*" in policies or "Update" in policies)
        and seen.get("id") == external_name
        and "position" not in fights.left_alone(obj),
        seniority=(str(metadata.get("creationTimestamp") or ""), str(metadata.get("uid") or "")),
        follows=wanted.get("syncPermissions") is True,
        parent_id=seen.get("parentId") or None,
        uid=str(metadata.get("uid") or ""),
        config=config_name_of(obj),
        settled=not deleting and settled_generation_of(obj) == generation != 0,
        synced=synced_generation_of(obj) == generation != 0,
        creating=_is_being_made(obj),
        writes=annotations.get(meta.PAUSED) != "true" and not {"*", "Create", "Update"}.isdisjoint(policies),
        held=mark_of(obj, of_guild=is_guild),
        freed_at=freed_at(obj),
        release=str(annotations.get(meta.RELEASE_HOLD) or ""),
    )
