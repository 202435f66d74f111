"""Results as Markdown, and their place in RESULTS.md."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bench.ratelimit.competing import ROOT, Cell
from bench.ratelimit.scenarios import Scenario

RESULTS: Final = ROOT / "bench" / "RESULTS.md"
Cells = Mapping[tuple[str, str], Sequence[Cell]]
_HEADING = "## Rate limits"
_HEAD: Final = (
    "| client | seconds: median (range) | over the floor | 429 user / global / shared / Cloudflare | failed "
    "| unfinished | duplicates | requests per operation | CPU ms per operation | p99 of user changes, s |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)
_SCOPES = ("user", "global", "shared", "cloudflare")


def row(contestant: str, cells: Sequence[Cell]) -> str:
    """Return a line of the table: medians, the range of the time, sums over all runs of what should not be."""
    complete = all(cell.complete for cell in cells)
    times = sorted(cell.seconds for cell in cells)
    ratio = statistics.median(cell.seconds / cell.floor for cell in cells)
    refused = sum((cell.refused for cell in cells), Counter[str]())
    users = sorted(second for cell in cells for second in cell.users)
    cpu = [1000 * cell.cpu_seconds / cell.needed for cell in cells if cell.cpu_seconds is not None]
    columns = [
        contestant,
        f"{statistics.median(times):.2f} ({times[0]:.2f} to {times[-1]:.2f})" if complete else "-",
        f"{ratio:.2f}" if complete else "-",
        " / ".join(str(refused[scope]) for scope in _SCOPES),
        str(sum(cell.failed for cell in cells)),
        str(sum(cell.unfinished for cell in cells)),
        str(sum(cell.duplicates for cell in cells)),
        f"{sum(cell.requests for cell in cells) / sum(cell.needed for cell in cells):.2f}",
        f"{statistics.median(cpu):.2f}" if cpu else "",
        f"{users[min(len(users) - 1, int(len(users) * 0.99))]:.2f}" if users else "",
    ]
    return f"| {' | '.join(columns)} |"


def table(cells: Cells, scenarios: Sequence[Scenario]) -> str:
    """Return the whole result as Markdown."""
    parts = []
    for scenario in scenarios:
        found = {name: done for (title, name), done in cells.items() if title == scenario.name}
        if found:
            floor = statistics.median(cell.floor for done in found.values() for cell in done)
            lines = [row(name, done) for name, done in found.items()]
            parts.append("\n".join([f"### {scenario.title}\n\nFloor {floor:.2f} s.\n", _HEAD, *lines]))
    return "\n\n".join(parts)


def publish(text: str, *, mark: str, title: str, command: str, runs: int, loads: Sequence[float]) -> None:
    """Put a result into its place in RESULTS.md, which keeps the rest.

    Args:
        text: The tables.
        mark: Tells this result's place from others.
        title: A line of its own above it.
        command: How to make it again.
        runs: How often.
        loads: Load averages meanwhile.
    """
    begin = f"<!-- {mark}: written by bench/ratelimit/run.py -->"
    end = f"<!-- /{mark} -->"
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    versions = ", ".join(f"{name} {version}" for name, version in _versions())
    section = (
        f"{begin}\n\n{title}\n\n`{command}`\n\nInterleaved runs: {runs}; {machine}; {versions}; "
        f"load average meanwhile {min(loads):.1f} to {max(loads):.1f} (the bench itself makes about 1; more than "
        f"that is somebody else, and is paid for by whoever needs CPU). Counts are sums over all runs. "
        f"Nothing here was measured against Discord itself.\n\n{text}\n\n{end}"
    )
    before = RESULTS.read_text() if RESULTS.exists() else "# Benchmark results\n"
    if begin in before and end in before:
        head, _, rest = before.partition(begin)
        after = head + section + rest.partition(end)[2]
    elif _HEADING in before:  # behind what this heading has, before the next one
        head, _, rest = before.partition(_HEADING)
        own, heading, others = rest.partition("\n## ")
        after = f"{head}{_HEADING}{own.rstrip()}\n\n{section}\n{heading}{others}"
    else:
        after = f"{before.rstrip()}\n\n{_HEADING}\n\n{section}\n"
    RESULTS.write_text(after)


def _versions() -> Iterator[tuple[str, str]]:
    for name in ("httpx", "hikari", "discord.py"):
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
