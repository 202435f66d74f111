"""The chart, before it is installed: what is refused, what is rendered, and that it fits together."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from controlplane import ControlPlane

from provider_discord import __version__
from tests.operations.helm import CHART, Helm, HelmFailed, Obj
from tests.operations.schemas import write_schemas

PEER: Obj = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
EVERYTHING: Obj = {
    "replicas": 2,
    "image": {"digest": f"sha256:{'0' * 64}"},
    "imagePullSecrets": [{"name": "registry"}],
    "provider": {
        "debug": True,
        "logFormat": "json",
        "extraArgs": ["--max-reconcile-rate=5"],
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    },
    "credentials": {"token": "the-token"},
    "providerConfig": {"create": True, "spec": {"allowedGuilds": ["100000000000000001"]}},
    "serviceAccount": {"annotations": {"example.org/role": "us"}},
    "rbac": {"readNamespaces": ["crossplane-system", "discord"], "connectionSecrets": True},
    "service": {"annotations": {"example.org/scrape": "yes"}},
    "metrics": {
        "serviceMonitor": {
            "enabled": True,
            "labels": {"release": "prometheus", "app": "kube-prometheus-stack"},
            "relabelings": [{"action": "labeldrop", "regex": "pod"}],
            "metricRelabelings": [{"action": "labeldrop", "regex": "le"}],
        }
    },
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "dashboards": {"enabled": True, "annotations": {"grafana_folder": "Discord"}},
    "networkPolicy": {"ingressFrom": [PEER], "extraEgress": [{"ports": [{"port": 3128}]}]},
    "podDisruptionBudget": {"maxUnavailable": "50%"},
    "deploymentAnnotations": {"example.org/a": "b"},
    "podAnnotations": {"example.org/a": "b", "kubectl.kubernetes.io/default-container": "provider"},
    "podLabels": {"example.org/a": "b", "app.kubernetes.io/version": "ours"},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ssl/own", "readOnly": True}],
}
"""Values that turn everything on."""
CASES = pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])


def one(objects: list[Obj], kind: str, name: str = "") -> Obj:
    found = [obj for obj in objects if obj["kind"] == kind and (not name or obj["metadata"]["name"] == name)]
    assert len(found) == 1, f"{kind} {name}: {[obj['metadata']['name'] for obj in found]}"
    return found[0]


@CASES
def test_helm_finds_nothing_to_complain_of(helm: Helm, values: Obj, tmp_path: Path) -> None:
    file = tmp_path / "values.json"
    file.write_text(json.dumps(values))
    said = helm("lint", "--strict", "--quiet", str(CHART), "--values", str(file))
    assert "WARNING" not in said


@CASES
def test_every_object_fits_its_schema(
    helm: Helm, control_plane: ControlPlane, crds: list[str], kubeconform: Any, values: Obj, tmp_path: Path
) -> None:
    """The schemas are those of the real API server; it takes what they allow, and refuses a word more."""
    objects = helm.template(values, "--include-crds")
    write_schemas(control_plane, tmp_path, objects)
    assert not kubeconform(yaml.safe_dump_all(objects), tmp_path)

    if values is EVERYTHING:
        one(objects, "ServiceMonitor")["spec"]["endpoints"][0]["intervall"] = "1m"
        one(objects, "PrometheusRule")["spec"]["groups"][0]["rules"][0]["for"] = "5 min"
        complaint = kubeconform(yaml.safe_dump_all(objects), tmp_path)
        assert "intervall" in complaint
        assert "/rules/0/for" in complaint
    one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["prots"] = []
    assert "prots" in kubeconform(yaml.safe_dump_all(objects), tmp_path)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"replcas": 2}, "replcas"),
        ({"provider": {"poll": "often"}}, "/provider/poll"),
        ({"provider": {"logFormat": "xml"}}, "/provider/logFormat"),
        ({"image": {"digest": "4c1f"}}, "/image/digest"),
        ({"providerConfig": {"spec": {"credentials": {}}}}, "/providerConfig/spec"),
        ({"rbac": {"readNamespaces": ["Discord"]}}, "/rbac/readNamespaces"),
        ({"networkPolicy": {"apiServerPorts": []}}, "/networkPolicy/apiServerPorts"),
        ({"networkPolicy": {"dnsPorts": []}}, "/networkPolicy/dnsPorts"),
        ({"fullnameOverride": "Foo_Bar"}, "/fullnameOverride"),
        ({"serviceAccount": {"name": "Bad_Name"}}, "/serviceAccount/name"),
        ({"metrics": {"serviceMonitor": {"interval": "0.5s"}}}, "/metrics/serviceMonitor/interval"),
        ({"prometheusRule": {"runbookURL": "wiki#"}}, "/prometheusRule/runbookURL"),
        ({"replicas": 2, "provider": {"leaderElection": False}}, "leader election"),
        ({"image": {"tag": 1}}, "--set-string image.tag"),
        ({"provider": {"poll": "0s"}}, "provider.poll is 0s"),
        ({"provider": {"extraEnv": [{"name": "POD_NAME", "value": "x"}]}}, "POD_NAME, which is set already"),
        ({"provider": {"extraEnv": [{"name": "A"}, {"name": "A"}]}}, "A, which is set already"),
        ({"podLabels": {"app": "x"}}, "podLabels has app"),
        ({"metrics": {"serviceMonitor": {"scrapeTimeout": "1m"}}}, "scrapeTimeout .1m. is more than"),
        ({"prometheusRule": {"enabled": True}}, "metrics.serviceMonitor.enabled=true"),
        ({"rbac": {"connectionSecrets": True}}, "rbac.readNamespaces names no namespace"),
    ],
)
def test_wrong_values_are_refused(helm: Helm, values: Obj, complaint: str) -> None:
    with pytest.raises(HelmFailed, match=complaint):
        helm.template(values)


def test_an_older_kubernetes_is_refused(helm: Helm) -> None:
    with pytest.raises(HelmFailed, match=r"1\.30"):
        helm.template({}, "--kube-version", "1.29.9")


def test_the_schema_knows_every_value_and_no_other() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    def compare(value: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> None:
        properties = schema.get("properties")
        if properties is None:
            return
        assert set(value) == set(properties) - {"global"}, path
        for name, inner in value.items():
            if isinstance(inner, dict):
                compare(inner, properties[name], f"{path}.{name}")

    compare(values, schema, "")


def test_values_of_an_older_chart_are_filled_up(helm: Helm, tmp_path: Path) -> None:
    """With `--reuse-values` Helm gives the templates what an older chart had, and no default of this one."""
    older = tmp_path / "provider-discord"
    shutil.copytree(CHART, older)
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    free = {name: defaults[name] for name in ("livenessProbe", "readinessProbe", "resources", "affinity")}
    (older / "values.yaml").write_text(json.dumps(free))
    assert helm.template(chart=older) == helm.template()
    # A section that grew.
    (older / "values.yaml").write_text(json.dumps({**free, "metrics": {"serviceMonitor": {"enabled": True}}}))
    assert helm.template(chart=older) == helm.template({"metrics": {"serviceMonitor": {"enabled": True}}})
    # What is there stays, be it false, none or taken away.
    chosen: Obj = {
        "replicas": 0,
        "networkPolicy": {"enabled": False},
        "rbac": {"aggregate": False},
        "livenessProbe": None,
        "resources": {"limits": None},
    }
    objects = helm.template(chosen)
    assert not {"NetworkPolicy"} & {obj["kind"] for obj in objects}
    assert len([obj for obj in objects if obj["kind"] == "ClusterRole"]) == 1
    deployment = one(objects, "Deployment")["spec"]
    assert deployment["replicas"] == 0
    container = deployment["template"]["spec"]["containers"][0]
    assert container["livenessProbe"] is None
    assert set(container["resources"]) == {"requests"}


def test_what_the_charts_readme_types_fits_the_chart(helm: Helm) -> None:
    """Its values exist, and a token is put into the Secret by the very command that the notes print."""
    text = (CHART / "README.md").read_text()
    commands = [line for line in text.splitlines() if line.startswith("helm install ")]
    assert commands
    for command in commands:
        words = shlex.split(command)[1:]
        words[words.index("./chart/provider-discord")] = str(CHART)
        objects = list(yaml.safe_load_all(helm("template", *words[1:])))
        assert one(objects, "ProviderConfig")["spec"]["allowedNamespaces"] == ["discord"]
    rotate = (
        (CHART / "templates" / "_helpers.tpl").read_text().partition('"provider-discord.rotate" -}}\n')[2]
    )
    for value, name in {
        ".Values.credentials.secretName": "discord-credentials",
        ".Release.Namespace": "crossplane-system",
        ".Values.credentials.key": "token",
    }.items():
        rotate = rotate.replace(f"{{{{ {value} }}}}", name)
    assert rotate.partition("\n")[0] in text.splitlines()


def test_chart_and_provider_are_of_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == chart["version"] == __version__


@CASES
def test_what_selects_the_pods_finds_them(helm: Helm, values: Obj) -> None:
    objects = helm.template(values)
    deployment = one(objects, "Deployment", "provider-discord")
    template = deployment["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert labels["app"] == "provider-discord"
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        one(objects, "Service", "provider-discord")["spec"]["selector"],
        one(objects, "NetworkPolicy", "provider-discord-netpol")["spec"]["podSelector"]["matchLabels"],
        one(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector.items() <= labels.items()
    # What does not stay the same from release to release can't be in an immutable selector.
    assert "app.kubernetes.io/version" not in selectors[0]
    assert "helm.sh/chart" not in selectors[0]


def test_ports_are_those_that_the_provider_listens_on(helm: Helm) -> None:
    objects = helm.template(EVERYTHING)
    container = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert container["name"] == "provider"
    listening = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert listening == {"metrics": 8080, "health": 8081}
    for probe, path in (("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"]["path"] == path
        assert container[probe]["httpGet"]["port"] in listening
    service = one(objects, "Service")
    offered = {port["name"]: port["targetPort"] for port in service["spec"]["ports"]}
    assert set(offered.values()) <= set(listening)
    monitor = one(objects, "ServiceMonitor")["spec"]
    assert monitor["endpoints"][0]["port"] in offered
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert one(objects, "ServiceMonitor")["metadata"]["labels"]["app"] == "kube-prometheus-stack"
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "provider-discord"
    policy = one(objects, "NetworkPolicy")["spec"]
    ports = [{"port": 8080, "protocol": "TCP"}]
    test = one(objects, "Pod")["metadata"]["labels"]
    assert policy["ingress"] == [
        {"ports": ports, "from": [PEER]},
        {"ports": ports, "from": [{"podSelector": {"matchLabels": test}}]},
    ]
    assert not service["spec"]["selector"].items() <= test.items()
    egress = {(port["port"], port.get("protocol")) for rule in policy["egress"] for port in rule["ports"]}
    dns = {(port, protocol) for port in (53, 5353) for protocol in ("UDP", "TCP")}
    assert egress == {*dns, (443, "TCP"), (6443, "TCP"), (8443, "TCP"), (3128, None)}


def test_the_pods_pass_the_restricted_pod_security_standard(
    helm: Helm, control_plane: ControlPlane, namespace: str
) -> None:
    """The API server's own admission plugin says so, of the provider's pod and of the test's."""
    enforce = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    control_plane.request(
        "PATCH",
        f"/api/v1/namespaces/{namespace}",
        body=enforce,
        content_type="application/merge-patch+json",
    )
    objects = helm.template()
    template = one(objects, "Deployment")["spec"]["template"]
    pods = [template["spec"], one(objects, "Pod")["spec"]]
    for number, spec in enumerate(pods):
        assert spec["securityContext"]["runAsUser"] == 2000
        assert all(c["securityContext"]["readOnlyRootFilesystem"] for c in spec["containers"])
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"pod-{number}"},
            "spec": {**spec, "automountServiceAccountToken": False},
        }
        control_plane.kubectl(
            "apply", "--dry-run=server", "-n", namespace, "-f", "-", input=yaml.safe_dump(pod)
        )


def test_one_copy_without_leader_election_never_overlaps_with_the_next(helm: Helm) -> None:
    objects = helm.template({"provider": {"leaderElection": False}})
    assert one(objects, "Deployment")["spec"]["strategy"] == {"type": "Recreate"}
    assert not [obj for obj in objects if obj["metadata"]["name"].endswith("leader-election")]


def test_alerts_and_dashboards_are_put_in_as_they_are(helm: Helm) -> None:
    objects = helm.template(EVERYTHING)
    alerts = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    assert one(objects, "PrometheusRule")["spec"] == alerts
    found = {
        name: json.loads(text)
        for obj in objects
        if obj["kind"] == "ConfigMap" and obj["metadata"]["labels"].get("grafana_dashboard") == "1"
        for name, text in obj["data"].items()
    }
    files = {
        path.name: json.loads(path.read_text()) for path in (CHART / "files" / "dashboards").glob("*.json")
    }
    assert files
    assert found == files


def test_the_alerts_link_to_a_copy_of_the_runbooks(helm: Helm) -> None:
    ours = "https://wiki.example.org/$discord"
    values: Obj = {"prometheusRule": {"enabled": True, "requireServiceMonitor": False, "runbookURL": ours}}
    spec = one(helm.template(values), "PrometheusRule")["spec"]
    alerts = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    there = {
        rule["alert"]: rule["annotations"].pop("runbook_url")
        for group in spec["groups"]
        for rule in group["rules"]
    }
    for group in alerts["groups"]:
        for rule in group["rules"]:
            theirs = rule["annotations"].pop("runbook_url")
            assert there[rule["alert"]] == f"{ours}#{theirs.partition('#')[2]}"
    assert spec == alerts


def test_no_image_of_anybody_elses_is_run_by_default(helm: Helm) -> None:
    """The top-level domain .invalid is no registry's, ever (RFC 6761)."""
    template = one(helm.template(), "Deployment")["spec"]["template"]
    image = template["spec"]["containers"][0]["image"]
    assert image.partition("/")[0].endswith(".invalid")


def reading(objects: list[Obj]) -> dict[str, list[Obj]]:
    """Return the rules about Secrets and ConfigMaps, by the namespace in which they hold; `*` is everywhere."""
    found: dict[str, list[Obj]] = {}
    for obj in objects:
        if obj["kind"] in {"Role", "ClusterRole"}:
            rules = [rule for rule in obj["rules"] if {"secrets", "configmaps"} & set(rule["resources"])]
            if rules:
                found.setdefault(obj["metadata"].get("namespace", "*"), []).extend(rules)
    return found


@pytest.mark.parametrize(
    ("namespaces", "everything_in", "reason"),
    [
        ([], [], "by default only the token"),
        (["discord"], ["discord"], "further namespaces do not take the token away"),
        (["crossplane-system", "discord"], ["crossplane-system", "discord"], "its own namespace wholly"),
        (["*"], ["*"], "everywhere"),
        (["*", "discord"], ["*"], "everywhere is enough"),
    ],
)
def test_secrets_are_read_where_the_values_say(
    helm: Helm, namespaces: list[str], everything_in: list[str], reason: str
) -> None:
    objects = helm.template({"rbac": {"readNamespaces": namespaces}, "credentials": {"secretName": "bot"}})
    rules = reading(objects)
    for namespace in everything_in:
        assert rules.pop(namespace) == [
            {"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["get"]}
        ], reason
    token = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["bot"], "verbs": ["get"]}
    own = {} if {"*", "crossplane-system"} & set(everything_in) else {"crossplane-system": [token]}
    assert rules == own, reason


def test_the_token_is_in_the_secret_and_nowhere_else(helm: Helm) -> None:
    for obj in helm.template({"credentials": {"token": "the-token"}}):
        text = json.dumps(obj)
        assert "the-token" not in text
        assert ("dGhlLXRva2Vu" in text) == (obj["kind"] == "Secret")


@pytest.mark.parametrize(
    ("release", "name"),
    [("provider-discord", "provider-discord"), ("staging", "staging-provider-discord")],
)
def test_names_follow_the_release_and_labels_do_not(helm: Helm, release: str, name: str) -> None:
    said = helm("template", release, str(CHART), "--show-only", "templates/deployment.yaml")
    deployment = yaml.safe_load(said)
    assert deployment["metadata"]["name"] == name
    assert deployment["metadata"]["labels"]["app"] == "provider-discord"
