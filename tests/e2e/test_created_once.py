"""A create whose answer is lost: whatever Discord did with it, in the end there is one, and nobody had to help.

Every object has its own misfortune. Discord's answers may be lost after the work was done, or before, or the work
is done a while after the connection broke (1 s here stands for 20 s: the provider's waits are scaled alike).
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import pytest

from provider_discord.simulator import Effect, Fault, Permission

from .conftest import System

LATE_SECONDS: Final = 1.0
MISFORTUNES: Final[dict[str, dict[str, Any]]] = {
    "500-done": {"effect": Effect.STATUS, "status": 500, "after_commit": True},
    "502-done": {"effect": Effect.STATUS, "status": 502, "after_commit": True},
    "504-done": {"effect": Effect.STATUS, "status": 504, "after_commit": True},
    "dropped-done": {"effect": Effect.DROP, "after_commit": True},
    "reset-done": {"effect": Effect.DROP, "after_commit": True, "reset": True},
    "truncated-done": {"effect": Effect.TRUNCATE},
    "malformed-done": {"effect": Effect.MALFORMED},
    "dropped-late": {"effect": Effect.DROP, "commit_delay_seconds": LATE_SECONDS},
    "502-late": {"effect": Effect.STATUS, "status": 502, "commit_delay_seconds": LATE_SECONDS},
    "500-never": {"effect": Effect.STATUS, "status": 500},
    "dropped-never": {"effect": Effect.DROP},
}
NO_AUDIT_LOG: Final = ["VIEW_CHANNEL", "MANAGE_CHANNELS", "MANAGE_ROLES", "MANAGE_GUILD"]


@pytest.mark.parametrize(
    ("permissions", "lag_seconds"),
    [
        pytest.param([Permission.ADMINISTRATOR.name], 0.0, id="audit log"),
        pytest.param([Permission.ADMINISTRATOR.name], 2.0, id="audit log that lags"),
        pytest.param(NO_AUDIT_LOG, 0.0, id="no audit log"),
    ],
)
def test_a_create_whose_answer_is_lost_makes_exactly_one(
    system: System, permissions: list[str], lag_seconds: float
) -> None:
    discord = system.discord
    discord.set_bot_permissions(permissions)
    discord.set_behaviour(audit_log_lag_seconds=lag_seconds)
    for name, misfortune in MISFORTUNES.items():
        for route in ("/guilds/{guild_id}/channels", "/guilds/{guild_id}/roles"):
            discord.add_fault(Fault(method="POST", route=route, name=name, **misfortune))
    objects = [
        system.guild(),
        *(system.channel(name, topic="ours") for name in MISFORTUNES),
        *(system.role(name, color=7) for name in MISFORTUNES),
    ]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects, seconds=20)

    assert all(fault["hits"] == 1 for fault in discord.faults()), "each had its misfortune"
    channels, roles = discord.channels(), [one for one in discord.roles() if one["name"] in MISFORTUNES]
    assert Counter(one["name"] for one in channels) == dict.fromkeys(MISFORTUNES, 1)
    assert Counter(one["name"] for one in roles) == dict.fromkeys(MISFORTUNES, 1)
    assert {one["topic"] for one in channels} == {"ours"}
    assert {one["colors"]["primary_color"] for one in roles} == {7}
    for kind, found in (("Channel", channels), ("Role", roles)):
        for one in found:
            assert system.external_name(kind, one["name"]) == one["id"]
    # What Discord had made was found, not made again.
    posts = Counter(one["body"]["name"] for one in discord.requests(method="POST"))
    assert posts == {name: 4 if name.endswith("never") else 2 for name in MISFORTUNES}


def test_an_object_deleted_before_its_create_was_settled_leaves_nothing_behind(system: System) -> None:
    discord = system.discord
    names = ("dropped-done", "dropped-late", "dropped-never")
    for name in names:
        discord.add_fault(Fault(method="POST", name=name, **MISFORTUNES[name]))
    guild = system.guild()
    system.connect()
    system.apply(guild)
    system.until_true(guild)
    system.apply(*(system.channel(name) for name in names))
    system.until(
        lambda: all(fault["hits"] for fault in discord.faults()), "every create to have its misfortune"
    )

    for name in names:
        system.delete("Channel", name)
    system.until(lambda: not system.objects("Channel"), "all objects to go")
    # What came late was waited for; nothing is made or left after that.
    made = [one["body"]["name"] for one in discord.requests(method="POST")]
    assert sorted(made) == list(names)
    assert len(discord.requests(method="DELETE", status=200)) == 2
    assert discord.channels() == []
