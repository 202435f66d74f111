"""What the tests of chart and package share: an API server that keeps an audit log, and Helm."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from controlplane import CONTROL_PLANE, ControlPlane, Tool, ensure, find

from tests.conftest import require_tools
from tests.operations.schemas import LOCATION

ROOT: Final = Path(__file__).resolve().parents[2]
CHART: Final = ROOT / "chart" / "provider-discord"

Obj = dict[str, Any]

AUDIT_POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}],
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.kube)


@dataclass(frozen=True, slots=True)
class AuditedPlane:
    """A control plane that writes down what service accounts ask for.

    It also runs the admission plugin that asks for rights on `finalizers`, as OpenShift does.
    """

    control_plane: ControlPlane
    audit_log: Path

    def requests_of(self, account: str) -> list[Obj]:
        """Return what a service account (`namespace:name`) has asked for, as audit events."""
        whole, _, _ = self.audit_log.read_text(encoding="utf-8").rpartition("\n")
        events = (json.loads(line) for line in whole.splitlines())
        return [event for event in events if event["user"]["username"] == f"system:serviceaccount:{account}"]

    def kubeconfig_of(self, account: str, folder: Path) -> Path:
        """Return a kubeconfig with a token of a service account (`namespace:name`), as its pods have it."""
        path = folder / f"kubeconfig-{account.replace(':', '-')}"
        self.control_plane.endpoint.write_kubeconfig(
            path, user=account, credentials={"token": self.token_of(account)}
        )
        return path

    def token_of(self, account: str) -> str:
        """Return a token of a service account (`namespace:name`)."""
        namespace, _, name = account.partition(":")
        answer = self.control_plane.request(
            "POST",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
            body={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
        )
        return str(answer["status"]["token"])


@pytest.fixture(scope="package")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuditedPlane]:
    """A control plane of these tests' own, with nothing in it yet."""
    require_tools(CONTROL_PLANE)
    folder = tmp_path_factory.mktemp("audit")
    (folder / "policy.yaml").write_text(yaml.safe_dump(AUDIT_POLICY))
    log = folder / "audit.log"
    log.touch()
    flags = [
        f"--audit-policy-file={folder / 'policy.yaml'}",
        f"--audit-log-path={log}",
        "--audit-log-mode=blocking",
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
    ]
    with ControlPlane(controller_manager=True, apiserver_flags=flags) as control_plane:
        yield AuditedPlane(control_plane, log)


class HelmFailed(Exception):
    """Helm ended with an error; the message is what it said."""


class Helm:
    """Helm, with a home of its own."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._program = ensure([Tool.HELM])[Tool.HELM]

    def __call__(self, *arguments: str, kubeconfig: Path | None = None, input: str | None = None) -> str:  # noqa: A002 - as in subprocess.run
        """Run it and return what it printed. Raises HelmFailed."""
        ran = subprocess.run(
            [self._program, *arguments],
            input=input,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=self.environment(kubeconfig),
        )
        if ran.returncode != 0:
            raise HelmFailed(ran.stdout + ran.stderr)
        return ran.stdout

    def template(self, values: Obj | None = None, *arguments: str, chart: Path = CHART) -> list[Obj]:
        """Return what the chart becomes with these values, without a cluster."""
        text = self(
            *("template", "provider-discord", str(chart), "-n", "crossplane-system", "-f", "-"),
            *arguments,
            input=json.dumps(values or {}),
        )
        return [document for document in yaml.safe_load_all(text) if document]

    def started(self, *arguments: str, kubeconfig: Path) -> subprocess.Popen[str]:
        """Start it, for what waits until somebody else has acted."""
        return subprocess.Popen(
            [self._program, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment(kubeconfig),
        )

    def environment(self, kubeconfig: Path | None) -> dict[str, str]:
        own = {f"HELM_{kind}_HOME": str(self._home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        others = {name: value for name, value in os.environ.items() if not name.startswith("HELM_")}
        return {**others, **own, "KUBECONFIG": str(kubeconfig or os.devnull)}


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    require_tools([Tool.HELM])
    return Helm(tmp_path_factory.mktemp("helm"))


def rules_of(roles: Sequence[Obj]) -> dict[tuple[str, str, str], Obj]:
    """Return every right of some roles: verb, group and resource, with the rule that gives it."""
    return {
        (verb, group, resource): rule
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def asked_for(events: Sequence[Obj]) -> set[tuple[str, str, str]]:
    """Return what audit events asked for: verb, group and resource (with its subresource)."""
    asked = set()
    for event in events:
        reference = event.get("objectRef")
        if reference is None:
            continue
        subresource = reference.get("subresource")
        resource = f"{reference['resource']}/{subresource}" if subresource else reference["resource"]
        asked.add((event["verb"], reference.get("apiGroup", ""), resource))
    return asked


@pytest.fixture(scope="session")
def kubeconform() -> Callable[..., str]:
    """Runs kubeconform over manifests, given the folder of its schemas; returns what it complains of."""
    require_tools([Tool.KUBECONFORM])
    program = find(Tool.KUBECONFORM)
    assert program is not None

    def run(manifests: str, schemas: Path, *arguments: str) -> str:
        ran = subprocess.run(
            [program, "-strict", "-summary", "-schema-location", f"{schemas}/{LOCATION}", *arguments, "-"],
            input=manifests,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return "" if ran.returncode == 0 else ran.stdout + ran.stderr

    return run
