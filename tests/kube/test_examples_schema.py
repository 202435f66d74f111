"""Every example is accepted by a real API server as it stands, and refers only to what is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from controlplane import ControlPlane

from provider_discord.apis.kinds import KINDS, MANAGED_KINDS, KindDefinition, Scope

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FILES = sorted(EXAMPLES.rglob("*.yaml"))
KIND_BY_NAME = {kind.kind: kind for kind in KINDS}

Manifest = dict[str, Any]


def documents(*files: Path) -> Iterator[Manifest]:
    for file in files:
        yield from (document for document in yaml.safe_load_all(file.read_text()) if document)


def collection(kind: KindDefinition, namespace: str) -> str:
    scope = f"/namespaces/{namespace}" if kind.scope is Scope.NAMESPACED else ""
    return f"/apis/{kind.group}/{kind.version}{scope}/{kind.plural}"


@pytest.mark.usefixtures("crds")
@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(EXAMPLES)))
def test_is_accepted_as_it_stands(control_plane: ControlPlane, namespace: str, file: Path) -> None:
    found = list(documents(file))
    assert found
    for document in found:
        kind = KIND_BY_NAME[document["kind"]]
        assert document["apiVersion"] == kind.api_version
        path = collection(kind, namespace)
        control_plane.request("POST", f"{path}?dryRun=All&fieldValidation=Strict", body=document)


@pytest.mark.parametrize("folder", [EXAMPLES, EXAMPLES / "community"], ids=["minimal", "community"])
def test_every_reference_leads_to_an_object_of_the_same_set(folder: Path) -> None:
    manifests = list(documents(*sorted(folder.glob("*.yaml"))))
    there = {(m["kind"], m["metadata"]["name"]) for m in manifests}
    labelled = [(m["kind"], m["metadata"].get("labels", {})) for m in manifests]
    for manifest in manifests:
        if manifest["kind"] == "ProviderConfig":
            # Where the chart and the runbooks have it, and where the provider may read it.
            place = {"namespace": "crossplane-system", "name": "discord-credentials", "key": "token"}
            assert manifest["spec"]["credentials"]["secretRef"] == place
        for kind in MANAGED_KINDS:
            if manifest["kind"] != kind.kind:
                continue
            for target, ref, selector in references(kind, manifest):
                if ref is not None:
                    assert (target, ref["name"]) in there, manifest["metadata"]["name"]
                if selector is not None:
                    wanted = selector["matchLabels"].items()
                    assert any(k == target and wanted <= labels.items() for k, labels in labelled)


def references(kind: KindDefinition, manifest: Manifest) -> Iterator[tuple[str, Any, Any]]:
    parameters = manifest["spec"]["forProvider"]
    for reference in kind.references:
        holder, _, field = reference.path.rpartition("[].")
        for item in parameters.get(holder, []) if holder else [parameters]:
            assert field == reference.path.rpartition(".")[2]
            yield reference.target_kind, item.get(reference.ref), item.get(reference.selector)


def test_the_examples_fit_any_namespace_and_hold_no_secret() -> None:
    """A Secret in a file that is applied again and again would put its placeholder in the token's place."""
    for manifest in documents(*FILES):
        assert "namespace" not in manifest["metadata"], manifest["metadata"]["name"]
        assert manifest["kind"] != "Secret"


def test_the_community_shows_every_kind_of_channel_that_a_community_guild_has() -> None:
    manifests = list(documents(*sorted((EXAMPLES / "community").glob("*.yaml"))))
    types = {m["spec"]["forProvider"]["type"] for m in manifests if m["kind"] == "Channel"}
    assert types == {"category", "text", "voice", "announcement", "stage", "forum"}
    assert {m["kind"] for m in manifests} >= {kind.kind for kind in MANAGED_KINDS}
