"""How one talks to the API server: a request, a kubeconfig. Nothing here knows of processes.

Requests go through the standard library alone: the tools and the demo then need no Kubernetes client, and no
proxy that the environment names can come between a test and loopback.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from controlplane.certificates import Pair, write_private
from controlplane.errors import ApiRefused

APPLY_PATCH = "application/apply-patch+yaml"
CONTEXT = "provider-discord-controlplane"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The API server's address and what one trusts it by.

    Attributes:
        port: its TCP port on 127.0.0.1.
        authority: the certificate that signed its own, as PEM.
        token: the administrator's bearer token.
    """

    port: int
    authority: bytes
    token: str

    @property
    def url(self) -> str:
        """The server's address as clients take it."""
        return f"https://127.0.0.1:{self.port}"

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content_type: str = "application/json",
        timeout_seconds: float = 30.0,
    ) -> Any:
        """Send one request as administrator and return the answer, parsed where it is JSON.

        Raises:
            ApiRefused: the server answered with a status of 400 or more.
            OSError: it can't be reached, or not within the timeout.
        """
        context = ssl.create_default_context(cadata=self.authority.decode())
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=context, timeout=timeout_seconds
        )
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            with connection.getresponse() as response:
                text = response.read().decode()
                if response.status >= 400:
                    asked = f"{method} {path}"
                    raise ApiRefused(asked, status=response.status, body=text)
                is_json = response.headers.get_content_type() == "application/json"
        except http.client.HTTPException as error:
            # The server went away in the middle of an answer: for a caller that is the same as not reached.
            msg = f"{method} {self.url}{path}: {error!r}"
            raise ConnectionError(msg) from error
        finally:
            connection.close()
        return json.loads(text) if is_json else text

    def write_kubeconfig(self, path: Path, *, user: str, credentials: Mapping[str, str]) -> None:
        """Write a kubeconfig that needs no other file, readable by its owner only."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": CONTEXT,
                    "cluster": {"server": self.url, "certificate-authority-data": encoded(self.authority)},
                }
            ],
            "users": [{"name": user, "user": dict(credentials)}],
            "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
            "current-context": CONTEXT,
        }
        write_private(path, yaml.safe_dump(config, sort_keys=False))


def client_certificate(pair: Pair) -> dict[str, str]:
    """Return a certificate and its key as a kubeconfig's user takes them."""
    return {
        "client-certificate-data": encoded(pair.certificate),
        "client-key-data": encoded(pair.key),
    }


def encoded(data: bytes) -> str:
    """Return bytes as the base64 text of a kubeconfig's `...-data` fields."""
    return base64.b64encode(data).decode()
