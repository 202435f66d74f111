"""The last steps: deleting, or putting right what differs."""

from __future__ import annotations

import json
import re

from provider_discord.kube.errors import KubeError
from provider_discord.managed import conditions, deletions, meta, results
from provider_discord.managed.errors import Blocked
from provider_discord.managed.external import Change, FieldDiff
from provider_discord.managed.reconcile_pass import Pass
from provider_discord.managed.references import Referrer
from provider_discord.managed.results import Result
from provider_discord.managed.steps_create import hold_back, note_refusal

_SHOWN_DIFFS = 10
_HEAD = re.compile(r"\w+")


def deletion(p: Pass) -> Result | None:
    """Delete the external resource, wait until it is gone, then let the object go."""
    if not p.mr.deleting:
        return None
    finalizers = meta.finalizers_of(p.mr.obj)
    if len(finalizers) > 1:
        return p.poll()  # Somebody else is not done yet; ours goes last. A finalizer's removal wakes us.
    if meta.FINALIZER not in finalizers:
        return results.forget()  # Our part is done, or never began.
    if p.observed.let_go:
        return p.leave_alone(p.observed.let_go)
    if not p.observed.exists:
        if deletions.begun_deletion(p.mr) is not None and p.mr.uid not in p.tools.memory.deleted:
            # Its answer was lost, or the process that waited for it.
            _deleted(p, f"external resource {p.mr.external_name}, whose deletion was begun, is gone")
        if p.mr.uid not in p.tools.memory.deleted:
            _wake_what_it_was_in(p)
        return p.finish_deletion()
    p.set(conditions.deleting())
    hold_back(p)
    p.check_latest()
    p.check_write()
    p.tools.checkpoint("delete.before")
    change = _delete(p)
    p.tools.checkpoint("delete.sent")
    if not change.wrote:
        message = f"external resource {p.mr.external_name} was left as it is"
        p.tools.announcer.normal(p.mr.obj, "ReleasedExternalResource", message)
        return p.finish_deletion()
    p.tools.announcer.well(p.mr.uid)
    _deleted(p, f"deleted external resource {p.mr.external_name}")
    p.tools.memory.make_room(p.parent, now=p.tools.now())
    _wake_what_it_was_in(p)
    p.set(conditions.reconcile_success())
    p.report()
    # Look soon whether it is gone; if it never goes, back off.
    again = p.tools.memory.deleted.get(p.mr.uid, False)
    p.tools.memory.deleted[p.mr.uid] = True
    return results.requeue(anew=not again)


def _wake_what_it_was_in(p: Pass) -> None:
    """Have those looked at that the object referred to and that are deleted, too: they may not go before it."""
    tools, mr = p.tools, p.mr
    for reference in p.kind.references:
        named = mr.for_provider.get(reference.path) or mr.at_provider.get(reference.path)
        store = tools.stores.get(reference.target)
        if not isinstance(named, str) or store is None:
            continue
        tools.configs.wake.objects(
            Referrer(reference.target, claim.key)
            for claim in tools.claims.claimants(reference.target.kind, named)
            if meta.is_deleting(store.get(claim.key) or {})
        )


def _delete(p: Pass) -> Change:
    try:
        return p.connected.delete(p.mr, p.observed)
    except Blocked as refusal:
        if deletions.begun_deletion(p.mr) is None:
            # It was seen before anything was sent, and is looked at with each poll.
            p.tools.memory.refused.pop(p.mr.uid, None)
        else:
            note_refusal(p, refusal)
        # Nothing was deleted, nor will be for a while: should it go out of sight by then, that proves nothing.
        try:
            p.persist_critical(deletions.withdrawn())
        except KubeError as cause:
            p.log.warning("could not withdraw the record of a delete that was refused", cause=str(cause))
        raise


def _deleted(p: Pass, message: str) -> None:
    p.tools.announcer.normal(p.mr.obj, "DeletedExternalResource", message)
    p.log.info("deleted", external_name=p.mr.external_name)


def up_to_date(p: Pass) -> Result | None:
    """Nothing differs: done until the next poll."""
    if p.observed.diff:
        return None
    p.tools.memory.settling.pop(p.mr.uid, None)
    p.tools.memory.desired[p.mr.uid] = _digest(p)
    p.tools.memory.observed_at[p.mr.uid] = p.tools.now()
    p.tools.announcer.well(p.mr.uid)
    p.set(conditions.reconcile_success())
    p.report()
    return _next_look(p, p.observed.requeue_after_seconds)


def not_updated(p: Pass) -> Result | None:
    """Something differs and shall stay so."""
    if p.mr.policies.updates:
        return None
    message = f"differs and is left so (spec.managementPolicies): {_listed(p.observed.diff)}"
    p.tools.announcer.notice(p.mr.obj, "DriftDetected", message)
    p.set(conditions.reconcile_success())
    p.report()
    return _next_look(p, p.observed.requeue_after_seconds)


def update(p: Pass) -> Result | None:
    """Put right what differs, and say what it was."""
    observation, tools = p.observed, p.tools
    if observation.refusal is not None:
        raise observation.refusal
    p.check_write()
    drift = _drift(p)
    if drift:
        _tell_drift(p, drift)
    p.check_leading()
    tools.checkpoint("update.before")
    change = p.connected.update(p.mr, observation)
    tools.checkpoint("update.sent")
    tools.memory.settling[p.mr.uid] = p.generation
    if change.annotations:
        p.persist_critical(change.annotations)
        tools.checkpoint("update.persisted")
    p.publish(change.connection_details)
    if change.wrote:
        message = f"updated external resource: {_listed(observation.diff)}"
        tools.announcer.well(p.mr.uid)
        tools.announcer.normal(p.mr.obj, "UpdatedExternalResource", message)
        p.log.info("updated", external_name=p.mr.external_name, fields=[d.field for d in observation.diff])
    if change.requeue_after_seconds is None:
        p.set(conditions.reconcile_success())
    else:
        # Part of it is still to come: whoever waits for Ready and Synced waits for that too.
        p.keep(conditions.READY)
    p.report()
    if change.wrote and change.requeue_after_seconds is None:
        # Look at what came of it, with backoff: a difference that does not go away must not become a storm.
        return results.requeue()
    return _next_look(p, change.requeue_after_seconds)


def _next_look(p: Pass, sooner: float | None) -> Result:
    usual = p.poll()
    if sooner is not None and sooner < (usual.requeue_after_seconds or 0.0):
        return results.after(sooner)
    return usual


def _drift(p: Pass) -> tuple[FieldDiff, ...]:
    """Return what somebody changed at the external resource. What we want may have changed, or we ourselves have.

    This very manifest was true once, and so were the ids that its references stand for now. After a restart nobody
    knows the latter; then the status tells what the external resource was like at the last look.
    """
    mr, memory = p.mr, p.tools.memory
    if mr.synced_generation != p.generation or memory.settling.get(mr.uid) == p.generation:
        return ()
    if conditions.find(mr.status.get("conditions"), conditions.READY).get("reason") == "Creating":
        return ()
    foreign = tuple(entry for entry in p.observed.diff if not entry.own)
    desired = memory.desired.get(mr.uid)
    if desired is None:
        return tuple(entry for entry in foreign if _looks_changed(p, entry))
    return foreign if desired == _digest(p) else ()


def _looks_changed(p: Pass, entry: FieldDiff) -> bool:
    """Tell whether the status showed something else of a field at the last look."""
    key = _HEAD.match(entry.field)
    before, now = p.mr.at_provider, p.at_provider or {}
    return key is not None and before.get(key.group()) != now.get(key.group())


def _digest(p: Pass) -> int:
    """Return what tells one thing wanted from another, for this process."""
    return hash(json.dumps(p.mr.for_provider, sort_keys=True))


def _tell_drift(p: Pass, drift: tuple[FieldDiff, ...]) -> None:
    tools = p.tools
    message = f"drift: {_listed(drift)}; putting it back"
    tools.announcer.normal(p.mr.obj, "DriftDetected", message)
    since = tools.now() - tools.memory.observed_at.get(p.mr.uid, tools.now())
    tools.metrics.drifted(p.mr.resource, p.mr.key, seconds=since)
    p.log.info(
        "security: drift, changed by somebody else",
        external_name=p.mr.external_name,
        fields=[d.field for d in drift],
    )


def _listed(diff: tuple[FieldDiff, ...]) -> str:
    shown = "; ".join(str(entry) for entry in diff[:_SHOWN_DIFFS])
    more = len(diff) - _SHOWN_DIFFS
    return f"{shown}; and {more} more" if more > 0 else shown
