"""Leader election against a real API server: never two at once, and always one soon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from controlplane import ControlPlane

from provider_discord.kube.client import KubeClient, connect
from provider_discord.kube.lease import LEASES, LeaderElector
from provider_discord.kube.resource import Key
from provider_discord.kube.timings import KubeTimings
from provider_discord.telemetry.metrics import Metrics

pytestmark = pytest.mark.kube

TIMINGS = KubeTimings(
    lease_duration_seconds=2.0,
    lease_renew_deadline_seconds=1.2,
    lease_retry_seconds=0.1,
    lease_request_timeout_seconds=0.5,
)
NAME = "crossplane-leader-election-provider-discord"

# Leads until it is killed; to each line on its input it answers whether it leads.
CANDIDATE = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from provider_discord.kube.client import connect
from provider_discord.kube.lease import LeaderElector
from provider_discord.kube.timings import KubeTimings
from provider_discord.telemetry.logs import configure
configure(json=False, debug=False)
kubeconfig, namespace, name, identity = sys.argv[1:]
def tell(what):
    # At once, for two threads tell: print would write the end of the line apart.
    sys.stdout.write(what + "\\n")
    sys.stdout.flush()
timings = KubeTimings(lease_duration_seconds=2.0, lease_renew_deadline_seconds=1.2, lease_retry_seconds=0.1)
elector = LeaderElector(
    connect(Path(kubeconfig)), namespace=namespace, name=name, identity=identity, timings=timings,
    now=time.monotonic, wall=lambda: datetime.now(UTC),
    on_started=lambda: tell("started"), on_stopped=lambda: tell("stopped"),
)
elector.start()
for _ in sys.stdin:
    tell("leads" if elector.holds(time.monotonic()) else "does not lead")
"""


def eventually(condition: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


class Candidate:
    """An elector that runs, and what it told."""

    def __init__(self, client: KubeClient, namespace: str, identity: str) -> None:
        self.told: list[str] = []
        self.metrics = Metrics()
        self.elector = LeaderElector(
            client,
            namespace=namespace,
            name=NAME,
            identity=identity,
            timings=TIMINGS,
            now=time.monotonic,
            wall=lambda: datetime.now(UTC),
            on_started=lambda: self.told.append("started"),
            on_stopped=lambda: self.told.append("stopped"),
            metrics=self.metrics,
        )

    @property
    def leads(self) -> bool:
        return self.elector.holds(time.monotonic())

    @property
    def gauge(self) -> float | None:
        return self.metrics.registry.get_sample_value("leader_election_master_status", {"name": NAME})


Start = Callable[[str], Candidate]


@pytest.fixture
def client(control_plane: ControlPlane) -> Iterator[KubeClient]:
    client = connect(control_plane.kubeconfig, timings=TIMINGS).with_timeout(
        TIMINGS.lease_request_timeout_seconds
    )
    yield client
    client.close()


@pytest.fixture
def start(client: KubeClient, namespace: str) -> Iterator[Start]:
    candidates: list[Candidate] = []

    def begin(identity: str) -> Candidate:
        candidates.append(Candidate(client, namespace, identity))
        candidates[-1].elector.start()
        return candidates[-1]

    yield begin
    for candidate in candidates:
        candidate.elector.stop()
    assert "leader-elector" not in {thread.name for thread in threading.enumerate()}


def spawn(kubeconfig: Path, namespace: str, identity: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CANDIDATE, str(kubeconfig), namespace, NAME, identity],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ask(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("?\n")
    process.stdin.flush()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_one_leads_and_hands_over_when_it_stops(client: KubeClient, namespace: str, start: Start) -> None:
    first = start("first")
    eventually(lambda: first.leads, "the first leads at once")
    second = start("second")
    eventually(lambda: second.elector.holder == "first", "the second sees who leads")
    assert not second.leads
    eventually(lambda: first.gauge == 1.0, "the metric shows it")
    assert second.gauge == 0.0
    stopped = time.monotonic()
    first.elector.stop()
    assert not first.leads
    assert first.told == ["started", "stopped"]
    eventually(lambda: second.leads, "the second need not wait for the lease to run out")
    assert time.monotonic() - stopped < TIMINGS.lease_duration_seconds
    lease = client.get(LEASES, Key(namespace, NAME))
    assert lease["spec"]["holderIdentity"] == "second"
    assert lease["spec"]["leaseTransitions"] >= 1


def test_a_holder_that_died_is_followed_after_its_lease(
    control_plane: ControlPlane, namespace: str, start: Start
) -> None:
    process = spawn(control_plane.kubeconfig, namespace, "first")
    try:
        assert line(process) == "started"
        second = start("second")
        eventually(lambda: second.elector.holder == "first", "the second sees who leads")
    finally:
        end(process)
    assert not second.leads
    eventually(lambda: second.leads, "the lease runs out")


def test_a_restarted_container_takes_its_own_lease_back_at_once(
    control_plane: ControlPlane, namespace: str, start: Start
) -> None:
    process = spawn(control_plane.kubeconfig, namespace, "pod-1")
    try:
        assert line(process) == "started"
    finally:
        end(process)
    began = time.monotonic()
    again = start("pod-1")
    eventually(lambda: again.leads, "it is its own")
    assert time.monotonic() - began < 1.0


def test_a_process_that_was_frozen_does_not_lead_when_it_wakes(
    control_plane: ControlPlane, namespace: str, start: Start
) -> None:
    process = spawn(control_plane.kubeconfig, namespace, "first")
    try:
        assert line(process) == "started"

        def leads() -> bool:
            ask(process)
            return line(process) == "leads"

        eventually(leads, "it leads as soon as what begins it is done")
        os.kill(process.pid, signal.SIGSTOP)
        second = start("second")
        eventually(lambda: second.leads, "another leads meanwhile")
        ask(process)
        os.kill(process.pid, signal.SIGCONT)
        said = {line(process), line(process)}
        assert said == {"stopped", "does not lead"}
        assert second.leads
    finally:
        end(process)


def test_an_api_server_that_is_away_ends_the_lead_and_its_return_begins_it_again() -> None:
    with ControlPlane() as control_plane:
        client = connect(control_plane.kubeconfig, timings=TIMINGS).with_timeout(0.5)
        candidate = Candidate(client, "default", "only")
        candidate.elector.start()
        eventually(lambda: candidate.leads, "it leads")
        control_plane.stop_apiserver(kill=True)
        eventually(lambda: not candidate.leads, "it does not lead for longer than it may")
        eventually(lambda: candidate.told == ["started", "stopped"], "it is said")
        control_plane.start_apiserver()
        eventually(lambda: candidate.leads, "it needs no restart")
        eventually(lambda: candidate.told == ["started", "stopped", "started"], "it is said")
        candidate.elector.stop()
        client.close()
