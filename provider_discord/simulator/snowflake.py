"""Discord's ids: 42 bits of milliseconds since 2015, then 22 bits that make them unique.

Clients read the time of creation out of an id, so ids here carry the real one; a counter in the low bits
keeps two ids of one millisecond apart and in the order in which they were made
(Discord docs, reference, "Snowflakes").
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

EPOCH = datetime(2015, 1, 1, tzinfo=UTC)
_LOW_BITS = 22


def is_snowflake(text: object) -> bool:
    """Tell whether this is a decimal id that fits into 64 bits."""
    return isinstance(text, str) and text.isascii() and text.isdigit() and int(text) < 1 << 64


def created_at(snowflake: str) -> datetime:
    """Return the instant (UTC) at which the object of this id was created."""
    return EPOCH + timedelta(milliseconds=int(snowflake) >> _LOW_BITS)


def first_at(instant: datetime) -> int:
    """Return the least id that an object created at this instant can have."""
    return int((instant - EPOCH) / timedelta(milliseconds=1)) << _LOW_BITS


class SnowflakeFactory:
    """Makes ids that only ever grow, even if the wall clock steps back."""

    def __init__(self, wall: Callable[[], datetime], *, last: int = 0) -> None:
        self._wall = wall
        self.last = last

    def __call__(self) -> str:
        """Return a new id."""
        self.last = max(self.last + 1, first_at(self._wall()))
        return str(self.last)
