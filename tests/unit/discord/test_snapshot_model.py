"""The snapshot against a model: writers, refreshes and people interleaved in any order, hypothesis choosing it.

What must hold at every moment:

* a write of ours that was recorded shows, and goes on to show until a later one of ours replaces it, also when a
  refresh began before it and comes back after it;
* what we deleted does not come back from a list that was read before;
* a channel that is no longer listed is told as changed and is in the next picture in which it is listed again;
* once nothing is under way, a refresh shows exactly what Discord lists.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from provider_discord.discord.difference import SnapshotChange
from provider_discord.discord.options import CallOptions
from provider_discord.discord.snapshot import SnapshotCache
from provider_discord.discord.timings import DiscordTimings

GUILD = "100"
IDS = [str(n) for n in range(1, 6)]
OPTIONS = CallOptions()
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["commit", "record", "create", "delete", "hide", "show"]), st.sampled_from(IDS)
    ),
    max_size=4,
)


class Guild(RuleBasedStateMachine):
    """Discord, the cache, and the writers between them; also what the cache reads from."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self.version = 0
        self.server: dict[str, dict[str, Any]] = {}
        self.hidden: set[str] = set()
        self.under_way: dict[str, dict[str, Any] | None] = {}
        """Committed at Discord, not recorded yet: the answer is on its way. None: a deletion."""
        self.recorded: dict[str, str | None] = {}
        """The name that our last recorded write gave; None: we deleted it."""
        self.doubtful: set[str] = set()
        """Hidden or shown since the last quiet refresh: what is listed depends on when the list was read."""
        self.before_list: list[tuple[str, str]] = []
        self.after_list: list[tuple[str, str]] = []
        self.told: list[SnapshotChange] = []
        self.cache = SnapshotCache(self, now=lambda: self.now, timings=DiscordTimings())
        self.cache.subscribe(lambda _, change: self.told.append(change))

    # What the cache reads from

    def guild(self, guild_id: str, /, *, options: CallOptions) -> dict[str, Any]:
        return {"id": guild_id, "name": "g", "roles": [{"id": guild_id, "name": "@everyone"}]}

    def guild_channels(self, guild_id: str, /, *, options: CallOptions) -> list[dict[str, Any]]:
        self._all(self.before_list)
        listed = [dict(channel) for key, channel in self.server.items() if key not in self.hidden]
        self._all(self.after_list)
        return listed

    def member(self, guild_id: str, user_id: str, /, *, options: CallOptions) -> dict[str, Any]:
        return {"user": {"id": user_id}, "roles": []}

    def current_user(self, *, options: CallOptions) -> dict[str, Any]:
        return {"id": "9"}

    def forgive(self) -> None:
        """Nothing is forbidden."""

    # What happens

    def _all(self, steps: list[tuple[str, str]]) -> None:
        for what, channel_id in steps:
            getattr(self, f"_{what}")(channel_id)

    def _commit(self, key: str) -> None:
        """Our PATCH reaches Discord; its answer is on its way."""
        if key in self.server and key not in self.under_way and key not in self.hidden:
            self.version += 1
            self.server[key] = {**self.server[key], "name": f"n{self.version}"}
            self.under_way[key] = dict(self.server[key])

    def _record(self, key: str) -> None:
        """The answer is there."""
        if key not in self.under_way:
            return
        answer = self.under_way.pop(key)
        if answer is None:
            self.cache.forget_channel(GUILD, key)
            self.recorded[key] = None
        else:
            self.cache.record_channel(GUILD, answer)
            self.recorded[key] = answer["name"]

    def _create(self, key: str) -> None:
        if key not in self.server and key not in self.under_way and self.recorded.get(key, "") == "":
            self.version += 1
            self.server[key] = {
                "id": key,
                "name": f"n{self.version}",
                "type": 0,
                "position": 0,
                "parent_id": None,
            }
            self.under_way[key] = dict(self.server[key])

    def _delete(self, key: str) -> None:
        if key in self.server and key not in self.under_way and key not in self.hidden:
            del self.server[key]
            self.under_way[key] = None

    def _hide(self, key: str) -> None:
        if key in self.server and key not in self.under_way:
            self.hidden.add(key)
            self.doubtful.add(key)

    def _show(self, key: str) -> None:
        if key in self.hidden:
            self.hidden.discard(key)
            self.doubtful.add(key)

    @rule(
        step=st.tuples(
            st.sampled_from(["commit", "record", "create", "delete", "hide", "show"]), st.sampled_from(IDS)
        )
    )
    def something_happens(self, step: tuple[str, str]) -> None:
        self._all([step])

    @rule(before=STEPS, after=STEPS)
    def refresh(self, before: list[tuple[str, str]], after: list[tuple[str, str]]) -> None:
        self.now += 10.0
        self.before_list, self.after_list = before, after
        self.cache.get(GUILD, max_age_seconds=0.0, options=OPTIONS)
        self.before_list, self.after_list = [], []

    @rule()
    def a_quiet_refresh_shows_what_discord_lists(self) -> None:
        for key in list(self.under_way):
            self._record(key)
        was = self.cache.peek(GUILD)
        self.told.clear()
        self.now += 10.0
        shown = self.cache.get(GUILD, max_age_seconds=0.0, options=OPTIONS)
        listed = {key: channel for key, channel in self.server.items() if key not in self.hidden}
        assert dict(shown.channels) == listed
        self.doubtful.clear()
        if was is not None:
            news = frozenset(
                k for k in was.channels.keys() | listed.keys() if was.channels.get(k) != listed.get(k)
            )
            assert frozenset[str]().union(*(change.channel_ids for change in self.told)) == news

    @invariant()
    def what_we_recorded_shows(self) -> None:
        shown = self.cache.peek(GUILD)
        if shown is None:
            return
        for key, name in self.recorded.items():
            if key in self.doubtful or key in self.hidden:
                continue
            if name is None:
                assert key not in shown.channels, "deleted by us"
                continue
            pending = self.under_way.get(key, {})
            allowed = {name, None if pending is None else pending.get("name", name)}
            assert shown.channels.get(key, {}).get("name") in allowed


TestGuild = Guild.TestCase
TestGuild.settings = settings(derandomize=True, deadline=None, max_examples=150, stateful_step_count=25)
