"""The control API's verbs: what a test, or a person at the command line, does to the simulated Discord.

`POST /_control/<verb>` takes a JSON object of the verb's arguments and answers its result; without arguments a
GET does too. Only loopback clients are answered. Guilds, channels, roles and users are given by id or by name.
People act as themselves (`actor`), may do everything, and stand in the audit log.
"""

from __future__ import annotations

import inspect
import ipaddress
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from provider_discord.simulator import seeding, views
from provider_discord.simulator.act import Act, Action
from provider_discord.simulator.edge import Simulator
from provider_discord.simulator.errors import ApiError, Json
from provider_discord.simulator.faults import Fault, Latency
from provider_discord.simulator.people import People, bits_of
from provider_discord.simulator.permissions import Permission
from provider_discord.simulator.ratelimit import LimitsConfig
from provider_discord.simulator.refs import ControlError

PREFIX = "/_control"


class Control(People):
    """The verbs; each public method is one.

    Args:
        simulator: what they act on.
    """

    def __init__(self, simulator: Simulator) -> None:
        super().__init__(simulator.world)
        self._simulator = simulator

    # -- the simulator itself --------------------------------------------------------------------------------

    def info(self) -> Json:
        """Return what is in force and what is there, in short."""
        return {
            "behaviour": self._world.behaviour.as_json(),
            "limits": str(self._simulator.limiter.config.mode),
            "invalid_requests": self._simulator.limiter.invalid_requests,
            "requests": self._simulator.log.last_seq,
            "guilds": [
                {"id": guild.id, "name": guild.settings["name"]} for guild in self._world.guilds.values()
            ],
            "bots": [self._world.users[bot.user_id] for bot in self._world.bots.values()],
        }

    def reset(self) -> Json:
        """Begin anew: the first bot and guild, no requests, no faults, full buckets, configured settings."""
        simulator, config = self._simulator, self._simulator.config
        simulator.forget_late_commits()
        self._world.clear()
        self._world.behaviour = config.behaviour
        seeding.seed(self._world, config)
        simulator.faults.clear()
        simulator.log.clear()
        simulator.latency = config.latency
        simulator.limiter.configure(config.limits)
        return self.info()

    def state(self) -> Json:
        """Return everything there is, but for tokens."""
        dumped = self._world.dump()
        bots = [{key: value for key, value in bot.items() if key != "tokens"} for bot in dumped["bots"]]
        return {**dumped, "bots": bots}

    def set_behaviour(self, **answers: Any) -> Json:
        """Choose other answers to what no document settles."""
        try:
            self._world.behaviour = self._world.behaviour.changed(**answers)
        except ValueError as error:
            raise ControlError(str(error)) from error
        return self._world.behaviour.as_json()

    def set_limits(self, **config: Any) -> Json:
        """Put other rate limits in force; buckets are full then."""
        try:
            self._simulator.limiter.configure(LimitsConfig.from_json(config))
        except (ValueError, TypeError, KeyError) as error:
            msg = f"no such limits: {error}"
            raise ControlError(msg) from error
        return {"mode": str(self._simulator.limiter.config.mode)}

    def refill(self) -> None:
        """Fill every bucket and lift every ban."""
        self._simulator.limiter.forget()

    def ban(self, seconds: float = 60.0) -> None:
        """Ban the address: Cloudflare's page to every request."""
        self._simulator.limiter.ban(time.monotonic(), seconds=float(seconds))

    def set_latency(self, median_seconds: float = 0.0, p99_seconds: float = 0.0) -> None:
        """Let answers take so long."""
        self._simulator.latency = Latency(float(median_seconds), float(p99_seconds))

    def add_fault(self, **fault: Any) -> None:
        """Arm a fault."""
        try:
            self._simulator.faults.add(Fault.from_json(fault))
        except (ValueError, TypeError) as error:
            raise ControlError(str(error)) from error

    def clear_faults(self) -> None:
        """Disarm all faults; what was to be committed late never will be."""
        self._simulator.faults.clear()
        self._simulator.forget_late_commits()

    def faults(self) -> list[Json]:
        """Return the faults and how often each struck."""
        return self._simulator.faults.as_json()

    def requests(self, **wanted: Any) -> list[Json]:
        """Return the requests that fit (see `RequestLog.find`)."""
        return [entry.as_json() for entry in self._simulator.log.find(**wanted)]

    def count_requests(self, **wanted: Any) -> int:
        """Return how many requests fit."""
        return sum(1 for _ in self._simulator.log.find(**wanted))

    def last_request(self) -> int:
        """Return the number of the last request."""
        return self._simulator.log.last_seq

    def clear_requests(self) -> None:
        """Forget the requests."""
        self._simulator.log.clear()

    # -- bots and guilds -------------------------------------------------------------------------------------

    def create_bot(self, name: str, token: str, guild_members_intent: bool = False) -> Json:  # noqa: FBT001, FBT002 - JSON names it
        """Make a bot with a token."""
        if self._world.bot_of_token(token) is not None:
            msg = "another bot has this token"
            raise ControlError(msg)
        bot = seeding.new_bot(self._world, name, tokens=[token], guild_members_intent=guild_members_intent)
        return dict(self._world.users[bot.user_id])

    def add_token(self, token: str, bot: str = "") -> None:
        """Make a further token valid for a bot."""
        self._refs.bot(bot).tokens.append(token)

    def revoke_token(self, token: str) -> None:
        """Make a token invalid: it is answered 401 from now on."""
        bot = self._world.bot_of_token(token)
        if bot is None:
            msg = "no bot has this token"
            raise ControlError(msg)
        bot.tokens.remove(token)

    def replace_token(self, old: str, new: str) -> None:
        """Make a new token valid in place of an old one, as a reset at Discord does."""
        bot = self._world.bot_of_token(old)
        if bot is None:
            msg = "no bot has the old token"
            raise ControlError(msg)
        bot.tokens[bot.tokens.index(old)] = new

    def create_guild(  # noqa: PLR0917 - called by name: the arguments are a JSON object
        self,
        name: str,
        guild_id: str | None = None,
        bot: str = "",
        permissions: int | str | list[str] = int(Permission.ADMINISTRATOR),
        position: int | None = None,
        owner: str = "",
        features: list[str] | None = None,
    ) -> Json:
        """Make a guild that a bot is in; `owner="bot"` makes the bot its owner."""
        member = self._refs.bot(bot)
        owner_id = None
        if owner:
            owner_id = member.user_id if owner == "bot" else seeding.user_named(self._world, owner)["id"]
        guild = seeding.new_guild(
            self._world, name, guild_id=guild_id, owner_id=owner_id, features=features or []
        )
        self.add_bot(guild=guild.id, bot=member.user_id, permissions=permissions, position=position)
        return self.guild(guild.id)

    def add_bot(
        self,
        guild: str = "",
        bot: str = "",
        permissions: int | str | list[str] = int(Permission.ADMINISTRATOR),
        position: int | None = None,
    ) -> Json:
        """Invite a bot and return its managed role; without a position that stands on top."""
        into, member = self._refs.guild(guild), self._refs.bot(bot)
        role = seeding.add_bot(
            self._world, into, member.user_id, permissions=bits_of(permissions), position=position
        )
        owner = Act(world=self._world, guild=into, user_id=into.settings["owner_id"])
        owner.log(Action.BOT_ADD, member.user_id)
        return views.role(role)

    def set_bot_permissions(self, permissions: int | str | list[str], guild: str = "", bot: str = "") -> Json:
        """Change what a bot's own role in a guild may do."""
        role = self._refs.bot_role(self._refs.guild(guild), self._refs.bot(bot).user_id)
        role["permissions"] = str(bits_of(permissions))
        return views.role(role)

    def remove_bot(self, guild: str = "", bot: str = "") -> None:
        """Throw a bot out of a guild; its role goes too."""
        home, user_id = self._refs.guild(guild), self._refs.bot(bot).user_id
        role = self._refs.bot_role(home, user_id)
        home.members.pop(user_id, None)
        home.roles.pop(role["id"], None)
        for member in home.members.values():
            member["roles"] = [one for one in member["roles"] if one != role["id"]]

    def set_guild(self, guild: str = "", **settings: Any) -> Json:
        """Set what no client can: features, premium_tier, incidents_data ...; nothing is checked or logged."""
        found = self._refs.guild(guild)
        unknown = set(settings) - set(found.settings)
        if unknown:
            msg = f"a guild has no {', '.join(sorted(unknown))}"
            raise ControlError(msg)
        found.settings.update(settings)
        return views.guild(found)

    def guild(self, guild: str = "") -> Json:
        """Return a guild with all that is in it, whatever a bot may see."""
        found = self._refs.guild(guild)
        return {
            **views.guild(found, with_counts=True),
            "channels": self.channels(found.id),
            "threads": list(found.threads.values()),
            "members": [views.member(self._world, member) for member in found.members.values()],
            "messages": {channel_id: len(messages) for channel_id, messages in found.messages.items()},
        }

    def guilds(self) -> list[Json]:
        """Return all guilds, without what is in them."""
        return [views.guild(guild) for guild in self._world.guilds.values()]

    def channels(self, guild: str = "") -> list[Json]:
        """Return a guild's channels as they are."""
        found = self._refs.guild(guild)
        return [views.channel(channel, self._world.behaviour) for channel in found.channels.values()]

    def channel(self, channel: str, guild: str = "") -> Json:
        """Return a channel as it is."""
        return self._shown(self._refs.channel(channel, guild)[1])

    def role(self, role: str, guild: str = "") -> Json:
        """Return a role."""
        return views.role(self._refs.role(role, guild)[1])

    def roles(self, guild: str = "") -> list[Json]:
        """Return a guild's roles."""
        return views.roles(self._refs.guild(guild))

    def audit_log(self, guild: str = "") -> list[Json]:
        """Return a guild's audit log, oldest first, with entries that do not show yet."""
        return [dict(entry) for entry in self._refs.guild(guild).audit_log]


def control_routes(control: Control, simulator: Simulator) -> list[web.RouteDef]:
    """Return the HTTP routes of the control API."""
    verbs: dict[str, Callable[..., Any]] = {
        name: method
        for name, method in inspect.getmembers(control, inspect.ismethod)
        if not name.startswith("_")
    }

    async def handle(request: web.Request) -> web.Response:
        if not ipaddress.ip_address(request.remote or "0.0.0.0").is_loopback:  # noqa: S104 - compared, not bound
            return _failed(403, "the control API answers loopback clients only")
        verb = verbs.get(request.match_info["verb"])
        if verb is None:
            return _failed(404, f"no such verb; there are: {', '.join(sorted(verbs))}")
        try:
            arguments = dict(request.query) if request.method == "GET" else await request.json()
            inspect.signature(verb).bind(**arguments)
            result = verb(**arguments)
        except ApiError as error:
            return _failed(400, f"Discord refuses that: {error.message}", discord=error.body())
        except (ControlError, TypeError, ValueError) as error:
            return _failed(400, str(error))
        if request.method != "GET":
            simulator.dirty = True
        return web.json_response({"result": result})

    return [
        web.post(f"{PREFIX}/{{verb}}", handle),
        web.get(f"{PREFIX}/{{verb}}", handle),
    ]


def _failed(status: int, message: str, **more: Any) -> web.Response:
    return web.json_response({"error": message, **more}, status=status)
