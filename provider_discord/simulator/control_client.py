"""A synchronous client of the control API, for tests, the demo and the command line.

Every method is one verb of `control.Control`; guilds, channels, roles and people are given by id or name, a guild
as "" is the first one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from provider_discord.simulator.errors import Json
from provider_discord.simulator.faults import Effect, Fault
from provider_discord.simulator.ratelimit import LimitsConfig

Bits = int | str | Sequence[str]
"""Permissions: a number, a decimal string, or names."""

_ALICE = "Alice"
_TIMEOUT_SECONDS = 30.0


class ControlFailure(Exception):
    """The simulator did not do it.

    Attributes:
        discord: Discord's error body, if Discord's rules refused it.
    """

    def __init__(self, message: str, discord: Json | None = None) -> None:
        self.discord = discord
        super().__init__(message)


class ControlClient:
    """Talks to a simulator.

    Args:
        base_url: its address; a path behind the port, such as /api/v10, is ignored.
    """

    def __init__(self, base_url: str) -> None:
        url = httpx.URL(base_url)
        self.origin = str(url.copy_with(raw_path=b"/")).rstrip("/")
        self._http = httpx.Client(
            base_url=f"{self.origin}/_control/", timeout=_TIMEOUT_SECONDS, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(self, verb: str, /, **arguments: Any) -> Any:
        """Do a verb and return its result.

        Raises:
            ControlFailure: it was refused, or nobody answers.
        """
        try:
            response = self._http.post(verb, json=arguments)
        except httpx.HTTPError as error:
            msg = f"no simulator answers at {self.origin} ({type(error).__name__}); start one with `provider-discord simulate`"
            raise ControlFailure(msg) from error
        try:
            answer = response.json()
        except ValueError as error:
            msg = f"{self.origin} is no simulator: HTTP {response.status_code} without JSON"
            raise ControlFailure(msg) from error
        if response.is_error:
            raise ControlFailure(answer.get("error", f"HTTP {response.status_code}"), answer.get("discord"))
        return answer["result"]

    # -- the simulator itself --------------------------------------------------------------------------------

    def info(self) -> Json:
        """Return what is in force and what is there, in short."""
        return dict(self.call("info"))

    def reset(self) -> Json:
        """Begin anew: the first bot and guild, no requests, no faults, full buckets, configured settings."""
        return dict(self.call("reset"))

    def state(self) -> Json:
        """Return everything there is, but for tokens."""
        return dict(self.call("state"))

    def set_behaviour(self, **answers: Any) -> Json:
        """Choose other answers to what no document settles; see `Behaviour`."""
        return dict(self.call("set_behaviour", **answers))

    def set_limits(self, limits: LimitsConfig) -> None:
        """Put other rate limits in force; buckets are full then."""
        self.call("set_limits", **dataclasses.asdict(limits))

    def refill(self) -> None:
        """Fill every bucket and lift every ban."""
        self.call("refill")

    def ban(self, *, seconds: float = 60.0) -> None:
        """Ban the address: Cloudflare's page to every request."""
        self.call("ban", seconds=seconds)

    def set_latency(self, *, median_seconds: float = 0.0, p99_seconds: float = 0.0) -> None:
        """Let answers take so long (log-normal)."""
        self.call("set_latency", median_seconds=median_seconds, p99_seconds=p99_seconds)

    def add_fault(self, effect: Effect | Fault | str, **details: Any) -> None:
        """Arm a fault: a `Fault`, or an effect and the fault's other fields."""
        fault = effect if isinstance(effect, Fault) else Fault(effect=Effect(effect), **details)
        self.call("add_fault", **fault.as_json())

    def clear_faults(self) -> None:
        """Disarm all faults; what was to be committed late never will be."""
        self.call("clear_faults")

    def faults(self) -> list[Json]:
        """Return the faults, each with its `hits`."""
        return list(self.call("faults"))

    def requests(
        self,
        *,
        since: int = 0,
        method: str = "",
        route: str = "",
        resource: str = "",
        status: int | None = None,
        writes: bool = False,
    ) -> list[Json]:
        """Return the requests that fit; see `requestlog.RequestLog.find` and `requestlog.Entry`."""
        wanted = {"since": since, "method": method, "route": route, "resource": resource, "status": status}
        return list(self.call("requests", **wanted, writes=writes))

    def count_requests(
        self,
        *,
        since: int = 0,
        method: str = "",
        route: str = "",
        resource: str = "",
        status: int | None = None,
        writes: bool = False,
    ) -> int:
        """Return how many requests fit."""
        wanted = {"since": since, "method": method, "route": route, "resource": resource, "status": status}
        return int(self.call("count_requests", **wanted, writes=writes))

    def last_request(self) -> int:
        """Return the number of the last request, for `since`."""
        return int(self.call("last_request"))

    def clear_requests(self) -> None:
        """Forget the requests."""
        self.call("clear_requests")

    # -- bots and guilds -------------------------------------------------------------------------------------

    def create_bot(self, name: str, token: str, *, guild_members_intent: bool = False) -> Json:
        """Make a bot with a token and return its user."""
        return dict(
            self.call("create_bot", name=name, token=token, guild_members_intent=guild_members_intent)
        )

    def add_token(self, token: str, *, bot: str = "") -> None:
        """Make a further token valid for a bot."""
        self.call("add_token", token=token, bot=bot)

    def revoke_token(self, token: str) -> None:
        """Make a token invalid."""
        self.call("revoke_token", token=token)

    def replace_token(self, old: str, new: str) -> None:
        """Make a new token valid for a bot in place of its old one."""
        self.call("replace_token", old=old, new=new)

    def create_guild(
        self,
        name: str,
        *,
        guild_id: str | None = None,
        bot: str = "",
        permissions: Bits = 8,
        position: int | None = None,
        owner: str = "",
        features: Sequence[str] = (),
    ) -> Json:
        """Make a guild that a bot is in, as `guild` shows it.

        Args:
            name: its name.
            guild_id: its id; None for a new one.
            bot: the bot.
            permissions: what the bot's own role may do; 8 is ADMINISTRATOR.
            position: where that role stands; None on top.
            owner: who owns the guild; "bot" for the bot.
            features: its features.
        """
        return dict(
            self.call(
                "create_guild",
                name=name,
                guild_id=guild_id,
                bot=bot,
                permissions=_bits(permissions),
                position=position,
                owner=owner,
                features=list(features),
            )
        )

    def add_bot(
        self, *, guild: str = "", bot: str = "", permissions: Bits = 8, position: int | None = None
    ) -> Json:
        """Invite a bot into a guild and return its managed role."""
        bits = _bits(permissions)
        return dict(self.call("add_bot", guild=guild, bot=bot, permissions=bits, position=position))

    def remove_bot(self, *, guild: str = "", bot: str = "") -> None:
        """Throw a bot out of a guild."""
        self.call("remove_bot", guild=guild, bot=bot)

    def set_bot_permissions(self, permissions: Bits, *, guild: str = "", bot: str = "") -> Json:
        """Change what a bot's own role in a guild may do, and return the role."""
        return dict(self.call("set_bot_permissions", permissions=_bits(permissions), guild=guild, bot=bot))

    def set_guild(self, *, guild: str = "", **settings: Any) -> Json:
        """Set what no client can: features, premium_tier, incidents_data ...; nothing is checked or logged."""
        return dict(self.call("set_guild", guild=guild, **settings))

    def guild(self, guild: str = "") -> Json:
        """Return a guild with its channels, threads, roles, members and message counts."""
        return dict(self.call("guild", guild=guild))

    def guilds(self) -> list[Json]:
        """Return all guilds, without what is in them."""
        return list(self.call("guilds"))

    def channels(self, guild: str = "") -> list[Json]:
        """Return a guild's channels as they are, whatever a bot may see."""
        return list(self.call("channels", guild=guild))

    def channel(self, name: str, *, guild: str = "") -> Json:
        """Return a channel by id or name."""
        return dict(self.call("channel", channel=name, guild=guild))

    def roles(self, guild: str = "") -> list[Json]:
        """Return a guild's roles."""
        return list(self.call("roles", guild=guild))

    def role(self, name: str, *, guild: str = "") -> Json:
        """Return a role by id or name."""
        return dict(self.call("role", role=name, guild=guild))

    def audit_log(self, guild: str = "") -> list[Json]:
        """Return a guild's audit log, oldest first, with entries that do not show yet."""
        return list(self.call("audit_log", guild=guild))

    # -- people at work: all of it stands in the audit log ---------------------------------------------------

    def edit_guild(self, body: Json, *, guild: str = "", actor: str = _ALICE) -> Json:
        """Change a guild's settings by hand."""
        return dict(self.call("edit_guild", body=body, guild=guild, actor=actor))

    def create_channel(self, body: Json, *, guild: str = "", actor: str = _ALICE) -> Json:
        """Create a channel by hand; `parent_id` may be a name."""
        return dict(self.call("create_channel", body=body, guild=guild, actor=actor))

    def edit_channel(self, channel: str, body: Json, *, guild: str = "", actor: str = _ALICE) -> Json:
        """Change a channel by hand."""
        return dict(self.call("edit_channel", channel=channel, body=body, guild=guild, actor=actor))

    def rename_channel(self, channel: str, name: str, *, guild: str = "", actor: str = _ALICE) -> Json:
        """Rename a channel by hand."""
        return self.edit_channel(channel, {"name": name}, guild=guild, actor=actor)

    def delete_channel(self, channel: str, *, guild: str = "", actor: str = _ALICE) -> Json:
        """Delete a channel by hand."""
        return dict(self.call("delete_channel", channel=channel, guild=guild, actor=actor))

    def move_channels(self, entries: Sequence[Json], *, guild: str = "", actor: str = _ALICE) -> None:
        """Move channels by hand: entries as in the bulk PATCH."""
        self.call("move_channels", entries=list(entries), guild=guild, actor=actor)

    def set_overwrite(
        self,
        channel: str,
        target: str,
        *,
        allow: Bits = 0,
        deny: Bits = 0,
        guild: str = "",
        actor: str = _ALICE,
    ) -> Json:
        """Set an overwrite by hand; the target is a role, a member or `everyone`."""
        bits = {"allow": _bits(allow), "deny": _bits(deny)}
        return dict(
            self.call("set_overwrite", channel=channel, target=target, **bits, guild=guild, actor=actor)
        )

    def delete_overwrite(self, channel: str, target: str, *, guild: str = "", actor: str = _ALICE) -> Json:
        """Remove an overwrite by hand."""
        return dict(self.call("delete_overwrite", channel=channel, target=target, guild=guild, actor=actor))

    def hide_channel(self, channel: str, *, guild: str = "", actor: str = _ALICE) -> Json:
        """Deny everyone, and so every bot that is no administrator, to view a channel."""
        return dict(self.call("hide_channel", channel=channel, guild=guild, actor=actor))

    def create_role(self, body: Json, *, guild: str = "", actor: str = _ALICE) -> Json:
        """Create a role by hand."""
        return dict(self.call("create_role", body=body, guild=guild, actor=actor))

    def edit_role(self, role: str, body: Json, *, guild: str = "", actor: str = _ALICE) -> Json:
        """Change a role by hand."""
        return dict(self.call("edit_role", role=role, body=body, guild=guild, actor=actor))

    def delete_role(self, role: str, *, guild: str = "", actor: str = _ALICE) -> None:
        """Delete a role by hand."""
        self.call("delete_role", role=role, guild=guild, actor=actor)

    def move_roles(self, entries: Sequence[Json], *, guild: str = "", actor: str = _ALICE) -> list[Json]:
        """Move roles by hand: entries as in the bulk PATCH."""
        return list(self.call("move_roles", entries=list(entries), guild=guild, actor=actor))

    def add_member(self, user: str, *, guild: str = "", roles: Sequence[str] = ()) -> Json:
        """Let somebody join, with these roles."""
        return dict(self.call("add_member", user=user, guild=guild, roles=list(roles)))

    def remove_member(self, user: str, *, guild: str = "") -> None:
        """Let somebody leave."""
        self.call("remove_member", user=user, guild=guild)

    def grant(self, user: str, role: str, *, guild: str = "", actor: str = _ALICE) -> Json:
        """Give a member a role."""
        return dict(self.call("grant", user=user, role=role, guild=guild, actor=actor))

    def ungrant(self, user: str, role: str, *, guild: str = "", actor: str = _ALICE) -> Json:
        """Take a role from a member."""
        return dict(self.call("ungrant", user=user, role=role, guild=guild, actor=actor))

    def time_out(self, user: str, *, until: str | None = None, guild: str = "") -> Json:
        """Time a member out until an instant (ISO time); None ends it."""
        return dict(self.call("time_out", user=user, until=until, guild=guild))

    def post_message(
        self, channel: str, content: str = "Hello!", *, guild: str = "", actor: str = _ALICE
    ) -> Json:
        """Post a message; in a forum or media channel a post with it."""
        return dict(self.call("post_message", channel=channel, content=content, guild=guild, actor=actor))

    def start_thread(self, channel: str, title: str, *, guild: str = "", actor: str = _ALICE) -> Json:
        """Start a thread in a channel."""
        return dict(self.call("start_thread", channel=channel, title=title, guild=guild, actor=actor))


def _bits(value: Bits) -> int | str | list[str]:
    return value if isinstance(value, int | str) else list(value)
