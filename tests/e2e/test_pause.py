"""One annotation stops everything below a Guild or a ProviderConfig, and taking it away goes on with all of it."""

from __future__ import annotations

from typing import Final

import pytest

from provider_discord.managed import meta

from .conftest import System

PAUSED: Final = {"metadata": {"annotations": {meta.PAUSED: "true"}}}
RESUMED: Final = {"metadata": {"annotations": {meta.PAUSED: None}}}


def passes(system: System) -> float:
    controller = "managed/channel.channel.discord.crossplane.io"
    return system.provider.metric("controller_runtime_reconcile_total", controller=controller)


@pytest.mark.parametrize("above", ["Guild", "ProviderConfig"])
def test_a_paused_guild_stops_everything_in_it(system: System, above: str) -> None:
    name = "guild" if above == "Guild" else system.config_name
    says = f"Guild {system.namespace}/guild" if above == "Guild" else f'ProviderConfig "{name}"'
    lobby, doomed = system.channel("lobby", topic="ours"), system.channel("doomed")
    builder = system.role("builder", color=7)
    system.connect()
    system.apply(system.guild(), lobby, doomed, builder)
    system.until_true(system.guild(), lobby, doomed, builder)

    system.patch(above, name, PAUSED)
    for kind, of in (("Channel", "lobby"), ("Channel", "doomed"), ("Role", "builder")):
        said = system.until_synced_false(kind, of, "is paused by the annotation")
        assert said.startswith(f"{says} is paused by the annotation {meta.PAUSED}")
        assert system.condition(kind, of, "Synced")["reason"] == "ReconcilePaused"
    event = system.until_event("lobby", "ReconciliationPaused", says, "Normal")
    assert event["source"]["component"] == "managed/channel.channel.discord.crossplane.io"
    assert event["reportingComponent"] == "provider-discord"
    since = system.discord.last_request()

    # By hand, by manifest, anew and away: nothing of it is followed.
    system.discord.edit_channel("lobby", {"topic": "by hand"})
    system.patch("Role", "builder", {"spec": {"forProvider": {"color": 9}}})
    system.apply(system.channel("fresh"))
    system.delete("Channel", "doomed")
    system.until_synced_false("Channel", "fresh", "is paused by the annotation")
    system.provider.kill()  # Nor does a new process.
    system.provider.start()
    system.until(lambda: passes(system) >= 6, "every channel to have had a pass or two")
    assert system.writes(since) == []
    assert system.exists("Channel", "doomed")

    system.patch(above, name, RESUMED)
    lobby, builder = system.channel("lobby"), system.role("builder")
    system.until_true(lobby, builder, system.channel("fresh"))
    system.until(lambda: not system.exists("Channel", "doomed"), "the deletion to be carried out")
    assert system.discord.channel("lobby")["topic"] == "ours"
    assert system.discord.role("builder")["color"] == 9
    assert [one["name"] for one in system.discord.channels()].count("doomed") == 0
