"""What a person types, as far as it needs no cluster."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from provider_discord import __version__
from provider_discord.cli.durations import duration


def run(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "provider_discord", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )


@pytest.mark.parametrize(
    ("text", "seconds"), [("1m", 60.0), ("90s", 90.0), ("1h30m", 5400.0), ("500ms", 0.5), (" 2s ", 2.0)]
)
def test_durations_are_gos(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "0s", "-1m", "soon", "1 minute"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="1h30m"):
        duration(text)


def test_the_version_and_the_commands_are_told() -> None:
    assert run("--version").stdout.split() == ["provider-discord", __version__]
    told = run("--help").stdout
    assert [command for command in ("run", "simulate", "crds", "demo") if f" {command} " not in told] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--poll", "often"), "1h30m"),
        (("run", "--metrics-bind-address", "here"), "host:port"),
        (("run", "--max-reconcile-rate", "0"), "max-reconcile-rate"),
        (("run", "--enable-changelogs"), "audit log"),
        (("frobnicate",), "frobnicate"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(arguments: tuple[str, ...], said: str) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_flags_of_other_providers_are_taken(tmp_path: Path) -> None:
    """By a DeploymentRuntimeConfig that somebody copied from another provider, as arguments or environment."""
    arguments = [
        *(
            "--debug",
            "--sync",
            "1h",
            "--poll",
            "10m",
            "--poll-state-metric",
            "5s",
            "--max-reconcile-rate",
            "20",
        ),
        *("--no-leader-election", "--enable-management-policies", "--no-enable-changelogs"),
        *("--changelogs-socket-path", "/sock", "--poll-jitter-percentage", "5"),
        *("--metrics-bind-address", "0", "--health-probe-bind-addr", "0"),
    ]
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin"}
    ended = run("run", *arguments, environment=environment)
    assert ended.returncode == 1, "it went as far as looking for a cluster"
    assert "KUBECONFIG" in ended.stderr
    assert "5" in run("run", environment=environment | {"POLL": "5"}).stderr, "read from the environment"


def test_without_a_cluster_it_ends_with_1_and_says_what_to_set(tmp_path: Path) -> None:
    # Flags without a command mean `run`.
    ended = run("--metrics-bind-address", "0", environment={"HOME": str(tmp_path), "PATH": "/usr/bin"})
    assert ended.returncode == 1
    assert "KUBECONFIG" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_provider_carries_neither_simulator_nor_server() -> None:
    script = (
        "import sys, provider_discord.cli.run\n"
        "print([m for m in ('aiohttp', 'provider_discord.simulator', 'provider_discord.apis.crds') if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
