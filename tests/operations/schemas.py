"""JSON schemas for kubeconform, made from what an API server says of its own kinds: nothing is downloaded.

Those of the Prometheus operator's kinds, which this API server does not serve, are in the folder `monitoring`.

An API server publishes OpenAPI v3 for every group and version, custom kinds included. Strictness, which OpenAPI
leaves open, is added: an object with known properties has no others.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from controlplane import ControlPlane

LOCATION: Final = "{{.Group}}-{{.ResourceKind}}-{{.ResourceAPIVersion}}.json"
"""A schema's file, in kubeconform's words; its group of the core kinds is their version."""
MONITORING: Final = Path(__file__).with_name("monitoring")


def write_schemas(control_plane: ControlPlane, folder: Path, objects: Iterable[Mapping[str, Any]]) -> None:
    """Write a schema for the kind of each of these objects that the API server serves, and the operator's."""
    shutil.copytree(MONITORING, folder, dirs_exist_ok=True)
    wanted = {(obj["apiVersion"], obj["kind"]) for obj in objects}
    for api_version in {version for version, _ in wanted}:
        path = f"apis/{api_version}" if "/" in api_version else f"api/{api_version}"
        if path not in _document(control_plane, "")["paths"]:
            continue
        schemas = _document(control_plane, f"/{path}")["components"]["schemas"]
        definitions = {name: _strict(schema) for name, schema in schemas.items()}
        for name, schema in schemas.items():
            for served in schema.get("x-kubernetes-group-version-kind", ()):
                group, version, kind = served["group"], served["version"], served["kind"]
                if (f"{group}/{version}" if group else version, kind) in wanted:
                    made = {"$ref": f"#/definitions/{name}", "definitions": definitions}
                    file = folder / f"{group or version}-{kind.lower()}-{version}.json"
                    file.write_text(json.dumps(made))


def _document(control_plane: ControlPlane, path: str) -> Any:
    answer = control_plane.request("GET", f"/openapi/v3{path}")
    return json.loads(answer) if isinstance(answer, str) else answer


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _strict(value) for name, value in schema.items()}
    if isinstance(made.get("$ref"), str):
        made["$ref"] = made["$ref"].replace("#/components/schemas/", "#/definitions/")
    if isinstance(made.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made
