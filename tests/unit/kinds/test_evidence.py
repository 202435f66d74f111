"""The audit log is read as far as a question needs, and what was left unread is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from provider_discord.discord import snowflake
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds.audit_log import Action
from provider_discord.kinds.evidence import creations_of, entries_back_to
from provider_discord.kinds.timings import KindTimings
from provider_discord.kinds.visit import Visit
from provider_discord.managed.external import Attempt

_STARTED = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
_TIMINGS = KindTimings(audit_pages=3)
_ADMIN = {"id": "1", "name": "@everyone", "position": 0, "permissions": "8"}
_SNAPSHOT = GuildSnapshot(
    {"id": "1", "owner_id": "2"}, {}, {"1": _ADMIN}, {"user": {"id": "9"}, "roles": []}, 0.0
)


class _Log:
    """A guild's audit log with one entry a second, from before the attempt on."""

    def __init__(self, first: int, last: int) -> None:
        times = (_STARTED + timedelta(seconds=second) for second in range(last, first - 1, -1))
        self.entries = [{"id": str(snowflake.first_at(at))} for at in times]
        self.reads = 0

    def audit_log(self, guild_id: str, *, before: str | None, limit: int, **_: Any) -> dict[str, Any]:
        assert guild_id == "1"
        self.reads += 1
        found = [entry for entry in self.entries if before is None or int(entry["id"]) < int(before)]
        return {"audit_log_entries": found[:limit]}


def _visit(log: _Log) -> Visit:
    return cast("Visit", SimpleNamespace(client=log, timings=_TIMINGS, options=lambda: None))


@pytest.mark.parametrize(
    ("first", "last", "reads", "complete", "reason"),
    [
        (-50, 20, 1, True, "a quiet guild: one page has it all"),
        (-900, 20, 1, True, "older pages are not read"),
        (-900, 150, 2, True, "as many pages as it takes"),
        (-900, 3600, 2, True, "an hour of other people's work since does not count"),
    ],
)
def test_an_attempts_time_is_read(first: int, last: int, reads: int, complete: bool, reason: str) -> None:
    log = _Log(first, last)
    attempt = Attempt(id="mine", started=_STARTED, ended=_STARTED + timedelta(seconds=5))
    read = creations_of(_visit(log), _SNAPSHOT, attempt, action=Action.CHANNEL_CREATE)
    assert read is not None
    assert (log.reads, read.complete) == (reads, complete), reason
    oldest, newest = (snowflake.created_at(read.found[index]["id"]) for index in (-1, 0))
    assert oldest <= max(_STARTED - timedelta(seconds=15), _STARTED + timedelta(seconds=first)), reason
    assert newest >= _STARTED + timedelta(seconds=min(last, 120)), reason


def test_what_was_left_unread_is_said() -> None:
    log = _Log(-900, 3600)
    oldest = snowflake.first_at(_STARTED)
    read = entries_back_to(_visit(log), _SNAPSHOT, action=Action.CHANNEL_CREATE, oldest=oldest)
    assert read is not None
    assert (log.reads, len(read.found), read.complete) == (3, 300, False)
