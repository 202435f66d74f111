"""``provider-discord backup``: every Discord object of a cluster as manifests that another cluster can be given.

``kubectl get -o yaml`` makes a poor backup: what kubectl remembers of the resourceVersion in it makes every later
``kubectl apply`` fail, and an owner reference whose owner's uid is not there gets the restored object
garbage-collected within seconds, and what it stands for deleted at Discord. So what belongs to this cluster and
this moment is left out, and everything that tells which thing at Discord an object is stays: the external name,
the record of an unfinished create, the digests of images. What is restored adopts what is there; nothing is
written at Discord for it.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml

from provider_discord.apis.kinds import CHANNEL, GUILD, PROVIDER_CONFIG, ROLE
from provider_discord.kinds.registry import resource_of
from provider_discord.kube.access import Obj, ObjectAccess
from provider_discord.kube.client import connect
from provider_discord.kube.errors import ApiError, KubeConfigError, KubeError
from provider_discord.kube.resource import Resource
from provider_discord.managed import meta

CONFIG: Final = resource_of(PROVIDER_CONFIG)
KINDS: Final[tuple[Resource, ...]] = tuple(resource_of(kind) for kind in (GUILD, ROLE, CHANNEL))
"""What refers to others comes after them; any order converges, this one is quickest."""

KEPT_METADATA: Final = ("name", "namespace", "labels", "annotations")
DROPPED_ANNOTATIONS: Final = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        meta.RECONCILE_REQUESTED_AT,
        meta.RECONCILE_TRIGGER,
        meta.CREATED,
        meta.DELETE_ATTEMPT,
    }
)
"""What only meant something to the object that is gone: kubectl's memory, passes that were asked for
once, what that very object had made, and that it was being deleted."""
_NO_TEXT_IN_GO: Final = re.compile(r"[-+.]*[0-9]|[yYnN]\Z")
"""Plain scalars that Go's YAML may take for a number or a boolean, and PyYAML for text."""


def portable(obj: Obj) -> Obj:
    """Return the manifest of an object, without what ties it to its cluster: it can be applied to any other."""
    metadata: dict[str, Any] = {
        name: obj["metadata"][name] for name in KEPT_METADATA if obj["metadata"].get(name)
    }
    annotations = {
        name: value for name, value in meta.annotations_of(obj).items() if name not in DROPPED_ANNOTATIONS
    }
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "metadata": metadata,
        "spec": obj.get("spec") or {},
    }


def manifests(objects: Iterable[Obj]) -> list[Obj]:
    """Return what to write: the namespaces that the objects live in, then the objects, always in the same order."""
    kept = [portable(obj) for obj in objects]
    order = {resource.kind: number for number, resource in enumerate((CONFIG, *KINDS))}
    kept.sort(key=lambda obj: (order[obj["kind"]], _namespace(obj), obj["metadata"]["name"]))
    namespaces = sorted({_namespace(obj) for obj in kept} - {""})
    return [
        *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in namespaces),
        *kept,
    ]


class _Dumper(yaml.SafeDumper):
    """YAML that Go's parser reads as it was meant, too: to kubectl a bare ``1e3`` is a number and ``y`` is true."""


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
    style = "'" if _NO_TEXT_IN_GO.match(data) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _text)


def to_yaml(documents: Iterable[Obj]) -> str:
    """Return documents as YAML, keys in the order they were given."""
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000)


def needed(objects: Iterable[Obj]) -> list[str]:
    """Return the Secrets and ConfigMaps that the objects read, as ``Secret namespace/name``: they are not in a backup."""
    found: set[str] = set()
    for obj in objects:
        for kind, source in _sources(obj.get("spec")):
            found.add(f"{kind} {source.get('namespace') or _namespace(obj)}/{source['name']}")
    return sorted(found)


def _sources(value: object) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        for key, one in value.items():
            kind = {"secretRef": "Secret", "secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"}.get(key)
            if kind is not None and isinstance(one, dict) and one.get("name"):
                yield kind, one
            else:
                yield from _sources(one)
    elif isinstance(value, list):
        for one in value:
            yield from _sources(one)


def _namespace(obj: Obj) -> str:
    return str(obj["metadata"].get("namespace") or "")


def read(access: ObjectAccess, *, namespace: str | None) -> list[Obj]:
    """Read every object, page by page.

    Args:
        access: The cluster.
        namespace: Only the managed resources of this namespace; ProviderConfigs are cluster-wide and come always.

    Raises:
        KubeError: Something could not be read; half a backup is none.
    """
    return [
        obj
        for resource in (CONFIG, *KINDS)
        for obj in _all(access, resource, None if resource is CONFIG else namespace)
    ]


def _all(access: ObjectAccess, resource: Resource, namespace: str | None) -> Iterator[Obj]:
    token = ""
    while True:
        page = access.list_page(resource, namespace=namespace, limit=100, continue_token=token)
        for obj in page.items:
            # Items of a list carry neither.
            yield {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
        token = page.continue_token
        if not token:
            return


def backup(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write here, whole or not at all. Default: print it."
        ),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Only objects of this namespace. Default: all.")
    ] = None,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(envvar="KUBECONFIG", help="The cluster. Default: the pod's service account."),
    ] = None,
    context: Annotated[
        str | None, typer.Option(envvar="KUBE_CONTEXT", help="A context of the kubeconfig.")
    ] = None,
) -> None:
    """Write every Guild, Role, Channel and ProviderConfig as manifests to restore from.

    Restore with `kubectl apply --server-side -f FILE`. Secrets are not in it: their names are told on stderr.
    """
    try:
        objects = read(
            connect(kubeconfig, context, user_agent="provider-discord-backup"), namespace=namespace
        )
    except (KubeConfigError, KubeError) as error:
        typer.echo(f"error: nothing was written: {_told(error)}", err=True)
        raise typer.Exit(1) from None
    text = to_yaml(manifests(objects))
    if output is None:
        sys.stdout.write(text)
    else:
        try:
            _write_whole(output, text)
        except OSError as error:
            typer.echo(f"error: cannot write {output}: {error.strerror}", err=True)
            raise typer.Exit(1) from None
    _tell(objects, output)


def _told(error: Exception) -> str:
    if isinstance(error, ApiError) and error.status == 404:
        return f"{error} (are the CustomResourceDefinitions installed?)"
    return str(error)


def _write_whole(path: Path, text: str) -> None:
    """Put the text in the place of the file at once, so that a backup that fails leaves the last one."""
    handle, name = tempfile.mkstemp(dir=path.parent or Path(), prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _tell(objects: Sequence[Obj], output: Path | None) -> None:
    counts = ", ".join(
        f"{sum(obj['kind'] == resource.kind for obj in objects)} {resource.plural}"
        for resource in (CONFIG, *KINDS)
    )
    typer.echo(f"{'written to ' + str(output) if output else 'printed'}: {counts}", err=True)
    for name in needed(objects):
        typer.echo(f"not in it, keep it elsewhere: {name}", err=True)
    for obj in objects:
        where = f"{obj['kind']} {_namespace(obj)}/{obj['metadata']['name']}"
        if meta.is_deleting(obj):
            typer.echo(f"note: {where} is being deleted; it is in the backup all the same", err=True)
