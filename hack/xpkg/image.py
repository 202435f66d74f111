"""Container images as archives: read what `docker save` writes, write what everybody reads.

The archive that is written is an OCI image layout and carries Docker's `manifest.json` as well, like those of Docker
since release 25. So `crossplane xpkg push`, `crane push` and `docker load` take it, and `skopeo copy oci-archive:`
too, and all of them find the layers with the very digests that they have here. The same input gives the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from xpkg.errors import PackageError

_OCI: Final = "application/vnd.oci.image"
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer: what is in it and where it is marked.

    Attributes:
        blob: The archive, compressed.
        diff_id: `sha256:` and the digest of the archive before compression.
        media_type: What kind of archive it is.
        annotations: Of the layer, in the manifest.
    """

    blob: bytes = field(repr=False)
    diff_id: str
    media_type: str = f"{_OCI}.layer.v1.tar+gzip"
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """`sha256:` and the digest of the blob, by which manifests and registries know it."""
        return digest(self.blob)

    @classmethod
    def of_file(cls, name: str, content: bytes, *, annotations: Mapping[str, str]) -> Self:
        """Make a layer that holds one file, readable by everybody."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(content))
        plain = buffer.getvalue()
        return cls(blob=gzip.compress(plain, mtime=0), diff_id=digest(plain), annotations=dict(annotations))

    @classmethod
    def of_archive(cls, blob: bytes, *, diff_id: str) -> Self:
        """Take a layer of another image, whose own `diff_id` is known; compress it if it is not yet.

        Raises:
            PackageError: it is not the layer of that `diff_id`.
        """
        if blob.startswith(_ZSTD):
            return cls(blob=blob, diff_id=diff_id, media_type=f"{_OCI}.layer.v1.tar+zstd")
        try:
            plain = gzip.decompress(blob) if blob.startswith(_GZIP) else blob
        except (OSError, EOFError, zlib.error) as error:
            msg = f"a layer of the runtime image can't be decompressed: {error}; save the image again"
            raise PackageError(msg) from error
        if digest(plain) != diff_id:
            msg = f"a layer of the runtime image is {digest(plain)}, not {diff_id} as its configuration says; save the image again"
            raise PackageError(msg)
        return cls(blob=blob if plain is not blob else gzip.compress(plain, mtime=0), diff_id=diff_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image for one platform: its configuration and its layers, the lowest first."""

    config: Mapping[str, Any]
    layers: tuple[Layer, ...] = ()

    @classmethod
    def empty(cls) -> Self:
        """Return an image without layers, for no platform in particular."""
        return cls(
            config={
                "architecture": "",
                "os": "",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": []},
                "history": [],
            }
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `docker save`, `podman save` or BuildKit (`--output type=docker`) wrote.

        Raises:
            PackageError: It is no such archive, or holds several images.
        """
        try:
            with tarfile.open(path) as archive:
                manifests = json.loads(_member(archive, "manifest.json"))
                if len(manifests) != 1:
                    msg = f"{path} holds {len(manifests)} images; save one image only"
                    raise PackageError(msg)
                config = json.loads(_member(archive, manifests[0]["Config"]))
                diff_ids = config["rootfs"]["diff_ids"]
                layers = tuple(
                    Layer.of_archive(_member(archive, name), diff_id=diff_id)
                    for name, diff_id in zip(manifests[0]["Layers"], diff_ids, strict=True)
                )
        except (OSError, tarfile.TarError, KeyError, ValueError, TypeError) as error:
            msg = f"{path} is no archive of an image ({error}); write one with `docker save --output {path} IMAGE`"
            raise PackageError(msg) from error
        return cls(config=config, layers=layers)

    def with_layer(self, layer: Layer, *, label: tuple[str, str], comment: str) -> Self:
        """Return this image with one more layer on top, and a label in its configuration."""
        config = {
            **self.config,
            "config": {**(self.config.get("config") or {})},
            "rootfs": {"type": "layers", "diff_ids": [*self.config["rootfs"]["diff_ids"], layer.diff_id]},
            "history": [*(self.config.get("history") or []), {"created_by": comment}],
        }
        config["config"]["Labels"] = {**(config["config"].get("Labels") or {}), label[0]: label[1]}
        return type(self)(config=config, layers=(*self.layers, layer))

    def write(self, path: Path, *, tag: str = "") -> None:
        """Write the image as an archive; `tag` is the name that `docker load` gives it.

        Raises:
            OSError: It can't be written.
        """
        config = _json(self.config)
        manifest = _json(
            {
                "schemaVersion": 2,
                "mediaType": f"{_OCI}.manifest.v1+json",
                "config": _descriptor(f"{_OCI}.config.v1+json", config),
                "layers": [
                    _descriptor(layer.media_type, layer.blob, annotations=layer.annotations)
                    for layer in self.layers
                ],
            }
        )
        name = {"org.opencontainers.image.ref.name": tag.rpartition(":")[2], "io.containerd.image.name": tag}
        top = _descriptor(f"{_OCI}.manifest.v1+json", manifest, annotations=name if tag else {})
        blobs = {_blob(digest(blob)): blob for blob in (config, manifest, *(x.blob for x in self.layers))}
        docker = {
            "Config": _blob(digest(config)),
            "RepoTags": [tag] if tag else [],
            "Layers": [_blob(layer.digest) for layer in self.layers],
        }
        files = {
            **dict(sorted(blobs.items())),
            "index.json": _json(
                {"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": [top]}
            ),
            "manifest.json": _json([docker]),
            "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
            for member, content in files.items():
                entry = tarfile.TarInfo(member)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))


def digest(blob: bytes) -> str:
    """Return `sha256:` and the digest."""
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _descriptor(
    media_type: str, blob: bytes, *, annotations: Mapping[str, str] | None = None
) -> dict[str, Any]:
    made: dict[str, Any] = {"mediaType": media_type, "digest": digest(blob), "size": len(blob)}
    if annotations:
        made["annotations"] = dict(annotations)
    return made


def _blob(name: str) -> str:
    return f"blobs/{name.replace(':', '/')}"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    found = archive.extractfile(name)
    if found is None:
        msg = f"{name} is no file"
        raise KeyError(msg)
    return found.read()
