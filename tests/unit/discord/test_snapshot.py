"""The guild snapshot: shared, never losing our own writes, and never calling a missing channel deleted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from provider_discord.discord.difference import SnapshotChange, difference
from provider_discord.discord.errors import DiscordError, NotFound, RateLimited, Scope, Unavailable
from provider_discord.discord.options import CallOptions
from provider_discord.discord.priority import Priority
from provider_discord.discord.snapshot import GuildSnapshot, SnapshotCache
from provider_discord.discord.timings import DiscordTimings

USER = CallOptions(priority=Priority.USER)
POLL = CallOptions(priority=Priority.POLL)
GUILD = "100"


def channel(channel_id: str, **more: Any) -> dict[str, Any]:
    return {"id": channel_id, "name": f"c{channel_id}", "type": 0, "position": 0, "parent_id": None, **more}


class Reader:
    """A guild, and a gate before its channel list so that a test can act while a refresh is under way."""

    def __init__(self) -> None:
        self.channels = {"1": channel("1"), "2": channel("2")}
        self.roles = {GUILD: {"id": GUILD, "name": "@everyone", "position": 0}}
        self.settings: dict[str, Any] = {"name": "Guild"}
        self.calls: list[str] = []
        self.forgiven = 0
        self.fail: DiscordError | None = None
        self.at_the_gate = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def guild(self, guild_id: str, /, *, options: CallOptions) -> dict[str, Any]:
        self.calls.append("guild")
        if self.fail is not None:
            self.at_the_gate.set()
            assert self.gate.wait(5.0)
            raise self.fail
        return {"id": guild_id, **self.settings, "roles": list(self.roles.values())}

    def guild_channels(self, guild_id: str, /, *, options: CallOptions) -> list[dict[str, Any]]:
        self.calls.append("channels")
        listed = [dict(item) for item in self.channels.values()]
        self.at_the_gate.set()
        assert self.gate.wait(5.0)
        return listed

    def member(self, guild_id: str, user_id: str, /, *, options: CallOptions) -> dict[str, Any]:
        self.calls.append("member")
        return {"user": {"id": user_id}, "roles": []}

    def current_user(self, *, options: CallOptions) -> dict[str, Any]:
        self.calls.append("user")
        return {"id": "9"}

    def forgive(self) -> None:
        self.forgiven += 1

    def hold(self) -> None:
        self.gate.clear()
        self.at_the_gate.clear()


def test_an_answer_without_the_roles_is_no_guild_without_roles() -> None:
    reader, clock = Reader(), Clock()
    cache = SnapshotCache(reader, now=clock, timings=DiscordTimings())
    before = cache.get(GUILD, options=USER)
    reader.roles.clear()
    clock.now += 1
    with pytest.raises(Unavailable, match="roles"):
        cache.get(GUILD, max_age_seconds=0, options=USER)
    assert cache.peek(GUILD) is before


def test_a_member_that_was_doubted_while_it_was_read_is_read_again() -> None:
    reader, clock = Reader(), Clock()
    cache = SnapshotCache(reader, now=clock, timings=DiscordTimings())
    read = reader.member

    def doubted(guild_id: str, user_id: str, /, *, options: CallOptions) -> dict[str, Any]:
        answer = read(guild_id, user_id, options=options)
        clock.now += 1
        cache.invalidate_member(guild_id)
        return answer

    reader.member = doubted  # type: ignore[method-assign]
    cache.get(GUILD, options=USER)
    reader.member = read  # type: ignore[method-assign]
    cache.get(GUILD, options=USER)
    assert reader.calls.count("member") == 2


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def cache(reader: Reader, clock: Clock) -> SnapshotCache:
    return SnapshotCache(reader, now=clock, timings=DiscordTimings())


def fresh(cache: SnapshotCache, options: CallOptions = USER) -> GuildSnapshot:
    return cache.get(GUILD, max_age_seconds=0.0, options=options)


def test_the_default_age_is_served_without_a_request(
    cache: SnapshotCache, reader: Reader, clock: Clock
) -> None:
    first = cache.get(GUILD, options=USER)
    assert reader.calls == ["guild", "channels", "user", "member"]
    clock.now += 4.0
    assert cache.get(GUILD, options=USER) is first
    clock.now += 2.0
    reader.calls.clear()
    assert cache.get(GUILD, options=USER).taken_at == clock.now
    assert reader.calls == ["guild", "channels"], "the bot's own member is read rarely"
    clock.now += DiscordTimings().member_max_age_seconds
    reader.calls.clear()
    fresh(cache)
    assert reader.calls == ["guild", "channels", "member"]


def test_a_403_has_the_member_read_again(cache: SnapshotCache, reader: Reader, clock: Clock) -> None:
    cache.get(GUILD, options=USER)
    clock.now += 0.1
    cache.invalidate_member(GUILD)
    reader.calls.clear()
    cache.get(GUILD, options=USER)
    assert reader.calls == ["guild", "channels", "member"]


@pytest.mark.parametrize("invalidate", [lambda c: c.invalidate(GUILD), lambda c: c.invalidate_all()])
def test_invalidate_makes_the_next_get_refresh(
    cache: SnapshotCache, reader: Reader, clock: Clock, invalidate: Callable[[SnapshotCache], None]
) -> None:
    cache.get(GUILD, options=USER)
    clock.now += 0.1
    invalidate(cache)
    reader.calls.clear()
    cache.get(GUILD, options=USER)
    assert reader.calls == ["guild", "channels"]


WRITES: list[tuple[str, Callable[[SnapshotCache], None], Callable[[GuildSnapshot], bool]]] = [
    (
        "a created channel",
        lambda c: c.record_channel(GUILD, channel("3", name="new")),
        lambda s: "3" in s.channels,
    ),
    (
        "a changed channel",
        lambda c: c.record_channel(GUILD, {"id": "1", "name": "mine"}),
        lambda s: (s.channels["1"]["name"], s.channels["1"]["type"]) == ("mine", 0),
    ),
    ("a deleted channel", lambda c: c.forget_channel(GUILD, "1"), lambda s: "1" not in s.channels),
    (
        "an overwrite",
        lambda c: c.record_overwrite(GUILD, "1", {"id": "7", "type": 0, "allow": "1", "deny": "0"}),
        lambda s: [o["id"] for o in s.channels["1"].get("permission_overwrites", [])] == ["7"],
    ),
    (
        "a removed overwrite",
        lambda c: c.forget_overwrite(GUILD, "1", "7"),
        lambda s: s.channels["1"].get("permission_overwrites") == [],
    ),
    (
        "channel positions",
        lambda c: c.record_channel_positions(GUILD, [{"id": "1", "position": 5, "parent_id": "2"}]),
        lambda s: (s.channels["1"]["position"], s.channels["1"]["parent_id"]) == (5, "2"),
    ),
    (
        "a role",
        lambda c: c.record_role(GUILD, {"id": "5", "name": "r", "position": 1}),
        lambda s: "5" in s.roles,
    ),
    (
        "role positions",
        lambda c: c.record_role_positions(GUILD, [{"id": GUILD, "position": 3}]),
        lambda s: s.roles[GUILD]["position"] == 3,
    ),
    ("a deleted role", lambda c: c.forget_role(GUILD, GUILD), lambda s: GUILD not in s.roles),
    (
        "settings",
        lambda c: c.record_guild(GUILD, {"id": GUILD, "name": "Mine", "roles": []}),
        lambda s: s.guild["name"] == "Mine" and GUILD in s.roles,
    ),
]


@pytest.mark.parametrize(("what", "write", "holds"), WRITES, ids=[what for what, _, _ in WRITES])
def test_a_write_shows_at_once_and_survives_a_list_that_was_read_before_it(
    cache: SnapshotCache,
    reader: Reader,
    clock: Clock,
    what: str,
    write: Callable[[SnapshotCache], None],
    holds: Callable[[GuildSnapshot], bool],
) -> None:
    cache.get(GUILD, options=USER)
    write(cache)
    assert holds(cache.get(GUILD, options=USER))

    clock.now += 100.0
    reader.hold()
    with ThreadPoolExecutor(1) as pool:
        refresh = pool.submit(lambda: fresh(cache))
        assert reader.at_the_gate.wait(5.0)  # the list is read; the write ends while it travels
        write(cache)
        reader.gate.set()
        assert holds(refresh.result(5.0))
    assert holds(cache.get(GUILD, options=USER))

    clock.now += 100.0
    assert not holds(cache.get(GUILD, options=USER)), "what Discord shows later is what counts"


def test_a_write_before_the_first_snapshot_is_no_trouble(cache: SnapshotCache) -> None:
    cache.record_channel(GUILD, channel("3"))
    assert set(cache.get(GUILD, options=USER).channels) == {"1", "2"}


def test_many_callers_share_one_refresh(cache: SnapshotCache, reader: Reader) -> None:
    reader.hold()
    with ThreadPoolExecutor(16) as pool:
        shots = [pool.submit(lambda: cache.get(GUILD, options=USER)) for _ in range(16)]
        assert reader.at_the_gate.wait(5.0)
        reader.gate.set()
        assert len({id(shot.result(5.0)) for shot in shots}) == 1
    assert reader.calls.count("guild") == 1


def test_who_needs_newer_than_the_refresh_under_way_gets_another(
    cache: SnapshotCache, reader: Reader, clock: Clock
) -> None:
    reader.hold()
    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(lambda: fresh(cache))
        assert reader.at_the_gate.wait(5.0)
        clock.now += 1.0
        reader.channels["3"] = channel("3")
        late = pool.submit(lambda: fresh(cache))
        reader.gate.set()
        early.result(5.0)
        assert "3" in late.result(5.0).channels
    assert reader.calls.count("guild") == 2


def test_nobody_waits_long_for_a_refresh_that_another_began(cache: SnapshotCache, reader: Reader) -> None:
    reader.hold()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(lambda: cache.get(GUILD, options=USER))
        assert reader.at_the_gate.wait(5.0)
        with pytest.raises(Unavailable) as caught:
            cache.get(GUILD, options=CallOptions(deadline_seconds=0.05))
        assert caught.value.retry_after == 1.0
        reader.gate.set()
        slow.result(5.0)


def test_a_refresh_that_breaks_is_an_answer_for_whoever_waits_for_it(
    cache: SnapshotCache, reader: Reader
) -> None:
    """A bug or an interrupt in one thread is not raised in the others, which could not tell what it means."""

    def broken(guild_id: str, /, *, options: CallOptions) -> list[dict[str, Any]]:
        reader.at_the_gate.set()
        assert reader.gate.wait(5.0)
        raise KeyboardInterrupt

    reader.guild_channels = broken  # type: ignore[method-assign]
    reader.hold()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lambda: cache.get(GUILD, options=USER))
        assert reader.at_the_gate.wait(5.0)
        second = pool.submit(lambda: cache.get(GUILD, options=USER))
        wait_until(lambda: pool._work_queue.qsize() == 0)
        reader.gate.set()
        with pytest.raises(KeyboardInterrupt):
            first.result(5.0)
        with pytest.raises((Unavailable, KeyboardInterrupt)):  # the latter: it came late and began its own
            second.result(5.0)


def test_an_error_is_shared_and_the_next_call_tries_again(cache: SnapshotCache, reader: Reader) -> None:
    reader.fail = Unavailable(retry_after=1.0, route="x", cause="down")
    reader.hold()
    with ThreadPoolExecutor(4) as pool:
        shots = [pool.submit(lambda: cache.get(GUILD, options=USER)) for _ in range(4)]
        assert reader.at_the_gate.wait(5.0)
        wait_until(lambda: pool._work_queue.qsize() == 0)
        reader.gate.set()
        for shot in shots:
            with pytest.raises(Unavailable):
                shot.result(5.0)
    reader.fail = None
    assert cache.get(GUILD, options=USER).channels


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_users_change_does_not_share_a_polls_refusal(cache: SnapshotCache, reader: Reader) -> None:
    """A poll may have to wait for a reserve that a user's change may use."""
    reader.fail = RateLimited(retry_after=9.0, scope=Scope.USER, route="x")
    reader.hold()
    with ThreadPoolExecutor(2) as pool:
        poll = pool.submit(lambda: cache.get(GUILD, options=POLL))
        assert reader.at_the_gate.wait(5.0)
        user = pool.submit(lambda: cache.get(GUILD, options=USER))
        wait_until(lambda: pool._work_queue.qsize() == 0)
        reader.gate.set()
        with pytest.raises(RateLimited):
            poll.result(5.0)
        with pytest.raises(RateLimited):
            user.result(5.0)
    assert reader.calls.count("guild") == 2, "it was asked for again, in the user's own class"


def test_a_guild_that_is_gone_leaves_no_old_snapshot(
    cache: SnapshotCache, reader: Reader, clock: Clock
) -> None:
    cache.get(GUILD, options=USER)
    clock.now += 10.0
    reader.fail = NotFound(status=404, code=10004, message="Unknown Guild", route="x")
    with pytest.raises(NotFound):
        cache.get(GUILD, options=USER)
    assert cache.peek(GUILD) is None


def test_a_channel_that_is_no_longer_listed_is_told_as_changed_and_nothing_more(
    cache: SnapshotCache, reader: Reader, clock: Clock
) -> None:
    """It may be hidden: there is no word for deleted here, and a channel that comes back is itself again."""
    told: list[SnapshotChange] = []
    cache.subscribe(lambda _, change: told.append(change))
    cache.get(GUILD, options=USER)
    hidden = reader.channels.pop("2")
    clock.now += 10.0
    assert "2" not in cache.get(GUILD, options=USER).channels
    cache.record_channel_positions(GUILD, [{"id": "2", "position": 3}])
    cache.record_overwrite(GUILD, "2", {"id": "7", "type": 0})
    assert "2" not in cache.get(GUILD, options=USER).channels, "what is known in part is not listed either"
    reader.channels["2"] = hidden
    clock.now += 10.0
    assert cache.get(GUILD, options=USER).channels["2"] == hidden
    assert told == [SnapshotChange(channel_ids=frozenset({"2"}))] * 2


def test_deleting_a_category_orphans_its_children(cache: SnapshotCache, reader: Reader) -> None:
    reader.channels["2"]["parent_id"] = "1"
    cache.get(GUILD, options=USER)
    cache.forget_channel(GUILD, "1")
    assert cache.get(GUILD, options=USER).channels["2"]["parent_id"] is None


def test_listeners_hear_only_what_our_own_writes_do_not_explain(
    cache: SnapshotCache, reader: Reader, clock: Clock
) -> None:
    told: list[tuple[str, SnapshotChange]] = []
    cache.subscribe(lambda guild, change: told.append((guild, change)))
    cache.get(GUILD, options=USER)
    assert told == [], "the first sight of a guild is no news"
    reader.channels["1"]["name"] = "mine"
    cache.record_channel(GUILD, channel("1", name="mine"))
    reader.channels["2"]["last_message_id"] = "77"
    clock.now += 10.0
    cache.get(GUILD, options=USER)
    assert told == []
    assert reader.forgiven == 0
    reader.channels["2"]["name"] = "theirs"
    reader.channels["3"] = channel("3")
    del reader.channels["1"]
    reader.roles["5"] = {"id": "5", "name": "r", "position": 1}
    reader.settings["name"] = "Renamed"
    clock.now += 10.0
    cache.get(GUILD, options=USER)
    assert told == [(GUILD, SnapshotChange(frozenset({"1", "2", "3"}), frozenset({"5"}), guild_changed=True))]
    assert reader.forgiven == 1, "roles changed, so what was forbidden may be allowed now"


def _shot(
    channels: Sequence[dict[str, Any]] = (), roles: Sequence[dict[str, Any]] = (), **guild: Any
) -> GuildSnapshot:
    return GuildSnapshot(
        guild={"id": GUILD, **guild},
        channels={item["id"]: item for item in channels},
        roles={item["id"]: item for item in roles},
        member={},
        taken_at=0.0,
    )


def _row(*names: str, start: int = 0, **more: Any) -> list[dict[str, Any]]:
    return [channel(name, position=place, **more) for place, name in enumerate(names, start=start)]


@pytest.mark.parametrize(
    ("before", "after", "changed", "reason"),
    [
        (_shot(_row("1", "2", "3")), _shot(_row("1", "2", "3", start=7)), set(), "renumbered, in the same order"),
        (_shot(_row("1", "2", "3")), _shot(_row("3", "1", "2")), {"1", "2", "3"}, "one dragged over two"),
        (_shot(_row("1", "2", "3")), _shot(_row("1", "3", "2")), {"2", "3"}, "the first stays where it was"),
        (_shot(_row("1", "3")), _shot(_row("1", "2", "3")), {"2"}, "one that is new moves nobody"),
        (_shot(_row("1", "2", "3")), _shot(_row("1", "3")), {"2"}, "nor one that is gone"),
        (
            _shot([*_row("1", "2"), *_row("3", start=2, type=2)]),
            _shot([*_row("1", "2"), *_row("3", type=2)]),
            set(),
            "voice channels are numbered by themselves",
        ),
        (_shot(_row("1", "2", parent_id="9")), _shot(_row("2", "1", parent_id="9")), {"1", "2"}, "within a category"),
        (_shot(_row("1", "2")), _shot([channel("1", position=5, parent_id="9"), *_row("2")]), {"1"}, "moved away"),
        (_shot([channel("1"), channel("2")]), _shot(_row("2", "1")), {"1", "2"}, "ties go by age"),
        (_shot([channel("1"), channel("2")]), _shot(_row("1", "2")), set(), "ties go by age"),
    ],
)  # fmt: skip
def test_a_position_is_news_only_where_it_changes_the_order(
    before: GuildSnapshot, after: GuildSnapshot, changed: set[str], reason: str
) -> None:
    assert difference(before, after) == SnapshotChange(channel_ids=frozenset(changed)), reason


def test_of_roles_with_one_position_the_older_is_the_higher() -> None:
    tied = _shot(roles=[{"id": "5", "position": 1}, {"id": "6", "position": 1}])
    older_above = _shot(roles=[{"id": "5", "position": 2}, {"id": "6", "position": 1}])
    younger_above = _shot(roles=[{"id": "5", "position": 1}, {"id": "6", "position": 2}])
    assert not difference(tied, older_above)
    assert difference(tied, younger_above).role_ids == {"5", "6"}


def test_how_many_members_a_guild_has_is_no_news() -> None:
    one = _shot(name="a", approximate_member_count=5, approximate_presence_count=2)
    other = _shot(name="a", approximate_member_count=6, approximate_presence_count=3)
    assert not difference(one, other)
    assert difference(one, _shot(name="b")).guild_changed


def test_equal_snapshots_differ_in_nothing(cache: SnapshotCache) -> None:
    snapshot = cache.get(GUILD, options=USER)
    assert not difference(snapshot, snapshot)


def test_concurrent_writers_and_refreshes_lose_nothing(reader: Reader) -> None:
    """Every write that has ended is in every snapshot asked for afterwards."""
    cache = SnapshotCache(reader, now=time.monotonic, timings=DiscordTimings())
    lock = threading.Lock()
    original = reader.guild_channels

    def listed(guild_id: str, /, *, options: CallOptions) -> list[dict[str, Any]]:
        with lock:
            return original(guild_id, options=options)

    reader.guild_channels = listed  # type: ignore[method-assign]
    missing: list[str] = []

    def write(writer: int) -> None:
        for n in range(40):
            made = channel(f"{writer}{n:03}")
            with lock:
                reader.channels[made["id"]] = made
            cache.record_channel(GUILD, made)
            if made["id"] not in cache.get(GUILD, max_age_seconds=0.001, options=USER).channels:
                missing.append(made["id"])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(3, 9)))
    assert missing == []
