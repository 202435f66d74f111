"""A real Prometheus for tests: it scrapes, evaluates the alerting rules on a scaled clock, and answers queries."""

from __future__ import annotations

import copy
import re
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Self

import httpx
import yaml
from controlplane import Tool, find

from provider_discord.cli.processes import free_port

STEP: Final = "250ms"
"""Between two scrapes, and between two evaluations."""
WINDOW_SCALE: Final = 1 / 100
"""Of ranges such as [5m], and of the seconds that an expression compares with."""
FOR_SCALE: Final = 1 / 300
"""Of how long an expression must be true before its alert fires."""
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}
_SECONDS_IN_RULES: Final = ("600)", "> 300")
"""Numbers in the rules that are durations; each must be there, or the rules have changed and this has not."""


class Prometheus:
    """The process, on a free port, its data in a folder of the test's."""

    def __init__(
        self, *, folder: Path, targets: Iterable[str], rules: Mapping[str, Any] | None = None
    ) -> None:
        """Prepare it.

        Args:
            folder: Where its files go.
            targets: Addresses (`host:port`) scraped as job provider-discord.
            rules: The rules to evaluate, for example from `scaled`.
        """
        self.url = f"http://127.0.0.1:{free_port()}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        config: dict[str, Any] = {
            "global": {"scrape_interval": STEP, "scrape_timeout": STEP, "evaluation_interval": STEP},
            "scrape_configs": [
                {"job_name": "provider-discord", "static_configs": [{"targets": list(targets)}]}
            ],
        }
        folder.mkdir(parents=True, exist_ok=True)
        if rules is not None:
            (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
            config["rule_files"] = ["rules.yaml"]
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))

    def __enter__(self) -> Self:
        address = self.url.removeprefix("http://")
        with (self._folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    str(find(Tool.PROMETHEUS)),
                    f"--config.file={self._folder / 'prometheus.yaml'}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address={address}",
                    "--query.lookback-delta=3s",
                    "--log.level=warn",
                ],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 15
        while not self._ready():
            assert time.monotonic() < deadline, (self._folder / "prometheus.log").read_text()
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an instant query; each has `metric` (labels) and `value` (time, text)."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}, trust_env=False).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def numbers(self, expression: str) -> list[float]:
        """Return the values of an instant query."""
        return [float(sample["value"][1]) for sample in self.query(expression)]

    def firing(self) -> dict[str, dict[str, str]]:
        """Return the labels of an alert that fires, by its name."""
        alerts = httpx.get(f"{self.url}/api/v1/alerts", trust_env=False).json()["data"]["alerts"]
        return {
            alert["labels"]["alertname"]: alert["labels"] for alert in alerts if alert["state"] == "firing"
        }

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", trust_env=False).is_success
        except httpx.TransportError:
            return False


def scaled(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return alerting rules whose minutes are fractions of seconds; what they compare stays as it is."""
    copied = copy.deepcopy(dict(rules))
    text = "".join(rule["expr"] for group in copied["groups"] for rule in group["rules"])
    assert all(text.count(number) == 1 for number in _SECONDS_IN_RULES), "a duration in the rules has changed"
    for group in copied["groups"]:
        for rule in group["rules"]:
            for number in _SECONDS_IN_RULES:
                rule["expr"] = rule["expr"].replace(
                    number, re.sub(r"\d+", lambda found: str(int(found[0]) * WINDOW_SCALE), number)
                )
            rule["expr"] = re.sub(
                r"\[(\w+)\]", lambda found: f"[{_scale(found[1], WINDOW_SCALE)}]", rule["expr"]
            )
            if "for" in rule:
                rule["for"] = _scale(rule["for"], FOR_SCALE)
    return copied


def _scale(duration: str, factor: float) -> str:
    seconds = float(duration[:-1]) * _UNITS[duration[-1]]
    return f"{round(seconds * factor * 1000)}ms"
