"""Forum tags: posts keep their tags through renames, reorderings and other people's additions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_discord.apis.errors import InvalidField
from provider_discord.apis.tags import ForumTag
from provider_discord.kinds.tags import TagPlan, decode, encode, plan_tags

EMOJI: Final = "500000000000000005"


def listed(*names: str) -> list[dict[str, Any]]:
    return [{"name": name} for name in names]


def there(**ids: str) -> list[dict[str, Any]]:
    """Discord's tags: name to id."""
    return [
        {"id": tag_id, "name": name, "moderated": False, "emoji_id": None, "emoji_name": None}
        for name, tag_id in ids.items()
    ]


def sent(planned: TagPlan) -> list[tuple[str | None, str]]:
    return [(tag.get("id"), tag["name"]) for tag in planned.body]


@pytest.mark.parametrize(
    ("desired", "observed", "memory", "body", "remembered", "reason"),
    [
        (["bug"], there(bug="1"), {"bug": "1"}, None, {"bug": "1"}, "nothing to do"),
        (["bug"], [], {}, [(None, "bug")], {"bug": ""}, "a new tag; its id is known from the answer"),
        (["bug"], there(bug="1", old="2"), {}, None, {"bug": "1"}, "adopted by name; others stay"),
        (
            ["bug"],
            there(oops="1"),
            {"bug": "1"},
            [("1", "bug")],
            {"bug": "1"},
            "renamed by hand: renamed back",
        ),
        (["bug"], there(), {"bug": "1"}, [(None, "bug")], {"bug": ""}, "deleted by hand: made again"),
        (["bug"], there(bug="7"), {"bug": "1"}, None, {"bug": "7"}, "made again by hand: adopted"),
        (
            ["defect", "help"],
            there(bug="1", help="2"),
            {"bug": "1", "help": "2"},
            [("1", "defect"), ("2", "help")],
            {"defect": "1", "help": "2"},
            "one name in another's place is a rename",
        ),
        (
            ["help"],
            there(bug="1", help="2"),
            {"bug": "1", "help": "2"},
            [("2", "help")],
            {"help": "2", "bug": "1"},
            "one that the manifest dropped goes, and is remembered until it is gone",
        ),
        (
            ["help", "new"],
            there(bug="1", help="2"),
            {"bug": "1", "help": "2"},
            [("2", "help"), (None, "new")],
            {"help": "2", "new": "", "bug": "1"},
            "removed here and added there is no rename",
        ),
        (
            ["help", "bug"],
            there(bug="1", other="9", help="2"),
            {"bug": "1", "help": "2"},
            [("2", "help"), ("9", "other"), ("1", "bug")],
            {"help": "2", "bug": "1"},
            "reordered in the places that they hold",
        ),
        ([], there(bug="1", other="9"), {"bug": "1"}, [("9", "other")], {"bug": "1"}, "none: ours go"),
        (
            ["question"],
            there(bug="1", question="9"),
            {"bug": "1"},
            [("9", "question")],
            {"question": "9", "bug": "1"},
            "a name that exists is adopted, not made twice by a rename",
        ),
        (
            ["question"],
            there(question="1"),
            {"bug": "1"},
            None,
            {"question": "1"},
            "renamed on both sides alike",
        ),
        (
            ["a", "b"],
            there(b="1", a="2"),
            {"a": "1", "b": "2"},
            [("1", "a"), ("2", "b")],
            {"a": "1", "b": "2"},
            "two names exchanged by hand go back",
        ),
        (
            ["bug  report"],
            there(**{"bug report": "1"}),
            {},
            None,
            {"bug  report": "1"},
            "spaces are no rename",
        ),
        (
            ["help"],
            there(bug="1", other="9"),
            {"bug": ""},
            [("1", "help"), ("9", "other")],
            {"help": "1"},
            "asked for, the answer lost, and the manifest changed meanwhile: renamed",
        ),
        (
            [],
            there(bug="1", other="9"),
            {"bug": ""},
            [("9", "other")],
            {"bug": "1"},
            "asked for, the answer lost, and dropped meanwhile: it goes",
        ),
        (["bug"], there(bug="1"), {"bug": ""}, None, {"bug": "1"}, "asked for, the answer lost: it is there"),
        ([], there(other="9"), {"bug": ""}, None, {}, "asked for, never made, and dropped"),
        (
            ["bug"],
            there(defect="1"),
            {"bug": "1", "defect": ""},
            [("1", "bug")],
            {"bug": "1"},
            "renamed by hand to what was asked for: the id counts",
        ),
    ],
)
def test_plans(
    desired: list[str],
    observed: list[dict[str, Any]],
    memory: dict[str, str],
    body: list[tuple[str | None, str]] | None,
    remembered: dict[str, str],
    reason: str,
) -> None:
    planned = plan_tags(listed(*desired), observed, memory)
    assert planned.changed is (body is not None), reason
    assert planned.changed is bool(planned.diffs), reason
    if body is not None:
        assert sent(planned) == body, reason
    assert planned.memory == remembered, reason


def test_a_name_added_before_others_moves_no_id() -> None:
    planned = plan_tags(listed("new", "bug", "help"), there(bug="1", help="2"), {"bug": "1", "help": "2"})
    assert sent(planned) == [(None, "new"), ("1", "bug"), ("2", "help")]


def test_renames_are_found_between_the_names_that_stay() -> None:
    planned = plan_tags(
        listed("x", "y", "keep", "z"),
        there(a="1", keep="2", b="3", c="4"),
        {"a": "1", "keep": "2", "b": "3", "c": "4"},
    )
    assert sent(planned) == [("1", "x"), (None, "y"), ("2", "keep"), ("3", "z")]
    assert planned.memory == {"x": "1", "y": "", "keep": "2", "z": "3", "c": "4"}


def test_a_rename_survives_a_crash_between_annotation_and_write() -> None:
    observed = there(bug="1", help="2")
    first = plan_tags(listed("defect", "help"), observed, {"bug": "1", "help": "2"})
    again = plan_tags(listed("defect", "help"), observed, decode(encode(first.memory)))
    assert again.body == first.body
    first = plan_tags(listed("help"), observed, {"bug": "1", "help": "2"})
    again = plan_tags(listed("help"), observed, decode(encode(first.memory)))
    assert sent(again) == [("2", "help")], "a removal does too"
    done = plan_tags(listed("help"), there(help="2"), again.memory)
    assert done.memory == {"help": "2"}


@pytest.mark.parametrize(
    ("tag", "observed", "changed", "reason"),
    [
        ({"emojiName": "\u2764\ufe0f"}, {"emoji_name": "\u2764"}, False, "a variation selector is no change"),
        ({"emojiName": "🐛"}, {"emoji_name": None}, True, "an emoji is set"),
        ({"emojiName": ""}, {"emoji_name": None}, False, "empty is none"),
        ({"emojiName": ""}, {"emoji_name": "🐛"}, True, "and clears"),
        ({"emojiId": EMOJI}, {"emoji_id": EMOJI, "emoji_name": "party"}, False, "an id comes with a name"),
        ({}, {"emoji_id": "0"}, False, "0 is no emoji"),
        ({"moderated": False}, {}, False, "absent at Discord is false"),
        ({"moderated": True}, {"moderated": False}, True, "moderated"),
    ],
)
def test_compares_emoji_and_moderation(
    tag: dict[str, Any], observed: dict[str, Any], changed: bool, reason: str
) -> None:
    planned = plan_tags([{"name": "bug", **tag}], [{"id": "1", "name": "bug", **observed}], {})
    assert planned.changed is changed, reason
    assert planned.body[0]["id"] == "1"


def test_a_diff_says_which_tag_and_what() -> None:
    planned = plan_tags(
        [{"name": "bug", "moderated": True}, {"name": "new", "emojiName": "✨"}],
        [*there(old="3"), {"id": "1", "name": "bugs", "emoji_name": "🐛"}],
        {"bug": "1", "old": "3"},
    )
    assert [str(diff) for diff in planned.diffs] == [
        "availableTags[bug]: bugs, emoji 🐛 -> bug, moderated",
        "availableTags[new]: old -> new, emoji ✨",
        "availableTags (order): old, bugs -> bugs, old",
    ]


@pytest.mark.parametrize(
    ("desired", "observed", "field", "says"),
    [
        (
            listed("bug", "help", " bug "),
            [],
            "availableTags[2].name",
            "availableTags[0] and availableTags[2]",
        ),
        (listed(*(f"t{n}" for n in range(21))), [], "availableTags", "Discord allows 20"),
        (
            listed(*(f"t{n}" for n in range(19))),
            there(x="1", y="2"),
            "availableTags",
            "the 2 that are not in it: x, y",
        ),
        ([{"name": "bug", "emojiId": EMOJI, "emojiName": "x"}], [], "availableTags[0]", "not both"),
        (listed("x" * 21), [], "availableTags[0].name", "20"),
    ],
)
def test_refuses(
    desired: list[dict[str, Any]], observed: list[dict[str, Any]], field: str, says: str
) -> None:
    with pytest.raises(InvalidField) as caught:
        plan_tags(desired, observed, {})
    assert caught.value.field == field
    assert says in caught.value.remedy


def test_models_mean_the_same_as_json() -> None:
    tag = {"name": "bug", "moderated": True, "emojiName": "🐛"}
    assert plan_tags([ForumTag.model_validate(tag)], [], {}) == plan_tags([tag], [], {})


@pytest.mark.parametrize("text", [None, "", "no json", "{}", '["x"]', "[[1]]"])
def test_an_annotation_that_somebody_broke_is_forgotten(text: str | None) -> None:
    assert decode(text) == {}


def test_what_was_asked_for_in_one_channel_tells_nothing_about_another() -> None:
    text = encode({"bug": "", "help": "2"}, channel="77")
    assert decode(text, channel="77") == {"bug": "", "help": "2"}
    assert decode(text, channel="78") == {"help": "2"}


def test_the_memory_keeps_its_order() -> None:
    assert list(decode(encode({"z": "1", "a": "2"}))) == ["z", "a"]
    assert encode({}) is None


NAMES: Final = st.lists(st.sampled_from("abcdef"), unique=True, max_size=6)


def write(observed: Sequence[Mapping[str, Any]], planned: TagPlan, next_id: int) -> list[dict[str, Any]]:
    """Discord storing the list: what comes without an id gets one."""
    assert {tag["id"] for tag in planned.body if "id" in tag} <= {tag["id"] for tag in observed}
    return [{"id": str(next_id + place), **tag} for place, tag in enumerate(planned.body)]


@given(st.lists(NAMES, min_size=1, max_size=4), NAMES)
@settings(deadline=None, derandomize=True, max_examples=300)
def test_any_history_of_manifests_converges_and_touches_nobody_elses(
    manifests: list[list[str]], theirs: list[str]
) -> None:
    observed: list[dict[str, Any]] = there(**{name.upper(): f"9{place}" for place, name in enumerate(theirs)})
    foreign = [tag["id"] for tag in observed]
    memory: Mapping[str, str] = {}
    for generation, names in enumerate(manifests, start=1):
        before = {tag["name"]: tag["id"] for tag in observed}
        planned = plan_tags(listed(*names), observed, memory)
        if planned.changed:
            observed = write(observed, planned, generation * 100)
        again = plan_tags(listed(*names), observed, planned.memory)
        assert not again.changed
        memory = decode(encode(again.memory))
        after = {tag["name"]: tag["id"] for tag in observed}
        ours = [tag["name"] for tag in observed if tag["name"].islower()]
        assert [name for name in ours if name in names] == names
        assert set(ours) == set(names)
        assert [tag["id"] for tag in observed if tag["id"] in foreign] == foreign
        assert all(after[name] == before[name] for name in names if name in before), "a name keeps its id"
        assert len(observed) == len({tag["id"] for tag in observed})


@given(st.lists(NAMES, min_size=1, max_size=4), NAMES)
@settings(deadline=None, derandomize=True, max_examples=300)
def test_lost_answers_leave_no_tag_behind(manifests: list[list[str]], theirs: list[str]) -> None:
    """Each manifest is written, nobody sees the answer, and the next one is there already."""
    observed: list[dict[str, Any]] = there(**{name.upper(): f"9{place}" for place, name in enumerate(theirs)})
    foreign = [tag["id"] for tag in observed]
    memory: Mapping[str, str] = {}
    for generation, names in enumerate(manifests, start=1):
        planned = plan_tags(listed(*names), observed, memory)
        memory = decode(encode(planned.memory, channel="7"), channel="7")
        if planned.changed:
            observed = write(observed, planned, generation * 100)
    assert {tag["name"] for tag in observed if tag["name"].islower()} == set(manifests[-1])
    assert [tag["id"] for tag in observed if tag["id"] in foreign] == foreign
