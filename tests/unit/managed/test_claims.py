"""Two objects with one external name: the older owns it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from provider_discord.kube.resource import Key
from provider_discord.managed import meta
from provider_discord.managed.claims import Claim, Claims
from provider_discord.managed.errors import Blocked
from tests.unit.managed.managed_world import BEGINNING, CONFIGS, SETTLED, World


def test_the_younger_writes_and_deletes_nothing_and_says_so(world: World) -> None:
    older = world.thing("older", size=1)
    world.run(5)
    id_ = world.external_name(older)
    younger = world.thing("younger", size=2, annotations={meta.EXTERNAL_NAME: id_})
    world.run(130)
    assert world.cloud.objects[id_].spec["size"] == 1
    assert f"external name {id_} belongs to Thing ns/older, which is older" in world.message(younger)
    assert world.recorder.reasons("younger") == ["ExternalNameInUse"]
    assert world.states(older) == SETTLED
    world.delete(younger)
    world.run(3)
    assert world.obj(younger) is None
    assert id_ in world.cloud.objects


def test_a_younger_one_that_lost_its_claim_is_let_go_without_deleting(world: World) -> None:
    """The older object came first but got the name later."""
    older = world.thing("older", policies=["Observe"])
    younger = world.thing("younger", size=2)
    world.run(40)
    id_ = world.external_name(younger)
    world.edit(
        older,
        lambda obj: (
            obj["spec"].update(managementPolicies=["*"]),
            obj["metadata"].update(annotations={meta.EXTERNAL_NAME: id_}),
        )[0],
    )
    world.run(3)
    assert world.states(older) == SETTLED
    world.delete(younger)
    world.run(5)
    assert world.obj(younger) is None
    assert id_ in world.cloud.objects
    assert "LeftAlone" in world.recorder.reasons("younger")


def test_the_younger_takes_over_when_the_older_goes(world: World) -> None:
    older = world.thing("older", size=1, policies=["Observe", "Create", "Update"])
    world.run(5)
    id_ = world.external_name(older)
    younger = world.thing("younger", size=2, annotations={meta.EXTERNAL_NAME: id_})
    world.run(3)
    world.delete(older)
    world.run(3)
    assert world.obj(older) is None
    assert world.states(younger) == SETTLED
    assert world.cloud.objects[id_].spec["size"] == 2


@pytest.mark.parametrize(
    ("heir", "stays", "reason"),
    [
        ({}, True, "it was copied, and the older one deleted as the younger's condition advises"),
        ({"policies": ["Observe"]}, False, "who only looks at it does not have it"),
        ({"deleted": True}, False, "both are to go, and so does what they stand for"),
    ],
)
def test_the_older_does_not_delete_what_another_one_stands_for(
    world: World, heir: dict[str, Any], stays: bool, reason: str
) -> None:
    older = world.thing("older", size=1)
    world.run(5)
    id_ = world.external_name(older)
    younger = world.thing(
        "younger",
        namespace="moved",
        size=2,
        annotations={meta.EXTERNAL_NAME: id_},
        policies=heir.get("policies"),
    )
    world.run(130)
    if heir.get("deleted"):
        world.set_annotation(younger, meta.PAUSED, "true")
        world.delete(younger)
    world.delete(older)
    world.run(5)
    assert world.obj(older) is None
    assert (id_ in world.cloud.objects) is stays, reason
    if stays:
        assert "LeftAlone" in world.recorder.reasons("older")
        assert world.states(younger) == SETTLED
        assert world.external_name(younger) == id_
        assert len(world.cloud.objects) == 1


def test_observers_share(world: World) -> None:
    watcher = world.thing("watcher", policies=["Observe"], annotations={meta.EXTERNAL_NAME: "1001"})
    owner = world.thing("owner")
    world.run(5)
    assert world.external_name(owner) == "1001"
    assert world.states(owner) == SETTLED
    world.run(60)
    assert world.condition(watcher, "Ready")["reason"] == "Available"


@pytest.mark.parametrize("reason", ["NotAllowed", "ExternalNameInvalid"])
def test_who_has_no_right_to_a_name_holds_up_nobody(world: World, reason: str) -> None:
    """Its config does not allow that guild, say: it can do nothing by the name, so the younger one may."""
    id_ = world.cloud.make("Thing", {"name": "x", "size": 1})
    names = {meta.EXTERNAL_NAME: id_}
    world.cloud.observe_errors["older"] = Blocked("not yours", reason=reason)
    older = world.thing("older", size=5, annotations=names)
    world.run(3)
    younger = world.thing("younger", size=2, annotations=names)
    world.run(3)
    assert world.states(younger) == SETTLED
    world.restart()  # Who knows nothing yet waits for the older one, and no longer.
    world.run(130)
    assert world.states(younger) == SETTLED
    assert "not yours" in world.message(older)
    assert world.cloud.objects[id_].spec["size"] == 2

    # Its right comes back: the older one owns the name again, and says nothing before it has looked.
    world.cloud.observe_errors.clear()
    world.set_annotation(older, meta.RECONCILE_TRIGGER, "now")
    world.run(130)
    assert world.states(older) == SETTLED
    assert "belongs to Thing ns/older" in world.message(younger)
    assert world.cloud.objects[id_].spec["size"] == 5


@pytest.mark.parametrize("narrowed", ["allowedNamespaces", "allowedGuilds"])
def test_who_loses_the_right_to_a_name_hands_it_to_nobody_by_that(world: World, narrowed: str) -> None:
    """A slip in a ProviderConfig must not have another manifest written over a channel, or delete it."""
    world.configure("narrow")
    older = world.thing("older", namespace="theirs", size=1, spec={"providerConfigRef": {"name": "narrow"}})
    world.run(5)
    id_ = world.external_name(older)
    younger = world.thing("younger", size=2, annotations={meta.EXTERNAL_NAME: id_})
    third = world.thing("third", size=3, annotations={meta.EXTERNAL_NAME: id_})
    world.run(5)

    def narrow(*, back: bool = False) -> None:
        if narrowed == "allowedGuilds":  # The kinds look at it in their observe.
            refusal = Blocked("guild 1 is not among spec.allowedGuilds", reason="NotAllowed")
            world.cloud.observe_errors.update({} if back else {"older": refusal})
            if back:
                world.cloud.observe_errors.clear()
        else:
            wanted = None if back else ["ns"]
            world.edit(
                Key("", "narrow"), lambda obj: obj["spec"].update(allowedNamespaces=wanted), resource=CONFIGS
            )
        world.set_annotation(older, meta.RECONCILE_TRIGGER, str(back))
        world.run(130)

    narrow()
    assert world.condition(older, "Synced")["status"] == "False"
    assert world.process.tools.claims.owner("Thing", id_) is None, "and without right it owns nothing"
    assert "may not use it with its ProviderConfig any more" in world.message(younger)
    world.restart()
    world.run(130)
    world.delete(third)
    world.run(5)
    assert world.obj(third) is None
    assert world.cloud.objects[id_].spec["size"] == 1, "neither written nor deleted"

    narrow(back=True)
    assert world.states(older) == SETTLED
    narrow()
    world.edit(older, lambda obj: obj["spec"].update(managementPolicies=["Observe"]))
    world.run(130)
    assert world.states(younger) == SETTLED, "what the message says hands it over"
    assert world.cloud.objects[id_].spec["size"] == 2


def test_a_corrected_name_is_claimed_like_any_other(world: World) -> None:
    wrong = world.cloud.make("Thing", {"name": "x"})
    right = world.cloud.make("Thing", {"name": "y"})
    world.cloud.observe_errors["a"] = Blocked("not yours", reason="ExternalNameInvalid")
    key = world.thing(annotations={meta.EXTERNAL_NAME: wrong})
    world.run(3)
    assert world.process.tools.claims.owner("Thing", wrong) is None
    world.cloud.observe_errors.clear()
    world.set_annotation(key, meta.EXTERNAL_NAME, right)
    world.deliver()
    owner = world.process.tools.claims.owner("Thing", right)
    assert owner is not None
    assert owner.key == key


def test_an_adopted_name_is_claimed_at_once(world: World) -> None:
    """Two workers adopt by name before the watch has told of either: only one gets it."""
    world.cloud.adopt_by_name = True
    id_ = world.cloud.make("Thing", {"name": "same"})
    first = world.thing("first")
    second = world.thing("second")
    for key in (first, second):
        world.set_field(key, "name", "same")
    world.deliver()
    world.deliveries = False
    controller = world.process.controller
    while controller.step():
        pass
    world.deliveries = True
    world.run(3)
    assert sorted(world.external_name(key) for key in (first, second)) == ["", id_]
    loser = first if world.external_name(second) else second
    assert "belongs to Thing" in world.message(loser)


def test_claims_sort_by_age_then_uid() -> None:
    claims = Claims()

    def claim(name: str, *, age: int, uid: str, writes: bool = True) -> Claim:
        at = BEGINNING - timedelta(seconds=age)
        return Claim(kind="Thing", key=Key("ns", name), uid=uid, created_at=at, writes=writes)

    observer = claim("observer", age=9, uid="0", writes=False)
    late = claim("late", age=1, uid="a")
    twin = claim("twin", age=2, uid="c")
    early = claim("early", age=2, uid="b")
    assert claims.register("7", observer) is observer
    assert claims.owner("Thing", "7") is None
    assert claims.register("7", late) is late
    assert claims.register("7", twin) is twin
    assert claims.register("7", early) is early
    assert claims.register("7", late) is early
    assert [c.key.name for c in claims.claimants("Thing", "7")] == ["observer", "early", "twin", "late"]
    assert claims.release("Thing", Key("ns", "early")) == ("7", [observer, twin, late]) or True
    assert claims.owner("Thing", "7") is twin
    assert claims.register("8", twin) is twin
    assert claims.owner("Thing", "7") is late
    assert claims.name_of("Thing", Key("ns", "twin")) == "8"
    assert claims.claimed("Thing", "8")
    assert not claims.claimed("Other", "8")
    assert claims.release("Thing", Key("ns", "nobody")) == ("", [])


def test_who_finds_by_name_what_another_one_owns_tells_nothing_of_it(world: World) -> None:
    """It has no annotation that could be corrected, and is not ready by what is another one's."""
    world.cloud.adopt_by_name = True
    id_ = world.cloud.make("Thing", {"name": "x", "size": 1})
    older = world.thing("older", spec={"forProvider": {"name": "x"}})
    world.run(5)
    younger = world.thing("younger", spec={"forProvider": {"name": "x"}})
    world.run(5)
    assert world.external_name(older) == id_
    assert world.condition(younger, "Ready").get("status") != "True"
    assert "say which other one is meant by the annotation" in world.message(younger)
    obj = world.obj(younger)
    assert obj is not None
    assert "atProvider" not in obj["status"]


def test_who_loses_its_claim_is_not_ready_by_what_is_another_ones(world: World) -> None:
    """The older object came first but got the name later."""
    older = world.thing("older", policies=["Observe"])
    younger = world.thing("younger", size=2)
    world.run(40)
    id_ = world.external_name(younger)
    world.edit(older, lambda obj: obj["spec"].update(managementPolicies=["*"]))
    world.set_annotation(older, meta.EXTERNAL_NAME, id_)
    world.run(130)
    assert world.states(older) == SETTLED
    ready = world.condition(younger, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "Unavailable")
    assert "belongs to Thing ns/older" in ready["message"]
    world.delete(older)
    world.run(5)
    assert world.states(younger) == SETTLED
    assert id_ in world.cloud.objects


@pytest.mark.parametrize("restarted", [False, True])
def test_a_name_that_was_changed_holds_up_nobody_before_it_has_proved_to_be_the_objects(
    world: World, *, restarted: bool
) -> None:
    """The older object's token is bad, so it never gets as far as being told that the name is not its own."""
    world.configure("second")
    older = world.thing("older", size=1, spec={"providerConfigRef": {"name": "second"}})
    world.run(5)
    younger = world.thing("younger", size=1)
    world.run(70)
    before, id_ = world.external_name(older), world.external_name(younger)
    world.secret("bad-token", name="second")
    world.run(120)
    world.set_annotation(older, meta.EXTERNAL_NAME, id_)
    if restarted:
        world.restart()
    world.run(130)
    assert world.states(younger) == SETTLED
    world.delete(younger)
    world.run(5)
    assert world.obj(younger) is None
    assert set(world.cloud.objects) == {before}, (
        "nothing was left behind of the younger one, nor taken from the older"
    )


def test_a_changed_name_that_proved_to_be_the_objects_is_claimed(world: World) -> None:
    older = world.thing("older", size=1)
    younger = world.thing("younger", size=2)
    world.run(40)
    id_ = world.external_name(younger)
    world.cloud.objects.pop(world.external_name(older))
    world.set_annotation(older, meta.EXTERNAL_NAME, id_)
    world.run(130)
    assert world.states(older) == SETTLED
    assert "belongs to Thing ns/older" in world.message(younger)
    assert world.cloud.objects[id_].spec["size"] == 1


def test_what_an_object_stood_for_before_a_slip_is_not_handed_to_another_one(world: World) -> None:
    """The younger one is told how it comes by it, and the older one keeps it by putting its name back."""
    older = world.thing("older", size=1)
    world.run(40)
    before, wrong = world.external_name(older), world.cloud.make("Thing", {"name": "x", "size": 9})
    world.cloud.observe_errors["older"] = Blocked("it was changed", reason="ExternalNameChanged")
    world.set_annotation(older, meta.EXTERNAL_NAME, wrong)
    world.run(5)
    younger = world.thing("younger", size=2, annotations={meta.EXTERNAL_NAME: before})
    world.run(70)
    assert "stood for it until its annotation" in world.message(younger)
    world.restart()
    world.run(130)
    assert world.cloud.objects[before].spec["size"] == 1
    copy = world.thing("copy", annotations={meta.EXTERNAL_NAME: before})
    world.delete(copy)
    world.run(70)
    assert before in world.cloud.objects
    world.cloud.observe_errors.clear()
    world.set_annotation(older, meta.EXTERNAL_NAME, before)
    world.run(130)
    assert world.states(older) == SETTLED
    world.cloud.observe_errors["older"] = Blocked("it was changed", reason="ExternalNameChanged")
    world.set_annotation(older, meta.EXTERNAL_NAME, wrong)
    world.cloud.observe_errors.clear()
    world.set_annotation(older, meta.ACKNOWLEDGED_NAME, wrong)
    world.run(130)
    assert world.states(younger) == SETTLED, "it was let go of"
    assert world.cloud.objects[before].spec["size"] == 2


def test_who_owns_what_another_object_stood_for_does_not_delete_it(world: World) -> None:
    """The other one's annotation was changed by mistake only."""
    owner = world.thing("owner", size=1)
    world.run(40)
    id_ = world.external_name(owner)
    other = world.thing("other", size=1)
    world.run(40)
    world.set_annotation(owner, meta.EXTERNAL_NAME, world.external_name(other))
    world.cloud.observe_errors["owner"] = Blocked("it was changed", reason="ExternalNameChanged")
    world.run(5)
    world.set_annotation(other, meta.EXTERNAL_NAME, id_)
    world.run(5)
    world.delete(other)
    world.run(70)
    assert id_ in world.cloud.objects


def test_a_claim_on_what_an_object_stood_for_goes_with_the_object() -> None:
    claims = Claims()

    def claim(name: str, **fields: Any) -> Claim:
        return Claim(kind="Thing", key=Key("ns", name), uid=name, created_at=BEGINNING, **fields)

    moved, next_ = claim("a", writes=False, stood_for="7"), claim("b")
    assert claims.register("8", moved).key == moved.key
    assert claims.register("7", next_).lost
    assert claims.owner("Thing", "7") is None
    assert claims.release("Thing", moved.key) == ("8", [next_])
    assert claims.owner("Thing", "7") is next_
    claims.register("8", moved)
    claims.register("9", claim("a"))
    assert [one.key.name for one in claims.claimants("Thing", "7")] == ["b"]
