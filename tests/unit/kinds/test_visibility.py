"""Turns and verdicts on channels that are not listed, on virtual time."""

from __future__ import annotations

from provider_discord.kinds.timings import KindTimings
from provider_discord.kinds.visibility import Finding, Presence, Visibility


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_guild_has_one_probe_a_period_and_guilds_do_not_share_it() -> None:
    clock = Clock()
    visibility = Visibility(now=clock, timings=KindTimings(probe_seconds=60))
    assert visibility.may_probe("a", "1")
    assert not visibility.may_probe("a", "1")
    assert visibility.may_probe("b", "2")
    clock.now += 59
    assert not visibility.may_probe("a", "1")
    clock.now += 1
    assert visibility.may_probe("a", "1")


def test_of_which_nothing_is_known_comes_first_while_it_asks() -> None:
    clock = Clock()
    visibility = Visibility(now=clock, timings=KindTimings(probe_seconds=60))
    for channel in ("1", "2", "3"):
        assert visibility.may_probe("a", channel) is (channel == "1")
    visibility.undecided("1", Finding(Presence.UNKNOWN))
    clock.now += 60
    assert not visibility.may_probe("a", "1"), "the others have not been looked for at all"
    assert visibility.may_probe("a", "3")
    visibility.undecided("3", Finding(Presence.UNKNOWN))
    clock.now += 61
    assert visibility.may_probe("a", "1"), "2 asks no more: it may be listed again, or its object gone"


def test_gone_holds_for_ever_and_anything_else_for_a_period() -> None:
    clock = Clock()
    visibility = Visibility(now=clock, timings=KindTimings(probe_seconds=60))
    visibility.gone(["1"], "deleted")
    visibility.undecided("2", Finding(Presence.HIDDEN))
    clock.now += 59
    assert visibility.known("2") == Finding(Presence.HIDDEN)
    clock.now += 1
    assert visibility.known("2") is None
    assert visibility.last("2") == Finding(Presence.HIDDEN)
    clock.now += 1e6
    assert visibility.known("1") == Finding(Presence.GONE, "deleted")


def test_a_channel_that_is_listed_again_has_no_verdict() -> None:
    visibility = Visibility(now=Clock(), timings=KindTimings())
    visibility.undecided("2", Finding(Presence.HIDDEN))
    visibility.seen("2")
    assert visibility.known("2") is None
