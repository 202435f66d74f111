"""What a contestant is asked to do, and what it says of it: the wire between ``run`` and a contestant's process.

A job comes as JSON on standard input and a report leaves as JSON on standard output, so that each contestant has
a process, an event loop and a CPU account of its own. It asks ``GET /users/@me`` first, as programs do that log in, so
that what is done once is done before the clock starts. The two drivers below, one for asyncio and one for threads,
are the only code between a contestant's library and the clock.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum

SETTLE_SECONDS = 1.3
"""After connecting and warming up: longer than the window of the global limit."""
_AGAIN_SECONDS = 5.0
"""When somebody persistent comes back after an error that does not say when."""


class Verb(StrEnum):
    """What is done."""

    EDIT_ROLE = "edit-role"
    CREATE_ROLE = "create-role"
    EDIT_CHANNEL = "edit-channel"
    RENAME_CHANNEL = "rename-channel"
    GET_CHANNEL = "get-channel"
    PUT_OVERWRITE = "put-overwrite"


@dataclass(frozen=True, slots=True)
class Operation:
    """One call.

    Attributes:
        number: Tells it from the others, and gives it a value to write.
        verb: What.
        target: Id of the role or channel; for a create, the new role's name.
        at: Seconds after the start at which somebody wants it.
        user: Whether it is a user's change, which somebody waits for; the others are background work.
        subject: For an overwrite, the role's id.
        patience: Seconds after which the caller gives up; None never.
    """

    number: int
    verb: Verb
    target: str
    at: float = 0.0
    user: bool = False
    subject: str = ""
    patience: float | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A scenario for one contestant.

    Attributes:
        base_url: Takes the place of https://discord.com/api/v10.
        token: The bot's.
        guild_id: Where the roles are.
        operations: What to do.
        warm_up: What to do before the clock starts, one after the other.
        bound_seconds: What is not done by then is unfinished.
        persistent: Callers come back after an error, when it says or after five seconds, as a reconciler does.
        settle: Whether to let the global limit's window pass before the clock starts.
    """

    base_url: str
    token: str
    guild_id: str
    operations: tuple[Operation, ...]
    warm_up: tuple[Operation, ...] = ()
    bound_seconds: float = 60.0
    persistent: bool = False
    settle: bool = True

    def dump(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Job:
        """Read what ``dump`` wrote."""
        raw = json.loads(text)
        for name in ("operations", "warm_up"):
            raw[name] = tuple(Operation(**{**one, "verb": Verb(one["verb"])}) for one in raw[name])
        return cls(**raw)


@dataclass(slots=True)
class Report:
    """What a contestant did.

    Attributes:
        seconds: From the start to the last operation's end, or the bound.
        cpu_seconds: CPU time of its process meanwhile.
        latencies: Seconds from wanted to done, by number, of what succeeded.
        errors: Error by number, of what failed.
        given_up: Numbers of those whose callers gave up.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    latencies: dict[int, float] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    given_up: list[int] = field(default_factory=list)

    def failed(self, operation: Operation, error: Exception) -> None:
        """Note how an operation ended that did not succeed."""
        if operation.patience is None:
            self.errors[operation.number] = f"{type(error).__name__}: {error}"[:200]
        else:
            self.given_up.append(operation.number)

    def write(self) -> None:
        """Hand it to ``run``."""
        json.dump(asdict(self), sys.stdout)
        sys.stdout.flush()

    @classmethod
    def load(cls, text: str) -> Report:
        """Read what ``write`` wrote."""
        raw = json.loads(text)
        for name in ("latencies", "errors"):
            raw[name] = {int(number): value for number, value in raw[name].items()}
        return cls(**raw)


def read_job() -> Job:
    """Return the job on standard input."""
    return Job.load(sys.stdin.read())


async def drive_tasks(job: Job, perform: Callable[[Operation], Awaitable[object]]) -> Report:
    """Run a job with a task for each operation."""
    for operation in job.warm_up:
        await perform(operation)
    if job.settle:
        await asyncio.sleep(SETTLE_SECONDS)
    report = Report()
    start, cpu = time.monotonic(), time.process_time()

    async def persevere(operation: Operation) -> None:
        while True:
            try:
                await perform(operation)
            except Exception as error:
                if not job.persistent:
                    raise
                await asyncio.sleep(_pause(error))
            else:
                return

    async def one(operation: Operation) -> None:
        await asyncio.sleep(start + operation.at - time.monotonic())
        try:
            await asyncio.wait_for(persevere(operation), operation.patience)
        except Exception as error:  # noqa: BLE001 - a contestant may fail in any way
            report.failed(operation, error)
        else:
            report.latencies[operation.number] = time.monotonic() - start - operation.at

    tasks = [asyncio.ensure_future(one(operation)) for operation in job.operations]
    _, unfinished = await asyncio.wait(tasks, timeout=job.bound_seconds)
    report.seconds, report.cpu_seconds = time.monotonic() - start, time.process_time() - cpu
    for task in unfinished:
        task.cancel()
    return report


def drive_threads(job: Job, perform: Callable[[Operation], object]) -> Report:
    """Run a job with a thread for each operation; they are daemons, so that an unfinished one holds up nothing.

    They are there before the clock starts, as a program's workers are before its work. A thread cannot be cancelled:
    to give up in time is up to the contestant, who is told the operation's patience.
    """
    for operation in job.warm_up:
        perform(operation)
    report = Report()
    go = threading.Event()
    start = 0.0

    def persevere(operation: Operation) -> None:
        while True:
            try:
                perform(operation)
            except Exception as error:
                if not job.persistent:
                    raise
                time.sleep(_pause(error))
            else:
                return

    def one(operation: Operation) -> None:
        go.wait()
        if operation.at:
            time.sleep(max(0.0, start + operation.at - time.monotonic()))
        try:
            persevere(operation)
        except Exception as error:  # noqa: BLE001 - a contestant may fail in any way
            report.failed(operation, error)
        else:
            report.latencies[operation.number] = time.monotonic() - start - operation.at

    threads = [threading.Thread(target=one, args=(operation,), daemon=True) for operation in job.operations]
    for thread in threads:
        thread.start()
    if job.settle:
        time.sleep(SETTLE_SECONDS)
    start, cpu = time.monotonic(), time.process_time()
    go.set()
    for thread in threads:
        thread.join(max(0.0, start + job.bound_seconds - time.monotonic()))
    report.seconds, report.cpu_seconds = time.monotonic() - start, time.process_time() - cpu
    return report


def _pause(error: Exception) -> float:
    told = getattr(error, "retry_after", None)
    return float(told) if isinstance(told, int | float) and told > 0 else _AGAIN_SECONDS
