"""Discord's REST routes: each a method, a template and the function that answers it.

Every answer is (status, JSON or None). Written from Discord docs; the shapes of bodies are in `views`, the rules
in `channels`, `moves`, `roles`, `guilds`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from provider_discord.simulator import channels, fields, guilds, moves, roles, views
from provider_discord.simulator.act import Act
from provider_discord.simulator.behaviour import ForeignGuild
from provider_discord.simulator.errors import ApiError, Form, Json, Problem, invalid
from provider_discord.simulator.snowflake import is_snowflake
from provider_discord.simulator.state import Bot, Guild, World

Answer = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A request that found its route and whose token is valid.

    Attributes:
        world: all there is.
        bot: who asks.
        params: the ids in the path.
        query: the query's parameters.
        body: the JSON body; {} without one.
        reason: the audit log reason.
    """

    world: World
    bot: Bot
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    reason: str | None

    def in_guild(self) -> Act:
        """Return the bot at work on the guild in the path."""
        guild = self.world.guilds.get(self.params["guild_id"])
        if guild is None:
            raise ApiError(Problem.UNKNOWN_GUILD)
        if self.bot.user_id not in guild.members:
            forbidden = self.world.behaviour.foreign_guild is ForeignGuild.FORBIDDEN
            raise ApiError(Problem.MISSING_ACCESS if forbidden else Problem.UNKNOWN_GUILD)
        return self._act(guild)

    def in_channel(self) -> Act:
        """Return the bot at work on the guild of the channel in the path."""
        guild = self.world.guild_of_channel(self.params["channel_id"])
        if self.bot.user_id not in guild.members:
            raise ApiError(Problem.MISSING_ACCESS)
        return self._act(guild)

    def form(self) -> Json:
        """Return the body, which must be an object."""
        if not isinstance(self.body, dict):
            raise invalid((), "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return self.body

    def number(self, name: str, *, least: int, most: int, default: int) -> int:
        """Return an integer of the query.

        Raises:
            ApiError: it is none, or out of bounds (50035).
        """
        if name not in self.query:
            return default
        form = Form()
        value = fields.integer(least, most)(self.query[name], form.at(name))
        form.done()
        return int(value)

    def id(self, name: str) -> str | None:
        """Return an id of the query."""
        value = self.query.get(name)
        if value is not None and not is_snowflake(value):
            raise invalid((name,), "NUMBER_TYPE_COERCE", f'Value "{value}" is not snowflake.')
        return value

    def _act(self, guild: Guild) -> Act:
        return Act(world=self.world, guild=guild, user_id=self.bot.user_id, reason=self.reason)


def _get_me(call: Call) -> Answer:
    return 200, views.me(call.world.users[call.bot.user_id])


def _get_my_guilds(call: Call) -> Answer:
    limit = call.number("limit", least=1, most=200, default=200)
    before, after = call.id("before"), call.id("after")
    found = [
        guild
        for guild in call.world.guilds_of(call.bot.user_id)
        if (before is None or int(guild.id) < int(before)) and (after is None or int(guild.id) > int(after))
    ]
    page = found[-limit:] if before is not None and after is None else found[:limit]
    counts = call.query.get("with_counts") == "true"
    return 200, [views.my_guild(guild, call.bot.user_id, with_counts=counts) for guild in page]


def _get_my_application(call: Call) -> Answer:
    return 200, views.application(call.world, call.bot)


def _get_guild(call: Call) -> Answer:
    return 200, views.guild(call.in_guild().guild, with_counts=call.query.get("with_counts") == "true")


def _patch_guild(call: Call) -> Answer:
    return 200, views.guild(guilds.modify(call.in_guild(), call.form()))


def _get_channels(call: Call) -> Answer:
    return 200, channels.show_all(call.in_guild())


def _post_channel(call: Call) -> Answer:
    created = channels.create(call.in_guild(), call.form())
    return 201, views.channel(created, call.world.behaviour)


def _patch_channels(call: Call) -> Answer:
    moves.move_channels(call.in_guild(), call.body)
    return 204, None


def _get_channel(call: Call) -> Answer:
    act = call.in_channel()
    thread = act.guild.threads.get(call.params["channel_id"])
    if thread is not None:
        channels.reachable(act, thread["parent_id"])
        return 200, dict(thread)
    return 200, channels.show(act, call.params["channel_id"])


def _patch_channel(call: Call) -> Answer:
    changed = channels.modify(call.in_channel(), call.params["channel_id"], call.form())
    return 200, views.channel(changed, call.world.behaviour)


def _delete_channel(call: Call) -> Answer:
    deleted = channels.delete(call.in_channel(), call.params["channel_id"])
    return 200, views.channel(deleted, call.world.behaviour)


def _put_overwrite(call: Call) -> Answer:
    channels.put_overwrite(
        call.in_channel(), call.params["channel_id"], call.params["overwrite_id"], call.form()
    )
    return 204, None


def _delete_overwrite(call: Call) -> Answer:
    channels.delete_overwrite(call.in_channel(), call.params["channel_id"], call.params["overwrite_id"])
    return 204, None


def _get_messages(call: Call) -> Answer:
    act = call.in_channel()
    channel_id = call.params["channel_id"]
    thread = act.guild.threads.get(channel_id)
    channel = channels.reachable(act, thread["parent_id"] if thread else channel_id)
    before, after = call.id("before"), call.id("after")
    return 200, guilds.messages(
        act,
        {**channel, "id": channel_id},
        before=None if before is None else int(before),
        after=None if after is None else int(after),
        limit=call.number("limit", least=1, most=100, default=50),
    )


def _get_roles(call: Call) -> Answer:
    return 200, views.roles(call.in_guild().guild)


def _post_role(call: Call) -> Answer:
    return 200, views.role(roles.create(call.in_guild(), call.form()))


def _patch_roles(call: Call) -> Answer:
    act = call.in_guild()
    roles.move_roles(act, call.body)
    return 200, views.roles(act.guild)


def _get_role(call: Call) -> Answer:
    return 200, views.role(call.in_guild().guild.role(call.params["role_id"]))


def _patch_role(call: Call) -> Answer:
    return 200, views.role(roles.modify(call.in_guild(), call.params["role_id"], call.form()))


def _delete_role(call: Call) -> Answer:
    roles.delete(call.in_guild(), call.params["role_id"])
    return 204, None


def _get_member_counts(call: Call) -> Answer:
    return 200, roles.member_counts(call.in_guild())


def _get_audit_log(call: Call) -> Answer:
    action = call.query.get("action_type")
    return 200, guilds.audit_log(
        call.in_guild(),
        user_id=call.id("user_id"),
        target_id=call.id("target_id"),
        action_type=None if action is None else call.number("action_type", least=0, most=999, default=0),
        before=call.id("before"),
        after=call.id("after"),
        limit=call.number("limit", least=1, most=100, default=50),
    )


def _get_member(call: Call) -> Answer:
    return 200, guilds.member(call.in_guild(), call.params["user_id"])


def _get_members(call: Call) -> Answer:
    act = call.in_guild()
    if not call.bot.guild_members_intent:
        raise ApiError(Problem.MISSING_ACCESS)
    after = call.id("after")
    return 200, guilds.members(
        call.world,
        act.guild,
        after=int(after or 0),
        limit=call.number("limit", least=1, most=1000, default=1),
    )


def _get_active_threads(call: Call) -> Answer:
    act = call.in_guild()
    shown = [
        dict(thread)
        for thread in act.guild.threads.values()
        if act.sees(act.guild.channels[thread["parent_id"]])
    ]
    return 200, {"threads": shown, "members": [], "has_more": False}


@dataclass(frozen=True, slots=True)
class Route:
    """One route.

    Attributes:
        method: the HTTP method.
        template: the path below /api/v10, with ids as `{guild_id}`.
        answer: what answers it.
        takes_reason: whether X-Audit-Log-Reason is honoured.
    """

    method: str
    template: str
    answer: Callable[[Call], Answer]
    takes_reason: bool = True

    @property
    def key(self) -> str:
        """`METHOD /template`, as the rate limits name it."""
        return f"{self.method} {self.template}"


_GUILD = "/guilds/{guild_id}"
_CHANNEL = "/channels/{channel_id}"
ROUTES = (
    Route("GET", "/users/@me", _get_me),
    Route("GET", "/users/@me/guilds", _get_my_guilds),
    Route("GET", "/applications/@me", _get_my_application),
    Route("GET", _GUILD, _get_guild),
    Route("PATCH", _GUILD, _patch_guild),
    Route("GET", f"{_GUILD}/channels", _get_channels),
    Route("POST", f"{_GUILD}/channels", _post_channel),
    Route("PATCH", f"{_GUILD}/channels", _patch_channels, takes_reason=False),
    Route("GET", f"{_GUILD}/roles", _get_roles),
    Route("POST", f"{_GUILD}/roles", _post_role),
    Route("PATCH", f"{_GUILD}/roles", _patch_roles),
    Route("GET", f"{_GUILD}/roles/member-counts", _get_member_counts),
    Route("GET", f"{_GUILD}/roles/{{role_id}}", _get_role),
    Route("PATCH", f"{_GUILD}/roles/{{role_id}}", _patch_role),
    Route("DELETE", f"{_GUILD}/roles/{{role_id}}", _delete_role),
    Route("GET", f"{_GUILD}/audit-logs", _get_audit_log),
    Route("GET", f"{_GUILD}/members", _get_members),
    Route("GET", f"{_GUILD}/members/{{user_id}}", _get_member),
    Route("GET", f"{_GUILD}/threads/active", _get_active_threads),
    Route("GET", _CHANNEL, _get_channel),
    Route("PATCH", _CHANNEL, _patch_channel),
    Route("DELETE", _CHANNEL, _delete_channel),
    Route("PUT", f"{_CHANNEL}/permissions/{{overwrite_id}}", _put_overwrite),
    Route("DELETE", f"{_CHANNEL}/permissions/{{overwrite_id}}", _delete_overwrite),
    Route("GET", f"{_CHANNEL}/messages", _get_messages),
)
# Words win over ids: /roles/member-counts is looked for before /roles/{role_id}.
_PATTERNS = [
    (re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(route.template))), route)
    for route in sorted(ROUTES, key=lambda route: route.template.count("{"))
]


def find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """Return the route of a path below /api/v10, and the ids in it.

    Raises:
        ApiError: there is none: 404, or 405 if only the method is wrong.
    """
    elsewhere = False
    for pattern, route in _PATTERNS:
        match = pattern.fullmatch(path)
        if match is None:
            continue
        if route.method == method:
            return route, match.groupdict()
        elsewhere = True
    raise ApiError(Problem.METHOD if elsewhere else Problem.ROUTE)


def major(params: Mapping[str, str]) -> str:
    """Return the top-level id of a path, which rate limits are kept apart by."""
    return params.get("guild_id") or params.get("channel_id") or ""


def check_ids(params: Mapping[str, str]) -> None:
    """Refuse a path whose ids are none (50035)."""
    form = Form()
    for name, value in params.items():
        if not is_snowflake(value):
            form.add((name,), "NUMBER_TYPE_COERCE", f'Value "{value}" is not snowflake.')
    form.done()
