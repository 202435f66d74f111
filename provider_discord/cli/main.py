"""Put the commands together, each in a file of its own."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Annotated, Final

import typer

from provider_discord import __version__

COMMANDS: Final = ("run", "backup", "simulate", "crds", "metrics", "demo")


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"provider-discord {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Manage Discord guilds from Kubernetes manifests.

    Without a command it is `run`: `provider-discord --debug` works as `provider-discord run --debug`.
    """


def build(commands: Iterable[str] = COMMANDS) -> typer.Typer:
    """Return the command line with the named commands; each lives in ``cli/<name>.py``."""
    cli = typer.Typer(
        name="provider-discord",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # Its tables cut the names of options short on a narrow terminal.
    )
    cli.callback()(_root)
    for name in commands:
        module = import_module(f"provider_discord.cli.{name}")
        if hasattr(module, "app"):
            cli.add_typer(module.app, name=name)
        else:
            cli.command(name)(getattr(module, name))
    return cli
