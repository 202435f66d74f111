"""One contestant in one run of one scenario: a fresh simulator, the contestant's process, and what the server saw.

429s, requests and duplicates are counted at the server. A scenario's disturbances are timed from the first request
that arrives there.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

import httpx

from bench.ratelimit.jobs import SETTLE_SECONDS, Job, Operation, Report
from bench.ratelimit.scenarios import MEDIAN_SECONDS, P99_SECONDS, Guild, Scenario
from provider_discord.simulator import DEFAULT_TOKEN, ControlClient

ROOT: Final = Path(__file__).resolve().parents[2]
_STARTING_SECONDS = 30.0
_SHORTEST_BOUND = 20.0
_WRITE_CHANNEL = {"type": 0}
_SOMEBODY_ELSE = "DiscordBot (https://example.org/somebody-else, 1)"
_LOGIN = "users/@me"
_COMMIT_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Contestant:
    """A client.

    Attributes:
        name: For the command line and the table.
        module: Its program.
        needs: The library, installed with the extra ``bench``.
        tuned: Whether it has its best documented configuration in place of the default one.
    """

    name: str
    module: str
    needs: str
    tuned: bool = False

    @property
    def installed(self) -> bool:
        """Whether it can take part."""
        return importlib.util.find_spec(self.needs) is not None


@dataclass(slots=True)
class Cell:
    """What one contestant did in one run of one scenario."""

    floor: float
    needed: int
    seconds: float = 0.0
    cpu_seconds: float | None = 0.0
    requests: int = 0
    failed: int = 0
    unfinished: int = 0
    duplicates: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    users: list[float] = field(default_factory=list)
    first_error: str = ""

    @property
    def complete(self) -> bool:
        """Whether everything was done."""
        return not self.failed and not self.unfinished


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a simulator is reached.

    Attributes:
        control: To furnish and question it.
        api: For contestants.
    """

    control: str
    api: str


@contextmanager
def simulator(seed: int, *, skew_seconds: float = 0.0, jitter_seconds: float = 0.0) -> Iterator[Addresses]:
    """Run a simulator and yield its addresses."""
    options = ["--skew", str(skew_seconds), "--jitter", str(jitter_seconds)]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.ratelimit.server", str(seed), *options],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        pin(process.pid, 0)
        yield Addresses(**json.loads(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.wait(_STARTING_SECONDS)
        process.stdout.close()


def pin(pid: int, core: int) -> None:
    """Keep a process on one core, where there are two and the system can."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(pid, {core})


def furnish(control: ControlClient, scenario: Scenario) -> Guild:
    """Make the roles and channels, then put the limits in force."""
    guild_id = str(control.guilds()[0]["id"])
    roles = [str(control.create_role({"name": f"role-{n}"})["id"]) for n in range(scenario.roles)]
    channels = [
        str(control.create_channel({"name": f"channel-{n}", **_WRITE_CHANNEL})["id"])
        for n in range(scenario.channels)
    ]
    control.set_latency(median_seconds=MEDIAN_SECONDS, p99_seconds=P99_SECONDS)
    control.set_limits(scenario.limits)
    for fault in scenario.faults:
        control.add_fault(fault)
    return Guild(guild_id, roles, channels)


def compete(
    scenario: Scenario, contestant: Contestant, *, run: int, bound_seconds: float | None = None
) -> Cell:
    """Let one contestant do one scenario once.

    Args:
        scenario: What.
        contestant: Who.
        run: Seed of the work and of the simulator.
        bound_seconds: What is not done by then is unfinished; else twice the floor, and at least 20 s.
    """
    with (
        simulator(
            run, skew_seconds=scenario.skew_seconds, jitter_seconds=scenario.jitter_seconds
        ) as addresses,
        ControlClient(addresses.control) as control,
    ):
        guild = furnish(control, scenario)
        operations = scenario.operations(guild, random.Random(run))  # noqa: S311 - work that can be repeated
        floor = scenario.floor(operations)
        job = Job(
            base_url=addresses.api,
            token=DEFAULT_TOKEN,
            guild_id=guild.guild_id,
            operations=tuple(operations),
            warm_up=tuple(scenario.warm_up(guild)),
            bound_seconds=bound_seconds or max(_SHORTEST_BOUND, 2 * floor),
            persistent=scenario.persistent,
        )
        with _Disturber(scenario, control, addresses, guild, run) as disturber:
            if scenario.restart_at is None:
                report = _report(contestant, job)
            else:
                report = _report_of_two(contestant, job, control, scenario.restart_at, disturber)
        needed = [operation for operation in operations if operation.patience is None]
        cell = Cell(floor, len(needed), seconds=report.seconds, cpu_seconds=report.cpu_seconds)
        cell.failed = len(report.errors)
        cell.first_error = next(iter(report.errors.values()), "")
        cell.unfinished = len(operations) - len(report.errors) - len(report.latencies) - len(report.given_up)
        cell.users = [
            report.latencies.get(operation.number, float("inf")) for operation in operations if operation.user
        ]
        requests = _log(control)
        if scenario.foreign:
            taken = sum(1 for one in control.requests(status=200) if one["user_agent"] == _SOMEBODY_ELSE)
            cell.floor = scenario.floor(operations, taken=taken)
        cell.requests = len(requests)
        cell.refused = Counter(str(entry["scope"]) for entry in requests if entry["status"] == 429)
        names = Counter(role["name"] for role in control.roles())
        cell.duplicates = sum(count - 1 for count in names.values())
        if scenario.restart_at is not None:
            cell.seconds = max(one["at"] + one["seconds"] for one in requests if one["seconds"]) - min(
                one["at"] for one in requests
            )
            cell.cpu_seconds = None  # who is killed tells none
        return cell


def _log(control: ControlClient) -> list[dict[str, Any]]:
    """Return what the contestant asked, without its login."""
    return [
        entry
        for entry in control.requests()
        if entry["user_agent"] != _SOMEBODY_ELSE and not entry["path"].endswith(_LOGIN)
    ]


class _Disturber:
    """Does, beside a contestant, what the scenario says goes wrong."""

    def __init__(
        self, scenario: Scenario, control: ControlClient, addresses: Addresses, guild: Guild, seed: int
    ) -> None:
        self._scenario = scenario
        self._control = control
        self._addresses = addresses
        self._guild = guild
        self._rng = random.Random(seed)  # noqa: S311 - a disturbance that can be repeated
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        if self._scenario.disturbance is not None or self._scenario.foreign:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def wait_for_first_request(self) -> None:
        """Return when the first request after the warm-up is there."""
        while not self._over.is_set() and not _log(self._control):
            self._over.wait(0.02)

    def _run(self) -> None:
        self.wait_for_first_request()
        disturbance = self._scenario.disturbance
        if disturbance is not None:
            self._over.wait(disturbance.begins)
            self._control.add_fault(disturbance.fault)
            self._over.wait(disturbance.seconds)
            self._control.clear_faults()
        if self._scenario.foreign:
            self._take()

    def _take(self) -> None:
        """Take a fair share of a bucket, and insist on it: a refusal is repeated the moment that it says."""
        every = self._scenario.buckets[0].window_seconds / self._scenario.foreign
        path = f"/guilds/{self._guild.guild_id}/roles/{self._guild.roles[-1]}"
        headers = {"Authorization": f"Bot {DEFAULT_TOKEN}", "User-Agent": _SOMEBODY_ELSE}
        with httpx.Client(headers=headers, trust_env=False) as client:
            while not self._over.wait(every * self._rng.uniform(0.8, 1.2)):
                while True:
                    colour = self._rng.randrange(1_000)
                    answer = client.patch(self._addresses.api + path, json={"color": colour})
                    if answer.status_code != 429 or self._over.wait(answer.json()["retry_after"]):
                        break


def _start(contestant: Contestant) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            f"bench.ratelimit.contestants.{contestant.module}",
            *(["--tuned"] if contestant.tuned else []),
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    pin(process.pid, 1)
    return process


def _report(contestant: Contestant, job: Job) -> Report:
    process = _start(contestant)
    timeout = job.bound_seconds + len(job.warm_up) + SETTLE_SECONDS + _STARTING_SECONDS
    try:
        out, _ = process.communicate(job.dump(), timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Report(seconds=job.bound_seconds)
    if process.returncode:
        msg = f"{contestant.name} ended with {process.returncode}; its error is above"
        raise SystemExit(msg)
    return Report.load(out)


def _report_of_two(
    contestant: Contestant, job: Job, control: ControlClient, restart_at: float, disturber: _Disturber
) -> Report:
    """Kill the process and let a new one do what is not done."""
    process = _start(contestant)
    assert process.stdin is not None
    process.stdin.write(job.dump())
    process.stdin.close()
    disturber.wait_for_first_request()
    time.sleep(restart_at)
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    time.sleep(_COMMIT_SECONDS)
    left = _not_done(control, job.operations)
    report = _report(contestant, replace(job, operations=left, settle=False))
    done = {operation.number for operation in job.operations} - {operation.number for operation in left}
    report.latencies.update(dict.fromkeys(done, 0.0))
    return report


def _not_done(control: ControlClient, operations: Sequence[Operation]) -> tuple[Operation, ...]:
    colours = {str(role["id"]): role["color"] for role in control.roles()}
    return tuple(operation for operation in operations if colours[operation.target] != operation.number + 1)
