"""The ground that all tests against Kubernetes stand on behaves as a cluster does, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from controlplane import ApiRefused, ControlPlane, ControlPlaneError, KubectlFailed

HACK = Path(__file__).resolve().parents[2] / "hack"

CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: rooms.controlplane.test
spec:
  group: controlplane.test
  scope: Namespaced
  names: {plural: rooms, singular: room, kind: Room}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                seats: {type: integer}
              x-kubernetes-validations:
                - rule: "!has(self.seats) || self.seats > 0"
                  message: seats must be positive
"""


def eventually(condition: Callable[[], bool], *, within_seconds: float) -> bool:
    deadline = time.monotonic() + within_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def gone(control_plane: ControlPlane, path: str) -> bool:
    try:
        control_plane.request("GET", path)
    except ApiRefused as error:
        return error.status == 404
    return False


def config_map(name: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}


def owned_by(owner: dict[str, Any]) -> list[dict[str, Any]]:
    metadata = owner["metadata"]
    return [{"apiVersion": "v1", "kind": "ConfigMap", "name": metadata["name"], "uid": metadata["uid"]}]


def processes_naming(text: str) -> list[str]:
    listed = subprocess.run(["ps", "-ww", "-eo", "stat=,args="], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if text in line and not line.startswith("Z")]


def test_crd_is_served_and_its_rules_are_enforced(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    file = tmp_path / "crd.yaml"
    file.write_text(CRD)
    rooms = f"/apis/controlplane.test/v1/namespaces/{namespace}/rooms"
    room: dict[str, Any] = {
        "apiVersion": "controlplane.test/v1",
        "kind": "Room",
        "metadata": {"name": "hall"},
    }
    try:
        assert control_plane.apply_crds(tmp_path) == ["rooms.controlplane.test"]

        with pytest.raises(ApiRefused, match="seats must be positive"):
            control_plane.request("POST", rooms, body={**room, "spec": {"seats": 0}})

        # A kind that is this young is collected too, though the collector looks for new kinds every 30 s only.
        owner = control_plane.request(
            "POST", f"/api/v1/namespaces/{namespace}/configmaps", body=config_map("owner")
        )
        room["metadata"]["ownerReferences"] = owned_by(owner)
        control_plane.request("POST", rooms, body={**room, "spec": {"seats": 3}})
        control_plane.request("DELETE", f"/api/v1/namespaces/{namespace}/configmaps/owner")
        assert eventually(lambda: gone(control_plane, f"{rooms}/hall"), within_seconds=10)
    finally:
        control_plane.kubectl("delete", "--filename", str(file), "--ignore-not-found", "--wait=false")


def test_anything_but_a_crd_is_refused(control_plane: ControlPlane, tmp_path: Path) -> None:
    file = tmp_path / "not-a-crd.yaml"
    file.write_text(json.dumps(config_map("x")))
    with pytest.raises(ControlPlaneError, match=r"not-a-crd\.yaml holds a ConfigMap"):
        control_plane.apply_crds(file)


def test_deleted_namespace_goes_away_with_its_content(control_plane: ControlPlane) -> None:
    control_plane.kubectl("create", "namespace", "short-lived")
    control_plane.kubectl("create", "configmap", "content", "--namespace", "short-lived")

    control_plane.kubectl("delete", "namespace", "short-lived", "--wait=false")

    # The namespace controller waits 5 s on purpose before it begins.
    assert eventually(lambda: gone(control_plane, "/api/v1/namespaces/short-lived"), within_seconds=15)


def test_dependents_are_collected_with_their_owner(control_plane: ControlPlane, namespace: str) -> None:
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    owner = control_plane.request("POST", maps, body=config_map("owner"))
    control_plane.request("POST", maps, body=config_map("dependent", ownerReferences=owned_by(owner)))
    control_plane.request("POST", maps, body=config_map("bystander"))

    control_plane.request("DELETE", f"{maps}/owner")

    assert eventually(lambda: gone(control_plane, f"{maps}/dependent"), within_seconds=10)
    assert not gone(control_plane, f"{maps}/bystander")


def test_rbac_decides_what_another_user_may_do(control_plane: ControlPlane, namespace: str) -> None:
    kubeconfig = control_plane.kubeconfig_for("ada", groups=["readers"])
    with pytest.raises(KubectlFailed, match='User "ada" cannot list resource "configmaps"'):
        control_plane.kubectl("get", "configmaps", "-n", namespace, kubeconfig=kubeconfig)

    control_plane.kubectl(
        "create", "rolebinding", "r", "--clusterrole=view", "--group=readers", "-n", namespace
    )

    def allowed() -> bool:
        said = control_plane.kubectl("get", "configmaps", "-n", namespace, kubeconfig=kubeconfig, check=False)
        return "cannot list" not in said

    assert eventually(allowed, within_seconds=10)


def test_service_accounts_get_tokens(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "serviceaccount", "provider", "-n", namespace)
    assert control_plane.kubectl("create", "token", "provider", "-n", namespace).count(".") == 2


def test_credentials_are_for_their_owner_only(control_plane: ControlPlane) -> None:
    assert control_plane.kubeconfig.stat().st_mode & 0o077 == 0
    assert control_plane.data_folder.stat().st_mode & 0o077 == 0
    assert control_plane.token in control_plane.kubeconfig.read_text()


def test_api_server_outage_keeps_the_data_and_stop_leaves_nothing(control_plane: ControlPlane) -> None:
    del control_plane  # Only its skipping is wanted: an outage of the shared one would be everybody's.
    own = ControlPlane()
    own.add_user(token="reader-token", name="reader", groups=["readers"])
    with own:
        folder = own.data_folder
        url = own.url
        assert len(processes_naming(str(folder))) == 2, "etcd and kube-apiserver"
        own.kubectl("create", "namespace", "kept")
        assert own.kubectl("auth", "whoami", "--token=reader-token", "-o=jsonpath={.status.userInfo.groups}")

        own.stop_apiserver(kill=True)
        with pytest.raises(OSError, match="refused"):
            own.request("GET", "/readyz")
        own.start_apiserver()

        assert own.url == url
        assert own.request("GET", "/api/v1/namespaces/kept")["status"]["phase"] == "Active"
        with pytest.raises(ControlPlaneError, match="comes too late"):
            own.add_user(token="late", name="late")
    assert processes_naming(str(folder)) == []
    assert not folder.exists()
    with pytest.raises(ControlPlaneError, match="not started"):
        own.request("GET", "/readyz")


@pytest.mark.parametrize(
    ("signal_number", "status", "reason"),
    [
        (signal.SIGKILL, -signal.SIGKILL, "nobody is left to tidy up but the watchdog"),
        (signal.SIGINT, 0, "Ctrl-C is how one ends it"),
    ],
)
def test_command_leaves_nothing_behind(
    control_plane: ControlPlane, signal_number: signal.Signals, status: int, reason: str
) -> None:
    del control_plane
    command = subprocess.Popen(
        [sys.executable, "-m", "controlplane", "up", "--no-controller-manager"],
        cwd=HACK,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert command.stdout is not None
        line = command.stdout.readline()
        assert line.startswith("export KUBECONFIG=")
        folder = Path(line.removeprefix("export KUBECONFIG=").strip()).parent
        assert len(processes_naming(str(folder))) == 2, "etcd and kube-apiserver"

        os.kill(command.pid, signal_number)

        assert command.wait(timeout=15) == status
    finally:
        command.kill()
        command.communicate(timeout=15)
    assert eventually(lambda: not processes_naming(str(folder)), within_seconds=10), reason
    assert eventually(lambda: not folder.exists(), within_seconds=5), reason


def test_start_that_fails_shows_the_log_and_leaves_no_process(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    del control_plane
    (tmp_path / "etcd").write_text("a file where etcd wants a folder")
    with pytest.raises(ControlPlaneError, match=r"(?s)etcd ended with exit status 1 .*etcd\.log.*not a dir"):
        ControlPlane(data_folder=tmp_path).start()
    assert processes_naming(str(tmp_path)) == []
