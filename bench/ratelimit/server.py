"""The simulator in a process of its own: prints its address, serves until its standard input ends."""

from __future__ import annotations

import sys

from provider_discord.simulator import LimitsConfig, Mode, SimulatorConfig, SimulatorServer


def main() -> None:
    """Serve."""
    seed = int(sys.argv[1])
    with SimulatorServer(SimulatorConfig(seed=seed, limits=LimitsConfig(mode=Mode.OFF))) as server:
        print(server.base_url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
