"""From a pydantic model to the structural OpenAPI v3 schema that a CRD needs.

Kubernetes takes neither ``$ref`` nor ``null`` in a union nor ``additionalProperties: false``. So definitions are
put in place, an optional field is simply not required, and unknown fields are left to pruning. A default is
kept only where a model declares one: inside ``forProvider`` none does, since it would turn absent into managed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from provider_discord.apis.fields import ObservedField, fields_of

Schema = dict[str, Any]


class _Structural(GenerateJsonSchema):
    """Pydantic's generator without what structural schemas forbid."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """An absent field is absent; null is no value of its own."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Keep a default that says something; ``None`` only means absent."""
        if schema.get("default") is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Leave out the class's docstring: it speaks to programmers; fields carry words for users."""
        made = super().model_schema(schema)
        made.pop("description", None)
        return made

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        """Write a single allowed value as an enumeration of one; ``const`` is not allowed."""
        made = super().literal_schema(schema)
        if "const" in made:
            made["enum"] = [made.pop("const")]
        return made


def structural(model: type[BaseModel]) -> Schema:
    """Return the structural schema of a model, its rules included."""
    made = model.model_json_schema(by_alias=True, schema_generator=_Structural)
    definitions: Mapping[str, Schema] = made.pop("$defs", {})
    schema = _inlined(made, definitions)
    assert isinstance(schema, dict)
    return schema


_PREFIX: Final = "#/$defs/"


def _inlined(node: Any, definitions: Mapping[str, Schema]) -> Any:
    """Replace references by what they refer to; what stands beside a reference wins (its description)."""
    if isinstance(node, list):
        return [_inlined(part, definitions) for part in node]
    if not isinstance(node, dict):
        return node
    node = dict(node)
    target = node.pop("$ref", None)
    if target is not None:
        node = {**definitions[target.removeprefix(_PREFIX)], **node}
    properties = node.get("properties")
    made = {
        key: _inlined(value, definitions)
        for key, value in node.items()
        if key not in ("title", "properties", "additionalProperties")
    }
    if properties is not None:
        made["properties"] = {name: _inlined(value, definitions) for name, value in properties.items()}
    values = node.get("additionalProperties")
    if isinstance(values, dict) and properties is None:
        made["additionalProperties"] = _inlined(values, definitions)
    return made


_SHAPE: Final = ("type", "format", "items", "properties", "description", "x-kubernetes-int-or-string")


def observed(parameters: type[BaseModel], extra: tuple[ObservedField, ...]) -> Schema:
    """Return the schema of ``status.atProvider``: the readable parameters by shape, and what is only read.

    Bounds, patterns and rules are left out, so that a value from a newer Discord can always be shown.
    """
    given = structural(parameters)["properties"]
    own = {field.key: {**field.schema, "description": field.description} for field in extra}
    properties: Schema = {}
    for key in ("id", "name"):
        if key in own:
            properties[key] = own.pop(key)
    for field in fields_of(parameters):
        if field.discord is not None and field.discord.read and field.key not in own:
            properties[field.key] = _shape(given[field.key])
    properties.update(own)
    return {"type": "object", "description": "What was last seen at Discord.", "properties": properties}


def _shape(schema: Schema) -> Schema:
    """Keep only what a value looks like; what manifests may write in two ways is an integer at Discord."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": "integer", **_described(schema)}
    made = {key: value for key, value in schema.items() if key in _SHAPE}
    if "items" in made:
        made["items"] = _shape(made["items"])
    if "properties" in made:
        made["properties"] = {name: _shape(value) for name, value in made["properties"].items()}
    return made


def _described(schema: Schema) -> Schema:
    return {"description": schema["description"]} if "description" in schema else {}
