"""The one way in which everybody else reads and writes objects.

A small protocol, so that a test's fake, or a directory of manifests, can stand in for the API server. Every
method may raise any `KubeError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self

from provider_discord.kube.resource import Key, Obj, Resource

__all__ = ["Event", "EventType", "Key", "Obj", "ObjectAccess", "Page", "Resource", "Watch"]


class EventType(StrEnum):
    """What a watch tells about an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"
    """No change; only `metadata.resourceVersion` is set: the version up to which the watch is complete."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a watch. Events that people read are something else, see `kube.events`."""

    type: EventType
    obj: Obj


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. `continue_token` is "" on the last one."""

    items: list[Obj]
    resource_version: str
    continue_token: str = ""


class Watch(Protocol):
    """A running watch: iterate once; the iteration ends when the server ends the watch or it is closed.

    Iterating raises `Gone` when the version is too old, `Unreachable` when the connection breaks or is silent
    for too long.
    """

    def __iter__(self) -> Iterator[Event]:
        """Yield the changes as they come."""
        ...

    def close(self) -> None:
        """End the watch. May be called from any thread, more than once; the iteration then ends at once."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class ObjectAccess(Protocol):
    """Read and write objects of any kind."""

    def get(self, resource: Resource, key: Key) -> Obj:
        """Read one object. Raises `NotFound`."""
        ...

    def list_page(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        limit: int = 100,
        continue_token: str = "",
    ) -> Page:
        """Read one page of a list; every page of one list shows the same moment.

        Raises `Gone` when the continue token is too old: begin again without it.
        """
        ...

    def create(self, resource: Resource, obj: Obj) -> Obj:
        """Create an object in its own `metadata.namespace`; return it as stored. Raises `AlreadyExists`."""
        ...

    def replace(self, resource: Resource, obj: Obj) -> Obj:
        """PUT the whole object but its status; return it as stored.

        With a resourceVersion (always, unless there is a reason) an object changed in between raises `Conflict`.
        """
        ...

    def replace_status(self, resource: Resource, obj: Obj) -> Obj:
        """PUT only the status; return the object as stored. Raises `Conflict` as `replace` does."""
        ...

    def delete(
        self, resource: Resource, key: Key, *, uid: str | None = None, resource_version: str | None = None
    ) -> None:
        """Delete an object, with finalizers: ask for its deletion.

        With `uid` or `resource_version` another incarnation or version raises `Conflict`.
        """
        ...

    def watch(
        self,
        resource: Resource,
        *,
        resource_version: str,
        timeout_seconds: float,
        namespace: str | None = None,
    ) -> Watch:
        """Follow changes after `resource_version`, with bookmarks, for at most `timeout_seconds`."""
        ...
