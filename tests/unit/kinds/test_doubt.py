"""What may look like proof and is none: nothing is made, adopted or deleted on its account."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from provider_discord.discord import snowflake
from provider_discord.discord.options import CallOptions
from provider_discord.kinds import channel_plan
from provider_discord.kinds.creation import Evidence, decide
from provider_discord.kinds.timings import KindTimings
from provider_discord.kube.workqueue import Priority
from provider_discord.managed import attempts, meta
from provider_discord.managed.attempts import OpenAttempt
from provider_discord.managed.errors import AmbiguousCreate, Blocked, Waiting
from provider_discord.managed.external import Attempt, Verdict
from provider_discord.simulator import Effect, HiddenGet, Permission

if TYPE_CHECKING:
    from tests.unit.kinds.conftest import Thing, World

_WITHOUT_AUDIT_LOG = int(Permission.MANAGE_CHANNELS | Permission.MANAGE_ROLES | Permission.VIEW_CHANNEL)
_STARTED = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def test_an_administrator_who_is_none_any_more_proves_nothing(world: World) -> None:
    """The bot's member is read rarely; a 404 counts only if the bot is an administrator now."""
    world.discord.set_behaviour(hidden_get=str(HiddenGet.NOT_FOUND))
    world.discord.set_bot_permissions(_WITHOUT_AUDIT_LOG)
    admin = world.discord.create_role({"name": "admin", "permissions": "8"})
    world.discord.grant(world.session.bot.id, admin["id"])
    thing = world.channel("general", topic="ours")
    thing.settle()
    world.discord.ungrant(world.session.bot.id, admin["id"])
    world.discord.hide_channel("general")
    mark = world.mark()
    for _ in range(3):
        world.advance(61)
        with pytest.raises(Blocked) as refused:
            thing.reconcile(Priority.POLL)
        assert refused.value.reason == "HiddenOrGone"
    assert world.writes_since(mark) == []
    assert len(world.discord.channels()) == 1


def test_a_channel_under_a_category_that_went_out_of_sight_is_not_taken_for_never_made(world: World) -> None:
    world.discord.set_bot_permissions(_WITHOUT_AUDIT_LOG)
    category = world.discord.create_channel({"name": "staff", "type": 4})
    thing = world.channel("general", parentId=category["id"])
    world.discord.add_fault(Effect.DROP, method="POST", after_commit=True)
    with pytest.raises(AmbiguousCreate):
        thing.reconcile()
    world.discord.hide_channel("general")
    world.discord.hide_channel("staff")
    world.advance(61)
    assert thing.resolve().verdict is Verdict.AMBIGUOUS


@pytest.mark.parametrize("kind", ["Channel", "Role"])
def test_a_changed_manifest_does_not_know_again_what_the_old_one_made(world: World, kind: str) -> None:
    world.discord.set_bot_permissions(_WITHOUT_AUDIT_LOG)
    thing = world.channel("general") if kind == "Channel" else world.role("general")
    world.discord.add_fault(Effect.DROP, method="POST", after_commit=True)
    with pytest.raises(AmbiguousCreate):
        thing.reconcile()
    thing.attempts[-1] = replace(thing.attempts[-1], generation=1)
    thing.spec(name="lobby")
    thing.obj["metadata"]["generation"] = 2
    assert thing.resolve().verdict is Verdict.AMBIGUOUS


def _make(world: World, kind: str, name: str) -> Thing:
    return world.channel(name) if kind == "Channel" else world.role(name)


def _lost(thing: Thing, *, made: bool = True) -> None:
    """Have it created without an answer, and keep the record of that."""
    thing.world.discord.add_fault(Effect.DROP, method="POST", after_commit=made)
    with pytest.raises(AmbiguousCreate):
        thing.reconcile()
    thing.annotate(attempts.begun(thing.attempts[-1], replaces=None))


@pytest.mark.parametrize("kind", ["Channel", "Role"])
def test_what_was_renamed_before_it_was_found_is_not_made_again(world: World, kind: str) -> None:
    world.discord.set_bot_permissions(_WITHOUT_AUDIT_LOG)
    thing = _make(world, kind, "general")
    _lost(thing)
    made = (world.discord.channel if kind == "Channel" else world.discord.role)("general")["id"]
    (world.discord.edit_channel if kind == "Channel" else world.discord.edit_role)(made, {"name": "lobby"})
    resolution = thing.resolve()
    assert resolution.verdict is Verdict.AMBIGUOUS
    assert made in resolution.message
    (world.discord.delete_channel if kind == "Channel" else world.discord.delete_role)(made)
    assert thing.resolve().verdict is Verdict.MISSED, "its end settles it, too"


@pytest.mark.parametrize("kind", ["Channel", "Role"])
def test_two_interrupted_creates_do_not_halt_one_another(world: World, kind: str) -> None:
    world.discord.set_bot_permissions(_WITHOUT_AUDIT_LOG)
    first, second = _make(world, kind, "general"), _make(world, kind, "lobby")
    _lost(first, made=False)
    _lost(second)
    assert first.resolve().verdict is Verdict.MISSED, "the other one's attempt explains what there is"
    found = second.resolve()
    assert found.verdict is Verdict.FOUND
    second.annotate(attempts.still_open(OpenAttempt(attempt=replace(second.attempts[-1], generation=7))))
    assert first.resolve().verdict is Verdict.AMBIGUOUS, "its manifest has changed, so it explains nothing"
    second.annotate(attempts.succeeded(found.external_name or "", world.wall()))
    assert first.resolve().verdict is Verdict.MISSED, "it is claimed now"


@pytest.mark.parametrize(
    ("born", "succeeded", "beside", "gone", "reason"),
    [
        (-9, 1, None, True, "the object made it"),
        (-9, None, None, False, "an external name alone may be anything"),
        (-9, 600, None, True, "it took long"),
        (-9, -60, None, False, "the create was before it"),
        (30, 1, None, False, "the record was copied from another object, or a backup"),
        (-9, 1, 2, False, "the record is right and the id has a typo: there is what was made"),
        (-9, 1, 60, True, "what was made later is no such thing"),
    ],
)
def test_what_went_before_the_status_showed_it_was_there_if_the_create_is_on_record(
    world: World, born: int, succeeded: int | None, beside: int | None, gone: bool, reason: str
) -> None:
    world.discord.set_bot_permissions(_WITHOUT_AUDIT_LOG)
    thing = world.role("helper", external_name=str(snowflake.first_at(_STARTED) + 1))
    thing.obj["metadata"]["creationTimestamp"] = meta.to_rfc3339(_STARTED + timedelta(seconds=born))
    if succeeded is not None:
        ended = _STARTED + timedelta(seconds=succeeded)
        begun = _STARTED if succeeded > 0 else ended
        thing.annotate(
            {meta.CREATE_PENDING: meta.to_rfc3339(begun), meta.CREATE_SUCCEEDED: meta.to_rfc3339(ended)}
        )
    snapshot = world.session.connection.snapshots.get(
        world.guild_id, max_age_seconds=0, options=CallOptions()
    )
    if beside is not None:
        other = str(snowflake.first_at(_STARTED + timedelta(seconds=beside)))
        world.session.connection.snapshots.record_role(
            world.guild_id, {**snapshot.roles[world.guild_id], "id": other, "name": "other"}
        )
    if gone:
        assert thing.observe().exists is False, reason
    else:
        with pytest.raises(Blocked) as refused:
            thing.observe()
        assert refused.value.reason == "ExternalNameInvalid", reason


def test_a_deletion_is_no_change_of_the_manifest(world: World) -> None:
    thing = world.channel("general")
    attempt = Attempt(id="x", started=_STARTED, generation=1)
    assert attempt.is_of(thing.mr)
    thing.mark_deleted().obj["metadata"]["generation"] = 2
    assert attempt.is_of(thing.mr)
    assert Attempt(id="", started=_STARTED).is_of(thing.mr), "a record that does not tell"


def test_what_goes_wrong_after_the_answer_is_no_failed_create(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any managed error of create means that nothing was made, so none may come once it was."""

    def wrong(*_: object) -> dict[str, str | None]:
        msg = "the tags cannot be remembered"
        raise Blocked(msg, reason="InvalidField")

    monkeypatch.setattr(channel_plan, "tags_memory", wrong)
    thing = world.channel("general")
    thing.reconcile()
    assert thing.id == world.discord.channel("general")["id"]


def test_a_thread_keeps_its_channel(world: World) -> None:
    thing = world.channel("general")
    thing.settle()
    world.discord.start_thread("general", "what to do")
    thing.mark_deleted()
    with pytest.raises(Blocked, match="allowDelete") as refused:
        thing.reconcile()
    assert refused.value.reason == "DeletionGuarded"
    assert len(world.discord.channels()) == 1


def test_what_somebody_only_looks_at_is_still_there(world: World) -> None:
    """A second channel of that name beside it would be as wrong as beside any other."""
    there = world.discord.create_channel({"name": "general", "type": 0})
    watcher = world.channel("watcher", external_name=there["id"])
    claim = world.equipment.claims.owner("Channel", there["id"])
    assert claim is not None
    world.equipment.claims.register(there["id"], replace(claim, writes=False))
    thing = world.channel("general")
    with pytest.raises(Blocked) as refused:
        thing.reconcile()
    assert refused.value.reason == "SameNameExists"
    assert watcher.id == there["id"]
    assert len(world.discord.channels()) == 1


def _id(seconds: float) -> str:
    return str(snowflake.first_at(_STARTED + timedelta(seconds=seconds)))


def test_a_request_cannot_have_made_what_came_after_its_deadline() -> None:
    """A crash left the attempt open; what people made while nobody was running is theirs."""
    attempt = Attempt(id="mine", started=_STARTED)
    evidence = Evidence(what="channel x", candidates=[_id(3600)], entries=None)
    wall = _STARTED + timedelta(seconds=7200)
    assert decide(attempt, evidence, wall=wall, timings=KindTimings()).verdict is Verdict.MISSED


def test_what_the_bot_cannot_see_waits_for_the_audit_log() -> None:
    attempt = Attempt(id="mine", started=_STARTED, ended=_STARTED)
    evidence = Evidence(what="channel x", candidates=[], entries=[], visible=False)
    timings = KindTimings()
    with pytest.raises(Waiting):
        decide(attempt, evidence, wall=_STARTED + timedelta(seconds=60), timings=timings)
    later = decide(attempt, evidence, wall=_STARTED + timedelta(seconds=400), timings=timings)
    assert later.verdict is Verdict.MISSED
