"""References between managed objects: `guildIdRef`, `guildIdSelector` and their like.

Crossplane's shape (`pkg/reference/namespaced_reference.go`), but followed at every reconcile into a copy and
not written back: the manifest in Git stays what it is, and an object made anew never leaves a stale id behind.
An id given in the spec wins unless the reference's policy says `resolve: Always`.

`ReferenceIndex` knows the other direction, who refers to whom, so that an object waiting for another is woken
by that one's external name and not by a poll.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from provider_discord.kube.resource import Key, Obj, Resource, key_of
from provider_discord.kube.store import Store
from provider_discord.managed import meta
from provider_discord.managed.errors import Blocked, Starting, Waiting
from provider_discord.managed.external import ManagedKind, ReferenceField
from provider_discord.managed.resource import ManagedResource, external_name_of


@dataclass(frozen=True, slots=True)
class _Site:
    """One place where a reference may stand: the mapping that holds the fields, and the names in it."""

    holder: dict[str, Any]
    leaf: str
    path: str
    """With indices, to show: `permissionOverwrites[2].id`."""


class _UnresolvedError(Exception):
    """Why one reference has no value yet."""


class ReferenceResolver:
    """Resolves an object's references over the stores of their target kinds."""

    def __init__(self, *, kinds: Mapping[Resource, ManagedKind], stores: Mapping[Resource, Store]) -> None:
        self._kinds = kinds
        self._stores = stores

    def resolve(self, mr: ManagedResource, fields: tuple[ReferenceField, ...]) -> ManagedResource:
        """Return the view with ids in place of references.

        While the object is deleted, and for fields that it can do without for now, what cannot be resolved is
        left out, or taken from `status.atProvider` if the same path stands there.

        Raises:
            Waiting: something that is needed is not there yet.
            Starting: a target kind has not been listed yet.
        """
        if not fields:
            return mr
        for_provider = copy.deepcopy(mr.for_provider)
        unresolved: dict[str, str] = {}
        for reference in fields:
            for site in _sites(for_provider, reference.path):
                try:
                    value = self._value(mr, reference, site.holder, site.leaf)
                except _UnresolvedError as cause:
                    if not mr.deleting and reference.required_before != "never":
                        msg = f"cannot resolve spec.forProvider.{site.path}: {cause}"
                        raise Waiting(msg, quiet=True) from None
                    value = _remembered(mr.at_provider, reference.path) if mr.deleting else None
                    if value is None:
                        unresolved[site.path] = str(cause)
                        site.holder.pop(site.leaf, None)
                if value is not None:
                    site.holder[site.leaf] = value
        return replace(mr, for_provider=for_provider, unresolved=unresolved)

    def _value(
        self, mr: ManagedResource, reference: ReferenceField, holder: Mapping[str, Any], leaf: str
    ) -> str | None:
        """Return the id that a reference stands for; None: nothing to do, the field stays as it is."""
        ref = holder.get(reference.ref)
        selector = holder.get(reference.selector) if reference.selector else None
        if not ref and not selector:
            return None
        policies = [(given.get("policy") or {}) for given in (ref, selector) if given]
        always = any(policy.get("resolve") == "Always" for policy in policies)
        if holder.get(leaf) and not always:
            return None
        if selector and (not ref or (selector.get("policy") or {}).get("resolve") == "Always"):
            ref = None
        try:
            if ref:
                return self._by_name(mr, reference, ref)
            return self._by_labels(mr, reference, selector or {})
        except _UnresolvedError:
            if any(policy.get("resolution") == "Optional" for policy in policies):
                return None
            raise

    def _store(self, target: Resource) -> Store:
        store = self._stores.get(target)
        if store is None or not store.has_synced:
            msg = f"waiting for the list of {target}"
            raise Starting(msg)
        return store

    def _by_name(self, mr: ManagedResource, reference: ReferenceField, ref: Mapping[str, Any]) -> str:
        target = reference.target
        key = Key(
            str(ref.get("namespace") or mr.namespace) if target.namespaced else "", str(ref.get("name"))
        )
        if target == mr.resource and key == mr.key:
            msg = f"{reference.ref} names {target.kind} {key}, which is this object itself"
            if mr.deleting:
                raise _UnresolvedError(msg)
            msg = f"{msg}: name another one, or take it out"
            raise Blocked(msg, reason="InvalidField", field=f"forProvider.{reference.ref}")
        obj = self._store(target).get(key)
        if obj is None:
            msg = f"{reference.ref} names {target.kind} {key}, which does not exist"
            raise _UnresolvedError(msg)
        return self._external_name(target, obj, f"{reference.ref} names {target.kind} {key}")

    def _by_labels(self, mr: ManagedResource, reference: ReferenceField, selector: Mapping[str, Any]) -> str:
        target = reference.target
        namespace = str(selector.get("namespace") or mr.namespace) if target.namespaced else ""
        store = self._store(target)
        for key in sorted(key for key in store.keys() if key.namespace == namespace):  # noqa: SIM118 - no mapping
            if target == mr.resource and key == mr.key:
                continue  # Nothing is inside of itself.
            obj = store.get(key)
            if obj is not None and selects(selector, referrer=mr.obj, target=obj):
                return self._external_name(
                    target, obj, f"{reference.selector} selects {target.kind} {key_of(obj)}"
                )
        where = f" in namespace {namespace}" if namespace else ""
        msg = f"{reference.selector} selects no {target.kind}{where}"
        raise _UnresolvedError(msg)

    def _external_name(self, target: Resource, obj: Obj, what: str) -> str:
        kind = self._kinds.get(target)
        name = external_name_of(obj, kind.is_external_name if kind else None)
        if name is None:
            msg = f"{what}, which has no external name yet (it is not ready)"
            raise _UnresolvedError(msg)
        if ManagedResource.of(target, obj, possible=kind.is_external_name if kind else None).stood_for:
            msg = f"{what}, whose external name was changed: its condition says more"
            raise _UnresolvedError(msg)
        return name


def selects(selector: Mapping[str, Any], *, referrer: Mapping[str, Any], target: Mapping[str, Any]) -> bool:
    """Tell whether a selector matches an object: its labels, and with matchControllerRef its controller."""
    labels = meta.labels_of(target)
    if any(labels.get(name) != value for name, value in (selector.get("matchLabels") or {}).items()):
        return False
    if selector.get("matchControllerRef"):
        mine = _controller(referrer)
        return bool(mine) and mine == _controller(target)
    return True


def _controller(obj: Mapping[str, Any]) -> str:
    owners = obj.get("metadata", {}).get("ownerReferences") or ()
    return next((str(owner.get("uid")) for owner in owners if owner.get("controller")), "")


def _sites(root: Any, path: str, shown: str = "") -> Iterator[_Site]:
    """Yield the places that a path means: `a.b`, or `list[].a` for each item of the list."""
    if not isinstance(root, dict):
        return
    head, _, rest = path.partition(".")
    if not rest:
        yield _Site(root, head, shown + head)
        return
    if head.endswith("[]"):
        items = root.get(head[:-2])
        for index, item in enumerate(items if isinstance(items, list) else ()):
            yield from _sites(item, rest, f"{shown}{head[:-2]}[{index}].")
        return
    yield from _sites(root.get(head), rest, f"{shown}{head}.")


def _remembered(at_provider: Mapping[str, Any], path: str) -> str | None:
    """Return the plain value at a path without lists in `status.atProvider`."""
    value: Any = at_provider
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) and value else None


@dataclass(frozen=True, slots=True)
class Referrer:
    """An object that refers to another."""

    resource: Resource
    key: Key


class ReferenceIndex:
    """Who refers to whom, kept from the watch. Thread-safe."""

    def __init__(self, kinds: Mapping[Resource, ManagedKind]) -> None:
        self._kinds = kinds
        self._lock = threading.Lock()
        self._by_target: dict[tuple[Resource, Key], set[Referrer]] = {}
        self._by_kind: dict[tuple[Resource, str], set[Referrer]] = {}
        """Referrers by selector, under the target's kind and namespace."""
        self._targets: dict[Referrer, list[Callable[[], None]]] = {}

    def update(self, resource: Resource, key: Key, obj: Obj | None) -> None:
        """Take in an object as it is now; None: it is gone."""
        referrer = Referrer(resource, key)
        kind = self._kinds.get(resource)
        with self._lock:
            for undo in self._targets.pop(referrer, ()):
                undo()
            if obj is None or kind is None or not kind.references:
                return
            for_provider = (obj.get("spec") or {}).get("forProvider") or {}
            undos: list[Callable[[], None]] = []
            for reference in kind.references:
                for site in _sites(for_provider, reference.path):
                    undos += self._index(referrer, reference, site.holder)
            if undos:
                self._targets[referrer] = undos

    def referrers(self, resource: Resource, key: Key) -> set[Referrer]:
        """Return who refers to the object by name, or selects among its kind and namespace."""
        with self._lock:
            return self._by_target.get((resource, key), set()) | self._by_kind.get(
                (resource, key.namespace), set()
            )

    def _index(
        self, referrer: Referrer, reference: ReferenceField, holder: Mapping[str, Any]
    ) -> Iterator[Callable[[], None]]:
        target = reference.target
        ref = holder.get(reference.ref)
        if isinstance(ref, dict) and ref.get("name"):
            namespace = str(ref.get("namespace") or referrer.key.namespace) if target.namespaced else ""
            yield self._enter(self._by_target, (target, Key(namespace, str(ref["name"]))), referrer)
        selector = holder.get(reference.selector) if reference.selector else None
        if isinstance(selector, dict):
            namespace = str(selector.get("namespace") or referrer.key.namespace) if target.namespaced else ""
            yield self._enter(self._by_kind, (target, namespace), referrer)

    @staticmethod
    def _enter(table: dict[Any, set[Referrer]], at: Any, referrer: Referrer) -> Callable[[], None]:
        table.setdefault(at, set()).add(referrer)

        def undo() -> None:
            members = table.get(at)
            if members is not None:
                members.discard(referrer)
                if not members:
                    del table[at]

        return undo
