"""``provider-discord metrics``: every metric with its labels, made from the instruments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provider_discord.telemetry import reference


def metrics(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the page here. Default: print it."),
    ] = None,
) -> None:
    """Print the reference of the metrics (Markdown)."""
    page = reference.render()
    if output is None:
        typer.echo(page, nl=False)
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        typer.echo(f"error: cannot write {error.filename}: {error.strerror}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"wrote {output}", err=True)
