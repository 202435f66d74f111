"""One write to a guild: who does it, whether they may, and its trace in the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from provider_discord.simulator.behaviour import Behaviour
from provider_discord.simulator.errors import ApiError, Json, Problem
from provider_discord.simulator.permissions import (
    ALL,
    Permission,
    channel_permissions,
    guild_permissions,
    top_rank,
)
from provider_discord.simulator.state import STAGE, VOICE, Guild, World, timestamp


class Action(IntEnum):
    """Audit log action types (Discord docs, resources/audit-log)."""

    GUILD_UPDATE = 1
    CHANNEL_CREATE = 10
    CHANNEL_UPDATE = 11
    CHANNEL_DELETE = 12
    CHANNEL_OVERWRITE_CREATE = 13
    CHANNEL_OVERWRITE_UPDATE = 14
    CHANNEL_OVERWRITE_DELETE = 15
    MEMBER_ROLE_UPDATE = 25
    BOT_ADD = 28
    ROLE_CREATE = 30
    ROLE_UPDATE = 31
    ROLE_DELETE = 32


@dataclass(frozen=True, slots=True)
class Act:
    """Somebody at work on a guild.

    Attributes:
        world: where the guild is.
        guild: the guild.
        user_id: who acts.
        reason: what `X-Audit-Log-Reason` said, decoded.
        trusted: no permission is asked: a human admin acting through the control API.
    """

    world: World
    guild: Guild
    user_id: str
    reason: str | None = None
    trusted: bool = False

    @property
    def behaviour(self) -> Behaviour:
        """How Discord behaves where no document says so."""
        return self.world.behaviour

    @property
    def permissions(self) -> int:
        """The actor's permissions in the guild."""
        return ALL if self.trusted else guild_permissions(self.guild, self.user_id)

    @property
    def administrator(self) -> bool:
        """Whether no overwrite concerns the actor."""
        return self.permissions == ALL

    @property
    def rank(self) -> tuple[int, int]:
        """The rank of the actor's highest role."""
        return (1 << 32, 0) if self.trusted else top_rank(self.guild, self.user_id)

    def permissions_in(self, channel: Json) -> int:
        """Return the actor's permissions in a channel."""
        return ALL if self.trusted else channel_permissions(self.guild, channel, self.user_id)

    def sees(self, channel: Json) -> bool:
        """Tell whether the actor sees the channel; a category also through any channel in it."""
        if self.permissions_in(channel) & Permission.VIEW_CHANNEL:
            return True
        return self.behaviour.category_shown_by_child and any(
            self.permissions_in(child) & Permission.VIEW_CHANNEL
            for child in self.guild.children(channel["id"])
        )

    def need(self, permission: Permission) -> None:
        """Refuse with 50013 unless the actor has this permission in the guild."""
        if self.permissions & permission != permission:
            raise ApiError(Problem.MISSING_PERMISSIONS)

    def need_in(self, channel: Json, permission: Permission) -> None:
        """Refuse unless the actor has this permission in a channel that it can access.

        A voice channel is out of reach without CONNECT (Discord docs, topics/permissions, "Implicit
        Permissions").
        """
        bits = self.permissions_in(channel)
        if channel["type"] in (VOICE, STAGE) and not bits & Permission.CONNECT:
            raise ApiError(Problem.MISSING_ACCESS)
        if bits & permission != permission:
            raise ApiError(Problem.MISSING_PERMISSIONS)

    def log(
        self,
        action: Action,
        target_id: str,
        *,
        changes: list[Json] | None = None,
        options: Json | None = None,
    ) -> None:
        """Write an audit log entry, which shows up after the configured lag."""
        entry: Json = {
            "id": self.world.new_id(),
            "user_id": self.user_id,
            "target_id": target_id,
            "action_type": int(action),
        }
        if changes:
            entry["changes"] = changes
        if options:
            entry["options"] = options
        if self.reason:
            entry["reason"] = self.reason
        lag = timedelta(seconds=self.behaviour.audit_log_lag_seconds)
        entry["_visible_at"] = timestamp(self.world.wall() + lag)
        self.guild.audit_log.append(entry)


def differences(old: Json, new: Json) -> list[Json]:
    """Return the audit log's `changes` between two stored objects; permission_overwrites have entries apart."""
    changes: list[Json] = []
    for key in [*old, *(key for key in new if key not in old)]:
        before, after = old.get(key), new.get(key)
        if before == after or key in ("permission_overwrites", "last_message_id"):
            continue
        change: Json = {"key": key}
        if before is not None:
            change["old_value"] = before
        if after is not None:
            change["new_value"] = after
        changes.append(change)
    return changes
