"""The simulator in a process of its own: prints its addresses, serves until its standard input ends.

    python -m bench.ratelimit.server SEED [--skew SECONDS] [--jitter SECONDS]

A skewed server clock is to a client what a skewed clock of its own is. Jitter is put on both ways by a relay before
the simulator: it delays what arrives before the simulator counts it, and what leaves after.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import threading
import time
from urllib.parse import urlsplit, urlunsplit

from provider_discord.simulator import LimitsConfig, Mode, SimulatorConfig, SimulatorServer

_CHUNK = 1 << 16


class Relay:
    """Passes connections on, each piece of what they carry after a random delay. Keeps the order."""

    def __init__(self, port: int, *, jitter_seconds: float, seed: int) -> None:
        self._target = port
        self._jitter = jitter_seconds
        self._rng = random.Random(seed)  # noqa: S311 - latency that can be repeated
        self._listening = threading.Event()
        self._copies: set[asyncio.Task[None]] = set()
        self.port = 0
        threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True).start()
        self._listening.wait()

    async def _run(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await server.serve_forever()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.ensure_future(self._copy(source, sink))
            self._copies.add(task)
            task.add_done_callback(self._copies.discard)

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(_CHUNK):
                await asyncio.sleep(self._rng.uniform(0.0, self._jitter))
                sink.write(piece)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("seed", type=int)
    parser.add_argument("--skew", type=float, default=0.0)
    parser.add_argument("--jitter", type=float, default=0.0)
    arguments = parser.parse_args()
    if arguments.skew:
        honest = time.time
        time.time = lambda: honest() + arguments.skew
    config = SimulatorConfig(seed=arguments.seed, limits=LimitsConfig(mode=Mode.OFF))
    with SimulatorServer(config) as server:
        api = urlsplit(server.base_url)
        if arguments.jitter:
            relay = Relay(api.port or 0, jitter_seconds=arguments.jitter, seed=arguments.seed)
            api = api._replace(netloc=f"{api.hostname}:{relay.port}")
        print(json.dumps({"control": server.base_url, "api": urlunsplit(api)}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
