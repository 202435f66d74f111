"""The provider as a process that can be killed at once, from any thread."""

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
from typing import IO, Any, Final

from tests.chaos.incarnation import Life

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_START_SECONDS: Final = 120.0


class Zygote:
    """Lives forked from `zygote.py`, one at a time: either the `App`, or the installed command."""

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
        """Begin a life; the one before must have ended."""
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
        """End the latest one by SIGKILL; False: it had ended already."""
        with self._lock:
            if not self._pid or self._id in self._ended:
                return False
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            return True

    def end_code(self) -> int:
        """Wait for the latest one's end and return its exit code, negative for a signal."""
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


def wait_dead(processes: Zygote, seconds: float = 30.0) -> None:
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
