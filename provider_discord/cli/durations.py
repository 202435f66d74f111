"""Durations as Kubernetes people type them: Go's ``1m30s``, ``500ms``, ``1h``."""

from __future__ import annotations

import click

from provider_discord.managed.meta import parse_go_duration


class Duration(click.ParamType[float]):
    """A click type that turns a Go duration into seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds; fails with a message that shows the form."""
        if isinstance(value, float):
            return value
        seconds = parse_go_duration(str(value))
        if seconds is None:
            self.fail(f"{value!r} is no duration; write 1m, 30s, 1h30m or 500ms", param, ctx)
        return seconds
