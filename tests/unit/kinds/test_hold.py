"""When a guild is held, and when it is not any more: the decision alone, on virtual time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provider_discord.kinds.hold import (
    Cause,
    Departure,
    Findings,
    GuildWatch,
    Hold,
    HoldRules,
    Mark,
    incident_end,
    incident_id,
    mark_of,
)

BEGINNING = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
WINDOW = 90.0


class Guild:
    """A guild of so many objects, and what differs in it."""

    def __init__(self, total: int = 60, **rules: Any) -> None:
        self.total = total
        self.rules = HoldRules(**rules)
        self.watch = GuildWatch()
        self.now = 0.0
        self.differing: dict[str, Departure] = {}
        self._ids = itertools.count(1)

    @property
    def wall(self) -> datetime:
        return BEGINNING + timedelta(seconds=self.now)

    def change(self, names: Iterable[int | str], *, root: str = "", vanished: bool = False) -> Guild:
        for name in names:
            key = str(name)
            self.differing[key] = Departure(external_name=key, root=root or key, vanished=vanished)
        return self

    def put_back(self, *names: int | str) -> Guild:
        for name in names:
            self.differing.pop(str(name), None)
            self.watch.well(str(name))
        return self

    def look(
        self, *, after: float = 0.0, incident: datetime | None = None, complete: bool = True
    ) -> Hold | None:
        self.now += after
        objects = {str(number) for number in range(self.total)} | self.differing.keys()
        self.watch.count(
            Findings(dict(self.differing), objects),
            rules=self.rules,
            now=self.now,
            wall=self.wall,
            window_seconds=WINDOW,
            incident=incident,
            complete=complete,
            new_id=lambda: f"h{next(self._ids)}",
        )
        return self.watch.hold


@pytest.mark.parametrize(
    ("total", "changed", "rules", "held", "reason"),
    [
        (60, 6, {}, False, "10 % of 60 are 6, and only more than that hold"),
        (60, 7, {}, True, "more than 10 %"),
        (8, 5, {}, False, "small guilds: 5 objects are never too many"),
        (8, 6, {}, True, "small guilds: more than 5"),
        (500, 50, {}, False, "10 % of 500"),
        (500, 51, {}, True, "more than 10 % of 500"),
        (60, 60, {"percentage": 100}, False, "whoever wants no hold by number can have it"),
        (60, 7, {"minimum": 20}, False, "the minimum is the user's"),
        (60, 3, {"minimum": 1, "percentage": 1}, True, "so is the percentage"),
    ],
)
def test_more_than_the_limit_is_held(
    total: int, changed: int, rules: Mapping[str, Any], held: bool, reason: str
) -> None:
    guild = Guild(total, **rules)
    assert (guild.change(range(changed)).look() is not None) is held, reason


def test_one_act_holds_nothing_however_much_it_took_along() -> None:
    guild = Guild()
    assert guild.change(range(30), root="a category").look() is None
    assert guild.change(["another"]).look() is not None, "two acts, and 31 objects"


def test_what_was_put_back_within_the_window_counts() -> None:
    guild = Guild()
    assert guild.change(range(4)).look() is None
    guild.put_back(*range(4))
    hold = guild.change(range(10, 14)).look(after=60)
    assert hold is not None, "four in the last reading and four in this one: somebody is at work"
    assert (hold.differing, hold.counted) == (4, 8)


def test_what_was_put_back_long_ago_does_not_count() -> None:
    guild = Guild()
    guild.change(range(4)).look()
    guild.put_back(*range(4))
    assert guild.change(range(10, 14)).look(after=WINDOW + 1) is None


def test_what_differs_for_long_does_not_count() -> None:
    """Say because the bot lacks a permission; else one more hand edit some day would hold the guild."""
    guild = Guild()
    for number in range(12):
        assert guild.change([number]).look(after=WINDOW) is None


def test_what_differs_again_begins_anew() -> None:
    guild = Guild()
    guild.change(range(5)).look()
    guild.put_back(*range(5)).look(after=10 * WINDOW)
    assert guild.change(range(7)).look(after=10 * WINDOW) is not None


def test_a_hold_by_number_stays_until_nothing_differs_or_it_is_released() -> None:
    guild = Guild()
    hold = guild.change(range(10)).look()
    assert hold is not None
    guild.put_back(*range(9))
    still = guild.look(after=10 * WINDOW)
    assert still is not None
    assert (still.id, still.since, still.differing) == (hold.id, hold.since, 1)
    guild.put_back(9)
    assert guild.look(after=1, complete=False) is not None, "what can't be seen may differ"
    assert guild.look(after=1) is None


def test_after_a_release_what_differed_counts_no_more_and_the_next_raid_anew() -> None:
    guild = Guild()
    first = guild.change(range(10)).look()
    guild.watch.release()
    assert guild.look(after=1) is None
    assert guild.change(range(10, 16)).look(after=1) is None, "six hand edits meanwhile"
    second = guild.change(range(16, 20)).look(after=1)
    assert first is not None
    assert second is not None
    assert first.id != second.id, "the release of the one is not the release of the other"


def test_a_hold_tells_how_many_are_gone() -> None:
    guild = Guild()
    hold = guild.change(range(4)).change(range(4, 10), vanished=True).look()
    assert hold is not None
    assert (hold.differing, hold.vanished, hold.total) == (10, 6, 60)


def test_a_hold_is_told_once() -> None:
    guild = Guild()
    guild.change(range(10)).look()
    assert guild.watch.untold
    guild.watch.untold = False
    guild.look(after=1)
    assert not guild.watch.untold


# Incidents.


def test_an_incident_holds_whatever_differs_and_ends_by_itself() -> None:
    guild = Guild()
    end = BEGINNING + timedelta(hours=1)
    hold = guild.change([1]).look(incident=end)
    assert hold is not None
    assert (hold.cause, hold.id, hold.until) == (Cause.INCIDENT, incident_id(end), end)
    assert guild.look(after=3600) is None


def test_what_many_hands_did_in_an_incident_is_left_to_a_human() -> None:
    guild = Guild()
    guild.change(range(20)).look(incident=BEGINNING + timedelta(hours=1))
    hold = guild.look(after=3600)
    assert hold is not None
    assert hold.cause is Cause.MASS_DRIFT


def test_an_incident_that_is_prolonged_is_another_one() -> None:
    guild = Guild()
    first = guild.look(incident=BEGINNING + timedelta(hours=1))
    second = guild.look(incident=BEGINNING + timedelta(hours=2))
    assert first is not None
    assert second is not None
    assert first.id != second.id


@pytest.mark.parametrize(
    ("data", "active", "reason"),
    [
        (None, False, "most guilds have none"),
        ({}, False, "an empty object"),
        ({"invites_disabled_until": "2026-11-22T11:00:00+00:00"}, True, "invites are off"),
        ({"dms_disabled_until": "2026-11-22T11:00:00Z"}, True, "direct messages are off"),
        ({"invites_disabled_until": "2026-11-22T09:59:59Z"}, False, "values that have expired linger"),
        ({"raid_detected_at": "2026-11-22T09:59:59Z"}, False, "that something was noticed is no action"),
        ({"invites_disabled_until": "soon"}, False, "what can't be read is no time"),
    ],
)
def test_incident_actions_are_in_force_until_their_time(
    data: Mapping[str, Any] | None, active: bool, reason: str
) -> None:
    end = incident_end({"incidents_data": data}, wall=BEGINNING)
    assert (end is not None) is active, reason


# Going on in another process.


def _marked(message: str, *, status: str = "True", reason: str = "MassDrift") -> dict[str, Any]:
    return {
        "status": {"conditions": [{"type": "Held", "status": status, "reason": reason, "message": message}]}
    }


def test_a_condition_tells_of_its_hold() -> None:
    hold = Hold(id="0f1e2d3c", cause=Cause.MASS_DRIFT, since=BEGINNING)
    assert mark_of(_marked(f"{hold.mark}: many objects changed")) == Mark(
        "0f1e2d3c", Cause.MASS_DRIFT, BEGINNING
    )
    incident = Hold(id=incident_id(BEGINNING), cause=Cause.INCIDENT, since=BEGINNING)
    found = mark_of(_marked(f"{incident.mark}: ...", reason="IncidentActions"))
    assert found == Mark(incident.id, Cause.INCIDENT, BEGINNING)
    assert mark_of(_marked(hold.mark, status="False")) is None
    assert mark_of(_marked("somebody wrote something else here")) is None
    assert mark_of({}) is None


def test_a_new_process_goes_on_with_a_hold_unless_it_was_released() -> None:
    marks = [Mark("old", Cause.MASS_DRIFT, BEGINNING), Mark("new", Cause.MASS_DRIFT, BEGINNING)]
    guild = Guild()
    guild.watch.recover(marks, released=lambda identity: identity == "old")
    assert guild.watch.hold is not None
    assert guild.watch.hold.id == "new"
    assert not guild.watch.untold, "it was told when it began"
    guild.change([1])
    hold = guild.look()
    assert hold is not None
    assert hold.id == "new", "fewer than the limit, but nobody released it"


def test_what_was_released_before_a_restart_does_not_count_after_it() -> None:
    guild = Guild()
    guild.differing = {
        str(number): Departure(external_name=str(number), root=str(number), old=True) for number in range(20)
    }
    assert guild.look() is None


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (None, HoldRules()),
        (
            {},
            HoldRules(
                disabled=False, minimum=5, percentage=10, put_back_limit=5, put_back_window_seconds=3600
            ),
        ),
        (
            {
                "disabled": True,
                "minimumResources": 9,
                "percentage": 50,
                "putBackLimit": 2,
                "putBackWindowSeconds": 60,
            },
            HoldRules(disabled=True, minimum=9, percentage=50, put_back_limit=2, put_back_window_seconds=60),
        ),
    ],
)
def test_the_provider_config_says_the_limits(spec: Mapping[str, Any] | None, expected: HoldRules) -> None:
    assert HoldRules.of(spec) == expected
