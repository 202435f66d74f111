"""One pass over one object: what it has found so far, and the few ways in which it writes to Kubernetes.

Metadata is written by PUT with the resourceVersion, so that a 409 keeps its meaning: somebody else changed the
object, and everything decided so far may be wrong. The server's answer becomes the object of the rest of the
pass; what goes into the status is gathered apart, since a PUT of metadata answers with the old one.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping
from typing import Any

import structlog

from provider_discord.kube.errors import Conflict, KubeError, NotFound, Unreachable
from provider_discord.kube.resource import Obj
from provider_discord.kube.workqueue import Priority
from provider_discord.managed import attempts, conditions, deletions, meta, pauses, results
from provider_discord.managed.claims import DISOWNING, Claim
from provider_discord.managed.conditions import Condition
from provider_discord.managed.errors import Blocked, NotPublished
from provider_discord.managed.external import External, ManagedKind, Observation, PassContext
from provider_discord.managed.references import Referrer
from provider_discord.managed.resource import ManagedResource, external_name_of
from provider_discord.managed.results import Result
from provider_discord.managed.tools import Tools

log = structlog.get_logger()


class LeadershipLost(Exception):
    """This process may not write any more; the pass ends where it is."""


class Pass:
    """The state of one pass. Steps read and write its attributes."""

    def __init__(self, *, tools: Tools, kind: ManagedKind, mr: ManagedResource, priority: Priority) -> None:
        self.tools = tools
        self.kind = kind
        self.mr = mr
        self.priority = priority
        self.generation = mr.generation
        """The one that this pass works from, whatever is read anew meanwhile."""
        self.context = PassContext(
            priority=priority,
            deadline=tools.now() + tools.timings.pass_deadline_seconds,
            begin_deletion=self.begin_deletion,
        )
        self.external: External | None = None
        self.observation: Observation | None = None
        self.at_provider: Mapping[str, Any] | None = None
        self.handled_request: str | None = None
        self.log = log.bind(kind=mr.kind, namespace=mr.namespace, name=mr.name)
        self._conditions: dict[str, Condition] = {}

    # Reading.

    @property
    def connected(self) -> External:
        """The external client; only steps after connect ask for it."""
        assert self.external is not None
        return self.external

    @property
    def observed(self) -> Observation:
        """The observation; only steps after observe ask for it."""
        assert self.observation is not None
        return self.observation

    @property
    def parent(self) -> str:
        """What the object is inside of, by external name; "" if that is nothing, or not known."""
        field, mr = self.kind.parent, self.mr
        return (
            ""
            if field is None
            else str(mr.for_provider.get(field.path) or mr.at_provider.get(field.path) or "")
        )

    def poll(self) -> Result:
        """Return the result: look again at the next poll."""
        return results.poll(self.tools.poll_seconds(self.mr, self.priority))

    # Writing to Kubernetes.

    def set(self, *new: Condition) -> None:
        """Set conditions, to be written with the next report."""
        self._conditions.update({condition.type: condition for condition in new})

    def keep(self, type_: str) -> None:
        """Leave a condition as the object has it, whatever this pass has set."""
        self._conditions.pop(type_, None)

    def check_leading(self) -> None:
        """Raise `LeadershipLost` unless this process may begin a write or an external call."""
        if not self.tools.may_write():
            msg = "the lease is lost"
            raise LeadershipLost(msg)

    def persist(
        self,
        annotations: Mapping[str, str | None] | None = None,
        *,
        finalizer: bool | None = None,
        leading: bool = True,
    ) -> None:
        """PUT annotations and our finalizer if they differ from what the object has.

        Args:
            annotations: To set, or to remove where None.
            finalizer: Whether our finalizer shall be there; None: as it is.
            leading: Only as long as this process leads.

        Raises:
            Conflict: somebody else has changed the object.
            KubeError: the API server refused or did not answer.
        """
        obj, held = self.mr.obj, self.mr.annotations
        changes = {name: value for name, value in (annotations or {}).items() if held.get(name) != value}
        if changes:
            obj = meta.with_annotations(obj, changes)
        if finalizer is not None and finalizer != (meta.FINALIZER in meta.finalizers_of(obj)):
            obj = meta.with_finalizer(obj, meta.FINALIZER, present=finalizer)
        if obj is self.mr.obj:
            return
        if leading:
            self.check_leading()
        self._took(self.tools.access.replace(self.mr.resource, obj))

    def persist_critical(
        self, annotations: Mapping[str, str | None], *, attempt_id: str = "", made: bool = False
    ) -> bool:
        """Persist what must not be lost: what was created. Any error is tried again a few times.

        After a 409 the object is read anew and the same annotations are put on it. A lease lost meanwhile is
        no reason to keep to ourselves what has happened.

        Args:
            annotations: To set, or to remove where None.
            attempt_id: They tell only how this attempt to create ended. If somebody has settled it meanwhile (a
                human, or a copy of this program that leads now and may have begun another), nothing is written.
            made: The attempt made something. An object that has merely lost the attempt's record, and stands for
                nothing else, is told all the same.

        Returns:
            Whether it stands on the object now; False: somebody has settled the attempt meanwhile.

        Raises:
            KubeError: the last try's error.
        """
        stale = False
        for tries_left in reversed(range(self.tools.timings.critical_attempts)):
            try:
                if stale:
                    self._reread()
                    name = annotations.get(meta.EXTERNAL_NAME) if made else None
                    if attempt_id and name and self._is_on_record(attempt_id, name):
                        return True
                    if attempt_id and self._is_settled(attempt_id, made=name):
                        return False
                self.persist(annotations, leading=False)
            except KubeError as cause:
                gone = isinstance(cause, NotFound) and cause.served
                if gone or not tries_left:
                    raise
                stale = stale or isinstance(cause, Conflict)
                self.tools.pause(self.tools.timings.critical_retry_seconds)
            else:
                return True
        return False

    def publish(self, details: Mapping[str, bytes]) -> None:
        """Write connection details into the Secret that the object names.

        Raises:
            Conflict: somebody else has changed the Secret.
            NotPublished: it belongs to something else, or the API server refused.
            Unreachable: the API server did not answer.
        """
        try:
            self.tools.secrets.publish(self.mr, details)
        except (Conflict, Unreachable):
            raise
        except (Blocked, KubeError) as cause:
            raise NotPublished(cause) from cause

    def check_paused_above(self) -> None:
        """Raise `Paused` while the object's config, or what it is inside of, is paused."""
        pauses.check(self.tools, self.kind, self.mr)

    def check_write(self) -> None:
        """Make sure, right before something is changed outside, that it still may be.

        Raises:
            Paused: something above the object has been paused meanwhile.
            Blocked: nothing may be written with the object's config, although it is connected.
            LeadershipLost: this process may not write any more.
        """
        self.check_paused_above()
        self.tools.configs.check_write(self.mr)
        self.check_leading()

    def check_latest(self) -> None:
        """Ask the API server whether this pass works from the latest object: the cache may be behind.

        Before what cannot be undone. The object may have been made anew under its old name, been given a way out of
        its deletion, or been paused.

        Raises:
            Conflict: it does not.
            KubeError: the API server refused or did not answer; NotFound: there is no such object.
        """
        held, stored = (
            (obj["metadata"].get("uid"), obj["metadata"].get("resourceVersion"))
            for obj in (self.mr.obj, self.tools.access.get(self.mr.resource, self.mr.key))
        )
        if held != stored:
            raise Conflict(status=409, reason="Conflict", message="the cache is behind the API server")

    def begin_deletion(self, sight: str) -> None:
        """Record that a delete of the external resource leaves now.

        Args:
            sight: By what it can be seen, in the kind's own words.

        Raises:
            Conflict: somebody else has changed the object.
            KubeError: the API server refused or did not answer.
            LeadershipLost: this process may not write any more.
        """
        self.tools.checkpoint("delete.before-pending")
        self.persist(deletions.begun(self.mr, sight=sight, at=self.tools.wall()))
        self.tools.checkpoint("delete.pending")
        self.check_leading()

    def report(self) -> None:
        """Write the status if it differs from what the object has.

        Raises:
            KubeError: the API server refused or did not answer.
        """
        mr, tools = self.mr, self.tools
        status = copy.deepcopy(mr.status)
        if self.at_provider is not None:
            status["atProvider"] = dict(self.at_provider)
            if mr.policies.writes:
                status.pop("observedOnly", None)
            else:
                status["observedOnly"] = True
        if self.handled_request is not None:
            status["lastHandledReconcileAt"] = self.handled_request
        status["observedGeneration"] = self.generation
        status["conditions"] = conditions.merge(
            status.get("conditions"),
            self._conditions.values(),
            generation=self.generation,
            now=tools.wall(),
        )
        if conditions.find(status["conditions"], conditions.SYNCED).get("status") == "True":
            status.pop("lastSyncedGeneration", None)
        elif mr.settled_generation:
            status["lastSyncedGeneration"] = mr.settled_generation
        self._measure_firsts(status)
        if status == mr.status:
            return
        self.check_leading()
        tools.checkpoint("status.before")
        self._took(tools.access.replace_status(mr.resource, {**mr.obj, "status": status}))
        tools.checkpoint("status.written")

    def finish_deletion(self) -> Result:
        """Remove the finalizer: nothing of ours holds the object any more."""
        mr, tools = self.mr, self.tools
        tools.checkpoint("delete.before-finalizer")
        with contextlib.suppress(NotFound):
            self.persist(finalizer=False)
        tools.checkpoint("delete.finalizer-removed")
        tools.usages.untrack(mr)
        asked = meta.from_rfc3339(mr.obj["metadata"].get("deletionTimestamp"))
        if asked is not None:
            tools.metrics.deleted(mr.resource, seconds=(tools.wall() - asked).total_seconds())
        return results.forget()

    def leave_alone(self, message: str) -> Result:
        """Let an object go whose external resource is not its own to delete, or not any more."""
        self.tools.announcer.normal(self.mr.obj, "LeftAlone", message)
        self.log.info(
            "let go of an object and left alone what it named",
            external_name=self.mr.external_name,
            why=message,
        )
        return self.finish_deletion()

    # Claims.

    def named(self, external_name: str) -> dict[str, str | None]:
        """Return the annotations by which the object stands for something from now on.

        Where it stood for something else, they say that this is meant: the status may be written only later, or never.
        """
        another = self.mr.at_provider.get("id") not in {None, external_name}
        return {meta.EXTERNAL_NAME: external_name, meta.ACKNOWLEDGED_NAME: external_name if another else None}

    def claim(self, external_name: str, *, proven: bool = False) -> Claim | None:
        """Claim an external name at once; return the older claim that owns it, None if it is ours, or may not be.

        Args:
            external_name: The annotation's, or another one that was found or made.
            proven: The object has been observed under it.
        """
        mine = self.tools.claim_of(self.mr, proven=proven or external_name != self.mr.external_name)
        owner = self.tools.claims.register(external_name, mine)
        return None if owner.uid == mine.uid or not mine.writes else owner

    def disown(self, error: Blocked) -> None:
        """Give up a claim on an external name that turned out to be none of the object's; whoever waits is woken."""
        mr, tools = self.mr, self.tools
        if error.reason not in DISOWNING or mr.external_name is None or mr.uid in tools.memory.disowned:
            return
        tools.memory.disowned[mr.uid] = True
        self.claim(mr.external_name)
        others = tools.claims.claimants(mr.kind, mr.external_name)
        tools.configs.wake.objects(
            Referrer(mr.resource, claim.key) for claim in others if claim.key != mr.key
        )

    def reclaim(self) -> None:
        """Claim the external name again, since it has proved to be the object's. Raises `Blocked` if it is taken."""
        disowned = self.tools.memory.disowned.pop(self.mr.uid, False)
        if self.mr.external_name and (disowned or self.mr.stood_for is not None):
            owner = self.claim(self.mr.external_name, proven=True)
            if owner is not None:
                raise in_use(self.mr.external_name, owner)

    def claim_new(self, external_name: str) -> None:
        """Claim a name that the object does not have yet. Raises `Blocked` if somebody else owns it."""
        owner = self.claim(external_name)
        if owner is None:
            return
        self.unclaim()
        raise in_use(external_name, owner, named=self.mr.external_name is not None)

    def unclaim(self) -> None:
        """Go back to the claim that the object's annotation makes."""
        if self.mr.external_name:
            self.claim(self.mr.external_name)
        else:
            self.tools.claims.release(self.mr.kind, self.mr.key)

    # Inside.

    def _took(self, obj: Obj) -> None:
        """Go on with the object as the API server returned it, keeping resolved references."""
        fresh = ManagedResource.of(self.mr.resource, obj, possible=self.kind.is_external_name)
        self.mr = ManagedResource(
            resource=fresh.resource,
            obj=obj,
            external_name=fresh.external_name,
            for_provider=self.mr.for_provider,
            unresolved=self.mr.unresolved,
        )
        self.tools.stores[self.mr.resource].put_written(obj)

    def _is_on_record(self, attempt_id: str, made: str) -> bool:
        """Tell whether what an attempt made is on the object: by a try of ours without an answer, or another copy."""
        obj = self.mr.obj
        named = external_name_of(obj, self.kind.is_external_name) == made
        return named and not attempts.is_open_under(obj, attempt_id)

    def _is_settled(self, attempt_id: str, *, made: str | None) -> bool:
        """Tell whether somebody else has settled an attempt."""
        obj = self.mr.obj
        if attempts.is_open_under(obj, attempt_id):
            return False
        if made is None:
            return True
        another = attempts.open_attempt(obj)
        name = external_name_of(obj, self.kind.is_external_name)
        return (another is not None and bool(another.attempt.id)) or (
            name not in {None, self.mr.external_name}
        )

    def _reread(self) -> None:
        """Read the object from the API server. Raises NotFound if another one stands there under its name."""
        obj = self.tools.access.get(self.mr.resource, self.mr.key)
        if obj["metadata"].get("uid") != self.mr.uid:
            raise NotFound(status=404, reason="NotFound", message="the object was deleted and made anew")
        # The spec that this pass works from stays the one it began with.
        self.mr = ManagedResource(
            resource=self.mr.resource,
            obj=obj,
            external_name=self.mr.external_name,
            for_provider=self.mr.for_provider,
            unresolved=self.mr.unresolved,
        )

    def _measure_firsts(self, status: Mapping[str, Any]) -> None:
        mr, metrics = self.mr, self.tools.metrics
        age = (self.tools.wall() - mr.created_at).total_seconds()
        before, after = mr.status.get("conditions"), status["conditions"]
        if conditions.find(after, conditions.SYNCED) and not conditions.find(before, conditions.SYNCED):
            metrics.first_reconciled(mr.resource, seconds=age)
        ready = conditions.find(after, conditions.READY).get("status") == "True"
        if ready and conditions.find(before, conditions.READY).get("reason") in {None, "Creating"}:
            metrics.first_ready(mr.resource, seconds=age)


def in_use(external_name: str, owner: Claim, *, named: bool = True) -> Blocked:
    """Return the refusal for an external name that an older object owns; not `named`: it was found by other means."""
    why = "which is older"
    remedy = "delete one of the two, or correct its annotation crossplane.io/external-name"
    if not named:
        remedy = "delete one of the two, or say which other one is meant by the annotation crossplane.io/external-name"
    if owner.stood_for == external_name:
        why = f"which is older and stood for it until its annotation {meta.EXTERNAL_NAME} was changed"
        remedy = (
            f"put that annotation of the older one back; or, to hand this over, set {meta.ACKNOWLEDGED_NAME} there as its "
            f"condition says"
        )
    elif owner.lost:
        why = "which is older, but may not use it with its ProviderConfig any more"
        remedy = "to hand it over, set spec.managementPolicies of the older one to [Observe]; then it may be deleted, too"
    return Blocked(
        f"external name {external_name} belongs to {owner}, {why}: this object writes and deletes nothing; {remedy}",
        reason="ExternalNameInUse",
    )
