"""Connection secrets: what an object found out that its users need, in a Secret beside it.

As Crossplane's API secret publisher: the object's namespace, a controller owner reference, keys are added and
never removed, nothing is written if nothing changes. A Secret that something else controls, or of another type,
is refused.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping

from provider_discord.kube.access import ObjectAccess
from provider_discord.kube.errors import AlreadyExists, NotFound
from provider_discord.kube.resource import Key, Obj, Resource
from provider_discord.managed import meta
from provider_discord.managed.errors import Blocked
from provider_discord.managed.resource import ManagedResource

SECRETS = Resource("", "v1", "secrets", "Secret", namespaced=True)


class ConnectionSecrets:
    """Publishes connection details."""

    def __init__(self, access: ObjectAccess) -> None:
        self._access = access

    def publish(self, mr: ManagedResource, details: Mapping[str, bytes]) -> bool:
        """Write the details into the Secret that the object names; return whether anything was written.

        Raises:
            Blocked: the Secret belongs to something else.
            KubeError: the API server refused.
        """
        name = (mr.spec.get("writeConnectionSecretToRef") or {}).get("name")
        if not name or not details:
            return False
        data = {field: base64.b64encode(value).decode() for field, value in details.items()}
        key = Key(mr.namespace, str(name))
        try:
            secret = self._access.get(SECRETS, key)
        except NotFound:
            try:
                self._access.create(SECRETS, _secret(mr, key, data))
            except AlreadyExists:
                secret = self._access.get(SECRETS, key)
            else:
                return True
        _check_owner(mr, secret, key)
        updated = copy.deepcopy(secret)
        updated["data"] = {**(secret.get("data") or {}), **data}
        owners = secret["metadata"].get("ownerReferences") or []
        if not any(owner.get("controller") for owner in owners):
            updated["metadata"]["ownerReferences"] = [*owners, mr.as_controller()]
        if updated == secret:
            return False
        self._access.replace(SECRETS, updated)
        return True


def _check_owner(mr: ManagedResource, secret: Obj, key: Key) -> None:
    owners = secret["metadata"].get("ownerReferences") or ()
    controller = next((owner for owner in owners if owner.get("controller")), None)
    if controller is not None and controller.get("uid") != mr.uid:
        msg = (
            f"Secret {key} is controlled by {controller.get('kind')} {controller.get('name')}: "
            "name another one in spec.writeConnectionSecretToRef"
        )
        raise Blocked(msg, reason="CannotPublishConnectionDetails")
    if controller is None and secret.get("type") != meta.CONNECTION_SECRET_TYPE:
        msg = (
            f"Secret {key} exists and is no connection secret (type {secret.get('type') or 'Opaque'}): "
            "name another one in spec.writeConnectionSecretToRef, or delete it"
        )
        raise Blocked(msg, reason="CannotPublishConnectionDetails")


def _secret(mr: ManagedResource, key: Key, data: Mapping[str, str]) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "namespace": key.namespace,
            "name": key.name,
            "ownerReferences": [mr.as_controller()],
        },
        "type": meta.CONNECTION_SECRET_TYPE,
        "data": dict(data),
    }
