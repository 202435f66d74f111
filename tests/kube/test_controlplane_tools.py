"""The control plane's programs are found where they are, else built once, and whoever can't build is told why."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from controlplane import BuildFailed, Tool, ToolMissing, tools
from controlplane.__main__ import main

GO = """#!/bin/sh
# Stands in for Go: writes the program that `-o` names.
[ "$1" = env ] && { [ -z "$GO_TOO_OLD" ] || { echo "go.mod requires go >= 1.26.0" >&2; exit 1; }; exit 0; }
while [ "$1" != -o ]; do shift; done
echo example.org/some/package >&2
[ -z "$GO_FAILS" ] || { echo "undefined: Frobnicate" >&2; exit 1; }
echo built >> "$GO_LOG"
sleep 0.2
echo '#!/bin/sh' > "$2" && chmod +x "$2"
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROVIDER_DISCORD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GO_LOG", str(tmp_path / "builds"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    for name in ("KUBEBUILDER_ASSETS", "CI"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache" / "tools"


@pytest.fixture
def go(cache: Path, tmp_path: Path) -> Path:
    return executable(tmp_path / "bin" / "go", GO)


def executable(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_every_program_has_one_pinned_release() -> None:
    assert {tool.value: tools.version(tool) for tool in Tool} == {
        "etcd": "v3.6.8",
        "kube-apiserver": "v1.36.3",
        "kube-controller-manager": "v1.36.3",
        "kubectl": "v1.36.3",
        "prometheus": "v0.316.0",
        "promtool": "v0.316.0",
        "helm": "v3.22.0",
        "kubeconform": "v0.8.0",
    }


@pytest.mark.usefixtures("cache")
def test_the_users_own_binaries_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tools.find(Tool.ETCD) is None
    executable(tools.cache_folder() / f"etcd-{tools.version(Tool.ETCD)}")
    on_path = executable(tmp_path / "bin" / "kubectl")
    assert tools.find(Tool.KUBECTL) == on_path

    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    for name in ("etcd", "kubectl"):
        executable(tmp_path / "assets" / name)

    assert tools.find(Tool.ETCD) == tmp_path / "assets" / "etcd"
    assert tools.find(Tool.KUBECTL) == tmp_path / "assets" / "kubectl"


@pytest.mark.parametrize(
    ("says", "fits"),
    [("v3.17.0+g301108e", True), ("v3.22.0", True), ("v3.9.4", False), ("v4.0.1", False), ("", False)],
)
@pytest.mark.usefixtures("cache")
def test_a_helm_on_the_path_counts_if_its_release_will_do(says: str, fits: bool, tmp_path: Path) -> None:
    on_path = executable(tmp_path / "bin" / "helm", f"#!/bin/sh\necho {says}\n")
    assert tools.find(Tool.HELM) == (on_path if fits else None)


@pytest.mark.usefixtures("go")
def test_what_is_missing_is_built_once(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "PROGRESS_SECONDS", 0.05)
    told: list[str] = []

    def build() -> None:
        tools.ensure([Tool.ETCD], report=told.append)

    builders = [threading.Thread(target=build) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(timeout=10)

    assert (tmp_path / "builds").read_text() == "built\n", "two builders at once build once"
    assert tools.find(Tool.ETCD) == cache / "etcd-v3.6.8"
    assert sorted(path.name for path in cache.iterdir()) == ["build.lock", "etcd-v3.6.8"]
    assert "Building etcd v3.6.8 from source, once: up to 45 s" in "\n".join(told)
    assert "Another process is building" in "\n".join(told)
    assert any("1 packages compiled (about 45 s in all)" in line for line in told), "shows that it goes on"


@pytest.mark.usefixtures("go")
def test_failed_build_leaves_nothing_and_ends_with_the_compilers_words(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GO_FAILS", "1")
    with pytest.raises(BuildFailed, match=r"kube-apiserver ended with 1: undefined: Frobnicate$"):
        tools.ensure([Tool.APISERVER], report=lambda _: None)
    assert [path.name for path in cache.iterdir()] == ["build.lock"]


@pytest.mark.usefixtures("go")
def test_go_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GO_TOO_OLD", "1")
    with pytest.raises(ToolMissing, match=r"Install Go 1\.26 .* Go says: go\.mod requires go >= 1\.26\.0"):
        tools.ensure([Tool.APISERVER], report=lambda _: None)


@pytest.mark.usefixtures("cache")
def test_command_says_what_to_install_without_go(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["tools"]) == 1
    said = capsys.readouterr().err
    assert "there is no `go` on the PATH" in said
    assert "KUBEBUILDER_ASSETS" in said

    assert main(["tools", "--optional"]) == 0, "tests that need it skip, and say so"
    monkeypatch.setenv("CI", "true")
    assert main(["tools", "--optional"]) == 1, "in CI nothing is skipped in silence"
    assert os.environ["PATH"] == str(tmp_path)
