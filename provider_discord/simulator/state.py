"""Everything the simulated Discord knows: users, bots and their tokens, guilds and what is in them.

Plain data and look-ups; what may be done to it, and by whom, is the business of `channels`, `roles` and
`guilds`. All of it is JSON, so that a simulator can be stopped and started again with the same guild.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from provider_discord.simulator.behaviour import Behaviour
from provider_discord.simulator.errors import ApiError, Json, Problem
from provider_discord.simulator.snowflake import SnowflakeFactory

TEXT, VOICE, CATEGORY, ANNOUNCEMENT, STAGE, FORUM, MEDIA = 0, 2, 4, 5, 13, 15, 16
ANNOUNCEMENT_THREAD, PUBLIC_THREAD = 10, 11


@dataclass(slots=True)
class Bot:
    """A bot user, its application and the tokens that are valid for it.

    Attributes:
        user_id: the bot's user id, which is its application's id as well.
        tokens: what is accepted after `Authorization: Bot `.
        guild_members_intent: whether it may list members (a privileged intent).
    """

    user_id: str
    tokens: list[str] = field(default_factory=list, repr=False)
    guild_members_intent: bool = False


@dataclass(slots=True)
class Guild:
    """One guild.

    Attributes:
        id: its id, which is the id of its @everyone role as well.
        settings: the guild object's own fields, as Discord stores them.
        roles, channels, threads, members: stored objects by id (members by user id).
        messages: messages by channel or thread id, oldest first.
        audit_log: entries, oldest first; `_visible_at` (ISO time) is when an entry shows up.
    """

    id: str
    settings: Json
    roles: dict[str, Json] = field(default_factory=dict)
    channels: dict[str, Json] = field(default_factory=dict)
    threads: dict[str, Json] = field(default_factory=dict)
    members: dict[str, Json] = field(default_factory=dict)
    messages: dict[str, list[Json]] = field(default_factory=dict)
    audit_log: list[Json] = field(default_factory=list)

    @property
    def features(self) -> list[str]:
        """The guild's features."""
        features: list[str] = self.settings["features"]
        return features

    def children(self, category_id: str) -> list[Json]:
        """Return the channels in a category."""
        return [channel for channel in self.channels.values() if channel["parent_id"] == category_id]

    def channel(self, channel_id: str) -> Json:
        """Return a channel.

        Raises:
            ApiError: there is none of this id (10003).
        """
        try:
            return self.channels[channel_id]
        except KeyError:
            raise ApiError(Problem.UNKNOWN_CHANNEL) from None

    def role(self, role_id: str) -> Json:
        """Return a role.

        Raises:
            ApiError: there is none of this id (10011).
        """
        try:
            return self.roles[role_id]
        except KeyError:
            raise ApiError(Problem.UNKNOWN_ROLE) from None


def utc_now() -> datetime:
    """Return the wall time, aware."""
    return datetime.now(UTC)


def timestamp(instant: datetime) -> str:
    """Return the instant as Discord writes it."""
    return instant.isoformat(timespec="microseconds")


def image_hash(data: bytes, *, animated: bool) -> str:
    """Return the hash under which Discord would serve this image: `a_` in front if it moves."""
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return f"a_{digest}" if animated else digest


class World:
    """All users, bots and guilds.

    Args:
        behaviour: the answers to what no document settles.
        wall: the wall clock (aware, UTC).
    """

    def __init__(self, behaviour: Behaviour | None = None, *, wall: Callable[[], datetime] = utc_now) -> None:
        self.behaviour = behaviour or Behaviour()
        self.wall = wall
        self.new_id = SnowflakeFactory(wall)
        self.users: dict[str, Json] = {}
        self.bots: dict[str, Bot] = {}
        self.guilds: dict[str, Guild] = {}

    def clear(self) -> None:
        """Forget everything."""
        self.users.clear()
        self.bots.clear()
        self.guilds.clear()

    def bot_of_token(self, token: str) -> Bot | None:
        """Return the bot whose valid token this is."""
        return next((bot for bot in self.bots.values() if token in bot.tokens), None)

    def guild(self, guild_id: str) -> Guild:
        """Return a guild.

        Raises:
            ApiError: there is none of this id (10004).
        """
        try:
            return self.guilds[guild_id]
        except KeyError:
            raise ApiError(Problem.UNKNOWN_GUILD) from None

    def guilds_of(self, user_id: str) -> Iterator[Guild]:
        """Yield the guilds that a user is in, oldest first."""
        for guild_id in sorted(self.guilds, key=int):
            if user_id in self.guilds[guild_id].members:
                yield self.guilds[guild_id]

    def guild_of_channel(self, channel_id: str) -> Guild:
        """Return the guild that holds a channel or thread.

        Raises:
            ApiError: there is none of this id (10003).
        """
        for guild in self.guilds.values():
            if channel_id in guild.channels or channel_id in guild.threads:
                return guild
        raise ApiError(Problem.UNKNOWN_CHANNEL)

    def dump(self) -> Json:
        """Return everything as JSON."""
        return {
            "last_id": self.new_id.last,
            "users": self.users,
            "bots": [dataclasses.asdict(bot) for bot in self.bots.values()],
            "guilds": [dataclasses.asdict(guild) for guild in self.guilds.values()],
        }

    def load(self, dumped: dict[str, Any]) -> None:
        """Replace everything by what `dump` gave.

        Raises:
            KeyError, TypeError: this is no such dump.
        """
        users = dict(dumped["users"])
        bots = {bot["user_id"]: Bot(**bot) for bot in dumped["bots"]}
        guilds = {guild["id"]: Guild(**guild) for guild in dumped["guilds"]}
        self.new_id = SnowflakeFactory(self.wall, last=int(dumped["last_id"]))
        self.users, self.bots, self.guilds = users, bots, guilds
