"""The processes that the demo consists of: started with a log each, watched, and ended in reverse order."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

_END_SECONDS = 15
_TAIL_LINES = 15


class ProcessEnded(Exception):
    """A process ended by itself, or did not start; the message shows the end of its log."""


class Processes:
    """Child processes; ``stack`` ends them.

    Args:
        stack: What they are ended with, in reverse order of their start.
        folder: Where their logs are.
        environment: Theirs.
    """

    def __init__(self, stack: ExitStack, *, folder: Path, environment: Mapping[str, str]) -> None:
        self._stack = stack
        self._folder = folder
        self._environment = environment
        self._running: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}

    def start(self, name: str, command: Sequence[str]) -> Path:
        """Start one and return its log."""
        log = self._folder / f"{name}.log"
        with log.open("wb") as sink:
            # A session of its own: Ctrl-C reaches the demo alone, which then ends each in its turn.
            process = subprocess.Popen(
                command,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=dict(self._environment),
                start_new_session=True,
            )
        self._stack.callback(_end, process)
        self._running[name] = (process, log)
        return log

    def check(self) -> None:
        """Raise ProcessEnded if one of them ended by itself."""
        for name, (process, log) in self._running.items():
            if process.poll() is not None:
                msg = f"the {name} ended by itself (exit code {process.returncode}); {_tail(log)}"
                raise ProcessEnded(msg)

    def await_line(self, log: Path, start: str, seconds: float) -> str:
        """Return the first line of a log that starts so; raises ProcessEnded if none comes in time."""
        deadline = time.monotonic() + seconds
        while True:
            for line in log.read_text(errors="replace").splitlines():
                if line.startswith(start):
                    return line
            self.check()
            if time.monotonic() > deadline:
                msg = f"the {log.stem} did not start within {seconds:.0f} s; {_tail(log)}"
                raise ProcessEnded(msg)
            time.sleep(0.1)


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    return "\n".join([f"the end of {os.path.relpath(log)}:", *lines])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a child: politely, as Kubernetes does, then by force."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
