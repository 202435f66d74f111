"""The managed reconciler: Crossplane's algorithm as a list of steps.

Each step is a function of the pass that returns a `Result` to end it or None to go on, and raises what it
cannot handle. `STEPS` gives their order; what an error of a step means (event, condition, when to look again) is
decided in one place, `Reconciler._failed`. A pass never sleeps: a wait is a result.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from provider_discord.kube.errors import Conflict, KubeError, NotFound, NotLeading, Unreachable
from provider_discord.kube.resource import Key, Resource, uid_of
from provider_discord.kube.workqueue import Priority
from provider_discord.managed import (
    conditions,
    results,
    steps_before,
    steps_create,
    steps_finish,
    steps_observe,
)
from provider_discord.managed.errors import (
    Blocked,
    Held,
    ManagedError,
    NotConnected,
    NotPublished,
    Paused,
    Starting,
    Waiting,
)
from provider_discord.managed.folding import Folding
from provider_discord.managed.reconcile_pass import LeadershipLost, Pass
from provider_discord.managed.references import Referrer
from provider_discord.managed.resource import ManagedResource
from provider_discord.managed.results import Outcome, Result
from provider_discord.managed.tools import Tools

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Step:
    """One step, and how its failure is told: the event's reason, and what the message begins with.

    With `own_writes`, what the API server refuses is a write of the object itself, and is told as such.
    """

    run: Callable[[Pass], Result | None]
    reason: str = "CannotUpdateManagedResource"
    prefix: str = ""
    own_writes: bool = True

    @property
    def name(self) -> str:
        """The function's name."""
        return self.run.__name__


STEPS: tuple[Step, ...] = (
    Step(steps_before.paused),
    Step(steps_before.paused_above),
    Step(steps_before.requested),
    Step(steps_before.policies),
    Step(steps_before.orphaned),
    Step(steps_before.swept_away, "CannotDeleteExternalResource", "delete failed", own_writes=False),
    Step(steps_before.claim, "ExternalNameInUse"),
    Step(steps_before.references, "CannotResolveResourceReferences"),
    Step(steps_before.connect, "CannotConnectToProvider", "connect failed", own_writes=False),
    Step(
        steps_create.unsettled_create,
        "CannotInitializeManagedResource",
        "create: cannot determine its result",
    ),
    Step(steps_observe.observe, "CannotObserveExternalResource", "observe failed"),
    Step(steps_observe.absent_observe_only, "CannotObserveExternalResource"),
    Step(steps_observe.creation_grace),
    Step(steps_finish.deletion, "CannotDeleteExternalResource", "delete failed"),
    Step(steps_observe.publish),
    Step(steps_observe.metadata),
    Step(steps_create.create, "CannotCreateExternalResource", "create failed"),
    Step(steps_finish.up_to_date),
    Step(steps_finish.not_updated),
    Step(steps_finish.update, "CannotUpdateExternalResource", "update failed"),
)

# What fails within another step, and is told as what it is.
_PUBLISHING = Step(steps_observe.publish, "CannotPublishConnectionDetails", "publish failed")
_WRITING = Step(steps_observe.metadata, "CannotUpdateManagedResource", "cannot update managed resource")


class Reconciler:
    """Makes passes over managed objects. Thread-safe, as long as one key is worked on by one thread."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self._folding = Folding(every_seconds=tools.timings.log_fold_seconds)

    def reconcile(self, resource: Resource, key: Key, priority: Priority) -> Result:
        """Make one pass over an object and return what to do next. Raises no `Exception`."""
        tools = self.tools
        kind, store = tools.kinds[resource], tools.stores[resource]
        if not tools.may_write():
            return results.after(tools.timings.settle_seconds)
        obj = store.get(key)
        if obj is None:
            return results.forget()  # Should it come yet, its coming queues it.
        if not store.has_synced:
            return results.requeue()
        mr = ManagedResource.of(resource, obj, possible=kind.is_external_name)
        p = Pass(tools=tools, kind=kind, mr=mr, priority=priority)
        result = self._run(p)
        self._tidy(p)
        return result

    def forget(self, uid: str) -> None:
        """Drop what is remembered of an object that is gone."""
        self.tools.memory.forget(uid)
        self.tools.announcer.forget(uid)

    def _run(self, p: Pass) -> Result:
        for step in STEPS:
            try:
                result = step.run(p)
            except Exception as error:  # noqa: BLE001 - `_failed` tells what it was, and one object's bug is one object's
                return self._failed(p, step, error)
            if result is not None:
                return result
        return p.poll()

    def _tidy(self, p: Pass) -> None:
        """Leave nothing behind of an object whose end was taken in before its pass had written down what it did.

        A claim of nobody's would keep what it is about from everybody.
        """
        tools, mr = self.tools, p.mr
        now = tools.stores[mr.resource].get(mr.key)
        if now is not None and uid_of(now) == mr.uid:
            return
        self.forget(mr.uid)
        _, others = tools.claims.release(mr.kind, mr.key)
        if now is not None:
            successor = ManagedResource.of(mr.resource, now, possible=p.kind.is_external_name)
            if successor.external_name is not None:
                tools.claims.register(successor.external_name, tools.claim_of(successor))
        tools.configs.wake.objects(Referrer(mr.resource, claim.key) for claim in others)

    def _failed(self, p: Pass, step: Step, error: Exception) -> Result:
        """Tell what went wrong and decide when to look again."""
        match error:
            case LeadershipLost() | NotLeading() | Starting():
                return results.after(p.tools.timings.settle_seconds)
            case Conflict() | NotFound(served=True):
                # Somebody was faster: the watch brings the object as it is now, or its end.
                return results.requeue()
            case Paused():
                p.tools.announcer.notice(p.mr.obj, "ReconciliationPaused", str(error))
                p.set(conditions.reconcile_paused(str(error)))
                return self._reported(p, p.poll())
            case Held():
                # Told by the guild, once: as many events as objects would help nobody in the middle of a raid.
                p.set(
                    conditions.held_back(str(error)), conditions.held(error.cause, error.told or str(error))
                )
                return self._reported(p, p.poll())
            case Blocked():
                p.disown(error)
                return self._say(p, step, error, reason=error.reason, then=p.poll())
            case Waiting() if error.quiet and _goes_without_saying(p, error):
                return self._reported(p, _wait(p, error.retry_after))
            case Waiting():
                reason = "" if error.quiet else step.reason
                return self._say(p, step, error, reason=reason, then=_wait(p, error.retry_after))
            case NotConnected():
                p.tools.configs.suspect(p.mr.config_name)
                # Who lost the connection in the middle of a pass goes back to the gate soon: whoever waits there
                # is woken when the config is well again.
                patient = p.external is None and error.retry_after is None
                # It is not looked at all that time, and must not pass for an object that has been.
                then = replace(p.poll(), outcome=Outcome.ERROR) if patient else _wait(p, error.retry_after)
                return self._say(p, step, error, reason="CannotConnectToProvider", then=then)
            case Unreachable():
                # The status cannot be written either.
                self._tell_trouble(p, "the API server cannot be reached", error)
                return _retry(error)
            case NotPublished():
                then = p.poll() if isinstance(error.cause, Blocked) else _retry(error.cause)
                return self._say(p, _PUBLISHING, error, reason=_PUBLISHING.reason, then=then)
            case ManagedError() | KubeError():
                told = _WRITING if isinstance(error, KubeError) and step.own_writes else step
                return self._say(p, told, error, reason=told.reason, then=_retry(error))
            case _:
                return self._panicked(p, step, error)

    def _say(self, p: Pass, step: Step, error: Exception, *, reason: str, then: Result) -> Result:
        message = f"{step.prefix}: {error}" if step.prefix else str(error)
        if reason:
            p.tools.announcer.warning(p.mr.obj, reason, message)
        p.set(conditions.reconcile_error(message))
        return self._reported(p, then)

    def _panicked(self, p: Pass, step: Step, error: Exception) -> Result:
        """Tell a bug: the traceback in the log, one line in the condition; then back off."""
        p.tools.metrics.panicked(p.mr.resource)
        p.log.error("internal error", step=step.name, traceback="".join(traceback.format_exception(error)))
        message = (
            f"internal error in {step.name} ({type(error).__name__}): this is a bug of the provider; "
            "its log has the details"
        )
        p.tools.announcer.warning(p.mr.obj, "InternalError", message)
        p.set(conditions.reconcile_error(message))
        return self._reported(p, results.failed())

    def _tell_trouble(self, p: Pass, what: str, cause: Exception) -> None:
        """Log trouble of the API server's once in a while, and not for each object and try."""
        others = self._folding.due(what, now=p.tools.now())
        if others is not None:
            p.log.warning(what, cause=str(cause), others=others)

    def _reported(self, p: Pass, then: Result) -> Result:
        """Write the status; if that fails, look again soon whatever else was decided."""
        try:
            p.report()
        except (Conflict, NotFound):
            return results.requeue()
        except LeadershipLost:
            return results.after(p.tools.timings.settle_seconds)
        except KubeError as cause:
            self._tell_trouble(p, "could not write the status", cause)
            return _retry(cause)
        return then


def _goes_without_saying(p: Pass, error: Waiting) -> bool:
    """Tell whether an object that waits for a limit, say, is still what its conditions tell.

    Waiting to be looked at does not make untrue what was true at the last look, unless there will be none for longer
    than a poll. What was found to differ and can't be put right soon, or nobody knows when, is no longer synced.
    """
    t = p.tools.timings
    if p.observation is None:
        soon = (error.retry_after or 0.0) <= t.poll_interval_seconds
    else:
        soon = error.retry_after is not None and error.retry_after <= t.quiet_wait_seconds
    return soon and p.mr.synced_generation == p.generation


def _wait(p: Pass, retry_after: float | None) -> Result:
    """Return when to look again; at the latest with a poll, since what has to wait may be one field of many."""
    if retry_after is None:
        return results.requeue()
    return p.poll() if retry_after > p.tools.timings.poll_interval_seconds else results.after(retry_after)


def _retry(error: ManagedError | KubeError) -> Result:
    """Return when to try again, and how urgently.

    Trouble of the API server's must cost nothing outside: these tries may be as many as they like, they look at
    what a poll would look at, which is read once a poll.
    """
    priority = Priority.POLL if isinstance(error, KubeError) else Priority.RETRY
    if error.retry_after is None:
        return results.failed(priority=priority)
    return results.after(error.retry_after, failed=True, priority=priority)
