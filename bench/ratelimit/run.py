"""Rate-limit benchmark: the same work by this project's client and by others, side by side.

    python -m bench.ratelimit.run [--runs 5] [--scenario NAME ...] [--contestant NAME ...] [--write]

Fair by these rules: one simulator for each cell, fresh, seeded by the run, in a process
and (where there are two) on a core of its own; the same operations, payloads and arrivals for all; runs interleaved, so that a busy machine hurts
everybody alike; 429s, requests and duplicates counted at the server; who fails or does not finish gets no time.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import random
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.ratelimit.jobs import SETTLE_SECONDS, Job, Report
from bench.ratelimit.scenarios import MEDIAN_SECONDS, P99_SECONDS, SCENARIOS, Guild, Scenario
from provider_discord.simulator import DEFAULT_TOKEN, ControlClient

ROOT: Final = Path(__file__).resolve().parents[2]
RESULTS: Final = ROOT / "bench" / "RESULTS.md"
BEGIN, END = "<!-- ratelimit: written by bench/ratelimit/run.py -->", "<!-- /ratelimit -->"
_STARTING_SECONDS = 30.0
_WRITE_CHANNEL = {"type": 0}


@dataclass(frozen=True, slots=True)
class Contestant:
    """A client.

    Attributes:
        name: For the command line and the table.
        module: Its program.
        needs: The library, installed with the extra ``bench``.
    """

    name: str
    module: str
    needs: str

    @property
    def installed(self) -> bool:
        """Whether it can take part."""
        return importlib.util.find_spec(self.needs) is not None


CONTESTANTS: Final = (
    Contestant("provider-discord", "provider", "provider_discord"),
    Contestant("hikari", "hikari_rest", "hikari"),
    Contestant("discord.py", "discord_py", "discord"),
    Contestant("naive httpx", "naive", "httpx"),
)


@dataclass(slots=True)
class Cell:
    """What one contestant did in one run of one scenario."""

    floor: float
    needed: int
    seconds: float = 0.0
    cpu_seconds: float = 0.0
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


@contextmanager
def simulator(seed: int) -> Iterator[str]:
    """Run a simulator and yield its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.ratelimit.server", str(seed)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        pin(process.pid, 0)
        yield process.stdout.readline().strip()
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


def compete(scenario: Scenario, contestant: Contestant, *, run: int, bound_seconds: float) -> Cell:
    """Let one contestant do one scenario once."""
    with simulator(seed=run) as base_url, ControlClient(base_url) as control:
        guild = furnish(control, scenario)
        operations = scenario.operations(guild, random.Random(run))  # noqa: S311 - work that can be repeated
        job = Job(
            base_url=base_url,
            token=DEFAULT_TOKEN,
            guild_id=guild.guild_id,
            operations=tuple(operations),
            warm_up=tuple(scenario.warm_up(guild)),
            bound_seconds=bound_seconds,
        )
        report = _report(contestant, job)
        cell = Cell(scenario.floor(operations), len(operations))
        cell.seconds, cell.cpu_seconds = report.seconds, report.cpu_seconds
        cell.failed = len(report.errors)
        cell.first_error = next(iter(report.errors.values()), "")
        cell.unfinished = len(operations) - len(report.errors) - len(report.latencies)
        cell.users = [
            report.latencies.get(operation.number, float("inf")) for operation in operations if operation.user
        ]
        requests = control.requests()
        cell.requests = len(requests)
        cell.refused = Counter(str(entry["scope"]) for entry in requests if entry["status"] == 429)
        names = Counter(role["name"] for role in control.roles())
        cell.duplicates = sum(count - 1 for count in names.values())
        return cell


def _report(contestant: Contestant, job: Job) -> Report:
    process = subprocess.Popen(
        [sys.executable, "-m", f"bench.ratelimit.contestants.{contestant.module}"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    pin(process.pid, 1)
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


def row(contestant: str, cells: Sequence[Cell]) -> str:
    """Return a line of the table: medians, the range of the time, sums over all runs of what should not be."""
    complete = all(cell.complete for cell in cells)
    times = sorted(cell.seconds for cell in cells)
    ratio = statistics.median(cell.seconds / cell.floor for cell in cells)
    refused = sum((cell.refused for cell in cells), Counter[str]())
    users = sorted(second for cell in cells for second in cell.users)
    columns = [
        contestant,
        f"{statistics.median(times):.2f} ({times[0]:.2f} to {times[-1]:.2f})" if complete else "-",
        f"{ratio:.2f}" if complete else "-",
        " / ".join(str(refused[scope]) for scope in ("user", "global", "cloudflare")),
        str(sum(cell.failed for cell in cells)),
        str(sum(cell.unfinished for cell in cells)),
        str(sum(cell.duplicates for cell in cells)),
        f"{sum(cell.requests for cell in cells) / sum(cell.needed for cell in cells):.2f}",
        f"{statistics.median(1000 * cell.cpu_seconds / cell.needed for cell in cells):.2f}",
        f"{users[min(len(users) - 1, int(len(users) * 0.99))]:.2f}" if users else "",
    ]
    return f"| {' | '.join(columns)} |"


_HEAD: Final = (
    "| client | seconds: median (range) | over the floor | 429 user / global / Cloudflare | failed | unfinished "
    "| duplicates | requests per operation | CPU ms per operation | p99 of user changes, s |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def table(cells: dict[tuple[str, str], list[Cell]], scenarios: Sequence[Scenario]) -> str:
    """Return the whole result as Markdown."""
    parts = []
    for scenario in scenarios:
        found = {name: done for (title, name), done in cells.items() if title == scenario.name}
        if found:
            floor = statistics.median(cell.floor for done in found.values() for cell in done)
            lines = [row(name, done) for name, done in found.items()]
            parts.append("\n".join([f"### {scenario.title}\n\nFloor {floor:.2f} s.\n", _HEAD, *lines]))
    return "\n\n".join(parts)


def publish(text: str, *, command: str, runs: int, loads: Sequence[float]) -> None:
    """Put the result into its place in RESULTS.md, which keeps the rest."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    versions = ", ".join(f"{name} {version}" for name, version in _versions())
    section = (
        f"{BEGIN}\n\n`{command}`\n\nInterleaved runs: {runs}; {machine}; {versions}; "
        f"load average meanwhile {min(loads):.1f} to {max(loads):.1f} (the bench itself makes about 1; more than that is "
        f"somebody else, and is paid for by whoever needs CPU). Counts are sums over all runs. "
        f"Nothing here was measured against Discord itself.\n\n{text}\n\n{END}"
    )
    before = RESULTS.read_text() if RESULTS.exists() else "# Benchmark results\n"
    if BEGIN in before and END in before:
        head, _, rest = before.partition(BEGIN)
        after = head + section + rest.partition(END)[2]
    else:
        after = f"{before.rstrip()}\n\n## Rate limits\n\n{section}\n"
    RESULTS.write_text(after)


def _versions() -> Iterator[tuple[str, str]]:
    for name in ("httpx", "hikari", "discord.py"):
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--bound", type=float, default=60.0, help="seconds after which a run is unfinished")
    parser.add_argument("--scenario", action="append", choices=[one.name for one in SCENARIOS])
    parser.add_argument("--contestant", action="append", choices=[one.name for one in CONTESTANTS])
    parser.add_argument("--write", action="store_true", help=f"put the result into {RESULTS.name}")
    parser.add_argument("--raw", type=Path, help="write every cell as JSON to this file")
    arguments = parser.parse_args()
    scenarios = [one for one in SCENARIOS if not arguments.scenario or one.name in arguments.scenario]
    contestants = [one for one in CONTESTANTS if not arguments.contestant or one.name in arguments.contestant]
    for one in [one for one in contestants if not one.installed]:
        print(f"{one.name} is not installed (pip install '.[bench]'): left out", file=sys.stderr)
        contestants.remove(one)
    cells: dict[tuple[str, str], list[Cell]] = {}
    loads: list[float] = []
    for run in range(1, arguments.runs + 1):
        for scenario in scenarios:
            # Everybody starts first sometimes.
            turn = contestants[run % len(contestants) :] + contestants[: run % len(contestants)]
            for contestant in turn:
                cell = compete(scenario, contestant, run=run, bound_seconds=arguments.bound)
                loads.append(os.getloadavg()[0])
                cells.setdefault((scenario.name, contestant.name), []).append(cell)
                print(
                    f"run {run}  {scenario.name:22}{contestant.name:18}{cell.seconds:7.2f} s "
                    f"{cell.seconds / cell.floor:6.2f}x  429 {dict(cell.refused)}  failed {cell.failed} "
                    f"unfinished {cell.unfinished}  duplicates {cell.duplicates}  {cell.first_error}",
                    file=sys.stderr,
                )
    ordered = {
        (scenario.name, contestant.name): cells[scenario.name, contestant.name]
        for scenario in scenarios
        for contestant in contestants
    }
    text = table(ordered, scenarios)
    print(text)
    if arguments.raw:
        raw = [
            {"scenario": s, "contestant": c, "run": n, "seconds": cell.seconds, "floor": cell.floor}
            for (s, c), done in ordered.items()
            for n, cell in enumerate(done, 1)
        ]
        arguments.raw.write_text(json.dumps(raw, indent=1))
    if arguments.write:
        publish(text, command=f"make bench-ratelimit RUNS={arguments.runs}", runs=arguments.runs, loads=loads)


if __name__ == "__main__":
    main()
