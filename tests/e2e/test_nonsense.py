"""Discord having a bad day: answers that are broken, slow, late, or not Discord's at all.

Whatever comes, the provider says so without a traceback (the `system` fixture looks for one), does no harm, and
goes on by itself.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

from provider_discord.simulator import Effect, Fault

from .conftest import System

GUILD: Final = "/guilds/{guild_id}"
TIMES: Final = 2

BAD_ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "malformed": {"effect": Effect.MALFORMED},
    "truncated": {"effect": Effect.TRUNCATE},
    "slow": {"effect": Effect.SLOW_BODY, "seconds": 0.5},
    "late": {"effect": Effect.DELAY, "seconds": 0.5},
    "500": {"effect": Effect.STATUS, "status": 500},
    "503": {"effect": Effect.STATUS, "status": 503},
    "dropped": {"effect": Effect.DROP},
    "reset": {"effect": Effect.DROP, "reset": True},
    "dropped-after-it-was-done": {"effect": Effect.DROP, "after_commit": True},
    "rate-limited": {"effect": Effect.RATE_LIMIT, "seconds": 0.2},
}


def test_bad_answers_to_reads_are_survived(system: System) -> None:
    discord = system.discord
    lobby = system.channel("lobby", topic="at first")
    objects = [system.guild(), system.role("builder"), lobby]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    before, settled = discord.channels(), discord.last_request()

    # The readers meet one after the other, and give up in between.
    for number, answer in enumerate(BAD_ANSWERS.values()):
        route = GUILD if number % 2 else f"{GUILD}/channels"
        discord.add_fault(Fault(method="GET", route=route, times=TIMES, **answer))

    def all_struck() -> bool:
        system.reconcile(lobby)
        return all(fault["hits"] for fault in discord.faults())

    system.until(all_struck, "every fault to strike")
    system.reconcile(*objects)
    system.until_true(*objects)
    assert discord.channels() == before
    assert system.writes(settled) == []


def test_bad_answers_to_writes_are_survived(system: System) -> None:
    discord = system.discord
    objects = [system.guild(), *(system.channel(name, topic="at first") for name in BAD_ANSWERS)]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)

    for name, answer in BAD_ANSWERS.items():
        channel_id = discord.channel(name)["id"]
        discord.add_fault(Fault(method="PATCH", resource=channel_id, times=TIMES, **answer))
    changed = [system.channel(name, topic="changed") for name in BAD_ANSWERS]
    system.apply(*changed)
    system.until_true(*changed, seconds=20)
    assert all(fault["hits"] for fault in discord.faults())
    assert {one["name"]: one["topic"] for one in discord.channels()} == dict.fromkeys(BAD_ANSWERS, "changed")


def test_a_page_from_somewhere_else_proves_nothing(system: System) -> None:
    # A proxy's 401 says nothing about the token, its 404 nothing about what there is.
    discord = system.discord
    lobby, builder = system.channel("lobby"), system.role("builder")
    system.connect()
    system.apply(system.guild(), lobby, builder)
    system.until_true(lobby, builder)

    for status in (401, 404):
        discord.add_fault(Fault(effect=Effect.STATUS, status=status, method="GET", times=4))
        system.reconcile(lobby, builder)
        discord.clear_faults()
        system.reconcile(lobby, builder)
        system.until_true(lobby, builder)
    assert system.condition("ProviderConfig", system.config_name, "Ready")["status"] == "True"

    discord.add_fault(Fault(effect=Effect.STATUS, status=404, method="DELETE", times=0))
    for obj in (lobby, builder):
        system.delete(obj["kind"], obj["metadata"]["name"])
    system.until_synced_false("Role", "builder", "delete failed")
    system.until_synced_false("Channel", "lobby", "delete failed")
    assert discord.channel("lobby")
    assert discord.role("builder")
    discord.clear_faults()
    system.until(lambda: not system.objects("Channel") and not system.objects("Role"), "both to go")
    assert discord.channels() == []
    assert "builder" not in [one["name"] for one in discord.roles()]


def test_a_burst_of_server_errors_is_waited_out(system: System) -> None:
    discord = system.discord
    objects = [system.guild(), *(system.channel(f"lobby-{n}") for n in range(5)), system.role("builder")]
    discord.add_fault(Fault(effect=Effect.STATUS, status=503, times=0))
    system.connect()
    system.apply(*objects)
    said = system.until(
        lambda: system.condition("ProviderConfig", system.config_name, "Ready").get("message"),
        "the ProviderConfig to say that Discord fails",
    )
    assert "503" in said
    discord.clear_faults()
    system.until_true(*objects)

    # And when all was well: everything fails for a while, and the circuit opens.
    discord.add_fault(Fault(effect=Effect.STATUS, status=500, times=0))
    changed = [system.channel(f"lobby-{n}", topic="changed") for n in range(5)]
    system.apply(*changed)
    system.until(lambda: system.provider.probe("/healthz") == 503, "/healthz to say that Discord fails")
    assert "circuit open" in system.provider.get("/healthz?verbose").text
    assert system.provider.probe("/readyz") == 200
    before = discord.last_request()
    system.reconcile(*objects)
    asked = discord.count_requests(since=before)
    assert asked <= len(objects), f"{asked} requests into an outage"

    discord.clear_faults()
    system.until_true(*objects[:1], *changed, objects[-1])
    assert len(discord.channels()) == 5
    system.until(lambda: system.provider.probe("/healthz") == 200, "/healthz to be well again")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_cloudflares_page_stops_everything_for_a_while(system: System, method: str) -> None:
    discord = system.discord
    objects = [system.guild(), system.channel("lobby", topic="at first")]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)

    discord.add_fault(Fault(effect=Effect.CLOUDFLARE, method=method, seconds=1))
    changed = [system.channel("lobby", topic="changed"), system.channel("hall")]
    system.apply(*changed)
    page = system.until(
        lambda: next(iter(discord.requests(status=429)), None), "Cloudflare's page to be answered"
    )
    system.until(
        lambda: any("edge refuses this address" in str(obj) for obj in system.objects("Channel")),
        "an object to say so",
    )
    system.until_true(*objects[:1], *changed)
    assert discord.channel("lobby")["topic"] == "changed"
    assert discord.count_requests(status=429) == 1
    # What was on its way arrives; after that there is silence for a minute, which is 3 s here.
    later = [one["at"] - page["at"] for one in discord.requests(since=page["seq"])]
    assert [seconds for seconds in later if 0.5 < seconds < 2.9] == []
