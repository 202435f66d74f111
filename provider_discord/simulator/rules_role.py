"""What may be in a role's body (Discord docs, resources/guild, "Create Guild Role"; topics/permissions)."""

from __future__ import annotations

from typing import Any

from provider_discord.simulator import fields
from provider_discord.simulator.errors import ApiError, Complain, Form, Json, Problem
from provider_discord.simulator.state import Guild, image_hash

MAX_ICON_BYTES = 256 * 1024
_COLOR = fields.integer(0, 0xFFFFFF)
_HOLOGRAPHIC = {"primary_color": 11127295, "secondary_color": 16759788, "tertiary_color": 16761760}
_DEFAULT_NAME = "new role"
_NAME = fields.text(0, 100)


def defaults(guild: Guild) -> Json:
    """Return what a new role has before anything is asked for; its permissions are those of @everyone."""
    return {
        "name": _DEFAULT_NAME,
        "permissions": guild.roles[guild.id]["permissions"],
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "mentionable": False,
        "managed": False,
        "icon": None,
        "unicode_emoji": None,
        "flags": 0,
        "tags": None,
    }


def read(body: Json, guild: Guild, *, creating: bool) -> Json:
    """Return the stored values that a body asks for.

    Raises:
        ApiError: 50035, or 50101 for what the guild's boosts do not give.
    """
    form = Form()
    asked: Json = {}
    if "name" in body:
        name = "" if body["name"] is None else _NAME(body["name"], form.at("name"))
        if name:
            asked["name"] = name
        elif creating or body["name"] == "":
            asked["name"] = _DEFAULT_NAME
    if body.get("permissions") is not None:
        asked["permissions"] = fields.bits(body["permissions"], form.at("permissions"))
    for flag in ("hoist", "mentionable"):
        if body.get(flag) is not None:
            asked[flag] = fields.boolean(body[flag], form.at(flag))
    if body.get("color") is not None:
        primary = _COLOR(body["color"], form.at("color"))
        asked["colors"] = {"primary_color": primary, "secondary_color": None, "tertiary_color": None}
    if body.get("colors") is not None:
        asked["colors"] = _colors(body["colors"], form)
    if "icon" in body:
        asked["icon"] = None if body["icon"] is None else _icon(body["icon"], form.at("icon"))
    if "unicode_emoji" in body:
        emoji = body["unicode_emoji"]
        asked["unicode_emoji"] = (
            None if emoji is None else fields.text(0, 100)(emoji, form.at("unicode_emoji")) or None
        )
    form.done()
    _check_boosts(asked, guild)
    return asked


def _colors(value: Any, form: Form) -> Json:
    if not isinstance(value, dict):
        form.add(("colors",), "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return {}
    colors: Json = {"primary_color": 0, "secondary_color": None, "tertiary_color": None}
    for name in colors:
        if value.get(name) is not None:
            colors[name] = _COLOR(value[name], form.at("colors", name))
    # A third colour makes the role holographic, whatever the three are.
    return dict(_HOLOGRAPHIC) if colors["tertiary_color"] is not None else colors


def _icon(value: Any, complain: Complain) -> str | None:
    image = fields.image(value, complain)
    if not isinstance(image, fields.Image):
        return None
    if len(image.data) > MAX_ICON_BYTES:
        raise ApiError(Problem.FILE_TOO_LARGE)
    return image_hash(image.data, animated=False)


def _check_boosts(asked: Json, guild: Guild) -> None:
    if (asked.get("icon") or asked.get("unicode_emoji")) and "ROLE_ICONS" not in guild.features:
        raise ApiError(Problem.BOOSTS)
    colors = asked.get("colors") or {}
    if colors.get("secondary_color") is not None and "ENHANCED_ROLE_COLORS" not in guild.features:
        raise ApiError(Problem.BOOSTS)
