"""The provider dies at every labelled point, with every fault beside it, on virtual time.

In each case a Channel or a Role is made (or adopted), then changed by its manifest and by hand, then deleted, on the
real kinds and the real Discord client; in each of these three phases the process is killed at one point, once or as
often as the fault says, and the fault strikes. Whatever becomes of it, there is one thing at Discord, nothing foreign
was touched, and nobody has to help. A case is replayed by its name:
`test_every_point.py::test_a_death[create.sent,update.sent,delete.sent-POST: drop, done]`.

Every point meets every fault at least once, but for what `meetings.py` lists, and is seen to: it is asserted that the
process died there and that the fault struck. Which points stand together in a case, and whether it is about a Channel
or a Role, goes round; where people meddle and the bot can't read of it, it is about both. `CreateNew` is what the ProviderConfig says where
nothing else is told: so no check of the name stands in the way of a second create.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
import structlog

from provider_discord.managed import attempts, deletions, steps_create
from provider_discord.managed.external import Resolution, Verdict
from provider_discord.managed.reconcile_pass import Pass
from provider_discord.managed.results import Result
from provider_discord.managed.tools import CHECKPOINTS
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.lives import NOWHERE, POINTS, Life, Phase
from tests.chaos.meetings import deaths_of, why_not

ONLY_CHANNELS: Final = frozenset({"update.persisted", "delete.before-pending", "delete.pending"})
"""Where a Role never comes to: only forum tags are remembered after an update, and a role that is missing is gone."""


def _cases() -> Iterator[Any]:
    for column, fault in enumerate(FAULTS):
        for where in NOWHERE:
            yield _case(dict.fromkeys(Phase, where), fault, number=column)
        deadly = [point for point in POINTS[Phase.MAKE] if point not in NOWHERE]
        changing, deleting = POINTS[Phase.CHANGE], POINTS[Phase.DELETE]
        for row, point in enumerate(deadly):
            points = {Phase.MAKE: point}
            # So many of them live on that each point of the other phases meets the fault, another one's with each fault.
            further = (row - column) % len(deadly)
            if further < max(len(changing), len(deleting)):
                points |= {
                    Phase.CHANGE: changing[further % len(changing)],
                    Phase.DELETE: deleting[further % len(deleting)],
                }
            yield _case(points, fault, number=row + column)
            if fault.blind and fault.meanwhile and not _is_about_a_channel(points, fault):
                # Channels and roles are looked for in different ways.
                yield _case(points, fault, number=row + column + 1, suffix=" (2)")


def _case(points: Mapping[Phase, str], fault: Fault, *, number: int, suffix: str = "") -> Any:
    kind = "Role" if number % 2 and not _is_about_a_channel(points, fault) else "Channel"
    died_at = ",".join(dict.fromkeys(points.values()))
    return pytest.param(points, fault, kind, id=f"{died_at}-{fault.name}{suffix}")


def _is_about_a_channel(points: Mapping[Phase, str], fault: Fault) -> bool:
    """Tell whether a Role can't come to the points, or can't have the fault: nobody hides one."""
    recorded = any(one.of == "deletion" for one in fault.trouble)
    return recorded or fault.meanwhile == "hide" or not ONLY_CHANNELS.isdisjoint(points.values())


CASES: Final = tuple(_cases())
COLUMNS: Final = (
    "duplicates",
    "lost",
    "stuck",
    "foreign",
    "needless halts",
    "zombies",
    "halts",
    "left hidden",
    "refusals",
)
TALLY: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
"""What has been counted so far, by point and group of faults."""


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of lives have much to say."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.fixture(scope="module", autouse=True)
def told(request: pytest.FixtureRequest) -> Iterator[None]:
    """Print the table once all cases have run."""
    yield
    if sum(one["whole"] for one in TALLY.values()) == len(CASES):
        _print(request, *table())


def _print(request: pytest.FixtureRequest, *lines: str) -> None:
    plugins = request.config.pluginmanager
    capture: Any = plugins.get_plugin("capturemanager")
    reporter: Any = plugins.get_plugin("terminalreporter")
    with capture.global_and_fixture_disabled():
        for line in lines:
            reporter.write_line(line)


def table() -> Iterator[str]:
    """Return the table: for each point the deaths (and phases) with each group of faults, and what became of them."""
    groups = list(dict.fromkeys(fault.group for fault in FAULTS))
    heads = ["died at (deaths/phases)", *groups, *COLUMNS]
    rows = [heads]
    points = list(dict.fromkeys(point for some in POINTS.values() for point in some))
    for point in points:
        cells = [f"{TALLY[point, group]['kills']}/{TALLY[point, group]['cases']}" for group in groups]
        sums = sum((TALLY[point, group] for group in groups), Counter[str]())
        rows.append([point, *cells, *(str(sums[column]) for column in COLUMNS)])
    total = sum(TALLY.values(), Counter[str]())
    sums_of = [
        f"{sum(TALLY[point, group]['kills'] for point in points)}/{sum(TALLY[point, group]['cases'] for point in points)}"
        for group in groups
    ]
    rows.append(["all", *sums_of, *(str(total[column]) for column in COLUMNS)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    yield ""
    yield (
        f"every point: {total['whole']} cases, {total['kills']} deaths, {len(FAULTS)} faults, and {total['met']} times "
        f"a point met one"
    )
    for row in rows:
        yield "  ".join(
            f"{cell:>{width}}" if n else f"{cell:{width}}"
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )


@pytest.mark.parametrize(("points", "fault", "kind"), CASES)
def test_a_death(points: Mapping[Phase, str], fault: Fault, kind: str) -> None:
    life = Life(points, fault, kind=kind)
    life.run()
    for phase, counts in life.counts.items():
        met = not why_not(phase, points[phase], fault, kind=kind)
        TALLY[points[phase], fault.group].update({**counts, "met": met})
    TALLY[points[Phase.MAKE], fault.group]["whole"] += 1
    assert not life.complaints, "\n".join(life.complaints)
    assert not _not_as_planned(life)


def _not_as_planned(life: Life) -> list[str]:
    """Return the phases in which the point and the fault met although they can't, or did not although they can."""
    said = []
    for phase, point in life.points.items():
        counts, deaths = life.counts[phase], deaths_of(phase, point, life.fault)
        met = counts["kills"] == deaths and counts["struck"] > 0
        why = why_not(phase, point, life.fault, kind=life.kind)
        if met == bool(why):
            told = f"{counts['kills']} deaths of {deaths}, struck {counts['struck']}"
            said.append(f"{phase}, {point}, {life.fault.name}: {told}; {why or 'they should meet'}")
    return said


class TestTheHarness:
    """It comes to every point, with every fault, and it sees what it is there to see."""

    def test_knows_every_point(self) -> None:
        known = {point for points in POINTS.values() for point in points}
        assert set(CHECKPOINTS) <= known

    def test_every_point_meets_every_fault(self) -> None:
        pairs = {
            (phase, point, case.values[1].name) for case in CASES for phase, point in case.values[0].items()
        }
        assert not [
            (phase, point, fault.name)
            for phase, points in POINTS.items()
            for point in points
            for fault in FAULTS
            if (phase, point, fault.name) not in pairs
        ]

    def test_most_pairs_can_meet(self) -> None:
        """Each point where the process dies meets nearly all the faults that have anything to do in its phase."""
        able, listed = 0, 0
        for phase, points in POINTS.items():
            for point in set(points) - {*NOWHERE, "adopt.before-persist", "adopt.persisted"}:
                whys = [why_not(phase, point, fault, kind="Channel") for fault in FAULTS]
                able += whys.count("")
                listed += sum(bool(why) and "not done in this phase" not in why for why in whys)
        assert able > 1000
        assert listed < 30

    def test_dies_at_every_point(self) -> None:
        for phase, points in POINTS.items():
            for point in points:
                if point not in NOWHERE:
                    life = Life({Phase.MAKE: NOWHERE[0], phase: point}, FAULTS[0], kind="Channel")
                    life.run()
                    assert life.counts[phase]["kills"] == 1, point

    def test_a_careless_provider_is_found_out(
        self, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
    ) -> None:
        """One that takes every create without an answer for one that made nothing."""

        def resolve(_p: Pass, opened: attempts.OpenAttempt) -> tuple[attempts.OpenAttempt, Resolution]:
            return opened, Resolution(verdict=Verdict.MISSED)

        def missed(
            p: Pass, _opened: attempts.OpenAttempt, _resolution: Resolution, **_: Any
        ) -> Result | None:
            p.persist(attempts.failed(p.tools.wall()))
            return None

        monkeypatch.setattr(steps_create, "_resolve", resolve)
        monkeypatch.setattr(steps_create, "_missed", missed)
        found, cases = 0, 0
        for case in CASES:
            points, fault, kind = case.values
            if points[Phase.MAKE] in {"create.sent", "in flight: POST"}:
                life = Life({Phase.MAKE: points[Phase.MAKE]}, fault, kind=kind)
                life.run()
                cases += 1
                found += life.counts[Phase.MAKE]["duplicates"]
        _print(request, "", f"a careless provider makes {found} duplicates in {cases} cases")
        assert found > 0

    def test_a_provider_that_forgets_its_deletes_is_found_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that can tell what it has deleted from what is hidden by the audit log alone."""
        monkeypatch.setattr(deletions, "begun_deletion", lambda _mr: None)
        found = set()
        for fault in (fault for fault in FAULTS if fault.blind and not fault.meanwhile):
            for point in ("nowhere", "in flight: DELETE", "delete.sent"):
                life = Life({Phase.MAKE: NOWHERE[0], Phase.DELETE: point}, fault, kind="Channel")
                life.run()
                if life.counts[Phase.DELETE]["needless halts"]:
                    found.add((point, fault.name))
        assert found >= {
            ("in flight: DELETE", "log forbidden"),
            ("delete.sent", "log forbidden"),
            ("nowhere", "DELETE: never an answer, log forbidden"),
        }

    def test_a_death_that_is_caught_is_seen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        persist = Pass.persist_critical

        def stubborn(p: Pass, *args: Any, **kwargs: Any) -> bool:
            with contextlib.suppress(BaseException):
                p.tools.checkpoint("create.persisted")
            return persist(p, *args, **kwargs)

        monkeypatch.setattr(Pass, "persist_critical", stubborn)
        life = Life({Phase.MAKE: "create.persisted"}, FAULTS[0], kind="Role")
        with pytest.raises(AssertionError, match="caught the death"):
            life.run()

    def test_what_a_dead_process_still_does_is_seen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        created = steps_create._created

        def tidy(p: Pass, *args: Any, **kwargs: Any) -> Result:
            try:
                return created(p, *args, **kwargs)
            finally:
                p.tools.access.get(p.mr.resource, p.mr.key)

        monkeypatch.setattr(steps_create, "_created", tidy)
        life = Life({Phase.MAKE: "create.persisted"}, FAULTS[0], kind="Role")
        life.run()
        assert life.counts[Phase.MAKE]["zombies"] == 1
