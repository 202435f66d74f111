"""The Channel kind: channels and categories of a guild.

Observed from the guild's shared snapshot; created with everything in one call; put right by one PATCH of what
differs; ordered in bulk; deleted only if nothing is lost by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from provider_discord.apis.channel import ChannelParameters
from provider_discord.apis.errors import InvalidField
from provider_discord.apis.fields import ChannelType
from provider_discord.apis.kinds import CHANNEL
from provider_discord.apis.parse import parse_parameters
from provider_discord.discord import errors as discord
from provider_discord.discord.permissions import VIEW_CHANNEL, channel_permissions, is_hidden
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds import channel_plan, foresight
from provider_discord.kinds.adoption import Match, own_by_status, same_name_check
from provider_discord.kinds.audit_log import Action
from provider_discord.kinds.caution import (
    check_creation,
    considered,
    fought_over,
    left_alone,
    put_back,
    with_fights,
)
from provider_discord.kinds.channel_plan import TAGS_ANNOTATION, TERMS, ChannelPlan
from provider_discord.kinds.creation import Evidence, decide
from provider_discord.kinds.evidence import creations_of, unaccounted_for
from provider_discord.kinds.lost_deletes import sight
from provider_discord.kinds.missing import find_unlisted
from provider_discord.kinds.outcomes import translated
from provider_discord.kinds.reorder import ChannelOrder, position_diff, with_order
from provider_discord.kinds.session import DiscordSession
from provider_discord.kinds.visit import Equipment, Visit
from provider_discord.managed.errors import Blocked, ExternalFailure, ManagedError, Waiting
from provider_discord.managed.external import (
    Attempt,
    Change,
    Creation,
    Observation,
    PassContext,
    Readiness,
    Resolution,
)
from provider_discord.managed.resource import ManagedResource

Json = Mapping[str, Any]
_ORDER = ChannelOrder()
_POSTS = frozenset({ChannelType.FORUM, ChannelType.MEDIA})
_THREADED = _POSTS | {ChannelType.TEXT, ChannelType.ANNOUNCEMENT}


@dataclass(frozen=True, slots=True)
class ChannelConnector:
    """Makes a ``ChannelExternal`` for one pass."""

    equipment: Equipment

    def connect(self, mr: ManagedResource, session: DiscordSession, context: PassContext) -> ChannelExternal:
        """Return the external client for this object."""
        return ChannelExternal(Visit(mr, session=session, context=context, equipment=self.equipment))


class ChannelExternal:
    """The four verbs and the resolution, for one channel and one pass."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    def observe(self, mr: ManagedResource) -> Observation:
        """Compare the channel with its manifest; never writes."""
        visit = self._visit
        if mr.external_name is None and mr.deleting:
            return Observation(exists=False)
        guild_id = visit.guild_id()
        parameters = self._parameters(mr)
        snapshot = self._with_parent(parameters, visit.look(guild_id))
        adopted: str | None = None
        raw = None if mr.external_name is None else self._find(snapshot, mr.external_name)
        if raw is None and not mr.deleting:
            # Never made, or gone for certain. Somebody may have made another one by hand.
            try:
                adopted = self._adopted(parameters, snapshot)
            except Blocked as refusal:
                return considered(visit, snapshot, Observation(exists=False, refusal=refusal))
            raw = None if adopted is None else snapshot.channels[adopted]
        if raw is None:
            why_not = self._why_not_create(mr, parameters, snapshot)
            return considered(visit, snapshot, Observation(exists=False, refusal=why_not))
        self._check_type(parameters, raw)
        alone = left_alone(visit)
        shown = visit.settled_status(channel_plan.status(raw, snapshot=snapshot), volatile=("lastMessageId",))
        if parameters is None or mr.deleting:
            plan = ChannelPlan(raw=raw)
        else:
            plan = self._plan(mr, parameters, raw, snapshot)
        fought = fought_over(alone, plan.diffs)
        if fought:
            others = visit.parse(CHANNEL, ChannelParameters, leaving=alone)
            plan = self._plan(mr, others, raw, snapshot)
        found = Observation(
            exists=True,
            external_name=adopted,
            diff=plan.diffs,
            at_provider=shown,
            annotations=plan.annotations,
            readiness=_READY,
            plan=plan,
            warnings=plan.warnings,
            requeue_after_seconds=visit.second_look(guild_id, parameters.position if parameters else None),
            refusal=self._why_not_update(plan, snapshot),
        )
        return with_fights(visit, considered(visit, snapshot, found), alone=alone, fought=fought)

    def create(self, mr: ManagedResource, attempt: Attempt) -> Creation:
        """Create the channel with all that its manifest gives, in one call."""
        del mr
        visit = self._visit
        guild_id = visit.guild_id()
        parameters = visit.parse(CHANNEL, ChannelParameters)
        snapshot = visit.look(guild_id, decisive=True)
        check_creation(visit, snapshot)
        self._adopted(parameters, snapshot, creating=True)
        body = channel_plan.create_body(parameters, snapshot=snapshot, bot_id=visit.bot_id)
        self._foresee(body, {}, snapshot)
        needed = channel_plan.lacking_feature(parameters.type, snapshot)
        with (
            translated(f"creating channel {parameters.name}{needed}", terms=TERMS),
            visit.writing(guild_id),
        ):
            raw = visit.client.create_channel(guild_id, body, options=visit.options(attempt=attempt))
        visit.made(str(raw["id"]))
        visit.snapshots.record_channel(guild_id, raw)
        try:
            annotations = channel_plan.tags_memory(parameters, raw, None)
        except Blocked:
            # An error would mean that nothing was made; observe meets the same trouble and tells it.
            annotations = {}
        return Creation(
            external_name=str(raw["id"]),
            at_provider={"id": str(raw["id"]), "guildId": guild_id},
            annotations=annotations,
        )

    def resolve(self, mr: ManagedResource, attempt: Attempt) -> Resolution:
        """Find out what became of an attempt to create."""
        visit = self._visit
        guild_id = visit.guild_id()
        parameters = self._parameters(mr)
        snapshot = visit.look(guild_id, anew=True)
        candidates: list[str] = []
        visible = True
        if parameters is not None:
            candidates = [match.id for match in self._matches(parameters, snapshot)]
            visible = self._would_be_visible(parameters, snapshot)
        possible = {
            channel_id: raw
            for channel_id, raw in snapshot.channels.items()
            if channel_id not in candidates and self._has_type(parameters, raw)
        }
        entries = creations_of(visit, snapshot, attempt, action=Action.CHANNEL_CREATE)
        evidence = Evidence(
            what=f"channel {parameters.name if parameters else mr.name}",
            candidates=candidates,
            entries=None if entries is None else entries.found,
            others=unaccounted_for(visit, guild_id, attempt, things=possible, answers=_answers),
            truncated=entries is not None and not entries.complete,
            visible=visible and attempt.is_of(mr),
        )
        resolution = decide(attempt, evidence, wall=visit.equipment.wall(), timings=visit.timings)
        made = snapshot.channels.get(resolution.external_name or "")
        if made is None:
            return resolution
        return replace(resolution, annotations=channel_plan.tags_at_birth(made))

    def update(self, mr: ManagedResource, observation: Observation) -> Change:
        """Send one PATCH with what differs, then see to the channel's place."""
        visit, plan = self._visit, observation.plan
        assert isinstance(plan, ChannelPlan)
        guild_id, channel_id = visit.guild_id(), str(plan.raw["id"])
        change = Change(wrote=False, annotations=plan.annotations)
        if plan.body:
            answer = self._patch(guild_id, channel_id, plan)
            parameters = visit.parse(CHANNEL, ChannelParameters)
            remembered = mr.annotations.get(TAGS_ANNOTATION)
            change = Change(annotations=channel_plan.tags_memory(parameters, answer, remembered))
        change = with_order(change, visit, _ORDER, guild_id, object_id=channel_id, position=plan.position)
        put_back(visit, observation.diff)
        return change

    def delete(self, mr: ManagedResource, observation: Observation) -> Change:
        """Delete the channel, unless something would be lost or the guild needs it."""
        visit = self._visit
        guild_id = visit.guild_id()
        channel_id = mr.external_name
        if channel_id is None:
            return Change(wrote=False)
        snapshot = visit.look(guild_id, decisive=True)
        self._guard_community(snapshot, channel_id)
        missing = foresight.missing_for_channel_delete(snapshot, observation.plan.raw)
        if missing is not None:
            visit.doubt_member(guild_id)
            raise Blocked(visit.with_way_out(missing), reason="MissingPermission")
        with visit.deletion(f"deleting channel {channel_id}"):
            try:
                with visit.writing(guild_id):
                    if mr.for_provider.get("allowDelete") is not True:
                        fresh = visit.client.channel(channel_id, options=visit.options())
                        self._guard_messages(fresh)
                        self._guard_threads(guild_id, fresh)
                    visit.begin_deletion(sight(snapshot))
                    visit.client.delete_channel(channel_id, options=visit.options(writing=True))
            except discord.NotFound as error:
                # Gone, or hidden just now: observe finds out which, and only then lets the object go.
                msg = f"channel {channel_id} can't be found just now: {error.message}"
                raise Waiting(msg, retry_after=1.0, quiet=True) from error
        visit.snapshots.forget_channel(guild_id, channel_id)
        visit.connection.visibility.gone([channel_id], "it was deleted by this provider")
        return Change()

    # Looking.

    def _parameters(self, mr: ManagedResource) -> ChannelParameters | None:
        """Parse the manifest; None for one that is wrong while the object is being deleted, which it must not hinder."""
        try:
            return self._visit.parse(CHANNEL, ChannelParameters)
        except Blocked:
            if mr.deleting:
                return None
            raise

    def _with_parent(self, parameters: ChannelParameters | None, snapshot: GuildSnapshot) -> GuildSnapshot:
        """Look again if the wanted parent is missing: somebody may have just made it. A poll comes again by itself."""
        wanted = parameters.parent_id if parameters is not None else None
        if not wanted or wanted in snapshot.channels or self._visit.polling:
            return snapshot
        return self._visit.look(snapshot.guild_id, decisive=True)

    def _find(self, snapshot: GuildSnapshot, channel_id: str) -> Json | None:
        visit = self._visit
        raw = snapshot.channels.get(channel_id)
        known = visit.connection.visibility.known(channel_id)
        if raw is None and known is None and not visit.polling:
            snapshot = visit.look(snapshot.guild_id, decisive=True)
            raw = snapshot.channels.get(channel_id)
        if raw is None:
            if channel_id in snapshot.roles:
                msg = f"the annotation crossplane.io/external-name holds {channel_id}, which is a role, not a channel"
                raise Blocked(msg, reason="ExternalNameInvalid")
            return find_unlisted(visit, snapshot, channel_id)
        if is_hidden(raw):
            msg = f"channel {channel_id} is hidden from the bot: give the bot View Channel there"
            raise Blocked(visit.with_way_out(msg), reason="HiddenOrGone")
        visit.connection.visibility.seen(channel_id)
        return raw

    @staticmethod
    def _has_type(parameters: ChannelParameters | None, raw: Json) -> bool:
        """Tell whether a channel is, or can be turned into, one of the manifest's type."""
        kind = channel_plan.channel_type_of(raw)
        wanted = parameters.type if parameters is not None else None
        return kind is not None and (wanted is None or channel_plan.convertible(wanted, kind))

    def _check_type(self, parameters: ChannelParameters | None, raw: Json) -> None:
        """Refuse an external name that belongs to a channel of another type."""
        if self._has_type(parameters, raw):
            return
        kind = channel_plan.channel_type_of(raw)
        wanted = parameters.type if parameters is not None else None
        word = kind.word if kind is not None else f"type {raw.get('type')}"
        asked = wanted.word if wanted is not None else "something that this provider manages"
        msg = (
            f"channel {raw['id']} ({raw.get('name')}) is a {word} channel, but spec.forProvider.type asks for {asked}, "
            f"and Discord can't turn the one into the other: correct the type or the annotation "
            f"crossplane.io/external-name"
        )
        raise Blocked(self._visit.with_way_out(msg), reason="ExternalNameInvalid", field="forProvider.type")

    def _plan(
        self, mr: ManagedResource, parameters: ChannelParameters, raw: Json, snapshot: GuildSnapshot
    ) -> ChannelPlan:
        plan = channel_plan.plan_update(
            parameters,
            raw,
            snapshot=snapshot,
            bot_id=self._visit.bot_id,
            remembered_tags=mr.annotations.get(TAGS_ANNOTATION),
            seen=mr.at_provider,
        )
        misplaced = position_diff(self._visit, _ORDER, snapshot, str(raw["id"]), parameters.position)
        if misplaced is None:
            return plan
        return replace(plan, diffs=(*plan.diffs, misplaced), position=parameters.position)

    def _why_not_create(
        self, mr: ManagedResource, parameters: ChannelParameters | None, snapshot: GuildSnapshot
    ) -> ManagedError | None:
        """Return what forbids to create the channel, as far as it can be told now."""
        if parameters is None or mr.deleting:
            return None
        try:
            body = channel_plan.create_body(parameters, snapshot=snapshot, bot_id=self._visit.bot_id)
            self._foresee(body, {}, snapshot)
        except ManagedError as refusal:
            return refusal
        return None

    def _why_not_update(self, plan: ChannelPlan, snapshot: GuildSnapshot) -> ManagedError | None:
        """Return what forbids to put the channel right."""
        if plan.body:
            try:
                self._foresee(plan.body, plan.raw, snapshot)
            except Blocked as refusal:
                return refusal
        if plan.position is not None:
            missing = foresight.missing_for_channel_order(snapshot)
            if missing is not None:
                self._visit.doubt_member(snapshot.guild_id)
                return Blocked(missing, reason="MissingPermission", field="forProvider.position")
        return None

    def _matches(self, parameters: ChannelParameters, snapshot: GuildSnapshot) -> list[Match]:
        return [
            Match(str(raw["id"]), f"{raw.get('name')}")
            for raw in snapshot.channels.values()
            if channel_plan.matches(parameters, raw, parent_id=parameters.parent_id)
            and not self._visit.claimed_by_others(str(raw["id"]))
        ]

    def _adopted(
        self, parameters: ChannelParameters | None, snapshot: GuildSnapshot, *, creating: bool = False
    ) -> str | None:
        """Return the id that an object without a channel adopts; None: there is nothing to adopt."""
        if parameters is None:
            return None
        possible = {
            channel_id
            for channel_id, raw in snapshot.channels.items()
            if not is_hidden(raw) and self._has_type(parameters, raw)
        }
        own = own_by_status(self._visit, possible, creating=creating)
        if own is not None:
            return own
        found = self._matches(parameters, snapshot)
        return same_name_check(
            self._visit, found, what="channel", name=parameters.name or "", creating=creating
        )

    # Writing.

    def _foresee(self, body: Json, raw: Json, snapshot: GuildSnapshot) -> None:
        """Refuse what Discord would refuse, and what would shut the bot out."""
        missing = foresight.missing_for_channel_write(snapshot, raw or None, body)
        if missing is not None:
            self._visit.doubt_member(snapshot.guild_id)
            raise Blocked(missing, reason="MissingPermission")
        if "permission_overwrites" in body or not raw:
            after = channel_plan.effective_overwrites(body, raw, snapshot=snapshot)
            locked = foresight.would_lock_out(snapshot, {**raw, **body}, after)
            if locked is not None:
                self._visit.doubt_member(snapshot.guild_id)
                raise Blocked(locked, reason="WouldLockOut", field="forProvider.permissionOverwrites")

    def _would_be_visible(self, parameters: ChannelParameters, snapshot: GuildSnapshot) -> bool:
        """Tell whether the bot could see, in the list, a channel made after this manifest; False: it can't be told."""
        try:
            body = channel_plan.create_body(parameters, snapshot=snapshot, bot_id=self._visit.bot_id)
        except Blocked:
            return False
        if body.get("parent_id") and "permission_overwrites" not in body:
            # It took the category's overwrites.
            parent = snapshot.channels.get(str(body["parent_id"]))
            if parent is None or is_hidden(parent):
                return False
        after = channel_plan.effective_overwrites(body, {}, snapshot=snapshot)
        return bool(channel_permissions(snapshot, {**body, "permission_overwrites": after}) & VIEW_CHANNEL)

    def _patch(self, guild_id: str, channel_id: str, plan: ChannelPlan) -> Json:
        visit = self._visit
        with translated(f"changing channel {channel_id}", terms=TERMS):
            try:
                with visit.writing(guild_id):
                    answer = visit.client.modify_channel(
                        channel_id, plan.body, options=visit.options(writing=True)
                    )
            except discord.RateLimited as error:
                if error.applied:
                    visit.snapshots.record_channel(guild_id, error.applied)
                    visit.wrote(channel_id)
                raise
            except discord.NotFound as error:
                msg = f"changing channel {channel_id}: it is not there any more: {error.message}"
                raise ExternalFailure(msg) from error
        visit.snapshots.record_channel(guild_id, answer)
        visit.wrote(channel_id)
        if plan.raw.get("type") == ChannelType.CATEGORY and "permission_overwrites" in plan.body:
            # The channels that are synced with it have changed too, and the answer does not tell which.
            visit.snapshots.invalidate(guild_id)
        return answer

    # Guarding.

    def _guard_community(self, snapshot: GuildSnapshot, channel_id: str) -> None:
        guild = snapshot.guild
        if "COMMUNITY" not in (guild.get("features") or ()):
            return
        for key, word in (("rules_channel_id", "rules"), ("public_updates_channel_id", "public updates")):
            if str(guild.get(key) or "") == channel_id:
                msg = (
                    f"channel {channel_id} is the {word} channel that a Community guild must have, so it is not "
                    f"deleted: give the guild another one first"
                )
                raise Blocked(self._visit.with_way_out(msg), reason="DeletionGuarded")

    def _guard_messages(self, fresh: Json) -> None:
        """Refuse to delete what was written in; a channel that can't be read counts as written in."""
        kind = channel_plan.channel_type_of(fresh)
        if kind is ChannelType.CATEGORY:
            return
        if (
            kind is not None
            and "last_message_id" in fresh
            and fresh["last_message_id"] is None
            and not is_hidden(fresh)
        ):
            return
        what = "posts" if kind in _POSTS else "messages"
        known = fresh.get("last_message_id") is not None
        msg = (
            f"channel {fresh.get('id')} ({fresh.get('name')}) "
            + (f"has {what}" if known else f"may have {what} (Discord does not tell)")
            + ", so it is not deleted: to delete it with them, set spec.forProvider.allowDelete: true"
        )
        raise Blocked(
            self._visit.with_way_out(msg), reason="DeletionGuarded", field="forProvider.allowDelete"
        )

    def _guard_threads(self, guild_id: str, fresh: Json) -> None:
        """Refuse to delete a channel with threads: one that is private leaves no message in the channel."""
        if channel_plan.channel_type_of(fresh) not in _THREADED:
            return
        visit, channel_id = self._visit, str(fresh["id"])
        threads = visit.client.active_threads(guild_id, options=visit.options())
        if not any(str(thread.get("parent_id")) == channel_id for thread in threads):
            return
        msg = (
            f"channel {channel_id} ({fresh.get('name')}) has threads, so it is not deleted: to delete it with them, "
            f"set spec.forProvider.allowDelete: true"
        )
        raise Blocked(visit.with_way_out(msg), reason="DeletionGuarded", field="forProvider.allowDelete")


_READY = Readiness(available=True)


def _answers(mr: ManagedResource, raw: Json) -> bool:
    """Tell whether a channel answers to another object's manifest."""
    try:
        parameters = parse_parameters(CHANNEL, mr.for_provider)
    except InvalidField:
        return False
    assert isinstance(parameters, ChannelParameters)
    return channel_plan.matches(parameters, raw, parent_id=parameters.parent_id)
