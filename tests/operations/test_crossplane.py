"""The provider as Crossplane runs it with our runtime configuration: what the runbooks name is there."""

from __future__ import annotations

import copy
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import yaml
from controlplane import ControlPlane

from tests.operations.helm import ROOT, Helm, Obj
from tests.operations.schemas import write_schemas
from tests.operations.test_chart import one

FOLDER: Final = ROOT / "deploy" / "crossplane"
REVISION: Final = "provider-discord-0123456789ab"
SELECTOR: Final = {
    "pkg.crossplane.io/revision": REVISION,
    "pkg.crossplane.io/provider": "provider-discord",
}


@pytest.fixture(scope="module")
def config() -> Obj:
    made: Obj = yaml.safe_load((FOLDER / "runtime.yaml").read_text())
    return made


def deployment_of(config: Obj) -> Obj:
    """Return the Deployment that Crossplane makes of a runtime configuration.

    From crossplane `internal/controller/pkg/runtime` (`runtime.go`, `runtime_provider.go`): the template's name stays,
    the selector is Crossplane's own and added to the pods' labels, the container `package-runtime` comes first and
    gets image, environment and the port `metrics`, and what else is missing gets a default.
    """
    template = config["spec"]["deploymentTemplate"]
    spec = copy.deepcopy(template["spec"])
    pod = spec["template"]
    spec.setdefault("replicas", 1)
    spec["selector"]["matchLabels"] = SELECTOR
    pod["metadata"]["labels"] |= SELECTOR
    account = config["spec"]["serviceAccountTemplate"]["metadata"].get("name", REVISION)
    pod["spec"].setdefault("serviceAccountName", account)
    container = next(c for c in pod["spec"]["containers"] if c["name"] == "package-runtime")
    container.setdefault("image", "registry.example.org/provider-discord-package:v0.1.0")
    container.setdefault("imagePullPolicy", "IfNotPresent")
    container.setdefault("ports", []).append({"name": "metrics", "containerPort": 8080})
    container["ports"].append({"name": "webhook", "containerPort": 9443})
    env = container.setdefault("env", [])
    env += [{"name": name, "value": "x"} for name in ("POD_NAMESPACE", "PROVIDER_NAME", "REVISION_NAME")]
    container["volumeMounts"] = [{"name": "tls-server-certs", "mountPath": "/tls/server", "readOnly": True}]
    pod["spec"]["volumes"] = [{"name": "tls-server-certs", "secret": {"secretName": "x"}}]
    metadata = {"name": REVISION, **template["metadata"], "namespace": "crossplane-system"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def test_what_the_runbooks_name_is_there(config: Obj, helm: Helm) -> None:
    """By the same names as the chart's, and just as hard to break into."""
    made, ours = deployment_of(config), one(helm.template(), "Deployment")
    assert made["metadata"]["name"] == ours["metadata"]["name"] == "provider-discord"
    assert made["metadata"]["labels"]["app"] == "provider-discord"
    pod, our_pod = made["spec"]["template"], ours["spec"]["template"]
    selector = ours["spec"]["selector"]["matchLabels"]
    assert selector.items() <= pod["metadata"]["labels"].items()
    for field in ("serviceAccountName", "securityContext", "terminationGracePeriodSeconds"):
        assert pod["spec"][field] == our_pod["spec"][field], field
    (container,), (our_container,) = pod["spec"]["containers"], our_pod["spec"]["containers"]
    assert pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] == container["name"]
    for field in (
        "livenessProbe",
        "readinessProbe",
        "resources",
        "securityContext",
        "terminationMessagePolicy",
    ):
        assert container[field] == our_container[field], field
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert len(ports) == len(container["ports"])
    assert ports.items() >= {port["name"]: port["containerPort"] for port in our_container["ports"]}.items()
    # Its own are run and --leader-election, which are what the image does without arguments.
    assert "args" not in container


def test_the_api_server_takes_it(config: Obj, control_plane: ControlPlane, namespace: str) -> None:
    """As strictly as it takes a Deployment, and its pods under the restricted Pod Security Standard."""
    enforce = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    control_plane.request(
        *("PATCH", f"/api/v1/namespaces/{namespace}"),
        body=enforce,
        content_type="application/merge-patch+json",
    )
    deployment = deployment_of(config)
    deployment["metadata"]["namespace"] = namespace
    strictly = "dryRun=All&fieldValidation=Strict"
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments?{strictly}"
    control_plane.request("POST", path, body=deployment)
    pod = {"apiVersion": "v1", "kind": "Pod", **deployment["spec"]["template"]}
    pod["metadata"] = {**pod["metadata"], "name": "x"}
    pod["spec"] = {**pod["spec"], "automountServiceAccountToken": False}
    pod["spec"].pop("serviceAccountName")
    control_plane.kubectl("apply", "--dry-run=server", "-n", namespace, "-f", "-", input=yaml.safe_dump(pod))


def test_it_is_scraped_and_guarded_as_the_charts(
    config: Obj,
    helm: Helm,
    control_plane: ControlPlane,
    kubeconform: Callable[..., str],
    tmp_path: Path,
) -> None:
    """By our PodMonitor and by what the command in that file takes from the chart."""
    text = (FOLDER / "monitoring.yaml").read_text()
    monitor = yaml.safe_load(text)
    command = re.search(r"^#\s+(helm template .*) \| kubectl apply -f -$", text, re.MULTILINE)
    assert command is not None
    words = shlex.split(command[1])[1:]
    words[words.index("chart/provider-discord")] = str(ROOT / "chart" / "provider-discord")
    objects = [obj for obj in yaml.safe_load_all(helm(*words)) if obj]
    kinds = {obj["kind"] for obj in objects}
    assert kinds == {"PrometheusRule", "ConfigMap", "NetworkPolicy", "PodDisruptionBudget"}
    write_schemas(control_plane, tmp_path, objects)
    assert not kubeconform(yaml.safe_dump_all([monitor, *objects]), tmp_path)

    pod = deployment_of(config)["spec"]["template"]
    labels = pod["metadata"]["labels"]
    selectors = [
        monitor["spec"]["selector"]["matchLabels"],
        one(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        one(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector.items() <= labels.items()
    assert labels[monitor["spec"]["jobLabel"]] == "provider-discord"
    ports = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
    assert monitor["spec"]["podMetricsEndpoints"][0]["port"] in ports
