"""From builders to the files that are checked in."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from dashboards.guild import guild
from dashboards.overview import overview

FOLDER: Final = Path(__file__).resolve().parents[2] / "chart/provider-discord/files/dashboards"


def render() -> dict[str, str]:
    """Return the text of each file by its name."""
    encoder = JSONEncoder(sort_keys=True, indent=2)
    boards = {"provider-discord-overview.json": overview(), "provider-discord-guild.json": guild()}
    return {name: encoder.encode(_numbered(board.build())) + "\n" for name, board in boards.items()}


def _numbered(board: models.Dashboard) -> models.Dashboard:
    """Give every panel an id, in order: links to one panel stay what they are as long as it keeps its place."""
    for number, panel in enumerate(board.panels or [], start=1):
        panel.id_val = number
    return board
