"""Discord's OpenAPI document as an oracle for what we send and for what the simulator answers.

The document (github.com/discord/discord-api-spec, `specs/openapi.json`, MIT) is data that is not part of this
project: it is looked for in `DISCORD_OPENAPI` and in a folder `discord-api-spec` beside a sibling of the repository.

As shipped it is a weak oracle, so it is adjusted in memory: objects are closed, because in an open one any
misspelt field passes; 64-bit sets may be decimal strings, because that is what Discord documents and sends; a
PATCH of a channel is one of a guild channel; and what the document is known to lack is put in (`GAPS`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

REPOSITORY = Path(__file__).resolve().parents[2]
_BIT_SETS = frozenset({"permissions", "allow", "deny"})
_DECIMAL = {"type": "string", "pattern": "^(0|[1-9][0-9]*)$"}
_GUILD_CHANNEL_TYPES = [0, 2, 4, 5, 13, 14, 15]
_MEDIA = 16
GAPS = (
    "channel type 16 (media), which only the preview of the document has",
    "flags in the create and the bulk PATCH of channels (Discord docs, resources/channel)",
    "feature ENHANCED_ROLE_COLORS (Discord docs, resources/guild)",
    "codes inside `errors` are words, not numbers (Discord docs, reference, Error Messages)",
)

Json = dict[str, Any]


def find_document() -> Path | None:
    """Return where the document is, if it is here."""
    named = os.environ.get("DISCORD_OPENAPI")
    if named:
        return Path(named)
    return next(iter(sorted(REPOSITORY.parent.glob("*/discord-api-spec/openapi.json"))), None)


class DiscordContract:
    """Says what is wrong with a request or a response.

    Routes are given as `GET` and `/guilds/{guild_id}`, as the simulator's request log gives them.
    """

    def __init__(self, document: Json) -> None:
        self._document = _adjusted(document)
        self._validators: dict[str, Draft202012Validator] = {}

    @classmethod
    def load(cls, path: Path) -> DiscordContract:
        """Read the document."""
        return cls(json.loads(path.read_text()))

    def knows(self, method: str, route: str) -> bool:
        """Tell whether the document has this route."""
        return method.lower() in self._document["paths"].get(route, {})

    def request_problems(
        self, method: str, route: str, *, body: Any = None, query: Json | None = None
    ) -> list[str]:
        """Return what is wrong with a request, one sentence each; none if all is well."""
        where = f"{method} {route}"
        if not self.knows(method, route):
            return [f"{where}: Discord has no such route"]
        operation = self._document["paths"][route][method.lower()]
        problems = []
        parameters = {one["name"]: one for one in operation.get("parameters", ()) if one["in"] == "query"}
        for name, value in (query or {}).items():
            if name not in parameters:
                problems.append(f"{where}: no query parameter {name}")
            else:
                read = _query_value(parameters[name]["schema"], value)
                problems += self._check(f"{where}?{name}", parameters[name]["schema"], read)
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is not None:
            problems += self._check(where, content["schema"], {} if body is None else body)
        elif body is not None:
            problems.append(f"{where}: takes no body")
        return problems

    def response_problems(self, method: str, route: str, *, status: int, body: Any) -> list[str]:
        """Return what is wrong with a response, one sentence each; none if all is well."""
        where = f"{method} {route} {status}"
        if not self.knows(method, route):
            return [f"{where}: Discord has no such route"]
        responses = self._document["paths"][route][method.lower()]["responses"]
        response = responses.get(str(status)) or responses.get(f"{status // 100}XX")
        if response is None:
            return [f"{where}: not one of {', '.join(responses)}"]
        if "$ref" in response:
            response = self._document["components"]["responses"][response["$ref"].rpartition("/")[2]]
        content = response.get("content", {}).get("application/json")
        if content is None:
            return [] if body is None else [f"{where}: has no body"]
        return self._check(where, content["schema"], body)

    def log_problems(self, entries: Iterable[Json]) -> Iterator[str]:
        """Yield what is wrong with the requests of the simulator's log (`ControlClient.requests`).

        Requests to a token that is not valid and such count as well: it is the sender that is on trial.
        """
        for entry in entries:
            for problem in self.request_problems(
                entry["method"], entry["route"], body=entry["body"], query=entry["query"]
            ):
                yield f"#{entry['seq']} {entry['path']}: {problem}"

    def _check(self, where: str, schema: Json, value: Any) -> list[str]:
        key = json.dumps(schema, sort_keys=True)
        validator = self._validators.get(key)
        if validator is None:
            validator = Draft202012Validator({**schema, "components": self._document["components"]})
            self._validators[key] = validator
        error = best_match(validator.iter_errors(value))
        return [] if error is None else [f"{where}: {error.json_path}: {error.message}"]


def _adjusted(document: Json) -> Json:
    document = deepcopy(document)
    paths, schemas = document["paths"], document["components"]["schemas"]
    patch = paths["/channels/{channel_id}"]["patch"]["requestBody"]["content"]["application/json"]
    patch["schema"] = {"$ref": "#/components/schemas/UpdateGuildChannelRequestPartial"}
    flags = {"type": ["integer", "null"]}
    schemas["CreateGuildChannelRequest"]["properties"]["flags"] = flags
    bulk = paths["/guilds/{guild_id}/channels"]["patch"]["requestBody"]["content"]["application/json"]
    bulk["schema"]["items"]["properties"]["flags"] = flags
    schemas["ChannelTypes"]["oneOf"].append({"title": "GUILD_MEDIA", "const": _MEDIA})
    schemas["GuildFeatures"]["oneOf"].append({"const": "ENHANCED_ROLE_COLORS"})
    schemas["Error"]["properties"]["code"] = {"type": ["integer", "string"]}
    for schema in _schemas(document):
        if schema.get("enum") == _GUILD_CHANNEL_TYPES:
            schema["enum"] = [*_GUILD_CHANNEL_TYPES, _MEDIA]
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            continue
        for name in _BIT_SETS & properties.keys():
            if "integer" in _types(properties[name]):
                properties[name] = {"anyOf": [properties[name], _DECIMAL]}
        if not any(word in schema for word in ("allOf", "oneOf", "anyOf")):
            schema.setdefault("additionalProperties", False)
    # The parts of a composition see each other's fields and stay open.
    for schema in list(_schemas(document)):
        for part in schema.get("allOf", ()):
            target = schemas[part["$ref"].rpartition("/")[2]] if "$ref" in part else part
            if target.get("additionalProperties") is False:
                del target["additionalProperties"]
    return document


def _types(schema: Json) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else types


def _schemas(node: Any) -> Iterator[Json]:
    if isinstance(node, dict):
        yield node
        for child in list(node.values()):
            yield from _schemas(child)
    elif isinstance(node, list):
        for child in node:
            yield from _schemas(child)


def _query_value(schema: Json, text: str) -> Any:
    """Return a query parameter's text as the type that its schema asks for."""
    if schema.get("type") == "boolean":
        return {"true": True, "false": False}.get(text, text)
    asks_integer = schema.get("type") == "integer" or "AuditLogActionTypes" in schema.get("$ref", "")
    return int(text) if asks_integer and text.isdigit() else text
