"""Permission overwrites as a set keyed by their target, planned for one PATCH.

Discord's list has no meaning in its order, and an absent ``allow`` or ``deny`` is ``"0"``. The whole list is
written at once, with the field that it belongs to, so that no moment exists in which one overwrite is in force and
its counterpart is not: private channels stay private while they are changed. Bits that this release has no name
for stay on every target that stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any

from pydantic import ValidationError

from provider_discord.apis import overwrites as api
from provider_discord.apis.errors import InvalidField
from provider_discord.discord.permissions import parse_bits
from provider_discord.kinds import permission_fields
from provider_discord.managed.external import FieldDiff

Raw = dict[str, Any]

_FIELD = "permissionOverwrites"


class TargetType(IntEnum):
    """What an overwrite is for (Discord docs, resources/channel, "Overwrite Structure")."""

    ROLE = 0
    MEMBER = 1

    @property
    def word(self) -> str:
        """Return the word that manifests use."""
        return self.name.lower()


class Policy(Enum):
    """Whose the overwrites are that the manifest does not list: ours to remove, or somebody else's."""

    AUTHORITATIVE = "Authoritative"
    DECLARED = "Declared"


@dataclass(frozen=True, slots=True)
class Overwrite:
    """What one role or member may (``allow``) and may not (``deny``) do in a channel, as bits."""

    id: str
    type: TargetType
    allow: int = 0
    deny: int = 0

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> Overwrite:
        """Read one of Discord's overwrites; its type may be a number or, from old API versions, a word."""
        kind = raw.get("type")
        member = kind in (TargetType.MEMBER, "1", "member")
        return cls(
            id=str(raw["id"]),
            type=TargetType.MEMBER if member else TargetType.ROLE,
            allow=parse_bits(raw.get("allow")),
            deny=parse_bits(raw.get("deny")),
        )

    def to_raw(self) -> Raw:
        """Return the overwrite as it stands in a request: bits as decimal strings."""
        return {"id": self.id, "type": int(self.type), "allow": str(self.allow), "deny": str(self.deny)}


@dataclass(frozen=True, slots=True, kw_only=True)
class OverwritePlan:
    """What a channel's overwrites shall be.

    Attributes:
        target: The full list for ``permission_overwrites``: those that stay in Discord's order, then new ones.
        changed: The target differs from what was observed; False: nothing is to be sent.
        diffs: One line for each target that differs, naming it and the permissions.
    """

    target: tuple[Raw, ...]
    changed: bool
    diffs: tuple[FieldDiff, ...] = ()


def resolve_desired(
    items: Iterable[api.Overwrite | Mapping[str, Any]], *, guild_id: str, bot_id: str
) -> tuple[Overwrite, ...]:
    """Return the overwrites that a manifest lists, keyed as Discord keys them.

    Args:
        items: Entries of ``permissionOverwrites`` with their references resolved, as models or as JSON.
        guild_id: The guild's id, which is also the id of @everyone.
        bot_id: The bot's user id.

    Raises:
        InvalidField: An entry names no target or two, its bits are wrong or contradict each other, or two entries
            have one target. The message names the entries.
    """
    found: dict[str, tuple[int, Overwrite]] = {}
    for index, item in enumerate(items):
        path = f"{_FIELD}[{index}]"
        overwrite = _resolve(item, path, guild_id=guild_id, bot_id=bot_id)
        earlier = found.get(overwrite.id)
        if earlier is not None:
            raise InvalidField(
                field=path,
                value=overwrite.id,
                remedy=f"this target is listed twice, in {_FIELD}[{earlier[0]}] and {path}: join the two entries",
            )
        found[overwrite.id] = (index, overwrite)
    return tuple(overwrite for _, overwrite in found.values())


def plan(
    desired: Sequence[Overwrite],
    observed_raw: Iterable[Mapping[str, Any]] | None,
    *,
    policy: Policy = Policy.AUTHORITATIVE,
    labels: Mapping[str, str] | None = None,
) -> OverwritePlan:
    """Compare and return the list for one PATCH.

    Args:
        desired: What the manifest lists, one entry a target.
        observed_raw: ``permission_overwrites`` as Discord has them; None counts as none.
        policy: Whether what is not listed is removed or left alone.
        labels: Names of targets for the diffs, by id (``@everyone``, ``Moderators``); ids do where one is missing.
    """
    observed = _by_id(observed_raw)
    wanted = {overwrite.id: overwrite for overwrite in desired}
    target: list[Raw] = []
    diffs: list[FieldDiff] = []
    for target_id, have in observed.items():
        want = wanted.get(target_id)
        if want is None and policy is Policy.AUTHORITATIVE:
            diffs.append(_diff(have, None, labels))
        elif want is None or _matches(want, have):
            target.append(have.to_raw())
        else:
            target.append(_with_unknown_bits(want, have).to_raw())
            diffs.append(_diff(have, want, labels))
    for want in desired:
        if want.id not in observed:
            target.append(want.to_raw())
            diffs.append(_diff(None, want, labels))
    return OverwritePlan(target=tuple(target), changed=bool(diffs), diffs=tuple(diffs))


def plan_copy(
    parent_raw: Iterable[Mapping[str, Any]] | None,
    observed_raw: Iterable[Mapping[str, Any]] | None,
    *,
    labels: Mapping[str, str] | None = None,
) -> OverwritePlan:
    """Plan ``syncPermissions``: the channel's overwrites shall equal its parent's, every bit of them.

    Here unknown bits are copied too: a channel counts as synced, and follows later edits of its category, only
    while the two are equal.
    """
    observed, parent = _by_id(observed_raw), _by_id(parent_raw)
    diffs = [
        _diff(observed.get(target_id), parent.get(target_id), labels, every_bit=True)
        for target_id in dict.fromkeys([*observed, *parent])
        if observed.get(target_id) != parent.get(target_id)
    ]
    return OverwritePlan(target=tuple(copy_of_parent(parent_raw)), changed=bool(diffs), diffs=tuple(diffs))


def copy_of_parent(parent_raw: Iterable[Mapping[str, Any]] | None) -> list[Raw]:
    """Return the parent's ``permission_overwrites`` as a channel that shall be synced with it must send them."""
    return [overwrite.to_raw() for overwrite in _by_id(parent_raw).values()]


def same(one_raw: Iterable[Mapping[str, Any]] | None, other_raw: Iterable[Mapping[str, Any]] | None) -> bool:
    """Tell whether two of Discord's lists mean the same, bit by bit: a channel and a parent that it is synced with."""
    return _by_id(one_raw) == _by_id(other_raw)


def _resolve(item: api.Overwrite | Mapping[str, Any], path: str, *, guild_id: str, bot_id: str) -> Overwrite:
    entry = item if isinstance(item, api.Overwrite) else _parse(item, path)
    named = entry.target_of(guild_id=guild_id, bot_id=bot_id)
    if named is None or not named[1]:
        raise InvalidField(
            field=path,
            value=entry.target or "",
            remedy="its target is not known yet; see the object it refers to",
        )
    word, target_id = named
    if word == "member" and target_id == guild_id:
        raise InvalidField(
            field=f"{path}.type",
            value=word,
            remedy="this id is the guild's and means @everyone: write type: role",
        )
    masks = {
        name: permission_fields.parse_mask(
            bits, names, field=f"{path}.{name}", names_field=f"{path}.{name}Names"
        )
        for name, bits, names in (
            ("allow", entry.allow, entry.allow_names),
            ("deny", entry.deny, entry.deny_names),
        )
    }
    allow, deny = masks["allow"] or 0, masks["deny"] or 0
    if allow & deny:
        raise InvalidField(
            field=path,
            value=permission_fields.describe(allow & deny),
            remedy=f"allowed and denied at once for {target_id}: take it out of allow or out of deny",
        )
    return Overwrite(target_id, TargetType.MEMBER if word == "member" else TargetType.ROLE, allow, deny)


def _parse(item: Mapping[str, Any], path: str) -> api.Overwrite:
    try:
        return api.Overwrite.model_validate(dict(item))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join([path, *(str(part) for part in first["loc"])])
        value = item if first["input"] is item else first["input"]
        raise InvalidField(
            field=field, value=value, remedy=first["msg"].removeprefix("Value error, ")
        ) from None


def _by_id(raw: Iterable[Mapping[str, Any]] | None) -> dict[str, Overwrite]:
    entries = (Overwrite.from_raw(entry) for entry in raw or ())
    return {overwrite.id: overwrite for overwrite in entries}


def _matches(want: Overwrite, have: Overwrite) -> bool:
    return not (
        permission_fields.differs(want.allow, have.allow) or permission_fields.differs(want.deny, have.deny)
    )


def _with_unknown_bits(want: Overwrite, have: Overwrite) -> Overwrite:
    """Return what is wanted and the nameless bits there are, where the manifest does not give them itself."""
    return Overwrite(
        id=want.id,
        type=want.type,
        allow=want.allow | permission_fields.keep_unknown(0, have.allow) & ~want.deny,
        deny=want.deny | permission_fields.keep_unknown(0, have.deny) & ~want.allow,
    )


def _diff(
    have: Overwrite | None,
    want: Overwrite | None,
    labels: Mapping[str, str] | None,
    *,
    every_bit: bool = False,
) -> FieldDiff:
    named = want or have
    assert named is not None
    label = (labels or {}).get(named.id)
    who = f"{named.type.word} {named.id}" if label is None else f"{named.type.word} {label} ({named.id})"
    if have is None or want is None:
        return FieldDiff(f"{_FIELD}[{who}]", _in_words(have), _in_words(want))
    before, after = [], []
    for verb, is_bits, shall_be in (("allow", have.allow, want.allow), ("deny", have.deny, want.deny)):
        if is_bits != shall_be if every_bit else permission_fields.differs(shall_be, is_bits):
            extra, missing = is_bits & ~shall_be, shall_be & ~is_bits
            if not every_bit:
                extra &= permission_fields.KNOWN
            before.append(f"{verb} {_signed(extra, missing)}")
            after.append(f"{verb} {_signed(missing, extra)}")
    return FieldDiff(f"{_FIELD}[{who}]", "; ".join(before), "; ".join(after))


def _signed(has: int, lacks: int) -> str:
    """Return the bits that differ: ``+X`` for one that is there, ``-Y`` for one that is not."""
    words = [f"{sign}{word}" for sign, bits in (("+", has), ("-", lacks)) if bits for word in _words(bits)]
    return " ".join(words)


def _words(bits: int) -> list[str]:
    return permission_fields.describe(bits).split(", ")


def _in_words(overwrite: Overwrite | None) -> str:
    if overwrite is None:
        return "none"
    parts = [
        f"{verb} {permission_fields.describe(bits)}"
        for verb, bits in (("allow", overwrite.allow), ("deny", overwrite.deny))
        if bits
    ]
    return "; ".join(parts) or "neither allows nor denies"
