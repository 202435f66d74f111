"""Forum tags: known by the id that was remembered for them, so that posts keep theirs.

Discord's posts carry tag ids, and a PATCH replaces the whole list of tags: whatever is sent without its id is a new
tag, and every post loses the old one. A manifest has names alone. So an annotation remembers, in the manifest's
order, the id of each name that was last in force. From it follow the three things that a list of names cannot tell:

* A name whose tag was renamed at Discord is renamed back, not made again.
* A name that takes the place of another in the manifest is that tag, renamed. Place means: between the same
  unchanged neighbours, so a name added or removed elsewhere in the list confuses nothing. Mistaking a removal
  and an addition for a rename leaves posts tagged; the opposite mistake could not be undone.
* A tag is removed only if the manifest once had it and no longer does. All others are somebody else's and stay.

Without a memory (a forum just adopted, an annotation lost) tags are matched by name, and none is removed.

New tags are in the memory before they are asked for, without an id: should the answer be lost and the manifest change
before anybody looks, they are known by their names as ours, in that channel alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

from pydantic import ValidationError

from provider_discord.apis.errors import InvalidField
from provider_discord.apis.tags import MAX_TAGS, ForumTag
from provider_discord.kinds.names import role_name_key
from provider_discord.managed.external import FieldDiff

Raw = dict[str, Any]

_FIELD: Final = "availableTags"
_ASKED: Final = "?"
"""In the annotation, instead of an id: the tag was asked for in the channel whose id follows."""
_SELECTOR: Final = "\ufe0f"
"""Asks for an emoji's coloured form; keyboards add it and Discord may not keep it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagPlan:
    """What a forum's tags shall be.

    Attributes:
        body: The full list for ``available_tags``; entries without ``id`` are new.
        changed: The body differs from what was observed; False: nothing is to be sent.
        diffs: One line for each tag that differs, and one for their order.
        memory: The id of each name, to be persisted. May be persisted before the body is sent or after: a name
            that the manifest dropped stays in it until its tag is gone. New tags have "" for an id, until
            ``plan_tags`` was called again with the tags in Discord's answer.
    """

    body: tuple[Raw, ...]
    changed: bool
    diffs: tuple[FieldDiff, ...]
    memory: Mapping[str, str]


def plan_tags(
    desired: Iterable[ForumTag | Mapping[str, Any]],
    observed_raw: Iterable[Mapping[str, Any]] | None,
    memory: Mapping[str, str],
) -> TagPlan:
    """Compare the manifest's tags with Discord's, and return the list for one PATCH.

    Args:
        desired: Entries of ``availableTags``, as models or as JSON.
        observed_raw: ``available_tags`` as Discord has them; None counts as none.
        memory: The id of each name that was last in force, in the manifest's order then; "" for one that was asked
            for, and whose id nobody has seen.

    Raises:
        InvalidField: Two tags have one name, or there would be more than Discord allows.
    """
    wanted = _parse(desired)
    observed = {str(tag["id"]): _settled(tag) for tag in observed_raw or ()}
    memory = _with_ids(memory, observed)
    matched = _match(wanted, observed, memory)
    ours = {tag_id: wanted[index] for index, tag_id in matched.items()}
    names = {_key(tag.name) for tag in wanted}
    dropped = {
        name: tag_id
        for name, tag_id in memory.items()
        if _key(name) not in names and tag_id in observed and tag_id not in ours
    }
    gone = set(dropped.values())
    body = _body(wanted, observed, matched, gone)
    diffs = _diffs(wanted, observed, matched, gone)
    if diffs and len(body) > MAX_TAGS:
        raise _too_many(body, wanted, observed, ours)
    remembered = {tag.name: matched.get(index, "") for index, tag in enumerate(wanted)}
    return TagPlan(body=body, changed=bool(diffs), diffs=diffs, memory={**remembered, **dropped})


def encode(memory: Mapping[str, str], *, channel: str = "") -> str | None:
    """Return the annotation's text for a memory, its order kept; None for an empty one: the annotation shall go.

    Args:
        memory: The id of each name.
        channel: The channel's id. Names without an id count only there.
    """
    pairs = [[name, tag_id or f"{_ASKED}{channel}"] for name, tag_id in memory.items()]
    return json.dumps(pairs, ensure_ascii=False, separators=(",", ":")) if pairs else None


def decode(text: str | None, *, channel: str = "") -> dict[str, str]:
    """Return the memory in an annotation. What cannot be read is forgotten: then tags are matched by name."""
    asked = f"{_ASKED}{channel}"
    try:
        pairs = json.loads(text or "[]")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(pairs, list):
        return {}
    read = {str(pair[0]): str(pair[1]) for pair in pairs if isinstance(pair, list) and len(pair) == 2}
    return {
        name: "" if tag_id == asked else tag_id
        for name, tag_id in read.items()
        if tag_id == asked or not tag_id.startswith(_ASKED)
    }


def plain_emoji(name: str | None) -> str:
    """Return an emoji as it compares: without the selector of its coloured form; "" for none."""
    return (name or "").replace(_SELECTOR, "")


def _parse(desired: Iterable[ForumTag | Mapping[str, Any]]) -> list[ForumTag]:
    tags: list[ForumTag] = []
    seen: dict[str, int] = {}
    for index, item in enumerate(desired):
        path = f"{_FIELD}[{index}]"
        try:
            tag = item if isinstance(item, ForumTag) else ForumTag.model_validate(dict(item))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join([path, *(str(part) for part in first["loc"])])
            remedy = first["msg"].removeprefix("Value error, ")
            raise InvalidField(field=field, value=first["input"], remedy=remedy) from None
        earlier = seen.setdefault(_key(tag.name), index)
        if earlier != index:
            remedy = f"{_FIELD}[{earlier}] and {path} have one name: give each tag its own"
            raise InvalidField(field=f"{path}.name", value=tag.name, remedy=remedy)
        tags.append(tag)
    return tags


def _with_ids(memory: Mapping[str, str], observed: Mapping[str, Raw]) -> dict[str, str]:
    """Return the memory with the ids of those tags that were only asked for, as far as they are there."""
    known = set(memory.values())
    there = {_key(tag["name"]): tag_id for tag_id, tag in observed.items() if tag_id not in known}
    return {name: tag_id or there.get(_key(name), "") for name, tag_id in memory.items()}


def _match(
    wanted: Sequence[ForumTag], observed: Mapping[str, Raw], memory: Mapping[str, str]
) -> dict[int, str]:
    """Return the id of each wanted tag that exists: as remembered, else by its name, else as one renamed."""
    ids = {_key(name): tag_id for name, tag_id in memory.items() if tag_id in observed}
    matched: dict[int, str] = {}
    for index, tag in enumerate(wanted):
        tag_id = ids.get(_key(tag.name))
        if tag_id is not None and tag_id not in matched.values():
            matched[index] = tag_id
    free = {_key(tag["name"]): tag_id for tag_id, tag in observed.items() if tag_id not in matched.values()}
    for index, tag in enumerate(wanted):
        if index not in matched and _key(tag.name) in free:
            matched[index] = free.pop(_key(tag.name))
    for index, name in _renames([_key(name) for name in memory], [_key(tag.name) for tag in wanted]):
        if index not in matched and name in ids and ids[name] not in matched.values():
            matched[index] = ids[name]
    return matched


def _renames(before: list[str], after: list[str]) -> Iterable[tuple[int, str]]:
    """Yield the index of each new name that stands where one stood that is gone, with that one."""
    for verb, start, end, new_start, new_end in SequenceMatcher(
        None, before, after, autojunk=False
    ).get_opcodes():
        if verb == "replace":
            gone = [name for name in before[start:end] if name not in after]
            new = [index for index in range(new_start, new_end) if after[index] not in before]
            yield from zip(new, gone, strict=False)


def _body(
    wanted: Sequence[ForumTag], observed: Mapping[str, Raw], matched: Mapping[int, str], gone: set[str]
) -> tuple[Raw, ...]:
    """Return the list to send: ours in the manifest's order in the places that they hold, new ones last."""
    queue = [
        ({"id": matched[index]} if index in matched else {}) | tag.to_discord()
        for index, tag in enumerate(wanted)
    ]
    held = set(matched.values())
    body: list[Raw] = []
    for tag_id, tag in observed.items():
        if tag_id in held:
            body.append(queue.pop(0))
        elif tag_id not in gone:
            body.append(tag)
    return tuple(body + queue)


def _diffs(
    wanted: Sequence[ForumTag], observed: Mapping[str, Raw], matched: Mapping[int, str], gone: set[str]
) -> tuple[FieldDiff, ...]:
    diffs: list[FieldDiff] = []
    for index, tag in enumerate(wanted):
        label, desired = f"{_FIELD}[{tag.name}]", tag.to_discord()
        if index not in matched:
            diffs.append(FieldDiff(label, "none", _in_words(desired)))
            continue
        have = observed[matched[index]]
        if _comparable(have) != _comparable(desired):
            diffs.append(FieldDiff(label, _in_words(have), _in_words(desired)))
    diffs += [
        FieldDiff(f"{_FIELD}[{observed[one]['name']}]", _in_words(observed[one]), "none")
        for one in sorted(gone)
    ]
    ours = [matched[index] for index in sorted(matched)]
    there = [tag_id for tag_id in observed if tag_id in ours]
    if ours != there:
        was, shall = (", ".join(str(observed[one]["name"]) for one in order) for order in (there, ours))
        diffs.append(FieldDiff(f"{_FIELD} (order)", was, shall))
    return tuple(diffs)


def _too_many(
    body: Sequence[Raw], wanted: Sequence[ForumTag], observed: Mapping[str, Raw], ours: Mapping[str, ForumTag]
) -> InvalidField:
    others = [str(tag["name"]) for tag_id, tag in observed.items() if tag_id not in ours and tag in body]
    remedy = f"Discord allows {MAX_TAGS} tags in a channel: take some out of the manifest"
    if others:
        remedy += f", or delete some of the {len(others)} that are not in it: {', '.join(others)}"
    return InvalidField(field=_FIELD, value=f"{len(body)} tags, {len(wanted)} of them listed", remedy=remedy)


def _key(name: str) -> str:
    return role_name_key(str(name))


def _settled(tag: Mapping[str, Any]) -> Raw:
    """Return one of Discord's tags as a request carries it; an emoji id of 0 means none."""
    emoji_id = str(tag.get("emoji_id") or "0")
    return {
        "id": str(tag["id"]),
        "name": str(tag.get("name") or ""),
        "moderated": bool(tag.get("moderated")),
        "emoji_id": None if emoji_id == "0" else emoji_id,
        "emoji_name": tag.get("emoji_name") or None,
    }


def _comparable(tag: Mapping[str, Any]) -> tuple[str, bool, str | None, str]:
    """Return what two equal tags have in common; the name that comes along with a custom emoji's id is none."""
    emoji_name = "" if tag["emoji_id"] else plain_emoji(tag["emoji_name"])
    return _key(tag["name"]), tag["moderated"], tag["emoji_id"], emoji_name


def _in_words(tag: Mapping[str, Any]) -> str:
    parts = [str(tag["name"])]
    if tag["emoji_id"] or tag["emoji_name"]:
        parts.append(f"emoji {tag['emoji_id'] or tag['emoji_name']}")
    if tag["moderated"]:
        parts.append("moderated")
    return ", ".join(parts)
