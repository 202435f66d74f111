"""The controller: from changes to keys in the queue, and from the queue to passes.

One queue and one set of workers serve all kinds, ProviderConfigs included, so that a burst in one kind is
worked off by all workers and the classes of urgency hold across kinds. Besides an object's own changes, a key is
queued when an object that it refers to gets, changes or loses its external name, when the ProviderConfig that
turned it away has changed, and when an older claim on its external name goes.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import structlog

from provider_discord.kube.errors import KubeError, NotLeading
from provider_discord.kube.resource import Key, Obj, Resource, uid_of
from provider_discord.kube.store import Change, Store
from provider_discord.kube.workqueue import Priority, WorkQueue
from provider_discord.managed import conditions, meta, results
from provider_discord.managed.claims import Claim
from provider_discord.managed.folding import Folding
from provider_discord.managed.pauses import PARENT_INDEX, parents_of
from provider_discord.managed.predicates import is_settled, worth_a_pass
from provider_discord.managed.providerconfig import ProviderConfigs
from provider_discord.managed.reconciler import Reconciler
from provider_discord.managed.references import ReferenceIndex, Referrer
from provider_discord.managed.resource import ManagedResource, config_name_of, external_name_of
from provider_discord.managed.results import Result
from provider_discord.managed.usage import config_of_usage

CONFIG_OF_OBJECT = "managed/config-of-object"

log = structlog.get_logger()


class Item(NamedTuple):
    """What the queue holds: an object of a kind."""

    resource: Resource
    key: Key


class Controller:
    """Feeds the queue and runs the workers."""

    def __init__(
        self,
        *,
        reconciler: Reconciler,
        configs: ProviderConfigs,
        config_store: Store,
        usage_resource: Resource,
        usage_store: Store,
        queue: WorkQueue[Item],
        workers: int,
    ) -> None:
        self._reconciler = reconciler
        self._tools = reconciler.tools
        self._timings = self._tools.timings
        self._configs = configs
        self._queue = queue
        self._workers = workers
        self._usage_resource = usage_resource
        self._stores: Mapping[Resource, Store] = {
            **self._tools.stores,
            configs.resource: config_store,
            usage_resource: usage_store,
        }
        self._index = ReferenceIndex(self._tools.kinds)
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._active: Counter[Resource] = Counter()
        self._lock = threading.Lock()
        self._folding = Folding(every_seconds=self._timings.log_fold_seconds)
        for store in self._tools.stores.values():
            store.add_index(CONFIG_OF_OBJECT, lambda obj: (config_name_of(obj),))
        for resource, kind in self._tools.kinds.items():
            if kind.parent is not None:
                self._tools.stores[resource].add_index(PARENT_INDEX, partial(parents_of, kind.parent))
        configs.wake.objects = self._wake
        configs.wake.users = self._wake_users
        configs.wake.config = self._wake_config

    # What reflectors call.

    def handler(self, resource: Resource) -> Callable[[Change], None]:
        """Return what a reflector of this kind shall call for every change."""
        if resource == self._configs.resource:
            return self._config_changed
        if resource == self._usage_resource:
            return self._usage_changed
        return lambda change: self._object_changed(resource, change)

    def enqueue(self, resource: Resource, key: Key, *, priority: Priority = Priority.RETRY) -> None:
        """Queue a pass over an object, now."""
        self._queue.add(Item(resource, key), priority=priority)

    def parent_changed(self, name: str) -> None:
        """Take note that something about an external resource has changed: what was refused inside of it may go now."""
        for refused in list(self._tools.memory.refused.values()):
            if refused.parent == name:
                self.enqueue(refused.resource, refused.key)

    @property
    def synced(self) -> bool:
        """Tell whether every kind has been listed."""
        return all(store.has_synced for store in self._stores.values())

    # Running.

    def start(self) -> None:
        """Start the workers. They take nothing while `may_write` says no."""
        for number in range(self._workers):
            thread = threading.Thread(target=self._work, name=f"worker-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, grace_seconds: float | None = None) -> bool:
        """Let running passes finish; return whether all did within the grace."""
        grace = self._timings.stop_grace_seconds if grace_seconds is None else grace_seconds
        self._stopping.set()
        self._queue.shutdown()
        deadline = time.monotonic() + grace
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        left = [thread.name for thread in self._threads if thread.is_alive()]
        if left:
            log.warning("passes did not finish in time", workers=left, grace_seconds=grace)
        return not left

    def step(self) -> bool:
        """Work on one key that is due, if any; for tests and single-threaded use."""
        work = self._queue.get(timeout=0)
        if work is None:
            return False
        self._work_on(work.key, work.priority)
        return True

    def _work(self) -> None:
        """Work until the end. Whatever goes wrong on the way, a worker that dies is a worker fewer for everybody."""
        while not self._stopping.is_set():
            try:
                self._work_once()
            except Exception as error:  # about no object; what is about one ends in `_work_on`
                others = self._folding.due(type(error).__name__, now=time.monotonic())
                if others is not None:
                    log.exception("internal error", others=others)
                self._stopping.wait(self._timings.leader_check_seconds)

    def _work_once(self) -> None:
        if not self._tools.may_write():
            self._stopping.wait(self._timings.leader_check_seconds)
            return
        work = self._queue.get(timeout=self._timings.leader_check_seconds)
        if work is not None:
            self._work_on(work.key, work.priority)

    def _work_on(self, item: Item, priority: Priority) -> None:
        """Work on one key and give it back; one that an error got lost over comes again after its backoff."""
        try:
            with self._counted(item.resource):
                self._finish(item, self._process(item, priority))
        except Exception as error:  # noqa: BLE001 - a bug outside of any step, and the key must not get lost over it
            self._queue.add_rate_limited(item, priority=Priority.RETRY)
            self._panicked(item, error)
        finally:
            self._queue.done(item)

    def _process(self, item: Item, priority: Priority) -> Result:
        began = self._tools.now()
        try:
            if item.resource == self._configs.resource:
                result = self._config_pass(item.key.name)
            else:
                with structlog.contextvars.bound_contextvars(
                    kind=item.resource.kind, namespace=item.key.namespace, name=item.key.name
                ):
                    result = self._reconciler.reconcile(item.resource, item.key, priority)
        except Exception as error:  # noqa: BLE001 - counts as a pass that failed, like any other
            result = self._panicked(item, error)
        took = self._tools.now() - began
        self._tools.metrics.reconciled(item.resource, result.outcome, seconds=took)
        if result.settled:
            self._tools.metrics.settled(item.resource, item.key, next_seconds=result.requeue_after_seconds)
        if took > self._timings.pass_deadline_seconds:
            self._tools.metrics.timed_out(item.resource)
        return result

    def _config_pass(self, name: str) -> Result:
        if not self._tools.may_write():
            return results.after(self._timings.settle_seconds)
        if not self._stores[self._configs.resource].has_synced:
            return results.requeue()
        try:
            result = self._configs.reconcile(name)
        except NotLeading:
            return results.after(self._timings.settle_seconds)
        except KubeError as cause:
            log.warning("could not look after a provider config", config=name, cause=str(cause))
            return results.failed()
        state = self._configs.states().get(name)
        self._tools.metrics.token(name, valid=None if state is None else state.connected)
        return result

    def _panicked(self, item: Item, error: Exception) -> Result:
        who = {"kind": item.resource.kind, "namespace": item.key.namespace or None, "name": item.key.name}
        log.error("internal error", **who, traceback=_traceback(error))
        self._tools.metrics.panicked(item.resource)
        return results.failed()

    def _finish(self, item: Item, result: Result) -> None:
        if result.forget:
            self._queue.forget(item)
        if result.rate_limited:
            self._queue.add_rate_limited(item, priority=result.priority)
        elif result.requeue_after_seconds is not None:
            self._queue.add_after(item, result.requeue_after_seconds, priority=result.priority)

    @contextmanager
    def _counted(self, resource: Resource) -> Iterator[None]:
        """Count a worker as active."""
        try:
            self._count(resource, 1)
            yield
        finally:
            self._count(resource, -1)

    def _count(self, resource: Resource, change: int) -> None:
        with self._lock:
            self._active[resource] += change
            active = self._active[resource]
        self._tools.metrics.active_workers(resource, active)

    # Changes.

    def _object_changed(self, resource: Resource, change: Change) -> None:
        key, old, new = change.key, change.old, change.new
        if old is not None and new is not None and uid_of(old) != uid_of(new):
            # Deleted and made anew between two lists.
            self._reconciler.forget(uid_of(old))
            _, freed = self._tools.claims.release(resource.kind, key)
            self._wake(Referrer(resource, claim.key) for claim in freed)
            old = None
        self._index.update(resource, key, new)
        self._follow_claims(resource, key, old, new)
        if not change.initial:
            self._wake_referrers(resource, key, old, new)
            self._wake_inside(resource, key, old, new)
        metrics = self._tools.metrics
        if new is None:
            metrics.forgotten(resource, key)
            if old is not None:
                self._reconciler.forget(uid_of(old))
                self._wake_config(config_name_of(old), delay=self._timings.usage_settle_seconds)
        else:
            self._tell_state(resource, key, new)
        item = Item(resource, key)
        if change.initial and new is not None:
            if is_settled(new):
                spread = self._timings.initial_spread * self._timings.poll_interval_seconds
                self._queue.add_after(item, self._tools.rand() * spread, priority=Priority.POLL)
            else:
                self._queue.add(item, priority=Priority.RETRY)
        elif worth_a_pass(old, new):
            self._queue.add(item, priority=Priority.CHANGE)

    def _tell_state(self, resource: Resource, key: Key, obj: Obj) -> None:
        given = (obj.get("status") or {}).get("conditions")
        if not given:
            return
        possible = self._tools.kinds[resource].is_external_name
        synced = conditions.find(given, conditions.SYNCED)
        self._tools.metrics.state(
            resource,
            key,
            exists=external_name_of(obj, possible) is not None,
            ready=conditions.find(given, conditions.READY).get("status") == "True",
            synced=synced.get("status") == "True",
            paused=synced.get("reason") == conditions.reconcile_paused().reason,
            held=synced.get("reason") == conditions.held_back("").reason,
        )

    def _follow_claims(self, resource: Resource, key: Key, old: Obj | None, new: Obj | None) -> None:
        """Follow what people write into the annotation. What we adopt and create we claim ourselves, earlier."""
        possible = self._tools.kinds[resource].is_external_name
        before = external_name_of(old, possible) if old is not None else None
        name = external_name_of(new, possible) if new is not None else None
        if before == name and old is not None and new is not None:
            return
        if old is not None:
            self._tools.memory.disowned.pop(uid_of(old), None)
        freed: list[Claim] = []
        if name is None:
            if before is not None or new is None:
                _, freed = self._tools.claims.release(resource.kind, key)
        elif new is not None:
            mr = ManagedResource.of(resource, new, possible=possible)
            self._tools.claims.register(name, self._tools.claim_of(mr))
            if before is not None:
                freed = self._tools.claims.claimants(resource.kind, before)
        for claim in freed:
            self._queue.add(Item(resource, claim.key), priority=Priority.RETRY)

    def _wake_referrers(self, resource: Resource, key: Key, old: Obj | None, new: Obj | None) -> None:
        kind = self._tools.kinds[resource]

        def seen(obj: Obj | None) -> tuple[Any, ...]:
            shown = ((obj or {}).get("status") or {}).get("atProvider") or {}
            concerns = [shown.get(field) for field in kind.concerns_referrers]
            if obj is None:
                return None, {}, concerns
            return external_name_of(obj, kind.is_external_name), meta.labels_of(obj), concerns

        if seen(old) != seen(new):
            self._wake(self._index.referrers(resource, key))

    def _wake_inside(self, resource: Resource, key: Key, old: Obj | None, new: Obj | None) -> None:
        """Wake what is inside of an object that was paused, is no longer, or pauses something else now."""
        possible = self._tools.kinds[resource].is_external_name
        stops = [
            external_name_of(obj, possible) or "" if obj is not None and meta.is_paused(obj) else None
            for obj in (old, new)
        ]
        if stops[0] == stops[1]:
            return
        self._wake(self._index.referrers(resource, key))
        for name in filter(None, stops):
            for kind in self._tools.kinds.values():
                if kind.parent is not None and kind.parent.target == resource:
                    inside = self._tools.stores[kind.resource].by_index(PARENT_INDEX, name)
                    self._wake(Referrer(kind.resource, of) for of in inside)

    def _config_changed(self, change: Change) -> None:
        release = [meta.annotations_of(obj or {}).get(meta.RELEASE_HOLD) for obj in (change.old, change.new)]
        paused = [obj is not None and meta.is_paused(obj) for obj in (change.old, change.new)]
        if (release[0] != release[1] or paused[0] != paused[1]) and not change.initial:
            self._wake_users(change.key.name)
        if change.initial or worth_a_pass(change.old, change.new):
            self._wake_config(change.key.name)

    def _usage_changed(self, change: Change) -> None:
        if change.initial:
            return
        before = config_of_usage(change.old) if change.old is not None else ""
        after = config_of_usage(change.new) if change.new is not None else ""
        if before != after:
            for name in filter(None, (before, after)):
                self._wake_config(name, delay=self._timings.usage_settle_seconds)

    # Waking.

    def _wake(self, who: Iterable[Referrer]) -> None:
        for referrer in who:
            self._queue.add(Item(referrer.resource, referrer.key), priority=Priority.RETRY)

    def _wake_users(self, config: str) -> None:
        for resource, store in self._tools.stores.items():
            for key in store.by_index(CONFIG_OF_OBJECT, config):
                self._queue.add(Item(resource, key), priority=Priority.RETRY)

    def _wake_config(self, name: str, delay: float = 0.0) -> None:
        item = Item(self._configs.resource, Key("", name))
        self._queue.add_after(item, delay, priority=Priority.RETRY if delay else Priority.CHANGE)


def _traceback(error: Exception) -> str:
    """Return the traceback without local variables, which may hold a token; the log blanks what messages hold."""
    return "".join(traceback.format_exception(error))
