"""How the parts are put together: what only shows between them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from provider_discord.app import App, AppConfig
from provider_discord.kube.lease import lease_clock

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """A process whose API server nobody has heard of; nothing is started."""
    path = tmp_path / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": NOWHERE}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    made = App(AppConfig(kubeconfig=path, leader_election=True, identity="pod-1", metrics_address=None))
    yield made
    made._access.close()


def test_who_begins_to_lead_acts_by_nothing_that_it_knew_before(app: App) -> None:
    """A cache may be up to a reconnect old, and an older manifest would be put back for that long."""
    for reflector in app._reflectors:
        reflector.synced.set()
        app._stores[reflector.resource].mark_synced()
    assert app._controller is not None
    assert app._controller.synced
    born = app._born
    app._lead()
    assert not any(store.has_synced for store in app._stores.values())
    assert app._born >= born
    assert all(check.ok for check in app.readyz()), "for probes nothing has happened"


def test_nobody_leads_before_the_lease_is_held(app: App) -> None:
    assert not app.leads()


def test_a_kind_without_a_crd_is_no_reason_to_be_unready(app: App) -> None:
    first, *others = app._reflectors
    assert [check.ok for check in app.readyz()] == [False] * len(app._reflectors)
    for reflector in others:
        reflector.synced.set()
    assert [check.name for check in app.readyz() if not check.ok] == [f"cache-{first.resource.plural}"]
    first._missing = True
    assert all(check.ok for check in app.readyz())
    told = next(check.message for check in app.readyz() if check.message)
    assert told == f"not served: there is no CRD {first.resource}"


def test_a_lease_also_runs_out_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        pytest.skip("this system has no clock that runs while it sleeps")
    monkeypatch.setattr(time, "clock_gettime", lambda clock: {time.CLOCK_BOOTTIME: 4711.0}[clock])
    assert lease_clock() == 4711.0
