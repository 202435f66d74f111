"""What the tests of chart and package share: an API server that keeps an audit log, Helm and kubeconform.

Classes are in modules of their own: pytest imports this file under another name than the tests would.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from controlplane import CONTROL_PLANE, ControlPlane, Tool, find

from tests.conftest import require_tools
from tests.operations.audit import AUDIT_POLICY, AuditedPlane
from tests.operations.helm import Helm
from tests.operations.schemas import LOCATION


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.kube)


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


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    require_tools([Tool.HELM])
    return Helm(tmp_path_factory.mktemp("helm"))


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
