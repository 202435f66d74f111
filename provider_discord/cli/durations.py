"""Durations as Kubernetes people type them: Go's ``1m30s``, ``500ms``, ``1h``."""

from __future__ import annotations

import typer

from provider_discord.managed.meta import parse_go_duration


def duration(value: str | float) -> float:
    """Return the seconds of a Go duration; a number is seconds already.

    Raises:
        typer.BadParameter: It is none; the message shows the form.
    """
    if isinstance(value, int | float):
        return float(value)
    seconds = parse_go_duration(value)
    if seconds is None:
        msg = f"{value!r} is no duration; write 1m, 30s, 1h30m or 500ms"
        raise typer.BadParameter(msg)
    return seconds
