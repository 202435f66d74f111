"""A guild drawn for a person: roles with their colours, categories, channels, and who gets into private ones."""

from __future__ import annotations

from rich.text import Text
from rich.tree import Tree

from provider_discord.simulator.errors import Json
from provider_discord.simulator.permissions import Permission
from provider_discord.simulator.state import ANNOUNCEMENT, CATEGORY, FORUM, MEDIA, STAGE, TEXT, VOICE

TYPE_NAMES = {
    TEXT: "text",
    VOICE: "voice",
    CATEGORY: "category",
    ANNOUNCEMENT: "announcement",
    STAGE: "stage",
    FORUM: "forum",
    MEDIA: "media",
}
_ICONS = {TEXT: "#", VOICE: "🔊", CATEGORY: "📁", ANNOUNCEMENT: "📢", STAGE: "🎤", FORUM: "💬", MEDIA: "🎨"}
_VOICES = (VOICE, STAGE)
_POSTS = (FORUM, MEDIA)
_TOPIC_LENGTH = 60


def draw(guild: Json, *, plain: bool = False) -> Tree:
    """Return the guild as a tree to print with rich.

    Args:
        guild: what `ControlClient.guild` returns.
        plain: without characters that an old terminal cannot show.
    """
    members = _many(len(guild["members"]), "member")
    head = Text.assemble((guild["name"], "bold"), (f"  {guild['id']}", "dim"), (f"  {members}", "dim"))
    if guild["features"]:
        head.append(f"  {', '.join(guild['features'])}", style="dim italic")
    tree = Tree(head)
    roles = tree.add(Text("roles", style="dim"))
    for role in sorted(guild["roles"], key=lambda one: (-one["position"], int(one["id"]))):
        roles.add(_role(role, guild, plain=plain))
    channels = sorted(guild["channels"], key=_order)
    for channel in channels:
        if channel["parent_id"] is None and channel["type"] != CATEGORY:
            tree.add(_channel(channel, guild, plain=plain))
    for category in channels:
        if category["type"] == CATEGORY:
            branch = tree.add(_channel(category, guild, plain=plain))
            for channel in channels:
                if channel["parent_id"] == category["id"]:
                    branch.add(_channel(channel, guild, plain=plain))
    return tree


def _order(channel: Json) -> tuple[bool, int, int]:
    return (channel["type"] in _VOICES, channel["position"], int(channel["id"]))


def _role(role: Json, guild: Json, *, plain: bool) -> Text:
    color = role["colors"]["primary_color"]
    style = f"#{color:06x}" if color else "default"
    held = sum(role["id"] in member["roles"] for member in guild["members"])
    text = Text.assemble(("o " if plain else "● ", style), (role["name"], style))
    notes = [_many(held, "member")] if held else []
    if color:
        notes.append(f"#{color:06x}")
    if int(role["permissions"]) & Permission.ADMINISTRATOR:
        notes.append("administrator")
    notes += [word for word in ("hoist", "mentionable", "managed") if role[word]]
    return text.append(f"  {', '.join(notes)}", style="dim") if notes else text


def _channel(channel: Json, guild: Json, *, plain: bool) -> Text:
    channel_type = channel["type"]
    icon = "#" if plain else _ICONS[channel_type]
    text = Text.assemble((f"{icon} ", "cyan"), (channel["name"], "bold" if channel_type == CATEGORY else ""))
    if channel_type != CATEGORY:
        text.append(f"  {TYPE_NAMES[channel_type]}", style="dim")
    gate = int(Permission.VIEW_CHANNEL)
    everyone = next((one for one in channel["permission_overwrites"] if one["id"] == guild["id"]), None)
    if everyone and int(everyone["deny"]) & gate:
        names = {role["id"]: role["name"] for role in guild["roles"]}
        names |= {member["user"]["id"]: member["user"]["username"] for member in guild["members"]}
        admitted = [
            names.get(one["id"], one["id"])
            for one in channel["permission_overwrites"]
            if int(one["allow"]) & gate
        ]
        text.append(" private" if plain else " 🔒", style="yellow")
        text.append(f" {', '.join(admitted) or 'administrators only'}", style="yellow")
    if channel.get("nsfw"):
        text.append("  age-restricted", style="red")
    if channel.get("available_tags"):
        text.append(f"  [{', '.join(tag['name'] for tag in channel['available_tags'])}]", style="magenta")
    topic = channel.get("topic")
    if topic:
        first = topic.splitlines()[0]
        text.append(
            f"  {first[:_TOPIC_LENGTH]}{'...' if len(first) > _TOPIC_LENGTH else ''}", style="dim italic"
        )
    messages = guild["messages"].get(channel["id"], 0)
    posts = sum(thread["parent_id"] == channel["id"] for thread in guild["threads"])
    for number, noun in ((messages, "message"), (posts, "post" if channel_type in _POSTS else "thread")):
        if number:
            text.append(f"  {_many(number, noun)}", style="green")
    return text


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
