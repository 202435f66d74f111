"""How soon the provider acts, and what it costs to have it: latency, requests a poll, memory, start.

    make bench-latency
    .venv/bin/python bench/latency/run.py --sizes 300,1000 --write

Everything runs unscaled on loopback: a real kube-apiserver, the provider as a process, a simulated Discord without
rate limits and latency. Prints a table in Markdown. See bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from rig import REPOSITORY, BenchError, Provider, Rig, machine, percentile

RESULTS: Final = REPOSITORY / "bench" / "RESULTS.md"
BEGIN, END = "<!-- latency: written by bench/latency/run.py -->", "<!-- /latency -->"
SAMPLES: Final = 300
IDLE_SIZE: Final = 300
BUSY_SIZE: Final = 1000
BUSY_POLL_SECONDS: Final = 10
"""Six times as often as the default, to be harsh: a hundred passes a second with 1,000 objects."""
STARTS: Final = 5
POLLS: Final = 6
MIB_BUDGET: Final = 256
_PAUSE_SECONDS: Final = (0.05, 0.15)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result."""

    what: str
    value: str
    budget: str = ""


def main() -> int:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description="Measure latency, requests per poll, memory and start.")
    parser.add_argument(
        "--sizes", default="300,1000,10000", help="numbers of objects at which memory is measured"
    )
    parser.add_argument("--samples", type=int, default=SAMPLES, help="changes whose latency is measured")
    parser.add_argument("--write", action="store_true", help=f"put the result into {RESULTS.name}")
    arguments = parser.parse_args()
    sizes = sorted({int(size) for size in arguments.sizes.split(",")} | {IDLE_SIZE, BUSY_SIZE})
    rows: list[Row] = []
    loads: list[float] = []
    try:
        with Rig() as rig:
            for size in sizes:
                for row in measure(rig, size, samples=arguments.samples):
                    rows.append(row)
                    loads.append(os.getloadavg()[0])
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    text = rendered(rows, loads=loads)
    print(text)
    if arguments.write:
        publish(text)
    return 0


def rendered(rows: Sequence[Row], *, loads: Sequence[float]) -> str:
    """Return the result as Markdown."""
    about = (
        f"{machine()}; load average meanwhile {min(loads):.1f} to {max(loads):.1f} (the bench itself makes 1 to 2; "
        "more than that is somebody else, and is paid for in the p99). Unscaled, on loopback: kube-apiserver and etcd, "
        "the provider and a simulated Discord without rate limits and latency share these cores."
    )
    table = [f"| {row.what} | {row.value} | {row.budget} |" for row in rows]
    return "\n".join([about, "", "| what | measured | budget |", "| --- | --- | --- |", *table])


def publish(text: str) -> None:
    """Put the result into its place in RESULTS.md, which keeps the rest."""
    section = f"{BEGIN}\n\n`make bench-latency`\n\n{text}\n\n{END}"
    before = RESULTS.read_text() if RESULTS.exists() else "# Benchmark results\n"
    if BEGIN in before and END in before:
        head, _, rest = before.partition(BEGIN)
        after = head + section + rest.partition(END)[2]
    else:
        after = f"{before.rstrip()}\n\n## Latency, requests, memory, start\n\n{section}\n"
    RESULTS.write_text(after)


def measure(rig: Rig, size: int, *, samples: int) -> Iterator[Row]:
    """Measure what is to be measured with so many objects."""
    with said(f"making {size:,} objects"):
        rig.grow(size)
    with rig.provider(poll="1m") as provider, said(f"waiting until {size:,} objects are Ready and Synced"):
        settled = provider.wait_settled(size)
        yield Row(
            f"process start to {size:,} objects Ready and Synced, those new since the last size adopted",
            f"{settled:.0f} s, {provider.rss_mib:.0f} MiB",
        )
    if size == IDLE_SIZE:
        with rig.provider(poll="1h") as provider, said("measuring latency, idle"):
            provider.wait_settled(size)
            until_quiet(rig)
            yield from latency(rig, samples, f"change of a manifest to {{}}, {size} objects, idle")
    if size == BUSY_SIZE:
        yield from starts(rig, size)
        yield from busy(rig, size, samples=samples)
    yield from memory(rig, size)


def latency(rig: Rig, samples: int, what: str, *, first: bool = True) -> Iterator[Row]:
    """Change one manifest after the other; each becomes a PATCH of its channel."""
    rand = random.Random(1)  # noqa: S311 - the same order in every run
    rig.discord.clear_requests()
    changed: dict[str, tuple[float, float]] = {}
    for name, channel_id in rand.sample(rig.channels, k=min(samples, len(rig.channels))):
        sent = time.monotonic()
        rig.set_topic(name, f"changed at {sent}")
        changed[channel_id] = (sent, time.monotonic())
        time.sleep(rand.uniform(*_PAUSE_SECONDS))
    deadline = time.monotonic() + 60
    while len(arrived := patches(rig)) < len(changed):
        if time.monotonic() > deadline:
            msg = f"only {len(arrived)} of {len(changed)} changes arrived at Discord"
            raise BenchError(msg)
        time.sleep(0.2)
    if first:
        every = sorted(float(one["at"]) for one in rig.discord.requests())
        firsts = [min(at for at in every if at >= sent) - sent for sent, _ in changed.values()]
        yield Row(what.format("the first request at Discord"), milliseconds(firsts))
    yield Row(
        what.format("its PATCH at Discord"),
        milliseconds([arrived[channel_id] - sent for channel_id, (sent, _) in changed.items()]),
    )
    yield Row(
        "of which after the API server's answer to the change",
        milliseconds([max(0.0, arrived[channel_id] - at) for channel_id, (_, at) in changed.items()]),
        "p99 about 60 ms to the worker",
    )
    yield Row(
        "the API server's answer to the change",
        milliseconds([answered - sent for sent, answered in changed.values()]),
    )


def patches(rig: Rig) -> dict[str, float]:
    """Return when each channel was first patched."""
    found: dict[str, float] = {}
    for one in rig.discord.requests(method="PATCH"):
        found.setdefault(str(one["path"]).rpartition("/")[2], float(one["at"]))
    return found


def busy(rig: Rig, size: int, *, samples: int) -> Iterator[Row]:
    """Measure while every object is polled each few seconds."""
    guilds = len(rig.guild_ids)
    with rig.provider(poll=f"{BUSY_POLL_SECONDS}s") as provider:
        provider.wait_settled(size)
        with said(f"counting requests over {POLLS} polls"):
            wait(BUSY_POLL_SECONDS * 1.5)
            yield from at_rest(rig, provider, guilds=guilds, size=size)
        with said("measuring latency while they are polled"):
            what = f"change of a manifest to {{}}, {size:,} objects, each polled every {BUSY_POLL_SECONDS} s"
            yield from latency(rig, samples, what, first=False)


def at_rest(rig: Rig, provider: Provider, *, guilds: int, size: int) -> Iterator[Row]:
    """Count what nothing costs."""
    rig.discord.clear_requests()
    passes, cpu, began = reconciles(provider), provider.cpu_seconds, time.monotonic()
    wait(BUSY_POLL_SECONDS * POLLS)
    spent = time.monotonic() - began
    cpu, passes = provider.cpu_seconds - cpu, reconciles(provider) - passes
    seen = Counter(f"{one['method']} {one['route']}" for one in rig.discord.requests())
    counted = seen["GET /guilds/{guild_id}"] + seen["GET /guilds/{guild_id}/channels"]
    writes = sum(count for key, count in seen.items() if not key.startswith("GET"))
    polls = spent / BUSY_POLL_SECONDS
    per_poll = counted / guilds / polls
    yield Row(f"GETs a guild and poll, {size:,} objects in {guilds} guilds", f"{per_poll:.2f}", "2")
    yield Row(f"writes in {polls:.0f} polls", f"{writes}", "0")
    others = {
        key: count for key, count in seen.items() if "/guilds/{guild_id}" not in key or "members" in key
    }
    yield Row(
        "other requests meanwhile", ", ".join(f"{count} {key}" for key, count in others.items()) or "none"
    )
    yield Row(
        "processor meanwhile", f"{100 * cpu / spent:.0f} % of a core at {passes / spent:.0f} passes a second"
    )


def starts(rig: Rig, size: int) -> Iterator[Row]:
    """Start it a few times with many objects in the API server."""
    took: list[float] = []
    for _ in range(STARTS):
        with said(f"starting with {size:,} objects"), rig.provider(poll="1m") as provider:
            took.append(provider.wait_ready())
    yield Row(
        f"process start to ready, {size:,} objects",
        f"median {percentile(took, 0.5):.2f} s, worst {max(took):.2f} s of {STARTS}",
        "5 s",
    )


def memory(rig: Rig, size: int) -> Iterator[Row]:
    """Measure the memory of a process that has looked at every object a few times."""
    with rig.provider(poll="1m") as provider, said(f"measuring memory with {size:,} objects (two polls)"):
        provider.wait_settled(size)
        wait(125)
        yield Row(
            f"memory (RSS), {size:,} objects", f"{provider.rss_mib:.0f} MiB", f"{MIB_BUDGET} MiB at 10,000"
        )


def reconciles(provider: Provider) -> float:
    """Return how many passes there have been."""
    return provider.metric("controller_runtime_reconcile_total")


def until_quiet(rig: Rig) -> None:
    """Wait until nothing was asked of Discord for some seconds."""
    last = -1
    while (now := rig.discord.last_request()) != last:
        last = now
        wait(3)


def wait(seconds: float) -> None:
    """Let time pass; here that is what is wanted."""
    time.sleep(seconds)


def milliseconds(seconds: Sequence[float]) -> str:
    """Return median, p99 and worst."""
    p50, p99, worst = (
        1000 * value for value in (percentile(seconds, 0.5), percentile(seconds, 0.99), max(seconds))
    )
    return f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, worst {worst:.0f} ms of {len(seconds)}"


@contextmanager
def said(what: str) -> Iterator[Any]:
    """Say what is being done and how long it took."""
    began = time.monotonic()
    print(f"{what} ...", file=sys.stderr, flush=True)
    yield
    print(f"{what}: {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
