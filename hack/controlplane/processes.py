"""Components as child processes: started with their log in a file, ended surely, never orphaned."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from controlplane.errors import StartFailed

LOG_TAIL_LINES = 25

# Below the range that kernels hand out to outgoing connections (32768 on Linux, 49152 on macOS), so that a port
# is still ours to take again after an API server was stopped for a while.
PORTS = range(20_000, 32_000)

ADDRESS_IN_USE = "address already in use"


class PortTaken(StartFailed):
    """Somebody took the port between our look and the component's bind: try again with another."""


def free_port() -> int:
    """Return a loopback TCP port that nobody listens on just now."""
    for port in random.sample(PORTS, k=200):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    msg = f"no free TCP port found on 127.0.0.1 between {PORTS.start} and {PORTS.stop}"
    raise StartFailed(msg)


class Watchdog:
    """The starter's end of `watchdog.py`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the watching process, out of reach of this terminal's Ctrl-C."""
        script = Path(__file__).with_name("watchdog.py")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def tell(self, line: str) -> None:
        """Send one line; a watchdog that is gone is no reason to fail."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError, ValueError):
                self._process.stdin.write(f"{line}\n")
                self._process.stdin.flush()

    def stop(self) -> None:
        """Close the pipe and wait for the watchdog to end."""
        if self._process is None:
            return
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


class Component:
    """One program of the control plane.

    Args:
        name: the program's name, for messages.
        log: the file that its output is appended to.
        watchdog: told of every start and end.
    """

    def __init__(self, name: str, *, log: Path, watchdog: Watchdog) -> None:
        self.name = name
        self.log = log
        self._watchdog = watchdog
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The process id, or None while it is not running."""
        return self._process.pid if self._process is not None else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended, be it by itself."""
        return self._process is not None and self._process.poll() is None

    def start(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> None:
        """Start the program; returns at once. Raises StartFailed if the file can't be run."""
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            try:
                self._process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.log.parent,
                    env=None if env is None else {**os.environ, **env},
                    start_new_session=True,
                )
            except OSError as error:
                msg = f"{self.name} could not be started from {argv[0]}: {error.strerror}"
                raise StartFailed(msg) from error
        self._watchdog.tell(f"+{self._process.pid}")

    def wait_until(self, ready: Callable[[], bool], *, timeout_seconds: float) -> None:
        """Wait until `ready()` is true.

        Raises:
            PortTaken: it ended because somebody else has its port.
            StartFailed: it ended for another reason, or was not ready in time.
        """
        deadline = time.monotonic() + timeout_seconds
        while not ready():
            if not self.running:
                self._fail(f"{self.name} ended with exit status {self.stop()} while starting")
            if time.monotonic() > deadline:
                self._fail(f"{self.name} was not ready within {timeout_seconds:.0f} s")
            time.sleep(0.02)

    def stop(self, *, grace_seconds: float = 5.0) -> int | None:
        """End it with SIGTERM, after the grace with SIGKILL; returns its exit status, None if it never ran."""
        process, self._process = self._process, None
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM if grace_seconds > 0 else signal.SIGKILL)
            try:
                process.wait(timeout=grace_seconds or None)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._watchdog.tell(f"-{process.pid}")
        return process.returncode

    def log_tail(self) -> str:
        """Return the last lines that it wrote since its latest start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            text = log.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-LOG_TAIL_LINES:])

    def _fail(self, what: str) -> None:
        tail = self.log_tail()
        kind = PortTaken if ADDRESS_IN_USE in tail else StartFailed
        msg = f"{what}. Its log is {self.log}; the last lines:\n{tail}"
        raise kind(msg)
