"""Discord's REST API as a library: routes, rate limits, errors, snapshots. Knows no Kubernetes.

One client per bot token, for any number of threads. It waits for its turn as long as a call allows (a second, unless
told otherwise) and else says when to come back; it repeats what is safe to repeat, and nothing else::

    from provider_discord.discord import (
        AmbiguousOutcome, CallOptions, DiscordClient, InvalidRequestGuard, Priority, RateLimited, SnapshotCache,
    )

    guard = InvalidRequestGuard()  # one per process: that limit is the address's
    client = DiscordClient(token=token, user_agent="DiscordBot (https://example.org, 1.0)", guard=guard)
    urgent = CallOptions(priority=Priority.USER, reason="a new crew")
    try:
        role = client.create_role(guild_id, {"name": "Crew", "permissions": "0"}, options=urgent)
    except RateLimited as limited:
        print(f"come back in {limited.retry_after:.0f} s")
    except AmbiguousOutcome as unknown:  # never sent twice: look whether it is there before trying again
        print(f"perhaps made between {unknown.sent_at} and {unknown.ended_at}")

    guild = SnapshotCache(client).get(guild_id, options=CallOptions(priority=Priority.POLL))
    print(sorted(role["name"] for role in guild.roles.values()))  # two requests, however many ask
    client.close()

What is below is the library; further modules to import from are ``errors``, ``permissions`` (computing with bits and
names), ``routes`` (to call what has no method yet, through ``DiscordClient.request``) and ``snowflake``.
"""

from .client import DEFAULT_BASE_URL, DiscordClient
from .difference import SnapshotChange
from .errors import (
    AmbiguousOutcome,
    ApiError,
    BadRequest,
    Banned,
    CircuitOpen,
    DiscordError,
    FieldError,
    Forbidden,
    NotFound,
    RateLimited,
    Scope,
    TokenInvalid,
    Unavailable,
)
from .guard import InvalidRequestGuard
from .metrics import ClientMetrics, ClientState
from .options import CallOptions
from .priority import Priority
from .snapshot import GuildSnapshot, SnapshotCache
from .timings import DiscordTimings

__all__ = [
    "DEFAULT_BASE_URL",
    "AmbiguousOutcome",
    "ApiError",
    "BadRequest",
    "Banned",
    "CallOptions",
    "CircuitOpen",
    "ClientMetrics",
    "ClientState",
    "DiscordClient",
    "DiscordError",
    "DiscordTimings",
    "FieldError",
    "Forbidden",
    "GuildSnapshot",
    "InvalidRequestGuard",
    "NotFound",
    "Priority",
    "RateLimited",
    "Scope",
    "SnapshotCache",
    "SnapshotChange",
    "TokenInvalid",
    "Unavailable",
]
