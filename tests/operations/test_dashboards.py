"""The dashboards that are checked in are what the builders say, and ask only for metrics that there are.

That every panel shows something is tested against a running system, in `test_exercises`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from dashboards import FOLDER, render

from provider_discord.telemetry.metrics import Metrics
from provider_discord.telemetry.reference import described

FILES = sorted(FOLDER.glob("*.json"))


def test_they_are_not_stale() -> None:
    assert {path.name: path.read_text() for path in FILES} == render(), "run `make generate`"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.stem))
def test_a_panel_has_an_id_and_a_place_of_its_own(file: Path) -> None:
    panels: list[dict[str, Any]] = json.loads(file.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert taken.isdisjoint(cells), panel["title"]
        taken |= cells


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.stem))
def test_every_query_is_about_our_job_and_our_metrics(file: Path) -> None:
    there = {one.name for one in described(Metrics())} | {"up"}
    for panel in json.loads(file.read_text())["panels"]:
        for target in panel.get("targets", []):
            selectors = re.findall(r"\b([a-z][a-z_]+)\{([^}]*)\}", target["expr"])
            assert selectors, target["expr"]
            for name, labels in selectors:
                assert re.sub(r"_(bucket|sum|count)$", "", name) in there, name
                assert 'job="provider-discord"' in labels


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.stem))
def test_one_of_several_clusters_can_be_chosen(file: Path) -> None:
    dashboard = json.loads(file.read_text())
    variables = {one["name"]: one for one in dashboard["templating"]["list"]}
    for label in ("cluster", "namespace"):
        assert variables[label]["allValue"] == ".*", "what has no such label is in All"
        assert variables[label]["current"]["value"] == "$__all"
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                assert target["expr"].count('job="provider-discord"') == target["expr"].count(
                    f'{label}=~"${label}"'
                ), panel["title"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.stem))
def test_a_link_holds_below_a_path_of_its_own(file: Path) -> None:
    """By tag, since an address from the root breaks where Grafana is served below a path."""
    dashboard = json.loads(file.read_text())
    assert [(link["type"], link["tags"]) for link in dashboard["links"]] == [
        ("dashboards", ["provider-discord"])
    ]
    assert "provider-discord" in dashboard["tags"]


def test_the_board_of_one_guild_tells_of_no_other() -> None:
    panels = json.loads((FOLDER / "provider-discord-guild.json").read_text())["panels"]
    for target in (target for panel in panels for target in panel.get("targets", [])):
        assert target["expr"].count("{") == target["expr"].count('guild="$guild"'), target["expr"]
