"""Snowflakes: Discord's 64-bit ids, which tell when a thing was made (reference, "Snowflakes").

The upper 42 bits are milliseconds since the first second of 2015. A create whose answer was lost can therefore
be told from an older object of the same name by its id alone.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

EPOCH = datetime(2015, 1, 1, tzinfo=UTC)
_TIMESTAMP_SHIFT = 22
_SNOWFLAKE = re.compile(r"[1-9][0-9]{14,19}", re.ASCII)
_MAXIMUM = (1 << 64) - 1


def is_snowflake(text: str) -> bool:
    """Tell whether the text can be a Discord id.

    15 to 20 decimal digits without a leading zero (ids of 2015 had 15 to 17), within 64 bits. Names, and the
    ``metadata.name`` that other providers write as an external name, are none.
    """
    return _SNOWFLAKE.fullmatch(text) is not None and int(text) <= _MAXIMUM


def created_at(snowflake: str | int) -> datetime:
    """Return when the thing with this id was made (UTC, to the millisecond, by Discord's clock).

    Raises:
        ValueError: It is not a number.
    """
    return EPOCH + timedelta(milliseconds=int(snowflake) >> _TIMESTAMP_SHIFT)


def first_at(instant: datetime) -> int:
    """Return the smallest id that can have been made at the instant.

    Useful as ``after`` of a list, or to bound when something was made.

    Args:
        instant: Aware. Before 2015 counts as the beginning of 2015.
    """
    milliseconds = (instant - EPOCH) // timedelta(milliseconds=1)
    return max(0, milliseconds) << _TIMESTAMP_SHIFT
