"""What dashboards see of managed resources."""

from __future__ import annotations

import re

import pytest

from provider_discord.kube.resource import Key, Resource
from provider_discord.managed.metrics import ManagedMetrics
from provider_discord.managed.results import Outcome
from provider_discord.telemetry.managed import ManagedInstruments
from provider_discord.telemetry.metrics import Metrics

CHANNELS = Resource("channel.discord.crossplane.io", "v1alpha1", "channels", "Channel", namespaced=True)


class World:
    """Instruments over a cluster that holds `objects` channels."""

    def __init__(self) -> None:
        self.objects = 0
        self.leads = True
        self.clock = 1_000.0
        self.metrics = Metrics()
        self.instruments = ManagedInstruments(
            self.metrics,
            counts={CHANNELS: lambda: self.objects},
            workers=10,
            guild_of=lambda _kind, key: f"{getattr(key, 'namespace', '')}/guild",
            leads=lambda: self.leads,
            wall=lambda: self.clock,
        )
        self.as_protocol: ManagedMetrics = self.instruments

    def value(self, series: str) -> float | None:
        self.instruments.refresh()
        text = self.metrics.render().decode()
        found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else None

    def resources(self, ready: str, synced: str) -> float | None:
        return self.value(
            f'provider_discord_resources_total{{kind="Channel",ready="{ready}",synced="{synced}"}}'
        )


@pytest.fixture
def world() -> World:
    return World()


def test_two_objects_of_one_name_in_two_namespaces_count_twice(world: World) -> None:
    world.objects = 2
    for namespace in ("a", "b"):
        world.instruments.state(CHANNELS, Key(namespace, "general"), exists=True, ready=True, synced=True)
    assert world.resources("True", "True") == 2


def test_an_object_nobody_has_looked_at_counts_as_unknown(world: World) -> None:
    world.objects = 3
    world.instruments.state(CHANNELS, Key("a", "general"), exists=True, ready=True, synced=False)
    assert world.resources("True", "False") == 1
    assert world.resources("Unknown", "Unknown") == 2
    gvk = 'gvk="channel.discord.crossplane.io/v1alpha1, Kind=Channel"'
    assert world.value(f"crossplane_managed_resource_exists{{{gvk}}}") == 3
    assert world.value(f"crossplane_managed_resource_ready{{{gvk}}}") == 1
    assert world.value(f"crossplane_managed_resource_synced{{{gvk}}}") == 0


def test_an_object_that_is_gone_is_no_longer_counted(world: World) -> None:
    world.instruments.state(CHANNELS, Key("a", "general"), exists=True, ready=True, synced=True)
    world.instruments.forgotten(CHANNELS, Key("a", "general"))
    assert world.resources("True", "True") == 0


def test_reconciles_are_counted_by_result_under_crossplanes_name(world: World) -> None:
    world.instruments.reconciled(CHANNELS, Outcome.ERROR, seconds=0.1)
    controller = 'controller="managed/channel.channel.discord.crossplane.io"'
    assert world.value(f'controller_runtime_reconcile_total{{{controller},result="error"}}') == 1
    assert world.value(f"controller_runtime_reconcile_errors_total{{{controller}}}") == 1
    assert world.value(f'controller_runtime_reconcile_total{{{controller},result="success"}}') == 0


def test_a_config_that_is_gone_takes_its_series_along(world: World) -> None:
    series = 'provider_discord_token_valid{provider_config="default"}'
    world.instruments.token("default", valid=False)
    assert world.value(series) == 0
    world.instruments.token("default", valid=True)
    assert world.value(series) == 1
    world.leads = False
    assert world.value(series) is None, "what was true when this copy led is no news"
    world.leads = True
    assert world.value(series) == 1
    world.instruments.token("default", valid=None)
    assert world.value(series) is None


LAST = 'provider_discord_last_success_timestamp_seconds{kind="Channel"}'


def test_the_last_success_is_told_while_there_is_something_to_do(world: World) -> None:
    assert world.value(LAST) is None, "no object, no pass to wait for"
    world.objects = 2
    assert world.value(LAST) == 1_000, "from the first object on, time counts"
    world.clock = 1_060.0
    assert world.value(LAST) == 1_000
    world.instruments.settled(CHANNELS, Key("a", "general"), next_seconds=60.0)
    world.clock = 1_090.0
    assert world.value(LAST) == 1_060
    assert world.value('provider_discord_reconcile_interval_seconds{kind="Channel"}') == 60


def test_paused_objects_are_not_waited_for(world: World) -> None:
    world.objects = 1
    key = Key("a", "general")
    world.instruments.state(CHANNELS, key, exists=True, ready=True, synced=False, paused=True)
    assert world.value(LAST) is None
    assert world.value('provider_discord_resources_paused{kind="Channel"}') == 1
    world.clock = 5_000.0
    world.instruments.state(CHANNELS, key, exists=True, ready=True, synced=True, paused=False)
    assert world.value(LAST) == 5_000, "the pause is no time lost"


def test_objects_of_a_held_guild_are_told_apart(world: World) -> None:
    world.objects = 2
    for name, held in (("general", True), ("lounge", False)):
        world.instruments.state(CHANNELS, Key("a", name), exists=True, ready=True, synced=False, held=held)
    assert world.resources("True", "False") == 2
    assert world.value('provider_discord_resources_held{kind="Channel"}') == 1


def test_a_copy_that_does_not_lead_tells_nothing_of_passes(world: World) -> None:
    world.objects = 1
    world.instruments.state(CHANNELS, Key("a", "general"), exists=True, ready=True, synced=True)
    world.instruments.settled(CHANNELS, Key("a", "general"), next_seconds=60.0)
    of_guild = 'provider_discord_guild_last_success_timestamp_seconds{guild="a/guild"}'
    assert world.value(LAST) == world.value(of_guild) == 1_000
    world.leads = False
    assert world.value(LAST) is None
    assert world.value(of_guild) is None
    assert world.resources("True", "True") == 1, "it sees the objects all the same"
    world.leads, world.clock = True, 9_000.0
    assert world.value(LAST) == 9_000, "its own old passes do not count against it"


def test_a_guilds_series_go_with_its_last_object(world: World) -> None:
    key, other = Key("a", "general"), Key("b", "general")
    for one in (key, other):
        world.instruments.state(CHANNELS, one, exists=True, ready=True, synced=True)
    world.instruments.drifted(CHANNELS, key, seconds=1.0)
    resources = 'provider_discord_guild_resources{guild="a/guild",kind="Channel",ready="True",synced="True"}'
    drift = 'provider_discord_guild_drift_total{guild="a/guild",kind="Channel"}'
    assert (world.value(resources), world.value(drift)) == (1, 1)
    assert world.value(drift.replace("a/", "b/")) == 0, "exists before it happens"
    world.instruments.forgotten(CHANNELS, key)
    assert (world.value(resources), world.value(drift)) == (None, None)
    world.instruments.state(CHANNELS, key, exists=True, ready=True, synced=True)
    assert world.value(drift) == 0


def test_a_guild_tells_how_much_of_it_is_held(world: World) -> None:
    for name, held in (("a", True), ("b", False)):
        world.instruments.state(
            CHANNELS, Key(name, "general"), exists=True, ready=True, synced=not held, held=held
        )
    series = 'provider_discord_guild_resources_held{guild="a/guild",kind="Channel"}'
    assert (world.value(series), world.value(series.replace("a/", "b/"))) == (1, 0)
