"""The harness's own judgement: what it excuses beside a halt, and what its human does about one."""

from __future__ import annotations

from typing import Any

import pytest

from provider_discord.managed import meta
from tests.chaos.cluster import Obj
from tests.chaos.human import Human, halt_of, unexplained
from tests.chaos.judge import Verdict, Wrong
from tests.chaos.team import Key

A: Key = ("Channel", "a")
CHILD: Key = ("Channel", "child")
GRANDCHILD: Key = ("Channel", "grandchild")
OTHER: Key = ("Role", "other")
REFERS = {A: {("Guild", "guild")}, CHILD: {A}, GRANDCHILD: {CHILD}, OTHER: {("Guild", "guild")}}
MADE, STRANGE = "100000000000000001", "100000000000000002"
UNKNOWN = "create failed: cannot determine creation result: can't be told"
UNLISTED = f"observe failed: channel {MADE} is not listed: hidden from the bot, or deleted. Nothing is done"


class TestWhatAHaltExplains:
    """Everything else that is wrong fails the seed."""

    @pytest.mark.parametrize(
        ("verdict", "left"),
        [
            pytest.param(Verdict(stuck=[Wrong("halted", A)]), 0, id="the halt itself"),
            pytest.param(
                Verdict(lost=[Wrong("what it made", A)]), 0, id="what it made and does not hold yet"
            ),
            pytest.param(Verdict(stuck=[Wrong("waits", CHILD)]), 0, id="what refers to it"),
            pytest.param(Verdict(stuck=[Wrong("waits", GRANDCHILD)]), 0, id="what refers to that"),
            pytest.param(Verdict(lost=[Wrong("a thing of an object that is gone")]), 1, id="a lost thing"),
            pytest.param(Verdict(lost=[Wrong("no channel", OTHER)]), 1, id="another's lost thing"),
            pytest.param(Verdict(stuck=[Wrong("finalizer", OTHER)]), 1, id="another's finalizer"),
            pytest.param(Verdict(differs=[Wrong("color", OTHER)]), 1, id="another's field"),
            pytest.param(Verdict(differs=[Wrong("the order")]), 1, id="the order of the others"),
            pytest.param(Verdict(duplicates=[Wrong("twice")]), 1, id="a duplicate"),
            pytest.param(
                Verdict(lost=[Wrong("x")], stuck=[Wrong("halted", A), Wrong("finalizer", OTHER)]),
                2,
                id="a halt among others",
            ),
        ],
    )
    def test_is_what_hangs_on_it(self, verdict: Verdict, left: int) -> None:
        assert len(unexplained(verdict, [A], REFERS)) == left

    def test_is_nothing_where_nobody_halts(self) -> None:
        assert len(unexplained(Verdict(stuck=[Wrong("stuck", A), Wrong("stuck", CHILD)]), [], REFERS)) == 2

    @pytest.mark.parametrize(
        ("obj", "halts"),
        [
            pytest.param({"message": UNKNOWN}, True, id="a create of unknown outcome"),
            pytest.param({"message": UNLISTED}, True, id="a channel that is not listed"),
            pytest.param({"message": "observe failed: 500"}, False, id="any other error"),
            pytest.param({"message": UNKNOWN, "of": 1}, False, id="one of an old manifest"),
            pytest.param({"message": UNKNOWN, "status": "True"}, False, id="none any more"),
        ],
    )
    def test_a_halt_is_what_the_condition_of_today_says(self, obj: dict[str, Any], halts: bool) -> None:
        assert bool(halt_of(_obj(**obj))) is halts


class TestTheHuman:
    """Does what the condition says, by the audit log, and sees a condition that says what is not so."""

    @pytest.mark.parametrize(
        ("said", "there", "deleting", "patch"),
        [
            pytest.param(
                UNKNOWN,
                [MADE, STRANGE],
                False,
                {"metadata": {"annotations": {meta.EXTERNAL_NAME: MADE}}},
                id="it was made",
            ),
            pytest.param(
                UNKNOWN,
                [STRANGE],
                False,
                {"metadata": {"annotations": {meta.CREATE_PENDING: None}}},
                id="it was not, or is gone",
            ),
            pytest.param(
                UNLISTED,
                [STRANGE],
                False,
                {"metadata": {"annotations": {meta.EXTERNAL_NAME: None}}},
                id="it was deleted",
            ),
            pytest.param(
                UNLISTED,
                [],
                True,
                {"spec": {"managementPolicies": ["Observe", "Create", "Update"]}},
                id="it was deleted, as it shall",
            ),
        ],
    )
    def test_decides(self, said: str, there: list[str], deleting: bool, patch: dict[str, Any]) -> None:
        cluster = _Notebook()
        human = Human(cluster.patch)
        obj = _obj(message=said, deleting=deleting)
        assert human.answer(obj, said, guild=_guild(there), audit=_AUDIT) == []
        assert cluster.patches == [patch]
        assert len(human.decisions) == 1

    @pytest.mark.parametrize(
        ("said", "there"),
        [
            pytest.param(f"{UNKNOWN}: {STRANGE}", [MADE, STRANGE], id="only another's thing is named"),
            pytest.param(UNLISTED, [MADE], id="it is there for everybody to see"),
        ],
    )
    def test_is_not_misled(self, said: str, there: list[str]) -> None:
        cluster = _Notebook()
        assert Human(cluster.patch).answer(_obj(message=said), said, guild=_guild(there), audit=_AUDIT)
        assert not cluster.patches

    def test_does_not_answer_for_ever(self) -> None:
        human = Human(_Notebook().patch)
        answers = [
            human.answer(_obj(message=UNKNOWN), UNKNOWN, guild=_guild([MADE]), audit=_AUDIT) for _ in range(3)
        ]
        assert [bool(one) for one in answers] == [False, False, True]


_AUDIT = [{"action_type": 10, "target_id": MADE, "reason": "provider-discord ns/a uid=u attempt=1"}]


class _Notebook:
    """Notes what is patched."""

    def __init__(self) -> None:
        self.patches: list[Obj] = []

    def patch(self, kind: str, name: str, body: Any) -> bool:
        assert (kind, name) == A
        self.patches.append(body)
        return True


def _obj(*, message: str, status: str = "False", of: int = 2, deleting: bool = False) -> Obj:
    metadata = {"name": "a", "uid": "u", "generation": 2, "annotations": {meta.EXTERNAL_NAME: MADE}}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    synced = {
        "type": "Synced",
        "status": status,
        "message": message,
        "observedGeneration": of,
    }
    return {"kind": "Channel", "metadata": metadata, "status": {"conditions": [synced]}}


def _guild(channels: list[str]) -> dict[str, Any]:
    return {"channels": [{"id": one} for one in channels], "roles": []}
