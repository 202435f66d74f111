"""What a manifest can have wrong that the API server could not refuse."""

from __future__ import annotations


class InvalidField(ValueError):
    """A value under ``spec`` that cannot be used; its text is one line for a condition.

    Attributes:
        field: The path under ``spec.forProvider``, as in the manifest: ``permissionOverwrites[2].allow``.
        value: The offending value, shortened; never an image or a secret.
        remedy: What to write instead.
    """

    def __init__(self, *, field: str, value: object, remedy: str) -> None:
        self.field = field
        self.value = shortened(value)
        self.remedy = remedy
        super().__init__(f"spec.forProvider.{field}: {self.value}: {remedy}")


def shortened(value: object, limit: int = 60) -> str:
    """Return a value as it may stand in a message: quoted, and cut at ``limit`` characters."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
