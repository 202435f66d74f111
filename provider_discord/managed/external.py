"""The seam between the managed reconciler and a kind: four verbs, one resolution, and their answers.

The reconciler decides *when* (policies, finalizers, conditions, requeues); a kind decides *what* (calls at
Discord). Everything that passes between them is a value of this module, so that the reconciler can be
tested with a fake external and a kind without Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from provider_discord.kube.resource import Resource
from provider_discord.kube.workqueue import Priority
from provider_discord.managed.conditions import Condition
from provider_discord.managed.errors import ManagedError
from provider_discord.managed.resource import ManagedResource

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FieldDiff:
    """One managed field that differs: ``topic: "a" -> "b"``. Values must be safe to show (no secrets, no images).

    Attributes:
        field: Its name in the manifest, maybe with a part of it in brackets.
        observed: What the external resource has.
        desired: What it shall have.
        own: Nobody changed the external resource: our own writes, or a change of what is wanted, explain it. Such a
            difference is put right like any other, but it is no drift.
    """

    field: str
    observed: str
    desired: str
    own: bool = False

    def __str__(self) -> str:
        return f"{self.field}: {self.observed} -> {self.desired}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """The Ready condition that an observation found: Available, or Unavailable and why."""

    available: bool
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What observe found. Observe never writes at Discord.

    Attributes:
        exists: The external resource is there.
        external_name: Its id, when it differs from the annotation: it was found by name and is adopted. The
            reconciler persists it before anything is written at Discord.
        diff: The managed fields that differ; empty means up to date.
        at_provider: What ``status.atProvider`` shall show.
        annotations: Memory to persist on the object (tag ids, image digests); None removes one.
        readiness: The Ready condition.
        connection_details: For the connection secret.
        plan: Whatever the kind wants to hand to its own update or delete.
        requeue_after_seconds: Look again sooner than the poll (an order change being gathered, say).
        warnings: Things to tell in an event, once a generation, that hinder nothing.
        conditions: Further conditions to set.
        let_go: Why the object, which is being deleted, goes without anything being looked at or done outside: what it
            names is not its own. "": it is its own.
        refusal: Why the create (if it does not exist) or the update (if it differs) must not be sent: the same
            name is taken, a permission is missing, the bot would lock itself out. Raised by the reconciler
            when it is about to write, so that it costs no annotations and hinders neither looking nor
            deleting. Prefer it over raising from create or update.
    """

    exists: bool
    external_name: str | None = None
    diff: tuple[FieldDiff, ...] = ()
    at_provider: Mapping[str, Any] | None = None
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    readiness: Readiness | None = None
    connection_details: Mapping[str, bytes] = field(default_factory=dict)
    plan: Any = None
    requeue_after_seconds: float | None = None
    warnings: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    let_go: str = ""
    refusal: ManagedError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt to create, persisted on the object before the request is sent.

    Attributes:
        id: Random, unique; travels in the audit-log reason. "": made by somebody else, who left no id.
        started: When it was persisted (wall time, UTC).
        ended: When its outcome was known to be unknown; None while in flight or if a crash ended it.
        misses: When earlier resolutions found nothing.
        generation: That of the manifest it was made from; 0: not known.
    """

    id: str
    started: datetime
    ended: datetime | None = None
    misses: tuple[datetime, ...] = ()
    generation: int = 0

    def is_of(self, mr: ManagedResource) -> bool:
        """Tell whether the manifest still is the one it was made from; asking for deletion counts as a generation."""
        return self.generation in {0, mr.generation - 1 if mr.deleting else mr.generation}


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """A create that succeeded.

    Attributes:
        external_name: The id of what was made.
        at_provider: The least that ``status.atProvider`` must show before anybody looks at it: by it, objects find
            one another.
        annotations: Memory to persist on the object.
        connection_details: For the connection secret.
    """

    external_name: str
    at_provider: Mapping[str, Any] | None = None
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    connection_details: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An update or delete that went through.

    Attributes:
        wrote: Something was sent; False: nothing had to be, or it is being gathered.
        annotations: Memory to persist on the object; None removes one.
        connection_details: For the connection secret.
        requeue_after_seconds: Part of the update is still to come (an order change being gathered, say): look again
            then. Until it is done the object does not become Ready, nor Synced for a new manifest.
    """

    wrote: bool = True
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    connection_details: Mapping[str, bytes] = field(default_factory=dict)
    requeue_after_seconds: float | None = None


class Verdict(Enum):
    """What became of an attempt whose outcome was unknown."""

    FOUND = "found"
    MISSED = "missed"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """The verdict on an attempt; ``message`` says what was looked at, and for AMBIGUOUS what a human can do."""

    verdict: Verdict
    external_name: str | None = None
    message: str = ""
    annotations: Mapping[str, str | None] = field(default_factory=dict)


class External(Protocol):
    """One kind's external client, connected for one pass. Errors: see ``managed.errors``; anything else is a bug."""

    def observe(self, mr: ManagedResource) -> Observation:
        """Look; never write."""
        ...

    def create(self, mr: ManagedResource, attempt: Attempt) -> Creation:
        """Create once. Raises ``AmbiguousCreate`` when the outcome is unknown; any other error means: not created."""
        ...

    def resolve(self, mr: ManagedResource, attempt: Attempt) -> Resolution:
        """Find out what became of an attempt. Never writes."""
        ...

    def update(self, mr: ManagedResource, observation: Observation) -> Change:
        """Put right what the observation's diff names, with the fewest writes."""
        ...

    def delete(self, mr: ManagedResource, observation: Observation) -> Change:
        """Delete, or raise ``Blocked`` where a guard forbids it.

        After ``wrote=True`` the object waits until observe says that the thing is gone. ``wrote=False`` means
        that there is nothing to delete at Discord (a guild, say): the object goes at once, the thing stays.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PassContext:
    """What one reconcile pass hands down.

    Attributes:
        priority: How urgent it is.
        deadline: When it must be over (monotonic seconds).
        begin_deletion: Records on the object that a delete of its external resource leaves now, and by what that could
            be seen, in a word or two. To be called by ``delete``, after its guards, where absence alone proves nothing;
            ``deletions.begun_deletion`` reads it. Raises where it cannot be recorded: then nothing may be deleted.
    """

    priority: Priority
    deadline: float
    begin_deletion: Callable[[str], None] = lambda _sight: None


class Connector(Protocol):
    """Makes an ``External`` for one pass out of the session that the object's ProviderConfig has."""

    def connect(self, mr: ManagedResource, session: Any, context: PassContext) -> External:
        """Return the external client for this object."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceField:
    """A field that can be given as an id, by reference or by selector.

    Attributes:
        path: Where the id goes, dotted, ``[]`` for each item of a list: ``permissionOverwrites[].id``.
        ref: The sibling that holds ``{name, namespace?, policy?}``: ``guildIdRef``.
        selector: The sibling that holds ``{matchLabels, matchControllerRef, namespace?, policy?}``; None: none.
        target: The kind referred to.
        required_before: ``create`` (the object waits until it resolves) or ``never`` (the field is left out
            until then, for a Guild's channel references).
    """

    path: str
    ref: str
    selector: str | None
    target: Resource
    required_before: str = "create"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentField:
    """The field that says what an object is inside of, by external name: while that one is paused, so is the object.

    Attributes:
        path: Its name in ``spec.forProvider`` and in ``status.atProvider``: ``guildId``.
        target: The kind of what it is inside of.
    """

    path: str
    target: Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedKind:
    """Everything the reconciler needs to know of a kind."""

    resource: Resource
    connector: Connector
    references: tuple[ReferenceField, ...] = ()
    is_external_name: Any = None
    """Callable[[str], bool]: False for a name that cannot be an id, which then counts as absent; None: any."""
    parent: ParentField | None = None
    concerns_referrers: tuple[str, ...] = ()
    """Fields of ``status.atProvider``: who refers to the object is looked at again when one of them changes, as when
    its external name does."""
