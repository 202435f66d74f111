"""What the health endpoints conclude from what is known."""

from __future__ import annotations

import pytest

from provider_discord import checks
from provider_discord.discord.routes import ResourceType


@pytest.mark.parametrize(
    ("open_circuits", "ok", "reason"),
    [
        ((), True, "all is well"),
        (("audit_log",), True, "only the names of who changed something are missing"),
        (("application", "channel", "member", "message", "role"), True, "guilds are read all the same"),
        (("guild",), False, "every pass begins with its guild"),
        (("channel", "user"), False, "no token can be checked"),
    ],
    ids=str,
)
def test_discord_is_unwell_only_where_every_pass_fails(
    open_circuits: tuple[str, ...], *, ok: bool, reason: str
) -> None:
    assert set(open_circuits) <= set(ResourceType)
    result = checks.discord(open_circuits)
    assert result.ok is ok, reason
    assert all(circuit in result.message for circuit in open_circuits), "each is told either way"
