"""A managed object as one pass sees it: a frozen view on the raw object, with references resolved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from provider_discord.kube.resource import Key, Obj, Resource, key_of
from provider_discord.managed import conditions, meta
from provider_discord.managed.policies import Policies

_BEGINNING = datetime.fromtimestamp(0, tz=UTC)


def external_name_of(obj: Mapping[str, Any], possible: Callable[[str], bool] | None) -> str | None:
    """Return the external name; None if there is none or it cannot be an id of this kind.

    Crossplane's default initialiser (and the Go provider) writes metadata.name there; where ids are
    snowflakes such a name says nothing and must count as absent.
    """
    name = meta.annotations_of(obj).get(meta.EXTERNAL_NAME, "").strip()
    if not name or (possible is not None and not possible(name)):
        return None
    return name


def config_name_of(obj: Mapping[str, Any]) -> str:
    """Return the name of the ProviderConfig that the object refers to; `default` if it names none."""
    reference = (obj.get("spec") or {}).get("providerConfigRef") or {}
    return str(reference.get("name") or "default")


def synced_generation_of(obj: Mapping[str, Any]) -> int:
    """Return the generation for which Synced is True, 0 if it is not True now."""
    synced = conditions.find((obj.get("status") or {}).get("conditions"), conditions.SYNCED)
    return int(synced.get("observedGeneration") or 0) if synced.get("status") == "True" else 0


def settled_generation_of(obj: Mapping[str, Any]) -> int:
    """Return the generation that was last true at Discord, whatever trouble there was since; 0: none was.

    What has just been made is Synced, but not looked at yet.
    """
    status = obj.get("status") or {}
    synced = synced_generation_of(obj)
    if not synced:
        return int(status.get("lastSyncedGeneration") or 0)
    ready = conditions.find(status.get("conditions"), conditions.READY)
    return 0 if ready.get("reason") == "Creating" else synced


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedResource:
    """One managed object. Nobody may change `obj` or what is inside it.

    Attributes:
        resource: Its kind's coordinates.
        obj: The raw object as it was read, or as our last write of it returned it.
        external_name: Its id at Discord; None if absent or not a possible id.
        for_provider: `spec.forProvider` with references resolved to ids. A reference that could not be resolved
            (and may be missing) leaves its field out.
        unresolved: The paths of fields that were left out so, each with the reason.
    """

    resource: Resource
    obj: Obj
    external_name: str | None
    for_provider: dict[str, Any]
    unresolved: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, resource: Resource, obj: Obj, *, possible: Callable[[str], bool] | None = None
    ) -> ManagedResource:
        """View a raw object, references not resolved yet."""
        return cls(
            resource=resource,
            obj=obj,
            external_name=external_name_of(obj, possible),
            for_provider=dict((obj.get("spec") or {}).get("forProvider") or {}),
        )

    def as_controller(self) -> Obj:
        """Return the owner reference of what this object controls: it goes with the object."""
        return {
            "apiVersion": self.resource.api_version,
            "kind": self.kind,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return key_of(self.obj)

    @property
    def kind(self) -> str:
        """The kind's name, `Channel`."""
        return self.resource.kind

    @property
    def name(self) -> str:
        """metadata.name."""
        return str(self.obj["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """metadata.namespace."""
        return str(self.obj["metadata"].get("namespace", ""))

    @property
    def uid(self) -> str:
        """metadata.uid."""
        return str(self.obj["metadata"].get("uid", ""))

    @property
    def generation(self) -> int:
        """metadata.generation."""
        return meta.generation_of(self.obj)

    @property
    def created_at(self) -> datetime:
        """When the Kubernetes object was made (UTC)."""
        return meta.from_rfc3339(self.obj["metadata"].get("creationTimestamp")) or _BEGINNING

    @property
    def annotations(self) -> dict[str, str]:
        """A copy of the annotations."""
        return meta.annotations_of(self.obj)

    @property
    def labels(self) -> dict[str, str]:
        """A copy of the labels."""
        return meta.labels_of(self.obj)

    @property
    def deleting(self) -> bool:
        """Its deletion was asked for."""
        return meta.is_deleting(self.obj)

    @property
    def policies(self) -> Policies:
        """What may be done to the external resource."""
        return Policies.of(self.spec.get("managementPolicies"))

    @property
    def spec(self) -> dict[str, Any]:
        """The raw spec."""
        return dict(self.obj.get("spec") or {})

    @property
    def status(self) -> dict[str, Any]:
        """The raw status."""
        return dict(self.obj.get("status") or {})

    @property
    def at_provider(self) -> dict[str, Any]:
        """`status.atProvider` as last written."""
        return dict(self.status.get("atProvider") or {})

    @property
    def seen(self) -> bool:
        """Its own pass has seen what it names: only then is it known that its config lets it reach that."""
        return self.external_name is not None and self.at_provider.get("id") == self.external_name

    @property
    def stood_for(self) -> str | None:
        """What the object stood for until its external name was changed, as it seems by hand; None: nothing else.

        It is not asked of an object that merely looked at something, and not where the change is acknowledged.
        """
        before = str(self.at_provider.get("id") or "")
        if not before or self.external_name in {None, before} or self.status.get("observedOnly"):
            return None
        if self.annotations.get(meta.ACKNOWLEDGED_NAME) == self.external_name:
            return None
        return before

    @property
    def config_name(self) -> str:
        """The name of its ProviderConfig."""
        return config_name_of(self.obj)

    @property
    def synced_generation(self) -> int:
        """The generation for which Synced was last True, 0 if it is not True now."""
        return synced_generation_of(self.obj)

    @property
    def settled_generation(self) -> int:
        """The generation that was last true at Discord, 0 if none was."""
        return settled_generation_of(self.obj)
