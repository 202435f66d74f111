"""The room could be published by itself: its own example runs, all of it is documented, and it needs nothing of ours."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from pathlib import Path

import pytest

from provider_discord import discord
from provider_discord.simulator import SimulatorServer

HERE = Path(discord.__file__).parent
DEPENDENCIES = {"httptools", "httpx", "pybreaker", "structlog", "tenacity"}


def example() -> str:
    text = discord.__doc__ or ""
    _, _, rest = text.partition("::\n")
    indented = [line for line in rest.splitlines() if not line or line.startswith("    ")]
    return textwrap.dedent("\n".join(indented))


def test_the_example_of_the_documentation_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with SimulatorServer() as simulator:
        defaults = discord.DiscordClient.__init__.__kwdefaults__ or {}
        monkeypatch.setitem(defaults, "base_url", simulator.base_url)
        guild_id = str(simulator.control.guild()["id"])
        exec(  # noqa: S102 - our own documentation
            compile(example(), "example", "exec"), {"token": simulator.config.token, "guild_id": guild_id}
        )
        assert simulator.control.role("Crew")["permissions"] == "0"
    assert "Crew" in capsys.readouterr().out


def test_it_needs_the_standard_library_and_five_packages() -> None:
    needed = set()
    for path in HERE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                needed |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                needed.add((node.module or "").split(".")[0])
    assert needed - set(sys.stdlib_module_names) == DEPENDENCIES


@pytest.mark.parametrize("name", discord.__all__)
def test_what_is_public_is_documented(name: str) -> None:
    thing = getattr(discord, name)
    if not inspect.isclass(thing):
        return
    assert inspect.getdoc(thing)
    for member, value in vars(thing).items():
        if not member.startswith("_") and callable(value):
            assert inspect.getdoc(value), f"{name}.{member}"
