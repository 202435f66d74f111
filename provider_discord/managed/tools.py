"""What every pass works with: the collaborators, the clocks, and the little that is remembered between passes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from provider_discord.kube.access import ObjectAccess
from provider_discord.kube.resource import Key, Resource
from provider_discord.kube.store import Store
from provider_discord.kube.workqueue import Priority
from provider_discord.managed import meta
from provider_discord.managed.announce import Announcer
from provider_discord.managed.claims import Claim, Claims
from provider_discord.managed.connection import ConnectionSecrets
from provider_discord.managed.errors import Blocked
from provider_discord.managed.external import ManagedKind
from provider_discord.managed.metrics import ManagedMetrics
from provider_discord.managed.providerconfig import ProviderConfigs
from provider_discord.managed.references import ReferenceResolver
from provider_discord.managed.resource import ManagedResource
from provider_discord.managed.timings import ManagedTimings
from provider_discord.managed.usage import Usages

CHECKPOINTS = (
    "adopt.before-persist",
    "adopt.persisted",
    "create.before-pending",
    "create.pending",
    "create.sent",
    "create.persisted",
    "create.failed",
    "resolve.before",
    "resolve.found",
    "resolve.persisted",
    "update.before",
    "update.sent",
    "update.persisted",
    "delete.before",
    "delete.before-pending",
    "delete.pending",
    "delete.sent",
    "delete.before-finalizer",
    "delete.finalizer-removed",
    "finalizer.before-add",
    "finalizer.added",
    "status.before",
    "status.written",
)
"""Every label that `Tools.checkpoint` is called with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A create or delete that was refused by the provider itself, after it had been sent or as late as that.

    Attributes:
        error: What it said.
        until: Polls do not send it again before (monotonic).
        times: How often it was refused.
        resource: The object's kind.
        key: Its namespace and name.
        parent: What it is inside of, by external name; "" for nothing.
    """

    error: Blocked
    until: float
    times: int
    resource: Resource
    key: Key
    parent: str


class Memory:
    """What this process knows beyond the objects, by UID. A restart loses it, and nothing depends on it.

    Attributes:
        settling: The generation whose update is on its way: what still differs is no drift.
        desired: What was wanted when nothing differed last: a digest of ``forProvider`` with its references resolved.
        ended: When a create that this process sent ended without an outcome, by the attempt's id.
        looked: When this process first looked in vain for what an attempt made, by the attempt's id.
        created: What a create made whose success could not be persisted: (attempt id, external name).
        failed: The attempt that made nothing for certain, until that is persisted.
        deleted: Whose external resource was deleted by this process: another delete is a repetition.
        observed_at: When nothing differed last (monotonic).
        disowned: Who turned out to have no right to its external name; it stays so until it is observed under it.
        refused: Creates and deletes that the provider refused, so that they are not sent again at each poll.
        missing_since: When something whose creation lies in the future was first found missing (monotonic).
        requested: The request to reconcile that was told of last: not every pass that handles one writes a status.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.settling: dict[str, int] = {}
        self.desired: dict[str, int] = {}
        self.ended: dict[str, tuple[str, datetime]] = {}
        self.looked: dict[str, tuple[str, datetime]] = {}
        self.created: dict[str, tuple[str, str]] = {}
        self.failed: dict[str, str] = {}
        self.deleted: dict[str, bool] = {}
        self.observed_at: dict[str, float] = {}
        self.disowned: dict[str, bool] = {}
        self.refused: dict[str, Refused] = {}
        self.missing_since: dict[str, float] = {}
        self.requested: dict[str, str] = {}

    def make_room(self, parent: str, *, now: float) -> None:
        """Let the next polls send again what was refused inside of something: we have deleted something there."""
        for uid, refused in list(self.refused.items()):
            if parent and refused.parent == parent:
                self.refused[uid] = replace(refused, until=now)

    def forget(self, uid: str) -> None:
        """Drop everything about an object that is gone."""
        with self._lock:
            for table in vars(self).values():
                if isinstance(table, dict):
                    table.pop(uid, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The collaborators of a pass.

    Attributes:
        born: When this process began to lead (wall time): a create that a crash ended, ended before.
        may_write: False once the lease is lost: no external call, no write, may begin any more.
        checkpoint: Called with one of `CHECKPOINTS`, for tests that kill the process there.
        rand: Uniform in [0, 1).
        new_id: A fresh random id for an attempt.
        kind_ends: Tells whether the CRD of a kind is being deleted, and with it every object of the kind. Asks the API
            server, and raises `KubeError` where that does not tell.
        kind_missing: Tells whether the API server does not serve a kind: then nobody waits for its list.
        management_policies: False: as in Crossplane with that feature off, every set but the default is refused.
    """

    access: ObjectAccess
    kinds: Mapping[Resource, ManagedKind]
    stores: Mapping[Resource, Store]
    configs: ProviderConfigs
    usages: Usages
    claims: Claims
    references: ReferenceResolver
    secrets: ConnectionSecrets
    announcer: Announcer
    metrics: ManagedMetrics
    timings: ManagedTimings
    now: Callable[[], float]
    wall: Callable[[], datetime]
    born: Callable[[], datetime]
    rand: Callable[[], float]
    new_id: Callable[[], str]
    may_write: Callable[[], bool]
    checkpoint: Callable[[str], None] = lambda _label: None
    kind_ends: Callable[[Resource], bool] = lambda _resource: False
    pause: Callable[[float], None]
    """Waits milliseconds between the tries of a critical write."""
    kind_missing: Callable[[Resource], bool] = lambda _resource: False
    management_policies: bool = True
    memory: Memory = field(default_factory=Memory)

    def claim_of(self, mr: ManagedResource, *, proven: bool = False) -> Claim:
        """Return the claim that an object makes on its external name.

        Args:
            mr: The object.
            proven: It is known to be the object's. A name that was changed is not before it was observed under it: whom
                it belongs to can't be held up by a slip of the pen, least of all where nobody gets as far as looking.
        """
        writes = mr.policies.writes or mr.policies.paused
        # Who may not have it owns nothing, or a namespace without rights could hold up another one.
        proven = proven or mr.stood_for is None
        may = proven and self.configs.serves(mr) and mr.uid not in self.memory.disowned
        return Claim(
            kind=mr.kind,
            key=mr.key,
            uid=mr.uid,
            created_at=mr.created_at,
            writes=writes and may,
            lost=writes and not may and mr.seen,
            stood_for=(mr.stood_for or "") if writes and not proven else "",
        )

    def poll_seconds(self, mr: ManagedResource, priority: Priority) -> float:
        """Return when to look for drift: the interval with a little jitter.

        After a burst of changes the first poll comes at a random phase of the interval, so that a guild that
        was applied at once is not polled at once for ever.
        """
        interval = self.timings.poll_interval_seconds
        wished = meta.parse_go_duration(mr.annotations.get(meta.POLL_INTERVAL, ""))
        if wished is not None:
            interval = max(wished, self.timings.min_poll_interval_seconds)
        if priority is not Priority.POLL and wished is None:
            return interval * max(self.rand(), 0.05)
        return interval * (1.0 + self.timings.poll_jitter * (2.0 * self.rand() - 1.0))
