"""The table of results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

from provider_discord.managed.tools import CHECKPOINTS
from tests.chaos.plan import BROKEN_IN, Family
from tests.chaos.run_seed import Result

_COLUMNS: Final = (
    "family",
    "seeds",
    "failed",
    "kills",
    "faults",
    "creates",
    "duplicates",
    "lost",
    "stuck",
    "foreign",
    "halts",
    "settle p50",
    "max",
)


FEWEST: Final = 10
"""So many lives at least end at each label in a whole campaign."""


def thin(results: Sequence[Result]) -> list[str]:
    """Return the labels at which too few lives have ended."""
    kills = _sum(one.kills for one in _real(results))
    return [f"{label} {kills[label]}" for label in CHECKPOINTS if kills[label] < FEWEST]


def _real(results: Sequence[Result]) -> list[Result]:
    """Leave out the negative controls."""
    return [one for one in results if Family(one.family) not in BROKEN_IN]


def table(results: Sequence[Result]) -> str:
    """Return the results as Markdown: a row a family, then their sum without the negative controls."""
    rows = [_COLUMNS, tuple("---" for _ in _COLUMNS)]
    for family in Family:
        of_it = [one for one in results if one.family == family.value]
        if of_it:
            rows.append(_row(family.value, of_it))
    real = _real(results)
    rows.append(_row("**all but the controls**", real))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = [
        "| " + " | ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines[1] = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    kills = _sum(one.kills for one in real)
    at_labels = ", ".join(f"{label} {kills[label]}" for label in CHECKPOINTS)
    elsewhere = ", ".join(
        f"{where} {count}" for where, count in kills.most_common() if where not in CHECKPOINTS
    )
    faults = ", ".join(f"{what} {count}" for what, count in _sum(one.faults for one in real).most_common())
    return "\n".join(
        ["", *lines, "", f"Kills at labels: {at_labels}.", f"Other kills: {elsewhere}.", f"Faults: {faults}."]
    )


def _row(name: str, results: Sequence[Result]) -> tuple[str, ...]:
    settled = [one.settle_seconds for one in results if one.settle_seconds]
    numbers = (
        len(results),
        sum(not one.passed for one in results),
        sum(sum(one.kills.values()) for one in results),
        sum(sum(one.faults.values()) for one in results),
        sum(one.creates for one in results),
        sum(one.duplicates for one in results),
        sum(one.lost for one in results),
        sum(one.stuck for one in results),
        sum(one.foreign for one in results),
        sum(one.halts for one in results),
    )
    times = (f"{median(settled):.1f} s", f"{max(settled):.1f} s") if settled else ("-", "-")
    return (name, *(f"{number:,}" for number in numbers), *times)


def _sum(counts: Iterable[dict[str, int]]) -> Counter[str]:
    return sum((Counter(one) for one in counts), Counter())
