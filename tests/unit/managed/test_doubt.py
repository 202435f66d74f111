"""A cache that is behind, a lease that went: nothing is deleted, settled or claimed on their account."""

from __future__ import annotations

import pytest

from provider_discord.kube.resource import Key, Resource
from provider_discord.managed import attempts, meta
from provider_discord.managed.errors import Blocked
from provider_discord.managed.external import Attempt
from tests.unit.managed.managed_world import BEGINNING, SETTLED, THINGS, World


def test_a_deletion_is_checked_with_the_api_server_first(world: World) -> None:
    """The object that is deleted has gone and come back; the watch has not told yet."""
    key = world.thing()
    world.run(5)
    id_ = world.external_name(key)
    world.delete(key)
    world.deliver()
    # Somebody forces it out and restores it from a backup.
    world.deliveries = False
    world.edit(key, lambda obj: obj["metadata"].pop("finalizers"))
    world.thing(annotations={meta.EXTERNAL_NAME: id_})
    world.run(5)
    assert list(world.cloud.objects) == [id_]
    world.deliveries = True
    world.run(90)
    assert world.states(key) == SETTLED
    assert list(world.cloud.objects) == [id_]


def test_a_way_out_taken_at_the_last_moment_counts(world: World) -> None:
    key = world.thing()
    world.run(5)
    world.delete(key)
    world.deliver()
    world.deliveries = False
    world.edit(key, lambda obj: obj["spec"].update(managementPolicies=["Observe", "Create", "Update"]))
    world.run(5)
    world.deliveries = True
    world.run(90)
    assert world.obj(key) is None
    assert len(world.cloud.objects) == 1


def test_a_late_failure_does_not_settle_the_attempt_of_another_copy(world: World) -> None:
    """This copy was held up; another one took over, settled our attempt and began its own."""
    key = world.thing()
    theirs = attempts.begun(Attempt(id="theirs", started=world.clock.wall()), replaces=None)

    def take_over(verb: str, resource: Resource, at: Key) -> None:
        pending = world.annotation(at, meta.CREATE_ATTEMPT) if resource == THINGS else None
        if verb == "replace" and pending and "theirs" not in pending:
            obj = meta.with_annotations(world.api.objects[THINGS, at], theirs)
            world.api.hooks.remove(take_over)
            world.api.replace(THINGS, obj)

    world.api.hooks.append(take_over)
    world.cloud.on_create = "fail"
    world.run(1)
    assert "theirs" in (world.annotation(key, meta.CREATE_ATTEMPT) or "")


def test_an_object_made_anew_unseen_claims_nothing_of_the_old_one(world: World) -> None:
    key = world.thing()
    world.run(5)
    id_ = world.external_name(key)
    claims = world.process.tools.claims
    assert claims.claimed("Thing", id_)
    # Between two lists it went, with its policies leaving the thing, and another one came.
    old = world.obj(key)
    assert old is not None
    world.deliveries = False
    world.edit(key, lambda obj: obj["metadata"].pop("finalizers"))
    world.api.delete(THINGS, key)
    world.thing(policies=["Observe"])
    world.api.changes.clear()
    new = world.obj(key)
    assert new is not None
    world.process.deliver(THINGS, new, gone=False)
    assert not claims.claimed("Thing", id_)


def test_an_adoption_that_did_not_come_about_claims_nothing(world: World) -> None:
    """The manifest was renamed in the moment of adopting: what the old name meant is free for others."""
    world.cloud.adopt_by_name = True
    id_ = world.cloud.make("Thing", {"name": "general"})
    key = world.thing("general")
    renamed: list[Key] = []

    def rename(verb: str, resource: Resource, at: Key) -> None:
        if verb == "replace" and resource == THINGS and not renamed:
            renamed.append(at)
            world.set_field(at, "name", "lobby")

    world.api.hooks.append(rename)
    world.run(5)
    assert world.states(key) == SETTLED
    assert world.external_name(key) != id_
    assert not world.process.tools.claims.claimed("Thing", id_)


def test_an_adoption_given_up_for_good_claims_nothing(world: World) -> None:
    world.cloud.adopt_by_name = True
    id_ = world.cloud.make("Thing", {"name": "general"})
    key = world.thing("general")
    renamed: list[Key] = []

    def rename(verb: str, resource: Resource, at: Key) -> None:
        if verb == "replace" and resource == THINGS and not renamed:
            renamed.append(at)
            world.cloud.refusal = Blocked("not now", reason="MissingPermission")
            world.set_field(at, "name", "lobby")

    world.api.hooks.append(rename)
    world.run(5)
    assert not world.external_name(key)
    assert not world.process.tools.claims.claimed("Thing", id_)


def test_an_attempt_knows_its_manifest(world: World) -> None:
    key = world.thing()
    world.edit(key, lambda obj: obj["spec"]["forProvider"].update(size=2))
    world.cloud.on_create = "late"
    world.run(1)
    opened = attempts.open_attempt(world.obj(key) or {})
    assert opened is not None
    assert opened.attempt.generation == 2
    assert opened.attempt.misses, "kept when it is looked for"


def test_a_namespace_that_the_config_does_not_serve_owns_nothing(world: World) -> None:
    world.configure("narrow", allowedNamespaces=["ns"])
    config = {"providerConfigRef": {"name": "narrow"}}
    id_ = world.cloud.make("Thing", {"name": "x"})
    names = {meta.EXTERNAL_NAME: id_}
    other = world.thing("other", namespace="elsewhere", annotations=names, spec=config)
    world.run(5)
    key = world.thing("x", annotations=names, spec=config)
    world.run(5)
    assert "does not serve namespace elsewhere" in world.message(other)
    assert world.states(key) == SETTLED
    world.restart()
    world.run(70)
    assert world.states(key) == SETTLED


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        ({meta.EXTERNAL_NAME: "555", meta.CREATE_ATTEMPT: None}, "they found something else, or made it"),
        (
            attempts.begun(Attempt(id="theirs", started=BEGINNING), replaces=None),
            "they are making another one",
        ),
    ],
)
def test_a_late_success_does_not_settle_the_attempt_of_another_copy(
    world: World, theirs: dict[str, str | None], reason: str
) -> None:
    """This copy was frozen between the request and the record of it; another one took over and settled it."""
    key = world.thing()

    def take_over(label: str) -> None:
        if label == "create.sent":
            world.leads = False
            obj = meta.with_annotations(world.api.objects[THINGS, key], theirs)
            world.api.replace(THINGS, obj)

    world.checkpoint = take_over  # type: ignore[method-assign]
    world.restart()
    world.deliveries = False
    world.run(10)
    for name, value in theirs.items():
        assert world.annotation(key, name) == value, reason


def test_a_late_finding_does_not_settle_the_attempt_of_another_copy(world: World) -> None:
    """This copy was frozen when it had found what its attempt made; another one took over and made something else."""
    world.cloud.on_create = "committed"
    key = world.thing()

    def take_over(label: str) -> None:
        if label == "resolve.found":
            world.leads = False
            settled = {meta.EXTERNAL_NAME: "555", meta.CREATE_ATTEMPT: None, meta.CREATE_PENDING: None}
            world.api.replace(THINGS, meta.with_annotations(world.api.objects[THINGS, key], settled))

    world.checkpoint = take_over  # type: ignore[method-assign]
    world.restart()
    world.deliveries = False
    world.run(10)
    assert world.annotation(key, meta.EXTERNAL_NAME) == "555"


def test_a_record_that_an_edit_took_away_is_no_reason_to_lose_what_was_made(world: World) -> None:
    key = world.thing()

    def edit(label: str) -> None:
        if label == "create.sent":
            world.set_annotation(key, meta.CREATE_ATTEMPT, None)
            world.set_annotation(key, meta.CREATE_PENDING, None)

    world.checkpoint = edit  # type: ignore[method-assign]
    world.restart()
    world.run(60)
    assert world.states(key) == SETTLED
    assert list(world.cloud.objects) == [world.external_name(key)]
