"""``provider-discord crds``: the CustomResourceDefinitions and the field reference, made from the models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from provider_discord.apis import crds as definitions
from provider_discord.apis import reference as pages


def crds(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Write one file a kind here. Default: print everything."
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference", metavar="FILE", help="Write the field reference (Markdown) here as well."
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Write nothing; exit with 1 if a file in --output or --reference is stale."
        ),
    ] = False,
) -> None:
    """Print the CustomResourceDefinitions, ready for `kubectl apply --server-side -f -`."""
    if output is None and reference is None:
        if check:
            msg = "--check needs --output FOLDER, --reference FILE or both: what shall be checked?"
            raise typer.BadParameter(msg)
        typer.echo("---\n".join(definitions.render().values()), nl=False)
        return
    wanted: dict[Path, str] = {}
    if output is not None:
        wanted.update({output / name: text for name, text in definitions.render().items()})
    if reference is not None:
        wanted[reference] = pages.render()
    extra = _leftovers(output, wanted)
    if check:
        _check(wanted, extra)
        return
    try:
        for path, text in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            typer.echo(f"wrote {path}", err=True)
        for path in extra:
            path.unlink()
            typer.echo(f"removed {path}", err=True)
    except OSError as error:
        typer.echo(f"error: cannot write {error.filename}: {error.strerror}", err=True)
        raise typer.Exit(1) from None


def _leftovers(output: Path | None, wanted: Mapping[Path, str]) -> list[Path]:
    """Return the files that an earlier release generated for a kind that is no more."""
    if output is None or not output.is_dir():
        return []
    return [
        path
        for path in sorted(output.glob("*.yaml"))
        if path not in wanted and path.read_text(encoding="utf-8").startswith(definitions.HEADER)
    ]


def _check(wanted: Mapping[Path, str], extra: list[Path]) -> None:
    """Exit with 1 if the files are not what would be written, saying which."""
    stale = [
        path
        for path, text in wanted.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for path in [*stale, *extra]:
        typer.echo(f"stale: {path}", err=True)
    if stale or extra:
        typer.echo("error: generated files are stale; run `make generate` and commit the result", err=True)
        raise typer.Exit(1)
