"""What is talked about: kinds of objects (`Resource`) and single objects (`Key`).

A `Resource` is everything that a URL of the Kubernetes API needs, spelled out once. There is no discovery:
the kinds are fixed at build time, and discovery would cost requests at the start and fail with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

__all__ = ["Key", "Obj", "Resource", "key_of", "resource_version_of", "uid_of"]

Obj = dict[str, Any]
"""A Kubernetes object exactly as the API server's JSON gave it."""


class Key(NamedTuple):
    """Names one object of a kind. `namespace` is "" for cluster-scoped objects."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class Resource:
    """One served kind of objects: `Resource("apps", "v1", "deployments", "Deployment", namespaced=True)`."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        """Return what stands in an object's `apiVersion`: `group/version`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(
        self, namespace: str | None = None, name: str | None = None, subresource: str | None = None
    ) -> str:
        """Return the URL path.

        Args:
            namespace: None or "" means all namespaces, or a cluster-scoped object.
            name: None means the collection.
            subresource: for example `status`; needs a name.
        """
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root]
        if namespace and self.namespaced:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(name, safe=""))
            if subresource:
                parts.append(subresource)
        return "/".join(parts)

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


def key_of(obj: Mapping[str, Any]) -> Key:
    """Return the key of an object as the API server gave it (it has metadata and a name)."""
    metadata = obj["metadata"]
    return Key(metadata.get("namespace", ""), metadata["name"])


def uid_of(obj: Mapping[str, Any]) -> str:
    """Return the object's UID, "" before the API server has given it one."""
    return str(obj.get("metadata", {}).get("uid", ""))


def resource_version_of(obj: Mapping[str, Any]) -> int:
    """Return the object's resourceVersion as a number, 0 if it has none that can be compared.

    Kubernetes documents resourceVersions of one kind as comparable decimal integers (API concepts, "Resource
    versions"). An API server that departs from that makes every version equal here, which only turns off the
    protection against going back in time.
    """
    text = str(obj.get("metadata", {}).get("resourceVersion", ""))
    return int(text) if text.isascii() and text.isdigit() else 0
