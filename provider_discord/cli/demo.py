"""``provider-discord demo``: the whole main job, on this machine, for somebody who wants to see it.

Starts a real kube-apiserver (from ``hack/controlplane``, so it needs a checkout of the project; or takes the
cluster of ``KUBECONFIG_DEMO``), a simulated Discord and the provider, applies ``examples/community``, waits until
everything is true, then changes a manifest and edits the guild by hand and shows both settle. Each part is a
process of its own, as in production; this file only looks on, with kubectl and the simulator's control API.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final, NoReturn

import typer
import yaml
from rich.console import Console
from rich.markup import escape

from provider_discord.apis.kinds import MANAGED_KINDS, PROVIDER_CONFIG, KindDefinition
from provider_discord.cli.processes import ProcessEnded, Processes, free_port
from provider_discord.kinds.registry import resource_of
from provider_discord.kube.access import ObjectAccess
from provider_discord.kube.client import connect
from provider_discord.kube.errors import KubeError
from provider_discord.kube.resource import Key, Obj
from provider_discord.kube.timings import KubeTimings
from provider_discord.simulator import ControlClient

NAMESPACE: Final = "discord-demo"
TOKEN: Final = "demo-token-of-the-simulated-bot"  # noqa: S105 - it opens nothing but the simulator
SETTLE_SECONDS: Final = 120.0
POLL: Final = "10s"

_ROOT: Final = Path(__file__).resolve().parents[2]


class DemoError(Exception):
    """The demo cannot go on; the message says what to do."""


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", envvar="KEEP", help="Keep everything running afterwards, until Ctrl-C.")
    ] = False,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(envvar="KUBECONFIG_DEMO", help="Use this cluster instead of starting an API server."),
    ] = None,
    examples: Annotated[Path, typer.Option(help="The manifests to apply.", exists=True)] = _ROOT
    / "examples"
    / "community",
) -> None:
    """Build a Discord guild out of manifests on a real API server, and watch it.

    Ctrl-C ends everything that it started. Nothing outside this directory's `.demo` is touched, and no real
    Discord: the guild lives in a simulator.
    """
    console = Console(highlight=False)
    signal.signal(signal.SIGTERM, _terminate)
    started = time.monotonic()
    try:
        with ExitStack() as stack:
            Demo(console, stack, kubeconfig=kubeconfig, examples=examples).run(keep=keep, started=started)
    except KeyboardInterrupt:
        console.print("\nstopped; nothing is left running")
        raise typer.Exit(130) from None
    except (DemoError, ProcessEnded, KubeError) as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from None


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature of a handler
    raise KeyboardInterrupt


class Demo:
    """One run of the demo; ``stack`` ends what it starts, in reverse order."""

    def __init__(
        self, console: Console, stack: ExitStack, *, kubeconfig: Path | None, examples: Path
    ) -> None:
        self._console = console
        self._stack = stack
        self._given = kubeconfig
        self._examples = examples
        self._folder = Path.cwd() / ".demo"
        self._kubeconfig = kubeconfig or self._folder / "kubeconfig"
        self._kubectl = shutil.which("kubectl") or "kubectl"
        self._environment = {**os.environ, "PYTHONPATH": str(_ROOT / "hack")}
        self._documents: list[Obj] = []
        self._metrics_port = 0
        self._processes = Processes(stack, folder=self._folder, environment=self._environment)
        self._access: ObjectAccess | None = None

    def run(self, *, keep: bool, started: float) -> None:
        """Do everything; raises DemoError or KubeError where it cannot go on."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        self._documents = list(_load(self._examples))
        self._start_cluster()
        simulator = self._start_simulator()
        self._install()
        self._start_provider()
        self._apply(simulator)
        self._watch_everything()
        self._show(simulator)
        self._change_a_manifest()
        self._change_by_hand(simulator)
        self._say(f"Done in {time.monotonic() - started:.0f} s: every object is READY and SYNCED.")
        if keep:
            self._stay(simulator)
        elif self._given is not None:
            self._clean_up()
        else:
            self._say("KEEP=1 make demo keeps it running, to explore. Stopping everything ...")

    # Start.

    def _start_cluster(self) -> None:
        if self._given is not None:
            self._say(f"Using the cluster of {self._given}")
        else:
            if not (_ROOT / "hack" / "controlplane").is_dir():
                msg = (
                    "there is no hack/controlplane here: run the demo from a checkout, or set KUBECONFIG_DEMO"
                )
                raise DemoError(msg)
            self._say("Starting etcd and kube-apiserver (about 5 s)")
            log = self._processes.start("controlplane", [sys.executable, "-m", "controlplane", "up"])
            line = self._processes.await_line(log, "export KUBECONFIG=", 90.0)
            shutil.copyfile(line.partition("=")[2].strip(), self._kubeconfig)
            self._kubeconfig.chmod(0o600)
            self._find_kubectl()
        self._access = connect(self._kubeconfig, timings=KubeTimings(), pool_size=2)

    def _find_kubectl(self) -> None:
        found = subprocess.run(
            [sys.executable, "-m", "controlplane", "tools"],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        for line in found.stdout.splitlines():
            tool, _, path = line.partition("=")
            if tool == "kubectl":
                self._kubectl = path

    def _start_simulator(self) -> ControlClient:
        name = next(d["spec"]["forProvider"]["name"] for d in self._documents if d["kind"] == "Guild")
        port = free_port()
        self._say(f'Starting a simulated Discord with an empty guild "{name}"')
        # The first bot and guild are made below, with the name that the manifests want.
        self._processes.start(
            "simulator",
            [
                sys.executable,
                "-m",
                "provider_discord",
                "simulate",
                "--port",
                str(port),
                "--token",
                TOKEN,
                "--guild",
                name,
            ],
        )
        control = self._stack.enter_context(ControlClient(f"http://127.0.0.1:{port}"))
        self._until(lambda: _answers(control), "the simulator to answer", 20.0)
        control.set_guild(features=["COMMUNITY", "NEWS"])
        return control

    def _install(self) -> None:
        self._say("Installing the CRDs")
        self._run_kubectl("apply", "-f", str(_ROOT / "package" / "crds"))
        self._run_kubectl(
            "wait", "--for=condition=Established", "--timeout=30s", "-f", str(_ROOT / "package" / "crds")
        )

    def _start_provider(self) -> None:
        self._metrics_port = free_port()
        self._say("Starting the provider")
        self._processes.start(
            "provider",
            [
                sys.executable, "-m", "provider_discord", "run",
                "--kubeconfig", str(self._kubeconfig),
                "--poll", POLL,
                "--metrics-bind-address", f"127.0.0.1:{self._metrics_port}",
                "--health-probe-bind-address", "0",
                "--no-leader-election",
            ],
        )  # fmt: skip

    # Use.

    def _apply(self, simulator: ControlClient) -> None:
        self._say(f"kubectl apply -n {NAMESPACE} -f {_shown(self._examples)}")
        secrets: list[Obj] = []
        for document in self._documents:
            if document["kind"] == "ProviderConfig":
                document["spec"]["baseURL"] = f"{simulator.origin}/api/v10"
                document["spec"]["credentials"]["secretRef"]["namespace"] = NAMESPACE
                secrets.append(_secret(document["spec"]["credentials"]["secretRef"]))
            if document["kind"] != "ProviderConfig":
                document.setdefault("metadata", {})["namespace"] = NAMESPACE
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        manifest = self._folder / "manifests.yaml"
        manifest.write_text(
            yaml.safe_dump_all([namespace, *secrets, *self._documents], sort_keys=False), encoding="utf-8"
        )
        self._run_kubectl("apply", "-f", str(manifest))

    def _watch_everything(self) -> None:
        """Print each object as it becomes true; return when all are."""
        began = time.monotonic()
        wanted = sum(1 for d in self._documents if d["kind"] in {k.kind for k in MANAGED_KINDS})
        seen: set[tuple[str, str]] = set()

        def all_true() -> bool:
            for kind, obj in self._objects():
                key = (kind.kind, obj["metadata"]["name"])
                if key not in seen and _is_true(obj):
                    seen.add(key)
                    self._console.print(
                        f"   [green]ready[/green] {len(seen):3}/{wanted}  {kind.kind:8} {key[1]}  [dim]{time.monotonic() - began:.1f} s[/dim]"
                    )
            return len(seen) >= wanted

        self._until(all_true, "every object to become READY and SYNCED", SETTLE_SECONDS)
        self._say(f"All {wanted} objects are true after {time.monotonic() - began:.1f} s")

    def _show(self, simulator: ControlClient) -> None:
        self._say("kubectl get discord -A")
        self._console.print(self._run_kubectl("get", "discord", "-A"), soft_wrap=True, markup=False)
        self._say("The guild at Discord")
        self._draw(simulator)

    def _draw(self, simulator: ControlClient) -> None:
        sys.stdout.flush()
        subprocess.run(
            [sys.executable, "-m", "provider_discord", "simulate", "tree", "--url", simulator.origin],
            check=False,
        )

    def _change_a_manifest(self) -> None:
        document = self._public_channels()[-1]
        name = document["metadata"]["name"]
        topic = "Changed in the manifest, a moment ago"
        self._say(f'A changed manifest: the topic of Channel {name} becomes "{topic}"')
        document["spec"]["forProvider"]["topic"] = topic
        manifest = self._folder / "changed.yaml"
        manifest.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        self._run_kubectl("apply", "-f", str(manifest))
        began = time.monotonic()

        def settled() -> bool:
            obj = self._get(document)
            return _is_true(obj) and obj["status"]["atProvider"].get("topic") == topic

        self._until(settled, "the new topic to arrive", 60.0)
        self._console.print(f"   [green]settled[/green] at Discord after {time.monotonic() - began:.1f} s")

    def _change_by_hand(self, simulator: ControlClient) -> None:
        document = self._public_channels()[0]
        name = document["metadata"]["name"]
        channel = self._get(document)["metadata"]["annotations"]["crossplane.io/external-name"]
        right = simulator.channel(channel)["name"]
        self._say(
            f"A change by hand: Alice, an administrator, renames #{right} to #alices-corner (the provider polls every {POLL})"
        )
        simulator.rename_channel(channel, "alices-corner", actor="Alice")
        began = time.monotonic()
        self._until(lambda: simulator.channel(channel)["name"] == right, "the name to be put back", 60.0)
        self._console.print(
            f"   [green]put back[/green] to #{right} after {time.monotonic() - began:.1f} s; its events:"
        )
        self._until(lambda: _is_true(self._get(document)), "the object to be SYNCED again", 30.0)
        events = self._run_kubectl(
            "get", "events", "-n", NAMESPACE, "--field-selector", f"involvedObject.name={name}", "--sort-by=.lastTimestamp",
            "-o", "custom-columns=TYPE:.type,REASON:.reason,MESSAGE:.message",
        )  # fmt: skip
        self._console.print(events.rstrip(), soft_wrap=True, markup=False)

    def _public_channels(self) -> list[Obj]:
        """Return the text channels with a topic that everybody sees."""
        return [
            d
            for d in self._documents
            if d["kind"] == "Channel"
            and d["spec"]["forProvider"].get("type") in {"text", 0}
            and d["spec"]["forProvider"].get("topic")
            and not d["spec"]["forProvider"].get("syncPermissions")
        ]

    def _stay(self, simulator: ControlClient) -> None:
        self._say("Everything keeps running. In another shell:")
        self._console.print(
            f"   export KUBECONFIG={self._kubeconfig}\n"
            f"   {self._kubectl} get discord -A\n"
            f"   {self._kubectl} -n {NAMESPACE} edit dchannel NAME          # dguild, dchannel, drole, dpc\n"
            f"   .venv/bin/provider-discord simulate tree --url {simulator.origin}\n"
            f"   .venv/bin/provider-discord simulate act --help            # be a human admin\n"
            f"   curl -s http://127.0.0.1:{self._metrics_port}/healthz     # and /metrics\n"
            f"   tail -f {_shown(self._folder)}/provider.log\n"
            "Ctrl-C stops it.",
            soft_wrap=True,
        )
        while True:
            self._processes.check()
            time.sleep(1.0)

    def _clean_up(self) -> None:
        """Take everything out of the user's cluster again; the simulated guild goes with the simulator."""
        self._say(f"Removing what the demo made in your cluster (namespace {NAMESPACE}); the CRDs stay")
        assert self._access is not None
        for kind, obj in list(self._objects()):
            # Without Delete an object goes at once, guarded or not.
            policies = {"spec": {"managementPolicies": ["Observe", "Create", "Update"]}}
            self._run_kubectl(
                *("patch", kind.crd_name, obj["metadata"]["name"], "-n", NAMESPACE),
                *("--type=merge", "-p", json.dumps(policies)),
                check=False,
            )
        for kind in MANAGED_KINDS:
            self._run_kubectl("delete", kind.crd_name, "--all", "-n", NAMESPACE, "--timeout=30s", check=False)
        config = next(d["metadata"]["name"] for d in self._documents if d["kind"] == "ProviderConfig")
        name = PROVIDER_CONFIG.crd_name
        self._run_kubectl("delete", name, config, "--timeout=30s", check=False)
        self._run_kubectl("delete", "namespace", NAMESPACE, "--timeout=60s", check=False)

    # How.

    def _say(self, text: str) -> None:
        self._console.print(f"[bold cyan]==>[/bold cyan] {text}", soft_wrap=True)

    def _objects(self) -> Iterator[tuple[KindDefinition, Obj]]:
        assert self._access is not None
        for kind in MANAGED_KINDS:
            page = self._access.list_page(resource_of(kind), namespace=NAMESPACE, limit=500)
            for obj in page.items:
                yield kind, obj

    def _get(self, document: Obj) -> Obj:
        assert self._access is not None
        kind = next(k for k in MANAGED_KINDS if k.kind == document["kind"])
        return self._access.get(resource_of(kind), Key(NAMESPACE, document["metadata"]["name"]))

    def _until(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            self._processes.check()
            if time.monotonic() > deadline:
                self._explain()
                msg = f"waited {seconds:.0f} s in vain for {what}; the logs are in {_shown(self._folder)}"
                raise DemoError(msg)
            time.sleep(0.2)

    def _explain(self) -> None:
        for kind, obj in self._objects():
            for condition in (obj.get("status") or {}).get("conditions", [{"type": "no condition yet"}]):
                if condition.get("status") != "True":
                    self._console.print(
                        f"   {kind.kind} {obj['metadata']['name']}: {condition['type']} {condition.get('reason', '')} {condition.get('message', '')}",
                        soft_wrap=True,
                        markup=False,
                    )

    def _run_kubectl(self, *arguments: str, check: bool = True) -> str:
        ran = subprocess.run(
            [self._kubectl, "--kubeconfig", str(self._kubeconfig), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "KUBECACHEDIR": str(self._folder / "kubectl-cache")},
        )
        if check and ran.returncode != 0:
            msg = f"kubectl {' '.join(arguments[:3])} failed: {ran.stderr.strip()}"
            raise DemoError(msg)
        return ran.stdout


def _load(folder: Path) -> Iterator[Obj]:
    files = sorted(folder.glob("*.yaml")) if folder.is_dir() else [folder]
    for file in files:
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            if document:
                yield document


def _is_true(obj: Obj) -> bool:
    generation = obj["metadata"].get("generation")
    states: dict[str, Any] = {
        c["type"]: c["status"]
        for c in (obj.get("status") or {}).get("conditions", [])
        if c.get("observedGeneration") == generation
    }
    return states.get("Ready") == states.get("Synced") == "True"


def _secret(reference: Obj) -> Obj:
    """Return the Secret that a ProviderConfig names, with the token of the simulated bot."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": reference["name"], "namespace": reference["namespace"]},
        "stringData": {reference["key"]: TOKEN},
    }


def _answers(control: ControlClient) -> bool:
    try:
        control.info()
    except Exception:  # noqa: BLE001 - whatever it is, it does not answer yet
        return False
    return True


def _shown(path: Path) -> str:
    return os.path.relpath(path)
