"""Object access that writes nothing once this process may not write any more.

Whoever checks the lease at the beginning of something long (a call at Discord, say) and writes at its end would write
for a leader that is none any more. Here it is asked at each write. What may have to be written all the same, because
it tells what has happened, goes past the fence and says why.
"""

from __future__ import annotations

from collections.abc import Callable

from provider_discord.kube.access import ObjectAccess, Page, Watch
from provider_discord.kube.errors import NotLeading
from provider_discord.kube.resource import Key, Obj, Resource

__all__ = ["Fence"]


class Fence:
    """`ObjectAccess` whose writes raise `NotLeading` as soon as `may_write` says no."""

    def __init__(self, access: ObjectAccess, *, may_write: Callable[[], bool]) -> None:
        self._access = access
        self._may_write = may_write

    def get(self, resource: Resource, key: Key) -> Obj:
        """Read one object; see `ObjectAccess`."""
        return self._access.get(resource, key)

    def list_page(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        limit: int = 100,
        continue_token: str = "",
    ) -> Page:
        """Read one page of a list; see `ObjectAccess`."""
        return self._access.list_page(
            resource,
            namespace=namespace,
            label_selector=label_selector,
            limit=limit,
            continue_token=continue_token,
        )

    def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        timeout_seconds: float,
        namespace: str | None = None,
    ) -> Watch:
        """Follow changes; see `ObjectAccess`."""
        return self._access.watch(
            resource, resource_version=resource_version, timeout_seconds=timeout_seconds, namespace=namespace
        )

    def create(self, resource: Resource, obj: Obj) -> Obj:
        """Create an object; see `ObjectAccess`."""
        self._check(f"create {resource}")
        return self._access.create(resource, obj)

    def replace(self, resource: Resource, obj: Obj) -> Obj:
        """PUT an object; see `ObjectAccess`."""
        self._check(f"replace {resource}")
        return self._access.replace(resource, obj)

    def replace_status(self, resource: Resource, obj: Obj) -> Obj:
        """PUT an object's status; see `ObjectAccess`."""
        self._check(f"replace the status of {resource}")
        return self._access.replace_status(resource, obj)

    def delete(
        self, resource: Resource, key: Key, *, uid: str | None = None, resource_version: str | None = None
    ) -> None:
        """Delete an object; see `ObjectAccess`."""
        self._check(f"delete {resource}")
        self._access.delete(resource, key, uid=uid, resource_version=resource_version)

    def _check(self, what: str) -> None:
        if not self._may_write():
            msg = f"{what}: not sent, because this process does not lead any more"
            raise NotLeading(msg)
