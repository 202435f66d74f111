"""The control plane itself: etcd, kube-apiserver and, if wanted, kube-controller-manager, on loopback.

Everything lives in one data folder: etcd's data, keys and certificates, one log a component, the kubeconfig. Ports
are free ones; the rare race for a port is settled by another try. `~/.kube` is neither read nor written. Whatever
becomes of the process that called `start()`, the watchdog ends the components after it.
"""

from __future__ import annotations

import http.client
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from controlplane.access import APPLY_PATCH, Endpoint, client_certificate
from controlplane.certificates import Authority, service_account_key, write_private
from controlplane.errors import ApiRefused, ControlPlaneError, KubectlFailed
from controlplane.processes import Component, PortTaken, Watchdog, free_port
from controlplane.tools import Report, Tool, ensure, to_stderr

_PORT_TRIES = 5
_START_SECONDS = 60.0
_STOP_SECONDS = 2.0
_ADMINISTRATORS = "system:masters"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class ControlPlane:
    """A Kubernetes control plane of one's own, also a context manager.

    Args:
        controller_manager: also run the controllers that complete the deletion of namespaces, collect what
            owner references leave behind, and aggregate cluster roles.
        crds: files, or folders of `*.yaml` files, whose CRDs are applied at the start; see `apply_crds`.
        apiserver_flags: further flags of kube-apiserver, such as `--audit-log-path=...`.
        data_folder: where to keep everything. The objects in it survive to the next start, credentials and
            port do not. Without one, a temporary folder is used and removed by `stop()`.
        report: told what is being built, should something have to be.
    """

    def __init__(
        self,
        *,
        controller_manager: bool = False,
        crds: Sequence[Path] = (),
        apiserver_flags: Sequence[str] = (),
        data_folder: Path | None = None,
        report: Report = to_stderr,
    ) -> None:
        self._with_controller_manager = controller_manager
        self._crds = tuple(crds)
        self._apiserver_flags = tuple(apiserver_flags)
        self._given_folder = data_folder
        self._report = report
        self._users: list[tuple[str, str, tuple[str, ...]]] = []
        self._watchdog = Watchdog()
        self._tools: dict[Tool, Path] = {}
        self._components: list[Component] = []
        self._apiserver_argv: list[str] = []
        self._started: _Started | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    # What it is.

    @property
    def data_folder(self) -> Path:
        """The folder that holds everything, logs included."""
        return self._running.folder

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; it needs no other file."""
        return self._running.folder / "kubeconfig"

    @property
    def endpoint(self) -> Endpoint:
        """The API server's address, its authority and the administrator's token."""
        return self._running.endpoint

    @property
    def url(self) -> str:
        """The API server's address."""
        return self._running.endpoint.url

    @property
    def token(self) -> str:
        """The administrator's bearer token (group system:masters)."""
        return self._running.endpoint.token

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of the components that run, by name."""
        return {part.name: part.pid for part in self._components if part.pid is not None}

    @property
    def ended(self) -> list[str]:
        """The components that ended by themselves, each with the tail of its log."""
        return [
            f"{part.name} ended by itself. Its log is {part.log}; the last lines:\n{part.log_tail()}"
            for part in self._components
            if part.pid is not None and not part.running
        ]

    # Start and stop.

    def add_user(self, *, token: str, name: str, groups: Sequence[str] = ()) -> None:
        """Let a bearer token stand for a user.

        The API server reads its tokens once, so this must precede `start()`: for a user later than that, see
        `kubeconfig_for`.
        """
        if self._started is not None:
            msg = (
                f"user {name} comes too late: the API server reads its tokens at start. Use kubeconfig_for()."
            )
            raise ControlPlaneError(msg)
        self._users.append((token, name, tuple(groups)))

    def start(self) -> None:
        """Start everything and return when it is ready: about 3 s.

        Raises:
            ToolMissing, BuildFailed: a program is not there and can't be built.
            StartFailed: a component did not come up. Its log is kept and its tail is in the message.
        """
        if self._started is not None:
            msg = "the control plane has been started already"
            raise ControlPlaneError(msg)
        tools = [Tool.ETCD, Tool.APISERVER]
        if self._with_controller_manager:
            tools.append(Tool.CONTROLLER_MANAGER)
        self._tools.update(ensure(tools, report=self._report))
        folder = self._given_folder or Path(tempfile.mkdtemp(prefix="provider-discord-controlplane-"))
        folder = folder.expanduser().resolve()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._watchdog.start()
        if self._given_folder is None:
            self._watchdog.tell(f"dir {folder}")
        try:
            self._start_in(folder)
        except BaseException:
            # Logs are what one wants to see now; so the folder stays.
            self._watchdog.tell("keep")
            self._end_components()
            raise

    def stop(self) -> None:
        """End everything, the API server before its store; remove the data folder if it was a temporary one."""
        folder = self._started.folder if self._started else None
        self._end_components()
        if folder is not None and self._given_folder is None:
            shutil.rmtree(folder, ignore_errors=True)

    def stop_apiserver(self, *, kill: bool = False) -> None:
        """Take the API server away; its data stay in etcd. With `kill`, at once and without a goodbye.

        Asked nicely, it refuses new requests at once but waits for open watches, a minute at most: they are cut
        after two seconds here.
        """
        self._component(Tool.APISERVER).stop(grace_seconds=0 if kill else _STOP_SECONDS)

    def start_apiserver(self) -> None:
        """Bring the API server back on the same port with the same data; returns when it is ready."""
        self._run_apiserver(self._component(Tool.APISERVER), self._running.endpoint)

    # Use.

    def request(
        self, method: str, path: str, *, body: Any = None, content_type: str = "application/json"
    ) -> Any:
        """Send one request as administrator; see `Endpoint.request`."""
        return self.endpoint.request(method, path, body=body, content_type=content_type)

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - as in subprocess.run
        check: bool = True,
        kubeconfig: Path | None = None,
        timeout_seconds: float = 60.0,
    ) -> str:
        """Run kubectl and return what it printed.

        Args:
            arguments: what one would type after `kubectl`.
            input: text for its standard input, for `-f -`.
            check: raise on a non-zero exit status; otherwise complaints are returned after the output.
            kubeconfig: somebody else's kubeconfig than the administrator's.
            timeout_seconds: after which it is ended and subprocess.TimeoutExpired raised.

        Raises:
            KubectlFailed: it failed and `check` is set.
            ToolMissing, BuildFailed: there is no kubectl and it can't be built.
        """
        if Tool.KUBECTL not in self._tools:
            self._tools.update(ensure([Tool.KUBECTL], report=self._report))
        ran = subprocess.run(
            [self._tools[Tool.KUBECTL], *arguments],
            input=input,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_seconds,
            env={
                **os.environ,
                "KUBECONFIG": str(kubeconfig or self.kubeconfig),
                "KUBECACHEDIR": str(self.data_folder / "kubectl-cache"),
                "KUBERC": "off",
            },
        )
        if check and ran.returncode != 0:
            raise KubectlFailed(arguments, returncode=ran.returncode, stdout=ran.stdout, stderr=ran.stderr)
        return ran.stdout if check else ran.stdout + ran.stderr

    def kubeconfig_for(self, name: str, *, groups: Sequence[str] = ()) -> Path:
        """Return a new kubeconfig for any user, at any time, by client certificate; rights come from RBAC."""
        running = self._running
        pair = running.certificates.client(name=name, groups=groups)
        path = running.folder / f"kubeconfig-{re.sub(r'[^A-Za-z0-9.-]+', '-', name)}"
        running.endpoint.write_kubeconfig(path, user=name, credentials=client_certificate(pair))
        return path

    def apply_crds(self, *paths: Path) -> list[str]:
        """Apply CRDs from files, or from folders of `*.yaml` files, wait until they are served, return their names.

        The garbage collector looks for new kinds only every 30 s, so if there are any, the controller manager
        is started anew: owner references then count at once.

        Raises:
            ApiRefused: the API server refuses one.
            ControlPlaneError: one was not established within 30 s, or there is something else in a file.
        """
        files = [
            file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])
        ]
        known = {crd["metadata"]["name"] for crd in self.request("GET", _CRDS)["items"]}
        names: list[str] = []
        for file in files:
            for document in yaml.safe_load_all(file.read_text()):
                if not document:
                    continue
                if document.get("kind") != "CustomResourceDefinition":
                    msg = f"{file} holds a {document.get('kind')}, where only CRDs are expected"
                    raise ControlPlaneError(msg)
                names.append(document["metadata"]["name"])
                self.request(
                    "PATCH",
                    f"{_CRDS}/{names[-1]}?fieldManager=controlplane&force=true",
                    body=document,
                    content_type=APPLY_PATCH,
                )
        deadline = time.monotonic() + 30
        for name in names:
            while not _established(self.request("GET", f"{_CRDS}/{name}")):
                if time.monotonic() > deadline:
                    msg = f"the CRD {name} is not established after 30 s; see `kubectl describe crd {name}`"
                    raise ControlPlaneError(msg)
                time.sleep(0.02)
        manager = next(
            (part for part in self._components if part.name == Tool.CONTROLLER_MANAGER.value), None
        )
        if manager is not None and not known.issuperset(names):
            manager.stop(grace_seconds=_STOP_SECONDS)
            self._run_controller_manager(manager)
        return names

    # How it is done.

    @property
    def _running(self) -> _Started:
        if self._started is None:
            msg = "the control plane is not started"
            raise ControlPlaneError(msg)
        return self._started

    def _component(self, tool: Tool) -> Component:
        for component in self._components:
            if component.name == tool.value:
                return component
        msg = f"{tool.value} is not part of this control plane, or it is not started"
        raise ControlPlaneError(msg)

    def _new_component(self, tool: Tool, folder: Path) -> Component:
        component = Component(tool.value, log=folder / f"{tool.value}.log", watchdog=self._watchdog)
        self._components.append(component)
        return component

    def _start_in(self, folder: Path) -> None:
        certificates = Authority()
        token = secrets.token_urlsafe(24)
        self._write_credentials(folder, certificates, token)
        etcd = self._new_component(Tool.ETCD, folder)
        etcd_port = _on_free_port(lambda port: self._run_etcd(etcd, folder, port))
        apiserver = self._new_component(Tool.APISERVER, folder)

        def run_apiserver(port: int) -> None:
            self._apiserver_argv = self._apiserver_command(folder, etcd_port=etcd_port, port=port)
            self._run_apiserver(apiserver, Endpoint(port=port, authority=certificates.pem, token=token))

        endpoint = Endpoint(port=_on_free_port(run_apiserver), authority=certificates.pem, token=token)
        endpoint.write_kubeconfig(folder / "kubeconfig", user="admin", credentials={"token": token})
        self._started = _Started(folder=folder, endpoint=endpoint, certificates=certificates)
        self.apply_crds(*self._crds)
        if self._with_controller_manager:
            self._run_controller_manager(self._new_component(Tool.CONTROLLER_MANAGER, folder))

    def _write_credentials(self, folder: Path, certificates: Authority, token: str) -> None:
        serving = certificates.server()
        users = [(token, "admin", (_ADMINISTRATORS,)), *self._users]
        lines = [f'{secret},{name},{name},"{",".join(groups)}"\n' for secret, name, groups in users]
        (folder / "ca.crt").write_bytes(certificates.pem)
        (folder / "serving.crt").write_bytes(serving.certificate)
        write_private(folder / "serving.key", serving.key)
        write_private(folder / "service-account.key", service_account_key())
        write_private(folder / "tokens.csv", "".join(lines))

    def _run_etcd(self, etcd: Component, folder: Path, port: int) -> None:
        url = f"http://127.0.0.1:{port}"
        etcd.start(
            [
                str(self._tools[Tool.ETCD]),
                "--name=controlplane",
                f"--data-dir={folder / 'etcd'}",
                f"--listen-client-urls={url}",
                f"--advertise-client-urls={url}",
                # There are no peers; this port is of etcd's own choosing.
                "--listen-peer-urls=http://127.0.0.1:0",
                "--unsafe-no-fsync",
            ]
        )
        etcd.wait_until(lambda: _etcd_healthy(port), timeout_seconds=_START_SECONDS)

    def _apiserver_command(self, folder: Path, *, etcd_port: int, port: int) -> list[str]:
        return [
            str(self._tools[Tool.APISERVER]),
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={port}",
            f"--etcd-servers=http://127.0.0.1:{etcd_port}",
            f"--tls-cert-file={folder / 'serving.crt'}",
            f"--tls-private-key-file={folder / 'serving.key'}",
            f"--client-ca-file={folder / 'ca.crt'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            # Nothing here makes the default service accounts that this plugin waits for.
            "--disable-admission-plugins=ServiceAccount",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder / 'service-account.key'}",
            f"--service-account-signing-key-file={folder / 'service-account.key'}",
            "--service-cluster-ip-range=10.96.0.0/16",
            # No other API servers to share an Endpoints object with, which it would take its time to leave.
            "--endpoint-reconciler-type=none",
            "--profiling=false",
            *self._apiserver_flags,
        ]

    def _run_apiserver(self, apiserver: Component, endpoint: Endpoint) -> None:
        apiserver.start(self._apiserver_argv)
        apiserver.wait_until(lambda: _serves(endpoint), timeout_seconds=_START_SECONDS)

    def _run_controller_manager(self, manager: Component) -> None:
        # It serves nothing, so there is nothing to wait for: what it does, it does within a second or two.
        manager.start(
            [
                str(self._tools[Tool.CONTROLLER_MANAGER]),
                f"--kubeconfig={self.kubeconfig}",
                "--controllers=garbage-collector-controller,namespace-controller,clusterrole-aggregation-controller",
                "--use-service-account-credentials=false",
                "--leader-elect=false",
                "--secure-port=0",
                "--kube-api-qps=500",
                "--kube-api-burst=1000",
            ]
        )

    def _end_components(self) -> None:
        for component in reversed(self._components):
            component.stop(grace_seconds=_STOP_SECONDS)
        self._components.clear()
        self._started = None
        self._watchdog.stop()


class _Started:
    """What exists between start and stop only."""

    def __init__(self, *, folder: Path, endpoint: Endpoint, certificates: Authority) -> None:
        self.folder = folder
        self.endpoint = endpoint
        self.certificates = certificates


def _on_free_port(run: Callable[[int], None]) -> int:
    for _ in range(_PORT_TRIES - 1):
        port = free_port()
        try:
            run(port)
        except PortTaken:
            continue
        return port
    port = free_port()
    run(port)
    return port


def _etcd_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _serves(endpoint: Endpoint) -> bool:
    try:
        endpoint.request("GET", "/readyz", timeout_seconds=5)
        endpoint.request("GET", "/api/v1/namespaces/default", timeout_seconds=5)
    except (OSError, ApiRefused):
        return False
    return True


def _established(crd: Any) -> bool:
    # A CRD that nobody has looked at yet has `conditions: null`.
    conditions = crd.get("status", {}).get("conditions") or []
    return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)
