"""Pausing from above: the annotation on an object's ProviderConfig, or on what it is inside of (its Guild).

One annotation then stops everything below: nothing is written, deletion waits, and the condition of every object
names who pauses it. Taking the annotation away wakes them all.

A Guild pauses the objects of its guild if it owns the guild's id, if it uses their ProviderConfig and may, or if they
name it in their reference. Any other one is a stranger's: whoever can make a Guild object in a namespace of their own
must not be able to stop somebody else's guild by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from provider_discord.kube.resource import Key, Obj, key_of
from provider_discord.managed import meta
from provider_discord.managed.errors import Paused, Starting
from provider_discord.managed.external import ManagedKind, ParentField
from provider_discord.managed.resource import ManagedResource, config_name_of
from provider_discord.managed.tools import Tools

PARENT_INDEX = "managed/parent"
"""Objects by the external name of what they are inside of, as far as their spec or status tells."""


def parents_of(field: ParentField, obj: Mapping[str, Any]) -> Iterator[str]:
    """Yield what an object is inside of, for the index."""
    wanted = (obj.get("spec") or {}).get("forProvider")
    seen = (obj.get("status") or {}).get("atProvider")
    given = (block.get(field.path) for block in (wanted, seen) if isinstance(block, dict))
    yield from {str(name) for name in given if name}


def check(tools: Tools, kind: ManagedKind, mr: ManagedResource) -> None:
    """Make sure that nothing above the object is paused.

    Raises:
        Paused: something is; the message names it.
        Starting: nobody knows yet.
    """
    tools.configs.check_paused(mr)
    if kind.parent is None:
        return
    target = kind.parent.target
    for obj in _above(tools, kind, kind.parent, mr):
        if meta.is_paused(obj):
            msg = f"{target.kind} {key_of(obj)} is paused by the annotation {meta.PAUSED}, and all that is inside with it"
            raise Paused(msg)
    if not tools.stores[target].has_synced and not tools.kind_missing(target):
        msg = f"waiting for the list of {target}"
        raise Starting(msg)


def _above(tools: Tools, kind: ManagedKind, field: ParentField, mr: ManagedResource) -> Iterator[Obj]:
    store = tools.stores[field.target]
    for reference in kind.references:
        ref = mr.for_provider.get(reference.ref) if reference.path == field.path else None
        if isinstance(ref, dict) and ref.get("name"):
            named = store.get(Key(str(ref.get("namespace") or mr.namespace), str(ref["name"])))
            if named is not None:
                yield named
    names = {str(block.get(field.path) or "") for block in (mr.for_provider, mr.at_provider)} - {""}
    for name in names:
        owner = tools.claims.owner(field.target.kind, name)
        for claim in tools.claims.claimants(field.target.kind, name):
            obj = store.get(claim.key)
            if obj is not None and (claim == owner or _shares_config(tools, field, obj, mr)):
                yield obj


def _shares_config(tools: Tools, field: ParentField, obj: Obj, mr: ManagedResource) -> bool:
    """Tell whether an object uses the same config, and may: to name one is free."""
    return config_name_of(obj) == mr.config_name and tools.configs.serves(
        ManagedResource.of(field.target, obj)
    )
