"""The verdict on a create whose answer was lost, over every kind of evidence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provider_discord.discord import snowflake
from provider_discord.kinds.creation import Evidence, decide
from provider_discord.kinds.timings import KindTimings
from provider_discord.managed.errors import Waiting
from provider_discord.managed.external import Attempt, Verdict

_STARTED = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
_TIMINGS = KindTimings()


def _id(seconds: float) -> str:
    """Return the id of something made so long after the attempt began."""
    return str(snowflake.first_at(_STARTED + timedelta(seconds=seconds)))


def _entry(target: str, reason: str | None = "provider-discord uid=u attempt=mine") -> dict[str, Any]:
    return {"id": "1", "target_id": target, "reason": reason}


_MINE, _OLD, _DURING, _LATER = _id(2), _id(-3600), _id(3), _id(300)


@pytest.mark.parametrize(
    ("entries", "candidates", "visible", "verdict", "found", "reason"),
    [
        ([_entry(_MINE)], [], True, Verdict.FOUND, _MINE, "the audit log names the attempt"),
        ([_entry(_MINE)], [_MINE, _DURING], True, Verdict.FOUND, _MINE, "the audit log wins over the list"),
        ([_entry(_DURING, "uid=u attempt=other")], [_DURING], True, Verdict.MISSED, None, "made by another attempt"),
        ([_entry(_DURING, None)], [_DURING], True, Verdict.MISSED, None, "made by a human meanwhile"),
        ([_entry(_DURING, "attempt=mine2")], [_DURING], True, Verdict.MISSED, None, "an id that only begins alike"),
        ([_entry(_DURING, "x attempt=mine y")], [], True, Verdict.FOUND, _DURING, "free text around it"),
        ([], [], True, Verdict.MISSED, None, "nothing anywhere"),
        ([], [_OLD], True, Verdict.MISSED, None, "what was there before is not it"),
        (None, [_DURING], True, Verdict.FOUND, _DURING, "no audit log: the only one made during the attempt"),
        (None, [_OLD, _DURING], True, Verdict.FOUND, _DURING, "no audit log: the old one does not count"),
        (None, [_LATER], True, Verdict.MISSED, None, "no audit log: made long after the attempt"),
        (None, [_DURING, _MINE], True, Verdict.AMBIGUOUS, None, "no audit log: two of them"),
        (None, [], True, Verdict.MISSED, None, "no audit log: nothing"),
        (None, [], False, Verdict.AMBIGUOUS, None, "no audit log, and it could not be seen"),
    ],
)  # fmt: skip
def test_the_verdict_follows_from_the_evidence(
    entries: list[dict[str, Any]] | None,
    candidates: list[str],
    visible: bool,
    verdict: Verdict,
    found: str | None,
    reason: str,
) -> None:
    attempt = Attempt(id="mine", started=_STARTED, ended=_STARTED + timedelta(seconds=5))
    evidence = Evidence(what="channel x", candidates=candidates, entries=entries, visible=visible)
    resolution = decide(attempt, evidence, wall=_STARTED + timedelta(seconds=400), timings=_TIMINGS)
    assert (resolution.verdict, resolution.external_name) == (verdict, found), reason
    assert resolution.message


def test_while_the_audit_log_may_lag_nothing_is_concluded_from_a_stranger() -> None:
    attempt = Attempt(id="mine", started=_STARTED, ended=_STARTED + timedelta(seconds=5))
    evidence = Evidence(what="channel x", candidates=[_DURING], entries=[])
    with pytest.raises(Waiting) as waiting:
        decide(attempt, evidence, wall=_STARTED + timedelta(seconds=60), timings=_TIMINGS)
    assert waiting.value.quiet
    later = decide(attempt, evidence, wall=_STARTED + timedelta(seconds=400), timings=_TIMINGS)
    assert later.external_name == _DURING


@pytest.mark.parametrize(
    ("entries", "candidates", "visible", "verdict", "found", "reason"),
    [
        (None, [], True, Verdict.AMBIGUOUS, None, "it may be ours, renamed since"),
        (None, [], False, Verdict.AMBIGUOUS, None, "likewise, and nothing else could be known again"),
        (None, [_MINE], True, Verdict.FOUND, _MINE, "what has the name is nearer"),
        (None, [_OLD], True, Verdict.AMBIGUOUS, None, "what has the name was there before"),
        ([_entry(_MINE)], [], True, Verdict.FOUND, _MINE, "the audit log knows"),
        ([_entry(_DURING, None)], [], True, Verdict.MISSED, None, "the audit log knows that it is another's"),
        ([], [], True, Verdict.AMBIGUOUS, None, "the audit log is silent about it for good"),
    ],
)
def test_what_nobody_claims_may_be_ours_under_another_name(
    entries: list[dict[str, Any]] | None,
    candidates: list[str],
    visible: bool,
    verdict: Verdict,
    found: str | None,
    reason: str,
) -> None:
    attempt = Attempt(id="mine", started=_STARTED, ended=_STARTED + timedelta(seconds=5))
    evidence = Evidence(
        what="channel x", candidates=candidates, entries=entries, visible=visible, others=[_DURING]
    )
    resolution = decide(attempt, evidence, wall=_STARTED + timedelta(seconds=400), timings=_TIMINGS)
    assert (resolution.verdict, resolution.external_name) == (verdict, found), reason
    assert (_DURING in resolution.message) is (verdict is Verdict.AMBIGUOUS)
    assert ("View Audit Log" in resolution.message) is (verdict is Verdict.AMBIGUOUS and entries is None)


def test_while_the_audit_log_may_lag_what_may_be_ours_under_another_name_is_no_miss() -> None:
    attempt = Attempt(id="mine", started=_STARTED, ended=_STARTED + timedelta(seconds=5))
    evidence = Evidence(what="channel x", candidates=[], entries=[], others=[_DURING])
    with pytest.raises(Waiting, match=_DURING) as waiting:
        decide(attempt, evidence, wall=_STARTED + timedelta(seconds=60), timings=_TIMINGS)
    assert waiting.value.quiet


def test_an_attempt_without_an_id_is_never_matched_by_the_audit_log() -> None:
    attempt = Attempt(id="", started=_STARTED)
    evidence = Evidence(what="channel x", candidates=[], entries=[_entry(_MINE, "attempt= x")])
    assert decide(attempt, evidence, wall=_STARTED, timings=_TIMINGS).verdict is Verdict.MISSED


def test_after_a_crash_anything_made_while_the_pass_could_last_may_be_it() -> None:
    attempt = Attempt(id="mine", started=_STARTED)
    evidence = Evidence(what="channel x", candidates=[_LATER, _id(80)], entries=None)
    resolution = decide(attempt, evidence, wall=_STARTED + timedelta(seconds=400), timings=_TIMINGS)
    assert resolution.external_name == _id(80)


@pytest.mark.parametrize(
    ("entries", "candidates", "verdict", "found", "reason"),
    [
        ([_entry(_MINE)], [], Verdict.FOUND, _MINE, "what it says is true all the same"),
        ([_entry(_DURING, None)], [], Verdict.AMBIGUOUS, None, "our entry may be among those not read"),
        ([], [_DURING], Verdict.AMBIGUOUS, None, "a human's may be, too"),
    ],
)
def test_a_truncated_audit_log_proves_no_absence(
    entries: list[dict[str, Any]], candidates: list[str], verdict: Verdict, found: str | None, reason: str
) -> None:
    attempt = Attempt(id="mine", started=_STARTED, ended=_STARTED + timedelta(seconds=5))
    evidence = Evidence(what="channel x", candidates=candidates, entries=entries, truncated=True)
    result = decide(attempt, evidence, wall=_STARTED + timedelta(hours=1), timings=_TIMINGS)
    assert (result.verdict, result.external_name) == (verdict, found), reason
