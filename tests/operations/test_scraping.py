"""The relabelling that the documents give to a Prometheus without the operator makes the alerts be about the provider."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml
from controlplane import Tool

from tests.conftest import REPOSITORY, require_tools
from tests.e2e.conftest import eventually
from tests.operations.prometheus import Prometheus

PAGE = REPOSITORY / "docs" / "operations" / "metrics.md"
RULES = REPOSITORY / "chart" / "provider-discord" / "files" / "alerts.yaml"


@pytest.fixture
def target() -> Iterator[str]:
    """Something that has metrics."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(b"something 1\n")

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_pods_found_by_annotation_are_the_job_of_the_alerts(target: str, tmp_path: Path) -> None:
    """Discovery gives a target its pod's labels, as is done by hand here; the other pod stays what it was."""
    require_tools([Tool.PROMETHEUS])
    found = re.search(r"```yaml\n(relabel_configs:.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    pods = [
        {"targets": [target], "labels": {"__meta_kubernetes_pod_label_app": app}}
        for app in ("provider-discord", "another")
    ]
    prometheus = Prometheus(folder=tmp_path, targets=[])
    file = tmp_path / "prometheus.yaml"
    config = yaml.safe_load(file.read_text())
    job = {"job_name": "kubernetes-pods", "static_configs": pods, **yaml.safe_load(found[1])}
    config["scrape_configs"] = [job]
    file.write_text(yaml.safe_dump(config))
    rules = yaml.safe_load(RULES.read_text())
    down = next(
        rule["expr"]
        for group in rules["groups"]
        for rule in group["rules"]
        if rule.get("alert") == "ProviderDiscordDown"
    )
    with prometheus:
        eventually(lambda: len(prometheus.query("up == 1")) == 2, "both pods to be scraped")
        jobs = {sample["metric"]["job"] for sample in prometheus.query("up")}
        assert jobs == {"provider-discord", "kubernetes-pods"}
        assert prometheus.query(down) == []
