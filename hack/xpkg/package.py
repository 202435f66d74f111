"""What goes into the package, and whether Crossplane would take it.

Crossplane's linter refuses a package that does not have exactly one `meta.pkg.crossplane.io` object, and a Provider
that holds anything but CRDs, managed resource definitions and webhook configurations; so does this.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from xpkg.errors import PackageError
from xpkg.image import Image, Layer

MARK: Final = "io.crossplane.xpkg"
_META: Final = "meta.pkg.crossplane.io/"
_ALLOWED: Final = {
    "CustomResourceDefinition",
    "ManagedResourceDefinition",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
}


def build(*, package: Path, examples: Path | None = None, runtime: Path | None = None) -> Image:
    """Put the package's image together.

    Args:
        package: The folder with `crossplane.yaml` and the CRDs.
        examples: The folder of manifests that a registry shows.
        runtime: The provider's image, as `docker save` writes it. Without it the package has no provider in it, and
            its installation names another image (`DeploymentRuntimeConfig`).

    Raises:
        PackageError: Crossplane would not take it, or something is missing.
    """
    image = Image.read(runtime) if runtime is not None else Image.empty()
    image = _marked(image, "package.yaml", _stream(package), mark="base")
    if examples is not None:
        image = _marked(image, ".up/examples.yaml", _examples(examples), mark="upbound")
    return image


def _marked(image: Image, name: str, content: bytes, *, mark: str) -> Image:
    layer = Layer.of_file(name, content, annotations={MARK: mark})
    return image.with_layer(layer, label=(f"{MARK}:{layer.digest}", mark), comment=f"xpkg {name}")


def _stream(folder: Path) -> bytes:
    objects = _objects(folder)
    metas = [(path, obj) for path, obj in objects if str(obj.get("apiVersion", "")).startswith(_META)]
    if len(metas) != 1 or metas[0][1].get("kind") != "Provider":
        found = ", ".join(f"{obj.get('kind')} in {path}" for path, obj in metas) or "none"
        msg = f"{folder} must hold exactly one {_META}* Provider: {found}"
        raise PackageError(msg)
    rest = [(path, obj) for path, obj in objects if obj is not metas[0][1]]
    for path, obj in rest:
        if obj.get("kind") not in _ALLOWED:
            msg = f"{path} holds a {obj.get('kind')}; a Provider package holds {', '.join(sorted(_ALLOWED))} only: move it elsewhere"
            raise PackageError(msg)
    if not rest:
        msg = f"{folder} holds no CRDs; `make generate` writes them"
        raise PackageError(msg)
    return _yaml(obj for _, obj in [*metas, *rest])


def _examples(folder: Path) -> bytes:
    objects = _objects(folder)
    if not objects:
        msg = f"{folder} holds no manifests"
        raise PackageError(msg)
    return _yaml(obj for _, obj in objects)


def _objects(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    found: list[tuple[Path, dict[str, Any]]] = []
    for path in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
        try:
            documents = [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]
        except (OSError, yaml.YAMLError) as error:
            msg = f"{path} can't be read: {error}"
            raise PackageError(msg) from error
        for document in documents:
            if not isinstance(document, dict) or not document.get("kind"):
                msg = f"{path} holds something that is no Kubernetes object"
                raise PackageError(msg)
            found.append((path, document))
    return found


def _yaml(objects: Any) -> bytes:
    text: str = yaml.safe_dump_all(
        objects, sort_keys=False, explicit_start=True, allow_unicode=True, width=10_000
    )
    return text.encode()
