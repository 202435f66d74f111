"""What is measured: a provider process, a real API server, and a simulated Discord, with many objects at rest.

The simulator runs in the benchmark's own process, so that both read one clock. Its rate limits are off: what is
measured here is the provider, and Discord's limits would hide it.
"""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

REPOSITORY: Final = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "hack"))

from controlplane import ControlPlane  # noqa: E402 - it is found there
from controlplane.processes import free_port  # noqa: E402 - the same

from provider_discord.simulator import (  # noqa: E402 - the same
    ControlClient,
    LimitsConfig,
    Mode,
    SimulatorConfig,
    SimulatorServer,
)

NAMESPACE: Final = "bench"
TOKEN: Final = "bench-token"  # noqa: S105 - it opens a simulator
CATEGORIES: Final = 8
CHANNELS: Final = 350
"""In one guild, beside its categories; Discord allows 500 of both together, and 50 in a category."""
ROLES: Final = 141
PER_GUILD: Final = 1 + CATEGORIES + CHANNELS + ROLES
PATHS: Final = {"Guild": "guilds", "Channel": "channels", "Role": "roles"}

Json = dict[str, Any]


class BenchError(Exception):
    """The benchmark cannot go on."""


class Provider:
    """`provider-discord run`, unscaled."""

    def __init__(self, *, kubeconfig: Path, folder: Path, port: int, poll: str) -> None:
        self.port = port
        self._log = folder / "provider.log"
        command = [
            *(sys.executable, "-m", "provider_discord", "run", "--no-leader-election"),
            *("--kubeconfig", str(kubeconfig), "--poll", poll),
            *("--metrics-bind-address", f"127.0.0.1:{port}", "--health-probe-bind-address", "0"),
        ]
        self.started = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=REPOSITORY)
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        self._process.terminate()
        self._process.wait(15)

    def wait_ready(self) -> float:
        """Wait until it is ready; return the seconds since it was started."""
        while True:
            try:
                if self._client.get("/readyz").status_code == httpx.codes.OK:
                    return time.monotonic() - self.started
            except httpx.TransportError:
                pass
            self._check()
            time.sleep(0.01)

    def wait_settled(self, count: int, *, seconds: float = 1800.0) -> float:
        """Wait until so many objects are Ready and Synced; return the seconds since it was started."""
        self.wait_ready()
        deadline = time.monotonic() + seconds
        while (now := time.monotonic()) < deadline:
            if self.metric("provider_discord_resources_total", ready="True", synced="True") >= count:
                return now - self.started
            self._check()
            time.sleep(0.5)
        msg = f"{count} objects did not settle within {seconds:.0f} s; see {self._log}"
        raise BenchError(msg)

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's series that have these labels."""
        total = 0.0
        for line in self._client.get("/metrics").text.splitlines():
            found = re.fullmatch(rf"{re.escape(name)}(?:\{{(.*)\}})? (\S+)", line)
            if found and labels.items() <= dict(re.findall(r'(\w+)="([^"]*)"', found[1] or "")).items():
                total += float(found[2])
        return total

    @property
    def rss_mib(self) -> float:
        """Its resident memory now."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024

    @property
    def cpu_seconds(self) -> float:
        """The processor time that it has taken."""
        return self.metric("process_cpu_seconds_total")

    def _check(self) -> None:
        if self._process.poll() is not None:
            msg = f"the provider ended with {self._process.returncode}; see {self._log}"
            raise BenchError(msg)


@dataclass(slots=True)
class Rig:
    """The API server and the simulator, with as many objects as asked for.

    Attributes:
        folder: Where logs go.
        guild_ids: The guilds so far.
        channels: Channels that can be changed, (namespaced name, id).
        objects: How many managed objects there are.
    """

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="provider-discord-bench-")))
    control_plane: ControlPlane = field(
        default_factory=lambda: ControlPlane(crds=[REPOSITORY / "package" / "crds"])
    )
    simulator: SimulatorServer = field(
        default_factory=lambda: SimulatorServer(
            SimulatorConfig(token=TOKEN, guild_name="", limits=LimitsConfig(mode=Mode.OFF))
        )
    )
    guild_ids: list[str] = field(default_factory=list)
    channels: list[tuple[str, str]] = field(default_factory=list)
    objects: int = 0
    _client: httpx.Client | None = None

    def __enter__(self) -> Self:
        self.control_plane.start()
        self.simulator.start()
        endpoint = self.control_plane.endpoint
        self._client = httpx.Client(
            base_url=endpoint.url,
            headers={"Authorization": f"Bearer {endpoint.token}"},
            verify=ssl.create_default_context(cadata=endpoint.authority.decode()),
            trust_env=False,
            timeout=30,
        )
        self.send("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        secret = {"metadata": {"name": "discord-bot"}, "stringData": {"token": TOKEN}}
        self.send("POST", f"/api/v1/namespaces/{NAMESPACE}/secrets", secret)
        config: Json = {
            "apiVersion": "discord.crossplane.io/v1alpha1",
            "kind": "ProviderConfig",
            "metadata": {"name": "default"},
            "spec": {
                "baseURL": self.simulator.base_url,
                "credentials": {
                    "source": "Secret",
                    "secretRef": {"namespace": NAMESPACE, "name": "discord-bot", "key": "token"},
                },
            },
        }
        self.send("POST", "/apis/discord.crossplane.io/v1alpha1/providerconfigs", config)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            self._client.close()
        self.simulator.stop()
        self.control_plane.stop()

    @property
    def discord(self) -> ControlClient:
        """The simulated Discord."""
        return self.simulator.control

    def provider(self, *, poll: str) -> Provider:
        """Start a provider."""
        return Provider(
            kubeconfig=self.control_plane.kubeconfig, folder=self.folder, port=free_port(), poll=poll
        )

    def send(self, method: str, path: str, body: Json, *, content_type: str = "application/json") -> Json:
        """Send one request to the API server."""
        assert self._client is not None
        answer = self._client.request(method, path, json=body, headers={"Content-Type": content_type})
        if answer.is_error:
            msg = f"{method} {path}: {answer.text}"
            raise BenchError(msg)
        return dict(answer.json())

    def grow(self, count: int) -> None:
        """Add guilds with objects, bound to what is there already, until there are `count` objects."""
        while self.objects < count:
            wanted = list(self._guild(min(PER_GUILD, count - self.objects)))
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(self._create, wanted))
            self.objects += len(wanted)

    def set_topic(self, name: str, topic: str) -> None:
        """Change a manifest."""
        body = {"spec": {"forProvider": {"topic": topic}}}
        self.send("PATCH", _path("Channel", name), body, content_type="application/merge-patch+json")

    def _create(self, manifest: Json) -> None:
        self.send("POST", _path(manifest["kind"]), manifest)

    def _guild(self, count: int) -> Iterator[Json]:
        """Make a guild in the simulator and yield the manifests of `count` objects in it, the Guild included."""
        number = len(self.guild_ids)
        made = self.discord.create_guild(f"Guild {number}")
        guild_id = made["id"]
        self.guild_ids.append(guild_id)
        yield _manifest("Guild", f"guild-{number}", made, {"name": made["name"]})
        home = {"guildIdRef": {"name": f"guild-{number}"}}
        categories: list[tuple[str, str]] = []
        for index in range(count - 1):
            if index < CATEGORIES:
                name = f"category-{number}-{index}"
                made = self.discord.create_channel({"name": name, "type": 4}, guild=guild_id)
                categories.append((name, made["id"]))
                yield _manifest("Channel", name, made, {"name": name, "type": "category", **home})
            elif index < CATEGORIES + ROLES:
                name = f"role-{number}-{index}"
                made = self.discord.create_role(
                    {"name": name, "color": index, "permissions": "1024"}, guild=guild_id
                )
                fields = {"name": name, "color": index, "permissionNames": ["VIEW_CHANNEL"], **home}
                yield _manifest("Role", name, made, fields)
            else:
                name = f"channel-{number}-{index}"
                parent, parent_id = categories[index % CATEGORIES]
                body = {"name": name, "topic": f"about {name}", "parent_id": parent_id}
                made = self.discord.create_channel(body, guild=guild_id)
                self.channels.append((name, made["id"]))
                fields = {
                    "name": name,
                    "type": "text",
                    "topic": f"about {name}",
                    "parentIdRef": {"name": parent},
                }
                yield _manifest("Channel", name, made, {**fields, **home})


def _manifest(kind: str, name: str, made: Json, fields: Json) -> Json:
    return {
        "apiVersion": f"{kind.lower()}.discord.crossplane.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "annotations": {"crossplane.io/external-name": made["id"]}},
        "spec": {"forProvider": fields},
    }


def _path(kind: str, name: str = "") -> str:
    base = f"/apis/{kind.lower()}.discord.crossplane.io/v1alpha1/namespaces/{NAMESPACE}/{PATHS[kind]}"
    return f"{base}/{name}" if name else base


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values does not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, round(share * len(ranked) + 0.5) - 1))]


def machine() -> str:
    """Describe this machine in a few words."""
    model = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{os.cpu_count()} cores, {model[0] if model else 'unknown processor'}, Python {sys.version.split()[0]}"
