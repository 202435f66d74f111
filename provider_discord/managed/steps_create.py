"""Creating, so that whatever crashes nothing is made twice and nothing is lost.

The intent is on the object before the request is sent, and what was made is on it afterwards. In between lies
the moment that Crossplane's runtime leaves to a human: an attempt of which nobody knows the outcome. Here it is
resolved: the kind looks for what the attempt may have made. Found, it is adopted. Missed, it is made again only
after a second miss at least `resolution_delay_seconds` after the attempt ended, because Discord may commit late.
Where the evidence is ambiguous we halt, as Crossplane does, and say what a human can do.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from provider_discord.kube.errors import KubeError, NotFound
from provider_discord.kube.workqueue import Priority
from provider_discord.managed import attempts, conditions, meta, results
from provider_discord.managed.attempts import OpenAttempt
from provider_discord.managed.errors import AmbiguousCreate, Blocked, Held, ManagedError
from provider_discord.managed.external import Attempt, Creation, Resolution, Verdict
from provider_discord.managed.reconcile_pass import Pass, in_use
from provider_discord.managed.results import Result
from provider_discord.managed.tools import Refused


def unsettled_create(p: Pass) -> Result | None:
    """Find out what became of a create whose outcome is unknown, before anything else is decided."""
    opened = attempts.open_attempt(p.mr.obj)
    if opened is None:
        return None
    if attempts.settled_by_human(opened, p.mr.external_name):
        name = p.mr.external_name or ""
        told = attempts.succeeded(name, _not_before(opened, p.tools.wall())) | p.named(name)
        if opened.attempt.id:  # It was asked what the attempt has made, and this is the answer.
            told |= attempts.created(name, p.mr.uid)
        p.persist(told)
        return None
    if opened.attempt.id and p.tools.memory.failed.get(p.mr.uid) == opened.attempt.id:
        p.persist(attempts.failed(_not_before(opened, p.tools.wall())))
        _settled(p)
        return None
    p.check_leading()
    p.tools.checkpoint("resolve.before")
    looked_at = p.tools.wall()
    opened, resolution = _resolve(p, opened)
    p.tools.metrics.resolved(p.mr.resource, resolution.verdict.value)
    if resolution.verdict is Verdict.FOUND and resolution.external_name:
        return _adopt(p, opened, resolution)
    if resolution.verdict is Verdict.MISSED:
        return _missed(p, opened, resolution, looked_at=looked_at)
    return _halt(p, resolution)


def _resolve(p: Pass, opened: OpenAttempt) -> tuple[OpenAttempt, Resolution]:
    """Ask this process's memory first, then the kind."""
    attempt, memory = opened.attempt, p.tools.memory
    made = memory.created.get(p.mr.uid)
    if made is not None and attempt.id and made[0] == attempt.id:
        return opened, Resolution(verdict=Verdict.FOUND, external_name=made[1])
    ended = memory.ended.get(p.mr.uid)
    if attempt.ended is None and ended is not None and ended[0] == attempt.id:
        opened = replace(opened, attempt=replace(attempt, ended=ended[1]))
    return opened, p.connected.resolve(p.mr, opened.attempt)


def _adopt(p: Pass, opened: OpenAttempt, resolution: Resolution) -> Result | None:
    name = resolution.external_name or ""
    owner = p.claim(name)
    if owner is not None:
        p.unclaim()
        if p.mr.deleting and meta.finalizers_of(p.mr.obj) in ([], [meta.FINALIZER]):
            # The way out of two of one thing: this one goes, and what it made stays with the other.
            return p.leave_alone(f"external resource {name} belongs to {owner} and was left alone")
        raise in_use(name, owner, named=p.mr.external_name is not None)
    if opened.attempt.id:  # Found once is enough, should it take more tries to persist it.
        p.tools.memory.created[p.mr.uid] = (opened.attempt.id, name)
    p.tools.checkpoint("resolve.found")
    told = p.persist_critical(
        attempts.succeeded(name, _not_before(opened, p.tools.wall()))
        | attempts.created(name, p.mr.uid)
        | p.named(name)
        | dict(resolution.annotations),
        attempt_id=opened.attempt.id,
        made=True,
    )
    _settled(p)
    if not told:
        p.unclaim()
        return results.requeue()
    p.tools.checkpoint("resolve.persisted")
    message = f"an interrupted create had made external resource {name}: it is adopted"
    p.tools.announcer.normal(p.mr.obj, "CreatedExternalResource", message)
    p.log.info("resolved an interrupted create", external_name=name, attempt=opened.attempt.id)
    return None


def _missed(p: Pass, opened: OpenAttempt, resolution: Resolution, *, looked_at: datetime) -> Result | None:
    """Count the miss; the second one that comes late enough settles that nothing was made."""
    timings, now = p.tools.timings, looked_at
    memory = p.tools.memory
    # What this process does not know the end of had ended when it was first looked for, since one object is worked on
    # by one worker, and when this process began to lead, whatever another one's clock said.
    known = memory.ended.get(p.mr.uid)
    if known is None or known[0] != opened.attempt.id:
        known = memory.looked.get(p.mr.uid)
    if known is None or known[0] != opened.attempt.id:
        known = memory.looked[p.mr.uid] = (opened.attempt.id, max(p.tools.born(), now))
    ended = known[1]
    certain_at = ended + timedelta(seconds=timings.resolution_delay_seconds)
    if opened.attempt.misses and now >= certain_at:
        p.persist(attempts.failed(_not_before(opened, now)))
        _settled(p)
        message = "an interrupted create was looked for twice and had made nothing"
        p.tools.announcer.normal(p.mr.obj, "CreateNotCarriedOut", f"{message}: {resolution.message}")
        p.log.info("an interrupted create had made nothing", attempt=opened.attempt.id)
        return None
    if not opened.attempt.misses:
        first = attempts.missed(opened, now, ended=opened.attempt.ended)
        p.persist(attempts.still_open(first))
    left = (certain_at - now).total_seconds()
    retry = timings.resolution_retry_seconds
    delay = min(max(left, retry / 5), retry)
    p.set(
        conditions.creating(),
        conditions.reconcile_error(
            "create: its outcome is unknown and nothing was found yet; "
            f"if it stays so it is made again after {meta.to_rfc3339(certain_at)}. {resolution.message}".strip()
        ),
    )
    p.report()
    return results.after(delay)


def _halt(p: Pass, resolution: Resolution) -> Result:
    """Stop as Crossplane does, but look again at every poll: evidence may come, and a human may settle it."""
    message = (
        f"cannot determine creation result: {resolution.message or 'the evidence is ambiguous'} - "
        f"set the annotation {meta.EXTERNAL_NAME} to the id of what was created, or remove the annotation "
        f"{meta.CREATE_PENDING} if it is safe to create it again"
    )
    p.tools.announcer.warning(p.mr.obj, "CannotInitializeManagedResource", message)
    p.set(conditions.creating(), conditions.reconcile_error(message))
    p.report()
    return p.poll()


def create(p: Pass) -> Result | None:
    """Create what does not exist."""
    if p.observed.exists:
        return None
    if not p.mr.policies.creates:
        message = (
            "external resource does not exist, and spec.managementPolicies without Create forbids to make it"
        )
        p.tools.announcer.warning(p.mr.obj, "CannotCreateExternalResource", message)
        p.set(conditions.reconcile_error(message))
        p.report()
        return p.poll()
    if isinstance(p.observed.refusal, Held):
        p.set(conditions.unavailable("it does not exist at Discord any more"))
        raise p.observed.refusal
    p.set(conditions.creating())
    if p.observed.refusal is not None:
        raise p.observed.refusal
    hold_back(p)
    p.check_write()
    attempt = Attempt(id=p.tools.new_id(), started=p.tools.wall(), generation=p.generation)
    p.tools.checkpoint("create.before-pending")
    # A plain PUT: if it succeeds, what this pass decided by was the latest object.
    p.persist(attempts.begun(attempt, replaces=p.mr.external_name))
    p.tools.checkpoint("create.pending")
    p.check_leading()
    creation = _send(p, attempt)
    p.tools.checkpoint("create.sent")
    return _created(p, attempt, creation)


def _send(p: Pass, attempt: Attempt) -> Creation:
    opened = OpenAttempt(attempt=attempt, replaces=p.mr.external_name or "")
    try:
        return p.connected.create(p.mr, attempt)
    except AmbiguousCreate as cause:
        _leave_open(p, opened, cause.ended)
        raise
    except ManagedError as cause:
        note_refusal(p, cause)
        p.tools.memory.failed[p.mr.uid] = attempt.id
        p.persist_critical(attempts.failed(_not_before(opened, p.tools.wall())), attempt_id=attempt.id)
        p.tools.memory.failed.pop(p.mr.uid, None)
        p.tools.checkpoint("create.failed")
        raise
    except Exception:
        # A bug: nobody knows whether it came before or after the request.
        _leave_open(p, opened, p.tools.wall())
        raise


def hold_back(p: Pass) -> None:
    """Spare a poll what was refused a while ago; whatever woke the object otherwise may have changed that."""
    refused = p.tools.memory.refused.get(p.mr.uid)
    if refused is not None and p.priority is Priority.POLL and p.tools.now() < refused.until:
        raise refused.error


def note_refusal(p: Pass, error: ManagedError) -> None:
    """Remember what the provider itself refused, and for how long polls do not send it again: ever longer."""
    memory, uid, timings = p.tools.memory, p.mr.uid, p.tools.timings
    if not isinstance(error, Blocked):
        return
    before = memory.refused.get(uid)
    times = before.times + 1 if before is not None and str(before.error) == str(error) else 1
    wait = min(timings.poll_interval_seconds * (2.0 ** min(times - 1, 32) - 0.5), timings.refused_max_seconds)
    memory.refused[uid] = Refused(
        error=Blocked(str(error), reason=error.reason, field=error.field),
        until=p.tools.now() + wait,
        times=times,
        resource=p.mr.resource,
        key=p.mr.key,
        parent=p.parent,
    )


def _leave_open(p: Pass, opened: OpenAttempt, ended: datetime) -> None:
    """Record when an attempt of unknown outcome ended; if that fails, this process remembers it at least."""
    p.tools.memory.ended[p.mr.uid] = (opened.attempt.id, ended)
    try:
        p.persist_critical(
            attempts.still_open(replace(opened, attempt=replace(opened.attempt, ended=ended))),
            attempt_id=opened.attempt.id,
        )
    except KubeError as cause:
        p.log.warning("could not persist that a create ended without an outcome", cause=str(cause))


def _created(p: Pass, attempt: Attempt, creation: Creation) -> Result:
    name, tools = creation.external_name, p.tools
    tools.memory.created[p.mr.uid] = (attempt.id, name)
    p.claim(name)
    at = max(tools.wall(), attempt.started)
    try:
        told = p.persist_critical(
            attempts.succeeded(name, at)
            | attempts.created(name, p.mr.uid)
            | p.named(name)
            | dict(creation.annotations),
            attempt_id=attempt.id,
            made=True,
        )
    except NotFound as cause:
        if cause.served:
            _nobodys(p, name, cause)
        raise
    if not told:
        _settled(p)
        p.log.warning(
            "somebody else has settled the create meanwhile, and the object is left as it is",
            created=name,
            external_name=meta.annotations_of(p.mr.obj).get(meta.EXTERNAL_NAME, ""),
        )
        p.unclaim()
        return results.requeue()
    tools.checkpoint("create.persisted")
    _settled(p)
    p.publish(creation.connection_details)
    tools.announcer.well(p.mr.uid)
    tools.announcer.normal(p.mr.obj, "CreatedExternalResource", f"created external resource {name}")
    p.log.info("created", external_name=name, attempt=attempt.id)
    p.at_provider = creation.at_provider
    p.set(conditions.creating(), conditions.reconcile_success())
    p.report()
    return results.requeue(anew=True)


def _nobodys(p: Pass, name: str, cause: NotFound) -> None:
    """Tell of what was made for an object that went away meanwhile.

    Our finalizer was on it, so somebody took that off, or lost the API server's data, or the API server deleted it all
    the same; none of these says that it shall be deleted outside, and what seems gone may come back and look for it.
    """
    p.log.warning("created something whose object is gone", external_name=name, cause=str(cause))
    message = (
        f"created external resource {name}, but this object was removed meanwhile without regard to its finalizer: it "
        f"stays as it is and no object stands for it; delete it by hand, or set the annotation {meta.EXTERNAL_NAME}: "
        f'"{name}" on the object that shall have it'
    )
    p.tools.announcer.warning(p.mr.obj, "LeftAlone", message)


def _settled(p: Pass) -> None:
    memory, uid = p.tools.memory, p.mr.uid
    memory.refused.pop(uid, None)
    memory.created.pop(uid, None)
    memory.failed.pop(uid, None)
    memory.ended.pop(uid, None)
    memory.looked.pop(uid, None)


def _not_before(opened: OpenAttempt, at: datetime) -> datetime:
    """Return the time to settle an attempt with: never before it began, whatever the clock does."""
    return max(at, opened.attempt.started)
