"""Channels: list, create, modify, delete, and their overwrites.

Written from Discord docs, resources/guild and resources/channel. Every function takes the `Act` (who does it
to which guild) and a request's body, and returns the stored channel; `views` makes the response of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from provider_discord.simulator import overwrites
from provider_discord.simulator.act import Act, Action, differences
from provider_discord.simulator.behaviour import HiddenGet, HiddenList
from provider_discord.simulator.errors import ApiError, Form, Json, Problem
from provider_discord.simulator.ordering import next_channel_position, place_channels
from provider_discord.simulator.permissions import ALL, Permission
from provider_discord.simulator.rules_channel import (
    IS_SPOILER,
    SETTABLE_FLAGS,
    defaults,
    read_fields,
    read_name,
    read_type,
)
from provider_discord.simulator.rules_tags import settle_tags
from provider_discord.simulator.state import ANNOUNCEMENT, CATEGORY, TEXT, Guild
from provider_discord.simulator.views import channel as shown
from provider_discord.simulator.views import obfuscated_channel

MAX_CHANNELS = 500
MAX_CHILDREN = 50


def show_all(act: Act) -> list[Json]:
    """Return the response of the channel list: what the actor sees, oldest first."""
    found = []
    for channel_id in sorted(act.guild.channels, key=int):
        channel = act.guild.channels[channel_id]
        if act.sees(channel):
            found.append(shown(channel, act.behaviour))
        elif act.behaviour.hidden_list is HiddenList.OBFUSCATED:
            found.append(obfuscated_channel(channel, act.behaviour))
    return found


def show(act: Act, channel_id: str) -> Json:
    """Return the response of a channel's GET; what a hidden one answers is a setting."""
    channel = act.guild.channel(channel_id)
    if act.sees(channel):
        return shown(channel, act.behaviour)
    if act.behaviour.hidden_get is HiddenGet.OBFUSCATED:
        return obfuscated_channel(channel, act.behaviour)
    raise _out_of_reach(act)


def create(act: Act, body: Json) -> Json:
    """Create a channel and return it as stored."""
    guild, form = act.guild, Form()
    parent = guild.channels.get(str(body.get("parent_id")))
    bits = act.permissions | (act.permissions_in(parent) if parent else 0)
    if not bits & Permission.MANAGE_CHANNELS:
        raise ApiError(Problem.MISSING_PERMISSIONS)
    channel_type = read_type(body, guild, act.behaviour, form=form)
    name = read_name(body, channel_type, act.behaviour, form=form)
    asked = read_fields(body, channel_type, guild, act.behaviour, form=form, creating=True)
    asked_overwrites = None
    if body.get("permission_overwrites") is not None:
        asked_overwrites = overwrites.read_list(body["permission_overwrites"], act, form=form)
    check_parent(act, asked.get("parent_id"), form=form)
    if "available_tags" in asked:
        asked["available_tags"] = settle_tags(asked["available_tags"], [], new_id=act.world.new_id, form=form)
    _check_spoiler(asked, form=form)
    form.done()
    if len(guild.channels) >= MAX_CHANNELS:
        raise ApiError(Problem.MAX_CHANNELS)
    if asked_overwrites is not None:
        overwrites.may_set(act, [], asked_overwrites, bits=bits)
    elif parent is not None and asked.get("parent_id") and act.behaviour.create_copies_parent:
        asked_overwrites = [dict(overwrite) for overwrite in parent["permission_overwrites"]]
    position = asked.pop("position", None)
    channel: Json = {
        "id": act.world.new_id(),
        "type": channel_type,
        "guild_id": guild.id,
        "name": name,
        "position": next_channel_position(guild, channel_type),
        **defaults(channel_type),
        **asked,
        "permission_overwrites": asked_overwrites or [],
    }
    with _reversible(act, channel["id"]):
        guild.channels[channel["id"]] = channel
        if position is not None:
            place_channels(guild, {channel["id"]: position}, positions=act.behaviour.channel_positions)
        _check_lockout(act, channel)
    act.log(
        Action.CHANNEL_CREATE,
        channel["id"],
        changes=differences(
            {}, {key: channel[key] for key in ("name", "type", "nsfw", "topic") if key in channel}
        ),
    )
    overwrites.log_changes(act, channel["id"], [], channel["permission_overwrites"])
    return channel


def modify(act: Act, channel_id: str, body: Json) -> Json:
    """Modify a channel and return it as stored."""
    guild, form = act.guild, Form()
    channel = reachable(act, channel_id)
    act.need_in(channel, Permission.MANAGE_CHANNELS)
    channel_type = _new_type(channel, body, guild, form=form)
    asked = read_fields(body, channel_type, guild, act.behaviour, form=form, creating=False)
    if "name" in body:
        asked["name"] = read_name(body, channel_type, act.behaviour, form=form)
    if "permission_overwrites" in body:
        asked["permission_overwrites"] = overwrites.read_list(
            body["permission_overwrites"] or [], act, form=form
        )
    if asked.get("parent_id") != channel["parent_id"]:
        check_parent(act, asked.get("parent_id"), form=form)
    if "available_tags" in asked:
        asked["available_tags"] = settle_tags(
            asked["available_tags"], channel["available_tags"], new_id=act.world.new_id, form=form
        )
    if "flags" in asked:
        settable = SETTABLE_FLAGS[channel_type]
        asked["flags"] = channel["flags"] & ~settable | asked["flags"] & settable
    _check_spoiler({**channel, **asked}, form=form)
    form.done()
    position = asked.pop("position", None)
    changed = {**_as_type(channel, channel_type), **asked}
    if "permission_overwrites" in asked:
        _check_overwrites(act, channel, changed["permission_overwrites"], parent_id=changed["parent_id"])
    before = dict(channel)
    with _reversible(act, channel_id):
        guild.channels[channel_id] = changed
        if position is not None:
            place_channels(guild, {channel_id: position}, positions=act.behaviour.channel_positions)
        _check_lockout(act, changed)
    changes = differences(before, changed)
    if changes or act.behaviour.audit_of_unchanged:
        act.log(Action.CHANNEL_UPDATE, channel_id, changes=changes)
    overwrites.log_changes(act, channel_id, before["permission_overwrites"], changed["permission_overwrites"])
    return changed


def delete(act: Act, channel_id: str) -> Json:
    """Delete a channel and return it as it was; a category's channels lose their parent."""
    guild = act.guild
    channel = reachable(act, channel_id)
    act.need_in(channel, Permission.MANAGE_CHANNELS)
    required = (guild.settings["rules_channel_id"], guild.settings["public_updates_channel_id"])
    if "COMMUNITY" in guild.features and channel_id in required:
        raise ApiError(Problem.COMMUNITY_CHANNEL)
    del guild.channels[channel_id]
    for child in guild.children(channel_id):
        child["parent_id"] = None
    for thread_id in [key for key, thread in guild.threads.items() if thread["parent_id"] == channel_id]:
        del guild.threads[thread_id]
        guild.messages.pop(thread_id, None)
    guild.messages.pop(channel_id, None)
    for key, value in guild.settings.items():
        if key.endswith("_channel_id") and value == channel_id:
            guild.settings[key] = None
    act.log(
        Action.CHANNEL_DELETE,
        channel_id,
        changes=[
            {"key": key, "old_value": channel[key]} for key in ("name", "type", "permission_overwrites")
        ],
    )
    return channel


def put_overwrite(act: Act, channel_id: str, target_id: str, body: Json) -> None:
    """Set one overwrite."""
    form = Form()
    channel = reachable(act, channel_id)
    act.need_in(channel, Permission.MANAGE_ROLES)
    overwrite = overwrites.read_one(body, target_id, act, form=form)
    form.done()
    others = [one for one in channel["permission_overwrites"] if one["id"] != target_id]
    if len(others) >= overwrites.MAX_PER_CHANNEL:
        raise ApiError(Problem.MAX_OVERWRITES)
    _set_overwrites(act, channel, [*others, overwrite])


def delete_overwrite(act: Act, channel_id: str, target_id: str) -> None:
    """Remove one overwrite."""
    channel = reachable(act, channel_id)
    act.need_in(channel, Permission.MANAGE_ROLES)
    others = [one for one in channel["permission_overwrites"] if one["id"] != target_id]
    if len(others) == len(channel["permission_overwrites"]):
        raise ApiError(Problem.UNKNOWN_OVERWRITE)
    _set_overwrites(act, channel, others)


def reachable(act: Act, channel_id: str) -> Json:
    """Return a stored channel that the actor sees.

    Raises:
        ApiError: there is none, or it is hidden (as `Behaviour.hidden_get` says).
    """
    channel = act.guild.channel(channel_id)
    if not act.sees(channel):
        raise _out_of_reach(act)
    return channel


def _out_of_reach(act: Act) -> ApiError:
    hidden = act.behaviour.hidden_get
    return ApiError(Problem.UNKNOWN_CHANNEL if hidden is HiddenGet.NOT_FOUND else Problem.MISSING_ACCESS)


def _new_type(channel: Json, body: Json, guild: Guild, *, form: Form) -> int:
    asked = body.get("type")
    current: int = channel["type"]
    if asked is None or asked == current:
        return current
    if {asked, current} != {TEXT, ANNOUNCEMENT} or "NEWS" not in guild.features:
        form.add(("type",), "BASE_TYPE_CHOICES", f"Value must be one of {{{current}}}.")
        return current
    return int(asked)


def _as_type(channel: Json, channel_type: int) -> Json:
    """Return the channel with the fields of another type: those that both have keep their values."""
    if channel["type"] == channel_type:
        return dict(channel)
    fresh = defaults(channel_type)
    kept = {
        key: value for key, value in channel.items() if key in fresh or key not in defaults(channel["type"])
    }
    return {**fresh, **kept, "type": channel_type}


def check_parent(act: Act, parent_id: str | None, *, form: Form) -> None:
    """Complain unless a channel can be put into this category; None is no category.

    Raises:
        ApiError: the actor does not see it (50001).
    """
    if parent_id is None:
        return
    parent = act.guild.channels.get(parent_id)
    if parent is None:
        form.add(("parent_id",), "CHANNEL_PARENT_INVALID", "Category does not exist")
    elif parent["type"] != CATEGORY:
        form.add(("parent_id",), "CHANNEL_PARENT_INVALID_TYPE", "Not a category")
    elif not act.sees(parent):
        raise ApiError(Problem.MISSING_ACCESS)
    elif len(act.guild.children(parent_id)) >= MAX_CHILDREN:
        form.add(
            ("parent_id",),
            "CHANNEL_PARENT_MAX_CHANNELS",
            f"Maximum number of channels in category reached ({MAX_CHILDREN})",
        )


def _check_spoiler(wanted: Json, *, form: Form) -> None:
    if int(wanted.get("flags") or 0) & IS_SPOILER and wanted.get("nsfw"):
        form.add(
            ("flags",), "CHANNEL_FLAG_NOT_ALLOWED", "An age-restricted channel cannot be a spoiler channel."
        )


def _check_overwrites(act: Act, channel: Json, wanted: list[Json], *, parent_id: str | None) -> None:
    before = channel["permission_overwrites"]
    if {o["id"]: o for o in before} == {o["id"]: o for o in wanted}:
        return
    act.need_in(channel, Permission.MANAGE_ROLES)
    overwrites.may_set(act, before, wanted, bits=_own_bits(act, channel, parent_id))


def _own_bits(act: Act, channel: Json, parent_id: str | None) -> int:
    """Return the bits that the actor may put into a channel's overwrites.

    Those it has in the guild or the parent; all of them if an overwrite of the channel allows it MANAGE_ROLES
    (Discord docs, resources/channel, "Edit Channel Permissions").
    """
    held = {act.user_id, *act.guild.members.get(act.user_id, {"roles": []})["roles"]}
    if any(
        o["id"] in held and int(o["allow"]) & Permission.MANAGE_ROLES
        for o in channel["permission_overwrites"]
    ):
        return ALL
    parent = act.guild.channels.get(parent_id or "")
    return act.permissions | (act.permissions_in(parent) if parent else 0)


def _set_overwrites(act: Act, channel: Json, wanted: list[Json]) -> None:
    before = channel["permission_overwrites"]
    bits = _own_bits(act, channel, channel["parent_id"])
    overwrites.may_set(act, before, wanted, bits=bits)
    with _reversible(act, channel["id"]):
        channel = act.guild.channels[channel["id"]] = {**channel, "permission_overwrites": wanted}
        _check_lockout(act, channel)
    overwrites.log_changes(act, channel["id"], before, wanted)


def _check_lockout(act: Act, channel: Json) -> None:
    if act.behaviour.self_lockout_refused and not act.sees(channel):
        raise ApiError(Problem.MISSING_PERMISSIONS)


@contextmanager
def _reversible(act: Act, channel_id: str) -> Iterator[None]:
    """Undo what was done to channels if the block is refused."""
    guild = act.guild
    before = guild.channels.get(channel_id)
    places = {key: channel["position"] for key, channel in guild.channels.items()}
    try:
        yield
    except ApiError:
        if before is None:
            guild.channels.pop(channel_id, None)
        else:
            guild.channels[channel_id] = before
        for key, position in places.items():
            guild.channels[key]["position"] = position
        raise
