"""ProviderConfigs: one 401 and then silence, healed within seconds; in use, not deletable; another bot waits."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from provider_discord.kube.errors import Conflict, Forbidden, ServerError
from provider_discord.kube.resource import Key
from provider_discord.managed import meta
from provider_discord.managed.connection import SECRETS
from provider_discord.managed.errors import ExternalFailure, NotConnected
from provider_discord.managed.resource import ManagedResource
from provider_discord.managed.sessions import Identity
from tests.unit.managed.managed_world import CONFIGS, PLACES, SETTLED, TOKEN, USAGES, Sessions, World

CONFIG = Key("", "default")


def ready(world: World, name: str = "default") -> dict[str, Any]:
    return world.condition(Key("", name), "Ready", resource=CONFIGS)


def status(world: World) -> dict[str, Any]:
    obj = world.obj(CONFIG, resource=CONFIGS)
    assert obj is not None
    return dict(obj["status"])


@pytest.fixture
def empty() -> World:
    return World()


def test_a_good_token_is_ready_and_shows_the_bot(world: World) -> None:
    assert ready(world)["reason"] == "Available"
    assert status(world)["bot"] == {"id": "1", "name": "bot"}
    obj = world.obj(CONFIG, resource=CONFIGS)
    assert obj is not None
    assert obj["metadata"]["finalizers"] == [meta.CONFIG_FINALIZER]
    assert meta.annotations_of(obj)[meta.ACKNOWLEDGED_BOT] == "1"
    assert world.sessions.verified == [TOKEN]


def test_a_config_at_rest_writes_nothing_and_asks_seldom(world: World) -> None:
    world.run(5)
    world.api.writes.clear()
    world.run(1300)
    assert world.api.writes == []
    assert len(world.sessions.verified) == 3, "once, and every ten minutes"


def test_the_token_is_trimmed(empty: World) -> None:
    empty.configure(token=f"  {TOKEN}\r\n")
    empty.run(2)
    assert ready(empty)["reason"] == "Available"


@dataclasses.dataclass
class BadSecret:
    reason: str
    data: dict[str, str] | None
    says: str


@pytest.mark.parametrize(
    "case",
    [
        BadSecret("missing Secret", None, "Secret system/default does not exist: create it"),
        BadSecret("missing key", {"toke": "eA=="}, "has no key token: it has toke"),
        BadSecret("no keys", {}, "it has no keys at all"),
        BadSecret("empty token", {"token": "Cg=="}, "is empty"),
        BadSecret("no text", {"token": "/////w=="}, "no bot token"),
        BadSecret("two lines", {"token": "YQpi"}, "spaces or line breaks"),
    ],
    ids=lambda case: case.reason,
)
def test_what_is_wrong_with_the_secret_is_said_and_healed(empty: World, case: BadSecret) -> None:
    empty.configure()
    if case.data is None:
        empty.api.delete(SECRETS, Key("system", "default"))
    else:
        secret = empty.api.get(SECRETS, Key("system", "default"))
        empty.api.replace(SECRETS, {**secret, "data": case.data})
    key = empty.thing()
    empty.run(20)
    assert case.says in ready(empty)["message"]
    assert 'ProviderConfig "default" is not ready' in empty.message(key)
    assert case.says in empty.message(key)
    assert empty.sessions.verified == []
    assert [e[2] for e in empty.recorder.events if e[0] == "default"] == ["CannotConnectToProvider"]
    empty.secret(TOKEN)
    empty.run(6)
    assert ready(empty)["reason"] == "Available"
    assert empty.states(key) == SETTLED


@pytest.mark.parametrize(
    ("credentials", "says"),
    [
        ({"source": "Environment"}, 'source is "Environment"; only "Secret" is supported'),
        ({"source": "Secret"}, "secretRef lacks namespace, name, key"),
        ({"source": "Secret", "secretRef": {"name": "x", "key": "k"}}, "secretRef lacks namespace"),
    ],
)
def test_credentials_that_name_no_secret_are_said(
    empty: World, credentials: dict[str, Any], says: str
) -> None:
    empty.configure(credentials=credentials)
    empty.run(5)
    assert says in ready(empty)["message"]


def test_conflicts_over_a_config_are_survived(empty: World) -> None:
    empty.fail("replace", Conflict(status=409, message="modified"), times=3, resource=CONFIGS)
    empty.fail("status", ServerError(status=500, message="etcd"), times=2, resource=CONFIGS)
    empty.configure()
    key = empty.thing()
    empty.run(30)
    assert ready(empty)["reason"] == "Available"
    assert empty.states(key) == SETTLED


def test_a_conflict_over_the_end_of_a_config_is_survived(world: World) -> None:
    world.fail("replace", Conflict(status=409, message="modified"), times=2, resource=CONFIGS)
    world.delete(CONFIG, resource=CONFIGS)
    world.run(10)
    assert world.obj(CONFIG, resource=CONFIGS) is None


def test_a_config_that_vanishes_is_said_by_its_objects(world: World) -> None:
    key = world.thing()
    world.run(40)
    world.edit(CONFIG, lambda obj: obj["metadata"].pop("finalizers"), resource=CONFIGS)
    world.delete(CONFIG, resource=CONFIGS)
    world.run(3)
    assert "does not exist" in world.message(key)
    world.configure()
    world.run(3)
    assert world.states(key) == SETTLED


def test_two_configs_with_one_bad_token_ask_once(empty: World) -> None:
    empty.sessions.revoked.add("wrong")
    empty.configure("one", token="wrong")
    empty.configure("two", token="wrong")
    empty.run(30)
    assert empty.sessions.verified == [], "the latch of the shared client is asked first"
    assert "was rejected" in ready(empty, "two")["message"]


def test_rbac_on_the_secret_is_said(empty: World) -> None:
    empty.fail("get", Forbidden(status=403, message="no rights"), times=1000, resource=SECRETS)
    empty.api.hooks.clear()
    empty.configure()
    empty.fail("get", Forbidden(status=403, message="no rights"), times=1000, resource=SECRETS)
    empty.run(2)
    assert "RBAC forbids" in ready(empty)["message"]


def test_a_wrong_token_costs_one_request_and_heals_within_seconds(empty: World) -> None:
    empty.configure(token="wrong")
    keys = [empty.thing(name) for name in "abcdef"]
    empty.run(300)
    assert empty.sessions.verified == ["wrong"]
    assert "was rejected" in ready(empty)["message"]
    assert all('ProviderConfig "default"' in empty.message(key) for key in keys)
    assert empty.cloud.calls == []
    empty.secret(TOKEN)
    empty.run(6)
    assert all(empty.states(key) == SETTLED for key in keys)
    assert empty.sessions.verified == ["wrong", TOKEN]


def test_a_token_revoked_while_running_stops_everything_at_the_gate(world: World) -> None:
    keys = [world.thing(name) for name in "abc"]
    world.run(40)
    world.sessions.revoked.add(TOKEN)
    world.sessions.bots.pop(TOKEN)
    world.cloud.calls.clear()
    world.run(130)
    assert world.cloud.calls == []
    assert world.sessions.verified == [TOKEN], "the latch is enough; nobody asks again"
    assert all("was rejected" in world.message(key) for key in keys)
    assert ready(world)["status"] == "False"
    world.sessions.bots["new"] = Identity(id="1", name="bot")
    world.secret("new")
    world.run(6)
    assert all(world.states(key) == SETTLED for key in keys)


def test_who_met_the_401_in_a_pass_is_healed_within_seconds_too(world: World) -> None:
    keys = [world.thing(name) for name in "abc"]
    world.run(40)
    world.sessions.revoked.add(TOKEN)
    world.sessions.bots["new"] = Identity(id="1", name="bot")
    session = world.process.configs.session_for

    def blind(mr: ManagedResource) -> Any:
        """The latch falls between the gate and the call."""
        world.sessions.revoked.clear()
        try:
            return session(mr)
        finally:
            world.sessions.revoked.add(TOKEN)

    world.process.configs.session_for = blind  # type: ignore[method-assign]
    world.cloud.observe_error = NotConnected("401: Unauthorized")
    for key in keys:
        world.set_annotation(key, meta.RECONCILE_TRIGGER, "1")
    world.run(0)
    assert "401" in world.message(keys[0])
    world.process.configs.session_for = session  # type: ignore[method-assign]
    world.cloud.observe_error = None
    world.run(3)
    assert "was rejected" in ready(world)["message"]
    world.secret("new")
    world.run(6)
    assert all(world.states(key) == SETTLED for key in keys)


def test_a_rotated_secret_is_taken_up_without_a_restart(world: World) -> None:
    world.thing()
    world.run(40)
    world.sessions.bots["new"] = Identity(id="1", name="bot")
    world.secret("new")
    world.run(70)
    assert world.sessions.verified == [TOKEN, "new"]
    world.run(200)
    assert [session.closed for session in world.sessions.opened] == [True, False]


def test_who_has_changed_the_secret_can_wait_for_what_comes_of_it(world: World) -> None:
    """Ready=True may tell of the token before; once the request is handled it tells of the one that is there now."""
    world.run(40)
    assert ready(world)["status"] == "True"
    world.secret("wrong")
    world.set_annotation(CONFIG, meta.RECONCILE_REQUESTED_AT, "now", resource=CONFIGS)
    for _ in range(100):
        if status(world).get("lastHandledReconcileAt") == "now":
            break
        assert ready(world)["status"] == "True", "nobody knows yet"
        world.run(0.1)
    assert ready(world)["status"] == "False"
    assert status(world)["lastHandledReconcileAt"] == "now"


def test_a_provider_outage_is_tried_again_with_backoff(empty: World) -> None:
    empty.sessions.outage = ExternalFailure("connection refused")
    empty.configure()
    key = empty.thing()
    empty.run(100)
    assert "cannot check the bot token: connection refused" in ready(empty)["message"]
    assert "connection refused" in empty.message(key)
    assert len(empty.sessions.verified) <= 9
    empty.sessions.outage = None
    empty.run(70)
    assert empty.states(key) == SETTLED
    assert [session.closed for session in empty.sessions.opened[:-1]] == [True] * (
        len(empty.sessions.opened) - 1
    )


def test_an_outage_after_the_token_was_good_disconnects_nobody(world: World) -> None:
    key = world.thing(size=1)
    world.run(40)
    world.sessions.outage = ExternalFailure("timeout")
    world.run(700)
    assert ready(world)["status"] == "False"
    world.set_field(key, "size", 2)
    world.run(2)
    assert world.cloud.objects[world.external_name(key)].spec["size"] == 2


def test_a_missing_config_is_named_and_its_arrival_wakes(empty: World) -> None:
    key = empty.thing()
    empty.run(30)
    assert 'ProviderConfig "default" does not exist' in empty.message(key)
    empty.configure()
    empty.run(3)
    assert empty.states(key) == SETTLED


def test_those_that_wait_for_a_config_are_not_forgotten_before_it_arrives(empty: World) -> None:
    """Their usages have the absent config looked at, seconds after they have begun to wait for it."""
    keys = [empty.thing(f"a{number}") for number in range(20)]
    empty.run(5)
    empty.configure()
    empty.run(1)
    assert [empty.states(key) for key in keys] == [SETTLED] * len(keys)


def test_both_kinds_of_reference_mean_the_one_config(world: World) -> None:
    for kind in ("ProviderConfig", "ClusterProviderConfig"):
        key = world.thing(kind.lower(), spec={"providerConfigRef": {"kind": kind, "name": "default"}})
        world.run(3)
        assert world.states(key) == SETTLED
    world.run(5)
    assert status(world)["users"] == 2
    key = world.thing("odd", spec={"providerConfigRef": {"kind": "Other", "name": "default"}})
    world.run(2)
    assert "say ProviderConfig or ClusterProviderConfig" in world.message(key)


def test_namespaces_that_are_not_allowed_are_refused_until_they_are(empty: World) -> None:
    empty.configure(allowedNamespaces=["team"])
    key = empty.thing()
    other = empty.thing(namespace="team")
    empty.run(10)
    assert empty.states(other) == SETTLED
    assert "does not serve namespace ns" in empty.message(key)
    assert empty.recorder.reasons("a").count("NotAllowed") == 1
    empty.edit(CONFIG, lambda obj: obj["spec"].update(allowedNamespaces=["team", "ns"]), resource=CONFIGS)
    empty.run(4)
    assert empty.states(key) == SETTLED


def test_a_paused_config_pauses_all_under_it(world: World) -> None:
    key = world.thing(size=1)
    world.run(40)
    world.set_annotation(CONFIG, meta.PAUSED, "true", resource=CONFIGS)
    world.run(1)
    world.cloud.calls.clear()
    world.set_field(key, "size", 2)
    world.run(70)
    assert world.states(key) == ("Available", "ReconcilePaused")
    assert world.cloud.calls == []
    world.set_annotation(CONFIG, meta.PAUSED, None, resource=CONFIGS)
    world.run(2)
    assert world.states(key) == SETTLED


def test_a_config_in_use_is_not_deleted(world: World) -> None:
    key = world.thing()
    world.run(40)
    assert status(world)["users"] == 1
    world.delete(CONFIG, resource=CONFIGS)
    world.run(5)
    terminating = world.condition(CONFIG, "Terminating", resource=CONFIGS)
    assert terminating["reason"] == "InUse"
    assert "in use by 1" in terminating["message"]
    assert "UsageAccounting" in world.recorder.reasons("default")
    world.delete(key)
    world.run(5)
    assert world.obj(key) is None, "while it is deleted it still serves its users"
    world.run(10)
    assert world.obj(CONFIG, resource=CONFIGS) is None
    world.run(100)
    assert all(session.closed for session in world.sessions.opened)


def test_a_usage_whose_object_is_gone_does_not_hold_the_config(world: World) -> None:
    """No garbage collector here, and RBAC forbids us to delete usages."""
    key = world.thing()
    world.run(40)
    world.fail("delete", Forbidden(status=403, message="no"), times=1000, resource=USAGES)
    world.delete(key)
    world.run(60)
    assert world.obj(key) is None
    assert [o for o in world.api.objects.values() if o["kind"] == "ProviderConfigUsage"]
    assert status(world)["users"] == 0
    world.delete(CONFIG, resource=CONFIGS)
    world.run(5)
    assert world.obj(CONFIG, resource=CONFIGS) is None


def test_a_secret_missing_during_deletion_is_said_and_deletion_goes_on_when_it_is_back(world: World) -> None:
    key = world.thing()
    world.run(40)
    world.api.delete(SECRETS, Key("system", "default"))
    world.run(130)
    world.delete(key)
    world.run(5)
    assert world.obj(key) is not None
    assert "Secret system/default does not exist" in world.message(key)
    world.secret(TOKEN)
    world.run(6)
    assert world.obj(key) is None
    assert world.cloud.objects == {}


def test_another_bot_may_look_but_not_write_until_it_is_acknowledged(world: World) -> None:
    key = world.thing(size=1)
    world.run(40)
    world.sessions.bots["new"] = Identity(id="2", name="other")
    world.secret("new")
    world.run(70)
    assert "another bot, other (2) instead of 1" in ready(world)["message"]
    assert meta.ACKNOWLEDGED_BOT in ready(world)["message"]
    world.set_field(key, "size", 2)
    made = world.thing("b")
    world.run(70)
    assert world.cloud.objects[world.external_name(key)].spec["size"] == 1
    assert "nothing is written" in world.message(key)
    assert world.external_name(made) == ""
    assert world.annotation(made, meta.CREATE_PENDING) is None
    world.set_annotation(CONFIG, meta.ACKNOWLEDGED_BOT, "2", resource=CONFIGS)
    world.run(4)
    assert world.states(key) == world.states(made) == SETTLED
    assert ready(world)["reason"] == "Available"


def test_the_first_bot_is_remembered_over_restarts(world: World) -> None:
    world.run(3)
    world.sessions.bots["new"] = Identity(id="2", name="other")
    world.secret("new")
    world.restart()
    world.run(3)
    assert "another bot" in ready(world)["message"]


def test_what_is_not_here_yet_is_warned_of_once(empty: World) -> None:
    empty.configure(garbageCollection={"enabled": True}, deduplication={"enabled": True})
    empty.run(300)
    told = [message for of, _, reason, message in empty.recorder.events if reason == "NotSupported"]
    assert len(told) == 2
    assert any("garbageCollection" in message for message in told)


def test_one_bad_config_holds_up_no_other(empty: World) -> None:
    empty.configure("default", token="wrong")
    empty.configure("good")
    key = empty.thing(spec={"providerConfigRef": {"kind": "ProviderConfig", "name": "good"}})
    empty.run(5)
    assert empty.states(key) == SETTLED


def test_a_changed_config_opens_a_new_session_without_asking_again(world: World) -> None:
    key = world.thing()
    world.run(40)
    world.cloud.calls.clear()
    world.edit(CONFIG, lambda obj: obj["spec"].update(adoption="ByName"), resource=CONFIGS)
    world.run(2)
    assert len(world.sessions.opened) == 2
    assert world.sessions.verified == [TOKEN]
    assert ("observe", key.name) in world.cloud.calls, "its objects look again: it may mean something to them"


def test_a_restart_with_a_good_config_turns_nobody_away(world: World) -> None:
    for name in "abc":
        world.thing(name)
    world.run(40)
    world.api.writes.clear()
    world.restart()
    world.run(130)
    assert world.api.writes == []


def test_sessions_are_closed_at_the_end(world: World) -> None:
    world.process.configs.stop()
    sessions: Sessions = world.sessions
    assert all(session.closed for session in sessions.opened)


def test_a_config_that_is_not_usable_is_told_before_a_reference_that_waits_for_it(empty: World) -> None:
    empty.configure(token="wrong")
    place = empty.thing("here", resource=PLACES)
    key = empty.thing(placeIdRef={"name": "here"})
    empty.run(60)
    assert "was rejected" in empty.message(place, resource=PLACES)
    assert 'ProviderConfig "default"' in empty.message(key), "the cause, not that the reference is not ready"
    assert "was rejected" in empty.message(key)
    empty.secret(TOKEN)
    empty.run(6)
    assert empty.states(key) == SETTLED
