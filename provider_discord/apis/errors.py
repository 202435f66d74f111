"""What a manifest can have wrong that the API server could not refuse."""

from __future__ import annotations

from pydantic import ValidationError


class InvalidField(ValueError):
    """A value in a manifest that cannot be used; its text is one line for a condition.

    Attributes:
        field: The path below ``root``, as in the manifest: ``permissionOverwrites[2].allow``.
        value: The offending value, shortened; never an image or a secret.
        remedy: What to write instead.
        root: What the path starts at.
    """

    def __init__(self, *, field: str, value: object, remedy: str, root: str = "spec.forProvider") -> None:
        self.field = field
        self.value = shortened(value)
        self.remedy = remedy
        self.root = root
        super().__init__(f"{root}.{field}: {self.value}: {remedy}")

    @classmethod
    def of(cls, error: ValidationError, *, root: str = "spec.forProvider") -> InvalidField:
        """Make one of the first thing that pydantic found."""
        first = error.errors(include_url=False)[0]
        message = first["msg"].removeprefix("Value error, ")
        return cls(
            field=_path(first["loc"]),
            value=first["input"],
            remedy=message[:1].lower() + message[1:],
            root=root,
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
