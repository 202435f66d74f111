"""One pass of one object at Discord: how urgent it is, how old what it sees may be, and in whose name it writes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import quote

from provider_discord.apis.errors import InvalidField
from provider_discord.apis.kinds import KindDefinition
from provider_discord.apis.parse import parse_parameters
from provider_discord.discord import errors as discord
from provider_discord.discord.client import DiscordClient
from provider_discord.discord.options import CallOptions
from provider_discord.discord.priority import Priority as CallPriority
from provider_discord.discord.snapshot import GuildSnapshot, SnapshotCache
from provider_discord.kinds.fights import Fights, without
from provider_discord.kinds.holds import Holds
from provider_discord.kinds.making import Making
from provider_discord.kinds.outcomes import invalid, translated
from provider_discord.kinds.session import Connection, DiscordSession, Rules, invite_link
from provider_discord.kinds.siblings import Siblings
from provider_discord.kinds.timings import KindTimings
from provider_discord.kube.resource import Key, Obj, Resource
from provider_discord.kube.workqueue import Priority
from provider_discord.managed import meta
from provider_discord.managed.claims import Claims
from provider_discord.managed.errors import Blocked, Waiting
from provider_discord.managed.external import Attempt, PassContext
from provider_discord.managed.resource import ManagedResource

_PRIORITIES: Final = {
    Priority.CHANGE: CallPriority.USER,
    Priority.RETRY: CallPriority.RETRY,
    Priority.POLL: CallPriority.POLL,
}
_MAX_REASON = 512
Model = TypeVar("Model")
LET_GO: Final = 'to let this object go and leave Discord untouched, set spec.managementPolicies to ["Observe", "Create", "Update"]'


class ObjectReader(Protocol):
    """The part of ``kube.access.ObjectAccess`` that this room uses."""

    def get(self, resource: Resource, key: Key) -> Obj:
        """Read one object. Raises ``kube.errors.NotFound``, or another ``KubeError``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What every pass of every kind uses.

    Attributes:
        now: Monotonic clock, in which deadlines are given.
        wall: Wall clock (UTC).
        timings: This room's constants.
        siblings: The other objects of a guild.
        claims: Who claims which Discord id.
        objects: Reads ConfigMaps and Secrets, by name, for images.
        holds: Which guilds are held.
        fights: What was put back how often.
        making: What is being made just now.
    """

    now: Callable[[], float]
    wall: Callable[[], datetime]
    timings: KindTimings
    siblings: Siblings
    claims: Claims
    objects: ObjectReader
    holds: Holds
    fights: Fights = field(default_factory=Fights)
    making: Making = field(default_factory=Making)


class Visit:
    """One object's pass. Made by the connector, used by one thread, thrown away."""

    def __init__(
        self,
        mr: ManagedResource,
        *,
        session: DiscordSession,
        context: PassContext,
        equipment: Equipment,
    ) -> None:
        self.mr = mr
        self.equipment = equipment
        self.session = session
        self._context = context

    @property
    def connection(self) -> Connection:
        """What the token's users share."""
        return self.session.connection

    @property
    def client(self) -> DiscordClient:
        """Discord."""
        return self.session.connection.client

    @property
    def snapshots(self) -> SnapshotCache:
        """The guilds."""
        return self.session.connection.snapshots

    @property
    def rules(self) -> Rules:
        """What the ProviderConfig says."""
        return self.session.rules

    @property
    def timings(self) -> KindTimings:
        """This room's constants."""
        return self.equipment.timings

    @property
    def bot_id(self) -> str:
        """The bot's user id."""
        return self.session.bot.id

    @property
    def polling(self) -> bool:
        """Nobody is waiting for this pass."""
        return self._context.priority is Priority.POLL

    def options(self, *, attempt: Attempt | None = None, writing: bool = False) -> CallOptions:
        """Return the options of a call: urgency, what is left of the pass, and the reason of a write."""
        left = self._context.deadline - self.equipment.now()
        return CallOptions(
            priority=_PRIORITIES[self._context.priority],
            deadline_seconds=max(0.1, left),
            reason=self.reason(attempt) if writing or attempt is not None else None,
        )

    def reason(self, attempt: Attempt | None = None) -> str:
        """Return the audit log reason: this object by its UID, the attempt, and the config's free text.

        Never the object's namespace or name: guild moderators read it. Discord takes 1 to 512 characters as
        URL-encoded (resources/audit-log); the free text is cut to fit.
        """
        reason = f"provider-discord uid={self.mr.uid}"
        if attempt is not None:
            reason += f" attempt={attempt.id}"
        text = self.rules.audit_reason
        while text and len(quote(f"{reason} {text}", safe="")) > _MAX_REASON:
            text = text[:-1]
        return f"{reason} {text}".rstrip()

    def begin_deletion(self, sight: str) -> None:
        """Have it recorded on the object that a delete leaves now, and by what its thing can be seen."""
        self._context.begin_deletion(sight)

    # The guild.

    def guild_id(self) -> str:
        """Return the guild that the object is in, from its spec, or where that does not tell from its status.

        Raises:
            Blocked: None is given, it was changed, or the ProviderConfig does not allow it.
        """
        wanted = str(self.mr.for_provider.get("guildId") or "")
        seen = str(self.mr.at_provider.get("guildId") or "")
        if wanted and seen and wanted != seen and self._is_what_status_shows():
            if self.mr.deleting:  # It is deleted where it is.
                self.check_allowed(seen)
                return seen
            msg = (
                f"spec.forProvider.guildId is {wanted}, but {self.mr.external_name} is in guild {seen} and can't "
                f"move: put {seen} back, or delete this object (that deletes {self.mr.external_name}) and make a new one"
            )
            raise Blocked(msg, reason="GuildChanged", field="forProvider.guildId")
        guild_id = wanted or seen
        if not guild_id:
            msg = "spec.forProvider.guildId is missing: give guildId, guildIdRef or guildIdSelector"
            raise Blocked(self.with_way_out(msg), reason="InvalidField", field="forProvider.guildId")
        self.check_allowed(guild_id)
        return guild_id

    def check_allowed(self, guild_id: str) -> None:
        """Raise Blocked where the ProviderConfig does not let its objects reach the guild."""
        allowed = self.rules.allowed_guilds
        if allowed is not None and guild_id not in allowed:
            msg = (
                f"guild {guild_id} is not among spec.allowedGuilds of ProviderConfig {self.rules.config}: add it "
                f"there, or use another ProviderConfig"
            )
            raise Blocked(self.with_way_out(msg), reason="NotAllowed")

    def look(self, guild_id: str, *, decisive: bool = False, anew: bool = False) -> GuildSnapshot:
        """Return the guild as it is, or was not long ago.

        Args:
            guild_id: The guild.
            decisive: Something will be created, deleted or taken for gone on its account.
            anew: It must show everything that happened until now.

        Raises:
            Blocked: The bot is not in the guild.
            ManagedError: Discord can't tell now.
        """
        age = 0.0 if anew else self._age(decisive=decisive)
        guilds = self.connection.guilds
        why = guilds.why_beyond(guild_id, max_age_seconds=max(age, self.timings.retry_snapshot_age_seconds))
        if why is not None:
            raise self.not_in_guild(guild_id, why)
        with translated(f"reading guild {guild_id}"):
            try:
                snapshot = self.snapshots.get(guild_id, max_age_seconds=age, options=self.options())
            except (discord.NotFound, discord.Forbidden) as error:
                guilds.beyond(guild_id, error.message)
                raise self.not_in_guild(guild_id, error.message) from error
        guilds.reached(guild_id)
        if snapshot.guild.get("unavailable"):
            msg = f"guild {guild_id} is unavailable because of an outage at Discord"
            raise Waiting(msg, retry_after=self.timings.audit_retry_seconds, quiet=True)
        return snapshot

    def not_in_guild(self, guild_id: str, why: str) -> Blocked:
        """Return the error that says that the bot must be invited, and by which link."""
        msg = (
            f"the bot is not in guild {guild_id}; somebody who may manage the guild can add it: "
            f"{self.invite(guild_id)} : Discord says: {why}"
        )
        return Blocked(self.with_way_out(msg), reason="NotInGuild")

    def invite(self, guild_id: str | None = None) -> str:
        """Return the bot's invite link."""
        bot = self.session.bot
        return invite_link(str(bot.details.get("applicationId") or bot.id), guild_id)

    @contextmanager
    def deletion(self, doing: str) -> Iterator[None]:
        """Translate Discord's errors as ``translated`` does, and add to a refusal how the object can go all the same."""
        try:
            with translated(doing):
                yield
        except Blocked as error:
            if LET_GO in str(error):
                raise
            raise Blocked(self.with_way_out(str(error)), reason=error.reason, field=error.field) from error

    @contextmanager
    def writing(self, guild_id: str) -> Iterator[None]:
        """Note what the failure of a write says about the picture of the guild that it was decided by.

        A 403 was not foreseen, so the bot's roles may have changed; something that is gone was in the picture; and a
        request without an answer may have been carried out.
        """
        try:
            yield
        except discord.Forbidden:
            self.snapshots.invalidate_member(guild_id)
            raise
        except (discord.NotFound, discord.Unavailable):
            self.snapshots.invalidate(guild_id)
            raise

    def with_way_out(self, message: str) -> str:
        """Add, for an object that is being deleted, how it can go without Discord; Discord's reason stays last."""
        if not self.mr.deleting:
            return message
        head, mark, reason = message.rpartition("Discord says: ")
        return f"{head.rstrip(' :;')}; {LET_GO}: {mark}{reason}" if mark else f"{message}; {LET_GO}"

    def doubt_member(self, guild_id: str) -> None:
        """Have the bot's own member read again with the next look, since something was refused on its account.

        Somebody who reads that the bot lacks a permission gives it a role, and the cache of the member is slow to
        notice. At most once in a probe period and guild.
        """
        if self.connection.visibility.may_read(f"member in {guild_id}"):
            self.snapshots.invalidate_member(guild_id)

    def lacking(self, guild_id: str, missing: str, *, field: str | None = None) -> Blocked:
        """Return the refusal of a write that the bot lacks a permission or the rank for.

        Args:
            guild_id: The guild.
            missing: What is missing and how to give it, see ``foresight``.
            field: The field of the manifest that asks for the write, if it is one.
        """
        self.doubt_member(guild_id)
        return Blocked(self.with_way_out(missing), reason="MissingPermission", field=field)

    # The object.

    def parse(
        self, definition: KindDefinition, model: type[Model], *, leaving: Collection[str] = ()
    ) -> Model:
        """Return the object's parameters as their model.

        Args:
            definition: The object's kind.
            model: Its model.
            leaving: Fields to take for unmanaged.

        Raises:
            Blocked: A field is wrong.
        """
        wanted: Mapping[str, Any] = without(self.mr.for_provider, leaving)
        try:
            parameters = parse_parameters(definition, wanted)
        except InvalidField as error:
            raise invalid(error) from error
        assert isinstance(parameters, model)
        return parameters

    def claimed_by_others(self, external_name: str) -> bool:
        """Tell whether another object of this kind claims a Discord id, or has just made it and will claim it."""
        maker = self.connection.made.get(external_name)
        if maker is not None and maker[0] != self.mr.uid:
            if self.equipment.now() - maker[1] < self.timings.claim_seconds:
                return True
            self.connection.made.drop(external_name, maker)
        # Who may not write owns nothing: what it looks at is still a stranger's.
        return any(
            (claim.writes or claim.lost) and claim.key != self.mr.key
            for claim in self.equipment.claims.claimants(self.mr.kind, external_name)
        )

    def settled_status(self, shown: Mapping[str, Any], *, volatile: Collection[str]) -> dict[str, Any]:
        """Return ``status.atProvider`` to write, without a change that only life in the guild has caused.

        A busy guild's last messages and member counts change all the time; a status write each poll for each object
        would cost the API server more than anybody gains. So these are brought up to date with the next real change,
        or when there was none of them yet.
        """
        result = dict(shown)
        at = self.connection.written.get(str(shown.get("id")))
        before = self.mr.at_provider
        if at is not None and at == before.get("updatedAt"):
            self.connection.written.drop(str(shown.get("id")), at)
        if at is not None or "updatedAt" in before:
            result["updatedAt"] = at if at is not None else before["updatedAt"]
        steady = {key: value for key, value in result.items() if key not in volatile}
        same = steady == {key: value for key, value in before.items() if key not in volatile}
        if same and result.keys() <= before.keys():
            return before
        return result

    def made(self, external_name: str) -> None:
        """Remember that this object made something: nobody else may take it for a stranger's before it is claimed."""
        self.connection.made.put(external_name, (self.mr.uid, self.equipment.now()))
        self.wrote(external_name)

    def second_look(self, guild_id: str, position: int | None) -> float | None:
        """Return when to look again at the place of an object that has just been adopted, None if there is no need.

        Objects find their siblings by the guild that each one's status shows. Two that are adopted at the same time
        miss each other, but not once more: the later one of them finds both.
        """
        if position is None or self.mr.deleting or self.mr.at_provider.get("guildId") == guild_id:
            return None
        return self.timings.order_quiet_seconds

    def wrote(self, external_name: str) -> None:
        """Remember that the external resource was changed now, for ``updatedAt``."""
        self.connection.written.put(external_name, meta.to_rfc3339(self.equipment.wall()))

    def _is_what_status_shows(self) -> bool:
        return self.mr.external_name is not None and self.mr.external_name == self.mr.at_provider.get("id")

    def _age(self, *, decisive: bool) -> float:
        if decisive:
            return self.timings.decisive_snapshot_age_seconds
        return {
            Priority.CHANGE: self.timings.change_snapshot_age_seconds,
            Priority.RETRY: self.timings.retry_snapshot_age_seconds,
            Priority.POLL: self.timings.poll_snapshot_age_seconds,
        }[self._context.priority]
