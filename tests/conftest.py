"""What every test can ask for: a real control plane, one a session, and a namespace of one's own.

The fixtures build nothing: that takes minutes, which pytest would hide. `make test` builds first.

`pytest` runs the tests one after another, the quick ones first. `make test` shares them out among a few processes
(pytest-xdist), each with a control plane of its own, the long ones first, so that none is left over at the end.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import structlog
from controlplane import CONTROL_PLANE, ApiRefused, ControlPlane, Tool, missing
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from provider_discord.telemetry import redaction

REPOSITORY = Path(__file__).resolve().parents[1]
LONGEST_FIRST = ("operations", "chaos", "e2e", "kube", "contract", "unit")
APART = ("e2e",)
"""The folders whose tests have nothing in common but the control plane, and take seconds each."""
TOGETHER = {
    "tests/e2e/test_outage.py": "an API server to stop",
    "tests/operations/test_chart_lifecycle.py": "audited",
    "tests/operations/test_chart_rights.py": "audited",
    "tests/operations/test_image.py": "audited",
}
"""The files that share something dearer than a file's fixtures, or that are not apart though their folder is."""


class InGroups(LoadScopeScheduling):  # type: ignore[misc]
    """Shares out groups of tests: those of a file, for what its fixtures share, but see `APART` and `TOGETHER`.

    `--dist loadgroup` would do, but pytest-xdist 3.8 finds no groups with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return TOGETHER.get(file) or (nodeid if _folder(file) in APART else file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> InGroups:
    return InGroups(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a process of pytest-xdist, put the long ones first."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: LONGEST_FIRST.index(_folder(item.nodeid)))


def _folder(nodeid: str) -> str:
    return nodeid.split("/")[1]


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """etcd, kube-apiserver and kube-controller-manager, shared by the session's tests.

    A test that stops the API server or counts what all of it holds starts its own `ControlPlane` instead.
    """
    require_tools()
    with ControlPlane(controller_manager=True) as control_plane:
        yield control_plane


@pytest.fixture(scope="session")
def crds(control_plane: ControlPlane) -> list[str]:
    """The names of this provider's CRDs, which are served from then on."""
    folder = REPOSITORY / "package" / "crds"
    assert any(folder.glob("*.yaml")), f"there are no CRDs in {folder}; `provider-discord crds` writes them"
    return control_plane.apply_crds(folder)


@pytest.fixture
def namespace(control_plane: ControlPlane, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh namespace's name. It is deleted afterwards, which nobody waits for."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40].strip("-")
    name = f"{words}-{secrets.token_hex(3)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    control_plane.request("POST", "/api/v1/namespaces", body=body)
    yield name
    try:
        control_plane.request("DELETE", f"/api/v1/namespaces/{name}")
    except ApiRefused as error:
        # 404, 409: the test has deleted it itself, and it is gone or on its way.
        if error.status not in {404, 409}:
            raise


def require_tools(tools: Iterable[Tool] = CONTROL_PLANE) -> None:
    """Skip, or in CI fail, where one of these programs has not been built."""
    lacking = ", ".join(tool.value for tool in missing(tools))
    if not lacking:
        return
    reason = f"no {lacking} on this machine; `make test-tools` builds what is missing (minutes, once)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def own_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging is the process's own, and so are the secrets that it blanks: a test that sets it up gives it back."""
    monkeypatch.setattr(redaction, "_secrets", {})
    monkeypatch.setattr(redaction, "_registered", None)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
