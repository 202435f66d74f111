"""Where a ProviderConfig's token is, and reading it.

The Secret is read by name when it is needed, never listed or watched; the token itself is trimmed (an editor's
newline at the end is the classic mistake) and never shown. Every way in which this can go wrong has a message
that says what to type.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provider_discord.kube.access import ObjectAccess
from provider_discord.kube.errors import Forbidden, NotFound
from provider_discord.kube.resource import Key
from provider_discord.managed.connection import SECRETS
from provider_discord.managed.errors import ManagedError


class BadCredentials(ManagedError):
    """The token could not be read; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token and what tells it from another without showing it."""

    value: str = field(repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the token: two Secrets with one token have one digest."""
        return hashlib.sha256(self.value.encode()).hexdigest()


def read_token(access: ObjectAccess, config: Mapping[str, Any]) -> Token:
    """Read the token that a ProviderConfig names.

    Raises:
        BadCredentials: there is none, or none that can be used.
        KubeError: the API server did not answer.
    """
    credentials = (config.get("spec") or {}).get("credentials") or {}
    source = credentials.get("source", "Secret")
    if source != "Secret":
        msg = f'spec.credentials.source is "{source}"; only "Secret" is supported'
        raise BadCredentials(msg)
    reference = credentials.get("secretRef") or {}
    missing = [name for name in ("namespace", "name", "key") if not reference.get(name)]
    if missing:
        msg = f"spec.credentials.secretRef lacks {', '.join(missing)}: say which Secret and key hold the bot token"
        raise BadCredentials(msg)
    namespace, name, key = (str(reference[part]) for part in ("namespace", "name", "key"))
    try:
        secret = access.get(SECRETS, Key(namespace, name))
    except NotFound:
        msg = (
            f"Secret {namespace}/{name} does not exist: create it "
            f"(kubectl create secret generic {name} -n {namespace} --from-file={key}=/dev/stdin, then paste the token)"
        )
        raise BadCredentials(msg) from None
    except Forbidden as cause:
        msg = (
            f"RBAC forbids this provider to read Secret {namespace}/{name}: let it get Secrets there, with the chart's "
            f"value rbac.readNamespaces for example ({cause.message})"
        )
        raise BadCredentials(msg) from None
    return _token(secret, where=f"Secret {namespace}/{name}", key=key)


def _token(secret: Mapping[str, Any], *, where: str, key: str) -> Token:
    data = secret.get("data") or {}
    if key not in data:
        has = ", ".join(sorted(data)) or "no keys at all"
        msg = f"{where} has no key {key}: it has {has}; correct the Secret or spec.credentials.secretRef.key"
        raise BadCredentials(msg)
    try:
        value = base64.b64decode(data[key] or "", validate=True).decode("ascii").strip()
    except (binascii.Error, ValueError):
        msg = f"key {key} of {where} holds something that is no bot token: it has characters no token has"
        raise BadCredentials(msg) from None
    value = value.removeprefix("Bot ").strip()
    if not value:
        msg = f"key {key} of {where} is empty: put the bot token there"
        raise BadCredentials(msg)
    if any(not 0x21 <= ord(character) <= 0x7E for character in value):
        msg = (
            f"key {key} of {where} holds something that is no bot token: it has spaces or line breaks inside"
        )
        raise BadCredentials(msg)
    return Token(value)
