"""A bounded part of the chaos in every test run; `make chaos` is the whole. See docs/design/chaos.md.

A few seeds, each with fewer lives than there. What they protect: nothing is made twice, nothing is lost, nothing
foreign is touched and nobody has to help, wherever the provider is killed and whatever becomes of its requests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from controlplane import ControlPlane

from provider_discord.managed.tools import CHECKPOINTS
from tests.chaos.plan import Family, family_of, plan_of
from tests.chaos.processes import Zygote
from tests.chaos.proxy import one_namespace
from tests.chaos.run_seed import Result, run_seed
from tests.chaos.weather import Ambush, Mishap, Weather
from tests.chaos.worker import endpoint_of
from tests.conftest import REPOSITORY, require_tools

LIVES = {3: 6, 1001: 3, 2001: 2, 6001: 4}
"""How many lives end in each seed: an administrator, no audit log, the installed command, a negative control."""


@pytest.fixture(scope="module")
def control_plane() -> Iterator[ControlPlane]:
    """An API server of these seeds' own: what they leave would be there for the next test's provider."""
    require_tools()
    with ControlPlane(crds=[REPOSITORY / "package" / "crds"]) as control_plane:
        yield control_plane


@pytest.fixture(scope="module")
def results(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Result]:
    """What came of the seeds, which run side by side: most of the time each of them waits."""
    folder = tmp_path_factory.mktemp("chaos")

    def run(seed: int) -> Result:
        zygote = Zygote()
        try:
            return run_seed(
                plan_of(seed, lives=LIVES[seed]),
                endpoint=endpoint_of(control_plane),
                processes=zygote,
                folder=folder,
            )
        finally:
            zygote.close()

    with ThreadPoolExecutor(len(LIVES)) as pool:
        return dict(zip(LIVES, pool.map(run, LIVES), strict=True))


@pytest.mark.e2e
@pytest.mark.timeout(240)
class TestChaos:
    @pytest.mark.parametrize(
        "seed",
        [
            pytest.param(3, id="an administrator"),
            pytest.param(1001, id="no audit log: a halt is allowed, a duplicate never"),
            pytest.param(2001, id="the installed command"),
        ],
    )
    def test_killed_anywhere_it_settles(self, seed: int, results: dict[int, Result]) -> None:
        result = results[seed]
        assert result.passed, explained(result)
        assert sum(result.kills.values()) >= LIVES[seed]
        assert result.creates > 0

    def test_lives_end_where_they_shall(self, results: dict[int, Result]) -> None:
        """A harness whose lives pass every label unharmed would find nothing."""
        at_labels = sum(results[seed].kills.get(label, 0) for seed in LIVES for label in CHECKPOINTS)
        assert at_labels >= 4, [results[seed].kills for seed in LIVES]

    def test_a_careless_provider_is_found_out(self, results: dict[int, Result]) -> None:
        """Without the resolution of open attempts things are made twice: it sees what it is there to see."""
        assert results[6001].duplicates > 0, explained(results[6001])


class TestPlans:
    def test_a_control_has_the_chaos_of_a_general_seed(self) -> None:
        control = plan_of(5007)
        assert replace(control, seed=7, family=Family.GENERAL, broken="") == plan_of(7)
        assert control.broken == "create-again"

    def test_every_label_has_its_turn(self) -> None:
        planned = Counter(death.label for seed in range(1, 151) for death in plan_of(seed).deaths)
        assert not [label for label in CHECKPOINTS if planned[label] < 15]

    def test_a_seed_is_always_the_same_plan(self) -> None:
        assert plan_of(17) == plan_of(17)
        assert plan_of(17) != plan_of(18)

    def test_every_family_has_its_thousand(self) -> None:
        assert [family_of(number * 1000 + 1) for number in range(len(Family))] == list(Family)

    def test_a_seed_beyond_them_is_refused(self) -> None:
        with pytest.raises(ValueError, match="there is no seed"):
            family_of(99_000)


class TestWeather:
    def test_an_ambush_strikes_at_the_request_it_was_laid_for(self) -> None:
        weather = Weather(seed="a", mishaps={Mishap.SLOW: 1})
        weather.lay(Ambush(mishap=Mishap.KILL_AFTER, method="POST", count=2))
        struck = [weather.strike(method) for method in ("GET", "POST", "PUT", "POST", "POST")]
        assert struck == [None, None, None, Mishap.KILL_AFTER, None]

    def test_when_it_is_calm_nothing_strikes(self) -> None:
        weather = Weather(seed="a", mishaps={Mishap.CUT_AFTER: 1})
        weather.rate = 1.0
        assert weather.strike("GET") is Mishap.CUT_AFTER
        weather.calm()
        assert weather.strike("GET") is None


class TestOneNamespace:
    """A lane's provider believes that it sees the cluster."""

    @pytest.mark.parametrize(
        ("method", "target", "rewritten"),
        [
            pytest.param(
                "GET",
                "/apis/channel.discord.crossplane.io/v1alpha1/channels?watch=true",
                "/apis/channel.discord.crossplane.io/v1alpha1/namespaces/lane/channels?watch=true",
                id="a namespaced kind is listed in one namespace",
            ),
            pytest.param(
                "GET",
                "/apis/discord.crossplane.io/v1alpha1/providerconfigs?limit=100",
                "/apis/discord.crossplane.io/v1alpha1/providerconfigs?limit=100&fieldSelector=metadata.name%3Dlane",
                id="of the configs there is one",
            ),
            pytest.param(
                "GET",
                "/apis/discord.crossplane.io/v1alpha1/providerconfigs/lane",
                "/apis/discord.crossplane.io/v1alpha1/providerconfigs/lane",
                id="one object is read as it is",
            ),
            pytest.param(
                "POST",
                "/api/v1/namespaces/lane/events",
                "/api/v1/namespaces/lane/events",
                id="writes pass",
            ),
        ],
    )
    def test_lists_are_narrowed(self, method: str, target: str, rewritten: str) -> None:
        rewrite = one_namespace(
            "lane", "lane", group="discord.crossplane.io", namespaced=frozenset({"channels"})
        )
        assert rewrite(method, target) == rewritten


def explained(result: Result) -> str:
    log = Path(result.log).read_text(errors="replace")[-4000:] if result.log else ""
    return "\n".join([*result.complaints, "--- provider ---", log])
