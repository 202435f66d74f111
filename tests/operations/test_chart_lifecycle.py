"""The chart on a real API server: installed, upgraded, rolled back, uninstalled, installed again.

There are objects only, no kubelet: the test's Pod is run by this test. What must hold throughout is that no step
removes a CRD, a managed resource, the ProviderConfig or the token.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

import pytest
import yaml
from controlplane import ControlPlane, Tool, ensure

from provider_discord import __version__
from tests.e2e.conftest import eventually
from tests.operations.audit import AuditedPlane
from tests.operations.helm import CHART, ROOT, Helm, HelmFailed, Obj

RELEASE: Final = "provider-discord"
NAMESPACE: Final = "crossplane-system"
IN: Final = ("-n", NAMESPACE)
CREATE: Final = ("--set", "providerConfig.create=true", "--set", "credentials.token=first-token")
SPEC: Final = "providerConfig.spec.baseURL=http://127.0.0.1:9"
"""So that nobody can ever reach Discord with this."""
ROTATE: Final = [
    "create",
    "secret",
    "generic",
    "discord-credentials",
    "--from-file=token=/dev/stdin",
    "--dry-run=client",
    "-o",
    "yaml",
]
ACCOUNT: Final = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"


class Site:
    """A cluster in which the chart is installed, and somebody's guild is."""

    def __init__(self, control_plane: ControlPlane, helm: Helm) -> None:
        self.control_plane = control_plane
        self._helm = helm
        self._uids: dict[str, str] = {}

    def helm(self, *arguments: str, refused: bool = False) -> str:
        if not refused:
            return self._helm(*arguments, kubeconfig=self.control_plane.kubeconfig)
        with pytest.raises(HelmFailed) as caught:
            self._helm(*arguments, kubeconfig=self.control_plane.kubeconfig)
        return str(caught.value)

    def kubectl(self, *arguments: str, **keywords: Any) -> str:
        return self.control_plane.kubectl(*arguments, **keywords)

    def get(self, kind: str, name: str, namespace: str = NAMESPACE) -> Obj:
        obj: Obj = json.loads(self.kubectl("get", kind, name, "-n", namespace, "-o", "json"))
        return obj

    def may(
        self,
        user: str,
        verb: str,
        group: str,
        what: str,
        namespace: str = "",
        name: str = "",
    ) -> bool:
        """Ask the API server whether somebody may do something."""
        resource, _, subresource = what.partition("/")
        attributes = {
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
            "namespace": namespace,
            "name": name,
        }
        review = self.control_plane.request(
            "POST",
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            body={
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {"user": user, "resourceAttributes": attributes},
            },
        )
        return bool(review["status"]["allowed"])

    def token(self) -> str:
        return base64.b64decode(self.get("secret", "discord-credentials")["data"]["token"]).decode()

    def rotate(self, token: str) -> None:
        """Put another token into the Secret, as the runbook does."""
        self.kubectl("apply", *IN, "-f", "-", input=self.kubectl(*ROTATE, *IN, input=token))

    def policy(self) -> str:
        """Return something of the ProviderConfig's that values set."""
        return str(self.get("providerconfigs.discord.crossplane.io", "default")["spec"]["adoption"])

    def columns(self) -> list[str]:
        """Return something of a CRD's that a chart sets."""
        crd = self.get("crd", "guilds.guild.discord.crossplane.io")
        return [column["name"] for column in crd["spec"]["versions"][0]["additionalPrinterColumns"]]

    def forget(self) -> None:
        """Delete what the chart leaves. Nobody serves the objects here, so nothing holds them."""
        for kind in ("channels.channel", "roles.role", "guilds.guild"):
            self.kubectl("delete", f"{kind}.discord.crossplane.io", "--all", "--all-namespaces")
        self.kubectl("delete", "providerconfigs.discord.crossplane.io", "--all")
        self.kubectl("delete", "secret", "discord-credentials", *IN)
        self._uids = {}

    def check_nothing_is_lost(self) -> None:
        """Fail if one of the things that must outlive the chart is not the very object that it was."""
        kinds = "discord,crd,secrets"
        items = json.loads(self.kubectl("get", kinds, "-A", "-o", "json"))["items"]
        uids = {
            f"{obj['kind']} {obj['metadata']['name']}": obj["metadata"]["uid"]
            for obj in items
            if obj["kind"] != "Secret" or obj["metadata"]["name"] == "discord-credentials"
        }
        assert not [obj for obj in items if obj["metadata"].get("deletionTimestamp")]
        assert {name: uids.get(name) for name in self._uids} == self._uids
        self._uids = uids


def older_chart(folder: Path) -> Path:
    """Return a chart that lacks some of this one's values."""
    older = folder / "older" / "provider-discord"
    shutil.copytree(CHART, older)
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for name in ("crds", "checkForOthers", "prometheusRule", "podDisruptionBudget"):
        del values[name]
    del values["networkPolicy"]["dnsPorts"]
    del values["metrics"]["serviceMonitor"]
    (older / "values.yaml").write_text(yaml.safe_dump(values))
    return older


@pytest.fixture(scope="module")
def site(audited: AuditedPlane, helm: Helm) -> Site:
    return Site(audited.control_plane, helm)


# A score of runs of helm and kubectl; some ten seconds where nothing else runs.
@pytest.mark.timeout(300)
def test_a_life_of_installing_and_removing(site: Site, tmp_path: Path) -> None:
    site.kubectl("create", "namespace", "discord")

    # First, on a cluster that has nothing of it. An upgrade with the values of a chart that had fewer of them.
    chart = str(older_chart(tmp_path))
    said = site.helm("install", RELEASE, chart, *IN, "--create-namespace", *CREATE, "--set", SPEC)
    assert "first-token" not in said
    assert "NO POD CAN START" in said
    assert "serves every namespace" in said
    assert site.token() == "first-token"
    upgrade = ("upgrade", RELEASE, str(CHART), *IN)
    said = site.helm(*upgrade, "--reuse-values", "--set", "image.repository=registry.example.org/provider")
    assert "NO POD CAN START" not in said
    dns = site.get("netpol", f"{RELEASE}-netpol")["spec"]["egress"][0]["ports"]
    assert 5353 in {port["port"] for port in dns}
    assert site.get("deployment", RELEASE)["metadata"]["labels"]["app"] == RELEASE
    assert site.token() == "first-token"
    assert site.policy() == "Refuse"
    for example in ("guild.yaml", "channel.yaml", "role.yaml"):
        site.kubectl("apply", "-n", "discord", "-f", str(ROOT / "examples" / example))
    site.check_nothing_is_lost()

    # What people change by hand is theirs.
    site.kubectl(
        *("patch", "providerconfigs.discord.crossplane.io", "default"),
        *("--type=merge", "-p", '{"spec": {"adoption": "ByName"}}'),
    )
    said = site.helm(*upgrade, *CREATE, "--set", "providerConfig.spec.adoption=CreateNew")
    assert site.policy() == "ByName"
    assert "was left as it is" in said

    # A token that was revoked never comes back with the values.
    site.rotate("rotated")
    site.check_nothing_is_lost()
    said = site.helm(*upgrade, "--reuse-values", "--set", "replicas=3")
    assert "holds another token" in said
    assert "first-token" not in site.helm("get", "manifest", RELEASE, *IN)
    assert site.helm(*upgrade, "--set", "credentials.token=first-token", "--dry-run=server")
    site.helm(*upgrade, "--set", "credentials.token=third-token")
    site.helm("rollback", RELEASE, "1", *IN)
    assert site.token() == "rotated"
    site.check_nothing_is_lost()

    # An upgrade that forgets the values that made token and config.
    said = site.helm(*upgrade, "--set", "replicas=2")
    assert site.get("deployment", RELEASE)["spec"]["replicas"] == 2
    assert "token is not there" not in said
    site.check_nothing_is_lost()

    # A newer chart, with another CRD; and back.
    newer = tmp_path / "provider-discord"
    subprocess.run(["cp", "-r", str(CHART), str(newer)], check=True)
    for file in (newer / "crds").iterdir():
        column = "additionalPrinterColumns:\n    - name: NEW\n      type: string\n      jsonPath: .spec"
        file.write_text(file.read_text().replace("additionalPrinterColumns:", column))
    site.helm("upgrade", RELEASE, str(newer), *IN, *CREATE)
    assert "NEW" in site.columns()
    site.helm("rollback", RELEASE, "1", *IN)
    assert "NEW" not in site.columns()
    assert site.get("deployment", RELEASE)["spec"]["replicas"] == 1
    assert site.policy() == "ByName"
    assert site.token() == "rotated"
    site.check_nothing_is_lost()

    # Gone, but for what must stay.
    site.helm("uninstall", RELEASE, *IN)
    site.check_nothing_is_lost()
    kinds = "all,sa,netpol,pdb,role,rolebinding,clusterrole,clusterrolebinding"
    assert "discord" not in site.kubectl("get", kinds, "-A", "-l", f"app={RELEASE}", "-o", "name")

    # A newer chart takes over what was kept, but no token that nobody asked about. Told to leave the CRDs alone, it does.
    said = site.helm("install", RELEASE, str(newer), *IN, *CREATE, refused=True)
    assert f"{NAMESPACE}/discord-credentials is there already and holds another token" in said
    site.helm("install", RELEASE, str(newer), *IN)
    assert "NEW" in site.columns()
    assert site.policy() == "ByName"
    site.helm(*upgrade, "--set", "crds.upgrade=false")
    assert "NEW" in site.columns()
    site.check_nothing_is_lost()

    # A second copy in one cluster is refused, whatever it is called and wherever it is; a copy of another name in place
    # of the first is not: only that it does not upgrade CRDs that are not marked as its own, and says so.
    other = ("install", "other", str(CHART), "-n", "discord", "--set", "fullnameOverride=discord")
    assert f"installed already, as release {RELEASE} in namespace {NAMESPACE}" in site.helm(
        *other, refused=True
    )
    site.helm("uninstall", RELEASE, *IN)
    said = site.helm(*other)
    assert "kubectl apply --server-side --force-conflicts -f <chart>/crds" in said
    assert "NEW" in site.columns()
    for release, namespace in ((RELEASE, NAMESPACE), ("third", "kube-public"), ("third", "discord")):
        said = site.helm("install", release, str(CHART), "-n", namespace, refused=True)
        assert "installed already, as release other in namespace discord (Deployment discord/discord)" in said
    site.helm("upgrade", *other[1:])
    site.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CHART / "crds"))
    assert "NEW" not in site.columns()
    site.helm("uninstall", "other", "-n", "discord")
    site.check_nothing_is_lost()

    # Not by Helm: its pods have the label, as those of Crossplane's package do.
    site.kubectl("create", "deployment", RELEASE, "-n", "default", "--image=registry.invalid/x")
    install = ("install", RELEASE, str(CHART), *IN, "--dry-run=server")
    assert "not by Helm (Deployment default/provider-discord)" in site.helm(*install, refused=True)
    site.helm(*install, "--set", "checkForOthers=false")
    site.kubectl("delete", "deployment", RELEASE, "-n", "default")
    site.check_nothing_is_lost()

    site.forget()


def quick_start(title: str) -> list[str]:
    """Return the commands of a fence of README's section about clusters: the first one after some words."""
    section = (ROOT / "README.md").read_text().partition("## On a cluster")[2].partition("\n## ")[0]
    return [line for line in section.partition(title)[2].split("```")[1].splitlines() if line]


@pytest.fixture(scope="module")
def shell(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[str]], str]:
    """Types commands as a person would, pasting a token where one is read; returns what they print."""
    programs = tmp_path_factory.mktemp("bin")
    for tool, path in ensure([Tool.HELM, Tool.KUBECTL]).items():
        (programs / tool.value).symlink_to(path)
    # Stands for Crossplane, of which there is none here: it takes up the package's CRDs.
    crossplane = programs / "crossplane"
    crds = shlex.quote(str(ROOT / "package" / "crds"))
    crossplane.write_text(f'#!/bin/sh\n[ "$2" != install ] || kubectl apply --server-side -f {crds}\n')
    for name in ("docker", "make"):
        (programs / name).write_text("#!/bin/sh\n")
    for path in programs.iterdir():
        if not path.is_symlink():
            path.chmod(0o755)

    def type_in(lines: list[str]) -> str:
        ran = subprocess.run(
            ["bash", "-euc", "\n".join(lines)],
            input="the-token\n",
            cwd=ROOT,
            env={
                **os.environ,
                "PATH": f"{programs}:{os.environ['PATH']}",
                "HOME": str(programs),
                "KUBECONFIG": str(site.control_plane.kubeconfig),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    return type_in


RUNTIME_CONFIGS: Final[Obj] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "deploymentruntimeconfigs.pkg.crossplane.io"},
    "spec": {
        "group": "pkg.crossplane.io",
        "names": {"kind": "DeploymentRuntimeConfig", "plural": "deploymentruntimeconfigs"},
        "scope": "Cluster",
        "versions": [
            {
                "name": "v1beta1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                },
            }
        ],
    },
}


def test_the_quick_start_as_a_crossplane_package(
    site: Site, shell: Callable[[list[str]], str], tmp_path: Path
) -> None:
    """The commands of README; what builds, pushes and runs the package is not here and does nothing."""
    lines = quick_start("as a Crossplane package")
    programs = ["mkdir", "crossplane", "kubectl", "crossplane", "kubectl", "kubectl"]
    assert [line.split()[0] for line in lines] == programs
    words = shlex.split(lines[3])
    runtime = yaml.safe_load((ROOT / "deploy/crossplane/runtime.yaml").read_text())
    assert words[:4] == ["crossplane", "xpkg", "install", "provider"]
    assert words[5] == "provider-discord"
    assert f"--runtime-config={runtime['metadata']['name']}" in words
    assert f"--package-files=dist/provider-discord-v{__version__}.xpkg" in lines[1]

    site.kubectl("apply", "-f", "-", input=json.dumps(RUNTIME_CONFIGS))
    crd = f"crd/{RUNTIME_CONFIGS['metadata']['name']}"
    site.kubectl("wait", "--for=condition=Established", "--timeout=10s", crd)
    site.kubectl("create", "namespace", NAMESPACE, check=False)
    try:
        assert "providerconfig.discord.crossplane.io/default" in shell(lines)
        reference = site.get("providerconfigs.discord.crossplane.io", "default")["spec"]["credentials"]
        assert reference["secretRef"] == {
            "namespace": NAMESPACE,
            "name": "discord-credentials",
            "key": "token",
        }
        assert site.token() == "the-token\n"
    finally:
        site.forget()
        site.kubectl("delete", crd)


@pytest.fixture(scope="module")
def installed(site: Site, shell: Callable[[list[str]], str]) -> Iterator[None]:
    """The chart is installed, by the commands of the README; without their image, which nobody runs here."""
    lines = quick_start("With Helm")
    assert [line.split()[0] for line in lines] == ["make", "helm", "kubectl", "kubectl"]
    assert "providerconfig.discord.crossplane.io/default" in shell(lines)
    assert site.token() == "the-token\n"  # The provider takes the end of the line away.
    yield
    site.helm("uninstall", RELEASE, *IN)
    site.forget()


@pytest.fixture
def ready_server() -> Iterator[int]:
    """Something that answers 200 to anything, in the provider's place."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("installed")
def test_helm_test_asks_the_provider_whether_it_is_ready(site: Site, helm: Helm, ready_server: int) -> None:
    """Helm waits for the Pod; this test runs its command and tells Helm how it ended, as a kubelet would."""
    # No controller that makes tokens available runs here, and none is needed.
    site.kubectl("create", "serviceaccount", "default", *IN, check=False)
    process = helm.started("test", RELEASE, *IN, "--timeout=30s", kubeconfig=site.control_plane.kubeconfig)
    try:
        pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
        pod = eventually(lambda: site.control_plane.request("GET", pods)["items"], "the test's pod")[0]
        assert pod["metadata"]["name"] == f"{RELEASE}-test"
        container = pod["spec"]["containers"][0]
        command = [*container["command"], *container["args"]]
        service = site.get("service", RELEASE)
        address = f"{RELEASE}.{NAMESPACE}.svc:{service['spec']['ports'][0]['port']}"
        assert f"//{address}/" in command[-1]
        ran = subprocess.run(
            [*command, "--noproxy", "*", "--connect-to", f"{address}:127.0.0.1:{ready_server}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert ran.returncode == 0, ran.stderr
        site.control_plane.request(
            "PATCH",
            f"{pods}/{pod['metadata']['name']}/status",
            body={"status": {"phase": "Succeeded"}},
            content_type="application/merge-patch+json",
        )
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, said
    assert "Succeeded" in said


GUILDS: Final = ("guild.discord.crossplane.io", "guilds")
ROLES: Final = ("role.discord.crossplane.io", "roles")
CHANNELS: Final = ("channel.discord.crossplane.io", "channels")
CONFIGS: Final = ("discord.crossplane.io", "providerconfigs")


@pytest.mark.usefixtures("installed")
def test_the_clusters_own_roles_cover_the_objects(site: Site) -> None:
    for user, role in (("viewer", "view"), ("editor", "edit")):
        site.kubectl("create", "clusterrolebinding", user, f"--clusterrole={role}", f"--user={user}")
    eventually(
        lambda: site.may("viewer", "list", *CHANNELS) and site.may("editor", "create", *ROLES),
        "the roles to be aggregated",
    )
    assert not site.may("viewer", "update", *CHANNELS)
    assert site.may("viewer", "get", *CONFIGS)
    assert site.may("editor", "watch", *GUILDS)
    assert site.may("editor", "deletecollection", *ROLES)
    assert not site.may("editor", "update", ROLES[0], "roles/status")
    assert not site.may("editor", "create", *CONFIGS)
    assert not site.may("editor", "update", *CONFIGS)
    assert not site.may("nobody", "list", *CHANNELS)


@pytest.mark.usefixtures("installed")
def test_secrets_can_be_read_only_where_the_values_say(site: Site) -> None:
    def may(verb: str, what: str, namespace: str) -> bool:
        return site.may(ACCOUNT, verb, "", what, namespace)

    writing = ("create", "update", "patch", "delete", "deletecollection")
    assert site.may(ACCOUNT, "get", "", "secrets", NAMESPACE, "discord-credentials")
    assert not may("get", "secrets", NAMESPACE)
    assert not may("get", "secrets", "default")
    assert not any(may(verb, "secrets", NAMESPACE) for verb in ("list", "watch", *writing))

    readable = "rbac.readNamespaces={kube-public}"
    site.helm("upgrade", RELEASE, str(CHART), *IN, "--set", readable, "--set", "rbac.connectionSecrets=true")
    assert site.may(ACCOUNT, "get", "", "secrets", NAMESPACE, "discord-credentials")
    assert not may("get", "secrets", "default")
    assert not may("create", "secrets", "default")
    assert may("get", "secrets", "kube-public")
    assert may("get", "configmaps", "kube-public")
    assert may("create", "secrets", "kube-public")
    assert not any(may(verb, "secrets", "kube-public") for verb in ("list", "watch", "delete"))

    site.helm("upgrade", RELEASE, str(CHART), *IN, "--set", "rbac.readNamespaces={*}")
    assert may("get", "secrets", "default")
    assert not any(may(verb, "secrets", "default") for verb in ("list", "watch", *writing))
