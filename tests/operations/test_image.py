"""The image, as far as it can be checked where no base image can be pulled.

Its Dockerfile is read and held against what the image must be; the commands that install the provider are run in a
scratch folder; and what they made is run as Crossplane's package manager runs it: without arguments, as user 2000,
in a root file system that can't be written to, with the service account's token where a pod has it, and with the
rights that Crossplane gives to a provider.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from provider_discord.simulator import LimitsConfig, Mode, SimulatorConfig, SimulatorServer
from tests.e2e.conftest import TIME_SCALE, TOKEN, Provider, System, _release, check_for_tracebacks, eventually
from tests.operations.audit import AuditedPlane, asked_for
from tests.operations.helm import CHART, ROOT, Obj

DOCKERFILE: Final = ROOT / "package" / "image" / "Dockerfile"
NAMESPACE: Final = "crossplane-system"
REVISION: Final = "provider-discord-0123456789ab"
POD: Final = f"{REVISION}-5d8f7c9b6-x2x4z"
ACCOUNT: Final = f"{NAMESPACE}:{REVISION}"
LEASE: Final = "crossplane-leader-election-provider-discord"
GROUPS: Final = ["", "channel.", "guild.", "role."]


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions and their arguments, continued lines joined."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    found = [line.split(maxsplit=1) for line in joined.splitlines() if line.strip()]
    return [(name, re.sub(r"\s+", " ", rest)) for name, rest in found]


def stages() -> list[list[tuple[str, str]]]:
    """Return the instructions of each stage; the first are those before all stages."""
    made: list[list[tuple[str, str]]] = [[]]
    for name, rest in instructions():
        if name == "FROM":
            made.append([])
        made[-1].append((name, rest))
    return made


def test_the_base_is_pinned_by_digest() -> None:
    arguments = dict(rest.split("=", 1) for name, rest in stages()[0] if name == "ARG")
    for stage in stages()[1:]:
        base = re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], stage[0][1].split()[0])
        assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base), base


def test_the_image_is_for_a_user_without_rights_and_needs_no_arguments() -> None:
    final = stages()[-1]
    names = [name for name, _ in final]
    assert set(names) <= {"FROM", "LABEL", "RUN", "COPY", "ENV", "USER", "EXPOSE", "ENTRYPOINT"}
    by_name = dict(final)
    assert by_name["USER"] == "2000:2000"
    assert names.index("USER") > names.index("COPY")
    assert json.loads(by_name["ENTRYPOINT"]) == ["provider-discord"]
    assert by_name["EXPOSE"].split() == ["8080", "8081"]


def test_packages_are_installed_without_leftovers() -> None:
    runs = [rest for name, rest in stages()[-1] if name == "RUN"]
    (run,) = [rest for rest in runs if "apt-get" in rest]
    assert run.index("apt-get update") < run.index("apt-get install --yes --no-install-recommends")
    assert "rm -rf /var/lib/apt/lists/*" in run
    for package in ("busybox", "ca-certificates", "curl", "openssl"):
        assert re.search(rf"install .*\b{package}\b", run)
    for program in ("nslookup", "time"):
        assert f"ln -s /bin/busybox /usr/bin/{program}" in run


def copied() -> list[Path]:
    """Return what is copied into the image from the repository."""
    words = [rest.split() for name, rest in instructions() if name == "COPY" and "--from=" not in rest]
    return [ROOT / source for sources in words for source in sources[:-1]]


def test_everything_that_is_copied_is_in_the_build_context() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignore
    for path in copied():
        assert path.exists(), path
        assert f"!{path.name}" in ignore


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the commands that install the provider, in a scratch folder; return the environment that they make."""
    scratch = tmp_path_factory.mktemp("scratch")
    (run,) = [rest for name, rest in stages()[1] if name == "RUN"]
    folder = dict(stages()[1])["WORKDIR"]
    (scratch / "bin").mkdir()
    python = scratch / "bin" / "python"
    # No symbolic link: the environment would point to it.
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.base_prefix)}/bin/python3 "$@"\n')
    python.chmod(0o755)
    source = scratch / folder.strip("/")
    source.mkdir()
    for path in copied():
        if path.is_dir():
            shutil.copytree(path, source / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / path.name)
    command = re.sub(r"(?<=[ ])/(build|wheels|opt)", rf"{scratch}/\1", f" {run}")
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=source,
        env={
            **os.environ,
            "PATH": f"{scratch / 'bin'}:{os.environ['PATH']}",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=270,
    )
    unreachable = re.search(r"NewConnectionError|NameResolutionError|ConnectTimeoutError", ran.stderr)
    if unreachable and os.environ.get("CI") != "true":
        pytest.skip("the package index that the image installs from can't be reached")
    assert ran.returncode == 0, f"{command}\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"
    return scratch / "opt" / "provider-discord"


@pytest.mark.timeout(300)
def test_what_is_installed_is_what_the_tests_run_with_and_no_more(installed: Path) -> None:
    names = {path.name for path in (installed / "bin").iterdir()}
    assert "provider-discord" in names
    assert not any(name.startswith("pip") for name in names)
    said = subprocess.run(
        [installed / "bin" / "python", "-c", LIST], capture_output=True, text=True, check=True
    ).stdout
    got = dict(line.split("==") for line in said.splitlines())
    lines = (ROOT / "constraints.txt").read_text().lower().replace("_", "-").splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    assert got.pop("provider-discord")
    assert {name: pinned.get(name) for name in got} == got
    assert not {"pytest", "mypy", "cryptography", "hatchling", "pip", "setuptools"} & set(got)


LIST: Final = """
from importlib.metadata import distributions
for one in distributions():
    print(one.metadata["Name"].lower().replace("_", "-") + "==" + one.version)
"""

POD_SCRIPT: Final = """
root=$1 prefix=$2 app=$3 account=$4
shift 4
mount -t tmpfs -o mode=755 tmpfs "$root"
for name in usr bin sbin lib lib64 etc dev proc; do
    if [ -L "/$name" ]; then cp -P "/$name" "$root/$name"
    elif [ -d "/$name" ]; then mkdir "$root/$name"; mount --rbind "/$name" "$root/$name"; fi
done
for folder in "$prefix" "$app"; do
    mkdir -p "$root$folder"
    mount --bind "$folder" "$root$folder"
    mount -o remount,ro,bind "$root$folder"
done
mkdir -p "$root/var/run/secrets/kubernetes.io"
cp -r "$account" "$root/var/run/secrets/kubernetes.io/serviceaccount"
mount -o remount,ro "$root"
exec chroot "$root" setpriv --reuid 2000 --regid 2000 --clear-groups --no-new-privs --bounding-set=-all env -i "$@"
"""
"""Runs a command as in a container: a root file system of its own that can't be written to, user 2000, no rights."""


class Pod(Provider):
    """The provider as the pod of a Crossplane provider revision."""

    def __init__(self, *, installed: Path, account: Path, environment: dict[str, str], folder: Path) -> None:
        super().__init__(kubeconfig=folder / "none", folder=folder)
        self._installed = installed
        self._account = account
        self._environment = environment
        self._root = folder / "root"
        self._root.mkdir()

    def start(self, *, ready: bool = True) -> None:
        entry = json.loads(dict(stages()[-1])["ENTRYPOINT"])
        image = {
            name: value.replace("/opt/provider-discord", str(self._installed)).replace("$PATH", os.defpath)
            for name, _, value in (
                one.partition("=")
                for one in shlex.split(dict(stages()[-1])["ENV"].replace("$PATH", "'$PATH'"))
            )
        }
        variables = [f"{name}={value}" for name, value in {**image, **self._environment}.items()]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("unshare", "--mount", "--propagation", "private", "bash", "-euc", POD_SCRIPT, "pod"),
                    *(str(self._root), sys.base_prefix, str(self._installed), str(self._account)),
                    *variables,
                    *entry,
                ],
                stdout=log,
                stderr=log,
            )
        if ready:
            eventually(lambda: self.probe("/readyz") == 200, "the pod to be ready", explain=lambda: self.log)


def can_unshare() -> bool:
    """Tell whether this machine lets us make a root file system: it takes root, and more than most containers have."""
    if os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("setpriv")):
        return False
    ran = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False)
    return ran.returncode == 0


def crossplane_role() -> Obj:
    """Return the rights that Crossplane's RBAC manager gives to a provider with the capability safe-start.

    From crossplane `internal/controller/rbac/provider/roles/roles.go`: no delete, no list of namespaces.
    """
    resources = {
        "": "providerconfigs providerconfigusages",
        "channel.": "channels",
        "guild.": "guilds",
        "role.": "roles",
    }
    rules = [
        {
            "apiGroups": [f"{prefix}discord.crossplane.io"],
            "resources": [one for name in names.split() for one in (name, f"{name}/status")],
            "verbs": ["get", "list", "watch", "update", "patch", "create"],
        }
        for prefix, names in resources.items()
    ]
    rules += [
        {
            "apiGroups": [f"{prefix}discord.crossplane.io" for prefix in GROUPS],
            "resources": ["*/finalizers"],
            "verbs": ["update"],
        },
        {
            "apiGroups": ["", "coordination.k8s.io"],
            "resources": ["secrets", "configmaps", "events", "leases"],
            "verbs": ["*"],
        },
        {
            "apiGroups": ["apiextensions.k8s.io"],
            "resources": ["customresourcedefinitions"],
            "verbs": ["get", "list", "watch"],
        },
    ]
    name = f"crossplane:provider:{REVISION}:system"
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }


def free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - as the provider does
        except OSError:
            return False
    return True


@pytest.fixture
def pod(audited: AuditedPlane, installed: Path, tmp_path: Path) -> Iterator[Pod]:
    """The provider's pod, not started; Crossplane's objects around it are there."""
    if not can_unshare():
        pytest.skip("making a root file system of one's own takes root and the right to mount")
    plane = audited.control_plane
    plane.apply_crds(CHART / "crds")
    if f"namespace/{NAMESPACE}" not in plane.kubectl("get", "namespaces", "-o", "name"):
        plane.kubectl("create", "namespace", NAMESPACE)
    plane.kubectl("create", "serviceaccount", REVISION, "-n", NAMESPACE)
    role = crossplane_role()
    plane.kubectl("apply", "-f", "-", input=json.dumps(role))
    name = role["metadata"]["name"]
    plane.kubectl(
        "create", "clusterrolebinding", name, f"--clusterrole={name}", f"--serviceaccount={ACCOUNT}"
    )
    plane.kubectl("delete", "lease", LEASE, "-n", NAMESPACE, "--ignore-not-found")

    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text(audited.token_of(ACCOUNT))
    (account / "ca.crt").write_bytes(plane.endpoint.authority)
    (account / "namespace").write_text(NAMESPACE)
    environment = {
        "HOSTNAME": POD,
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(plane.endpoint.port),
        "POD_NAMESPACE": NAMESPACE,
        "PROVIDER_NAME": "provider-discord",
        "REVISION_NAME": REVISION,
        "REVISION_UID": "3f0b6b3e-5d0c-4d0e-9c55-4ce6a27d2b8e",
        "TLS_SERVER_CERTS_DIR": "/tls/server",
        "TLS_CLIENT_CERTS_DIR": "/tls/client",
        "WEBHOOK_TLS_CERT_DIR": "/webhook/tls",
        # Not Crossplane's: so that this takes no minute.
        "PROVIDER_DISCORD_TIME_SCALE": str(TIME_SCALE),
    }
    made = Pod(installed=installed, account=account, environment=environment, folder=tmp_path)
    made.port = 8080
    if not (free(8080) and free(8081)):
        # Somebody else's on this machine; a DeploymentRuntimeConfig could say the same.
        made.port = Provider(kubeconfig=tmp_path, folder=tmp_path).port
        environment |= {"METRICS_BIND_ADDRESS": f":{made.port}", "HEALTH_PROBE_BIND_ADDRESS": "0"}
    try:
        yield made
    finally:
        made.end()


@pytest.mark.timeout(300)
def test_it_runs_as_crossplane_runs_it(pod: Pod, audited: AuditedPlane) -> None:
    plane = audited.control_plane
    plane.kubectl("create", "namespace", "pod")
    config = SimulatorConfig(token=TOKEN, guild_name="Test Guild", limits=LimitsConfig(mode=Mode.OFF))
    with SimulatorServer(config) as simulator:
        system = System(control_plane=plane, simulator=simulator, provider=pod, namespace="pod")
        try:
            pod.start()
            system.connect()
            guild, channel = system.guild(), system.channel("lobby")
            system.apply(guild, channel)
            system.until_true(guild, channel)
            assert system.discord.channel("lobby")
            assert "controller_runtime_reconcile_total" in pod.get("/metrics").text
            if pod.port == 8080:
                assert httpx.get("http://127.0.0.1:8081/readyz", trust_env=False).status_code == 200
            status = Path(f"/proc/{pod.pid}/status").read_text()
            assert re.search(r"^Uid:\s+2000\s+2000\s", status, re.MULTILINE)
            assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
            assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
            path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{LEASE}"
            assert plane.request("GET", path)["spec"]["holderIdentity"].startswith(POD)

            system.delete("Channel", "lobby")
            system.until(lambda: not system.exists("Channel", "lobby"), "the channel to be gone")
            assert pod.stop() == 0
            check_for_tracebacks(pod.log)
        finally:
            pod.end()
            _release(system)
    refused = [
        event for event in audited.requests_of(ACCOUNT) if event["responseStatus"]["code"] in {401, 403}
    ]
    assert asked_for(refused) <= {("delete", "discord.crossplane.io", "providerconfigusages")}
