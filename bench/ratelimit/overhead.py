"""What one call costs beside the network: CPU per PATCH of a role through the client, with a stub for the transport.

    python -m bench.ratelimit.overhead [--calls 20000] [--rounds 7] [--profile]

The best round counts, since other processes can only make one slower. ``--profile`` tells where it goes.
"""

from __future__ import annotations

import argparse
import cProfile
import itertools
import pstats
import time
from collections.abc import Mapping
from typing import Any

from provider_discord.discord import CallOptions, DiscordClient, DiscordTimings, Priority
from provider_discord.discord.transport import Response

_ROLE = b'{"id":"1000","name":"crew","color":1,"position":3,"permissions":"0","hoist":false}'


class _Stub:
    """Answers at once, with the headers that Discord's answers have; the bucket's window never ends."""

    def __init__(self) -> None:
        self._count = itertools.count(1)

    def send(self, **_: Any) -> Response:
        headers: Mapping[str, str] = {
            "content-type": "application/json",
            "via": "1.1 google",
            "x-ratelimit-limit": "1000000",
            "x-ratelimit-remaining": str(1_000_000 - next(self._count)),
            "x-ratelimit-reset": "1700003600.5",
            "x-ratelimit-reset-after": "3600.000",
            "x-ratelimit-bucket": "abcd1234",
        }
        now = time.monotonic()
        return Response(status=200, headers=headers, content=_ROLE, sent_at=now, received_at=now)

    def close(self) -> None:
        """Nothing is open."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    client = DiscordClient(
        token="a.stub.token",  # noqa: S106 - of nobody
        user_agent="DiscordBot (https://example.org/bench, 1)",
        base_url="http://127.0.0.1:9/api/v10",
        timings=DiscordTimings(global_per_second=10_000_000, max_in_flight=50, global_hold_seconds=0.0),
    )
    stub = _Stub()
    client._caller._transport = client._caller._sender._transport = stub  # type: ignore[assignment]  # noqa: SLF001
    options = CallOptions(priority=Priority.USER, reason="a change of a manifest")

    def calls() -> None:
        for number in range(arguments.calls):
            client.modify_role(
                "81384788765712384", str(1000 + number % 100), {"color": number}, options=options
            )

    calls()
    best = float("inf")
    for _ in range(arguments.rounds):
        begun = time.process_time()
        calls()
        best = min(best, time.process_time() - begun)
    print(f"{best / arguments.calls * 1e6:.1f} us of CPU per call, best of {arguments.rounds} rounds")
    if arguments.profile:
        profile = cProfile.Profile()
        profile.runcall(calls)
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)


if __name__ == "__main__":
    main()
