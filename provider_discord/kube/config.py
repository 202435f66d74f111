"""How to reach the cluster: a kubeconfig, or the service account of the pod that we run in.

The order is controller-runtime's: what was asked for, `KUBECONFIG`, the pod's service account,
`~/.kube/config`. The `kubernetes` package's loaders do the reading (exec plugins, OIDC, embedded
certificates); what they raise is turned into a `KubeConfigError` that names the file and what to do.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes import config as kubernetes_config
from kubernetes.client.configuration import Configuration
from kubernetes.config import ConfigException

from provider_discord.kube.errors import KubeConfigError

__all__ = ["ClusterConfig", "load_config"]

_loaders: Any = kubernetes_config
"""Untyped there."""
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """Where the API server is and who we are there.

    Attributes:
        configuration: the `kubernetes` package's own; holds credentials, so it stays out of the repr.
        namespace: the context's namespace, or the pod's.
        in_cluster: whether the pod's service account is used.
        source: for messages: what was read.
    """

    configuration: Any
    namespace: str
    in_cluster: bool
    source: str

    def __repr__(self) -> str:
        return f"ClusterConfig(source={self.source!r}, namespace={self.namespace!r})"


def load_config(
    kubeconfig: Path | None = None,
    context: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
) -> ClusterConfig:
    """Find and read the way to the cluster.

    Args:
        kubeconfig: a file to use instead of looking for one.
        context: a context of the kubeconfig instead of its current one; never the pod's service account.
        environ: the environment, if not the process's.

    Raises:
        KubeConfigError: there is none, or it can't be used; the message says why.
    """
    environ = os.environ if environ is None else environ
    if kubeconfig is not None:
        return _from_file(str(kubeconfig), context)
    if environ.get("KUBECONFIG"):
        return _from_file(environ["KUBECONFIG"], context)
    if environ.get("KUBERNETES_SERVICE_HOST") and context is None:
        return _from_pod()
    default = Path(environ.get("HOME") or Path.home()) / ".kube" / "config"
    if not default.exists():
        msg = (
            f"no way to a Kubernetes cluster: KUBECONFIG is not set, {default} does not exist, and this is not a pod; "
            "set KUBECONFIG or name a kubeconfig file"
        )
        raise KubeConfigError(msg)
    return _from_file(str(default), context)


def _from_pod() -> ClusterConfig:
    configuration = Configuration()
    try:
        _loaders.load_incluster_config(client_configuration=configuration)
        namespace = _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    except (ConfigException, OSError) as error:
        msg = (
            "the pod's service account can't be used (is automountServiceAccountToken off?); "
            f"mount its token or set KUBECONFIG: {error}"
        )
        raise KubeConfigError(msg) from error
    return ClusterConfig(configuration, namespace, in_cluster=True, source="the pod's service account")


def _from_file(paths: str, context: str | None) -> ClusterConfig:
    files = [path for path in paths.split(os.pathsep) if path]
    if not any(Path(path).expanduser().exists() for path in files):
        msg = f"the kubeconfig {paths} does not exist"
        raise KubeConfigError(msg)
    configuration = Configuration()
    try:
        # Never persist: it is the user's file, and others write to it as well.
        _loaders.load_kube_config(
            config_file=paths, context=context, client_configuration=configuration, persist_config=False
        )
        contexts, current = _loaders.list_kube_config_contexts(paths)
    except (
        ConfigException,
        yaml.YAMLError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        chosen = f" with the context {context!r}" if context else ""
        msg = f"the kubeconfig {paths} can't be used{chosen}: {' '.join(str(error).split())}"
        raise KubeConfigError(msg) from error
    chosen_context = next((entry for entry in contexts if entry["name"] == context), current)
    namespace = chosen_context.get("context", {}).get("namespace") or "default"
    return ClusterConfig(configuration, namespace, in_cluster=False, source=f"the kubeconfig {paths}")
