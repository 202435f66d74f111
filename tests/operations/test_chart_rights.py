"""The provider can do all of its work with the rights that the chart gives it, and none of them is idle.

The provider runs with the arguments of the installed Deployment and a token of its ServiceAccount, and is made to do
everything that it ever asks the API server for. The API server's audit log then tells what it asked for: nothing
was forbidden, and every right was used, but for those that `NOT_SEEN` explains.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from provider_discord.simulator import LimitsConfig, Mode, SimulatorConfig, SimulatorServer
from tests.e2e.conftest import MERGE_PATCH, TOKEN, Provider, System, _release, check_for_tracebacks
from tests.operations.audit import AuditedPlane, asked_for, rules_of
from tests.operations.helm import CHART, Helm, Obj

RELEASE: Final = "provider-discord"
NAMESPACE: Final = "crossplane-system"
ACCOUNT: Final = f"{NAMESPACE}:{RELEASE}"
CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
LEASES: Final = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
PIXEL: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
NOT_SEEN: Final = {
    ("get", "discord.crossplane.io", "providerconfigusages"): (
        "asked for only where an attempt to create one was answered late, and another had been quicker"
    ),
    ("get", "guild.discord.crossplane.io", "guilds"): (
        "asked for, as of channels and roles, where an object changed while a pass was writing what it must not lose"
    ),
    **{
        ("update", f"{kind}.discord.crossplane.io", f"{kind}s/finalizers"): (
            "asked for by the admission plugin OwnerReferencesPermissionEnforcement, not by a request: "
            "test_usages_need_the_right_on_finalizers"
        )
        for kind in ("guild", "channel", "role")
    },
}
"""Rights that no request shows to be used, and what they are for."""


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorServer]:
    config = SimulatorConfig(token=TOKEN, guild_name="Test Guild", limits=LimitsConfig(mode=Mode.OFF))
    with SimulatorServer(config) as server:
        yield server


@pytest.fixture(scope="module")
def system(
    audited: AuditedPlane, helm: Helm, simulator: SimulatorServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    """The chart installed, and the provider running as its Deployment would run it."""
    plane, folder = audited.control_plane, tmp_path_factory.mktemp("rights")
    values = {
        "credentials": {"token": TOKEN},
        "providerConfig": {"create": True, "name": "config-rights", "spec": {"baseURL": simulator.base_url}},
        "rbac": {"readNamespaces": ["rights"], "connectionSecrets": True},
    }
    plane.kubectl("create", "namespace", "rights")
    helm(
        *("upgrade", "--install", RELEASE, str(CHART), "-n", NAMESPACE, "--create-namespace"),
        *("-f", "-"),
        input=json.dumps(values),
        kubeconfig=plane.kubeconfig,
    )
    plane.kubectl("delete", "leases", "--all", "-n", NAMESPACE)
    deployment = json.loads(plane.kubectl("get", "deployment", RELEASE, "-n", NAMESPACE, "-o", "json"))
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    provider = Provider(
        kubeconfig=audited.kubeconfig_of(ACCOUNT, folder),
        folder=folder,
        # A pod knows its namespace and its name; this process must be told.
        arguments=[*arguments[1:], "--leader-election-namespace", NAMESPACE, "--pod-name", "pod-0"],
    )
    made = System(control_plane=plane, simulator=simulator, provider=provider, namespace="rights")
    try:
        # One kind is there late: its CRD is waited for.
        plane.request("DELETE", f"{CRDS}/roles.role.discord.crossplane.io")
        made.until(lambda: "roles" not in plane.kubectl("api-resources", "--categories=discord"), "no roles")
        provider.start(ready=False)
        wait = ("watch", "apiextensions.k8s.io", "customresourcedefinitions")
        made.until(lambda: wait in asked_for(audited.requests_of(ACCOUNT)), "the CRD to be waited for")
        plane.kubectl(
            "apply", "--server-side", "-f", str(CHART / "crds" / "role.discord.crossplane.io_roles.yaml")
        )
        made.until(lambda: provider.probe("/readyz") == 200, "the provider to be ready")
        yield made
        check_for_tracebacks(provider.log)
    finally:
        provider.end()
        _release(made)
        helm("uninstall", RELEASE, "-n", NAMESPACE, kubeconfig=plane.kubeconfig)


def test_every_right_is_enough_and_needed(system: System, audited: AuditedPlane) -> None:
    work(system)
    assert system.provider.stop() == 0

    events = audited.requests_of(ACCOUNT)
    refused = [
        f"{event['verb']} {event['requestURI']}"
        for event in events
        if event["responseStatus"]["code"] in {401, 403}
    ]
    assert refused == []
    asked = asked_for(events)
    rights = rules_of(roles_of(system))
    assert asked - set(rights) <= {("create", "authorization.k8s.io", "selfsubjectaccessreviews")}
    idle = set(rights) - asked
    assert idle - set(NOT_SEEN) == set(), "these rights are given and never used"
    assert set(NOT_SEEN) <= set(rights)
    read = {
        (event["objectRef"]["namespace"], event["objectRef"]["resource"])
        for event in events
        if event["verb"] == "get" and event["objectRef"]["resource"] in {"secrets", "configmaps"}
    }
    assert read == {(NAMESPACE, "secrets"), ("rights", "secrets"), ("rights", "configmaps")}


def work(system: System) -> None:
    """Make the provider do all that it can."""
    system.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "icon"}, "binaryData": {"png": PIXEL}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "icon"}, "data": {"png": PIXEL}},
    )
    guild = system.guild(iconFrom={"configMapKeyRef": {"name": "icon", "key": "png"}})
    guild["spec"]["writeConnectionSecretToRef"] = {"name": "details"}
    role, channel = system.role("builder"), system.channel("lobby")
    system.apply(guild, role, channel)
    system.until_true(guild, role, channel)

    system.patch(
        "Guild",
        "guild",
        {
            "spec": {
                "forProvider": {
                    "iconFrom": {"configMapKeyRef": None, "secretKeyRef": {"name": "icon", "key": "png"}}
                }
            }
        },
    )
    secret = f"/api/v1/namespaces/{system.namespace}/secrets/details"
    plane = system.control_plane
    spoilt = {"data": {"guildName": base64.b64encode(b"spoilt").decode()}}
    plane.request("PATCH", secret, body=spoilt, content_type=MERGE_PATCH)
    usage = next(
        obj for obj in system.objects("ProviderConfigUsage") if obj["resourceRef"]["kind"] == "Channel"
    )
    spoilt = {"resourceRef": {"name": "spoilt"}}
    system.patch("ProviderConfigUsage", usage["metadata"]["name"], spoilt)
    system.reconcile(guild, channel)
    system.until(
        lambda: plane.request("GET", secret)["data"]["guildName"] != spoilt_name(), "the Secret to be right"
    )

    for obj in (channel, role):
        system.delete(obj["kind"], obj["metadata"]["name"])
    system.until(
        lambda: not any(system.exists(obj["kind"], obj["metadata"]["name"]) for obj in (channel, role)),
        "channel and role to be gone",
    )
    # The same thing done twice, from the same to the same, is one event, counted up.
    for description in ("first", "second", "first", "second"):
        system.patch("Guild", "guild", {"spec": {"forProvider": {"description": description}}})
        system.until(lambda: system.discord.guild()["description"] == description, "the change")  # noqa: B023
    system.until(lambda: any(event["count"] > 1 for event in system.events("guild")), "an event counted up")
    assert plane.request("GET", LEASES)["items"]


def spoilt_name() -> str:
    return base64.b64encode(b"spoilt").decode()


def roles_of(system: System) -> list[Obj]:
    """Return the roles that are bound to the ServiceAccount, as the API server has them."""
    roles = []
    for scope in ("cluster", ""):
        said = system.control_plane.kubectl("get", f"{scope}rolebinding", "-A", "-o", "json")
        for binding in json.loads(said)["items"]:
            subjects = binding.get("subjects") or ()
            if any((one.get("namespace"), one["name"]) == (NAMESPACE, RELEASE) for one in subjects):
                kind, name = binding["roleRef"]["kind"].lower(), binding["roleRef"]["name"]
                namespace = binding["metadata"].get("namespace", "default")
                said = system.control_plane.kubectl("get", kind, name, "-n", namespace, "-o", "json")
                roles.append(json.loads(said))
    names = sorted(role["metadata"]["name"].removeprefix(RELEASE) for role in roles)
    assert names == ["", "-leader-election", "-read", "-token"]
    return roles


def test_a_token_that_may_not_be_read_is_told_with_a_way_on(system: System) -> None:
    """In a namespace that was not opened, and in the release's own: of its Secrets only the one is open."""
    config = system.get("ProviderConfig", "config-rights")
    names = {"default": "elsewhere", NAMESPACE: "another"}
    for namespace, name in names.items():
        spec = {
            **config["spec"],
            "credentials": {
                "source": "Secret",
                "secretRef": {"namespace": namespace, "name": "a", "key": "b"},
            },
        }
        system.apply(
            {**{key: config[key] for key in ("apiVersion", "kind")}, "metadata": {"name": name}, "spec": spec}
        )
    system.provider.start()
    for namespace, name in names.items():

        def message(name: str = name) -> str:
            conditions = system.get("ProviderConfig", name).get("status", {}).get("conditions", [])
            return " ".join(condition.get("message", "") for condition in conditions)

        said = f"RBAC forbids this provider to read Secret {namespace}/a"
        system.until(lambda: said in message(), "the condition")  # noqa: B023
        assert "rbac.readNamespaces" in message()
    assert system.provider.stop() == 0


def test_usages_need_the_right_on_finalizers(system: System, audited: AuditedPlane, tmp_path: Path) -> None:
    """A usage holds up the deletion of its object, which this API server lets only those ask for who may finalise it."""
    system.apply(system.guild("owner"))
    guild = system.get("Guild", "owner")
    reference = {name: guild[name] for name in ("apiVersion", "kind")} | {"name": "owner"}
    owner = {**reference, "uid": guild["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}
    usage: Obj = {
        "apiVersion": "discord.crossplane.io/v1alpha1",
        "kind": "ProviderConfigUsage",
        "metadata": {"name": "another", "ownerReferences": [owner]},
        "providerConfigRef": {"kind": "ProviderConfig", "name": "default"},
        "resourceRef": reference,
    }
    kubeconfig = audited.kubeconfig_of(ACCOUNT, tmp_path)

    def create() -> str:
        return system.control_plane.kubectl(
            *("create", "-n", system.namespace, "--dry-run=server", "--validate=false", "-f", "-"),
            input=json.dumps(usage),
            kubeconfig=kubeconfig,
            check=False,
        )

    assert "created" in create()
    role = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{RELEASE}"
    rules = system.control_plane.request("GET", role)["rules"]
    fewer = [rule for rule in rules if rule["resources"] != ["guilds/finalizers"]]
    assert len(fewer) == len(rules) - 1
    system.control_plane.request("PATCH", role, body={"rules": fewer}, content_type=MERGE_PATCH)
    system.until(lambda: "can't set finalizers on" in create(), "the API server to refuse")
