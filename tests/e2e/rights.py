"""The chart's rights for the provider of a test: what it may do in a cluster, and not a verb more.

The chart is rendered once, as for an installation in `crossplane-system` that may read the Secrets and ConfigMaps of one
more namespace. What holds for the whole cluster is applied as it is; a Role is applied in the namespace of each test,
which stands for both the release's (the Lease) and the one that is open. A test that passes with the admin's rights
alone has found a rule that the chart lacks.
"""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path
from typing import Any, Final

from controlplane import ApiRefused, ControlPlane, Tool, missing

from tests.conftest import require_tools
from tests.operations.helm import Helm

Obj = dict[str, Any]
_RELEASE: Final = "provider-discord"
_RELEASE_NAMESPACE: Final = "crossplane-system"
_ACCOUNT: Final = f"system:serviceaccount:{_RELEASE_NAMESPACE}:{_RELEASE}"
_ACCOUNT_GROUPS: Final = ("system:serviceaccounts", f"system:serviceaccounts:{_RELEASE_NAMESPACE}")
_VALUES: Final = {"rbac": {"readNamespaces": ["open"], "connectionSecrets": True}}
_PLURALS: Final = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "Role": "roles",
    "RoleBinding": "rolebindings",
}


def provider_kubeconfig(control_plane: ControlPlane, namespace: str) -> Path:
    """Return a kubeconfig of the chart's ServiceAccount, with its rights in a namespace.

    Where there is no helm to render the chart, and it is not CI, it is the admin's.
    """
    if missing([Tool.HELM]) and os.environ.get("CI") != "true":
        return control_plane.kubeconfig
    require_tools([Tool.HELM])
    for obj in _rights():
        if obj["kind"].startswith("Cluster"):
            _create(control_plane, obj)
    grant(control_plane, namespace)
    return control_plane.kubeconfig_for(_ACCOUNT, groups=_ACCOUNT_GROUPS)


def grant(control_plane: ControlPlane, namespace: str) -> None:
    """Open one more namespace to the provider, as `rbac.readNamespaces` does."""
    if missing([Tool.HELM]):
        return
    for obj in _rights():
        if not obj["kind"].startswith("Cluster"):
            _create(control_plane, {**obj, "metadata": {**obj["metadata"], "namespace": namespace}})


def _create(control_plane: ControlPlane, obj: Obj) -> None:
    namespace = obj["metadata"].get("namespace")
    where = f"/namespaces/{namespace}" if namespace else ""
    path = f"/apis/rbac.authorization.k8s.io/v1{where}/{_PLURALS[obj['kind']]}"
    try:
        control_plane.request("POST", path, body=obj)
    except ApiRefused as error:
        if error.status != 409:  # there from the test before
            raise


@functools.cache
def _rights() -> tuple[Obj, ...]:
    """Return the roles of the chart that are the provider's own, and their bindings."""
    with tempfile.TemporaryDirectory(prefix="helm-") as home:
        objects = Helm(Path(home)).template(_VALUES)
    mine = [obj for obj in objects if obj["kind"] in _PLURALS]
    bound = {obj["roleRef"]["name"] for obj in mine if obj["kind"].endswith("Binding")}
    assert bound == {f"{_RELEASE}{suffix}" for suffix in ("", "-read", "-token", "-leader-election")}
    # The Role of the one Secret is no use beside that of all Secrets in the same namespace.
    bound.discard(f"{_RELEASE}-token")
    return tuple(obj for obj in mine if obj["metadata"]["name"] in bound)
