"""The bulk PATCH of a guild's channels: positions, and at most one change of parent.

Written from Discord docs, resources/guild ("Modify Guild Channel Positions"). What one refused entry does to
the others no document says: `Behaviour.bad_bulk_entry`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from provider_discord.simulator import channels, fields, overwrites
from provider_discord.simulator.act import Act, Action, differences
from provider_discord.simulator.behaviour import BadEntry
from provider_discord.simulator.errors import ApiError, Form, Json, Problem, invalid
from provider_discord.simulator.ordering import place_channels
from provider_discord.simulator.permissions import Permission
from provider_discord.simulator.rules_channel import SETTABLE_FLAGS
from provider_discord.simulator.state import CATEGORY

_POSITION = fields.integer()


@dataclass(frozen=True, slots=True)
class _Plan:
    channel_id: str
    position: int | None
    changes: Json


def read_entries(entries: Any) -> list[Json]:
    """Return the entries of a bulk PATCH of positions, each with an id and a position that are well formed.

    Raises:
        ApiError: they are not (50035).
    """
    if not isinstance(entries, list):
        raise invalid((), "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
    form = Form()
    read: list[Json] = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict) or entry.get("id") is None:
            form.add((index, "id"), "BASE_TYPE_REQUIRED", "This field is required")
            continue
        position = entry.get("position")
        if position is not None:
            position = _POSITION(position, form.at(index, "position"))
        read.append(
            {**entry, "id": fields.snowflake(entry["id"], form.at(index, "id")), "position": position}
        )
    form.done()
    return read


def move_channels(act: Act, entries: Any) -> None:
    """Do what a bulk PATCH of channels asks for."""
    act.need(Permission.MANAGE_CHANNELS)
    read = read_entries(entries)
    if sum(_changes_parent(act, entry) for entry in read) > 1:
        raise ApiError(Problem.ONE_PARENT)
    plans: list[_Plan] = []
    failure: ApiError | None = None
    for index, entry in enumerate(read):
        try:
            plans.append(_plan(act, entry, index))
        except ApiError as error:
            if act.behaviour.bad_bulk_entry is BadEntry.FAILS_ALL:
                raise
            if act.behaviour.bad_bulk_entry is BadEntry.KEEPS_EARLIER:
                failure = error
                break
    _apply(act, plans)
    if failure is not None:
        raise failure


def _changes_parent(act: Act, entry: Json) -> bool:
    channel = act.guild.channels.get(entry["id"])
    return channel is not None and "parent_id" in entry and entry["parent_id"] != channel["parent_id"]


def _plan(act: Act, entry: Json, index: int) -> _Plan:
    channel = act.guild.channel(entry["id"])
    changes: Json = {}
    if _changes_parent(act, entry) or entry.get("lock_permissions") or entry.get("flags") is not None:
        act.need_in(channels.reachable(act, channel["id"]), Permission.MANAGE_CHANNELS)
    if _changes_parent(act, entry):
        form = Form()
        if channel["type"] == CATEGORY:
            form.add((index, "parent_id"), "CHANNEL_PARENT_INVALID_TYPE", "A category has no parent")
        channels.check_parent(act, entry["parent_id"], form=form)
        form.done()
        changes["parent_id"] = entry["parent_id"]
    parent = act.guild.channels.get(entry.get("parent_id", channel["parent_id"]) or "")
    if entry.get("lock_permissions") and parent is not None:
        act.need(Permission.MANAGE_ROLES)
        changes["permission_overwrites"] = [dict(overwrite) for overwrite in parent["permission_overwrites"]]
    if entry.get("flags") is not None:
        settable = SETTABLE_FLAGS[channel["type"]]
        changes["flags"] = channel["flags"] & ~settable | int(entry["flags"]) & settable
    return _Plan(channel_id=channel["id"], position=entry["position"], changes=changes)


def _apply(act: Act, plans: list[_Plan]) -> None:
    stored = act.guild.channels
    before = {plan.channel_id: dict(stored[plan.channel_id]) for plan in plans}
    for plan in plans:
        stored[plan.channel_id].update(plan.changes)
    wanted = {plan.channel_id: plan.position for plan in plans if plan.position is not None}
    place_channels(act.guild, wanted, positions=act.behaviour.channel_positions)
    for channel_id, was in before.items():
        now = stored[channel_id]
        if not act.behaviour.audit_of_reorder:
            was["position"] = now["position"]
        changes = differences(was, now)
        if changes:
            act.log(Action.CHANNEL_UPDATE, channel_id, changes=changes)
        overwrites.log_changes(act, channel_id, was["permission_overwrites"], now["permission_overwrites"])
