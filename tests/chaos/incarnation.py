"""One life of the provider in a forked process: the real `App`, with an end at a chosen point.

The process is that of ``provider-discord run`` but for three things: it was forked instead of started, it serves no
ports, and `Tools.checkpoint` may end it. It ends itself by SIGKILL: no handler runs, no socket is closed in order,
no other thread comes to a halt first.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from provider_discord import app, provider
from provider_discord.managed import attempts, steps_create
from provider_discord.managed.external import Resolution, Verdict
from provider_discord.managed.reconcile_pass import Pass
from provider_discord.managed.results import Result
from provider_discord.managed.tools import Tools
from provider_discord.telemetry.logs import configure
from provider_discord.timings import Timings

_DEATH_SIGNAL: Final = 1  # PR_SET_PDEATHSIG, linux/prctl.h


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What one incarnation is given.

    Attributes:
        kubeconfig: the way to the cluster, as the lane's proxy shows it.
        log: where its output is appended.
        time_scale: what every wait is multiplied by.
        workers: passes at a time.
        identity: who it is in the Lease.
        lease_namespace: where its Lease is; "" for no leader election.
        label: the checkpoint at which it ends; "" for none.
        hit: at which time that it comes there, from 1.
        installed: it is the installed command, started anew, instead of the fork.
        debug: log every decision.
        broken: a negative control: how it is made careless, see `BROKEN`.
    """

    kubeconfig: str
    log: str
    time_scale: float
    workers: int = 4
    identity: str = "chaos"
    lease_namespace: str = ""
    label: str = ""
    hit: int = 1
    installed: bool = False
    debug: bool = False
    broken: str = ""


def die_with_parent() -> None:
    """Let the kernel end this process when its parent ends, where it can; a program that it becomes as well."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)


def live(life: Life) -> int:
    """Be the provider until told to stop; return the exit code."""
    _write_to(life.log)
    if life.installed:
        _become_the_command(life)
    configure(json=False, debug=life.debug)
    if life.broken:
        BROKEN[life.broken]()
    if life.label:
        _replace(provider, "Tools", partial(Tools, checkpoint=End(life.label, hit=life.hit)))
    stop = threading.Event()
    signal.signal(
        signal.SIGTERM, lambda _signal, _frame: threading.Thread(target=stop.set, name="stop").start()
    )
    config = app.AppConfig(
        kubeconfig=Path(life.kubeconfig),
        workers=life.workers,
        leader_election=bool(life.lease_namespace),
        lease_namespace=life.lease_namespace or None,
        identity=life.identity,
        metrics_address=None,
        timings=Timings.with_poll(poll_seconds=60.0, jitter_percentage=10).scaled(life.time_scale),
    )
    return app.App(config).run(stop)


def _become_the_command(life: Life) -> None:
    """Go on as `provider-discord run`, as it is installed."""
    assert not life.label, "the installed command has no checkpoints"
    assert not life.broken, "the installed command can't be broken"
    program = str(Path(sys.executable).with_name("provider-discord"))
    arguments = [
        *(program, "run", "--kubeconfig", life.kubeconfig),
        *("--metrics-bind-address", "0", "--health-probe-bind-address", "0"),
        *("--max-reconcile-rate", str(life.workers), "--pod-name", life.identity),
        *(("--debug",) if life.debug else ()),
    ]
    if life.lease_namespace:
        arguments += ["--leader-election", "--leader-election-namespace", life.lease_namespace]
    else:
        arguments.append("--no-leader-election")
    os.execve(program, arguments, {**os.environ, "PROVIDER_DISCORD_TIME_SCALE": str(life.time_scale)})  # noqa: S606


class End:
    """Ends the process when it comes to a label for the n-th time."""

    def __init__(self, label: str, *, hit: int) -> None:
        self._label = label
        self._left = hit
        self._lock = threading.Lock()

    def __call__(self, label: str) -> None:
        if label != self._label:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
                threading.Event().wait()  # Not one more instruction while the signal is on its way.


def _replace(module: ModuleType, name: str, value: Any) -> None:
    """Put something of the harness in the place of what a module has under a name, which it must have."""
    assert hasattr(module, name), f"{module.__name__} has no {name} any more: the harness would do nothing"
    setattr(module, name, value)


def _write_to(log: str) -> None:
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.close(sink)


# Negative controls: what the harness must be able to see.


def _create_again_at_once() -> None:
    """Take every attempt of unknown outcome for one that made nothing, as a careless client does."""

    def resolve(_p: Pass, opened: attempts.OpenAttempt) -> tuple[attempts.OpenAttempt, Resolution]:
        return opened, Resolution(verdict=Verdict.MISSED)

    def missed(p: Pass, _opened: attempts.OpenAttempt, _resolution: Resolution, **_: Any) -> Result | None:
        p.persist(attempts.failed(p.tools.wall()))
        return None

    _replace(steps_create, "_resolve", resolve)
    _replace(steps_create, "_missed", missed)


def _forget_finalizer() -> None:
    """Let objects go without deleting anything, as a provider without a finalizer does."""

    def replaced(p: Pass) -> Result | None:
        return p.finish_deletion() if p.mr.deleting else None

    from provider_discord.managed import reconciler  # noqa: PLC0415 - only where it is broken

    module: Any = reconciler
    steps = tuple(module.Step(replaced) if step.name == "deletion" else step for step in reconciler.STEPS)
    assert steps != reconciler.STEPS, "there is no such step any more"
    _replace(reconciler, "STEPS", steps)


BROKEN: dict[str, Callable[[], None]] = {
    "create-again": _create_again_at_once,
    "delete-nothing": _forget_finalizer,
}
"""What can be switched off, in a forked process of this harness only."""
