"""Permission overwrites: reading them, and who may set which.

Written from Discord docs, resources/channel ("Overwrite Structure", "Edit Channel Permissions") and
topics/permissions. The audit log has an entry of its own for each overwrite that comes, changes or goes.
"""

from __future__ import annotations

from typing import Any

from provider_discord.simulator import fields
from provider_discord.simulator.act import Act, Action
from provider_discord.simulator.behaviour import Checked
from provider_discord.simulator.errors import ApiError, Form, Json, Path, Problem
from provider_discord.simulator.permissions import ALL, Permission, rank

MAX_PER_REQUEST = 100
MAX_PER_CHANNEL = 1000
_KINDS: dict[object, int] = {0: 0, 1: 1, "0": 0, "1": 1, "role": 0, "member": 1}


def read_list(value: Any, act: Act, *, form: Form) -> list[Json]:
    """Return the overwrites that a body's `permission_overwrites` asks for."""
    if not isinstance(value, list):
        form.add(("permission_overwrites",), "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
        return []
    if len(value) > MAX_PER_REQUEST:
        form.add(
            ("permission_overwrites",),
            "BASE_TYPE_MAX_LENGTH",
            f"Must be {MAX_PER_REQUEST} or fewer in length.",
        )
    asked: dict[str, Json] = {}
    for index, item in enumerate(value):
        path: Path = ("permission_overwrites", index)
        if not isinstance(item, dict):
            form.add(path, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
            continue
        if item.get("id") is None:
            form.add((*path, "id"), "BASE_TYPE_REQUIRED", "This field is required")
            continue
        target = fields.snowflake(item["id"], form.at(*path, "id"))
        overwrite = read_one(item, str(target), act, form=form, path=path)
        if overwrite["id"] in asked:
            form.add(path, "OVERWRITE_DUPLICATE", "Overwrites must be unique.")
        asked[overwrite["id"]] = overwrite
    return list(asked.values())


def read_one(item: Json, target_id: str, act: Act, *, form: Form, path: Path = ()) -> Json:
    """Return the overwrite that one object asks for; absent bits are 0."""
    kind = item.get("type")
    if kind is None:
        kind = 0 if target_id in act.guild.roles else 1
    elif isinstance(kind, bool) or kind not in _KINDS:
        form.add((*path, "type"), "BASE_TYPE_CHOICES", "Value must be one of {0, 1}.")
        kind = 0
    sets = {}
    for name in ("allow", "deny"):
        value = item.get(name)
        sets[name] = "0" if value is None else fields.bits(value, form.at(*path, name))
    return {"id": target_id, "type": _KINDS[kind], **sets}


def may_set(act: Act, before: list[Json], after: list[Json], *, bits: int) -> None:
    """Refuse overwrites that the actor may not set.

    Args:
        act: the actor.
        before: the overwrites there are.
        after: those there would be.
        bits: the actor's permissions in the guild or the parent.

    Raises:
        ApiError: 50013, or for an unknown target 10009.
    """
    old = {overwrite["id"]: overwrite for overwrite in before}
    new = {overwrite["id"]: overwrite for overwrite in after}
    for target_id in [*old, *(key for key in new if key not in old)]:
        was, now = old.get(target_id), new.get(target_id)
        if was == now and act.behaviour.overwrite_bits is Checked.CHANGED:
            continue
        _known_target(act, now)
        if act.administrator:
            continue
        touched = 0
        for name in ("allow", "deny"):
            is_bits, was_bits = int((now or {}).get(name, 0)), int((was or {}).get(name, 0))
            touched |= (
                is_bits | was_bits if act.behaviour.overwrite_bits is Checked.ALL else is_bits ^ was_bits
            )
        # Bits without a meaning are nobody's to have; Discord ignores them.
        if touched & ALL & ~bits or touched & Permission.MANAGE_ROLES:
            raise ApiError(Problem.MISSING_PERMISSIONS)
        role = act.guild.roles.get(target_id)
        if act.behaviour.overwrite_hierarchy and role is not None and rank(role) >= act.rank:
            raise ApiError(Problem.MISSING_PERMISSIONS)


def log_changes(act: Act, channel_id: str, before: list[Json], after: list[Json]) -> None:
    """Write the audit log entries for what became of a channel's overwrites."""
    old = {overwrite["id"]: overwrite for overwrite in before}
    new = {overwrite["id"]: overwrite for overwrite in after}
    for target_id in [*old, *(key for key in new if key not in old)]:
        was, now = old.get(target_id), new.get(target_id)
        if was == now:
            continue
        action = Action.CHANNEL_OVERWRITE_UPDATE
        if was is None:
            action = Action.CHANNEL_OVERWRITE_CREATE
        elif now is None:
            action = Action.CHANNEL_OVERWRITE_DELETE
        changes = []
        for name in ("allow", "deny"):
            was_bits, is_bits = (was or {}).get(name), (now or {}).get(name)
            if was_bits != is_bits:
                change: Json = {"key": name}
                change |= {} if was_bits is None else {"old_value": was_bits}
                change |= {} if is_bits is None else {"new_value": is_bits}
                changes.append(change)
        kind = (now or was or {})["type"]
        options: Json = {"id": target_id, "type": str(kind)}
        if target_id in act.guild.roles:
            options["role_name"] = act.guild.roles[target_id]["name"]
        act.log(action, channel_id, changes=changes, options=options)


def _known_target(act: Act, overwrite: Json | None) -> None:
    if overwrite is None or not act.behaviour.unknown_overwrite_target:
        return
    known = act.guild.roles if overwrite["type"] == 0 else act.world.users
    if overwrite["id"] not in known:
        raise ApiError(Problem.UNKNOWN_OVERWRITE)
