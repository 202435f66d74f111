"""Discord's REST API as typed methods, one client per bot token.

A client is shared by everything that uses its token: its limiter and its breakers belong to the token, and only
the guard against too many invalid requests is shared with other tokens, because that limit is the address's.
Methods return what Discord returned, as plain JSON; the kinds know what it means.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import httpx

from . import routes
from .call import Caller
from .errors import RateLimited, Scope
from .guard import InvalidRequestGuard
from .metrics import ClientMetrics, NoMetrics
from .options import CallOptions
from .routes import CompiledRoute
from .timings import DiscordTimings
from .transport import Secret, Transport

Json = dict[str, Any]

DEFAULT_BASE_URL = "https://discord.com/api/v10"


class DiscordClient:
    """A client for one bot token. Safe for many threads.

    Every method takes ``options`` (priority, patience, audit log reason) and may raise any DiscordError:
    RateLimited, CircuitOpen, Unavailable and Banned tell when to come back; TokenInvalid is for good;
    AmbiguousOutcome only comes from creates.
    """

    def __init__(
        self,
        *,
        token: str,
        user_agent: str,
        now: Callable[[], float] = time.monotonic,
        base_url: str = DEFAULT_BASE_URL,
        timings: DiscordTimings | None = None,
        metrics: ClientMetrics | None = None,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        guard: InvalidRequestGuard | None = None,
        transport: httpx.BaseTransport | None = None,
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        """Make a client. Connects to nothing yet.

        Args:
            token: The bot token, with or without ``Bot`` in front.
            user_agent: ``DiscordBot (url, version)``, as Discord requires.
            now: Monotonic clock in real seconds.
            base_url: The API's address with its version.
            timings: Limits and timeouts.
            metrics: Told what happens.
            wall: Wall clock, aware, for AmbiguousOutcome.
            guard: The process's guard; a client without one counts for itself.
            transport: Takes the place of the network, for tests.
            may_send: Asked right before each request leaves; while it says no, calls end in Unavailable.

        Raises:
            TokenInvalid: The token cannot be one.
            InvalidAddress: The base URL is no address.
        """
        timings = timings or DiscordTimings()
        metrics = metrics or NoMetrics()
        secret = Secret(token)
        self._base_url = base_url
        self._now = now
        self._timings = timings
        self._caller = Caller(
            transport=Transport(
                token=secret,
                base_url=base_url,
                user_agent=user_agent,
                timings=timings,
                now=now,
                handler=transport,
            ),
            guard=guard or InvalidRequestGuard(timings=timings),
            timings=timings,
            metrics=metrics,
            now=now,
            wall=wall,
            may_send=may_send,
        )

    def __repr__(self) -> str:
        return f"DiscordClient({self._base_url})"

    @property
    def token_rejected(self) -> bool:
        """Whether Discord answered 401; nothing more is sent then."""
        return self._caller.token_rejected

    def close(self, grace_seconds: float = 5.0) -> bool:
        """Take no more calls, send away who waits, let requests under way finish, then disconnect.

        Returns:
            Whether all requests ended within the grace.
        """
        return self._caller.close(grace_seconds)

    def forgive(self) -> None:
        """Forget all repeated 403s: the bot's roles or permissions changed."""
        self._caller.forgive()

    def request(
        self,
        route: CompiledRoute,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        options: CallOptions,
    ) -> Any:
        """Call any route and return the decoded body, None when it is empty.

        A PATCH that carries fields with a sub-limit in force (a channel's name and topic) sends the others on
        their own and then raises RateLimited with these fields named and the answer in ``applied``.
        """
        fields = route.route.sublimited
        if not fields or not isinstance(json, Mapping) or not fields & json.keys():
            return self._caller.call(route, json=json, params=params, options=options)
        return self._in_parts(route, json, options)

    # The bot itself

    def current_user(self, *, options: CallOptions) -> Json:
        """GET the bot's user. The cheapest way to learn whether the token is good."""
        return self._object(routes.GET_CURRENT_USER.compile(), options)

    def current_application(self, *, options: CallOptions) -> Json:
        """GET the bot's application; its id is what an invite link needs."""
        return self._object(routes.GET_CURRENT_APPLICATION.compile(), options)

    def current_guilds(self, *, options: CallOptions) -> list[Json]:
        """GET all guilds that the bot is in, as partial objects, in pages of 200."""
        found: list[Json] = []
        after: str | None = None
        while True:
            page = cast(
                "list[Json]",
                self.request(
                    routes.GET_CURRENT_USER_GUILDS.compile(),
                    params={"limit": 200, "after": after},
                    options=options,
                ),
            )
            known = {guild["id"] for guild in found}
            found.extend(guild for guild in page if guild["id"] not in known)
            if len(page) < 200 or page[-1]["id"] in known:  # the latter: nothing that knows pages
                return found
            after = str(page[-1]["id"])

    # Guilds

    def guild(self, guild_id: str, /, *, options: CallOptions) -> Json:
        """GET a guild, its roles and approximate counts of members included."""
        route = routes.GET_GUILD.compile(guild_id=guild_id)
        return cast("Json", self.request(route, params={"with_counts": "true"}, options=options))

    def modify_guild(self, guild_id: str, /, body: Mapping[str, Any], *, options: CallOptions) -> Json:
        """PATCH a guild's settings."""
        return self._object(routes.MODIFY_GUILD.compile(guild_id=guild_id), options, body)

    def member(self, guild_id: str, user_id: str, /, *, options: CallOptions) -> Json:
        """GET a member."""
        return self._object(routes.GET_MEMBER.compile(guild_id=guild_id, user_id=user_id), options)

    def audit_log(
        self,
        guild_id: str,
        /,
        *,
        action_type: int | None = None,
        user_id: str | None = None,
        before: str | None = None,
        after: str | None = None,
        limit: int = 50,
        options: CallOptions,
    ) -> Json:
        """GET a page of the audit log, newest first (with ``after``: oldest first); 1 to 100 entries."""
        return cast(
            "Json",
            self.request(
                routes.GET_AUDIT_LOG.compile(guild_id=guild_id),
                params={
                    "action_type": action_type,
                    "user_id": user_id,
                    "before": before,
                    "after": after,
                    "limit": limit,
                },
                options=options,
            ),
        )

    # Channels

    def guild_channels(self, guild_id: str, /, *, options: CallOptions) -> list[Json]:
        """GET the channels that the bot can view. What is missing may be hidden, not gone."""
        return self._array(routes.GET_GUILD_CHANNELS.compile(guild_id=guild_id), options)

    def create_channel(self, guild_id: str, /, body: Mapping[str, Any], *, options: CallOptions) -> Json:
        """POST a channel.

        Raises:
            AmbiguousOutcome: It may exist now; find out before trying again.
        """
        return self._object(routes.CREATE_CHANNEL.compile(guild_id=guild_id), options, body)

    def modify_channel_positions(
        self, guild_id: str, /, entries: Iterable[Mapping[str, Any]], *, options: CallOptions
    ) -> None:
        """PATCH positions in bulk; at most one entry may change its parent. No audit log reason."""
        route = routes.MODIFY_CHANNEL_POSITIONS.compile(guild_id=guild_id)
        self.request(route, json=[dict(entry) for entry in entries], options=options)

    def active_threads(self, guild_id: str, /, *, options: CallOptions) -> list[Json]:
        """GET the guild's threads that are not archived and that the bot may view, private ones included."""
        answer = self._object(routes.GET_ACTIVE_THREADS.compile(guild_id=guild_id), options)
        return cast("list[Json]", answer.get("threads") or [])

    def channel(self, channel_id: str, /, *, options: CallOptions) -> Json:
        """GET one channel."""
        return self._object(routes.GET_CHANNEL.compile(channel_id=channel_id), options)

    def modify_channel(self, channel_id: str, /, body: Mapping[str, Any], *, options: CallOptions) -> Json:
        """PATCH a channel; see ``request`` for what happens while its name or topic has to wait."""
        return self._object(routes.MODIFY_CHANNEL.compile(channel_id=channel_id), options, body)

    def delete_channel(self, channel_id: str, /, *, options: CallOptions) -> None:
        """DELETE a channel with all that was said in it."""
        self.request(routes.DELETE_CHANNEL.compile(channel_id=channel_id), options=options)

    def put_overwrite(
        self, channel_id: str, overwrite_id: str, /, body: Mapping[str, Any], *, options: CallOptions
    ) -> None:
        """PUT one permission overwrite (``type``, ``allow``, ``deny``)."""
        route = routes.PUT_OVERWRITE.compile(channel_id=channel_id, overwrite_id=overwrite_id)
        self.request(route, json=dict(body), options=options)

    def delete_overwrite(self, channel_id: str, overwrite_id: str, /, *, options: CallOptions) -> None:
        """DELETE one permission overwrite."""
        route = routes.DELETE_OVERWRITE.compile(channel_id=channel_id, overwrite_id=overwrite_id)
        self.request(route, options=options)

    def channel_messages(self, channel_id: str, /, *, limit: int = 1, options: CallOptions) -> list[Json]:
        """GET the latest messages, 1 to 100."""
        route = routes.GET_CHANNEL_MESSAGES.compile(channel_id=channel_id)
        return cast("list[Json]", self.request(route, params={"limit": limit}, options=options))

    # Roles

    def roles(self, guild_id: str, /, *, options: CallOptions) -> list[Json]:
        """GET all roles. The snapshot has them without a request of their own."""
        return self._array(routes.GET_ROLES.compile(guild_id=guild_id), options)

    def role_member_counts(self, guild_id: str, /, *, options: CallOptions) -> dict[str, int]:
        """GET how many members hold each role, by role id; @everyone is not counted."""
        route = routes.GET_ROLE_MEMBER_COUNTS.compile(guild_id=guild_id)
        return cast("dict[str, int]", self.request(route, options=options))

    def create_role(self, guild_id: str, /, body: Mapping[str, Any], *, options: CallOptions) -> Json:
        """POST a role.

        Raises:
            AmbiguousOutcome: It may exist now; find out before trying again.
        """
        return self._object(routes.CREATE_ROLE.compile(guild_id=guild_id), options, body)

    def modify_role(
        self, guild_id: str, role_id: str, /, body: Mapping[str, Any], *, options: CallOptions
    ) -> Json:
        """PATCH a role."""
        return self._object(routes.MODIFY_ROLE.compile(guild_id=guild_id, role_id=role_id), options, body)

    def delete_role(self, guild_id: str, role_id: str, /, *, options: CallOptions) -> None:
        """DELETE a role."""
        self.request(routes.DELETE_ROLE.compile(guild_id=guild_id, role_id=role_id), options=options)

    def modify_role_positions(
        self, guild_id: str, /, entries: Iterable[Mapping[str, Any]], *, options: CallOptions
    ) -> list[Json]:
        """PATCH positions in bulk; returns all roles."""
        route = routes.MODIFY_ROLE_POSITIONS.compile(guild_id=guild_id)
        return cast(
            "list[Json]", self.request(route, json=[dict(entry) for entry in entries], options=options)
        )

    # Inside

    def _object(
        self, route: CompiledRoute, options: CallOptions, body: Mapping[str, Any] | None = None
    ) -> Json:
        return cast("Json", self.request(route, json=None if body is None else dict(body), options=options))

    def _array(self, route: CompiledRoute, options: CallOptions) -> list[Json]:
        return cast("list[Json]", self.request(route, options=options))

    def _in_parts(self, route: CompiledRoute, body: Mapping[str, Any], options: CallOptions) -> Any:
        """Send a body some of whose fields have limits of their own, as few requests as that allows.

        Normally one. If a sub-limit holds some of these fields, or turns out to, the rest goes first, then each
        such field that may still pass; what has to wait is named in the error.
        """
        begun, timings = self._now(), self._timings
        patience = timings.max_wait_seconds if options.max_wait_seconds is None else options.max_wait_seconds
        seconds = timings.deadline_seconds if options.deadline_seconds is None else options.deadline_seconds

        def send(part: Mapping[str, Any]) -> Any:
            spent = self._now() - begun
            left = replace(
                options, max_wait_seconds=max(0.0, patience - spent), deadline_seconds=seconds - spent
            )
            return self._caller.call(route, json=part, params=None, options=left)

        own = route.route.sublimited & body.keys()
        parked = (fields for fields, _ in self._caller.parked_fields(route) if fields <= body.keys())
        held = own & frozenset[str]().union(*parked)
        limits: list[RateLimited] = []
        if not held:
            try:
                return send(body)
            except RateLimited as exc:
                if exc.scope is not Scope.SUBLIMIT:
                    raise
                limits, held = [exc], own
        rest = {name: value for name, value in body.items() if name not in held}
        applied: Any = None
        if rest:
            applied = send(rest)
        waiting = sorted(held)
        if not (limits and len(held) == 1):  # one field and its 429: nothing more to learn
            waiting = []
            for name in sorted(held):
                try:
                    applied = send({name: body[name]})
                except RateLimited as exc:
                    if exc.scope is not Scope.SUBLIMIT:
                        exc.applied = applied
                        raise
                    limits.append(exc)
                    waiting.append(name)
        if not waiting:
            return applied
        raise RateLimited(
            retry_after=min(limit.retry_after for limit in limits[-len(waiting) :]),
            scope=Scope.SUBLIMIT,
            route=route.route.name,
            fields=tuple(waiting),
            applied=applied,
        )
