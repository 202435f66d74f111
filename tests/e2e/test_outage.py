"""The API server goes away and comes back, lacks a kind or refuses one: the provider goes on by itself.

Discord must not notice: while the API server is away the provider asks there what it asks anyway (two GETs a guild
and poll), and when it is back it does not start anew. These tests have an API server of their own to stop.
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import pytest
import yaml
from controlplane import ApiRefused, ControlPlane

from provider_discord.simulator.faults import Effect
from tests.conftest import REPOSITORY, require_tools

from .conftest import MANAGED, TIME_SCALE, Obj, System

POLL_SECONDS: Final = 30 * TIME_SCALE
CRDS: Final = REPOSITORY / "package" / "crds"
CRD_PATH: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="module")
def control_plane() -> Iterator[ControlPlane]:
    """An API server of this module's own."""
    require_tools()
    with ControlPlane() as control_plane:
        yield control_plane


@pytest.fixture
def crds(control_plane: ControlPlane) -> list[str]:
    """The CRDs, also after a test that took one away."""
    return control_plane.apply_crds(CRDS)


@pytest.fixture
def provider_arguments() -> tuple[str, ...]:
    """Twice as many polls as by default."""
    return ("--no-leader-election", "--poll", "30s")


@pytest.fixture(autouse=True)
def _comes_back(system: System) -> Iterator[None]:
    """Whatever becomes of a test, the next one finds an API server."""
    yield
    if "kube-apiserver" not in system.control_plane.pids:
        system.control_plane.start_apiserver()


def test_the_api_server_goes_away_and_comes_back(system: System) -> None:
    objects = [
        system.guild(),
        system.role("builder"),
        system.channel("lobby", topic="before"),
        system.channel("hall", topic="hello"),
    ]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    settled = system.discord.last_request()
    system.until(lambda: polls_seen(system, settled) >= 1, "a poll after the changes")

    pid, last = system.provider.pid, system.discord.last_request()
    system.control_plane.stop_apiserver(kill=True)
    system.until(lambda: polls_seen(system, last) >= 2, "some polls", seconds=4 * POLL_SECONDS + 8)
    assert system.provider.probe("/livez") == 200
    assert system.provider.probe("/readyz") == 200
    said = system.provider.get("/healthz")
    assert said.status_code == 503
    assert "watch-channels" in said.text
    stay_within_the_poll_budget(system, last)
    assert system.writes(last) == []

    # What is wanted is known without the API server: drift is put back.
    before = system.discord.last_request()
    system.discord.edit_channel("hall", {"topic": "changed by hand"})
    system.until(lambda: system.discord.channel("hall")["topic"] == "hello", "drift to be put back")
    bring_back(system)
    system.patch("Channel", "lobby", {"spec": {"forProvider": {"topic": "after"}}})
    system.until(lambda: system.discord.channel("lobby")["topic"] == "after", "the change to be seen")
    system.until_true(*objects)
    system.until(lambda: system.provider.probe("/healthz") == 200, "all to be well")
    assert [one["body"] for one in system.writes(before)] == [{"topic": "hello"}, {"topic": "after"}]
    assert system.provider.pid == pid
    assert system.provider.exit_code is None
    assert "list and watch failed; they are tried again" in system.provider.log


def test_what_was_about_to_be_made_waits_and_is_made_once(system: System) -> None:
    """No intent could be written on the objects, so nothing is sent; and waiting costs no requests."""
    system.connect()
    system.apply(system.guild())
    system.until_true(system.guild())
    objects = [system.channel(f"channel-{number}") for number in range(24)]
    system.discord.add_fault(Effect.DELAY, method="POST", times=0, seconds=0.5)
    system.create(*objects)
    system.until(lambda: len(system.writes()) >= 3, "some to be made")
    system.control_plane.stop_apiserver(kill=True)
    system.until(lambda: not under_way(system), "what is under way to end")
    assert len(system.writes()) < len(objects), "too late: all are made"
    changed = system.discord.last_request()
    system.until(lambda: polls_seen(system, changed) >= 1, "a poll after the changes")
    last = system.discord.last_request()
    system.until(lambda: polls_seen(system, last) >= 2, "some polls", seconds=4 * POLL_SECONDS + 8)
    stay_within_the_poll_budget(system, last)
    assert system.writes(last) == [], "nothing is made whose intent is written nowhere"
    bring_back(system)

    system.discord.clear_faults()
    system.until_true(*objects, seconds=20)
    names = Counter(channel["name"] for channel in system.discord.channels())
    assert names == Counter(obj["metadata"]["name"] for obj in objects)
    assert len(system.discord.requests(method="POST")) == len(objects)


def test_a_provider_that_starts_before_its_api_server(system: System) -> None:
    system.provider.stop()
    system.connect()
    system.apply(system.guild(), system.channel("lobby"))
    system.control_plane.stop_apiserver(kill=True)
    last = system.discord.last_request()

    system.provider.start(ready=False)
    system.until(lambda: system.provider.probe("/livez") == 200, "the process to be alive")
    system.until(lambda: "list and watch failed" in system.provider.log, "it to say so")
    said = system.provider.get("/readyz")
    assert said.status_code == 503
    assert "not listed yet" in said.text
    assert system.discord.last_request() == last
    assert system.provider.stop() == 0, "nor does it hang where there is nobody to say goodbye to"
    system.provider.start(ready=False)

    bring_back(system)
    system.until_true(system.guild(), system.channel("lobby"))
    assert system.provider.probe("/readyz") == 200


def test_a_kind_whose_crd_is_not_there_holds_up_no_other(system: System) -> None:
    system.provider.stop()
    system.connect()
    crd = "roles.role.discord.crossplane.io"
    system.control_plane.request("DELETE", f"{CRD_PATH}/{crd}")
    system.until(lambda: crd not in served(system), "the kind to be gone")

    system.provider.start(ready=False)
    system.apply(system.guild(), system.channel("lobby"))
    system.until_true(system.guild(), system.channel("lobby"))
    assert "this kind is not served; is its CustomResourceDefinition installed?" in system.provider.log
    # With Crossplane's safe-start a kind that nobody has activated has no CRD: that must block no rollout.
    assert system.provider.probe("/readyz") == 200
    assert f"not served: there is no CRD {crd}" in system.provider.get("/readyz?verbose").text
    assert system.provider.probe("/healthz") == 200

    system.control_plane.apply_crds(CRDS)
    system.apply(system.role("builder"))
    system.until_true(system.role("builder"))
    assert system.discord.role("builder")["id"] == system.external_name("Role", "builder")
    assert "not served" not in system.provider.get("/readyz?verbose").text


def test_a_crd_that_is_removed_takes_nothing_from_discord_and_may_come_back(system: System) -> None:
    """Deleting a CRD deletes every object of its kind, by one command: not even what no guard protects may go."""
    channels = [system.channel("free", allowDelete=True), system.channel("plain", topic="hello")]
    objects = [system.guild(), system.role("builder"), *channels]
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)
    ids = {name: system.external_name("Channel", name) for name in ("free", "plain")}
    backup = [restorable(system.get("Channel", name)) for name in ids]

    crd = "channels.channel.discord.crossplane.io"
    system.until_polled(1)
    last = system.discord.last_request()
    system.control_plane.request("DELETE", f"{CRD_PATH}/{crd}")
    system.until(lambda: crd not in served(system), "the kind and its objects to go")
    for name, id_ in ids.items():
        assert system.discord.channel(name)["id"] == id_
        message = system.until_event(name, "LeftAlone", "is being deleted, and with it every Channel object")
        assert f"external resource {id_} stays at Discord as it is" in message["message"]

    # The others go on, and nothing is wrong.
    system.patch("Role", "builder", {"spec": {"forProvider": {"hoist": True}}})
    system.until(lambda: system.discord.role("builder")["hoist"], "another kind's change")
    system.until(lambda: crd in system.provider.get("/readyz?verbose").text, "it to be noticed")
    assert system.provider.probe("/readyz") == 200
    assert [(one["method"], one["body"]) for one in system.writes(last)] == [("PATCH", {"hoist": True})]

    # It comes back, from a newer release with a field that this one does not know.
    last = system.discord.last_request()
    definition = yaml.safe_load((CRDS / "channel.discord.crossplane.io_channels.yaml").read_text())
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    schema["spec"]["properties"]["forProvider"]["properties"]["fromTomorrow"] = {"type": "string"}
    system.control_plane.request("POST", CRD_PATH, body=definition)
    system.until(lambda: serves(system, "Channel"), "the kind to be served")
    for obj in backup:
        obj["spec"]["forProvider"]["fromTomorrow"] = "kept"
    system.apply(*backup)
    system.until_true(*channels)
    assert {name: system.external_name("Channel", name) for name in ids} == ids
    assert system.writes(last) == [], "they are known again"
    for name in ids:
        obj = system.get("Channel", name)
        assert obj["metadata"]["finalizers"], "it was written"
        assert obj["spec"]["forProvider"]["fromTomorrow"] == "kept"


def test_rights_that_one_kind_lacks_are_that_kinds_trouble(system: System) -> None:
    """The provider may not read CRDs either: then discovery tells that a kind is about to go."""
    system.provider.stop()
    rest = ["", "channel.discord.crossplane.io", "guild.discord.crossplane.io", "discord.crossplane.io"]
    allow(system, "most-of-it", rest)
    system.provider.kubeconfig = system.control_plane.kubeconfig_for("most-of-it")
    objects = [
        system.guild(),
        system.channel("gone", allowDelete=True),
        system.channel("kept", allowDelete=True, topic=""),
    ]
    system.connect()
    system.apply(*objects, system.role("builder"))
    system.provider.start(ready=False)
    system.until_true(*objects)
    said = system.provider.get("/readyz")
    assert said.status_code == 503
    assert "cache-roles" in said.text
    assert "forbidden" in said.text
    assert system.provider.metric("provider_discord_watch_up", kind="Role") == 0
    assert system.provider.metric("provider_discord_watch_up", kind="Channel") == 1
    assert (
        system.provider.metric("provider_discord_reflector_errors_total", kind="Role", reason="Forbidden")
        >= 1
    )
    assert "roles.role.discord.crossplane.io is forbidden" in system.provider.log

    allow(system, "the-rest-too", ["role.discord.crossplane.io"], user="most-of-it")
    system.until_true(system.role("builder"))
    assert system.provider.probe("/readyz") == 200
    assert system.provider.metric("provider_discord_watch_up", kind="Role") == 1

    # They are taken away again. A watch outlives its right until it ends, here with its API server.
    binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/the-rest-too"
    system.control_plane.request("DELETE", binding)
    system.control_plane.stop_apiserver(kill=True)
    bring_back(system)
    system.until(
        lambda: system.provider.metric("provider_discord_watch_up", kind="Role") == 0,
        "the watch to be refused",
    )
    system.until(
        lambda: system.provider.metric("provider_discord_watch_up", kind="Channel") == 1,
        "the others to go on",
    )
    builder = system.external_name("Role", "builder")
    system.discord.edit_role(builder, {"name": "changed by hand"})
    for _ in range(2):
        system.discord.edit_channel("kept", {"topic": "changed by hand"})
        system.until(lambda: not system.discord.channel("kept")["topic"], "others to be put back")
    assert "changed by hand" in role_names(system), "nobody acts by a manifest that may be out of date"
    allow(system, "the-rest-again", ["role.discord.crossplane.io"], user="most-of-it")
    system.until(lambda: "builder" in role_names(system), "it to be put back")

    last = system.discord.last_request()
    system.delete("Channel", "gone")
    system.until(lambda: not system.exists("Channel", "gone"), "the channel to go")
    crd = "channels.channel.discord.crossplane.io"
    system.control_plane.request("DELETE", f"{CRD_PATH}/{crd}")
    system.until(lambda: crd not in served(system), "the kind and its objects to go")
    assert [channel["name"] for channel in system.discord.channels()] == ["kept"]
    assert [one["method"] for one in system.writes(last)] == ["DELETE"]


class TestWithALease:
    """The same for a provider that leads by a lease, which an outage lets run out."""

    @pytest.fixture
    def provider_arguments(self, namespace: str) -> tuple[str, ...]:
        """As in a cluster."""
        return ("--leader-election", "--leader-election-namespace", namespace, "--pod-name", "pod-1")

    def test_an_outage_longer_than_the_lease(self, system: System) -> None:
        objects = [system.guild(), system.channel("lobby", topic="before")]
        system.connect()
        system.apply(*objects)
        system.until_true(*objects)

        system.control_plane.stop_apiserver(kill=True)
        system.until(lambda: "this process no longer leads" in system.provider.log, "the lease to run out")
        last = system.discord.last_request()
        system.discord.edit_channel("lobby", {"topic": "changed by hand"})
        bring_back(system)
        system.until(lambda: system.discord.channel("lobby")["topic"] == "before", "it to lead again")
        assert first_request(system, last) > leads_again(system), "something was asked without the lease"
        system.patch("Channel", "lobby", {"spec": {"forProvider": {"topic": "after"}}})
        system.until(lambda: system.discord.channel("lobby")["topic"] == "after", "the change to be seen")
        system.until_true(*objects)
        assert system.provider.exit_code is None


def first_request(system: System, since: int) -> datetime:
    """Return when the first request after a number arrived."""
    return datetime.fromisoformat(system.discord.requests(since=since)[0]["time"])


def leads_again(system: System) -> datetime:
    """Return when the provider said the second time that it leads."""
    said = [line for line in system.provider.log.splitlines() if '"this process leads"' in line]
    return datetime.fromisoformat(said[1].partition("timestamp=")[2].partition(" ")[0])


def bring_back(system: System) -> None:
    """Start the API server and wait until it serves the kinds: at first it answers 429 for each that it has to load."""
    system.control_plane.start_apiserver()
    system.until(lambda: all(serves(system, kind) for kind in MANAGED), "the API server to serve")


def polls_seen(system: System, since: int) -> int:
    """Return how often the guild was read."""
    return system.discord.count_requests(since=since, method="GET", route="/guilds/{guild_id}")


def under_way(system: System) -> bool:
    """Tell whether a request at Discord has no answer yet."""
    return any(one["status"] is None for one in system.discord.requests())


def stay_within_the_poll_budget(system: System, since: int) -> Counter[str]:
    """Check that no more was read than in as much time without an outage; return the requests by method."""
    seen = system.discord.requests(since=since)
    polls = 1 + math.ceil((seen[-1]["at"] - seen[0]["at"]) / POLL_SECONDS)
    routes = Counter(one["route"] for one in seen if one["method"] == "GET")
    rarely = {"/users/@me", "/applications/@me", "/guilds/{guild_id}/members/{user_id}"}
    assert set(routes) - rarely <= {"/guilds/{guild_id}", "/guilds/{guild_id}/channels"}, routes
    assert routes["/guilds/{guild_id}"] <= polls, (routes, polls)
    assert routes["/guilds/{guild_id}/channels"] <= polls, (routes, polls)
    return Counter(one["method"] for one in seen)


def serves(system: System, kind: str) -> bool:
    """Tell whether the API server serves a kind."""
    with contextlib.suppress(ApiRefused):
        return system.objects(kind) is not None
    return False


def restorable(obj: Obj) -> Obj:
    """Return an object as a backup keeps it."""
    metadata = {name: obj["metadata"][name] for name in ("name", "namespace", "annotations")}
    metadata["annotations"].pop("kubectl.kubernetes.io/last-applied-configuration", None)
    return {**{name: obj[name] for name in ("apiVersion", "kind", "spec")}, "metadata": metadata}


def role_names(system: System) -> set[str]:
    """Return what the roles at Discord are called."""
    return {role["name"] for role in system.discord.guild()["roles"]}


def allow(system: System, name: str, groups: list[str], *, user: str = "") -> None:
    """Let a user do everything with the kinds of some API groups."""
    rbac = "rbac.authorization.k8s.io"
    for plural, body in (
        ("clusterroles", {"rules": [{"apiGroups": groups, "resources": ["*"], "verbs": ["*"]}]}),
        (
            "clusterrolebindings",
            {
                "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": name},
                "subjects": [{"apiGroup": rbac, "kind": "User", "name": user or name}],
            },
        ),
    ):
        system.control_plane.request(
            "POST", f"/apis/{rbac}/v1/{plural}", body={"metadata": {"name": name}, **body}
        )


def served(system: System) -> list[str]:
    """Return the names of the CRDs that there are."""
    listed: Obj = system.control_plane.request("GET", CRD_PATH)
    return [crd["metadata"]["name"] for crd in listed["items"]]
