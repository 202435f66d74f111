"""An exercise for each alert: its real cause in a running system, and the remedy that the runbook gives.

The provider, a simulated Discord and an API server run as always; a real Prometheus scrapes the provider and
evaluates the chart's own rules, their minutes made fractions of seconds. Every exercise leaves a system in which
nothing is wrong. Afterwards the log must hold what the runbooks search it for.
"""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from controlplane import ControlPlane, Tool
from dashboards import FOLDER
from prometheus_client.parser import text_string_to_metric_families

from provider_discord.managed import meta
from provider_discord.simulator import LimitsConfig, Mode, SimulatorConfig, SimulatorServer
from provider_discord.telemetry.metrics import Metrics
from provider_discord.telemetry.reference import described
from tests.conftest import REPOSITORY, require_tools
from tests.e2e.conftest import TOKEN, Obj, Provider, System, _release, check_for_tracebacks, eventually
from tests.e2e.rights import provider_kubeconfig
from tests.operations.prometheus import Prometheus, scaled
from tests.operations.runbook import fences

RUNBOOKS = REPOSITORY / "docs/operations/runbooks.md"
RULES = REPOSITORY / "chart/provider-discord/files/alerts.yaml"
CHANNELS = 8


@dataclass(frozen=True, slots=True)
class World:
    system: System
    prometheus: Prometheus
    objects: tuple[Obj, ...]

    def until_well(self) -> None:
        """Wait until everything is true, somebody leads, the tokens work and no alert fires."""
        self.system.until_true(*self.objects)
        metric = self.system.provider.metric
        self.system.until(
            lambda: metric("provider_discord_token_valid") == metric("leader_election_master_status") == 1,
            "a copy that leads, connected",
        )
        self.system.until(lambda: not self._firing(), "no alert to fire")

    def until_fires(self, *alerts: str) -> None:
        """Wait until each of them has fired; one cause may put the alerts on it right one by one."""
        left = set(alerts)

        def all_have() -> bool:
            left.difference_update(self._firing())
            return not left

        self.system.until(all_have, f"{', '.join(alerts)} to fire")

    def until_resolved(self, *alerts: str) -> None:
        self.system.until(lambda: self._firing().isdisjoint(alerts), f"{', '.join(alerts)} to resolve")

    def _firing(self) -> set[str]:
        return set(self.prometheus.firing())


@pytest.fixture(scope="module")
def world(
    control_plane: ControlPlane, crds: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    require_tools([Tool.PROMETHEUS])
    namespace = f"exercises-{secrets.token_hex(3)}"
    control_plane.request(
        "POST",
        "/api/v1/namespaces",
        body={"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
    )
    folder = tmp_path_factory.mktemp("exercises")
    config = SimulatorConfig(token=TOKEN, guild_name="Test Guild", limits=LimitsConfig(mode=Mode.OFF))
    with SimulatorServer(config) as simulator:
        provider = Provider(
            kubeconfig=provider_kubeconfig(control_plane, namespace),
            folder=folder,
            # A poll a second on the scaled clock: alerts that wait for several polls fire sooner.
            arguments=("--poll", "20s", "--leader-election", "--leader-election-namespace", namespace),
        )
        system = System(
            control_plane=control_plane, simulator=simulator, provider=provider, namespace=namespace
        )
        rules = scaled(yaml.safe_load(RULES.read_text()))
        try:
            provider.start()
            with Prometheus(
                folder=folder / "prometheus", targets=[f"127.0.0.1:{provider.port}"], rules=rules
            ) as prometheus:
                channels = [system.channel(f"channel-{number}", topic="ours") for number in range(CHANNELS)]
                objects = (system.guild(), system.role("helper"), *channels)
                system.connect()
                system.apply(*objects)
                yield World(system, prometheus, objects)
            check_for_tracebacks(provider.log)
        finally:
            provider.end()
            _release(system)
            control_plane.request("DELETE", f"/api/v1/namespaces/{namespace}")


@pytest.fixture(autouse=True)
def _begin_and_end_well(world: World) -> Iterator[None]:
    world.until_well()
    yield
    world.system.discord.clear_faults()


def until_logged(world: World, *patterns: str) -> None:
    """Wait until the log has what the runbooks search it for."""

    def all_said() -> bool:
        return all(re.search(pattern, world.system.provider.log) for pattern in patterns)

    world.system.until(all_said, f"lines like {', '.join(patterns)}")


def remedy(section: str, begins: str) -> str:
    """Return the command of a section of the runbooks that begins so, just as it is printed."""
    texts = [one.text for fence in fences(RUNBOOKS) if fence.section == section for one in fence.commands]
    (found,) = [text for text in texts if text.startswith(begins)]
    return found


def here(system: System, command: str) -> list[str]:
    """Return the words after `kubectl` of a command about the runbooks' guild, for this system's."""
    return command.replace("my-guild -n discord", f"guild -n {system.namespace}").split()[1:]


def test_the_log_is_quiet_while_nothing_happens(world: World) -> None:
    before = len(world.system.provider.log)
    world.system.until_polled(2)
    said = world.system.provider.log[before:].splitlines()
    assert [line for line in said if "event=memory" not in line] == []
    until_logged(world, r"event=memory resident_mib=\d+")


def test_down_and_too_little_memory(world: World) -> None:
    provider = world.system.provider
    resident = provider.metric("process_resident_memory_bytes")
    usual = provider.arguments
    provider.kill()
    world.until_fires("ProviderDiscordDown")
    provider.arguments = (*usual, "--memory-limit", str(int(resident)))
    provider.start()
    world.until_resolved("ProviderDiscordDown")
    world.until_fires("ProviderDiscordMemoryUsageHigh")
    # The runbook: give it more.
    provider.stop()
    provider.arguments = (*usual, "--memory-limit", str(2 * int(resident)))
    provider.start()
    limit = [2.0 * int(resident)]
    world.system.until(
        lambda: world.prometheus.numbers("provider_discord_memory_limit_bytes") == limit, "the new limit"
    )
    world.until_resolved("ProviderDiscordDown", "ProviderDiscordMemoryUsageHigh")


def test_discord_fails(world: World) -> None:
    world.system.discord.add_fault("status", status=503, times=0)
    alerts = (
        "ProviderDiscordHighErrorRate",
        "ProviderDiscordCircuitBreakerOpen",
        "ProviderDiscordAPIUnhealthy",
        "ProviderDiscordReconciliationStuck",
    )
    world.until_fires(*alerts)
    assert world.system.provider.probe("/healthz") == 503
    assert "ProviderDiscordTokenInvalid" not in world.prometheus.firing(), "nothing is wrong with the token"
    # The runbook: it closes by itself when Discord answers again.
    world.system.discord.clear_faults()
    world.until_resolved(*alerts)
    assert world.system.provider.probe("/healthz") == 200
    until_logged(world, r"level=(error|warning).*error", r"circuit.*open", r"reconcile")


def test_one_side_route_fails(world: World) -> None:
    """The audit log, asked for what became of a create: all else goes on, and no alert says otherwise."""
    system = world.system
    discord, found = system.discord, system.channel("found-again")
    discord.add_fault("status", status=503, route="/guilds/{guild_id}/audit-logs", times=0)
    discord.add_fault("drop", method="POST", route="/guilds/{guild_id}/channels", after_commit=True, times=1)
    system.apply(found)
    world.until_fires("ProviderDiscordCircuitBreakerOpen")
    assert world.prometheus.firing()["ProviderDiscordCircuitBreakerOpen"]["resource_type"] == "audit_log"
    assert system.provider.probe("/healthz") == 200
    assert "ProviderDiscordAPIUnhealthy" not in world.prometheus.firing()
    discord.clear_faults()
    world.until_resolved("ProviderDiscordCircuitBreakerOpen")
    system.until_true(found)
    assert [channel["name"] for channel in discord.channels()].count("found-again") == 1


def test_discord_is_slow(world: World) -> None:
    world.system.discord.add_fault("delay", seconds=3.0, times=0)
    world.until_fires("ProviderDiscordHighLatency")
    world.system.discord.clear_faults()
    world.until_resolved("ProviderDiscordHighLatency")


def test_nobody_leads(world: World) -> None:
    """Somebody holds the lease and is not there any more: with a long lease, as a mistaken tool may write it."""
    system = world.system
    path = f"/apis/coordination.k8s.io/v1/namespaces/{system.namespace}/leases"
    name = "crossplane-leader-election-provider-discord"
    system.control_plane.request(
        "PATCH",
        f"{path}/{name}",
        body={"spec": {"holderIdentity": "somebody-who-is-gone", "leaseDurationSeconds": 3600}},
        content_type="application/merge-patch+json",
    )
    world.until_fires("ProviderDiscordReconciliationStuck")
    command = remedy("Nobody leads", "kubectl delete lease ")
    system.control_plane.kubectl(*command.replace("crossplane-system", system.namespace).split()[1:])
    world.until_resolved("ProviderDiscordReconciliationStuck")


def test_rate_limits(world: World) -> None:
    """Somebody else uses the same token up."""
    world.system.discord.add_fault("rate-limit", seconds=0.05, scope="user", times=30)
    world.until_fires("ProviderDiscordRateLimitApproaching")
    world.system.discord.clear_faults()
    world.until_resolved("ProviderDiscordRateLimitApproaching")
    until_logged(world, r"rate.*limit")


def test_banned(world: World) -> None:
    world.system.discord.ban(seconds=5.0)
    world.until_fires("ProviderDiscordInvalidRequestsNearLimit")
    world.until_resolved("ProviderDiscordInvalidRequestsNearLimit")


def test_token_revoked(world: World) -> None:
    system = world.system
    system.discord.revoke_token(TOKEN)
    world.until_fires("ProviderDiscordTokenInvalid")
    # The runbook: a new token in the same Secret, and no restart.
    system.discord.add_token("exercise-second-token")
    system.apply(system.secret("exercise-second-token"))
    world.until_resolved("ProviderDiscordTokenInvalid")
    until_logged(world, r"security.*reject", r"security.*token was changed")


def test_resource_blocked(world: World) -> None:
    """A human has made a channel of the same name: the provider makes no second one."""
    system = world.system
    theirs = system.discord.create_channel({"name": "lounge", "type": 0})
    system.apply(system.channel("lounge"))
    world.until_fires("ProviderDiscordResourceBlocked")
    # The condition's way out: adopt it.
    annotation = {"metadata": {"annotations": {meta.EXTERNAL_NAME: theirs["id"]}}}
    system.patch("Channel", "lounge", annotation)
    world.until_resolved("ProviderDiscordResourceBlocked")


def test_guild_held(world: World) -> None:
    """Somebody changes most of the guild at once."""
    system = world.system
    for number in range(CHANNELS):
        system.discord.edit_channel(f"channel-{number}", {"topic": "hacked"}, actor="Mo")
    world.until_fires("ProviderDiscordGuildHeld")
    assert "hacked" in {channel["topic"] for channel in system.discord.channels()}, "it is not fought"
    # The runbook: type what the condition Held says, the id taken out of it.
    annotate, _, rest = remedy("ProviderDiscordGuildHeld", "kubectl annotate ").partition('"$(')
    get, _, grep = rest.partition(" | grep -o ")
    said = system.control_plane.kubectl(*(part.strip("'") for part in here(system, get)))
    found = re.search(grep.split("'")[1], said)
    assert found is not None
    system.control_plane.kubectl(*here(system, annotate), found[0], "--overwrite")
    world.until_resolved("ProviderDiscordGuildHeld")
    until_logged(world, r"security.*unexpected actor or change.*Mo")


def test_what_is_scraped_is_on_the_page_of_metrics(world: World) -> None:
    there = {one.name: (one.type, set(one.labels)) for one in described(Metrics())}
    for family in text_string_to_metric_families(world.system.provider.get("/metrics").text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert name in there, f"{name} is missing on the page"
        type_, labels = there[name]
        assert family.type == type_
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == labels, sample


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.json")), ids=lambda file: str(file.stem))
def test_every_panel_shows_something_under_load(world: World, file: Path) -> None:
    system, channel = world.system, world.objects[-1]["metadata"]["name"]
    queries = [
        (panel["title"], target["expr"])
        for panel in json.loads(file.read_text())["panels"]
        for target in panel.get("targets", [])
    ]
    variables = {
        "$__rate_interval": "10s",
        "$__range": "60s",
        "$guild": f"{system.namespace}/guild",
        # All of them: where a series has no such label, too.
        "$cluster": ".*",
        "$namespace": ".*",
    }

    def shows(query: str) -> bool:
        for variable, value in variables.items():
            query = query.replace(variable, value)
        return any(not math.isnan(number) for number in world.prometheus.numbers(query))

    def empty() -> list[str]:
        # Some load: a change for the provider to make.
        system.patch("Channel", channel, {"spec": {"forProvider": {"topic": secrets.token_hex(4)}}})
        return [f"{title}: {query}" for title, query in queries if not shows(query)]

    assert queries
    left = ["not looked yet"]

    def all_show() -> bool:
        left[:] = empty()
        return not left

    eventually(all_show, "every panel to show something", explain=lambda: "\n".join(left))
