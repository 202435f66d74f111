"""An external name is a line of text: moving it to a stranger must neither overwrite nor delete the stranger."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from provider_discord.kube.workqueue import Priority
from provider_discord.managed import attempts, meta
from provider_discord.managed.errors import Blocked
from provider_discord.managed.external import Change, Observation
from provider_discord.simulator import Permission

if TYPE_CHECKING:
    from tests.unit.kinds.conftest import Thing, World

_KINDS = ["Channel", "Role"]
_WITHOUT_AUDIT_LOG = int(Permission.MANAGE_CHANNELS | Permission.MANAGE_ROLES | Permission.VIEW_CHANNEL)


def _ours(world: World, kind: str, name: str = "ours") -> Thing:
    thing = world.channel(name, type="category") if kind == "Channel" else world.role(name, color=9)
    thing.settle()
    return thing


def _stranger(world: World, kind: str, name: str = "theirs") -> dict[str, Any]:
    world.advance(61)  # The guild is read again.
    if kind == "Channel":
        return world.discord.create_channel({"name": name, "type": 4})
    return world.discord.create_role({"name": name, "color": 5})


def _names(world: World, kind: str) -> set[str]:
    found = world.discord.channels() if kind == "Channel" else world.discord.roles()
    return {str(raw["name"]) for raw in found}


def _let_go(thing: Thing) -> str:
    outcome = thing.mark_deleted().reconcile()
    assert isinstance(outcome, Observation)
    return outcome.let_go


def _forget(world: World, thing: Thing) -> None:
    """Have the process not know any more that it made the thing."""
    _forget_made(world, thing.id)


def _forget_made(world: World, external_name: str) -> None:
    made = world.session.connection.made
    maker = made.get(external_name)
    assert maker is not None
    made.drop(external_name, maker)


# A name that was moved.


@pytest.mark.parametrize("kind", _KINDS)
def test_a_name_that_was_moved_to_a_stranger_is_refused(world: World, kind: str) -> None:
    thing, there = _ours(world, kind), _stranger(world, kind)
    before, mark = thing.id, world.mark()
    thing.annotate({meta.EXTERNAL_NAME: there["id"]})
    for priority in (Priority.CHANGE, Priority.POLL):
        with pytest.raises(Blocked, match=f"{there['id']} .theirs.*{before} .ours") as error:
            thing.reconcile(priority)
    assert error.value.reason == "ExternalNameChanged"
    assert meta.ACKNOWLEDGED_NAME in str(error.value)
    assert thing.at_provider["id"] == before, "or the next pass would take the stranger for its own"
    assert world.writes_since(mark) == []


@pytest.mark.parametrize("kind", _KINDS)
def test_deleting_it_then_deletes_neither(world: World, kind: str) -> None:
    thing, there = _ours(world, kind), _stranger(world, kind)
    before = thing.id
    thing.annotate({meta.EXTERNAL_NAME: there["id"]})
    why = _let_go(thing)
    assert before in why
    assert there["id"] in why
    assert {"ours", "theirs"} <= _names(world, kind)


@pytest.mark.parametrize("kind", _KINDS)
def test_both_ways_out_lead_out(world: World, kind: str) -> None:
    thing, there = _ours(world, kind), _stranger(world, kind)
    before = thing.id
    thing.annotate({meta.EXTERNAL_NAME: there["id"]})
    with pytest.raises(Blocked):
        thing.reconcile()
    thing.annotate({meta.EXTERNAL_NAME: before})
    thing.settle()
    thing.annotate({meta.EXTERNAL_NAME: there["id"], meta.ACKNOWLEDGED_NAME: before})
    with pytest.raises(Blocked):
        thing.reconcile()  # Another id was acknowledged, once.
    thing.annotate({meta.ACKNOWLEDGED_NAME: there["id"]})
    thing.settle()
    assert thing.at_provider["id"] == there["id"]
    assert "theirs" not in _names(world, kind)


@pytest.mark.parametrize("kind", _KINDS)
def test_what_is_gone_may_be_replaced_by_another(world: World, kind: str) -> None:
    thing, there = _ours(world, kind), _stranger(world, kind)
    world.discord.delete_channel("ours") if kind == "Channel" else world.discord.delete_role("ours")
    world.advance(61)
    thing.annotate({meta.EXTERNAL_NAME: there["id"]})
    thing.settle(Priority.POLL)
    assert thing.at_provider["id"] == there["id"]


def test_what_is_only_looked_at_may_be_anything(world: World) -> None:
    thing, there = _ours(world, "Role"), _stranger(world, "Role")
    thing.obj["spec"]["managementPolicies"] = ["Observe"]
    thing.annotate({meta.EXTERNAL_NAME: there["id"]})
    assert thing.observe().at_provider is not None
    assert thing.at_provider["id"] == there["id"]


def test_many_names_moved_at_once_overwrite_nobody(world: World) -> None:
    """A hold is about things that changed at Discord; here nothing did."""
    things = [_ours(world, "Role", f"ours-{n}") for n in range(9)]
    strangers = [_stranger(world, "Role", f"theirs-{n}") for n in range(8)]
    for thing, there in zip(things, strangers, strict=False):
        thing.annotate({meta.EXTERNAL_NAME: there["id"]})
    mark = world.mark()
    for thing in things[:8]:
        with pytest.raises(Blocked, match=r"ours-.*to keep the latter"):
            thing.reconcile(Priority.POLL)
    things[8].reconcile(Priority.POLL)
    assert world.writes_since(mark) == []


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("adoption", ["ByName", "Refuse"])
def test_what_an_object_stood_for_is_not_another_ones_meanwhile(
    world: World, kind: str, adoption: str
) -> None:
    """Neither adopted nor made a second time by an object of its name."""
    world.configure(adoption=adoption)
    thing, there = _ours(world, kind), _stranger(world, kind)
    before = thing.id
    thing.annotate({meta.EXTERNAL_NAME: there["id"]})
    _forget_made(world, before)
    fields = {"type": "category"} if kind == "Channel" else {"color": 3}
    another = world.make(kind, "another", {"name": "ours", "guildId": world.guild_id, **fields})
    mark = world.mark()
    with pytest.raises(Blocked, match=f"{before}.*default/ours") as error:
        another.reconcile()
    assert error.value.reason == "SameNameExists"
    assert world.writes_since(mark) == []
    thing.annotate({meta.EXTERNAL_NAME: before}).settle()


# What is its own.


def test_a_name_with_no_status_is_imported_but_not_deleted_unseen(world: World) -> None:
    there = _stranger(world, "Role")
    thing = world.role("ours", external_name=there["id"])
    assert "never saw" in _let_go(thing)
    assert "theirs" in _names(world, "Role")
    imported = world.role("imported", external_name=there["id"])
    imported.settle()
    assert imported.mark_deleted().reconcile() == Change()
    assert "imported" not in _names(world, "Role")


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("remade", [False, True])
def test_its_own_record_of_a_create_is_enough(world: World, kind: str, *, remade: bool) -> None:
    """The process died after the create had been recorded, and before the status was written."""
    thing = _ours(world, kind)
    thing.obj["status"] = {"atProvider": {"id": "1", "guildId": world.guild_id}} if remade else {}
    thing.obj["metadata"]["creationTimestamp"] = meta.to_rfc3339(world.wall() - timedelta(hours=1))
    at = meta.to_rfc3339(world.wall())
    thing.annotate({meta.CREATE_PENDING: at, meta.CREATE_SUCCEEDED: at})
    _forget(world, thing)
    assert isinstance(thing.observe(), Observation)
    assert thing.mark_deleted().reconcile() == Change()
    assert "ours" not in _names(world, kind)


@pytest.mark.parametrize("kind", _KINDS)
def test_what_a_human_says_that_it_made_is_deleted_in_the_pass_that_learns_it(
    world: World, kind: str
) -> None:
    """The object was halted and deleted, never saw what it made, and its name was changed there since."""
    made = str(_stranger(world, kind, "renamed-since")["id"])
    thing = (
        world.channel("mine", external_name=made, type="category")
        if kind == "Channel"
        else world.role("mine", external_name=made)
    )
    external = thing.mark_deleted().connect()
    thing.obj = copy.deepcopy(thing.obj)
    thing.annotate(attempts.created(made, thing.mr.uid))
    observation = external.observe(thing.mr)
    assert (observation.exists, observation.let_go) == (True, "")


@pytest.mark.parametrize("kind", _KINDS)
def test_what_another_interrupted_create_made_beside_it_casts_no_doubt(world: World, kind: str) -> None:
    """Two creates were interrupted at once, and the other one is not resolved yet: what it made is nobody's."""
    thing = _ours(world, kind)
    if kind == "Channel":
        world.discord.create_channel({"name": "other", "type": 4})
    else:
        world.discord.create_role({"name": "other"})
    thing.obj["status"] = {}
    thing.obj["metadata"]["creationTimestamp"] = meta.to_rfc3339(world.wall() - timedelta(hours=1))
    at = meta.to_rfc3339(world.wall())
    thing.annotate({meta.CREATE_PENDING: at, meta.CREATE_SUCCEEDED: at})
    _forget(world, thing)
    assert thing.mark_deleted().reconcile() == Change()
    assert _names(world, kind).isdisjoint({"ours"})
    assert "other" in _names(world, kind)


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("copied", [False, True])
def test_what_it_made_is_known_by_its_own_record_whatever_people_did_to_it(
    world: World, kind: str, *, copied: bool
) -> None:
    """It was renamed by hand before any status showed it, and something else was made in the same second."""
    thing = _ours(world, kind)
    at = meta.to_rfc3339(world.wall())
    if kind == "Channel":
        world.discord.edit_channel(thing.id, {"name": "renamed"})
        world.discord.create_channel({"name": "other", "type": 4})
    else:
        world.discord.edit_role(thing.id, {"name": "renamed"})
        world.discord.create_role({"name": "other"})
    thing.obj["status"] = {}
    thing.obj["metadata"]["creationTimestamp"] = meta.to_rfc3339(world.wall() - timedelta(hours=1))
    maker = "somebody-elses" if copied else thing.obj["metadata"]["uid"]
    thing.annotate({meta.CREATE_PENDING: at, meta.CREATE_SUCCEEDED: at, **attempts.created(thing.id, maker)})
    _forget(world, thing)
    world.advance(61)  # The guild is read again.
    if copied:
        assert _let_go(thing)
    else:
        assert thing.mark_deleted().reconcile() == Change()
    assert ("renamed" in _names(world, kind)) is copied


def test_a_record_of_another_create_is_not(world: World) -> None:
    thing = _ours(world, "Role")
    there = _stranger(world, "Role")
    at = meta.to_rfc3339(world.wall())
    thing.obj["metadata"]["creationTimestamp"] = meta.to_rfc3339(world.wall() - timedelta(hours=1))
    thing.annotate({meta.CREATE_PENDING: at, meta.CREATE_SUCCEEDED: at, meta.EXTERNAL_NAME: there["id"]})
    assert _let_go(thing)
    assert {"ours", "theirs"} <= _names(world, "Role")


@pytest.mark.parametrize("kind", _KINDS)
def test_names_that_were_exchanged_within_the_second_of_the_creates_are_refused(
    world: World, kind: str
) -> None:
    """Both records fit both things, and neither thing is nobody's."""
    one, two = _ours(world, kind, "one"), _ours(world, kind, "two")
    at = meta.to_rfc3339(world.wall())
    for thing in (one, two):
        thing.obj["metadata"]["creationTimestamp"] = meta.to_rfc3339(world.wall() - timedelta(hours=1))
    first, second = one.id, two.id
    for thing, name in ((one, second), (two, first)):
        thing.annotate({meta.EXTERNAL_NAME: name, meta.CREATE_PENDING: at, meta.CREATE_SUCCEEDED: at})
    mark = world.mark()
    for thing in (one, two):
        with pytest.raises(Blocked) as error:
            thing.reconcile()
        assert error.value.reason == "ExternalNameChanged"
        assert _let_go(thing)
    assert world.writes_since(mark) == []


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("deleting", [False, True])
def test_what_is_only_hidden_gives_its_place_to_no_namesake_made_in_the_same_seconds(
    world: World, *, recorded: bool, deleting: bool
) -> None:
    """A human made a channel of the manifest's name elsewhere, and the object's own one is not listed any more."""
    world.discord.set_bot_permissions(_WITHOUT_AUDIT_LOG)
    world.configure()
    categories = [world.discord.create_channel({"name": name, "type": 4})["id"] for name in "ab"]
    thing = world.channel("chat", parentId=categories[0], topic="ours")
    thing.settle()
    at = meta.to_rfc3339(world.wall())
    thing.obj["metadata"]["creationTimestamp"] = meta.to_rfc3339(world.wall() - timedelta(seconds=5))
    record = attempts.created(thing.id, thing.mr.uid) if recorded else {meta.CREATED: None}
    thing.annotate({meta.CREATE_PENDING: at, meta.CREATE_SUCCEEDED: at, **record})
    theirs = world.discord.create_channel({"name": "chat", "type": 0, "parent_id": categories[1]})["id"]
    world.discord.hide_channel(thing.id)
    world.advance(61)
    mark = world.mark()
    thing.annotate({meta.EXTERNAL_NAME: theirs})
    if deleting:
        assert _let_go(thing)
    else:
        with pytest.raises(Blocked) as error:
            thing.reconcile()
        assert error.value.reason == "ExternalNameChanged"
    assert world.writes_since(mark) == []


@pytest.mark.parametrize("deleting", [False, True])
def test_its_own_record_speaks_against_what_was_made_in_the_same_seconds(
    world: World, *, deleting: bool
) -> None:
    thing = _ours(world, "Role")
    at = meta.to_rfc3339(world.wall())
    theirs = world.discord.create_role({"name": "ours"})["id"]
    thing.obj["metadata"]["creationTimestamp"] = meta.to_rfc3339(world.wall() - timedelta(hours=1))
    thing.annotate(
        {meta.CREATE_PENDING: at, meta.CREATE_SUCCEEDED: at, **attempts.created(thing.id, thing.mr.uid)}
    )
    thing.annotate({meta.EXTERNAL_NAME: theirs})
    thing.obj["status"] = {} if deleting else thing.obj["status"]
    world.advance(61)
    mark = world.mark()
    if deleting:
        assert _let_go(thing)
    else:
        with pytest.raises(Blocked):
            thing.reconcile()
    assert world.writes_since(mark) == []


@pytest.mark.parametrize("kind", _KINDS)
def test_a_name_that_is_put_back_to_what_is_gone_leads_to_what_was_made_since(
    world: World, kind: str
) -> None:
    """A manifest in Git still has the id of what was deleted by hand, and made anew."""
    thing = _ours(world, kind)
    thing.annotate(dict(attempts.created(thing.id, thing.mr.uid)))
    gone = thing.id
    world.discord.delete_channel("ours") if kind == "Channel" else world.discord.delete_role("ours")
    world.advance(61)
    thing.settle()
    made = thing.id
    assert made != gone
    thing.annotate({**attempts.created(made, thing.mr.uid), meta.EXTERNAL_NAME: gone})
    thing.settle()
    assert thing.id == made
    assert [raw["name"] for raw in world.discord.channels() + world.discord.roles()].count("ours") == 1


# @everyone.


def test_a_role_named_by_the_guilds_id_is_not_everyone_by_that(world: World) -> None:
    thing = world.role("helpers", external_name=world.guild_id, permissionNames=["ADMINISTRATOR"])
    mark = world.mark()
    with pytest.raises(Blocked, match="every member") as error:
        thing.reconcile()
    assert error.value.reason == "ExternalNameInvalid"
    assert world.writes_since(mark) == []
    thing.spec(everyone=True, name=None, permissionNames=["VIEW_CHANNEL"]).settle()


# Guilds.


def test_a_guild_objects_name_that_was_moved_is_refused(world: World) -> None:
    thing = world.guild(name="Simulated Guild", external_name=world.guild_id)
    thing.settle()
    other = world.discord.create_guild("Other Guild")["id"]
    thing.annotate({meta.EXTERNAL_NAME: other})
    with pytest.raises(
        Blocked, match=f"guild {other} .Other Guild.*guild {world.guild_id} .Simulated Guild"
    ) as error:
        thing.reconcile()
    assert error.value.reason == "ExternalNameChanged"
    thing.spec(name="Other Guild").annotate({meta.ACKNOWLEDGED_NAME: other})
    thing.settle()
    assert world.discord.guild(other)["name"] == "Other Guild"


def test_a_guild_object_without_annotation_finds_its_guild_before_one_of_its_name(world: World) -> None:
    thing = world.guild(name="Simulated Guild", external_name=world.guild_id)
    thing.settle()
    world.discord.set_guild(name="Renamed")
    other = world.discord.create_guild("Simulated Guild")["id"]
    assert other != world.guild_id
    thing.annotate({meta.EXTERNAL_NAME: None})
    world.advance(120)
    thing.settle()
    assert thing.id == world.guild_id
    assert world.discord.guild()["name"] == "Simulated Guild"


# Another guild.


@pytest.mark.parametrize("kind", _KINDS)
def test_an_object_whose_guild_was_changed_is_deleted_where_it_is(world: World, kind: str) -> None:
    thing = _ours(world, kind)
    other = world.discord.create_guild("Other Guild")["id"]
    thing.spec(guildId=other)
    with pytest.raises(Blocked, match=r"put .* back, or delete this object") as error:
        thing.reconcile()
    assert error.value.reason == "GuildChanged"
    assert thing.mark_deleted().reconcile() == Change()
    assert "ours" not in _names(world, kind)


def test_everyone_of_a_guild_that_was_changed_is_let_go(world: World) -> None:
    thing = world.make("Role", "everyone", {"everyone": True, "guildId": world.guild_id})
    thing.settle()
    thing.spec(guildId=world.discord.create_guild("Other Guild")["id"])
    seen = thing.mark_deleted().reconcile()
    assert isinstance(seen, Observation)
    assert not seen.exists
