"""A guild's audit log, as far as this room reads it: who may, which acts, and what is in an answer."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

from provider_discord.discord.permissions import PERMISSIONS, base_permissions
from provider_discord.discord.snapshot import GuildSnapshot

_VIEW_AUDIT_LOG: Final = PERMISSIONS["VIEW_AUDIT_LOG"]


class Action(IntEnum):
    """Audit log action types (Discord docs, resources/audit-log, "Audit Log Events")."""

    CHANNEL_CREATE = 10
    CHANNEL_DELETE = 12
    ROLE_CREATE = 30
    ROLE_DELETE = 32


def may_read_audit_log(snapshot: GuildSnapshot) -> bool:
    """Tell whether the bot may read the guild's audit log."""
    return bool(base_permissions(snapshot) & _VIEW_AUDIT_LOG)


def entries_of(log: Any) -> list[Mapping[str, Any]]:
    """Return the entries of an audit log answer."""
    if isinstance(log, Mapping):
        return list(log.get("audit_log_entries") or ())
    return list(log or ())
