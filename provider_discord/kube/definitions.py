"""Whether the API server serves a kind, and whether it is about to stop.

A kind is served while its CustomResourceDefinition (CRD) is there and Established. Who waits for one watches that
one CRD by name, so that rights on a handful of names are enough and thousands of other CRDs cost nothing. Where
RBAC does not let us (asked by a SelfSubjectAccessReview, so that no audit log fills with refusals) it is waited for
with backoff instead.

Deleting a CRD deletes every object of its kind. The API server notes the deletion on the CRD before it asks for
that of the first object (seen on 1.36: the condition Terminating is there with the answer to the DELETE), and serves
the objects until their finalizers are gone. So whoever holds an object whose deletion was asked for can find out
whether somebody meant this object, or all of its kind. Where the CRD may not be read, discovery tells as much a
moment later: a kind that ends can no longer be created.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import structlog

from provider_discord.kube.access import Event, EventType, Page, Watch
from provider_discord.kube.errors import Forbidden, KubeError, NotFound
from provider_discord.kube.resource import Key, Obj, Resource
from provider_discord.kube.timings import KubeTimings

__all__ = ["DEFINITIONS", "DefinitionAccess", "Definitions", "is_served"]

DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
REVIEWS = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)
_VERBS = ("list", "watch")


class DefinitionAccess(Protocol):
    """What of the API server is asked for here."""

    def get(self, resource: Resource, key: Key) -> Obj:
        """See `ObjectAccess`."""
        ...

    def create(self, resource: Resource, obj: Obj) -> Obj:
        """See `ObjectAccess`."""
        ...

    def list_page(self, resource: Resource, *, field_selector: str = "", limit: int = 100) -> Page:
        """See `ObjectAccess`."""
        ...

    def watch(
        self, resource: Resource, *, resource_version: str, timeout_seconds: float, field_selector: str = ""
    ) -> Watch:
        """See `ObjectAccess`."""
        ...

    def verbs(self, resource: Resource) -> frozenset[str]:
        """Return what discovery says may be done to a kind. Raises `NotFound`: it is not served."""
        ...


def is_served(definition: Obj, version: str) -> bool:
    """Tell whether a CRD is established, serves this version, and is not about to go."""
    if definition["metadata"].get("deletionTimestamp"):
        return False
    conditions = (definition.get("status") or {}).get("conditions") or ()
    established = any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions)
    versions = (definition.get("spec") or {}).get("versions") or ()
    return established and any(v.get("name") == version and v.get("served") for v in versions)


class Definitions:
    """Answers about the CRDs of our kinds. Every method may be called from any thread."""

    def __init__(
        self,
        access: DefinitionAccess,
        *,
        timings: KubeTimings,
        now: Callable[[], float],
        log: Any = None,
    ) -> None:
        """Make one; nothing is asked yet.

        Args:
            access: the API server.
            timings: this room's constants.
            now: monotonic seconds.
            log: a structlog logger.
        """
        self._access = access
        self._timings = timings
        self._now = now
        self._log = log or structlog.get_logger()
        self._lock = threading.Lock()
        self._allowed: dict[Resource, tuple[bool, float]] = {}

    def ending(self, resource: Resource) -> bool:
        """Tell whether a kind's CRD is being deleted, and with it every object of the kind.

        The answer is the API server's own of this moment, never a cached one.

        Raises:
            KubeError: that can't be found out. Then nothing may be deleted that exists elsewhere.
        """
        try:
            definition = self._access.get(DEFINITIONS, Key("", str(resource)))
        except (Forbidden, NotFound):
            # Not found: it has gone, or the kind is served without a CRD that we can see (kcp binds kinds so).
            return self._ending_by_discovery(resource)
        return bool(definition["metadata"].get("deletionTimestamp"))

    def until_served(self, resource: Resource, *, opened: Callable[[Watch | None], None]) -> bool:
        """Wait for a kind's CRD; return whether it has just come to serve the kind.

        Args:
            resource: the kind.
            opened: is given the watch that is waited in, for somebody else to close, and None at its end.

        Returns:
            True: the kind should be there now. False: it is not known (the CRD may not be watched, the watch came
            to its end, or the CRD says that the kind was served all along): wait for a while and see.

        Raises:
            KubeError: the API server refused or did not answer.
        """
        if not self._may_watch(resource):
            return False
        selector = f"metadata.name={resource}"
        page = self._access.list_page(DEFINITIONS, field_selector=selector, limit=1)
        if any(is_served(definition, resource.version) for definition in page.items):
            return False
        with self._access.watch(
            DEFINITIONS,
            resource_version=page.resource_version,
            timeout_seconds=self._timings.watch_timeout_max_seconds,
            field_selector=selector,
        ) as watch:
            opened(watch)
            try:
                for event in self._changes(watch):
                    if is_served(event.obj, resource.version):
                        return True
            finally:
                opened(None)
        return False

    @staticmethod
    def _changes(watch: Watch) -> Iterator[Event]:
        return (event for event in watch if event.type in {EventType.ADDED, EventType.MODIFIED})

    def _ending_by_discovery(self, resource: Resource) -> bool:
        try:
            return "create" not in self._access.verbs(resource)
        except NotFound:
            return True

    def _may_watch(self, resource: Resource) -> bool:
        with self._lock:
            allowed, until = self._allowed.get(resource, (False, float("-inf")))
        if self._now() < until:
            return allowed
        try:
            allowed = all(self._review(resource, verb) for verb in _VERBS)
        except KubeError as error:
            self._log.debug("it could not be found out whether CRDs may be watched", error=str(error))
            return False
        with self._lock:
            self._allowed[resource] = (allowed, self._now() + self._timings.access_review_seconds)
        if not allowed:
            self._log.info(
                "this kind's CustomResourceDefinition may not be watched; the kind is asked for now and then",
                resource=str(resource),
            )
        return allowed

    def _review(self, resource: Resource, verb: str) -> bool:
        attributes = {
            "verb": verb,
            "group": DEFINITIONS.group,
            "resource": DEFINITIONS.plural,
            "name": str(resource),
        }
        answer = self._access.create(
            REVIEWS,
            {
                "apiVersion": REVIEWS.api_version,
                "kind": REVIEWS.kind,
                "metadata": {},
                "spec": {"resourceAttributes": attributes},
            },
        )
        return bool((answer.get("status") or {}).get("allowed"))
