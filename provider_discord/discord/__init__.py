"""Discord's REST API as a library: routes, rate limits, errors, snapshots. Knows no Kubernetes.

    client = DiscordClient(token=..., user_agent="DiscordBot (https://example.org, 1.0)", now=time.monotonic)
    role = client.create_role(guild_id, {"name": "Crew"}, options=CallOptions(reason="a new crew"))

One client per bot token; share an ``InvalidRequestGuard`` among the clients of a process.
"""

from .client import DEFAULT_BASE_URL, DiscordClient
from .difference import SnapshotChange
from .errors import DiscordError
from .guard import InvalidRequestGuard
from .options import CallOptions
from .priority import Priority
from .snapshot import GuildSnapshot, SnapshotCache
from .timings import DiscordTimings

__all__ = [
    "DEFAULT_BASE_URL",
    "CallOptions",
    "DiscordClient",
    "DiscordError",
    "DiscordTimings",
    "GuildSnapshot",
    "InvalidRequestGuard",
    "Priority",
    "SnapshotCache",
    "SnapshotChange",
]
