"""Finding guilds, channels, roles and people by id or by name, as the control API's callers give them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from provider_discord.simulator.errors import Json
from provider_discord.simulator.snowflake import is_snowflake
from provider_discord.simulator.state import Bot, Guild, World

_Thing = TypeVar("_Thing")


class ControlError(Exception):
    """A verb cannot do what it was asked to."""


class Refs:
    """Finds things in a world.

    Every method raises ControlError if there is no such thing, or more than one.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def guild(self, ref: str) -> Guild:
        """Return the guild of this id or name; "" is the only one, or the first."""
        guilds = self._world.guilds
        if ref in guilds:
            return guilds[ref]
        if not ref:
            if not guilds:
                msg = "there is no guild"
                raise ControlError(msg)
            return next(iter(guilds.values()))
        names = [guild.settings["name"] for guild in guilds.values()]
        matching = [guild for guild in guilds.values() if guild.settings["name"] == ref]
        return _one("guild", ref, matching, names)

    def bot(self, ref: str) -> Bot:
        """Return the bot of this id or name; "" is the first one."""
        bots = self._world.bots
        if ref in bots:
            return bots[ref]
        if not ref and bots:
            return next(iter(bots.values()))
        names = {bot.user_id: self._world.users[bot.user_id]["username"] for bot in bots.values()}
        return _one(
            "bot", ref, [bots[user_id] for user_id, name in names.items() if name == ref], names.values()
        )

    def bot_role(self, guild: Guild, user_id: str) -> Json:
        """Return the managed role of a bot in a guild."""
        matching = [role for role in guild.roles.values() if (role["tags"] or {}).get("bot_id") == user_id]
        return _one("role of the bot", user_id, matching, ())

    def channel(self, ref: str, guild_ref: str) -> tuple[Guild, Json]:
        """Return a channel and its guild; `#` before a name is fine."""
        for guild in self._world.guilds.values():
            if ref in guild.channels:
                return guild, guild.channels[ref]
        home = self.guild(guild_ref)
        name = ref.removeprefix("#").casefold()
        matching = [channel for channel in home.channels.values() if channel["name"].casefold() == name]
        return home, _one("channel", ref, matching, [channel["name"] for channel in home.channels.values()])

    def role(self, ref: str, guild_ref: str) -> tuple[Guild, Json]:
        """Return a role and its guild; `@` before a name is fine, `everyone` is @everyone."""
        for guild in self._world.guilds.values():
            if ref in guild.roles:
                return guild, guild.roles[ref]
        home = self.guild(guild_ref)
        name = ref.removeprefix("@")
        if name == "everyone":
            return home, home.roles[home.id]
        matching = [role for role in home.roles.values() if role["name"] == name]
        return home, _one("role", ref, matching, [role["name"] for role in home.roles.values()])

    def member(self, guild: Guild, ref: str) -> Json:
        """Return a member by the user's id or name."""
        if ref in guild.members:
            return guild.members[ref]
        names = {user_id: self._world.users[user_id]["username"] for user_id in guild.members}
        matching = [guild.members[user_id] for user_id, name in names.items() if name == ref]
        return _one("member", ref, matching, names.values())

    def target(self, guild: Guild, ref: str) -> str:
        """Return the id of what an overwrite is for: a role, or else a member; an unknown id is taken as it is."""
        names = {role["name"] for role in guild.roles.values()} | {"everyone"}
        if ref in guild.roles or ref.removeprefix("@") in names:
            return str(self.role(ref, guild.id)[1]["id"])
        if is_snowflake(ref):
            return ref
        return str(self.member(guild, ref)["user_id"])

    def channel_body(self, guild: Guild, body: Json) -> Json:
        """Return a channel's body with the name of its parent replaced by the parent's id."""
        parent = body.get("parent_id")
        if not isinstance(parent, str) or is_snowflake(parent):
            return body
        return {**body, "parent_id": self.channel(parent, guild.id)[1]["id"]}


def _one(kind: str, ref: str, matching: list[_Thing], names: Iterable[str]) -> _Thing:
    if len(matching) == 1:
        return matching[0]
    if matching:
        msg = f"there are {len(matching)} {kind}s named {ref!r}: give the id"
        raise ControlError(msg)
    there = ", ".join(repr(name) for name in names)
    msg = f"no {kind} {ref!r}" + (f"; there are {there}" if there else "")
    raise ControlError(msg)
