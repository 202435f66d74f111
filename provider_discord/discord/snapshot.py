"""One shared picture of a guild instead of one GET per object.

A refresh is two requests, ``GET /guilds/{id}`` (roles are inside) and ``GET /guilds/{id}/channels``, however
many objects ask. Callers that ask at the same time share it (single flight). Our own writes are recorded as they
end, so that the next reconcile sees them without a request; a write that ends while a refresh is under way is
replayed over the lists that come back, because these may have been read before it (the journal).

A channel that is missing from the list is *not listed*, which since November 2026 may mean hidden: nothing here
calls it deleted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol

import structlog

from .difference import SnapshotChange, difference
from .errors import DiscordError, NotFound, RateLimited, Unavailable
from .options import CallOptions
from .priority import Priority
from .timings import DiscordTimings

Json = Mapping[str, Any]
_EMPTY: Json = MappingProxyType({})
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class GuildSnapshot:
    """A guild as Discord last showed it, with our own writes since. Treat everything in it as read only.

    Attributes:
        guild: The guild object, without its roles.
        channels: Channels as listed, by id: those that the bot can view. Missing is not deleted.
        roles: All roles by id, @everyone (the guild's id) among them.
        member: The bot's own member.
        taken_at: Monotonic instant at which the oldest part was asked for.
    """

    guild: Json
    channels: Mapping[str, Json]
    roles: Mapping[str, Json]
    member: Json
    taken_at: float

    @property
    def guild_id(self) -> str:
        """The guild's id."""
        return str(self.guild["id"])


class GuildReader(Protocol):
    """What the cache needs of the client."""

    def guild(self, guild_id: str, /, *, options: CallOptions) -> dict[str, Any]:
        """GET the guild."""

    def guild_channels(self, guild_id: str, /, *, options: CallOptions) -> list[dict[str, Any]]:
        """GET its channels."""

    def member(self, guild_id: str, user_id: str, /, *, options: CallOptions) -> dict[str, Any]:
        """GET a member."""

    def current_user(self, *, options: CallOptions) -> dict[str, Any]:
        """GET the bot's user."""

    def forgive(self) -> None:
        """Forget repeated 403s, since the bot's permissions may have changed."""


Listener = Callable[[str, SnapshotChange], None]
_Write = Callable[[GuildSnapshot], GuildSnapshot]


@dataclass(slots=True)
class _Flight:
    """A refresh under way."""

    priority: Priority
    started_at: float
    done: threading.Event = field(default_factory=threading.Event)
    journal: list[_Write] = field(default_factory=list)
    error: DiscordError | None = None


@dataclass(slots=True)
class _Entry:
    """What is known of one guild."""

    snapshot: GuildSnapshot | None = None
    flight: _Flight | None = None
    member: Json = field(default_factory=dict)
    member_at: float | None = None
    invalid_before: float | None = None


class SnapshotCache:
    """Snapshots of all guilds of one token. Safe for use from many threads."""

    def __init__(
        self,
        client: GuildReader,
        *,
        now: Callable[[], float] = time.monotonic,
        timings: DiscordTimings | None = None,
    ) -> None:
        """Make an empty cache.

        Args:
            client: Reads from Discord; one token.
            now: Monotonic clock, the same as the client's.
            timings: For the default age and that of the bot's member.
        """
        self._client = client
        self._now = now
        self._timings = timings or DiscordTimings()
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._listeners: list[Listener] = []
        self._bot_id = ""

    def subscribe(self, listener: Listener) -> None:
        """Call the listener, outside locks and in the refreshing thread, when a refresh shows news.

        The first snapshot of a guild is no news. A listener must not raise.
        """
        with self._lock:
            self._listeners.append(listener)

    def get(
        self, guild_id: str, *, max_age_seconds: float | None = None, options: CallOptions
    ) -> GuildSnapshot:
        """Return a snapshot that is at most so old, with all writes recorded so far.

        One refresh per guild is under way at a time; who asks meanwhile waits for it and shares its result or
        its error, unless it was begun too early for this caller, or failed only because its class had to wait.

        Args:
            guild_id: The guild.
            max_age_seconds: None means the default; 0 means not older than this call.
            options: For the requests.

        Raises:
            DiscordError: As the client's; NotFound or Forbidden when the bot is not in the guild.
        """
        asked_at = self._now()
        age = self._timings.snapshot_max_age_seconds if max_age_seconds is None else max_age_seconds
        patience = self._timings.snapshot_share_seconds
        if options.deadline_seconds is not None:
            patience = min(patience, options.deadline_seconds)
        while True:
            with self._lock:
                entry = self._entries.setdefault(guild_id, _Entry())
                oldest = asked_at - age
                if entry.invalid_before is not None:
                    oldest = max(oldest, entry.invalid_before)
                if entry.snapshot is not None and entry.snapshot.taken_at >= oldest:
                    return entry.snapshot
                flight = entry.flight
                mine = flight is None
                if flight is None:
                    flight = entry.flight = _Flight(options.priority, self._now())
            if mine:
                return self._refresh(guild_id, entry, flight, options)
            left = asked_at + patience - self._now()
            if left <= 0 or not flight.done.wait(left):
                raise Unavailable(
                    retry_after=1.0, route="the guild's snapshot", cause="another refresh is still under way"
                )
            if flight.error is not None and flight.started_at >= oldest:
                had_to_wait = isinstance(flight.error, RateLimited) and options.priority < flight.priority
                if not had_to_wait:
                    raise flight.error.with_traceback(None)

    def peek(self, guild_id: str) -> GuildSnapshot | None:
        """Return what is known of the guild, however old, without a request."""
        with self._lock:
            entry = self._entries.get(guild_id)
            return entry.snapshot if entry else None

    def invalidate(self, guild_id: str) -> None:
        """Let nothing that was asked for before now satisfy a later get."""
        with self._lock:
            self._entries.setdefault(guild_id, _Entry()).invalid_before = self._now()

    def invalidate_all(self) -> None:
        """Do so for every guild: somebody else may have written in our name."""
        with self._lock:
            for entry in self._entries.values():
                entry.invalid_before = self._now()

    def invalidate_member(self, guild_id: str) -> None:
        """Read the bot's own member again with the next refresh, and let there be one.

        Call it on a 403 that the snapshot did not foretell: the bot's roles may have changed.
        """
        with self._lock:
            entry = self._entries.setdefault(guild_id, _Entry())
            entry.member_at = None
            entry.invalid_before = self._now()

    # Our own writes. Call right after the write ended, with what Discord answered.

    def record_guild(self, guild_id: str, guild: Json) -> None:
        """Our PATCH of the guild's settings ended so."""
        settings = {key: value for key, value in guild.items() if key != "roles"}
        self._write(guild_id, lambda was: replace(was, guild=MappingProxyType({**was.guild, **settings})))

    def record_channel(self, guild_id: str, channel: Json) -> None:
        """Our create or PATCH of a channel ended so."""
        channel_id = str(channel["id"])
        self._write(guild_id, lambda was: replace(was, channels=_with(was.channels, channel_id, channel)))

    def forget_channel(self, guild_id: str, channel_id: str) -> None:
        """Our DELETE of a channel ended, or it is known to be gone. Its children stay, without a parent."""

        def write(was: GuildSnapshot) -> GuildSnapshot:
            left = {
                key: {**value, "parent_id": None} if value.get("parent_id") == channel_id else value
                for key, value in was.channels.items()
                if key != channel_id
            }
            return replace(was, channels=MappingProxyType(left))

        self._write(guild_id, write)

    def record_overwrite(self, guild_id: str, channel_id: str, overwrite: Json) -> None:
        """Our PUT of one overwrite (``id``, ``type``, ``allow``, ``deny``) ended."""
        self._edit_overwrites(guild_id, channel_id, str(overwrite["id"]), [dict(overwrite)])

    def forget_overwrite(self, guild_id: str, channel_id: str, overwrite_id: str) -> None:
        """Our DELETE of one overwrite ended."""
        self._edit_overwrites(guild_id, channel_id, overwrite_id, [])

    def record_role(self, guild_id: str, role: Json) -> None:
        """Our create or PATCH of a role ended so."""
        role_id = str(role["id"])
        self._write(guild_id, lambda was: replace(was, roles=_with(was.roles, role_id, role)))

    def forget_role(self, guild_id: str, role_id: str) -> None:
        """Our DELETE of a role ended, or it is known to be gone."""
        self._write(
            guild_id,
            lambda was: replace(
                was, roles=MappingProxyType({key: v for key, v in was.roles.items() if key != role_id})
            ),
        )

    def record_channel_positions(self, guild_id: str, entries: Iterable[Json]) -> None:
        """Our bulk PATCH of channels ended: entries with ``id`` and ``position``, maybe ``parent_id``.

        Discord may renumber others too; the next refresh shows it.
        """
        moved = {str(e["id"]): {k: e[k] for k in ("position", "parent_id") if k in e} for e in entries}
        self._write(guild_id, lambda was: replace(was, channels=_merged(was.channels, moved)))

    def record_role_positions(self, guild_id: str, roles: Iterable[Json]) -> None:
        """Our bulk PATCH of roles ended: entries with ``id`` and ``position``, or the roles it answered with."""
        moved = {str(role["id"]): dict(role) for role in roles}
        self._write(guild_id, lambda was: replace(was, roles=_merged(was.roles, moved)))

    def _edit_overwrites(
        self, guild_id: str, channel_id: str, overwrite_id: str, put: list[dict[str, Any]]
    ) -> None:
        def write(was: GuildSnapshot) -> GuildSnapshot:
            channel = was.channels.get(channel_id)
            if channel is None:
                return was
            kept = [o for o in channel.get("permission_overwrites") or () if str(o["id"]) != overwrite_id]
            edited = {**channel, "permission_overwrites": kept + put}
            return replace(was, channels=_with(was.channels, channel_id, edited))

        self._write(guild_id, write)

    def _write(self, guild_id: str, write: _Write) -> None:
        with self._lock:
            entry = self._entries.setdefault(guild_id, _Entry())
            if entry.flight is not None:
                entry.flight.journal.append(write)
            if entry.snapshot is not None:
                entry.snapshot = write(entry.snapshot)

    def _refresh(self, guild_id: str, entry: _Entry, flight: _Flight, options: CallOptions) -> GuildSnapshot:
        try:
            fetched = self._fetch(guild_id, entry, flight, options)
        except BaseException as exc:
            with self._lock:
                flight.error = exc if isinstance(exc, DiscordError) else _interrupted()
                entry.flight = None
                if isinstance(exc, NotFound):
                    entry.snapshot = None
            flight.done.set()
            raise
        with self._lock:
            before, after = entry.snapshot, fetched
            for write in flight.journal:
                after = write(after)
            entry.snapshot = after
            entry.flight = None
            listeners = tuple(self._listeners)
        flight.done.set()
        if before is not None and (before.roles != after.roles or before.member != after.member):
            self._client.forgive()
        change = difference(before, after) if before is not None else SnapshotChange()
        if change:
            _log.debug(
                "guild changed",
                guild=guild_id,
                channels=len(change.channel_ids),
                roles=len(change.role_ids),
                settings=change.guild_changed,
            )
            for listener in listeners:
                listener(guild_id, change)
        return after

    def _fetch(self, guild_id: str, entry: _Entry, flight: _Flight, options: CallOptions) -> GuildSnapshot:
        guild = self._client.guild(guild_id, options=options)
        if not guild.get("unavailable") and all(
            str(role["id"]) != guild_id for role in guild.get("roles") or ()
        ):
            # Every guild has @everyone. Without it the answer is not the whole guild, and whatever else it lacks
            # would be taken for deleted.
            raise Unavailable(
                retry_after=1.0,
                route="the guild's snapshot",
                cause="Discord answered without the guild's roles",
            )
        channels = self._client.guild_channels(guild_id, options=options)
        member_at = entry.member_at
        if member_at is None or self._now() - member_at >= self._timings.member_max_age_seconds:
            if not self._bot_id:
                self._bot_id = str(self._client.current_user(options=options)["id"])
            asked_at = self._now()
            member = self._client.member(guild_id, self._bot_id, options=options)
            with self._lock:
                doubted = entry.invalid_before is not None and asked_at < entry.invalid_before
                entry.member, entry.member_at = MappingProxyType(member), None if doubted else asked_at
        return GuildSnapshot(
            guild=MappingProxyType({key: value for key, value in guild.items() if key != "roles"}),
            channels=MappingProxyType({str(channel["id"]): channel for channel in channels}),
            roles=MappingProxyType({str(role["id"]): role for role in guild.get("roles") or ()}),
            member=entry.member,
            taken_at=flight.started_at,
        )


def _interrupted() -> Unavailable:
    return Unavailable(
        retry_after=1.0, route="the guild's snapshot", cause="the refresh was interrupted in another thread"
    )


def _with(items: Mapping[str, Json], key: str, value: Json) -> Mapping[str, Json]:
    return MappingProxyType({**items, key: {**items.get(key, _EMPTY), **value}})


def _merged(items: Mapping[str, Json], changes: Mapping[str, Json]) -> Mapping[str, Json]:
    return MappingProxyType(
        {key: {**value, **changes[key]} if key in changes else value for key, value in items.items()}
    )
