"""The parent of the provider's lives: loads everything once, stays single-threaded, forks one life per command.

A fresh interpreter needs over a second of CPU for its imports; a fork needs a hundredth of that, and its SIGKILL is as
real. Commands and news are lines of JSON on standard input and output. When its standard input ends, or it ends
itself, so do all lives.

Run as `python -m tests.chaos.zygote`.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import sys
import threading
import traceback
from typing import Any

from tests.chaos.incarnation import Life, die_with_parent, live


def main() -> None:
    """Serve until standard input ends."""
    assert threading.active_count() == 1, "only a single-threaded process may fork"
    gc.collect()
    gc.freeze()
    wake, told = os.pipe()
    for end in (wake, told):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(told)
    signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
    _say({"ready": os.getpid()})
    lives: dict[int, int] = {}
    rest = b""
    while True:
        readable, _, _ = select.select([0, wake], [], [])
        if wake in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 4096)
            _reap(lives)
        if 0 in readable:
            data = os.read(0, 65536)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                command = json.loads(line)
                pid = _fork(Life(**command["life"]), close=(wake, told))
                lives[pid] = command["id"]
                _say({"id": command["id"], "pid": pid})
    for pid in lives:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _fork(life: Life, *, close: tuple[int, ...]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        die_with_parent()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for end in close:
            os.close(end)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        code = live(life)
    except BaseException:  # noqa: BLE001 - nothing of a life may run on in its parent's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _reap(lives: dict[int, int]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        _say({"id": lives.pop(pid, 0), "ended": os.waitstatus_to_exitcode(status)})


def _say(news: dict[str, Any]) -> None:
    os.write(1, json.dumps(news).encode() + b"\n")


if __name__ == "__main__":
    main()
