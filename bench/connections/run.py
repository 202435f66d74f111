"""What a call costs the client in CPU, with our connections and with another transport in their place.

    make bench-connections
    .venv/bin/python -m bench.connections.run --rounds 9 ours httpx my_module:open_transport

A contestant is called as ``open_transport`` in provider_discord/discord/connections.py is. Each round runs each in a
process of its own, in turn, against a simulated Discord over loopback, and counts that process's CPU time and not the
clock's, so that a busy machine does little to it. Prints milliseconds a call. See docs/design/connections.md.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from provider_discord.discord.client import DiscordClient
from provider_discord.discord.connections import open_transport
from provider_discord.discord.options import CallOptions
from provider_discord.discord.priority import Priority
from provider_discord.discord.timings import DiscordTimings
from provider_discord.simulator import BucketRule, LimitsConfig, Mode, SimulatorServer

CHANNELS = 300
BURST = 40
NO_LIMIT = 1_000_000
ROUTES = ("PATCH /channels/{channel_id}", "GET /guilds/{guild_id}/channels")
OPTIONS = CallOptions(priority=Priority.USER, max_wait_seconds=20.0, deadline_seconds=60.0)


def httpx_transport(_: httpx.URL, *, size: int, keepalive_seconds: float, **__: Any) -> httpx.BaseTransport:
    """Return httpx's own transport, with a pool like ours."""
    limits = httpx.Limits(
        max_connections=size, max_keepalive_connections=size, keepalive_expiry=keepalive_seconds
    )
    return httpx.HTTPTransport(limits=limits)


def opener(contestant: str) -> Callable[..., httpx.BaseTransport]:
    """Return what opens a contestant's transport."""
    if contestant == "ours":
        return open_transport
    if contestant == "httpx":
        return httpx_transport
    module, _, name = contestant.partition(":")
    found: Callable[..., httpx.BaseTransport] = getattr(importlib.import_module(module), name)
    return found


def measure(contestant: str, base_url: str, token: str, guild: str, channel: str) -> dict[str, float]:
    """Return the milliseconds of CPU time that a call of each kind took this process."""
    timings = DiscordTimings(global_per_second=NO_LIMIT)
    client = DiscordClient(
        token=token,
        user_agent="DiscordBot (https://example.org, 0)",
        base_url=base_url,
        timings=timings,
        transport=opener(contestant)(
            httpx.URL(base_url),
            size=timings.max_in_flight,
            keepalive_seconds=timings.keepalive_seconds,
            now=time.monotonic,
        ),
    )
    together = threading.Barrier(BURST)

    def patch(n: int) -> None:
        client.modify_channel(channel, {"topic": f"topic {n}", "nsfw": bool(n % 2)}, options=OPTIONS)

    def read(_: int) -> None:
        if len(client.guild_channels(guild, options=OPTIONS)) < CHANNELS:
            sys.exit("channels are missing")

    def burst(n: int) -> None:
        together.wait()
        patch(n)

    def cpu(call: Callable[[int], None], *, threads: int, calls: int) -> float:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(call, range(threads * 4)))
            begun = time.process_time()
            list(pool.map(call, range(calls)))
            return (time.process_time() - begun) / calls * 1_000

    seen = {
        "PATCH, 1 thread": cpu(patch, threads=1, calls=400),
        "PATCH, 8 threads": cpu(patch, threads=8, calls=400),
        "GET 300 channels, 1 thread": cpu(read, threads=1, calls=60),
        "GET 300 channels, 8 threads": cpu(read, threads=8, calls=60),
    }
    with ThreadPoolExecutor(BURST) as pool:
        list(pool.map(burst, range(BURST)))
    seen[f"PATCH, 1 thread, after {BURST} at a time"] = cpu(patch, threads=1, calls=300)
    client.close()
    return seen


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("contestants", nargs="*", default=["ours", "httpx"], metavar="CONTESTANT")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(*arguments.measure)))
        return
    contestants: list[str] = arguments.contestants
    found: dict[str, list[dict[str, float]]] = {contestant: [] for contestant in contestants}
    with SimulatorServer() as simulator:
        rules = tuple(BucketRule((route,), NO_LIMIT, 60.0) for route in ROUTES)
        control = simulator.control
        control.set_limits(LimitsConfig(mode=Mode.CUSTOM, buckets=rules, global_per_second=NO_LIMIT))
        channel = str(control.create_channel({"name": "bench", "type": 0})["id"])
        for n in range(CHANNELS - len(control.channels())):
            control.create_channel({"name": f"channel-{n}", "type": 0, "topic": "Rotas, keys and coffee."})
        where = [simulator.base_url, simulator.config.token, str(control.guild()["id"]), channel]
        for turn in range(arguments.rounds):
            first = turn % len(contestants)
            for contestant in contestants[first:] + contestants[:first]:
                command = [sys.executable, __file__, "--measure", contestant, *where]
                told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
                found[contestant].append(json.loads(told.splitlines()[-1]))
    print("| CPU ms a call, median (least to most) | " + " | ".join(contestants) + " |")
    print("| --- |" + " --- |" * len(contestants))
    for kind in found[contestants[0]][0]:
        cells = []
        for contestant in contestants:
            times = [seen[kind] for seen in found[contestant]]
            cells.append(f"{statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f})")
        print(f"| {kind} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
