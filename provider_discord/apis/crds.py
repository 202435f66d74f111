"""The CustomResourceDefinitions, generated from the models: ``package/crds`` is this module's output."""

from __future__ import annotations

from typing import Any, Final

import yaml

from provider_discord.apis import rules
from provider_discord.apis.kinds import (
    KINDS,
    PROVIDER_CONFIG,
    PROVIDER_CONFIG_USAGE,
    VERSION,
    Column,
    KindDefinition,
)
from provider_discord.apis.providerconfig import ProviderConfigSpec
from provider_discord.apis.schema import Schema, observed, structural

HEADER: Final = "# Generated from provider_discord/apis by `provider-discord crds`. Do not edit.\n"


def _text(description: str, **keywords: Any) -> Schema:
    return {"type": "string", **keywords, "description": description}


_CONDITIONS: Final[Schema] = {
    "type": "array",
    "description": "State of the object: Ready tells of the thing at Discord, Synced of the last reconcile.",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
    "items": {
        "type": "object",
        "required": ["lastTransitionTime", "reason", "status", "type"],
        "properties": {
            "type": _text("Name of the condition, such as Ready or Synced."),
            "status": _text("True, False or Unknown."),
            "reason": _text("Why, in one CamelCase word."),
            "message": _text("Why, for people, and what to do."),
            "lastTransitionTime": _text("When the condition last changed.", format="date-time"),
            "observedGeneration": {
                "type": "integer",
                "format": "int64",
                "description": "Generation of the object that the condition is about.",
            },
        },
    },
}

_COMMON_STATUS: Final[Schema] = {
    "conditions": _CONDITIONS,
    "observedGeneration": {
        "type": "integer",
        "format": "int64",
        "description": "Generation of the object that was last reconciled.",
    },
    "lastHandledReconcileAt": _text(
        "The last crossplane.io/reconcile-requested-at annotation that was acted upon.",
    ),
}

_CONFIG_KINDS: Final = ["ClusterProviderConfig", "ProviderConfig"]


def _config_reference(*, default: bool) -> Schema:
    made: Schema = {
        "type": "object",
        "description": "The ProviderConfig whose bot manages this object. Its kind may be called ProviderConfig or "
        "ClusterProviderConfig, which here are one and the same, cluster-scoped.",
        "required": ["name"],
        "properties": {
            "kind": _text("ProviderConfig or ClusterProviderConfig; the same thing.", enum=_CONFIG_KINDS),
            "name": _text("Name of the ProviderConfig.", minLength=1, maxLength=253),
        },
    }
    if default:
        made["default"] = {"kind": "ClusterProviderConfig", "name": "default"}
        made["properties"]["kind"]["default"] = "ClusterProviderConfig"
    else:
        made["required"] = ["kind", "name"]
        del made["properties"]["kind"]["enum"]
    return made


def _managed_spec(kind: KindDefinition) -> Schema:
    assert kind.parameters is not None
    parameters = rules.attach(kind.kind, structural(kind.parameters))
    parameters["description"] = (
        f"What the {kind.singular} shall be. A field that is absent is not managed; an empty one is cleared."
    )
    made: Schema = {
        "type": "object",
        "description": f"What the {kind.singular} shall be, and how it is managed.",
        "required": ["forProvider"],
        "properties": {
            "forProvider": parameters,
            "managementPolicies": {
                "type": "array",
                "description": "What the provider may do: Observe, Create, Update, Delete, or all of it (*). "
                "[Observe] only looks. LateInitialize is accepted and does nothing: absent fields are never "
                "filled in.",
                "default": ["*"],
                "maxItems": 6,
                "x-kubernetes-list-type": "set",
                "items": {
                    "type": "string",
                    "enum": ["Observe", "Create", "Update", "Delete", "LateInitialize", "*"],
                },
                # The sets that Crossplane's runtime accepts; the others it refuses in the object's condition.
                "x-kubernetes-validations": [
                    {
                        "rule": "size(self) == 0 || ('*' in self ? size(self) == 1 : 'Observe' in self && !('Delete' in "
                        "self && !('Create' in self) && ('Update' in self || 'LateInitialize' in self)))",
                        "message": '["*"], or Observe with any of Create, Update, Delete and LateInitialize, but Delete '
                        "beside Update or LateInitialize only with Create; [] pauses",
                    }
                ],
            },
            "providerConfigRef": _config_reference(default=True),
            "writeConnectionSecretToRef": {
                "type": "object",
                "description": "A Secret in this object's namespace to write connection details to, if the kind has any.",
                "required": ["name"],
                "properties": {"name": _text("Name of the Secret.", minLength=1, maxLength=253)},
            },
        },
    }
    required = rules.spec_rules(kind.kind, parameters)
    if required:
        made["x-kubernetes-validations"] = required
    return made


def _managed(kind: KindDefinition) -> Schema:
    assert kind.parameters is not None
    return {
        "spec": _managed_spec(kind),
        "status": {
            "type": "object",
            "description": f"What the {kind.singular} is.",
            "properties": {
                "atProvider": observed(kind.parameters, kind.observed),
                **_COMMON_STATUS,
                "observedOnly": {
                    "type": "boolean",
                    "description": "atProvider shows something that the object only observed, which need not be its own.",
                },
                "lastSyncedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "description": "Generation of the object that was last Synced, while it is not Synced.",
                },
            },
        },
    }


def _provider_config() -> Schema:
    spec = structural(ProviderConfigSpec)
    spec["description"] = "A bot: its token, its bounds, its caution."
    spec["properties"]["credentials"]["x-kubernetes-validations"] = rules.credentials_rules()
    return {
        "spec": spec,
        "status": {
            "type": "object",
            "description": "What is known of the bot.",
            "properties": {
                "bot": {
                    "type": "object",
                    "description": "The bot that the token belongs to.",
                    "properties": {
                        "id": _text("User id of the bot."),
                        "name": _text("Name of the bot."),
                        "inviteURL": _text("Link with which an administrator of a guild adds the bot to it."),
                    },
                },
                "users": {
                    "type": "integer",
                    "format": "int64",
                    "description": "How many managed resources use this ProviderConfig.",
                },
                **_COMMON_STATUS,
            },
        },
    }


def _usage() -> Schema:
    return {
        "providerConfigRef": _config_reference(default=False),
        "resourceRef": {
            "type": "object",
            "description": "The managed resource that uses the ProviderConfig.",
            "required": ["apiVersion", "kind", "name"],
            "properties": {
                "apiVersion": _text("API version of the managed resource."),
                "kind": _text("Kind of the managed resource."),
                "name": _text("Name of the managed resource."),
                "uid": _text("UID of the managed resource."),
            },
        },
    }


def _column(column: Column) -> Schema:
    made: Schema = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.description:
        made["description"] = column.description
    if column.priority:
        made["priority"] = column.priority
    return made


def _schema(kind: KindDefinition) -> Schema:
    if kind is PROVIDER_CONFIG:
        parts, required = _provider_config(), ["spec"]
    elif kind is PROVIDER_CONFIG_USAGE:
        parts, required = _usage(), ["providerConfigRef", "resourceRef"]
    else:
        parts, required = _managed(kind), ["spec"]
    return {
        "type": "object",
        "description": kind.description,
        "required": required,
        "properties": {
            "apiVersion": _text("Version of the schema of this object."),
            "kind": _text("Kind of this object."),
            "metadata": {"type": "object"},
            **parts,
        },
    }


def crd(kind: KindDefinition) -> dict[str, Any]:
    """Return the CustomResourceDefinition of a kind."""
    version: Schema = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
        "schema": {"openAPIV3Schema": _schema(kind)},
    }
    if kind is not PROVIDER_CONFIG_USAGE:
        version["subresources"] = {"status": {}}
    names: Schema = {
        "kind": kind.kind,
        "listKind": f"{kind.kind}List",
        "plural": kind.plural,
        "singular": kind.singular,
        "categories": list(kind.categories),
    }
    if kind.short_names:
        names["shortNames"] = list(kind.short_names)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": kind.crd_name},
        "spec": {
            "group": kind.group,
            "names": names,
            "scope": kind.scope.value,
            "versions": [version],
        },
    }


class _Dumper(yaml.SafeDumper):
    """YAML without aliases: what two fields share is written out twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the name that yaml calls it by
        """Say that nothing is worth an alias."""
        return True


def to_yaml(document: dict[str, Any]) -> str:
    """Return one document as YAML, keys in the order they were given."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def filename(kind: KindDefinition) -> str:
    """Return the file of a CRD, named as controller-gen names them."""
    return f"{kind.group}_{kind.plural}.yaml"


def render() -> dict[str, str]:
    """Return every CRD as YAML, by file name."""
    return {filename(kind): HEADER + to_yaml(crd(kind)) for kind in KINDS}
