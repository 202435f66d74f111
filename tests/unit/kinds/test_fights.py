"""What is put back again and again is left alone: the count, and the memory in the annotation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from provider_discord.kinds import fights
from provider_discord.kinds.fights import LEFT_ALONE, Fights
from provider_discord.kinds.hold import HoldRules

RULES = HoldRules(put_back_limit=3, put_back_window_seconds=100)
ONE = (1, 11)
WALL = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def _obj(annotation: str | None = None, *, generation: int = 1, uid: str = "u") -> dict[str, Any]:
    annotations = {} if annotation is None else {LEFT_ALONE: annotation}
    return {"metadata": {"uid": uid, "generation": generation, "annotations": annotations}}


def _put_back(
    found: Fights, *times: float, field: str = "topic", settled: bool = True, version: Any = ONE
) -> None:
    for now in times:
        found.put_back("u", version, [field], settled=settled, now=now)


def test_so_many_times_in_the_window() -> None:
    found = Fights()
    _put_back(found, 0, 30)
    assert found.often("u", ONE, rules=RULES, now=40) == {}
    _put_back(found, 60)
    assert found.often("u", ONE, rules=RULES, now=70) == {"topic": 3}
    assert found.often("u", ONE, rules=RULES, now=101) == {}, "the first one is too old"
    assert found.often("another", ONE, rules=RULES, now=70) == {}


def test_fields_are_counted_apart_and_parts_of_a_list_too() -> None:
    found = Fights()
    for number, name in enumerate(
        ("topic", "nsfw", "permissionOverwrites[role A]", "permissionOverwrites[role B]")
    ):
        _put_back(found, number, number + 10, field=name)
    assert found.often("u", ONE, rules=RULES, now=20) == {}
    _put_back(found, 21, field="permissionOverwrites[role A]")
    assert found.often("u", ONE, rules=RULES, now=22) == {"permissionOverwrites": 3}


def test_another_manifest_begins_anew() -> None:
    found = Fights()
    _put_back(found, 0, 1, 2)
    assert found.often("u", (2, 11), rules=RULES, now=3) == {}
    _put_back(found, 4, version=(2, 11))
    assert found.often("u", ONE, rules=RULES, now=5) == {}


def test_to_write_a_new_manifest_is_no_put_back_but_to_write_it_again_is() -> None:
    """A value that Discord never keeps would else be written for ever."""
    found = Fights()
    _put_back(found, 0, settled=False)
    _put_back(found, 1, 2, settled=False)
    assert found.often("u", ONE, rules=RULES, now=3) == {}
    _put_back(found, 3, settled=False)
    assert found.often("u", ONE, rules=RULES, now=4) == {"topic": 3}


def test_a_place_that_is_asked_for_again_until_it_is_sent_counts_once() -> None:
    found = Fights()
    for time in range(3):
        _put_back(found, time, time + 0.1, time + 0.2, field="position")
        assert found.often("u", ONE, rules=RULES, now=9) == {}, "the last one has to be sent first"
        found.well("u")
    assert found.often("u", ONE, rules=RULES, now=9) == {"position": 3}


def test_the_annotation_holds_for_the_manifest_that_it_was_written_for() -> None:
    text = fights.remember(_obj(), ["topic", "nsfw"], wall=WALL)
    assert fights.left_alone(_obj(text)) == {"topic", "nsfw"}
    assert fights.left_alone_since(_obj(text)) == WALL
    assert fights.left_alone(_obj(text, generation=2)) == frozenset()
    assert fights.left_alone(_obj(text, uid="restored elsewhere")) == frozenset()
    assert fights.remember(_obj(text), ["nsfw", "topic"], wall=datetime.now(UTC)) == text, "written once"


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "3", "[" * 100_000, '{"uid": "u"}'),
        *(f'{{"uid":"u","generation":1,"fields":{fields}}}' for fields in ("3", "[[]]", "[1]", '[{"a":1}]')),
    ],
)
def test_an_annotation_that_somebody_wrote_says_nothing(text: str) -> None:
    assert fights.left_alone(_obj(text)) == frozenset()


def test_what_is_left_alone_is_as_if_the_manifest_did_not_give_it() -> None:
    wanted = {"name": "a", "syncPermissions": True, "permissionOverwrites": [], "icon": "x", "iconFrom": {}}
    assert fights.without(wanted, ["permissionOverwrites", "icon"]) == {"name": "a"}
    assert fights.without(wanted, []) == wanted
