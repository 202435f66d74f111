"""Looking, and what follows from what is or is not there."""

from __future__ import annotations

from dataclasses import replace

from provider_discord.managed import conditions, meta, results
from provider_discord.managed.reconcile_pass import Pass
from provider_discord.managed.results import Result


def observe(p: Pass) -> Result | None:
    """Look at the external resource; persist at once the name of one that was found without its name."""
    p.check_leading()
    observation = p.connected.observe(p.mr)
    if not observation.let_go:
        p.reclaim()
    if observation.exists and not p.mr.deleting:
        p.tools.memory.refused.pop(p.mr.uid, None)
    found = observation.external_name
    adopted = observation.exists and found is not None and found != p.mr.external_name
    if adopted and p.mr.deleting:
        # Found by a name that it merely shares: never ours, so not ours to delete.
        observation = replace(observation, exists=False, external_name=None)
        adopted = False
    if adopted and found is not None:
        p.claim_new(found)  # Before anything of it is told: it may be another one's.
    p.observation = observation
    if observation.at_provider is not None:
        p.at_provider = observation.at_provider
    if observation.readiness is not None and observation.exists:
        ready = observation.readiness
        p.set(conditions.available() if ready.available else conditions.unavailable(ready.message))
    p.set(*observation.conditions)
    if adopted and found is not None:
        p.tools.checkpoint("adopt.before-persist")
        p.persist({**p.named(found), **observation.annotations}, finalizer=True)
        p.tools.checkpoint("adopt.persisted")
        message = f"adopted external resource {found}"
        p.tools.announcer.normal(p.mr.obj, "AdoptedExternalResource", message)
        p.log.info("adopted", external_name=found)
    for warning in observation.warnings:
        p.tools.announcer.once(
            p.mr.obj, generation=p.generation, reason="ExternalResourceWarning", message=warning
        )
    return None


def absent_observe_only(p: Pass) -> Result | None:
    """Say that what shall only be looked at is not there."""
    if p.observed.exists or not p.mr.policies.observe_only:
        return None
    message = "observe failed: external resource does not exist"
    p.tools.announcer.warning(p.mr.obj, "CannotObserveExternalResource", message)
    p.set(conditions.reconcile_error(message))
    p.report()
    return p.poll()


def creation_grace(p: Pass) -> Result | None:
    """Take "does not exist" for the provider's lag shortly after a create, while deleting too."""
    if p.observed.exists or p.observed.let_go:
        return None
    created = meta.from_rfc3339(p.mr.annotations.get(meta.CREATE_SUCCEEDED))
    if created is None:
        return None
    age = (p.tools.wall() - created).total_seconds()
    if age < 0:
        # Another clock wrote it, or this one was put back: count from when it was first found missing.
        now = p.tools.now()
        age = now - p.tools.memory.missing_since.setdefault(p.mr.uid, now)
    if age >= p.tools.timings.creation_grace_seconds:
        return None
    message = "waiting for external resource existence to be confirmed"
    p.tools.announcer.notice(p.mr.obj, "PendingExternalResource", message)
    return results.requeue()


def publish(p: Pass) -> Result | None:
    """Publish the connection details that were observed."""
    p.publish(p.observed.connection_details)
    return None


def metadata(p: Pass) -> Result | None:
    """Persist the finalizer and what the kind wants remembered.

    The finalizer comes only after the first successful observation, so that an object which never reached
    Discord can be deleted without Discord.
    """
    p.tools.checkpoint("finalizer.before-add")
    p.persist(p.observed.annotations, finalizer=True)
    p.tools.checkpoint("finalizer.added")
    return None
