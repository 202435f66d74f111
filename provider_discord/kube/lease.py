"""Leader election: of several copies of this program only the holder of a Lease works.

The rules are client-go's (`tools/leaderelection`). The clocks of two machines are never compared: a lease that
another holds counts as expired when *we* have seen it unchanged for its whole duration, on our own monotonic
clock. And the holder stops by itself: `holds` is false from the renew deadline on, counted from the moment at
which the last successful renewal was *sent*. No thread has to run for that, so it is true also after the
process was stopped (SIGSTOP, a frozen node) and woke up again, before anything else has happened.

Each time that we begin to lead is a term of its own, and `LeaderElector.holds` is true only after `on_started` has
returned for it: whoever must look at the world anew first, does so there.

A deadline that passed is not the end: the elector says so (`on_stopped`) and tries to lead again, so that an API
server that was away for a while needs no restart of ours. A holder that finds its own name in the lease, after a
restart of its container, takes it back at once.
"""

from __future__ import annotations

import copy
import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

import structlog

from provider_discord.kube.access import ObjectAccess
from provider_discord.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from provider_discord.kube.resource import Key, Obj, Resource
from provider_discord.kube.timings import KubeTimings

if TYPE_CHECKING:
    from provider_discord.telemetry.metrics import Metrics

__all__ = ["LEASES", "LeaderElector", "LeaseCore", "Move", "Verb", "lease_clock"]

LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", namespaced=True)


def lease_clock() -> float:
    """Return seconds that also pass while the machine is suspended, unlike `time.monotonic`'s on Linux.

    A lease runs out for the others in that time as well. Where there is no such clock, the monotonic one.
    """
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


class Verb(Enum):
    """What to do next about the lease."""

    READ = "read"
    CREATE = "create"
    REPLACE = "replace"
    WAIT = "wait"
    """Another holds it."""


@dataclass(frozen=True, slots=True)
class Move:
    """A verb, and the lease to send with it."""

    verb: Verb
    lease: Obj = field(default_factory=dict)


class LeaseCore:
    """The decisions. Not thread-safe but for `holds`. Instants are monotonic seconds, `wall` is aware UTC."""

    def __init__(
        self,
        *,
        key: Key,
        identity: str,
        duration_seconds: float,
        renew_deadline_seconds: float,
    ) -> None:
        if renew_deadline_seconds >= duration_seconds:
            msg = (
                f"the renew deadline ({renew_deadline_seconds} s) must be shorter than the lease "
                f"({duration_seconds} s), or two copies could lead at once"
            )
            raise ValueError(msg)
        if not identity:
            msg = "the identity of a lease's holder must not be empty: that means that nobody holds it"
            raise ValueError(msg)
        self._key = key
        self._identity = identity
        self._duration = duration_seconds
        self._renew_deadline = renew_deadline_seconds
        self._lease: Obj | None = None
        """As last read or written; None: it does not exist, or nothing is known yet."""
        self._seen_at = 0.0
        """When its content was first seen as it is."""
        self._fresh = False
        """Whether the next move may be made by what is known, without reading first."""
        self._held_until = float("-inf")
        self._term = 0

    def holds(self, now: float) -> bool:
        """Tell whether we lead now, and may begin something."""
        return now < self._held_until

    @property
    def term(self) -> int:
        """How often we have begun to lead: another one than before means that somebody else may have in between."""
        return self._term

    @property
    def holder(self) -> str:
        """Who holds the lease as far as we know; "" is nobody."""
        return str(_spec(self._lease).get("holderIdentity") or "")

    def saw(self, lease: Obj | None, *, now: float) -> None:
        """Take in the lease as read; None: it does not exist."""
        if lease is None or self._lease is None or _spec(lease) != _spec(self._lease):
            self._seen_at = now
        self._lease = lease
        self._fresh = True
        if self.holder != self._identity:
            self._held_until = float("-inf")

    def next_move(self, *, now: float, wall: datetime) -> Move:
        """Decide what to do now. After `WAIT` the next move is to read again."""
        if not self._fresh:
            return Move(Verb.READ)
        if self._lease is None:
            return Move(Verb.CREATE, self._claim(None, wall))
        duration = float(_spec(self._lease).get("leaseDurationSeconds") or self._duration)
        if self.holder not in ("", self._identity) and now < self._seen_at + duration:
            self._fresh = False
            return Move(Verb.WAIT)
        return Move(Verb.REPLACE, self._claim(self._lease, wall))

    def wrote(self, lease: Obj, *, sent_at: float) -> None:
        """Take in that a create or replace succeeded that was sent at `sent_at`."""
        if self.holder != self._identity or not self.holds(sent_at):
            self._term += 1
        self._lease = lease
        self._seen_at = sent_at
        self._fresh = True
        self._held_until = sent_at + self._renew_deadline

    def failed(self) -> None:
        """Take in that a write was refused, or that nobody knows what became of it: read before the next."""
        self._fresh = False

    def release(self, *, wall: datetime) -> Obj | None:
        """Stop leading; return the lease to PUT so that the next one need not wait, None if it isn't ours."""
        self._held_until = float("-inf")
        if self._lease is None or self.holder != self._identity:
            return None
        lease = self._claim(self._lease, wall)
        lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
        return lease

    def _claim(self, lease: Obj | None, wall: datetime) -> Obj:
        stamp = wall.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        claimed: Obj = (
            copy.deepcopy(lease)
            if lease
            else {
                "apiVersion": LEASES.api_version,
                "kind": LEASES.kind,
                "metadata": {"namespace": self._key.namespace, "name": self._key.name},
            }
        )
        spec = claimed.setdefault("spec", {})
        if spec.get("holderIdentity") != self._identity:
            spec["acquireTime"] = stamp
            if lease is not None:
                spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        spec.setdefault("leaseTransitions", 0)
        spec["holderIdentity"] = self._identity
        spec["leaseDurationSeconds"] = math.ceil(
            self._duration
        )  # Whole seconds, and never shorter than ours.
        spec["renewTime"] = stamp
        return claimed


class LeaderElector:
    """A `LeaseCore` with a thread that keeps at it."""

    def __init__(
        self,
        access: ObjectAccess,
        *,
        namespace: str,
        name: str,
        identity: str,
        timings: KubeTimings,
        now: Callable[[], float],
        wall: Callable[[], datetime],
        on_started: Callable[[], None],
        on_stopped: Callable[[], None],
        rand: Callable[[], float] = random.random,
        metrics: Metrics | None = None,
        log: Any = None,
    ) -> None:
        """Make one; `start` starts it.

        Args:
            access: the API server; its calls must time out well within the renew deadline.
            namespace: the lease's.
            name: the lease's.
            identity: ours, for example the pod's name; no two copies may have the same.
            timings: this room's constants.
            now: monotonic seconds, those included in which the machine slept: `lease_clock`.
            wall: aware UTC; only for people who read the lease.
            on_started: called when we begin to lead, before `holds` is true; if it raises, again later. It and `on_stopped` are called in turn, from the elector's
                thread, and must soon return: meanwhile nothing is renewed.
            on_stopped: called when we no longer lead. `holds` may have been false for a while by then.
            rand: uniform in [0, 1), keeps the candidates apart.
            metrics: where it is shown whether we lead.
            log: a structlog logger.
        """
        self._access = access
        self._key = Key(namespace, name)
        self._timings = timings
        self._now = now
        self._wall = wall
        self._rand = rand
        self._on_started = on_started
        self._on_stopped = on_stopped
        self._leader_gauge = metrics.leader.labels(name=name) if metrics is not None else None
        self._log = (log or structlog.get_logger()).bind(lease=str(self._key), identity=identity)
        self._core = LeaseCore(
            key=self._key,
            identity=identity,
            duration_seconds=timings.lease_duration_seconds,
            renew_deadline_seconds=timings.lease_renew_deadline_seconds,
        )
        self._leading = False
        self._term = 0
        """The term that `on_started` has returned for."""
        self._said = ""
        self._stopping = threading.Event()
        self._may_release = True
        self._thread = threading.Thread(target=self._run, name="leader-elector", daemon=True)

    def holds(self, now: float) -> bool:
        """Tell whether we lead at this monotonic instant. Ask before everything that only a leader may do."""
        return self._term == self._core.term and self._core.holds(now)

    @property
    def holder(self) -> str:
        """Who holds the lease as far as we know; "" is nobody."""
        return self._core.holder

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._show()
        self._thread.start()

    def stop(self, timeout: float = 5.0, *, release: bool = True) -> None:
        """Stop leading, and give the lease away.

        Args:
            timeout: seconds to wait for the API server.
            release: False when something that only a leader may do has not ended: the lease then runs out by itself,
                and nobody else begins before that.
        """
        self._may_release = release
        self._stopping.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._announce()  # The deadline may have passed while this process, or the API server, was stopped.
            try:
                self._attempt()
                self._said = ""
            except KubeError as error:
                self._core.failed()
                self._say(error)
            except Exception:  # noqa: BLE001 - without this thread nobody would ever lead again
                self._core.failed()
                self._log.exception("the election failed unexpectedly")
            self._announce()
            # Jitter as in client-go: candidates who began together don't stay together.
            self._stopping.wait(self._timings.lease_retry_seconds * (1 + 0.2 * self._rand()))
        self._release()

    def _attempt(self) -> None:
        for _ in range(3):
            move = self._core.next_move(now=self._now(), wall=self._wall())
            if move.verb is Verb.WAIT:
                return
            if move.verb is Verb.READ:
                try:
                    lease = self._access.get(LEASES, self._key)
                except NotFound:
                    self._core.saw(None, now=self._now())
                else:
                    self._core.saw(lease, now=self._now())
                continue
            sent_at = self._now()
            try:
                if move.verb is Verb.CREATE:
                    written = self._access.create(LEASES, move.lease)
                else:
                    written = self._access.replace(LEASES, move.lease)
            except (Conflict, AlreadyExists, NotFound) as error:
                if isinstance(error, NotFound) and move.verb is Verb.CREATE:
                    raise  # The namespace does not exist.
                self._core.failed()
                continue
            self._core.wrote(written, sent_at=sent_at)
            return

    def _announce(self) -> None:
        leading, term = self._core.holds(self._now()), self._core.term
        if self._leading and leading and term != self._term:
            self._tell(leading=False)  # Lost and won again between two looks.
        if leading != self._leading:
            self._tell(leading=leading)
        if self._leading:
            self._term = term

    def _tell(self, *, leading: bool) -> None:
        self._leading = leading
        self._show()
        if leading:
            self._log.info("this process leads")
        elif self._stopping.is_set():
            self._log.info("this process gives the lead away")
        else:
            self._log.warning("this process no longer leads", holder=self.holder)
        try:
            (self._on_started if leading else self._on_stopped)()
        except Exception:  # noqa: BLE001 - the lease must be renewed, or given away, all the same
            self._log.exception("what follows from the election failed", leading=leading)
            if leading:
                self._leading = False  # Nobody acts in a term that has not begun well.
                self._show()

    def _show(self) -> None:
        if self._leader_gauge is not None:
            self._leader_gauge.set(int(self._leading))

    def _release(self) -> None:
        lease = self._core.release(wall=self._wall())
        self._announce()
        if lease is None:
            return
        if not self._may_release:
            self._log.warning("the lease is left to run out by itself: something may still be under way")
            return
        try:
            self._access.replace(LEASES, lease)
        except Conflict:
            self._log.debug("somebody else has the lease already")
        except KubeError as error:
            self._log.warning("the lease could not be given away; it runs out by itself", error=str(error))

    def _say(self, error: KubeError) -> None:
        text = str(error)
        if text != self._said:
            self._said = text
            self._log.warning("the lease could not be read or renewed", error=text)


def _spec(lease: Obj | None) -> dict[str, Any]:
    spec = (lease or {}).get("spec")
    return spec if isinstance(spec, dict) else {}
