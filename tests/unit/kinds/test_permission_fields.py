"""Permission masks: every way to write one, and no drift from bits that only Discord knows."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_discord.apis.errors import InvalidField
from provider_discord.discord.permissions import PERMISSIONS
from provider_discord.kinds import permission_fields as fields

VIEW, SEND = PERMISSIONS["VIEW_CHANNEL"], PERMISSIONS["SEND_MESSAGES"]
NEW: Final = 1 << 60
"""A bit that Discord may add one day."""
MASKS: Final = st.integers(0, (1 << 63) - 1)


@pytest.mark.parametrize(
    ("bits", "names", "mask", "reason"),
    [
        (3072, None, VIEW | SEND, "an integer, as in the Go provider's overwrites"),
        ("3072", None, VIEW | SEND, "a decimal string, as in its roles"),
        (None, ["VIEW_CHANNEL", "SEND_MESSAGES"], VIEW | SEND, "names"),
        (None, [], 0, "an empty list is given, and means none"),
        ("", None, 0, "the zero value of a string"),
        (0, None, 0, "zero is given"),
        (None, None, None, "absent is unmanaged"),
        (str(NEW), None, NEW, "a bit without a name"),
    ],
)
def test_parses(bits: Any, names: Any, mask: int | None, reason: str) -> None:
    assert fields.parse_mask(bits, names, field="allow", names_field="allowNames") == mask, reason


@pytest.mark.parametrize(
    ("bits", "names", "field", "says"),
    [
        (1, ["VIEW_CHANNEL"], "allowNames", "allow or allowNames, not both"),
        (None, ["VIEW_CHANNEL", "SEND_MESSAGE"], "allowNames[1]", "SEND_MESSAGES"),
        (None, ["view_channel"], "allowNames[0]", "VIEW_CHANNEL"),
        ("0x400", None, "allow", "decimal"),
        ("-1", None, "allow", "decimal"),
        (-1, None, "allow", "decimal"),
        (True, None, "allow", "decimal"),
        (1 << 63, None, "allow", "decimal"),
        ("9" * 5000, None, "allow", "decimal"),
        ("²", None, "allow", "decimal"),
    ],
)
def test_refuses_naming_the_field_and_the_remedy(bits: Any, names: Any, field: str, says: str) -> None:
    with pytest.raises(InvalidField) as caught:
        fields.parse_mask(bits, names, field="allow", names_field="allowNames")
    assert caught.value.field == field
    assert says in caught.value.remedy


def test_bits_that_only_discord_knows_are_no_drift_and_survive() -> None:
    assert not fields.differs(VIEW, VIEW | NEW)
    assert fields.keep_unknown(SEND, VIEW | NEW) == SEND | NEW


def test_an_unknown_bit_that_the_manifest_gives_is_managed() -> None:
    assert fields.differs(VIEW | NEW, VIEW)
    assert not fields.differs(VIEW | NEW, VIEW | NEW)


def test_reads_what_discord_gives() -> None:
    assert [fields.observed_bits(value) for value in ("1024", 1024, "", None)] == [VIEW, VIEW, 0, 0]


def test_says_only_what_differs() -> None:
    observed = VIEW | PERMISSIONS["MANAGE_ROLES"] | NEW
    assert fields.describe_change(observed, VIEW | SEND) == (
        "has MANAGE_ROLES, lacks SEND_MESSAGES",
        "has SEND_MESSAGES, lacks MANAGE_ROLES",
    )
    assert fields.describe(VIEW | NEW) == "VIEW_CHANNEL, 1<<60"
    assert fields.describe(0) == "none"


@given(MASKS, MASKS)
@settings(deadline=None, derandomize=True)
def test_what_is_sent_is_no_drift_once_stored(desired: int, observed: int) -> None:
    sent = fields.keep_unknown(desired, observed)
    assert not fields.differs(desired, sent)
    assert fields.keep_unknown(desired, sent) == sent
    same = fields.describe_change(observed, desired) == ("the same", "the same")
    assert same is not fields.differs(desired, observed)
