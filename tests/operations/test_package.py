"""The Crossplane package, read back as a registry and Crossplane's package manager read it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from xpkg import PackageError, build
from xpkg.__main__ import main

from tests.operations.helm import ROOT, Obj

LABEL = "io.crossplane.xpkg"


class Archive:
    """An image's archive, taken apart without the code that made it."""

    def __init__(self, path: Path) -> None:
        with tarfile.open(path) as archive:
            self.files = {
                member.name: stream.read()
                for member in archive
                if (stream := archive.extractfile(member)) is not None
            }
        for name, content in self.files.items():
            if name.startswith("blobs/sha256/"):
                assert hashlib.sha256(content).hexdigest() == name.rpartition("/")[2]
        (top,) = self._json("index.json")["manifests"]
        self.manifest = self._blob(top)
        self.config = self._blob(self.manifest["config"])
        assert self._json("oci-layout") == {"imageLayoutVersion": "1.0.0"}

    def _json(self, name: str) -> Any:
        return json.loads(self.files[name])

    def blob(self, descriptor: Obj) -> bytes:
        content = self.files[f"blobs/{descriptor['digest'].replace(':', '/')}"]
        assert len(content) == descriptor["size"]
        return content

    def _blob(self, descriptor: Obj) -> Any:
        return json.loads(self.blob(descriptor))

    @property
    def layers(self) -> list[Obj]:
        layers: list[Obj] = self.manifest["layers"]
        return layers

    def content(self, layer: Obj) -> tarfile.TarFile:
        return tarfile.open(fileobj=io.BytesIO(gzip.decompress(self.blob(layer))))

    def marked(self, mark: str) -> Obj:
        """Return the one layer that the package manager finds by its annotation."""
        (found,) = [x for x in self.layers if x.get("annotations", {}).get(LABEL) == mark]
        return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("xpkg") / "dist" / "provider-discord.xpkg"
    assert main(["--output", str(path), "--tag", "registry.example.org/provider-discord:v0.1.0"]) == 0
    return path


def documents(archive: Archive, layer: Obj, name: str) -> list[Obj]:
    with archive.content(layer) as content:
        (member,) = content.getmembers()
        assert (member.name, member.mode, member.isfile()) == (name, 0o644, True)
        stream = content.extractfile(member)
        assert stream is not None
        return list(yaml.safe_load_all(stream.read()))


def test_the_package_layer_holds_the_stream_and_is_marked(built: Path) -> None:
    archive = Archive(built)
    layer = archive.marked("base")
    assert archive.config["config"]["Labels"][f"{LABEL}:{layer['digest']}"] == "base"
    meta, *rest = documents(archive, layer, "package.yaml")
    assert (meta["apiVersion"], meta["kind"]) == ("meta.pkg.crossplane.io/v1", "Provider")
    assert meta["metadata"]["name"] == "provider-discord"
    assert meta["spec"]["capabilities"] == ["safe-start"]
    generated = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "package" / "crds").glob("*"))]
    assert generated
    assert rest == generated


def test_the_examples_layer_holds_the_examples(built: Path) -> None:
    archive = Archive(built)
    layer = archive.marked("upbound")
    assert archive.config["config"]["Labels"][f"{LABEL}:{layer['digest']}"] == "upbound"
    names = {obj["metadata"]["name"] for obj in documents(archive, layer, ".up/examples.yaml")}
    assert {"staff-chat", "my-guild"} <= names


def test_the_archive_is_dockers_as_well(built: Path) -> None:
    """`crossplane xpkg push` and `docker load` read this description; layers must not change on the way."""
    archive = Archive(built)
    (docker,) = json.loads(archive.files["manifest.json"])
    assert docker["RepoTags"] == ["registry.example.org/provider-discord:v0.1.0"]
    assert json.loads(archive.files[docker["Config"]]) == archive.config
    assert docker["Layers"] == [f"blobs/{layer['digest'].replace(':', '/')}" for layer in archive.layers]
    plain = [hashlib.sha256(gzip.decompress(archive.files[name])).hexdigest() for name in docker["Layers"]]
    assert [f"sha256:{digest}" for digest in plain] == archive.config["rootfs"]["diff_ids"]


def test_the_same_input_gives_the_same_package(built: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.xpkg"
    main(["--output", str(again), "--tag", "registry.example.org/provider-discord:v0.1.0"])
    assert again.read_bytes() == built.read_bytes()


def runtime(path: Path, *, spoil: bool = False) -> Path:
    """Write an image as `docker save` does: one layer compressed, one not."""
    layers = []
    for name in ("bin/provider-discord", "etc/passwd"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.addfile(tarfile.TarInfo(name))
        layers.append(buffer.getvalue())
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["provider-discord"], "User": "2000:2000", "Labels": {"a": "b"}},
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers],
        },
        "history": [{"created_by": "one"}, {"created_by": "two"}],
    }
    files = {
        "config.json": json.dumps(config).encode(),
        "1/layer.tar": b"spoilt" if spoil else layers[0],
        "2/layer.tar": gzip.compress(layers[1]),
        "manifest.json": json.dumps(
            [{"Config": "config.json", "RepoTags": None, "Layers": ["1/layer.tar", "2/layer.tar"]}]
        ).encode(),
    }
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_the_providers_image_is_underneath_as_it_was(tmp_path: Path) -> None:
    output = tmp_path / "provider.xpkg"
    assert main(["--output", str(output), "--runtime", str(runtime(tmp_path / "image.tar"))]) == 0
    archive = Archive(output)
    assert archive.config["config"]["Entrypoint"] == ["provider-discord"]
    assert archive.config["config"]["User"] == "2000:2000"
    assert archive.config["config"]["Labels"]["a"] == "b"
    assert (archive.config["os"], archive.config["architecture"]) == ("linux", "amd64")
    names = []
    for layer in archive.layers:
        with archive.content(layer) as content:
            names += content.getnames()
    assert names == ["bin/provider-discord", "etc/passwd", "package.yaml", ".up/examples.yaml"]
    assert len(archive.config["history"]) == len(archive.config["rootfs"]["diff_ids"]) == 4


CRD = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
PROVIDER = "apiVersion: meta.pkg.crossplane.io/v1\nkind: Provider\n"


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"a.yaml": CRD}, "exactly one"),
        ({"a.yaml": PROVIDER, "b.yaml": PROVIDER, "c.yaml": CRD}, "exactly one"),
        ({"a.yaml": PROVIDER.replace("Provider", "Function"), "c.yaml": CRD}, "exactly one"),
        ({"a.yaml": PROVIDER}, "make generate"),
        ({"a.yaml": PROVIDER, "b.yaml": f"{CRD}---\napiVersion: v1\nkind: Secret\n"}, "holds a Secret"),
        ({"a.yaml": PROVIDER, "b.yaml": "a: {"}, "can't be read"),
        ({"a.yaml": PROVIDER, "b.yaml": "- a"}, "no Kubernetes object"),
    ],
)
def test_what_crossplane_would_refuse_is_not_built(
    files: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(PackageError, match=complaint):
        build(package=tmp_path)


def test_a_broken_runtime_image_is_told_from_a_good_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoilt = runtime(tmp_path / "spoilt.tar", spoil=True)
    assert main(["--output", str(tmp_path / "x.xpkg"), "--runtime", str(spoilt)]) == 1
    assert "save the image again" in capsys.readouterr().err
    (tmp_path / "text.tar").write_text("no archive")
    assert main(["--output", str(tmp_path / "x.xpkg"), "--runtime", str(tmp_path / "text.tar")]) == 1
    assert "docker save" in capsys.readouterr().err
    assert not (tmp_path / "x.xpkg").exists()
