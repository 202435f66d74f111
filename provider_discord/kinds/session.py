"""A ProviderConfig's way to Discord: the bot's client, what is shared by all that use it, and the config's rules.

One token has one limiter, one breaker and one picture of each guild, whatever the number of configs and kinds
that use it. So what is behind a session (``Connection``) is shared by token digest and base URL, counted, and
closed with its last session. A session is cheap: it adds the config's own rules.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import structlog

from provider_discord.apis.providerconfig import Adoption
from provider_discord.discord.client import DEFAULT_BASE_URL, DiscordClient
from provider_discord.discord.difference import SnapshotChange
from provider_discord.discord.errors import DiscordError, TokenInvalid, Unauthorized
from provider_discord.discord.options import CallOptions
from provider_discord.discord.permissions import parse_names
from provider_discord.discord.priority import Priority
from provider_discord.discord.snapshot import SnapshotCache
from provider_discord.kinds.guild_list import GuildList
from provider_discord.kinds.hold import HoldRules
from provider_discord.kinds.outcomes import translated
from provider_discord.kinds.pending_order import PendingOrder
from provider_discord.kinds.recent import Recent
from provider_discord.kinds.timings import KindTimings
from provider_discord.kinds.visibility import Visibility
from provider_discord.kube.resource import Obj
from provider_discord.managed.errors import Blocked, ExternalFailure
from provider_discord.managed.sessions import Identity, TokenRejected

__all__ = [
    "INVITED_WITH",
    "Adoption",
    "Connection",
    "DiscordSession",
    "DiscordSessions",
    "Rules",
    "invite_link",
]

_CLOSE_GRACE_SECONDS = 5.0
_log = structlog.get_logger()

INVITED_WITH: Final = parse_names(
    (
        "VIEW_CHANNEL",
        "MANAGE_CHANNELS",
        "MANAGE_ROLES",
        "MANAGE_GUILD",
        "VIEW_AUDIT_LOG",
        "SEND_MESSAGES",
        "READ_MESSAGE_HISTORY",
        "CONNECT",
        "SPEAK",
    )
)
"""What the invite link asks for: what this provider needs, and what most overwrites hand on (a bot can only give
permissions that it has). Not ADMINISTRATOR."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a ProviderConfig says beside its token.

    Attributes:
        config: Its name.
        base_url: Discord's API.
        adoption: See ``Adoption``.
        allowed_namespaces: The namespaces whose objects may use it; None: all.
        allowed_guilds: Ids of the guilds that its objects may reach; None: all that the bot is in.
        audit_reason: Free text that goes into every audit log reason; "" for none.
        hold: When to stop putting things back.
    """

    config: str
    base_url: str = DEFAULT_BASE_URL
    adoption: Adoption = Adoption.REFUSE
    allowed_namespaces: frozenset[str] | None = None
    allowed_guilds: frozenset[str] | None = None
    audit_reason: str = ""
    hold: HoldRules = field(default_factory=HoldRules)

    @classmethod
    def of(cls, config: Obj) -> Rules:
        """Read them from a raw ProviderConfig.

        Raises:
            Blocked: ``adoption`` is no known word.
        """
        name = str(config["metadata"]["name"])
        spec: Mapping[str, Any] = config.get("spec") or {}
        try:
            adoption = Adoption(spec.get("adoption") or Adoption.REFUSE)
        except ValueError:
            words = ", ".join(Adoption)
            msg = f"ProviderConfig {name}: spec.adoption: {spec.get('adoption')!r} is none of {words}"
            raise Blocked(msg, reason="InvalidField", field="adoption") from None
        guilds, namespaces = spec.get("allowedGuilds"), spec.get("allowedNamespaces")
        return cls(
            config=name,
            base_url=str(spec.get("baseURL") or DEFAULT_BASE_URL).rstrip("/"),
            adoption=adoption,
            allowed_namespaces=None if namespaces is None else frozenset(map(str, namespaces)),
            allowed_guilds=None if guilds is None else frozenset(str(guild) for guild in guilds),
            audit_reason=" ".join(str(spec.get("auditLogReason") or "").split()),
            hold=HoldRules.of(spec.get("hold")),
        )


@dataclass(slots=True, kw_only=True, eq=False)
class Connection:
    """What all users of one token at one API share.

    Attributes:
        client: The client, with its limiter and breakers.
        snapshots: The guilds.
        visibility: What is known of channels that are not listed.
        channel_order, role_order: Changes of order being gathered.
        guilds: The guilds that the bot is in, and those that it turned out not to be in.
        bot: Whom the token belongs to; None before it was verified.
        written: When this process last changed something, by Discord id (RFC 3339), until its object's status shows it.
        made: Which object (UID) made something and when (monotonic), by Discord id.
        users: How many sessions share it.
    """

    client: DiscordClient
    snapshots: SnapshotCache
    visibility: Visibility
    channel_order: PendingOrder
    role_order: PendingOrder
    guilds: GuildList
    bot: Identity | None = None
    written: Recent[str] = field(default_factory=Recent)
    made: Recent[tuple[str, float]] = field(default_factory=Recent)
    users: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class DiscordSession:
    """One config's session. Opaque to the managed reconciler."""

    connection: Connection = field(repr=False)
    rules: Rules

    @property
    def bot(self) -> Identity:
        """Whom the token belongs to.

        Raises:
            ExternalFailure: It has not been verified yet.
        """
        if self.connection.bot is None:
            msg = f"the bot of ProviderConfig {self.rules.config} is not known yet"
            raise ExternalFailure(msg)
        return self.connection.bot


def invite_link(application_id: str, guild_id: str | None = None) -> str:
    """Return the link by which somebody who may manage a guild adds the bot to it (Discord docs, topics/oauth2)."""
    query = {"client_id": application_id, "scope": "bot", "permissions": str(INVITED_WITH)}
    if guild_id is not None:
        query |= {"guild_id": guild_id, "disable_guild_select": "true"}
    return f"https://discord.com/oauth2/authorize?{urlencode(query)}"


class DiscordSessions:
    """Opens and closes sessions: the ``SessionFactory`` of the managed room. Thread-safe."""

    def __init__(
        self,
        *,
        make_client: Callable[[str, str], DiscordClient],
        make_snapshots: Callable[[DiscordClient], SnapshotCache],
        now: Callable[[], float],
        wall: Callable[[], datetime],
        timings: KindTimings,
    ) -> None:
        """Make a factory without sessions.

        Args:
            make_client: Makes a client from a token and a base URL.
            make_snapshots: Makes the cache over a client.
            now: Monotonic clock, the one that deadlines are given in.
            wall: Wall clock (UTC).
            timings: This room's constants.
        """
        self._make_client = make_client
        self._make_snapshots = make_snapshots
        self._now = now
        self._wall = wall
        self._timings = timings
        self._lock = threading.Lock()
        self._connections: dict[tuple[str, str], Connection] = {}
        self._open: set[Connection] = set()  # Those that a new one has replaced too.
        self._listeners: list[Callable[[str, SnapshotChange], None]] = []

    def subscribe(self, listener: Callable[[str, SnapshotChange], None]) -> None:
        """Call the listener with each change that any guild's refresh shows and that is not our own.

        It is called in the refreshing thread, outside locks, and must not raise.
        """
        with self._lock:
            self._listeners.append(listener)

    def open(self, *, config: Obj, token: str) -> DiscordSession:
        """Make a session, sharing the connection of the token if there is one. Sends nothing.

        Raises:
            Blocked: The config makes no sense.
        """
        rules = Rules.of(config)
        key = (hashlib.sha256(token.encode()).hexdigest(), rules.base_url)
        with self._lock:
            connection = self._connections.get(key)
            if connection is None or connection.client.token_rejected:
                connection = self._connect(token, rules.base_url)
                self._connections[key] = connection
                self._open.add(connection)
            connection.users += 1
        return DiscordSession(connection, rules)

    def verify(self, session: DiscordSession) -> Identity:
        """Ask whom the token belongs to.

        Raises:
            TokenRejected: Discord refuses the token.
            ManagedError: It can't be told now.
        """
        client = session.connection.client
        options = CallOptions(priority=Priority.USER)
        try:
            user = client.current_user(options=options)
        except (TokenInvalid, Unauthorized) as error:
            raise TokenRejected(str(error)) from None
        except DiscordError:
            with translated("checking the bot token"):
                raise
        application_id = self._application_id(session, fallback=str(user["id"]))
        details = {"applicationId": application_id, "inviteURL": invite_link(application_id)}
        identity = Identity(id=str(user["id"]), name=str(user.get("username") or user["id"]), details=details)
        session.connection.bot = identity
        return identity

    def close(self, session: DiscordSession) -> None:
        """Let go of a session; the client is closed with the last one that uses it."""
        connection = session.connection
        with self._lock:
            connection.users -= 1
            unused = connection.users <= 0
            if unused:
                self._open.discard(connection)
                for key in [key for key, value in self._connections.items() if value is connection]:
                    del self._connections[key]
        if unused:
            connection.client.close(_CLOSE_GRACE_SECONDS)

    def look_anew(self) -> None:
        """Trust no picture of a guild from before now: another copy of this program may have led meanwhile."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            connection.snapshots.invalidate_all()

    def close_all(self) -> None:
        """Close every client, at the end of the process."""
        with self._lock:
            connections = list(self._open)
            self._open.clear()
            self._connections.clear()
        for connection in connections:
            connection.client.close(_CLOSE_GRACE_SECONDS)

    def rejected(self, session: DiscordSession) -> bool:
        """Tell whether Discord has refused the token since the session was opened."""
        return session.connection.client.token_rejected

    def _connect(self, token: str, base_url: str) -> Connection:
        client = self._make_client(token, base_url)
        snapshots = self._make_snapshots(client)
        snapshots.subscribe(self._tell)
        return Connection(
            client=client,
            snapshots=snapshots,
            visibility=Visibility(now=self._now, timings=self._timings),
            channel_order=PendingOrder(now=self._now, timings=self._timings),
            role_order=PendingOrder(now=self._now, timings=self._timings),
            guilds=GuildList(now=self._now, timings=self._timings),
        )

    def _tell(self, guild_id: str, change: SnapshotChange) -> None:
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(guild_id, change)

    def _application_id(self, session: DiscordSession, *, fallback: str) -> str:
        """Return the application's id, which for bots made before 2016 is not the bot's own. Asked for once."""
        known = session.connection.bot
        if known is not None:
            return str(known.details["applicationId"])
        try:
            options = CallOptions(priority=Priority.USER)
            return str(session.connection.client.current_application(options=options).get("id") or fallback)
        except DiscordError as error:
            _log.warning("the application's id is unknown; the invite link uses the bot's", error=str(error))
            return fallback
