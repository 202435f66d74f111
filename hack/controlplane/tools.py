"""Finds the programs that development needs, or builds them once from the Go modules pinned in `hack/`.

Looked for, in this order: the folder that `KUBEBUILDER_ASSETS` names (as for controller-runtime's envtest),
the PATH for those of which any recent one will do (of the others exactly the pinned release is wanted),
and the cache: `$PROVIDER_DISCORD_CACHE/tools`, or `.cache/tools` in this repository. A build ends with a rename,
so the cache never holds half a program, and a file lock keeps two builders apart. What the go.mod files say is the
only place where a version is written; there are several, since no one set of dependencies suits all the programs.
"""

from __future__ import annotations

import collections
import contextlib
import enum
import fcntl
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from controlplane.errors import BuildFailed, ToolMissing

MODULE = Path(__file__).resolve().parent
REPOSITORY = MODULE.parents[1]
PROGRESS_SECONDS = 15.0

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a program comes from.

    Attributes:
        module: the Go module whose version is the program's.
        package: the Go package to build.
        build_seconds: how long that takes on two cores after the programs before it, nothing cached.
        folder: where the go.mod is that pins it.
        tags: what is left out of the program, or put in.
        any_release: one on the PATH will do, whatever its release.
        asked: with `any_release`, arguments that make it tell its release, where not quite any will do.
        fits: what it then must answer, as a regular expression.
    """

    module: str
    package: str
    build_seconds: int
    folder: Path = MODULE
    tags: str = "grpcnotrace"
    any_release: bool = False
    asked: tuple[str, ...] = ()
    fits: str = ""


_KUBERNETES = "k8s.io/kubernetes"
_ETCD = "go.etcd.io/etcd/server/v3"
_PROMETHEUS = "github.com/prometheus/prometheus"
_PROMETHEUS_FOLDER = MODULE.parent / "prometheus"
_HELM = "helm.sh/helm/v3"
_KUBECONFORM = "github.com/yannh/kubeconform"
_CHART_FOLDER = MODULE.parent / "charttools"


class Tool(enum.Enum):
    """The programs, in the order in which they are built."""

    ETCD = "etcd"
    APISERVER = "kube-apiserver"
    CONTROLLER_MANAGER = "kube-controller-manager"
    KUBECTL = "kubectl"
    PROMETHEUS = "prometheus"
    PROMTOOL = "promtool"
    HELM = "helm"
    KUBECONFORM = "kubeconform"


CONTROL_PLANE = (Tool.ETCD, Tool.APISERVER, Tool.CONTROLLER_MANAGER, Tool.KUBECTL)
"""What a test against a real API server needs."""

_SOURCES: Mapping[Tool, _Source] = {
    Tool.ETCD: _Source(_ETCD, _ETCD, 45),
    Tool.APISERVER: _Source(_KUBERNETES, f"{_KUBERNETES}/cmd/kube-apiserver", 300),
    Tool.CONTROLLER_MANAGER: _Source(_KUBERNETES, f"{_KUBERNETES}/cmd/kube-controller-manager", 60),
    Tool.KUBECTL: _Source(_KUBERNETES, f"{_KUBERNETES}/cmd/kubectl", 30, any_release=True),
    Tool.PROMETHEUS: _Source(
        *(_PROMETHEUS, f"{_PROMETHEUS}/cmd/prometheus", 120),
        folder=_PROMETHEUS_FOLDER,
        tags="remove_all_sd",
        any_release=True,
    ),
    Tool.PROMTOOL: _Source(
        *(_PROMETHEUS, f"{_PROMETHEUS}/cmd/promtool", 40),
        folder=_PROMETHEUS_FOLDER,
        tags="remove_all_sd",
        any_release=True,
    ),
    Tool.HELM: _Source(
        *(_HELM, f"{_HELM}/cmd/helm", 140),
        folder=_CHART_FOLDER,
        any_release=True,
        asked=("version", "--short"),
        # 3.17 brought --take-ownership; 4 applies on the server's side and is another program.
        fits=r"v3\.(1[7-9]|[2-9]\d)\.",
    ),
    Tool.KUBECONFORM: _Source(
        *(_KUBECONFORM, f"{_KUBECONFORM}/cmd/kubeconform", 10),
        folder=_CHART_FOLDER,
        any_release=True,
        asked=("-v",),
        fits=r"v?0\.([6-9]|\d\d)\.",
    ),
}

_GO_HELP = (
    "Install Go 1.26 or newer (https://go.dev/doc/install) and try again, or set KUBEBUILDER_ASSETS to a folder"
    " that holds etcd, kube-apiserver and kube-controller-manager, such as the one that `setup-envtest use -p path` prints."
)


def to_stderr(line: str) -> None:
    """Print a line of progress where it does not get into anybody's pipe."""
    print(line, file=sys.stderr, flush=True)


def cache_folder() -> Path:
    """Return where built programs are kept."""
    override = os.environ.get("PROVIDER_DISCORD_CACHE")
    return (Path(override).expanduser().resolve() if override else REPOSITORY / ".cache") / "tools"


def version(tool: Tool) -> str:
    """Return the pinned release of a program, for example `v1.36.3`."""
    source = _SOURCES[tool]
    manifest = source.folder / "go.mod"
    found = re.search(
        rf"^(?:\t|require ){re.escape(source.module)} (v\S+)", manifest.read_text(), re.MULTILINE
    )
    if found is None:
        msg = f"{manifest} does not require {source.module}"
        raise ToolMissing(msg)
    return found.group(1)


def find(tool: Tool) -> Path | None:
    """Return a program that is on this machine already, else None. Builds nothing."""
    candidates = []
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        candidates.append(Path(assets).expanduser().resolve() / tool.value)
    if _SOURCES[tool].any_release:
        on_path = shutil.which(tool.value)
        if on_path and _fits(tool, on_path):
            candidates.append(Path(on_path))
    candidates.append(_cached(tool))
    return next((path for path in candidates if os.access(path, os.X_OK) and path.is_file()), None)


@functools.cache
def _fits(tool: Tool, path: str) -> bool:
    """Tell whether a program's release is one that will do."""
    source = _SOURCES[tool]
    if not source.asked:
        return True
    try:
        answer = subprocess.run(
            [path, *source.asked],
            capture_output=True,
            text=True,
            check=False,
            timeout=10,
            env={"HOME": os.devnull},
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return re.match(source.fits, answer.stdout) is not None


def missing(tools: Iterable[Tool]) -> list[Tool]:
    """Return those programs that would have to be built."""
    wanted = set(tools)
    return [tool for tool in Tool if tool in wanted and find(tool) is None]


def ensure(tools: Iterable[Tool], *, report: Report = to_stderr) -> dict[Tool, Path]:
    """Find each program, building those that are missing.

    Args:
        tools: the programs wanted.
        report: told what is being built, how long it takes, and that it still goes on.

    Raises:
        ToolMissing: something has to be built and there is no Go, or one too old.
        BuildFailed: Go could not build it.
    """
    wanted = list(tools)
    lacking = missing(wanted)
    if lacking:
        go = _go(lacking)
        with _only_builder(report):
            to_build = missing(wanted)
            if to_build:
                _announce(to_build, report)
            for tool in to_build:
                _build(go, tool, report)
    found: dict[Tool, Path] = {}
    for tool in wanted:
        path = find(tool)
        if path is None:
            msg = f"{tool.value} was built but is not in {cache_folder()}: is something emptying that folder?"
            raise ToolMissing(msg)
        found[tool] = path
    return found


def _cached(tool: Tool) -> Path:
    return cache_folder() / f"{tool.value}-{version(tool)}"


def _go(tools: Iterable[Tool]) -> str:
    names = ", ".join(tool.value for tool in tools)
    go = shutil.which("go")
    if go is None:
        msg = f"Go is needed to build {names}, and there is no `go` on the PATH. {_GO_HELP}"
        raise ToolMissing(msg)
    for folder in {_SOURCES[tool].folder for tool in tools}:
        # Run inside the module, Go says itself whether it is new enough and may fetch a newer one.
        answer = subprocess.run(
            [go, "env", "GOVERSION"],
            cwd=folder,
            env=_go_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode != 0:
            msg = f"The Go at {go} can't build {names}. {_GO_HELP} Go says: {answer.stderr.strip()}"
            raise ToolMissing(msg)
    return go


def _go_environment() -> dict[str, str]:
    # No C compiler is needed then, and no workspace file above the repository gets in the way.
    return {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}


@contextlib.contextmanager
def _only_builder(report: Report) -> Iterator[None]:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("Another process is building tools; waiting for it.")
            started = time.monotonic()
            while not _locked_within(lock.fileno(), PROGRESS_SECONDS):
                report(f"  still waiting, {_spell(time.monotonic() - started)}")
        yield


def _locked_within(descriptor: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.2)
        else:
            return True
    return False


def _announce(tools: list[Tool], report: Report) -> None:
    names = ", ".join(f"{tool.value} {version(tool)}" for tool in tools)
    total = sum(_SOURCES[tool].build_seconds for tool in tools)
    report(
        f"Building {names} from source, once: up to {_spell(total)} on two cores, less where Go has"
        f" compiled them before. They are kept in {cache_folder()}."
    )


def _build(go: str, tool: Tool, report: Report) -> None:
    source = _SOURCES[tool]
    target = _cached(tool)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="build-") as folder:
        built = Path(folder) / tool.value
        process = subprocess.Popen(
            [
                go, "build", "-v", "-mod=readonly", "-buildvcs=false", "-trimpath", f"-tags={source.tags}",
                f"-ldflags={_linker_flags(tool)}", "-o", str(built), source.package,
            ],
            cwd=source.folder,
            env=_go_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )  # fmt: skip
        with _ended_on_error(process):
            output = _Output(process)
            while not output.ended_within(PROGRESS_SECONDS):
                report(
                    f"  {tool.value}: {_spell(time.monotonic() - started)}, {output.packages} packages compiled"
                    f" (about {_spell(source.build_seconds)} in all)"
                )
        if process.returncode != 0:
            msg = f"go build {source.package} ended with {process.returncode}: {output.tail()}"
            raise BuildFailed(msg)
        built.replace(target)
    report(f"  {tool.value}: built in {_spell(time.monotonic() - started)}")


@contextlib.contextmanager
def _ended_on_error(process: subprocess.Popen[str]) -> Iterator[None]:
    """Let no compiler run on when the waiting is broken off, by Ctrl-C for example."""
    try:
        yield
    except BaseException:
        process.terminate()
        process.wait()
        raise


class _Output:
    """Reads `go build -v`, which prints each package as it is compiled, and keeps the last lines for an error."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.packages = 0
        self._lines: collections.deque[str] = collections.deque(maxlen=20)
        self._process = process
        self._thread = threading.Thread(target=self._read, name="go-build-output", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            for line in stream:
                if re.fullmatch(r"[\w.~/-]+\n", line):
                    self.packages += 1
                else:
                    self._lines.append(line.rstrip())

    def ended_within(self, seconds: float) -> bool:
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        self._thread.join()
        return True

    def tail(self) -> str:
        return "\n".join(line for line in self._lines if not line.startswith("go: downloading"))


def _linker_flags(tool: Tool) -> str:
    flags = ["-s", "-w"]
    if _SOURCES[tool].module == _KUBERNETES:
        # An unstamped build calls itself v0.0.0-master: clients and feature emulation take that at its word.
        release = version(tool)
        major, minor, _ = release.removeprefix("v").split(".", 2)
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
            flags += [
                f"-X {package}.gitVersion={release}",
                f"-X {package}.gitMajor={major}",
                f"-X {package}.gitMinor={minor}",
                f"-X {package}.gitTreeState=clean",
            ]
    if _SOURCES[tool].module == _PROMETHEUS:
        # As a library v0.316.0 is what the program calls 3.16.0.
        _, number, patch = version(tool).split(".")
        release = f"{int(number) // 100}.{int(number) % 100}.{patch}"
        flags.append(f"-X github.com/prometheus/common/version.Version={release}")
    if tool is Tool.HELM:
        # Without a cluster, `helm template` and `helm lint` believe in Kubernetes 1.20 unless they are told better.
        client = re.search(
            r"^\tk8s\.io/client-go v0\.(\d+)\.", (_CHART_FOLDER / "go.mod").read_text(), re.MULTILINE
        )
        assert client is not None
        flags.append(f"-X {_HELM}/internal/version.version={version(tool)}")
        for package in ("pkg/chartutil", "pkg/lint/rules"):
            flags += [
                f"-X {_HELM}/{package}.k8sVersionMajor=1",
                f"-X {_HELM}/{package}.k8sVersionMinor={client.group(1)}",
            ]
    if tool is Tool.KUBECONFORM:
        flags.append(f"-X main.version={version(tool)}")
    return " ".join(flags)


def _spell(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
