"""Rate-limit benchmark: the same work by this project's client and by others, side by side.

    python -m bench.ratelimit.run [--perturbations | --tuned] [--runs 5] [--scenario NAME ...]
                                  [--contestant NAME ...] [--write]

Without a choice it runs the main scenarios with everybody's default options. ``--perturbations`` runs those of
``perturbed``, with something wrong or with arrivals that are no burst; ``--tuned`` the main ones again with the others'
best documented configuration.

Fair by these rules: one simulator for each cell, fresh, seeded by the run, in a process and (where there are two) on
a core of its own; the same operations, payloads and arrivals for all; runs interleaved, so that a busy machine hurts
everybody alike; 429s, requests and duplicates counted at the server; who fails or does not finish gets no time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.ratelimit.competing import Cell, Contestant, compete
from bench.ratelimit.perturbed import PERTURBED
from bench.ratelimit.scenarios import SCENARIOS, Scenario
from bench.ratelimit.tables import RESULTS, publish, table

OURS: Final = Contestant("provider-discord", "provider", "provider_discord")
CONTESTANTS: Final = (
    OURS,
    Contestant("hikari", "hikari_rest", "hikari"),
    Contestant("discord.py", "discord_py", "discord"),
    Contestant("naive httpx", "naive", "httpx"),
)
TUNED: Final = (
    OURS,
    Contestant("hikari, five retries", "hikari_rest", "hikari", tuned=True),
    Contestant("discord.py, by the clock", "discord_py", "discord", tuned=True),
    Contestant("naive httpx, five at a time", "naive", "httpx", tuned=True),
)


def main() -> None:
    """Run what the command line asks for."""
    arguments = _arguments()
    scenarios: Sequence[Scenario] = PERTURBED if arguments.perturbations else SCENARIOS
    contestants = list(TUNED if arguments.tuned else CONTESTANTS)
    if arguments.scenario:
        scenarios = [one for one in (*SCENARIOS, *PERTURBED) if one.name in arguments.scenario]
    if arguments.contestant:
        contestants = [one for one in contestants if one.name in arguments.contestant]
    for one in [one for one in contestants if not one.installed]:
        print(f"{one.name} is not installed (pip install '.[bench]'): left out", file=sys.stderr)
        contestants.remove(one)
    cells, loads = _compete(scenarios, contestants, runs=arguments.runs, bound_seconds=arguments.bound)
    text = table(cells, scenarios)
    print(text)
    if arguments.raw:
        raw = [
            {"scenario": s, "contestant": c, "run": n, "seconds": cell.seconds, "floor": cell.floor}
            for (s, c), done in cells.items()
            for n, cell in enumerate(done, 1)
        ]
        arguments.raw.write_text(json.dumps(raw, indent=1))
    if arguments.write:
        mark, title, target = "ratelimit", "Everybody with default options.", "bench-ratelimit"
        if arguments.perturbations:
            mark, target = f"{mark}-perturbed", f"{target}-perturbed"
            title = "With something wrong, one thing at a time, and with arrivals that are no burst."
        elif arguments.tuned:
            mark, target = f"{mark}-tuned", f"{target}-tuned"
            title = "The others with their best documented configuration."
        command = f"make {target} RUNS={arguments.runs}"
        publish(text, mark=mark, title=title, command=command, runs=arguments.runs, loads=loads)


def _compete(
    scenarios: Sequence[Scenario],
    contestants: Sequence[Contestant],
    *,
    runs: int,
    bound_seconds: float | None,
) -> tuple[dict[tuple[str, str], list[Cell]], list[float]]:
    cells: dict[tuple[str, str], list[Cell]] = {
        (scenario.name, contestant.name): [] for scenario in scenarios for contestant in contestants
    }
    loads: list[float] = []
    for run in range(1, runs + 1):
        for scenario in scenarios:
            # Everybody starts first sometimes.
            first = run % len(contestants)
            for contestant in (*contestants[first:], *contestants[:first]):
                cell = compete(scenario, contestant, run=run, bound_seconds=bound_seconds)
                loads.append(os.getloadavg()[0])
                cells[scenario.name, contestant.name].append(cell)
                print(
                    f"run {run}  {scenario.name:22}{contestant.name:28}{cell.seconds:7.2f} s "
                    f"{cell.seconds / cell.floor:6.2f}x  429 {dict(cell.refused)}  failed {cell.failed} "
                    f"unfinished {cell.unfinished}  duplicates {cell.duplicates}  {cell.first_error}",
                    file=sys.stderr,
                )
    return cells, loads


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--perturbations", action="store_true", help="the scenarios with something wrong")
    which.add_argument("--tuned", action="store_true", help="the others with their best documented options")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--bound", type=float, help="seconds after which a run is unfinished")
    parser.add_argument("--scenario", action="append", choices=[one.name for one in (*SCENARIOS, *PERTURBED)])
    parser.add_argument("--contestant", action="append", choices=[one.name for one in (*CONTESTANTS, *TUNED)])
    parser.add_argument("--write", action="store_true", help=f"put the result into {RESULTS.name}")
    parser.add_argument("--raw", type=Path, help="write every cell as JSON to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
