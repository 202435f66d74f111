"""What a failed Discord call means for the object: Discord's errors become the managed reconciler's.

One place decides, for every kind and verb, whether trying again can help by itself (``ExternalFailure``), must
wait for a limit (``Waiting``), or needs somebody to do something (``Blocked``: looked at again at each poll, not
retried). Fields are named as the manifest names them, and Discord's own reason always stands last, because tools
crop the front.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from provider_discord.apis.errors import InvalidField
from provider_discord.discord import errors as discord
from provider_discord.managed.errors import (
    AmbiguousCreate,
    Blocked,
    ExternalFailure,
    ManagedError,
    NotConnected,
    Waiting,
)

UNKNOWN_CHANNEL = 10003
UNKNOWN_GUILD = 10004
UNKNOWN_ROLE = 10011
MISSING_ACCESS = 50001
MISSING_PERMISSIONS = 50013
INVALID_FORM_BODY = 50035
COMMUNITY_CHANNEL_REQUIRED = 50074
# Discord docs, topics/opcodes-and-status-codes: "Maximum number of ... reached".
_LIMITS = frozenset({30005, 30013, 30016, 30018, 30019, 30031, 30039, 30056, 30060})

_INDEX = re.compile(r"\.(\d+)(?=\.|$)")


@contextmanager
def translated(
    doing: str, *, terms: Mapping[str, str] | None = None, wall: Callable[[], datetime] | None = None
) -> Iterator[None]:
    """Turn any Discord error of the block into the managed error that says what to do about it.

    Args:
        doing: What was attempted, as a noun phrase: "creating the channel".
        terms: Discord's field names to the manifest's: ``{"parent_id": "parentId"}``.
        wall: Wall clock, aware, for the moment of the next try; the system's by default.

    Raises:
        ManagedError: In place of every ``DiscordError``, with it as its cause.
    """
    try:
        yield
    except discord.DiscordError as error:
        now = datetime.now(UTC) if wall is None else wall()
        raise managed_error(error, doing=doing, terms=terms or {}, now=now) from error


def invalid(error: InvalidField) -> Blocked:
    """Return the managed error for a field of the manifest that can't be used."""
    return Blocked(str(error), reason="InvalidField", field=f"forProvider.{error.field}")


def managed_error(
    error: discord.DiscordError, *, doing: str, terms: Mapping[str, str], now: datetime
) -> ManagedError:
    """Return what a Discord error means for the object; ``now`` is the wall clock's."""
    match error:
        case discord.AmbiguousOutcome():
            return AmbiguousCreate(
                f"{doing}: the request was sent but its outcome is unknown; it will be looked up: {error}",
                started=error.sent_at,
                ended=error.ended_at,
            )
        case discord.RateLimited() | discord.CircuitOpen() | discord.Banned():
            return _waiting(error, doing=doing, terms=terms, now=now)
        case discord.TokenInvalid() | discord.Unauthorized():
            return NotConnected(f"{doing}: Discord rejects the bot token of the ProviderConfig: {error}")
        case discord.ApiError():
            return _refused(error, doing=doing, terms=terms)
        case _:
            return ExternalFailure(f"{doing} failed: {error}", retry_after=error.retry_after)


def _waiting(error: discord.DiscordError, *, doing: str, terms: Mapping[str, str], now: datetime) -> Waiting:
    text = f"{doing} waits {_what_for(error, terms)}, next try {when(error.retry_after, now=now)}"
    return Waiting(text, retry_after=error.retry_after, quiet=not isinstance(error, discord.Banned))


def _what_for(error: discord.DiscordError, terms: Mapping[str, str]) -> str:
    if isinstance(error, discord.CircuitOpen):
        return f"for Discord, which failed repeatedly (circuit breaker of {error.resource_type} open)"
    if isinstance(error, discord.Banned):
        return "because Discord's edge refuses this address for now"
    if isinstance(error, discord.RateLimited):
        if error.scope is discord.Scope.GUARD:
            return (
                "because Discord refused too many requests in ten minutes and would soon refuse this address"
            )
        if error.scope is discord.Scope.GLOBAL:
            return "for the bot's rate limit over all of Discord"
        if error.fields:
            fields = ", ".join(terms.get(name, name) for name in error.fields)
            return f"for Discord's rate limit on changes of {fields}"
    return "for Discord's rate limit"


def when(seconds: float | None, *, now: datetime) -> str:
    """Say until when, so coarsely that the condition's text does not change with every look at it.

    Args:
        seconds: To wait; None when it is not known.
        now: Wall clock, aware. What is more than a minute away is told as its full minute (UTC), which stays right
            however late somebody reads it.
    """
    if seconds is None or seconds <= 10:
        return "in a few seconds"
    if seconds <= 60:
        return "within a minute"
    at = (now + timedelta(seconds=seconds + 59)).astimezone(UTC).replace(second=0, microsecond=0)
    return f"at {at:%H:%M} UTC" if seconds < 43_200 else f"at {at:%Y-%m-%d %H:%M} UTC"


def _refused(error: discord.ApiError, *, doing: str, terms: Mapping[str, str]) -> ManagedError:
    reason = (
        f"Discord says: {error.message} ({error.code})" if error.code else f"Discord says: {error.message}"
    )
    if error.status >= 500:
        return ExternalFailure(f"{doing} failed: {error}", retry_after=error.retry_after)
    if error.code == MISSING_PERMISSIONS:
        return Blocked(
            f"{doing}: the bot lacks a permission, or its highest role is not above what it should change: {reason}",
            reason="MissingPermission",
        )
    if error.code == MISSING_ACCESS:
        return Blocked(
            f"{doing}: the bot has no access; give it View Channel (and Connect, for voice) there: {reason}",
            reason="MissingAccess",
        )
    if error.fields:
        first = error.fields[0]
        field = manifest_path(first.path, terms)
        said = "; ".join(f"{manifest_path(f.path, terms)}: {f.message}" for f in error.fields)
        return Blocked(f"{doing}: Discord refuses {said} ({error.code})", reason="InvalidField", field=field)
    if error.code in _LIMITS:
        return Blocked(
            f"{doing}: a limit of the guild is reached; delete something or wait: {reason}",
            reason="LimitReached",
        )
    if error.code == COMMUNITY_CHANNEL_REQUIRED:
        return Blocked(
            f"{doing}: a Community guild requires this channel: {reason}", reason="DeletionGuarded"
        )
    if isinstance(error, discord.NotFound):
        return ExternalFailure(f"{doing}: it, or something that it needs, is gone: {reason}")
    return Blocked(f"{doing}: refused: {reason}", reason="Refused")


def manifest_path(path: str, terms: Mapping[str, str]) -> str:
    """Turn Discord's path of a field (``available_tags.0.name``) into the manifest's (``forProvider.availableTags[0].name``)."""
    head, *rest = path.split(".")
    if head not in terms and not rest and not head:
        return "the request"
    parts = [terms.get(head, camel(head)), *(part if part.isdigit() else camel(part) for part in rest)]
    return "forProvider." + _INDEX.sub(r"[\1]", ".".join(parts))


def camel(name: str) -> str:
    """Turn ``rate_limit_per_user`` into ``rateLimitPerUser``."""
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)
