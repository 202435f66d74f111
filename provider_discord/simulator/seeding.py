"""Making users, bots and guilds out of nothing, which at Discord only people do."""

from __future__ import annotations

from collections.abc import Sequence

from provider_discord.simulator import rules_guild
from provider_discord.simulator.config import SimulatorConfig
from provider_discord.simulator.errors import Json
from provider_discord.simulator.permissions import DEFAULT_EVERYONE
from provider_discord.simulator.rules_role import defaults as role_defaults
from provider_discord.simulator.state import Bot, Guild, World, timestamp

OWNER_NAME = "Owner"


def seed(world: World, config: SimulatorConfig) -> None:
    """Fill an empty world with the first bot and guild that the configuration asks for."""
    if not config.token:
        return
    bot = new_bot(world, config.bot_name, tokens=[config.token])
    if config.guild_name:
        guild = new_guild(world, config.guild_name, guild_id=config.guild_id, features=config.features)
        add_bot(world, guild, bot.user_id, permissions=config.bot_permissions)


def new_user(world: World, name: str, *, user_id: str | None = None, bot: bool = False) -> Json:
    """Make a user."""
    user: Json = {"id": user_id or world.new_id(), "username": name, "bot": bot}
    world.users[user["id"]] = user
    return user


def user_named(world: World, name: str) -> Json:
    """Return the person of this name or id; a person is made if there is none."""
    if name in world.users:
        return world.users[name]
    found = [user for user in world.users.values() if user["username"] == name]
    return found[0] if found else new_user(world, name)


def new_bot(
    world: World,
    name: str,
    *,
    tokens: Sequence[str],
    user_id: str | None = None,
    guild_members_intent: bool = False,
) -> Bot:
    """Make a bot user and its application."""
    user = new_user(world, name, user_id=user_id, bot=True)
    bot = Bot(user_id=user["id"], tokens=list(tokens), guild_members_intent=guild_members_intent)
    world.bots[bot.user_id] = bot
    return bot


def new_guild(
    world: World,
    name: str,
    *,
    guild_id: str | None = None,
    owner_id: str | None = None,
    features: Sequence[str] = (),
) -> Guild:
    """Make a guild with its @everyone role and its owner."""
    owner = world.users[owner_id] if owner_id else user_named(world, OWNER_NAME)
    guild = Guild(id=guild_id or world.new_id(), settings=rules_guild.defaults(name, owner["id"]))
    guild.settings["features"] = sorted(features)
    everyone: Json = {"id": guild.id, "permissions": str(DEFAULT_EVERYONE)}
    guild.roles[guild.id] = everyone
    guild.roles[guild.id] = {**role_defaults(guild), **everyone, "name": "@everyone", "position": 0}
    world.guilds[guild.id] = guild
    add_member(world, guild, owner["id"])
    return guild


def add_member(world: World, guild: Guild, user_id: str, *, roles: Sequence[str] = ()) -> Json:
    """Make a user a member of a guild."""
    member: Json = {
        "user_id": user_id,
        "nick": None,
        "roles": list(roles),
        "joined_at": timestamp(world.wall()),
        "communication_disabled_until": None,
    }
    return guild.members.setdefault(user_id, member)


def add_bot(
    world: World, guild: Guild, user_id: str, *, permissions: int, position: int | None = None
) -> Json:
    """Make a bot a member of a guild, with a managed role of its own, and return that role.

    Args:
        world: where the guild is.
        guild: the guild.
        user_id: the bot's.
        permissions: what its role may do.
        position: where its role stands; None: above all others.
    """
    top = max(role["position"] for role in guild.roles.values()) + 1
    role: Json = {
        **role_defaults(guild),
        "id": world.new_id(),
        "name": world.users[user_id]["username"],
        "permissions": str(permissions),
        "position": top,
        "managed": True,
        "tags": {"bot_id": user_id},
    }
    if position is not None and position < top:
        for other in guild.roles.values():
            if other["position"] >= position:
                other["position"] += 1
        role["position"] = position
    guild.roles[role["id"]] = role
    add_member(world, guild, user_id)["roles"].append(role["id"])
    return role
