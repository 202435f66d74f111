"""The provider as a process that can be killed: forked from a zygote, or the installed command.

Both look the same to a lane: `start` with a `Life`, `alive`, `kill`, and how the last one ended.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final, Protocol

from tests.chaos.incarnation import Life

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_START_SECONDS: Final = 120.0


class Processes(Protocol):
    """Where lives come from."""

    def start(self, life: Life) -> None:
        """Begin a life; the one before it must have ended."""
        ...

    def alive(self) -> bool:
        """Whether it lives."""
        ...

    def kill(self) -> bool:
        """End it by SIGKILL, from any thread, at once; False: it had ended already."""
        ...

    def end_code(self) -> int:
        """How it ended, waiting for that: negative for a signal."""
        ...

    def close(self) -> None:
        """End whatever lives."""
        ...


class Zygote:
    """Lives forked from `zygote.py`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_REPOSITORY,
            text=True,
            bufsize=1,
        )
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._id = 0
        self._pid = 0
        self._ended: dict[int, int] = {}
        self._news = threading.Condition(self._lock)
        self._ready = threading.Event()
        self._listener = threading.Thread(target=self._listen, name="zygote", daemon=True)
        self._listener.start()
        if not self._ready.wait(_START_SECONDS):
            self.close()
            msg = "the zygote did not start"
            raise RuntimeError(msg)

    def start(self, life: Life) -> None:
        """Fork a life."""
        with self._news:
            number = self._id = next(self._ids)
            self._pid = 0
            self._write({"id": number, "life": asdict(life)})
            if not self._news.wait_for(lambda: self._pid or number in self._ended, _START_SECONDS):
                msg = "the zygote did not fork"
                raise RuntimeError(msg)

    def alive(self) -> bool:
        """Whether the latest one lives."""
        with self._lock:
            return bool(self._id) and self._id not in self._ended

    def kill(self) -> bool:
        """Kill the latest one."""
        with self._lock:
            if not self._pid or self._id in self._ended:
                return False
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            return True

    def end_code(self) -> int:
        """Wait for the latest one's end."""
        with self._news:
            self._news.wait_for(lambda: self._id in self._ended, _START_SECONDS)
            return self._ended[self._id]

    def close(self) -> None:
        """End the zygote, and with it every life."""
        self.kill()
        with contextlib.suppress(OSError):
            _pipe(self._process.stdin).close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(5)
        _pipe(self._process.stdout).close()

    def _write(self, command: dict[str, Any]) -> None:
        pipe = _pipe(self._process.stdin)
        pipe.write(json.dumps(command) + "\n")
        pipe.flush()

    def _listen(self) -> None:
        for line in _pipe(self._process.stdout):
            news = json.loads(line)
            if "ready" in news:
                self._ready.set()
                continue
            with self._news:
                if "pid" in news and news["id"] == self._id:
                    self._pid = news["pid"]
                elif "ended" in news:
                    self._ended[news["id"]] = news["ended"]
                self._news.notify_all()


class Command:
    """Lives of the installed command, `provider-discord run`."""

    def __init__(self) -> None:
        self._program = Path(sys.executable).with_name("provider-discord")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, life: Life) -> None:
        """Start the command. A life that ends at a label can't be had."""
        assert not life.label, "the installed command has no checkpoints"
        assert not life.broken, "the installed command can't be broken"
        arguments = [
            *("--kubeconfig", life.kubeconfig),
            *("--metrics-bind-address", "0", "--health-probe-bind-address", "0"),
            *("--max-reconcile-rate", str(life.workers), "--pod-name", life.identity),
        ]
        if life.lease_namespace:
            arguments += ["--leader-election", "--leader-election-namespace", life.lease_namespace]
        else:
            arguments += ["--no-leader-election"]
        if life.debug:
            arguments.append("--debug")
        environment = {**os.environ, "PROVIDER_DISCORD_TIME_SCALE": str(life.time_scale)}
        with Path(life.log).open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._program), "run", *arguments], stdout=log, stderr=log, env=environment
            )

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> bool:
        """Kill it."""
        if self._process is None or self._process.poll() is not None:
            return False
        self._process.kill()
        return True

    def end_code(self) -> int:
        """Wait for its end."""
        assert self._process is not None
        return self._process.wait(_START_SECONDS)

    def close(self) -> None:
        """Kill it if it runs."""
        if self.kill():
            self.end_code()


def wait_dead(processes: Processes, seconds: float = 30.0) -> None:
    """Wait until a killed life has ended."""
    deadline = time.monotonic() + seconds
    while processes.alive():
        if time.monotonic() > deadline:
            msg = "a killed process lives on"
            raise RuntimeError(msg)
        time.sleep(0.002)


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
