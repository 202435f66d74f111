"""The whole system for one test: the provider as a process of its own, a simulated Discord, the session's API server.

A test drives it as its users do, by manifests and as a human admin of the guild, and looks at what became of both
sides. The provider's waits are scaled (``TIME_SCALE``), the simulator's rate limits are off unless a test wants them.
It has the rights of the chart's ServiceAccount and no others (`rights`).
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml
from controlplane import ApiRefused, ControlPlane

from provider_discord.apis.kinds import KINDS, PROVIDER_CONFIG, KindDefinition, Scope
from provider_discord.cli.processes import free_port
from provider_discord.managed import meta
from provider_discord.simulator import ControlClient, LimitsConfig, Mode, SimulatorConfig, SimulatorServer
from tests.e2e.rights import provider_kubeconfig

TIME_SCALE: Final = 0.05
POLL_SECONDS: Final = 60.0 * TIME_SCALE
"""The poll interval as it is in these tests."""
TOKEN: Final = "e2e-token"
WAIT_SECONDS: Final = 14.0
START_SECONDS: Final = 60.0
"""For the provider's start: a second alone, but it imports a lot, on a machine that may be busy."""
KIND_OF: Final = {definition.kind: definition for definition in KINDS}
MANAGED: Final = ("Guild", "Channel", "Role")
MERGE_PATCH: Final = "application/merge-patch+json"

Obj = dict[str, Any]
_ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


class Provider:
    """`provider-discord run` as a process of its own."""

    def __init__(self, *, kubeconfig: Path, folder: Path, arguments: Iterable[str] = ()) -> None:
        self.kubeconfig = kubeconfig
        self.arguments = tuple(arguments)
        self.log_file = folder / "provider.log"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """All that it has said so far, over restarts."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *, ready: bool = True) -> None:
        """Start it and, unless told otherwise, wait until it is ready."""
        command = [
            *(sys.executable, "-m", "provider_discord", "run"),
            *("--kubeconfig", str(self.kubeconfig)),
            *("--metrics-bind-address", f"127.0.0.1:{self.port}"),
            *("--health-probe-bind-address", "0"),
            *self.arguments,
        ]
        environment = {**os.environ, "PROVIDER_DISCORD_TIME_SCALE": str(TIME_SCALE)}
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        if ready:
            eventually(
                lambda: self.probe("/readyz") == 200,
                "the provider to be ready",
                seconds=START_SECONDS,
                explain=lambda: self.log,
            )

    def stop(self) -> int:
        """Ask it to end, as Kubernetes does; return its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(15)

    def kill(self) -> None:
        """End it at once, with SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(15)

    def end(self) -> None:
        """Make sure that it runs no longer, whatever the test did."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    @property
    def exit_code(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=5, trust_env=False)

    def probe(self, path: str) -> int:
        """Return the status of a health endpoint, 0 while nobody listens."""
        try:
            return self.get(path).status_code
        except httpx.TransportError:
            return 0

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the series of a metric that have these labels; 0 if there is none."""
        total = 0.0
        for line in self.get("/metrics").text.splitlines():
            found = re.fullmatch(rf"{re.escape(name)}(?:\{{(.*)\}})? (\S+)", line)
            if found:
                has = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[1] or ""))
                if labels.items() <= has.items():
                    total += float(found[2])
        return total


class System:
    """Everything that a test needs, under one roof."""

    def __init__(
        self,
        *,
        control_plane: ControlPlane,
        simulator: SimulatorServer,
        provider: Provider,
        namespace: str,
    ) -> None:
        self.control_plane = control_plane
        self.simulator = simulator
        self.provider = provider
        self.namespace = namespace
        self.config_name = f"config-{namespace}"

    @property
    def discord(self) -> ControlClient:
        """The simulator as its people and its operator see it."""
        return self.simulator.control

    # Manifests.

    def connect(self, *, token: str = TOKEN, **spec: Any) -> None:
        """Apply a Secret and a ProviderConfig for this test's simulator."""
        self.apply(self.secret(token), self.config(**spec))

    def secret(self, token: str = TOKEN) -> Obj:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "discord-bot"},
            "stringData": {"token": token},
        }

    def config(self, **spec: Any) -> Obj:
        reference = {"namespace": self.namespace, "name": "discord-bot", "key": "token"}
        return {
            "apiVersion": PROVIDER_CONFIG.api_version,
            "kind": PROVIDER_CONFIG.kind,
            "metadata": {"name": self.config_name},
            "spec": {
                "credentials": {"source": "Secret", "secretRef": reference},
                "baseURL": self.simulator.base_url,
                **spec,
            },
        }

    def manifest(
        self,
        kind: str,
        name: str,
        for_provider: Mapping[str, Any],
        *,
        annotations: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        **spec: Any,
    ) -> Obj:
        """Return a managed resource of this test's namespace and ProviderConfig."""
        metadata: Obj = {"name": name}
        if annotations:
            metadata["annotations"] = dict(annotations)
        if labels:
            metadata["labels"] = dict(labels)
        return {
            "apiVersion": KIND_OF[kind].api_version,
            "kind": kind,
            "metadata": metadata,
            "spec": {
                "providerConfigRef": {"kind": "ProviderConfig", "name": self.config_name},
                "forProvider": dict(for_provider),
                **spec,
            },
        }

    def guild(self, name: str = "guild", **for_provider: Any) -> Obj:
        """Return a Guild for the simulator's guild, by its name."""
        return self.manifest("Guild", name, {"name": self.simulator.config.guild_name, **for_provider})

    def channel(self, name: str, *, type: str | int = "text", **for_provider: Any) -> Obj:  # noqa: A002 - the field's name
        """Return a Channel in the Guild called `guild`."""
        fields = {"name": name, "type": type, "guildIdRef": {"name": "guild"}, **for_provider}
        return self.manifest("Channel", name, fields)

    def role(self, name: str, **for_provider: Any) -> Obj:
        """Return a Role in the Guild called `guild`."""
        return self.manifest("Role", name, {"name": name, "guildIdRef": {"name": "guild"}, **for_provider})

    def apply(self, *objects: Obj) -> str:
        """`kubectl apply` them, into this test's namespace; return what it said."""
        return self.control_plane.kubectl(
            "apply", "-n", self.namespace, "-f", "-", input=yaml.safe_dump_all(objects, sort_keys=False)
        )

    def create(self, *objects: Obj) -> None:
        """POST managed resources over kept connections: quicker than `kubectl apply` where there are many."""
        self.request_each("POST", [(self.path(obj["kind"]), obj) for obj in objects])

    def request_each(
        self, method: str, requests: Iterable[tuple[str, Any]], *, content_type: str = "application/json"
    ) -> None:
        """Send many requests (path and body), a few at a time; fail at the first that is refused."""
        endpoint = self.control_plane.endpoint
        context = ssl.create_default_context(cadata=endpoint.authority.decode())
        headers = {"Authorization": f"Bearer {endpoint.token}", "Content-Type": content_type}
        with (
            httpx.Client(base_url=endpoint.url, headers=headers, verify=context, trust_env=False) as client,
            ThreadPoolExecutor(4) as pool,
        ):
            for answer in pool.map(lambda one: client.request(method, one[0], json=one[1]), requests):
                assert answer.is_success, answer.text

    def refused(self, *objects: Obj) -> str:
        """Return kubectl's complaint about manifests that must not be accepted; fail if they are."""
        said = self.control_plane.kubectl(
            *("apply", "-n", self.namespace, "-f", "-"),
            input=yaml.safe_dump_all(objects, sort_keys=False),
            check=False,
        )
        assert "invalid" in said.lower() or "error" in said.lower(), f"accepted: {said}"
        return said

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        """Run kubectl in this test's namespace."""
        return self.control_plane.kubectl("-n", self.namespace, *arguments, check=check)

    # Objects.

    def path(self, kind: str, name: str | None = None) -> str:
        definition: KindDefinition = KIND_OF[kind]
        scope = "" if definition.scope is Scope.CLUSTER else f"/namespaces/{self.namespace}"
        base = f"/apis/{definition.api_version}{scope}/{definition.plural}"
        return base if name is None else f"{base}/{name}"

    def get(self, kind: str, name: str) -> Obj:
        """Read an object. Raises ApiRefused with status 404 if there is none."""
        obj: Obj = self.control_plane.request("GET", self.path(kind, name))
        return obj

    def exists(self, kind: str, name: str) -> bool:
        try:
            self.get(kind, name)
        except ApiRefused as error:
            if error.status == 404:
                return False
            raise
        return True

    def objects(self, kind: str) -> list[Obj]:
        items: list[Obj] = self.control_plane.request("GET", self.path(kind))["items"]
        return items

    def patch(self, kind: str, name: str, body: Mapping[str, Any]) -> Obj:
        """Merge-patch an object."""
        obj: Obj = self.control_plane.request(
            "PATCH", self.path(kind, name), body=body, content_type=MERGE_PATCH
        )
        return obj

    def delete(self, kind: str, name: str) -> None:
        """Ask for the deletion of an object, without waiting."""
        self.control_plane.request("DELETE", self.path(kind, name))

    def external_name(self, kind: str, name: str) -> str:
        return str(
            self.get(kind, name)["metadata"].get("annotations", {}).get("crossplane.io/external-name", "")
        )

    def condition(self, kind: str, name: str, type_: str) -> Obj:
        """Return a condition, {} if there is none for the object's present generation."""
        return condition_of(self.get(kind, name), type_)

    def events(self, name: str) -> list[Obj]:
        """Return the events about an object of this namespace (ProviderConfigs: of `default`)."""
        namespace = "default" if name == self.config_name else self.namespace
        items: list[Obj] = self.control_plane.request("GET", f"/api/v1/namespaces/{namespace}/events")[
            "items"
        ]
        return [event for event in items if event["involvedObject"]["name"] == name]

    # Waiting.

    def until(self, condition: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
        """Wait for a condition and return what it gave; on failure say what every object and the log said."""
        return eventually(condition, what, seconds=seconds, explain=self.explain)

    def until_true(self, *objects: Obj, seconds: float = WAIT_SECONDS) -> None:
        """Wait until these objects are Ready and Synced for what their manifests say now."""

        wanted = {(obj["kind"], obj["metadata"]["name"]) for obj in objects if obj["kind"] in MANAGED}
        kinds = {kind for kind, _ in wanted}

        def all_true() -> bool:
            true = {
                (kind, obj["metadata"]["name"])
                for kind in kinds
                for obj in self.objects(kind)
                if is_true(obj)
            }
            return wanted <= true

        self.until(all_true, "every object to be Ready and Synced", seconds)

    def until_synced_false(self, kind: str, name: str, pattern: str, seconds: float = WAIT_SECONDS) -> str:
        """Wait until Synced is False with a message that matches; return the message."""

        def message() -> str:
            condition = self.condition(kind, name, "Synced")
            said = str(condition.get("message", ""))
            return said if condition.get("status") == "False" and re.search(pattern, said) else ""

        return str(
            self.until(message, f"{kind} {name} to be Synced=False with a message like {pattern!r}", seconds)
        )

    def reconcile(self, *objects: Obj, seconds: float = WAIT_SECONDS) -> None:
        """Ask for a pass over each of these managed objects, and wait until the provider has made it."""
        token = f"{time.time_ns()}"
        names = [(wanted["kind"], wanted["metadata"]["name"]) for wanted in objects]
        for kind, name in names:
            self.patch(kind, name, {"metadata": {"annotations": {meta.RECONCILE_REQUESTED_AT: token}}})

        def handled() -> bool:
            return all(
                (self.get(kind, name).get("status") or {}).get("lastHandledReconcileAt") == token
                for kind, name in names
            )

        self.until(handled, "every object to be reconciled as asked", seconds)

    def until_polled(self, times: int = 2) -> None:
        """Wait until every object had so many more passes, on average of its kind: what shall not happen had its chance."""
        counts = {kind: len(self.objects(kind)) for kind in ("Guild", "Channel", "Role")}

        def passes(kind: str) -> float:
            controller = f"managed/{kind}.{KIND_OF[kind].group}".lower()
            return self.provider.metric("controller_runtime_reconcile_total", controller=controller)

        enough = {kind: passes(kind) + times * count for kind, count in counts.items() if count}
        self.until(
            lambda: all(passes(kind) >= number for kind, number in enough.items()),
            f"{times} more polls of every object",
            seconds=times * POLL_SECONDS * 1.5 + 10,
        )

    def until_event(self, name: str, reason: str, text: str, type_: str = "Warning") -> Obj:
        """Wait for an event about an object, and return it."""

        def found() -> Obj | None:
            return next(
                (
                    event
                    for event in self.events(name)
                    if (event["type"], event["reason"]) == (type_, reason) and text in event["message"]
                ),
                None,
            )

        event: Obj = self.until(found, f"an event {reason} about {name} that says {text!r}")
        return event

    def until_younger_than(self, timestamp: str) -> None:
        """Wait until what is made now has a later creationTimestamp than this one: they have whole seconds."""
        born = meta.from_rfc3339(timestamp)
        assert born is not None

        def later() -> bool:
            probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "clock"}}
            path = f"/api/v1/namespaces/{self.namespace}/configmaps"
            made = self.control_plane.request("POST", f"{path}?dryRun=All", body=probe)
            now = meta.from_rfc3339(made["metadata"]["creationTimestamp"])
            return now is not None and now > born

        self.until(later, "the API server's clock to go on")

    def explain(self) -> str:
        lines = []
        for kind in ("ProviderConfig", "Guild", "Channel", "Role"):
            with contextlib.suppress(ApiRefused, OSError):
                for obj in self.objects(kind):
                    states = [
                        f"{c['type']}={c['status']} {c.get('reason', '')} {c.get('message', '')}".strip()
                        for c in (obj.get("status") or {}).get("conditions", [])
                    ]
                    lines.append(f"{kind} {obj['metadata']['name']}: {'; '.join(states) or 'no conditions'}")
        return "\n".join([*lines, "--- provider ---", self.provider.log[-6000:]])

    # The world outside.

    def writes(self, since: int = 0) -> list[Obj]:
        """Return the requests other than GET that the simulator got after a number."""
        return self.discord.requests(since=since, writes=True)


def eventually(
    condition: Callable[[], Any],
    what: str,
    *,
    seconds: float = WAIT_SECONDS,
    explain: Callable[[], str] = lambda: "",
) -> Any:
    """Wait until the condition gives something true, and return it; fail with an explanation after a while."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:.0f} s in vain for {what}\n{explain()}")
        time.sleep(0.05)


def condition_of(obj: Mapping[str, Any], type_: str) -> Obj:
    """Return an object's condition of a type, {} unless it is about the present generation."""
    for condition in (obj.get("status") or {}).get("conditions", []):
        if (
            condition["type"] == type_
            and condition.get("observedGeneration") == obj["metadata"]["generation"]
        ):
            return dict(condition)
    return {}


def is_true(obj: Mapping[str, Any]) -> bool:
    """Tell whether an object is Ready and Synced for its present generation."""
    return all(condition_of(obj, type_).get("status") == "True" for type_ in ("Ready", "Synced"))


@pytest.fixture
def simulator_config() -> SimulatorConfig:
    """How the test's simulator starts; a test module overrides it for something else."""
    return SimulatorConfig(token=TOKEN, guild_name="Test Guild", limits=LimitsConfig(mode=Mode.OFF))


@pytest.fixture
def simulator(simulator_config: SimulatorConfig) -> Iterator[SimulatorServer]:
    with SimulatorServer(simulator_config) as server:
        yield server


@pytest.fixture
def provider_arguments() -> tuple[str, ...]:
    """Further arguments of the provider; a test module overrides it."""
    return ("--no-leader-election",)


@pytest.fixture
def system(
    control_plane: ControlPlane,
    crds: list[str],
    namespace: str,
    simulator: SimulatorServer,
    provider_arguments: tuple[str, ...],
    tmp_path: Path,
) -> Iterator[System]:
    """The system, its provider running with the rights that the chart gives it."""
    kubeconfig = provider_kubeconfig(control_plane, namespace)
    provider = Provider(kubeconfig=kubeconfig, folder=tmp_path, arguments=provider_arguments)
    made = System(control_plane=control_plane, simulator=simulator, provider=provider, namespace=namespace)
    try:
        provider.start()
        yield made
        check_for_tracebacks(provider.log)
        assert TOKEN not in provider.log, "the token is in the log"
    finally:
        provider.end()
        _release(made)


def check_for_tracebacks(log: str) -> None:
    """Fail if the provider met something that it was not made for."""
    assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:4000]


def _release(system: System) -> None:
    """Take the finalizers off what is left, so that nothing of this test is there for the next one's provider."""
    for kind in MANAGED:
        with contextlib.suppress(ApiRefused):
            system.control_plane.request("DELETE", system.path(kind))
            held = [obj for obj in system.objects(kind) if obj["metadata"].get("finalizers")]
            paths = [system.path(kind, obj["metadata"]["name"]) for obj in held]
            freed = {"metadata": {"finalizers": None}}
            system.request_each("PATCH", [(path, freed) for path in paths], content_type=MERGE_PATCH)
    with contextlib.suppress(ApiRefused):
        system.patch("ProviderConfig", system.config_name, {"metadata": {"finalizers": None}})
        system.delete("ProviderConfig", system.config_name)


@pytest.fixture
def documents() -> Callable[[Path], list[Obj]]:
    """Reads the manifests of a file or folder."""

    def read(path: Path) -> list[Obj]:
        files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        return [doc for file in files for doc in yaml.safe_load_all(file.read_text()) if doc]

    return read
