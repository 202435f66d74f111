"""The field reference in ``docs/reference``, generated from the schemas, so that it cannot tell anything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from provider_discord.apis.channel import ChannelParameters
from provider_discord.apis.crds import crd
from provider_discord.apis.fields import ChannelType, fields_of
from provider_discord.apis.kinds import CHANNEL, KINDS, PROVIDER_CONFIG_USAGE, KindDefinition, Scope
from provider_discord.apis.permissions import PERMISSION_NAMES
from provider_discord.apis.references import Reference, Selector
from provider_discord.apis.schema import Schema, structural

_PREFACE: Final = """\
<!-- Generated from provider_discord/apis by `make generate`. Do not edit. -->
# Every field

What `kubectl explain` says, on one page. The rules that hold for all of it:

- A field that is **absent** is not managed: not compared, not changed, and never filled in by the provider.
- A field that is **empty** (`""`, `[]`) is cleared at Discord.
- Ids are Discord's, 15 to 20 digits, **in quotes**: YAML would otherwise read a number.
- "number or word" takes either form: `type: 2` and `type: voice` are the same.
- "id or reference": instead of field `x`, `xRef` or `xSelector` may stand; see [References](#references).
- A field `xFrom` reads an image from a ConfigMap or Secret; see [Images](#images).
"""

_REFERENCES: Final = """\
## References

`xRef` names another object, `xSelector` finds one by its labels. Both are followed at every reconcile and never
written back into the spec; what they lead to is in `status.atProvider`. So `guildId` can be given as `guildIdRef` or
`guildIdSelector`, and an overwrite's `roleId` as `roleIdRef` or `roleIdSelector`, but only in one way. An object whose reference does not resolve
yet waits; a Guild is managed meanwhile without that channel.
"""

_IMAGES: Final = """\
## Images

An image `x` is given as a data URI (`data:image/png;base64,...`; jpeg, gif and webp too) or by `xFrom`, which names a
key of a ConfigMap or Secret in the object's namespace. A manifest that `kubectl apply` keeps in an annotation cannot
hold more than 256 KiB; a ConfigMap holds 1 MiB:

```
kubectl create configmap guild-images --from-file=icon.png
```

```yaml
iconFrom:
  configMapKeyRef: {name: guild-images, key: icon.png}
```
"""

_PERMISSIONS: Final = """\
## Permission names

For `permissionNames`, `allowNames` and `denyNames`:

"""


def render() -> str:
    """Return the whole page as Markdown."""
    parts = [_PREFACE]
    for kind in KINDS:
        if kind is PROVIDER_CONFIG_USAGE:
            continue
        parts += _kind(kind)
    parts += [_REFERENCES, *_references()]
    parts += [_IMAGES]
    parts += [_PERMISSIONS + ", ".join(f"`{name}`" for name in PERMISSION_NAMES) + ".\n"]
    return "\n".join(parts)


def _kind(kind: KindDefinition) -> Iterator[str]:
    schema = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    scope = "in a namespace" if kind.scope is Scope.NAMESPACED else "cluster-scoped"
    names = ", ".join(f"`{name}`" for name in (kind.plural, *kind.short_names))
    yield f"## {kind.kind}\n"
    yield f"`{kind.api_version}`, {scope}. For kubectl: {names}.\n"
    yield f"{kind.description}\n"
    spec, status = schema["spec"], schema["status"]["properties"]
    if kind.parameters is None:
        yield f"### {kind.kind}: spec\n"
        yield _table(_rows(spec), types={})
        yield f"### {kind.kind}: status\n"
        yield _table(_rows({"properties": {k: v for k, v in status.items() if k != "conditions"}}), types={})
        return
    yield f"### {kind.kind}: spec.forProvider\n"
    yield _table(_rows(spec["properties"]["forProvider"]), types=_types() if kind is CHANNEL else {})
    rules = [*_rules(spec), *_rules(spec["properties"]["forProvider"]), *_item_rules(spec)]
    if rules:
        yield "What is refused besides:\n"
        yield "\n".join(f"- {rule}" for rule in rules) + "\n"
    yield f"### {kind.kind}: spec\n"
    others = {key: value for key, value in spec["properties"].items() if key != "forProvider"}
    yield _table(_rows({"properties": others}), types={})
    yield f"### {kind.kind}: status.atProvider\n"
    yield _table(_rows(status["atProvider"]), types={})


def _types() -> Mapping[str, str]:
    """Return, by field, the channel types that have it."""
    return {
        field.key: ", ".join(t.word for t in ChannelType if t in field.discord.types)
        for field in fields_of(ChannelParameters)
        if field.discord is not None and field.discord.types is not None
    }


def _rules(schema: Schema) -> Iterator[str]:
    """Yield the messages of rules; those about the channel's type have a column of their own."""
    for validation in schema.get("x-kubernetes-validations", ()):
        if "does not fit the channel's type" not in validation["message"]:
            yield validation["message"]


def _item_rules(spec: Schema) -> Iterator[str]:
    """Yield the messages of rules about the entries of a list."""
    for key, value in spec["properties"]["forProvider"]["properties"].items():
        for message in _rules(value.get("items", {})):
            yield f"in `{key}`: {message}"


def _references() -> Iterator[str]:
    for title, model in (("xRef", Reference), ("xSelector", Selector)):
        yield f"### {title}\n"
        yield _table(_rows(structural(model)), types={})


_Row = tuple[str, Schema]
_REFERABLE: Final = "referable"


def _rows(schema: Schema, prefix: str = "") -> Iterator[_Row]:
    """Yield every field with its dotted path; references and images are described once, elsewhere."""
    properties = schema["properties"]
    for key, value in properties.items():
        path = f"{prefix}{key}"
        if key.endswith(("IdRef", "IdSelector")):
            continue
        yield path, {**value, _REFERABLE: True} if f"{key}Ref" in properties else value
        if key.endswith("From"):
            continue
        if value.get("properties"):
            yield from _rows(value, f"{path}.")
        elif value.get("items", {}).get("properties"):
            yield from _rows(value["items"], f"{path}[].")


def _table(rows: Iterator[_Row], *, types: Mapping[str, str]) -> str:
    heading = ["Field", "Value", *(["Channel types"] if types else []), "Meaning"]
    lines = [_line(heading), _line(["---"] * len(heading))]
    for path, schema in rows:
        fitting = [types.get(path, "all" if "." not in path else "")] if types else []
        lines.append(_line([f"`{path}`", _value(schema), *fitting, schema.get("description", "")]))
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _value(schema: Schema) -> str:
    """Return what a value looks like, in a few words."""
    choices = schema.get("enum")
    if schema.get("x-kubernetes-int-or-string"):
        if choices is None:
            return "number or string"
        return "number or word: " + ", ".join(f"`{c}`" for c in choices if isinstance(c, str))
    kind = schema.get("type", "object")
    if kind == "array":
        items = schema["items"]
        inner = "object" if items.get("properties") else "string"
        return f"list of {inner}s{_at_most(schema.get('maxItems'))}"
    if kind == "string" and choices:
        listed = ", ".join(f"`{choice}`" for choice in choices)
        return f"one of {listed}{_default(schema)}"
    if kind == "string":
        if schema.get("format") == "date-time":
            return "time"
        if any("15 to 20 digits" in v["message"] for v in schema.get("x-kubernetes-validations", ())):
            return "id or reference" if schema.get(_REFERABLE) else "id"
        return f"text{_at_most(schema.get('maxLength'))}{_default(schema)}"
    if kind == "integer":
        if choices:
            return f"one of {', '.join(str(choice) for choice in choices)}"
        return f"number{_range(schema)}{_default(schema)}"
    if kind == "boolean":
        return f"true or false{_default(schema)}"
    return f"object{_default(schema)}"


def _at_most(limit: int | None) -> str:
    return f", at most {limit}" if limit is not None else ""


def _range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None:
        return ""
    return f" {low} to {high}" if high is not None and high < (1 << 31) - 1 else f" from {low}"


def _default(schema: Schema) -> str:
    if "default" not in schema:
        return ""
    return f" (default `{_plain(schema['default'])}`)"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(part)}" for key, part in value.items()) + "}"
    return str(value)
