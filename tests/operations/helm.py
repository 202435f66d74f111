"""Helm, as the tests of the chart run it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

import yaml
from controlplane import Tool, ensure

ROOT: Final = Path(__file__).resolve().parents[2]
CHART: Final = ROOT / "chart" / "provider-discord"

Obj = dict[str, Any]


class HelmFailed(Exception):
    """Helm ended with an error; the message is what it said."""


class Helm:
    """Helm, with a home of its own."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._program = ensure([Tool.HELM])[Tool.HELM]

    def __call__(self, *arguments: str, kubeconfig: Path | None = None, input: str | None = None) -> str:  # noqa: A002 - as in subprocess.run
        """Run it and return what it printed. Raises HelmFailed."""
        ran = subprocess.run(
            [self._program, *arguments],
            input=input,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=self.environment(kubeconfig),
        )
        if ran.returncode != 0:
            raise HelmFailed(ran.stdout + ran.stderr)
        return ran.stdout

    def template(self, values: Obj | None = None, *arguments: str, chart: Path = CHART) -> list[Obj]:
        """Return what the chart becomes with these values, without a cluster."""
        text = self(
            *("template", "provider-discord", str(chart), "-n", "crossplane-system", "-f", "-"),
            *arguments,
            input=json.dumps(values or {}),
        )
        return [document for document in yaml.safe_load_all(text) if document]

    def started(self, *arguments: str, kubeconfig: Path) -> subprocess.Popen[str]:
        """Start it, for what waits until somebody else has acted."""
        return subprocess.Popen(
            [self._program, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment(kubeconfig),
        )

    def environment(self, kubeconfig: Path | None) -> dict[str, str]:
        own = {f"HELM_{kind}_HOME": str(self._home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        others = {name: value for name, value in os.environ.items() if not name.startswith("HELM_")}
        return {**others, **own, "KUBECONFIG": str(kubeconfig or os.devnull)}
