"""The Channel kind: channels and categories of a guild; what all that is made in a guild has in common is ``in_guild``.

A channel that is not listed may only be hidden from the bot, so it is looked for (``missing``), and what would end up
out of the bot's sight is foreseen. Channels with messages, posts or threads, and those that a Community guild must have,
are not deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import Any

from provider_discord.apis.channel import ChannelParameters
from provider_discord.apis.fields import ChannelType
from provider_discord.apis.kinds import CHANNEL
from provider_discord.discord import errors as discord
from provider_discord.discord.permissions import VIEW_CHANNEL, channel_permissions, is_hidden
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds import category, channel_plan, foresight
from provider_discord.kinds.audit_log import Action
from provider_discord.kinds.channel_plan import TAGS_ANNOTATION
from provider_discord.kinds.channel_type import channel_type_of, exemplar, has_type, lacking_feature, matches
from provider_discord.kinds.kind_in_guild import Annotations, KindInGuild
from provider_discord.kinds.lost_deletes import sight
from provider_discord.kinds.missing import find_unlisted
from provider_discord.kinds.parent import check_going, why_not_there
from provider_discord.kinds.plan import Plan
from provider_discord.kinds.reorder import ChannelOrder
from provider_discord.managed.errors import Blocked, Waiting
from provider_discord.managed.external import Attempt, Observation
from provider_discord.managed.resource import ManagedResource

Json = Mapping[str, Any]
_POSTS = frozenset({ChannelType.FORUM, ChannelType.MEDIA})
_THREADED = _POSTS | {ChannelType.TEXT, ChannelType.ANNOUNCEMENT}


class ChannelKind(KindInGuild[ChannelParameters]):
    """What is a channel's own, for one channel and one pass."""

    definition = CHANNEL
    model = ChannelParameters
    noun = "channel"
    terms = channel_plan.TERMS
    created_as = Action.CHANNEL_CREATE
    order = ChannelOrder()
    volatile = ("lastMessageId",)

    # Looking.

    def look(self, guild_id: str, parameters: ChannelParameters | None) -> GuildSnapshot:
        """Look again if the wanted parent is missing: somebody may have just made it. A poll comes again by itself."""
        visit, wanted = self._visit, parameters.parent_id if parameters is not None else None
        snapshot = visit.look(guild_id)
        if not wanted or wanted in snapshot.channels or visit.polling:
            return snapshot
        return visit.look(guild_id, decisive=True)

    def things(self, snapshot: GuildSnapshot) -> Mapping[str, Json]:
        """Return the channels, hidden ones included as far as Discord lists them."""
        return snapshot.channels

    def find(
        self,
        mr: ManagedResource,
        external_name: str,
        parameters: ChannelParameters | None,
        snapshot: GuildSnapshot,
    ) -> Json | None:
        """Return the channel of an id; None: it is gone for certain."""
        del mr
        visit, visibility = self._visit, self._visit.connection.visibility
        raw = snapshot.channels.get(external_name)
        if raw is None and visibility.known(external_name) is None and not visit.polling:
            snapshot = visit.look(snapshot.guild_id, decisive=True)
            raw = snapshot.channels.get(external_name)
        if raw is not None:
            if is_hidden(raw):
                msg = f"channel {external_name} is hidden from the bot: give the bot View Channel there"
                raise Blocked(visit.with_way_out(msg), reason="HiddenOrGone")
            visibility.seen(external_name)
        elif external_name in snapshot.roles:
            msg = f"the annotation crossplane.io/external-name holds {external_name}, which is a role, not a channel"
            raise Blocked(msg, reason="ExternalNameInvalid")
        else:
            raw = find_unlisted(visit, snapshot, external_name)
        if raw is not None:
            self._check_type(parameters, raw)
        return raw

    def answers(self, wanted: ChannelParameters, raw: Json, guild_id: str) -> bool:
        """Tell whether a channel has a manifest's name, and its type and parent as far as it gives them."""
        del guild_id
        return matches(wanted, raw)

    def same(self, wanted: ChannelParameters, raw: Json) -> bool:
        """Tell whether a channel has a manifest's name and type, and is in its category or, like it, in none."""
        return matches(wanted, raw) and str(raw.get("parent_id") or "") == (wanted.parent_id or "")

    def rivals(self, wanted: ChannelParameters, other: ChannelParameters) -> bool:
        """Tell whether another manifest asks for a channel of the same name, type and place."""
        if other.type is None:
            return False  # Nothing can be made after it.
        parent = other.parent_id
        if parent is None and (other.parent_id_ref or other.parent_id_selector):
            parent = wanted.parent_id
        return self.same(wanted, {"name": other.name, "type": int(other.type), "parent_id": parent})

    def place(self, wanted: ChannelParameters) -> Hashable:
        """Return the parent, and the type by one of those that it may be changed into."""
        return wanted.parent_id or "", None if wanted.type is None else exemplar(wanted.type)

    def adoptable(self, wanted: ChannelParameters, snapshot: GuildSnapshot) -> Collection[str]:
        """Return the channels that the bot can see and that are of the manifest's type."""
        return [found for found, raw in self.ordinary(wanted, snapshot).items() if not is_hidden(raw)]

    def ordinary(self, parameters: ChannelParameters | None, snapshot: GuildSnapshot) -> Mapping[str, Json]:
        """Return the channels of the manifest's type."""
        return {found: raw for found, raw in snapshot.channels.items() if has_type(parameters, raw)}

    def would_be_visible(self, wanted: ChannelParameters, snapshot: GuildSnapshot) -> bool:
        """Tell whether the bot could see a channel made after this manifest; False: it can't be told."""
        try:
            body = channel_plan.create_body(wanted, snapshot=snapshot, bot_id=self._visit.bot_id)
        except Blocked:
            return False
        if body.get("parent_id") and "permission_overwrites" not in body:
            # It took the category's overwrites.
            parent = snapshot.channels.get(str(body["parent_id"]))
            if parent is None or is_hidden(parent):
                return False
        after = channel_plan.effective_overwrites(body, {}, snapshot=snapshot)
        return bool(channel_permissions(snapshot, {**body, "permission_overwrites": after}) & VIEW_CHANNEL)

    def _check_type(self, parameters: ChannelParameters | None, raw: Json) -> None:
        """Refuse an external name that belongs to a channel of another type."""
        if has_type(parameters, raw):
            return
        kind = channel_type_of(raw)
        wanted = parameters.type if parameters is not None else None
        word = kind.word if kind is not None else f"type {raw.get('type')}"
        asked = wanted.word if wanted is not None else "something that this provider manages"
        msg = (
            f"channel {raw['id']} ({raw.get('name')}) is a {word} channel, but spec.forProvider.type asks for {asked}, "
            f"and Discord can't turn the one into the other: correct the type or the annotation "
            f"crossplane.io/external-name"
        )
        raise Blocked(self._visit.with_way_out(msg), reason="ExternalNameInvalid", field="forProvider.type")

    # Comparing.

    def status(self, raw: Json, snapshot: GuildSnapshot) -> Json:
        """Return ``status.atProvider``."""
        return channel_plan.status(raw, snapshot=snapshot)

    def sort_key(self, wanted: ChannelParameters, raw: Json) -> int | None:
        """Return the manifest's position."""
        del raw
        return wanted.position

    def plan_create(self, mr: ManagedResource, wanted: ChannelParameters, snapshot: GuildSnapshot) -> Plan:
        """Return the body of the create call."""
        del mr
        check_going(self._visit, snapshot, wanted.parent_id)
        body = channel_plan.create_body(wanted, snapshot=snapshot, bot_id=self._visit.bot_id)
        return Plan(raw={}, body=body)

    def plan_update(
        self, mr: ManagedResource, wanted: ChannelParameters, raw: Json, snapshot: GuildSnapshot
    ) -> Plan:
        """Compare a channel with its manifest."""
        check_going(self._visit, snapshot, wanted.parent_id)
        return channel_plan.plan_update(
            wanted,
            raw,
            snapshot=snapshot,
            bot_id=self._visit.bot_id,
            remembered_tags=mr.annotations.get(TAGS_ANNOTATION),
            seen=mr.at_provider,
        )

    def memory(self, mr: ManagedResource, plan: Plan, answer: Json) -> Annotations:
        """Return what to remember of the forum tags."""
        remembered = mr.annotations.get(TAGS_ANNOTATION) if plan.raw else None
        wanted = self._visit.parse(CHANNEL, ChannelParameters)
        return channel_plan.tags_memory(wanted, answer, remembered)

    def memory_at_birth(self, raw: Json) -> Annotations:
        """Return what to remember of the forum tags that were made with the channel."""
        return channel_plan.tags_at_birth(raw)

    # Writing.

    def foresee(self, plan: Plan, snapshot: GuildSnapshot) -> None:
        """Refuse what Discord would refuse, and what would shut the bot out."""
        raw, body = plan.raw, plan.body
        no_parent = why_not_there(self._visit, snapshot, body.get("parent_id"))
        if no_parent is not None:
            raise no_parent
        missing = foresight.missing_for_channel_write(snapshot, raw or None, body)
        if missing is not None:
            raise self._visit.lacking(snapshot.guild_id, missing)
        if "permission_overwrites" in body or not raw:
            after = channel_plan.effective_overwrites(body, raw, snapshot=snapshot)
            locked = foresight.would_lock_out(snapshot, {**raw, **body}, after)
            if locked is not None:
                self._visit.doubt_member(snapshot.guild_id)
                raise Blocked(locked, reason="WouldLockOut", field="forProvider.permissionOverwrites")

    def missing_for_order(self, raw: Json, snapshot: GuildSnapshot) -> str | None:
        """Tell why the bot cannot order the guild's channels."""
        del raw
        return foresight.missing_for_channel_order(snapshot)

    def missing_for_delete(self, raw: Json, snapshot: GuildSnapshot) -> str | None:
        """Tell why the bot cannot delete the channel."""
        return foresight.missing_for_channel_delete(snapshot, raw)

    def remark(self, wanted: ChannelParameters, snapshot: GuildSnapshot) -> str:
        """Say what the guild lacks for such a channel."""
        return lacking_feature(wanted.type, snapshot)

    def send_create(self, guild_id: str, body: Json, attempt: Attempt) -> Json:
        """POST the channel."""
        visit = self._visit
        return visit.client.create_channel(guild_id, body, options=visit.options(attempt=attempt))

    def send_update(self, guild_id: str, external_name: str, body: Json) -> Json:
        """PATCH the channel."""
        del guild_id
        visit = self._visit
        return visit.client.modify_channel(external_name, body, options=visit.options(writing=True))

    def send_delete(self, external_name: str, snapshot: GuildSnapshot) -> None:
        """DELETE the channel; that it was begun is recorded first, since a channel that is missing may be hidden."""
        visit = self._visit
        visit.begin_deletion(sight(snapshot))
        visit.client.delete_channel(external_name, options=visit.options(writing=True))

    def record(self, guild_id: str, raw: Json) -> None:
        """Put the channel into the picture of the guild."""
        self._visit.snapshots.record_channel(guild_id, raw)

    def forget(self, guild_id: str, external_name: str) -> None:
        """Take the channel out of the picture of the guild, for good."""
        self._visit.snapshots.forget_channel(guild_id, external_name)
        self._visit.connection.visibility.gone([external_name], "it was deleted by this provider")

    def patched(self, guild_id: str, plan: Plan) -> None:
        """Have the guild read again after a category's overwrites: channels synced with it have changed too."""
        if plan.raw.get("type") == ChannelType.CATEGORY and "permission_overwrites" in plan.body:
            # The answer does not tell which.
            self._visit.snapshots.invalidate(guild_id)

    # Deleting.

    def to_delete(self, external_name: str, observation: Observation, snapshot: GuildSnapshot) -> Json | None:
        """Return the channel as observed, unless it is one that a Community guild must have."""
        guild = snapshot.guild
        if "COMMUNITY" in (guild.get("features") or ()):
            for key, word in (("rules_channel_id", "rules"), ("public_updates_channel_id", "public updates")):
                if str(guild.get(key) or "") == external_name:
                    msg = (
                        f"channel {external_name} is the {word} channel that a Community guild must have, so it is not "
                        f"deleted: give the guild another one first"
                    )
                    raise Blocked(self._visit.with_way_out(msg), reason="DeletionGuarded")
        raw: Json = observation.plan.raw
        return raw

    def guard_by_sight(self, raw: Json, snapshot: GuildSnapshot) -> None:
        """Refuse to delete a category that is known to hold channels: it may be refused for long, at no cost."""
        if channel_type_of(raw) is ChannelType.CATEGORY:
            self._guard_channels(raw, snapshot)

    def guard(self, guild_id: str, raw: Json) -> None:
        """Refuse to delete what was written in, and a category that holds channels."""
        visit = self._visit
        if channel_type_of(raw) is ChannelType.CATEGORY:  # It stays one, and holds no messages.
            self._guard_channels(raw, visit.look(guild_id, anew=True))
            return
        fresh = visit.client.channel(str(raw["id"]), options=visit.options())
        self._guard_messages(fresh)
        self._guard_threads(guild_id, fresh)

    def check_gone(self, external_name: str, error: discord.NotFound) -> None:
        """Have it looked for: it is gone, or hidden just now, and only when it is gone the object may go."""
        msg = f"channel {external_name} can't be found just now: {error.message}"
        raise Waiting(msg, retry_after=1.0, quiet=True) from error

    def _guard_channels(self, raw: Json, snapshot: GuildSnapshot) -> None:
        """Refuse to delete a category as long as there are channels in it."""
        has = category.holds(snapshot, str(raw["id"]))
        if has:
            raise self._guarded(raw, has)

    def _guard_messages(self, fresh: Json) -> None:
        """Refuse to delete a channel with messages; one that can't be read counts as written in."""
        kind = channel_type_of(fresh)
        if (
            kind is not None
            and "last_message_id" in fresh
            and fresh["last_message_id"] is None
            and not is_hidden(fresh)
        ):
            return
        what = "posts" if kind in _POSTS else "messages"
        known = fresh.get("last_message_id") is not None
        raise self._guarded(fresh, f"has {what}" if known else f"may have {what} (Discord does not tell)")

    def _guard_threads(self, guild_id: str, fresh: Json) -> None:
        """Refuse to delete a channel with threads: one that is private leaves no message in the channel."""
        if channel_type_of(fresh) not in _THREADED:
            return
        threads = self._visit.client.active_threads(guild_id, options=self._visit.options())
        if any(str(thread.get("parent_id")) == str(fresh["id"]) for thread in threads):
            raise self._guarded(fresh, "has threads")

    def _guarded(self, fresh: Json, has: str) -> Blocked:
        what, how = "channel", "with them"
        if channel_type_of(fresh) is ChannelType.CATEGORY:
            what, how = "category", "and leave them without one"
        msg = (
            f"{what} {fresh.get('id')} ({fresh.get('name')}) {has}, so it is not deleted: to delete it {how}, set "
            f"spec.forProvider.allowDelete: true"
        )
        return Blocked(
            self._visit.with_way_out(msg), reason="DeletionGuarded", field="forProvider.allowDelete"
        )
