"""The process: how it starts and ends, what it tells of itself, and that of several copies one works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from controlplane import ApiRefused
from prometheus_client.parser import text_string_to_metric_families

from provider_discord.cli.processes import free_port

from .conftest import MANAGED, TIME_SCALE, TOKEN, Obj, Provider, System, check_for_tracebacks, eventually

LEASE: Final = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/crossplane-leader-election-provider-discord"
LEASE_SECONDS: Final = 60 * TIME_SCALE
SOON_SECONDS: Final = 4.0
"""One or two, and air for a slow machine."""

METRICS: Final = {
    # Our runbooks and the Go provider's alerts ask for these.
    "provider_discord_api_operations": {"resource_type", "operation", "status"},
    "provider_discord_api_duration_seconds": {"resource_type", "operation"},
    "provider_discord_resources_total": {"kind", "ready", "synced"},
    # Crossplane's and controller-runtime's.
    "crossplane_managed_resource_exists": {"gvk"},
    "crossplane_managed_resource_ready": {"gvk"},
    "crossplane_managed_resource_synced": {"gvk"},
    "controller_runtime_reconcile": {"controller", "result"},
    "controller_runtime_reconcile_errors": {"controller"},
    "workqueue_depth": {"name", "controller", "priority"},
    "rest_client_requests": {"code", "method", "host"},
    "process_resident_memory_bytes": set(),
    "process_cpu_seconds": set(),
    "process_start_time_seconds": set(),
}


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_soon_and_cleanly(system: System, signum: signal.Signals) -> None:
    objects = [system.guild(), *(system.channel(f"channel-{number}") for number in range(10))]
    system.discord.set_latency(median_seconds=0.1)
    system.connect()
    system.create(*objects)
    system.until(system.writes, "work to be under way")
    began = time.monotonic()
    os.kill(system.provider.pid, signum)
    system.until(lambda: system.provider.exit_code is not None, "it to end")
    assert time.monotonic() - began < SOON_SECONDS
    assert system.provider.exit_code == 0
    assert "event=stopped" in system.provider.log
    assert "passes did not finish in time" not in system.provider.log

    # Everything that was begun is written down: the next one goes on where this one stopped.
    made = len(system.writes())
    assert [one["status"] for one in system.writes()] == [201] * made
    system.provider.start()
    system.until_true(*objects)
    assert len(system.discord.channels()) == 10


def test_health_and_metrics(system: System) -> None:
    objects = [system.guild(), system.channel("lobby"), system.role("builder")]
    assert system.provider.probe("/readyz") == 200, "it is ready without a ProviderConfig"
    assert "no ProviderConfig yet" in system.provider.get("/healthz?verbose").text
    system.connect()
    system.apply(*objects)
    system.until_true(*objects)

    for path in ("/livez", "/readyz", "/healthz"):
        answer = system.provider.get(path)
        assert answer.status_code == 200, answer.text
        assert f"{path[1:]} passed" in answer.text
    for kind in ("guilds", "channels", "roles", "providerconfigs"):
        assert f"[+]cache-{kind} ok" in system.provider.get("/readyz").text
    assert system.provider.probe("/nothing") == 404

    answer = system.provider.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    for name, labels in METRICS.items():
        assert name in families, name
        found = {frozenset(set(sample.labels) - {"le"}) for sample in families[name].samples}
        assert found == {frozenset(labels)}, name
    metric = system.provider.metric
    operations = "provider_discord_api_operations_total"
    assert metric(operations, resource_type="channel", operation="create", status="success") == 1
    assert metric(operations, resource_type="role", operation="create", status="success") == 1
    assert (
        metric("provider_discord_api_duration_seconds_count", resource_type="channel", operation="create")
        == 1
    )
    for kind in ("Guild", "Channel", "Role"):
        assert metric("provider_discord_resources_total", kind=kind, ready="True", synced="True") == 1
        assert metric("provider_discord_resources_total", kind=kind) == 1
    ids = [system.external_name(obj["kind"], obj["metadata"]["name"]) for obj in objects]
    assert not [one for one in ids if one in answer.text], "an id is no label"


class TestEverythingIsSaid:
    """The log at its most talkative."""

    @pytest.fixture
    def provider_arguments(self) -> tuple[str, ...]:
        """JSON, with every decision."""
        return ("--no-leader-election", "--debug", "--log-format", "json")

    def test_the_log_is_json_and_holds_no_secret(self, system: System) -> None:
        objects = [system.guild(), system.channel("lobby", topic="hello")]
        system.connect()
        system.apply(*objects)
        system.until_true(*objects)
        system.provider.stop()
        events = [json.loads(line) for line in system.provider.log.splitlines()]
        assert {"starting", "connected", "created", "stopped"} <= {event["event"] for event in events}
        (created,) = (event for event in events if event["event"] == "created")
        assert (created["kind"], created["namespace"], created["name"]) == (
            "Channel",
            system.namespace,
            "lobby",
        )
        assert TOKEN not in system.provider.log
        assert system.control_plane.token not in system.provider.log


class TestWhereProbesLook:
    """Health is served on a second port, as Crossplane's conventions have it."""

    @pytest.fixture
    def provider_arguments(self) -> tuple[str, ...]:
        """The second port."""
        return ("--no-leader-election", "--health-probe-bind-address", f"127.0.0.1:{free_port()}")

    def test_health_is_served_twice_and_a_taken_port_is_told(self, system: System, tmp_path: Path) -> None:
        address = system.provider.arguments[-1]
        system.provider.port, port = int(address.rpartition(":")[2]), system.provider.port
        assert system.provider.probe("/readyz") == 200
        system.provider.port = port
        assert system.provider.probe("/readyz") == 200

        second = Provider(
            kubeconfig=system.provider.kubeconfig,
            folder=tmp_path / "second",
            arguments=system.provider.arguments,
        )
        second.log_file.parent.mkdir()
        second.port = port
        second.start(ready=False)
        try:
            eventually(
                lambda: second.exit_code is not None, "the second to give up", explain=lambda: second.log
            )
        finally:
            second.end()
        assert second.exit_code == 1
        assert f"127.0.0.1:{port}: another process listens there" in second.log
        check_for_tracebacks(second.log)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("current-context: nowhere\nkind: Config\napiVersion: v1\n", "nowhere"),
        ("{]", "kubeconfig"),
        (None, "does not exist"),
    ],
    ids=["no such context", "no YAML", "no file"],
)
def test_a_kubeconfig_that_cannot_be_used_is_told(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    ran = subprocess.run(
        [sys.executable, "-m", "provider_discord", "run", "--kubeconfig", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert ran.returncode == 1
    assert said in ran.stderr
    assert str(path) in ran.stderr
    check_for_tracebacks(ran.stderr)


class TestTwoCopies:
    """With leader election one works and the other waits, its caches warm."""

    @pytest.fixture
    def provider_arguments(self, namespace: str) -> tuple[str, ...]:
        """The first copy's."""
        return copy_arguments(namespace, "pod-1")

    @pytest.fixture
    def standby(self, system: System, namespace: str, tmp_path: Path) -> Iterator[Provider]:
        """The second copy, ready."""
        folder = tmp_path / "standby"
        folder.mkdir()
        second = Provider(
            kubeconfig=system.provider.kubeconfig, folder=folder, arguments=copy_arguments(namespace, "pod-2")
        )
        system.until(lambda: holder(system) == "pod-1", "the first to lead")
        second.start()
        try:
            yield second
            check_for_tracebacks(second.log)
        finally:
            second.end()

    def test_only_one_works_and_the_other_follows(self, system: System, standby: Provider) -> None:
        objects = [system.guild(), *(system.channel(f"channel-{number}", topic="one") for number in range(5))]
        system.connect()
        system.create(*objects)
        system.until_true(*objects)
        assert standby.probe("/readyz") == 200
        assert "leader ok: pod-1" in standby.get("/healthz?verbose").text
        assert standby.metric("leader_election_master_status") == 0
        assert standby.metric("provider_discord_requests_total") == 0, "a standby asks Discord nothing"
        assert standby.metric("rest_client_requests_total", method="PUT") == 0, "and writes nothing"
        assert system.provider.metric("leader_election_master_status") == 1

        # A rolling update: the leader is asked to go and gives the lease away.
        assert system.provider.stop() == 0
        went = time.monotonic()
        system.until(lambda: holder(system) == "pod-2", "the other to lead", seconds=LEASE_SECONDS - 0.5)
        system.until(lambda: standby.metric("leader_election_master_status") == 1, "it to know")
        assert time.monotonic() - went < LEASE_SECONDS
        settled = system.discord.last_request()
        system.patch("Channel", "channel-0", {"spec": {"forProvider": {"topic": "two"}}})
        system.until(lambda: system.discord.channel("channel-0")["topic"] == "two", "the other to work")
        assert [one["body"] for one in system.writes(settled)] == [{"topic": "two"}]

    def test_a_leader_that_dies_is_followed_after_its_lease(self, system: System, standby: Provider) -> None:
        objects = [system.guild(), *(system.channel(f"channel-{number}") for number in range(12))]
        system.discord.set_latency(median_seconds=0.1)
        system.connect()
        system.create(*objects)
        system.until(lambda: len(system.writes()) >= 3, "work to be under way")
        system.provider.kill()
        system.until_true(*objects, seconds=LEASE_SECONDS + 14)
        assert holder(system) == "pod-2"
        assert sorted(channel["name"] for channel in system.discord.channels()) == sorted(
            obj["metadata"]["name"] for obj in objects if obj["kind"] == "Channel"
        )
        assert len(system.discord.requests(method="POST")) == 12
        assert standby.exit_code is None

    def test_a_leader_that_was_frozen_starts_nothing_when_it_wakes(
        self, system: System, standby: Provider
    ) -> None:
        objects = [system.guild(), *(system.channel(f"channel-{number}") for number in range(12))]
        system.discord.set_latency(median_seconds=0.1)
        system.connect()
        system.create(*objects)
        system.until(lambda: len(system.writes()) >= 3, "work to be under way")
        os.kill(system.provider.pid, signal.SIGSTOP)
        try:
            # What it knows of the manifests is out of date when it wakes.
            system.patch("Channel", "channel-0", {"spec": {"forProvider": {"topic": "new"}}})
            system.until_true(*objects, seconds=LEASE_SECONDS + 14)
            assert holder(system) == "pod-2"
            quiet = self.at_rest(system)
            written = versions(system)
        finally:
            os.kill(system.provider.pid, signal.SIGCONT)
        system.until(lambda: "this process no longer leads" in system.provider.log, "it to know")
        asked = system.provider.metric("rest_client_requests_total", method="GET")
        system.until(
            lambda: system.provider.metric("rest_client_requests_total", method="GET") > asked + 10,
            "it to look at the lease again and again",
        )
        assert system.discord.last_request() == quiet
        assert versions(system) == written, "nor has it written anything down"
        assert len(system.discord.channels()) == 12
        assert system.discord.channel("channel-0")["topic"] == "new"

        # It leads again, and goes by the manifests as they are.
        assert standby.stop() == 0
        system.until(lambda: holder(system) == "pod-1", "it to lead again")
        system.patch("Channel", "channel-1", {"spec": {"forProvider": {"topic": "newer"}}})
        system.until(lambda: system.discord.channel("channel-1")["topic"] == "newer", "it to work")
        self.at_rest(system)
        assert [one["body"] for one in system.writes(quiet)] == [{"topic": "newer"}]

    @staticmethod
    def at_rest(system: System) -> int:
        """Wait until nothing is asked at Discord for a while; return the last request."""
        seen: list[int] = []

        def same_as_before() -> bool:
            seen.append(system.discord.last_request())
            return len(seen) > 20 and len(set(seen[-20:])) == 1

        system.until(same_as_before, "rest")
        return seen[-1]

    def test_a_restarted_container_takes_its_own_lease_back_at_once(self, system: System) -> None:
        system.until(lambda: holder(system) == "pod-1", "it to lead")
        system.provider.kill()
        system.provider.start()
        # Long before the dead one's lease would have run out for another.
        system.until(
            lambda: system.provider.metric("leader_election_master_status") == 1,
            "it to lead again",
            seconds=LEASE_SECONDS - 1,
        )


def copy_arguments(namespace: str, pod: str) -> tuple[str, ...]:
    """Return the arguments of one of several copies, which poll so rarely that every request has another reason."""
    election = ("--leader-election", "--leader-election-namespace", namespace, "--pod-name", pod)
    return (*election, "--poll", "1h")


def versions(system: System) -> dict[str, str]:
    """Return the resourceVersion of everything that a provider writes, but for events and its lease."""
    usages = system.control_plane.request(
        "GET", f"/apis/discord.crossplane.io/v1alpha1/namespaces/{system.namespace}/providerconfigusages"
    )["items"]
    objects = [*usages, *(obj for kind in (*MANAGED, "ProviderConfig") for obj in system.objects(kind))]
    return {obj["metadata"]["uid"]: obj["metadata"]["resourceVersion"] for obj in objects}


def holder(system: System) -> str:
    """Return who holds the lease; "" is nobody."""
    try:
        lease: Obj = system.control_plane.request("GET", LEASE.format(system.namespace))
    except ApiRefused as error:
        if error.status != 404:
            raise
        return ""
    return str(lease["spec"].get("holderIdentity") or "")
