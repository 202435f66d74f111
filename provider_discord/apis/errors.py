"""What a manifest can have wrong that the API server could not refuse."""

from __future__ import annotations

from pydantic import ValidationError


class InvalidField(ValueError):
    """A value in a manifest that cannot be used; its text is one line for a condition.

    Attributes:
        field: The path below ``spec.forProvider``, as in the manifest: ``permissionOverwrites[2].allow``.
        value: The offending value, shortened; never an image or a secret.
        remedy: What to write instead.
    """

    def __init__(self, *, field: str, value: object, remedy: str) -> None:
        self.field = field
        self.value = shortened(value)
        self.remedy = remedy
        super().__init__(f"spec.forProvider.{field}: {self.value}: {remedy}")

    @classmethod
    def of(cls, error: ValidationError) -> InvalidField:
        """Make one of the first thing that pydantic found."""
        first = error.errors(include_url=False)[0]
        message = first["msg"].removeprefix("Value error, ")
        return cls(
            field=_path(first["loc"]),
            value=first["input"],
            remedy=message[:1].lower() + message[1:],
        )


def shortened(value: object, limit: int = 60) -> str:
    """Return a value as it may stand in a message: quoted, and cut at ``limit`` characters."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _path(location: tuple[int | str, ...]) -> str:
    """Write a location as in manifests: ``permissionOverwrites[2].allow``."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path
