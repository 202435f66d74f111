"""Reading the images that a manifest gives: a data URI in place, or a key of a ConfigMap or Secret by its name."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from provider_discord.apis.errors import InvalidField
from provider_discord.apis.images import ImageSource, KeyReference
from provider_discord.kinds import images
from provider_discord.kinds.outcomes import invalid
from provider_discord.kinds.visit import Visit
from provider_discord.kube import errors as kube
from provider_discord.kube.resource import Key, Resource
from provider_discord.managed.errors import Blocked, ExternalFailure, Waiting

IMAGES_ANNOTATION: Final = "discord.crossplane.io/images"
_CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
_SECRETS: Final = Resource("", "v1", "secrets", "Secret", namespaced=True)


def given_image(
    visit: Visit,
    *,
    field: str,
    value: str | None,
    source: ImageSource | None,
    max_bytes: int = images.MAX_BYTES,
) -> tuple[bool, images.Image | None]:
    """Return whether the manifest manages an image, and the image; None: it shall be removed.

    Args:
        visit: The pass; sources are in its object's namespace.
        field: The manifest's name of the field, for messages.
        value: The data URI, "" for none; None: not given.
        source: Where to read it from instead.
        max_bytes: What Discord takes here.

    Raises:
        Blocked: It is no image that Discord takes.
        Waiting: The ConfigMap or Secret, or the key, is not there yet.
        ExternalFailure: The API server can't tell.
    """
    try:
        if value is not None:
            return True, images.from_data_uri(value, field=field, max_bytes=max_bytes)
        if source is None:
            return False, None
        data = _read(visit, source, field=f"{field}From")
        return True, images.from_bytes(data, field=f"{field}From", max_bytes=max_bytes)
    except InvalidField as error:
        raise invalid(error) from error


def _read(visit: Visit, source: ImageSource, *, field: str) -> bytes:
    if source.config_map_key_ref is not None:
        return _key(visit, _CONFIG_MAPS, source.config_map_key_ref, field=f"{field}.configMapKeyRef")
    if source.secret_key_ref is not None:
        return _key(visit, _SECRETS, source.secret_key_ref, field=f"{field}.secretKeyRef")
    msg = f"spec.forProvider.{field}: give configMapKeyRef or secretKeyRef"
    raise Blocked(msg, reason="InvalidField", field=f"forProvider.{field}")


def _key(visit: Visit, resource: Resource, reference: KeyReference, *, field: str) -> bytes:
    where = f"spec.forProvider.{field}: {resource.kind} {visit.mr.namespace}/{reference.name}"
    try:
        holder = visit.equipment.objects.get(resource, Key(visit.mr.namespace, reference.name))
    except kube.NotFound:
        msg = f"{where} does not exist"
        raise Waiting(msg) from None
    except kube.Forbidden as error:
        msg = (
            f"{where}: RBAC forbids this provider to read it; let it get {resource.plural} there, with the chart's value "
            f"rbac.readNamespaces for example ({error.message})"
        )
        raise Waiting(msg) from None
    except kube.KubeError as error:
        msg = f"{where} can't be read: {error}"
        raise ExternalFailure(msg) from error
    found = _value(holder, reference.key, plain_data=resource is _CONFIG_MAPS)
    if found is None:
        msg = f"{where} has no key {reference.key!r}"
        raise Waiting(msg)
    return found


def _value(holder: Mapping[str, Any], key: str, *, plain_data: bool) -> bytes | None:
    """Return a key's bytes: a ConfigMap's ``data`` is text, everything else base64."""
    data: Mapping[str, Any] = holder.get("data") or {}
    binary: Mapping[str, Any] = holder.get("binaryData") or {}
    if plain_data and key in data:
        return str(data[key]).encode()
    encoded = binary.get(key) if plain_data else data.get(key)
    if encoded is None:
        return None
    try:
        return base64.b64decode(str(encoded), validate=True)
    except binascii.Error:
        return str(encoded).encode()
