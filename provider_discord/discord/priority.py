"""Whose turn it is: the classes of calls, best first."""

from __future__ import annotations

from enum import IntEnum


class Priority(IntEnum):
    """Class of a call. A lower number goes first; waiting moves a call up (see ``ratelimit``)."""

    USER = 0
    """A person changed or deleted a manifest and is watching."""
    RETRY = 1
    """Another try of something, or finding out how a create ended."""
    POLL = 2
    """The periodic look for drift. May not take the last token of a bucket nor the last fifth of the rest."""
