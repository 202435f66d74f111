"""The API server as the people see it: straight, over kept connections, and patient when it is away.

The chaos is between the provider and the API server. Whoever applies manifests here gets through, be it at the
second try.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from provider_discord.apis.kinds import KINDS, Scope

Obj = dict[str, Any]
KIND_OF: Final = {definition.kind: definition for definition in KINDS}
MANAGED: Final = ("Guild", "Channel", "Role")
MERGE_PATCH: Final = "application/merge-patch+json"
_PATIENCE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the API server is, and the administrator's credentials."""

    url: str
    authority: str
    token: str


class Refused(Exception):
    """The API server said no."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(f"{status}: {text}")


class Cluster:
    """Requests of an administrator, in one namespace.

    Args:
        endpoint: the API server.
        namespace: where namespaced objects are.
    """

    def __init__(self, endpoint: Endpoint, namespace: str) -> None:
        self.endpoint = endpoint
        self.namespace = namespace
        self._http = httpx.Client(
            base_url=endpoint.url,
            headers={"Authorization": f"Bearer {endpoint.token}"},
            verify=ssl.create_default_context(cadata=endpoint.authority),
            trust_env=False,
            timeout=20,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def path(self, kind: str, name: str = "") -> str:
        """Return the path of a kind's objects, or of one."""
        definition = KIND_OF[kind]
        scope = "" if definition.scope is Scope.CLUSTER else f"/namespaces/{self.namespace}"
        base = f"/apis/{definition.api_version}{scope}/{definition.plural}"
        return f"{base}/{name}" if name else base

    def request(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json"
    ) -> Any:
        """Send a request until it gets an answer, and return that. Raises Refused."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        again = False
        while True:
            try:
                headers = {"Content-Type": content_type} if body is not None else None
                answer = self._http.request(method, path, json=body, headers=headers)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                again = True
                time.sleep(0.1)
                continue
            if answer.status_code in {429, 500, 502, 503, 504} and time.monotonic() < deadline:
                again = True
                time.sleep(0.1)
                continue
            settled = {"POST": 409, "DELETE": 404}.get(method)
            if again and answer.status_code == settled:
                return {}  # The try before had done it.
            if answer.is_error:
                raise Refused(answer.status_code, answer.text[:500])
            return answer.json()

    def objects(self, kind: str) -> list[Obj]:
        """Return the objects of a kind."""
        found: list[Obj] = self.request("GET", self.path(kind))["items"]
        return found

    def get(self, kind: str, name: str) -> Obj | None:
        """Return an object, None if there is none."""
        try:
            obj: Obj = self.request("GET", self.path(kind, name))
        except Refused as error:
            if error.status == 404:
                return None
            raise
        return obj

    def create(self, obj: Mapping[str, Any]) -> bool:
        """Create an object; False: one of this name is there."""
        try:
            self.request("POST", self.path(obj["kind"]), dict(obj))
        except Refused as error:
            if error.status == 409:
                return False
            raise
        return True

    def patch(self, kind: str, name: str, body: Mapping[str, Any]) -> bool:
        """Merge-patch an object; False: there is none."""
        try:
            self.request("PATCH", self.path(kind, name), dict(body), content_type=MERGE_PATCH)
        except Refused as error:
            if error.status == 404:
                return False
            raise
        return True

    def delete(self, kind: str, name: str) -> None:
        """Ask for an object's deletion; it may be gone already."""
        try:
            self.request("DELETE", self.path(kind, name))
        except Refused as error:
            if error.status != 404:
                raise


def external_name(obj: Mapping[str, Any]) -> str:
    """Return an object's external name, "" if it has none."""
    return str((obj["metadata"].get("annotations") or {}).get("crossplane.io/external-name") or "")


def condition(obj: Mapping[str, Any], type_: str) -> Obj:
    """Return a condition, {} unless it is about the present generation."""
    for found in (obj.get("status") or {}).get("conditions") or []:
        if found["type"] == type_ and found.get("observedGeneration") == obj["metadata"]["generation"]:
            return dict(found)
    return {}


def is_true(obj: Mapping[str, Any]) -> bool:
    """Tell whether an object is Ready and Synced for what its manifest says now."""
    return all(condition(obj, type_).get("status") == "True" for type_ in ("Ready", "Synced"))


def states(obj: Mapping[str, Any]) -> str:
    """Return an object's conditions in a line."""
    found = (obj.get("status") or {}).get("conditions") or []
    shown = [
        f"{one['type']}={one['status']} {one.get('reason', '')} {one.get('message', '')}".strip()
        for one in found
    ]
    return "; ".join(shown) or "no conditions"
