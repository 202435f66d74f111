"""What no document settles about Discord, and every plausible answer to it.

Each field is one open question of `docs/design/assumptions.md`; its default is what this project assumes.
A test sets another answer and shows that nothing breaks under it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class HiddenGet(StrEnum):
    """What `GET /channels/{id}` answers for a channel that the bot cannot view."""

    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    OBFUSCATED = "obfuscated"


class HiddenList(StrEnum):
    """How the channel list shows a channel that the bot cannot view."""

    OMITTED = "omitted"
    OBFUSCATED = "obfuscated"


class BadEntry(StrEnum):
    """What one refused entry of a bulk PATCH does to the others."""

    FAILS_ALL = "fails-all"
    SKIPPED = "skipped"
    KEEPS_EARLIER = "keeps-earlier"


class Positions(StrEnum):
    """What a write of positions does to the numbers."""

    RENUMBERED = "renumbered"
    VERBATIM = "verbatim"


class NewRole(StrEnum):
    """Where a new role lands: at 1 with the others moved up, or at 1 beside the one that is there."""

    SHIFTS = "shifts"
    TIES = "ties"


class Inapplicable(StrEnum):
    """What becomes of a field that the channel's type does not have."""

    REFUSED = "refused"
    IGNORED = "ignored"


class OnCreate(StrEnum):
    """What becomes of a field that only PATCH documents, sent in a create."""

    ACCEPTED = "accepted"
    IGNORED = "ignored"


class Checked(StrEnum):
    """Which permission bits of a write must be the bot's own."""

    CHANGED = "changed"
    ALL = "all"


class Community(StrEnum):
    """What enabling COMMUNITY demands besides the rules and updates channels."""

    CHANNELS = "channels"
    MODERATION = "moderation"


class Punctuation(StrEnum):
    """What becomes of ASCII punctuation in the name of a text channel."""

    KEPT = "kept"
    STRIPPED = "stripped"


class Spaces(StrEnum):
    """Which space the name of a voice channel comes back with."""

    KEPT = "kept"
    NO_BREAK = "no-break"


class Unset(StrEnum):
    """How an optional field that was never set is shown."""

    OMITTED = "omitted"
    SHOWN = "shown"


class ForeignGuild(StrEnum):
    """What a guild answers to a bot that is not in it."""

    NOT_FOUND = "not-found"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One answer to each open question; the defaults are what this project assumes.

    Attributes:
        hidden_get: see HiddenGet; holds for PATCH and DELETE as well (obfuscated: they answer 403).
        hidden_list: see HiddenList.
        category_shown_by_child: whether a category is visible when a channel in it is.
        bad_bulk_entry: see BadEntry.
        channel_positions: see Positions.
        new_role: see NewRole.
        inapplicable_field: see Inapplicable.
        flags_on_create: whether a create honours `flags`.
        media_nsfw_on_create: whether the create of a media channel honours `nsfw`.
        media_needs_role_subscriptions: whether media channels need ROLE_SUBSCRIPTIONS_ENABLED.
        create_copies_parent: whether a channel created in a category without overwrites copies its overwrites.
        overwrite_bits: which bits of overwrites must be the bot's own.
        overwrite_hierarchy: whether an overwrite for a role above the bot is refused.
        unknown_overwrite_target: whether an overwrite for a role that does not exist is refused.
        self_lockout_refused: whether a write that hides the channel from the bot itself is refused.
        community: see Community.
        community_grants_news: whether enabling COMMUNITY brings NEWS.
        unwritable_features_refused: whether asking for a feature that no bot can set is refused, not ignored.
        punctuation: see Punctuation.
        voice_spaces: see Spaces.
        unset_fields: see Unset.
        foreign_guild: see ForeignGuild.
        unchanged_counts: whether an unchanged name or topic in a PATCH counts for its sub-limit.
        audit_log_lag_seconds: how long an entry takes to show up in the audit log.
        audit_of_reorder: whether a bulk PATCH of positions writes audit log entries.
        audit_of_unchanged: whether a PATCH that changes nothing writes an entry.
        member_counts_show_zero: whether `roles/member-counts` lists roles without members.
        member_counts_need_manage_roles: whether that route needs MANAGE_ROLES.
        obfuscated_flag: the bit in `flags` of an obfuscated channel.
    """

    hidden_get: HiddenGet = HiddenGet.FORBIDDEN
    hidden_list: HiddenList = HiddenList.OMITTED
    category_shown_by_child: bool = True
    bad_bulk_entry: BadEntry = BadEntry.FAILS_ALL
    channel_positions: Positions = Positions.RENUMBERED
    new_role: NewRole = NewRole.SHIFTS
    inapplicable_field: Inapplicable = Inapplicable.REFUSED
    flags_on_create: OnCreate = OnCreate.ACCEPTED
    media_nsfw_on_create: OnCreate = OnCreate.ACCEPTED
    media_needs_role_subscriptions: bool = False
    create_copies_parent: bool = True
    overwrite_bits: Checked = Checked.CHANGED
    overwrite_hierarchy: bool = False
    unknown_overwrite_target: bool = True
    self_lockout_refused: bool = False
    community: Community = Community.CHANNELS
    community_grants_news: bool = True
    unwritable_features_refused: bool = False
    punctuation: Punctuation = Punctuation.KEPT
    voice_spaces: Spaces = Spaces.KEPT
    unset_fields: Unset = Unset.OMITTED
    foreign_guild: ForeignGuild = ForeignGuild.NOT_FOUND
    unchanged_counts: bool = True
    audit_log_lag_seconds: float = 0.0
    audit_of_reorder: bool = False
    audit_of_unchanged: bool = False
    member_counts_show_zero: bool = False
    member_counts_need_manage_roles: bool = False
    obfuscated_flag: int = 1 << 17

    def changed(self, **answers: Any) -> Behaviour:
        """Return a copy with these answers, given as values or as their text.

        Raises:
            ValueError: there is no such question, or no such answer to it.
        """
        known = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        converted: dict[str, Any] = {}
        for name, answer in answers.items():
            if name not in known:
                msg = f"no such setting: {name} (there are {', '.join(sorted(known))})"
                raise ValueError(msg)
            converted[name] = _convert(name, known[name], answer)
        return dataclasses.replace(self, **converted)

    def as_json(self) -> dict[str, Any]:
        """Return the answers as plain JSON values."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def _convert(name: str, current: Any, answer: Any) -> Any:
    if isinstance(current, bool):
        value = _WORDS.get(str(answer).lower())
        if value is None:
            msg = f"{name}: {answer!r} is neither true nor false"
            raise ValueError(msg)
        return value
    try:
        return type(current)(answer)
    except ValueError as error:
        choices = f" (one of {', '.join(type(current))})" if isinstance(current, StrEnum) else ""
        msg = f"{name}: {answer!r} does not fit{choices}"
        raise ValueError(msg) from error
