"""Keeps a `Store` the same as the API server: list once, then watch for ever.

The list is read in pages, so that a big one does not hold up the workers; the watch goes on where the list was
taken, and after every break where it was: each event and bookmark carries the version to go on from. Only when
the API server no longer has that version (410, over HTTP or within the stream) everything is listed again, and
what the new list lacks was deleted meanwhile.

Whatever goes wrong is said once (again when it changes, or lasts), kept in `last_error` and tried again with
jittered backoff: an API server that is down, a role that is missing. Nothing ends the loop but `stop`, and one
kind's trouble is none of the others'.

The store says that it is synced only as long as it may be acted by: not while the kind is not served (its CRD is not
installed, or was removed; it is waited for), and not from `renew` until everything has been listed again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog

from provider_discord.kube.access import Event, EventType, ObjectAccess, Watch
from provider_discord.kube.backoff import Backoff
from provider_discord.kube.complaints import Complaints
from provider_discord.kube.definitions import Definitions
from provider_discord.kube.errors import (
    ApiError,
    Forbidden,
    Gone,
    KubeError,
    MalformedResponse,
    NotFound,
    Unreachable,
)
from provider_discord.kube.resource import Key, Resource, key_of
from provider_discord.kube.store import Change, Store
from provider_discord.kube.timings import KubeTimings

if TYPE_CHECKING:
    from provider_discord.telemetry.metrics import Metrics

__all__ = ["Change", "Handler", "Reflector"]

Handler = Callable[[Change], None]
"""Told of every change, in order, from the reflector's own thread; it should only queue work."""

_REFUSALS_BEFORE_RELIST = 3


class Reflector:
    """One kind's list and watch, in a thread of its own.

    Attributes:
        synced: set once the first list is in the store and the handler has been told of all of it; for good.
    """

    def __init__(
        self,
        access: ObjectAccess,
        resource: Resource,
        store: Store,
        *,
        handler: Handler,
        timings: KubeTimings,
        now: Callable[[], float],
        rand: Callable[[], float],
        log: Any = None,
        namespace: str | None = None,
        metrics: Metrics | None = None,
        definitions: Definitions | None = None,
    ) -> None:
        """Make one; `start` starts it.

        Args:
            access: the API server.
            resource: the kind to follow.
            store: where it is kept.
            handler: told of every change; what it raises is logged.
            timings: this room's constants.
            now: monotonic seconds.
            rand: uniform in [0, 1).
            log: a structlog logger.
            namespace: follow only this namespace.
            metrics: where lists and errors are counted.
            definitions: how to wait for the kind's CRD; without, a kind that is not served is asked for again.
        """
        self.synced = threading.Event()
        self._access = access
        self._resource = resource
        self._store = store
        self._handler = handler
        self._timings = timings
        self._now = now
        self._rand = rand
        self._namespace = namespace
        self._metrics = metrics
        self._definitions = definitions
        self._log = (log or structlog.get_logger()).bind(resource=str(resource))
        self._complaints = Complaints(self._log, now=now, repeat_seconds=timings.reflector_repeat_log_seconds)
        self._backoff = Backoff(
            minimum=timings.reflector_backoff_min_seconds,
            maximum=timings.reflector_backoff_max_seconds,
            rand=rand,
        )
        self._stopping = threading.Event()
        self._nudge = threading.Event()
        """Ends a pause before its time."""
        self._lock = threading.Lock()
        self._watch: Watch | None = None
        self._wanted = 0
        """How often a new list was asked for."""
        self._thread = threading.Thread(target=self._run, name=f"reflector-{resource.plural}", daemon=True)
        self._last_error: KubeError | None = None
        self._missing = False
        # Of the loop's thread alone:
        self._version: str | None = None
        """Where the watch goes on; None: list first."""
        self._listed = 0
        """The last list was begun after so many requests for a new one."""
        self._highest = 0
        self._refusals = 0

    @property
    def resource(self) -> Resource:
        """The kind that is followed."""
        return self._resource

    @property
    def last_error(self) -> KubeError | None:
        """What is wrong now; None as soon as a list or watch works again."""
        return self._last_error

    @property
    def missing(self) -> bool:
        """Whether the kind is not served now: its CRD is not there, or not established."""
        return self._missing

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def renew(self) -> None:
        """Let nobody act by the store until everything has been listed again, which begins at once.

        For who may have been cut off without knowing: a watch that told nothing may have had nothing to tell, or may
        have been dead for minutes.
        """
        with self._lock:
            if not self.synced.is_set():
                return  # The first list is under way, or still to be begun.
            self._wanted += 1
            self._store.suspend()
            watch = self._watch
        self._nudge.set()
        if watch is not None:
            watch.close()

    def stop(self, timeout: float = 2.0) -> None:
        """End, and wait up to `timeout` seconds for the thread; one that still waits for an answer is left behind."""
        self._stopping.set()
        self._nudge.set()
        with self._lock:
            watch = self._watch
        if watch is not None:
            watch.close()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._version is None or self._outdated():
                    self._list()
                self._follow()
            except Exception as error:  # noqa: BLE001 - this thread is all that keeps the cache true
                if self._stopping.is_set():
                    return
                wait = self._failed(error)
                if not (self._missing and self._appeared()):
                    self._pause(wait)

    def _pause(self, seconds: float) -> None:
        self._nudge.wait(seconds)
        self._nudge.clear()

    def _outdated(self) -> bool:
        with self._lock:
            return self._wanted != self._listed

    def _running(self, watch: Watch | None) -> None:
        """Note which watch others have to close to be heard; close it if they have spoken already."""
        with self._lock:
            self._watch = watch
            unwanted = self._stopping.is_set() or self._wanted != self._listed
        if watch is not None and unwanted:
            watch.close()

    def _appeared(self) -> bool:
        """Wait for the kind's CRD, where that is possible; return whether it has come."""
        if self._definitions is None:
            return False
        try:
            return self._definitions.until_served(self._resource, opened=self._running)
        except KubeError as error:
            self._log.debug("the kind's CRD could not be watched", error=str(error))
            return False

    # Listing.

    def _list(self) -> None:
        """Bring the store up to date by a complete list.

        The pages of one list show the same moment. If the token for the next page grows too old meanwhile
        (`Gone`), the next round lists from the start; what was taken in is right and stays.
        """
        initial = not (self.synced.is_set() or self._store.has_synced)
        with self._lock:
            wanted = self._wanted
        keys: set[Key] = set()
        token = ""
        first = True
        while not self._stopping.is_set():
            page = self._access.list_page(
                self._resource,
                namespace=self._namespace,
                limit=self._timings.list_page_size,
                continue_token=token,
            )
            version = int(page.resource_version) if page.resource_version.isdigit() else 0
            if first:
                first = False
                if version < self._highest:
                    self._log.warning(
                        "the API server's versions went back, as after a restore from a backup",
                        version=version,
                        before=self._highest,
                    )
                    self._store.rewind()
                self._highest = version
            for obj in page.items:
                keys.add(key_of(obj))
                self._tell(self._store.put(obj, initial=initial))
            token = page.continue_token
            if not token:
                break
        else:
            return
        for change in self._store.retain(keys, resource_version=version):
            self._tell(change)
        self._version = page.resource_version
        with self._lock:
            self._listed = wanted
            if wanted == self._wanted:
                self._store.mark_synced()
        self._missing = False
        if self._metrics is not None:
            self._metrics.reflector_lists.labels(kind=self._resource.kind).inc()
        if initial:
            self._log.debug("the cache is complete", objects=len(keys))
        self.synced.set()

    # Watching.

    def _follow(self) -> None:
        """Run one watch until it ends."""
        timings = self._timings
        spread = timings.watch_timeout_max_seconds - timings.watch_timeout_min_seconds
        timeout = timings.watch_timeout_min_seconds + self._rand() * spread
        version = self._version
        if version is None or self._stopping.is_set():
            return
        started = self._now()
        told = False
        broken: Unreachable | None = None
        try:
            watch = self._access.watch(
                self._resource,
                resource_version=version,
                timeout_seconds=timeout,
                namespace=self._namespace,
            )
            self._running(watch)
            self._note(None)
            for event in watch:
                if not told:
                    told = True
                    self._succeeded()
                self._take(event)
                if self._stopping.is_set():
                    return
        except Unreachable as error:
            broken = error
        finally:
            self._running(None)
        if not self._stopping.is_set() and not self._outdated():
            self._ended(lived=self._now() - started, told=told, broken=broken)

    def _ended(self, *, lived: float, told: bool, broken: Unreachable | None) -> None:
        """See whether that was the normal end of a watch.

        It was if the watch lived for a while: the server ends it after its time, a connection breaks or is silent
        for too long (dead, or of a kind to which nobody writes). Then the next one follows at once; else not, or
        a proxy that ends every watch would be asked as fast as it answers.
        """
        if lived >= self._timings.watch_healthy_seconds:
            self._succeeded()
            if not told:
                self._check_version()
            if broken:
                self._log.debug("a watch broke off and is made anew", seconds=round(lived), error=str(broken))
        elif told:
            self._pause(self._timings.reflector_backoff_min_seconds)
        else:
            msg = f"the watch on {self._resource} was ended at once"
            raise broken or Unreachable(msg)

    def _check_version(self) -> None:
        """See whether the API server has come to our version at all; if not, list everything again.

        After a restore from a backup its versions are behind ours. It then takes our watch, silently leaves out
        everything up to our version, and the cache would be wrong for days. A watch that told nothing, not even by
        a bookmark, may be such a one.
        """
        page = self._access.list_page(self._resource, namespace=self._namespace, limit=1)
        if page.resource_version.isdigit() and int(page.resource_version) < self._highest:
            self._version = None

    def _take(self, event: Event) -> None:
        version = event.obj.get("metadata", {}).get("resourceVersion")
        if not version:
            msg = f"an event of the watch on {self._resource} has no resourceVersion"
            raise MalformedResponse(msg)
        if event.type is EventType.DELETED:
            self._tell(self._store.remove(event.obj))
        elif event.type is not EventType.BOOKMARK:
            self._tell(self._store.put(event.obj))
        self._version = version
        if version.isdigit():
            self._highest = max(self._highest, int(version))

    def _tell(self, change: Change | None) -> None:
        if change is None:
            return
        try:
            self._handler(change)
        except Exception:  # noqa: BLE001 - one object that a handler can't take must not stop the others
            self._log.exception(
                "the handler of a change failed", namespace=change.key.namespace, name=change.key.name
            )

    # What works and what does not.

    def _succeeded(self) -> None:
        self._backoff.reset()
        self._refusals = 0
        self._note(None)
        self._complaints.over()

    def _failed(self, error: Exception) -> float:
        """Note what went wrong; return how long to wait."""
        if not isinstance(error, KubeError):
            self._log.error("list and watch failed unexpectedly", exc_info=error)
            self._version = None
            error = KubeError(f"list and watch of {self._resource} failed unexpectedly: {error!r}")
        if isinstance(error, Gone):
            # The normal fate of a watch that was cut off for long.
            self._log.debug("the version to go on from is too old; everything is listed again")
            self._version = None
            return self._backoff.next()
        if isinstance(error, MalformedResponse):
            self._version = None
        if isinstance(error, ApiError):
            # For example "too large resource version", when the API server was restored from a backup.
            self._refusals += 1
            if self._refusals >= _REFUSALS_BEFORE_RELIST:
                self._version = None
        self._missing = isinstance(error, NotFound)
        if isinstance(error, (NotFound, Forbidden)):
            # By what the store has of a kind that is no more, or that we may see no more, nobody may act.
            self._version = None
            self._store.suspend()
            with self._lock:
                self._listed = self._wanted  # The next list is a new one in any case.
        self._note(error)
        self._complaints.say(error)
        wait = self._backoff.next(
            maximum=self._timings.reflector_missing_backoff_max_seconds if self._missing else None
        )
        asked = min(error.retry_after or 0.0, self._timings.retry_after_max_seconds)
        return max(wait, asked)

    def _note(self, error: KubeError | None) -> None:
        self._last_error = error
        if self._metrics is None:
            return
        kind = self._resource.kind
        self._metrics.watching(kind, works=None if self._missing else error is None)
        if error is not None:
            told = isinstance(error, ApiError) and (error.reason or str(error.status))
            self._metrics.reflector_errors.labels(kind=kind, reason=told or type(error).__name__).inc()
