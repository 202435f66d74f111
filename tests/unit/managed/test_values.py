"""The small pure parts: annotations, durations, conditions, policies, attempts, announcements."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
import structlog

from provider_discord.managed import attempts, conditions, meta
from provider_discord.managed.announce import Announcer
from provider_discord.managed.external import Attempt
from provider_discord.managed.folding import Folding
from provider_discord.managed.policies import ACCEPTED_SETS, Policies
from provider_discord.managed.resource import ManagedResource
from provider_discord.managed.timings import ManagedTimings
from tests.unit.managed.managed_world import THINGS, Recorder

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("1h30m", 5400.0),
        ("1.5m", 90.0),
        (".5s", 0.5),
        ("100ms", 0.1),
        ("1h1m1s1ms", 3661.001),
        ("+5s", 5.0),
        ("0s", None),
        ("-5s", None),
        ("5", None),
        ("", None),
        ("5 s", None),
        ("soon", None),
    ],
)
def test_go_durations(text: str, seconds: float | None) -> None:
    assert meta.parse_go_duration(text) == (pytest.approx(seconds) if seconds else None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-06T07:08:09Z", NOW.replace(microsecond=0)),
        ("2026-05-06T09:08:09+02:00", NOW.replace(microsecond=0)),
        ("2026-05-06T07:08:09.123456Z", NOW),
        ("2026-05-06T07:08:09.123456789Z", NOW),
        ("2026-05-06T07:08:09.5Z", NOW.replace(microsecond=500000)),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_times(text: str | None, expected: datetime | None) -> None:
    assert meta.from_rfc3339(text) == expected


def test_times_survive_the_round_trip() -> None:
    assert meta.from_rfc3339(meta.to_rfc3339_micro(NOW)) == NOW
    assert meta.to_rfc3339(NOW) == "2026-05-06T07:08:09Z"


def test_annotations_are_set_on_a_copy() -> None:
    obj = {"metadata": {"name": "a", "annotations": {"a": "1", "b": "2"}}}
    changed = meta.with_annotations(obj, {"a": None, "c": "3"})
    assert changed["metadata"]["annotations"] == {"b": "2", "c": "3"}
    assert obj["metadata"] == {"name": "a", "annotations": {"a": "1", "b": "2"}}
    assert "annotations" not in meta.with_annotations(changed, {"b": None, "c": None})["metadata"]


def test_exactly_crossplanes_sets_of_policies_are_accepted() -> None:
    letters = {"O": "Observe", "C": "Create", "U": "Update", "D": "Delete", "L": "LateInitialize"}
    accepted = {"", "O", "OL", "OU", "OUL", "OD", "OC", "OCD", "OCL", "OCU", "OCUD", "OCUL", "OCDL", "OCUDL"}
    names = {frozenset(text) for text in accepted}
    for size in range(6):
        for chosen in combinations("OCUDL", size):
            policies = Policies.of(letters[letter] for letter in chosen)
            assert policies.valid is (frozenset(chosen) in names), chosen
    assert Policies.of(["*"]).valid
    assert not Policies.of(["*", "Observe"]).valid
    assert len(ACCEPTED_SETS) == 15


def test_policies_default_to_everything() -> None:
    policies = Policies.of(None)
    assert policies.creates
    assert policies.updates
    assert policies.deletes
    assert not policies.paused
    assert not policies.observe_only
    assert Policies.of([]).paused
    assert Policies.of(["Observe"]).observe_only
    assert not Policies.of(["Observe"]).writes


class TestConditions:
    def merged(
        self, existing: list[dict[str, object]], *new: conditions.Condition, later: int = 0
    ) -> list[dict[str, object]]:
        return conditions.merge(existing, new, generation=3, now=NOW + timedelta(seconds=later))

    def test_a_new_one_is_complete(self) -> None:
        (ready,) = self.merged([], conditions.available())
        assert ready == {
            "type": "Ready",
            "status": "True",
            "reason": "Available",
            "observedGeneration": 3,
            "lastTransitionTime": "2026-05-06T07:08:09Z",
        }

    def test_an_equal_one_is_untouched(self) -> None:
        first = self.merged([], conditions.reconcile_error("no"))
        assert self.merged(first, conditions.reconcile_error("no"), later=60) == first

    def test_any_change_renews_the_time(self) -> None:
        first = self.merged([], conditions.reconcile_error("no"))
        (second,) = self.merged(first, conditions.reconcile_error("still no"), later=60)
        assert second["lastTransitionTime"] == "2026-05-06T07:09:09Z"
        third = conditions.merge(first, [conditions.reconcile_error("no")], generation=4, now=NOW)
        assert third[0]["observedGeneration"] == 4

    def test_others_keep_their_place(self) -> None:
        theirs: dict[str, object] = {"type": "Theirs", "status": "True"}
        merged = self.merged([theirs], conditions.available())
        assert merged[0] == theirs
        assert conditions.merge(merged, [], generation=3, now=NOW, remove=["Ready"]) == [theirs]

    def test_long_messages_keep_their_end(self) -> None:
        (error,) = self.merged([], conditions.reconcile_error("x" * 10_000 + " the cause"))
        assert str(error["message"]).endswith("the cause")
        assert len(str(error["message"])) <= 4096


class TestAttempts:
    def test_one_survives_the_round_trip(self) -> None:
        attempt = Attempt(id="i", started=NOW, ended=NOW + timedelta(seconds=3), misses=(NOW,))
        opened = attempts.OpenAttempt(attempt=attempt, replaces="77")
        obj = meta.with_annotations(
            {"metadata": {}}, {**attempts.begun(attempt, replaces="77"), **attempts.still_open(opened)}
        )
        assert attempts.open_attempt(obj) == opened

    def test_it_is_settled_by_success_failure_and_removal(self) -> None:
        attempt = Attempt(id="i", started=NOW)
        obj = meta.with_annotations({"metadata": {}}, attempts.begun(attempt, replaces=None))
        assert attempts.open_attempt(obj) is not None
        assert attempts.open_attempt(meta.with_annotations(obj, attempts.succeeded("7", NOW))) is None
        assert attempts.open_attempt(meta.with_annotations(obj, attempts.failed(NOW))) is None
        assert attempts.open_attempt(meta.with_annotations(obj, {meta.CREATE_PENDING: None})) is None

    def test_a_fresh_attempt_within_the_second_of_an_old_failure_is_open(self) -> None:
        """Crossplane's whole seconds would take it for settled, and a crash would make it twice."""
        obj = meta.with_annotations({"metadata": {}}, attempts.failed(NOW))
        obj = meta.with_annotations(obj, attempts.begun(Attempt(id="i", started=NOW), replaces=None))
        assert attempts.open_attempt(obj) is not None

    def test_a_human_settles_it_only_by_another_name(self) -> None:
        opened = attempts.OpenAttempt(attempt=Attempt(id="i", started=NOW), replaces="77")
        assert attempts.settled_by_human(opened, "78")
        assert not attempts.settled_by_human(opened, "77")
        assert not attempts.settled_by_human(opened, None)

    @pytest.mark.parametrize(
        "text", ["{", "[]", '"x"', "{}", '{"misses": 5}', '{"started": 5, "misses": [1]}']
    )
    def test_nonsense_is_an_attempt_without_an_id(self, text: str) -> None:
        annotations = {meta.CREATE_PENDING: meta.to_rfc3339(NOW), meta.CREATE_ATTEMPT: text}
        opened = attempts.open_attempt({"metadata": {"annotations": annotations}})
        assert opened is not None
        assert opened.attempt.id == ""
        assert opened.attempt.started == NOW.replace(microsecond=0)


def test_the_constants_are_crossplanes() -> None:
    timings = ManagedTimings()
    assert timings.pass_deadline_seconds == 60
    assert timings.creation_grace_seconds == 30
    assert timings.poll_interval_seconds == 60
    assert timings.poll_jitter == 0.1
    assert (timings.critical_attempts, timings.critical_retry_seconds) == (5, 0.01)
    assert timings.in_use_retry_seconds == 30
    assert timings.resolution_delay_seconds == 30


def test_warnings_are_said_once_and_again_after_a_while() -> None:
    recorder, clock = Recorder(), [0.0]
    announcer = Announcer(recorder, now=lambda: clock[0], repeat_seconds=100)
    obj = {"metadata": {"name": "a", "uid": "u"}}
    announcer.warning(obj, "R", "m")
    announcer.warning(obj, "R", "m")
    announcer.warning(obj, "R", "other")
    announcer.warning(obj, "R", "m")
    clock[0] = 101
    announcer.warning(obj, "R", "m")
    announcer.well("u")
    announcer.warning(obj, "R", "m")
    assert [message for *_, message in recorder.events] == ["m", "other", "m", "m", "m"]


def test_the_log_tells_of_a_failure_and_of_its_end_once() -> None:
    announcer = Announcer(Recorder(), now=lambda: 0.0, repeat_seconds=100)
    obj = {"kind": "Channel", "metadata": {"name": "a", "namespace": "n", "uid": "u"}}
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            announcer.warning(obj, "R", "m")
        announcer.well("u")
        announcer.well("u")
    who = {"kind": "Channel", "namespace": "n", "name": "a"}
    assert logs == [
        {"event": "reconcile failed", "log_level": "warning", "reason": "R", "error": "m", **who},
        {"event": "reconcile succeeded again", "log_level": "info", **who},
    ]


def test_a_line_that_everybody_says_is_said_once_in_a_while() -> None:
    folding = Folding(every_seconds=60)
    said = [folding.due("away", now=float(second)) for second in range(0, 130, 10)]
    assert [(second * 10, count) for second, count in enumerate(said) if count is not None] == [
        (0, 0),
        (60, 5),
        (120, 5),
    ]
    assert folding.due("another", now=125) == 0
    assert folding.due("away", now=190) == 0, "it was well meanwhile: this is news"


def test_a_view_reads_what_is_there_and_what_is_not() -> None:
    mr = ManagedResource.of(THINGS, {"metadata": {"name": "a"}})
    assert mr.config_name == "default"
    assert mr.external_name is None
    assert mr.for_provider == {}
    assert mr.synced_generation == 0
    assert mr.policies.creates
    named = {"metadata": {"name": "a", "annotations": {meta.EXTERNAL_NAME: " 7 "}}}
    assert ManagedResource.of(THINGS, named, possible=str.isdigit).external_name == "7"
    named["metadata"]["annotations"] = {meta.EXTERNAL_NAME: "a"}
    assert ManagedResource.of(THINGS, named, possible=str.isdigit).external_name is None
