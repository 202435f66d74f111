"""The tags and the default reaction of a forum or media channel.

Written from Discord docs, resources/channel ("Forum Tag Structure", "Default Reaction Structure").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from provider_discord.simulator import fields
from provider_discord.simulator.errors import Form, Json

_NAME = fields.text(1, 20)


def read_reaction(value: Any, *, form: Form) -> Json:
    """Return the default reaction that a body asks for: an emoji's id or a character."""
    return _emoji(value, form, ("default_reaction_emoji",), required=True)


def read_tags(value: Any, *, form: Form) -> list[Json]:
    """Return the tags that a body asks for; a new one has the id None."""
    path = ("available_tags",)
    if not isinstance(value, list):
        form.add(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
        return []
    if len(value) > 20:
        form.add(path, "BASE_TYPE_MAX_LENGTH", "Must be 20 or fewer in length.")
    tags: list[Json] = []
    for index, item in enumerate(value):
        at: tuple[str | int, ...] = (*path, index)
        if not isinstance(item, dict):
            form.add(at, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
            continue
        if item.get("name") is None:
            form.add((*at, "name"), "BASE_TYPE_REQUIRED", "This field is required")
            continue
        name = _NAME(item["name"], form.at(*at, "name"))
        tag_id = item.get("id")
        if tag_id is not None:
            tag_id = fields.snowflake(tag_id, form.at(*at, "id"))
        moderated = item.get("moderated")
        if moderated is not None:
            fields.boolean(moderated, form.at(*at, "moderated"))
        tags.append({"id": tag_id, "name": name, "moderated": bool(moderated), **_emoji(item, form, at)})
    names = [tag["name"] for tag in tags]
    if len(set(names)) < len(names):
        form.add(path, "CHANNEL_TAGS_NAME_NOT_UNIQUE", "Tag names must be unique.")
    return tags


def settle_tags(
    asked: list[Json], existing: list[Json], *, new_id: Callable[[], str], form: Form
) -> list[Json]:
    """Return the tags to store: those with an id must exist, the others get one."""
    known = {tag["id"] for tag in existing}
    settled: list[Json] = []
    for index, tag in enumerate(asked):
        if tag["id"] is None:
            settled.append({**tag, "id": new_id()})
            continue
        if tag["id"] not in known:
            form.add(("available_tags", index, "id"), "CHANNEL_TAG_UNKNOWN", "Unknown tag.")
        settled.append(tag)
    return settled


def _emoji(value: Any, form: Form, path: tuple[str | int, ...], *, required: bool = False) -> Json:
    if not isinstance(value, dict):
        form.add(path, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return {"emoji_id": None, "emoji_name": None}
    emoji_id, emoji_name = value.get("emoji_id"), value.get("emoji_name")
    if emoji_id is not None:
        emoji_id = fields.snowflake(emoji_id, form.at(*path, "emoji_id"))
        if emoji_id == "0":
            emoji_id = None
    if emoji_name is not None:
        emoji_name = fields.text(0, 100)(emoji_name, form.at(*path, "emoji_name")) or None
    if emoji_id is not None and emoji_name is not None:
        form.add(path, "EMOJI_ID_AND_NAME", "Only one of emoji_id and emoji_name may be set.")
    if required and emoji_id is None and emoji_name is None:
        form.add(path, "BASE_TYPE_REQUIRED", "One of emoji_id and emoji_name is required.")
    return {"emoji_id": emoji_id, "emoji_name": emoji_name}
