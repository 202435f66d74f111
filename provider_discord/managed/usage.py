"""ProviderConfigUsage objects: who uses a ProviderConfig, so that it is not deleted under them.

One per managed object, named by its UID, owned by it, in its namespace (crossplane-runtime
`pkg/resource/providerconfig.go`). A usage whose object is gone does not count, so that nothing hangs where the
garbage collector is late; deleting it is tried and a refusal accepted, since Crossplane's RBAC gives providers
no delete.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import structlog

from provider_discord.kube.access import ObjectAccess
from provider_discord.kube.errors import AlreadyExists, Forbidden, KubeError, NotFound
from provider_discord.kube.resource import Key, Obj, Resource, uid_of
from provider_discord.kube.store import Store
from provider_discord.managed import meta
from provider_discord.managed.resource import ManagedResource

CONFIG_KINDS = ("ProviderConfig", "ClusterProviderConfig")
"""Both mean the one cluster-scoped ProviderConfig."""
CONFIG_INDEX = "managed/config"
UID_INDEX = "managed/uid"

log = structlog.get_logger()


def config_of_usage(usage: Mapping[str, Any]) -> str:
    """Return the name of the ProviderConfig that a usage is for."""
    name = (usage.get("providerConfigRef") or {}).get("name")
    return str(name or meta.labels_of(usage).get(meta.LABEL_CONFIG) or "")


class Usages:
    """Tracks and counts usages, over a store of them that a reflector feeds."""

    def __init__(
        self, *, access: ObjectAccess, resource: Resource, store: Store, stores: Mapping[Resource, Store]
    ) -> None:
        self._access = access
        self._resource = resource
        self._store = store
        self._stores = {(r.api_version, r.kind): s for r, s in stores.items()}
        self._may_delete = True
        store.add_index(CONFIG_INDEX, lambda usage: (config_of_usage(usage),))
        for managed in stores.values():
            managed.add_index(UID_INDEX, lambda obj: (uid_of(obj),))

    @property
    def has_synced(self) -> bool:
        """Tell whether the usages have been listed."""
        return self._store.has_synced

    def track(self, mr: ManagedResource) -> None:
        """Make sure that the object's usage exists and names its config. Raises `KubeError`."""
        key = self._key(mr)
        wanted = self._usage(mr)
        existing = self._store.get(key)
        if existing is None:
            try:
                self._store.put_written(self._access.create(self._resource, wanted))
            except AlreadyExists:
                existing = self._access.get(self._resource, key)
            else:
                return
        if _says(existing) == _says(wanted):
            return
        updated = {**existing, **{name: wanted[name] for name in ("providerConfigRef", "resourceRef")}}
        labels = {**meta.labels_of(existing), **meta.labels_of(wanted)}
        updated["metadata"] = {**existing["metadata"], "labels": labels}
        self._store.put_written(self._access.replace(self._resource, updated))

    def untrack(self, mr: ManagedResource) -> None:
        """Delete the usage of an object that is gone; the garbage collector does it where we may not."""
        key = self._key(mr)
        if not self._may_delete or self._store.get(key) is None:
            return
        try:
            self._access.delete(self._resource, key)
        except NotFound:
            return
        except Forbidden:
            self._may_delete = False
            log.info("usages are left to the garbage collector: RBAC does not let this provider delete them")
        except KubeError as cause:
            log.info("could not delete a usage", namespace=key.namespace, name=key.name, cause=str(cause))

    def users(self, config: str) -> list[Obj]:
        """Return the usages of a config whose objects still exist."""
        return [usage for usage in self._of(config) if self._counts(usage)]

    def _of(self, config: str) -> Iterator[Obj]:
        for key in self._store.by_index(CONFIG_INDEX, config):
            usage = self._store.get(key)
            if usage is not None:
                yield usage

    def _counts(self, usage: Obj) -> bool:
        ref = usage.get("resourceRef") or {}
        store = self._stores.get((str(ref.get("apiVersion")), str(ref.get("kind"))))
        if store is None or not store.has_synced:
            return True  # Nobody knows; a config deleted too early strands its users.
        # By UID: of an object made anew under the old name, the old one's usage may still be about.
        return bool(store.by_index(UID_INDEX, usage["metadata"]["name"]))

    def _key(self, mr: ManagedResource) -> Key:
        return Key(mr.namespace if self._resource.namespaced else "", mr.uid)

    def _usage(self, mr: ManagedResource) -> Obj:
        reference = mr.spec.get("providerConfigRef") or {}
        kind = str(reference.get("kind") or "ClusterProviderConfig")
        metadata: Obj = {
            "name": mr.uid,
            "labels": {meta.LABEL_CONFIG: mr.config_name, meta.LABEL_CONFIG_KIND: kind},
            "ownerReferences": [mr.as_controller()],
        }
        if self._resource.namespaced:
            metadata["namespace"] = mr.namespace
        return {
            "apiVersion": self._resource.api_version,
            "kind": self._resource.kind,
            "metadata": metadata,
            "providerConfigRef": {"kind": kind, "name": mr.config_name},
            "resourceRef": {
                "apiVersion": mr.resource.api_version,
                "kind": mr.kind,
                "name": mr.name,
            },
        }


def _says(usage: Obj) -> tuple[Any, Any, Any]:
    labels = meta.labels_of(usage)
    return (
        usage.get("providerConfigRef"),
        usage.get("resourceRef"),
        (labels.get(meta.LABEL_CONFIG), labels.get(meta.LABEL_CONFIG_KIND)),
    )
