"""The contract: Discord's OpenAPI document, where it is at hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from discord_contract import DiscordContract, find_document


@pytest.fixture(scope="session")
def contract() -> DiscordContract:
    """The adjusted document; without it the test is skipped and says so."""
    path = find_document()
    if path is None or not path.exists():
        pytest.skip(
            "Discord's OpenAPI document is not here: set DISCORD_OPENAPI to specs/openapi.json of "
            "github.com/discord/discord-api-spec"
        )
    return DiscordContract.load(path)
