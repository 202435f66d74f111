"""Ends the components when the process that started them is gone, however it went.

A process of its own, because SIGKILL gives its victim no time to tidy up. It reads its standard input, a pipe
that only the starter holds open for writing: the end of the file *is* the starter's death. Linux's
PR_SET_PDEATHSIG would do for a starter with one thread only, since it fires when the *thread* that forked ends,
and does not exist on macOS.

Run as a script, without this package or anything else that is not in the standard library. Its input, a line each:
`+PID` watch this process, `-PID` it was seen to its end, `dir PATH` remove this folder at the end, `keep` don't.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time

GRACE_SECONDS = 3.0


def main() -> None:
    """Read until the starter closes the pipe or dies, then end whatever is still there."""
    pids: list[int] = []
    folder = ""
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word.startswith("+"):
            pids.append(int(word[1:]))
        elif word.startswith("-"):
            with contextlib.suppress(ValueError):
                pids.remove(int(word[1:]))
        elif word == "dir":
            folder = rest
        elif word == "keep":
            folder = ""
    _end(pids)
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


def _end(pids: list[int]) -> None:
    deadline = time.monotonic() + GRACE_SECONDS
    # The last one started first: etcd goes when nobody talks to it any more.
    for pid in reversed(pids):
        _send(pid, signal.SIGTERM)
        while _send(pid, 0) and time.monotonic() < deadline:
            time.sleep(0.05)
    for pid in pids:
        _send(pid, signal.SIGKILL)


def _send(pid: int, signal_number: int) -> bool:
    try:
        os.kill(pid, signal_number)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
