"""What somebody asked an API server for, by its audit log, and what roles let them ask for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from controlplane import ControlPlane

Obj = dict[str, Any]

AUDIT_POLICY: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}],
}


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
