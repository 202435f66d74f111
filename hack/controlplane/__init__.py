"""A real Kubernetes API server on loopback, for the tests, the demo and for trying things by hand.

etcd and kube-apiserver (and, where namespaces are to go away and owner references are to count,
kube-controller-manager) are the genuine programs, found on this machine or built once from the Go modules
pinned beside this file: what a simulated API server would get subtly wrong - CEL rules, ratcheting, resource
versions, watch semantics, server-side apply - is what a provider lives by.

`python -m controlplane --help`, from the folder `hack/`, is the same thing as a command.
"""

from __future__ import annotations

from controlplane.cluster import ControlPlane
from controlplane.errors import (
    ApiRefused,
    BuildFailed,
    ControlPlaneError,
    KubectlFailed,
    StartFailed,
    ToolMissing,
)
from controlplane.tools import CONTROL_PLANE, Tool, ensure, find, missing

__all__ = [
    "CONTROL_PLANE",
    "ApiRefused",
    "BuildFailed",
    "ControlPlane",
    "ControlPlaneError",
    "KubectlFailed",
    "StartFailed",
    "Tool",
    "ToolMissing",
    "ensure",
    "find",
    "missing",
]
