"""What can keep a package from being built. The message says what to do."""

from __future__ import annotations


class PackageError(Exception):
    """The package can't be built from what is there."""
