"""The Role kind: roles of a guild, @everyone among them.

The list of roles in the guild's snapshot is complete, so a role that is not in it does not exist. @everyone, whose
id is the guild's, and the roles that belong to bots and integrations can be managed as far as Discord lets a bot
change them; they are never made, and an object that stands for one goes without touching it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from provider_discord.apis.kinds import ROLE
from provider_discord.apis.role import RoleParameters
from provider_discord.discord import errors as discord
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds import foresight, images, names, role_plan
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
from provider_discord.kinds.creation import Evidence, decide
from provider_discord.kinds.deletion_log import take_in_deletions
from provider_discord.kinds.evidence import creations_of, unaccounted_for
from provider_discord.kinds.image_source import IMAGES_ANNOTATION, given_image
from provider_discord.kinds.missing import was_there
from provider_discord.kinds.outcomes import UNKNOWN_ROLE, translated
from provider_discord.kinds.reorder import RoleOrder, position_diff, with_order
from provider_discord.kinds.role_plan import EVERYONE, TERMS, RoleImage, RolePlan
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
_ORDER = RoleOrder()
_READY = Readiness(available=True)


@dataclass(frozen=True, slots=True)
class RoleConnector:
    """Makes a ``RoleExternal`` for one pass."""

    equipment: Equipment

    def connect(self, mr: ManagedResource, session: DiscordSession, context: PassContext) -> RoleExternal:
        """Return the external client for this object."""
        return RoleExternal(Visit(mr, session=session, context=context, equipment=self.equipment))


class RoleExternal:
    """The four verbs and the resolution, for one role and one pass."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    def observe(self, mr: ManagedResource) -> Observation:
        """Compare the role with its manifest; never writes."""
        visit = self._visit
        if mr.external_name is None and mr.deleting:
            return Observation(exists=False)
        guild_id = visit.guild_id()
        if mr.deleting and mr.external_name == guild_id:
            return Observation(exists=False)  # @everyone stays; the object may go.
        parameters = self._parameters(mr)
        snapshot = visit.look(guild_id)
        raw, adopted = self._bound(mr, parameters, snapshot), None
        if raw is None and not mr.deleting:
            # Never made, or gone for certain. Somebody may have made another one by hand.
            try:
                adopted = self._adopted(parameters, snapshot)
            except Blocked as refusal:
                return considered(visit, snapshot, Observation(exists=False, refusal=refusal))
            raw = None if adopted is None else snapshot.roles[adopted]
        if raw is None or (mr.deleting and raw.get("managed")):
            why_not = self._why_not_create(mr, parameters, snapshot)
            return considered(visit, snapshot, Observation(exists=False, refusal=why_not))
        alone = left_alone(visit)
        shown = visit.settled_status(role_plan.status(raw, guild_id=guild_id), volatile=())
        if parameters is None or mr.deleting:
            plan = RolePlan(raw=raw)
        else:
            plan = self._plan(mr, parameters, raw, snapshot)
        fought = fought_over(alone, plan.diffs)
        if fought:
            plan = self._plan(mr, visit.parse(ROLE, RoleParameters, leaving=alone), raw, snapshot)
        found = Observation(
            exists=True,
            external_name=adopted,
            diff=plan.diffs,
            at_provider=shown,
            readiness=_READY,
            plan=plan,
            warnings=plan.warnings,
            requeue_after_seconds=visit.second_look(guild_id, parameters.position if parameters else None),
            refusal=self._why_not_update(plan, snapshot),
        )
        return with_fights(visit, considered(visit, snapshot, found), alone=alone, fought=fought)

    def create(self, mr: ManagedResource, attempt: Attempt) -> Creation:
        """Create the role with all that its manifest gives, in one call."""
        visit = self._visit
        guild_id = visit.guild_id()
        parameters = visit.parse(ROLE, RoleParameters)
        snapshot = visit.look(guild_id, decisive=True)
        if mr.external_name in snapshot.roles:
            msg = f"role {mr.external_name} is there after all"
            raise Waiting(msg, retry_after=1.0, quiet=True)
        check_creation(visit, snapshot)
        self._adopted(parameters, snapshot, creating=True)
        icon = self._icon(mr, parameters)
        body = role_plan.create_body(parameters, icon=icon)
        self._foresee(snapshot, {}, body)
        with translated(f"creating role {parameters.name}", terms=TERMS), visit.writing(guild_id):
            raw = visit.client.create_role(guild_id, body, options=visit.options(attempt=attempt))
        visit.made(str(raw["id"]))
        visit.snapshots.record_role(guild_id, raw)
        return Creation(
            external_name=str(raw["id"]),
            at_provider={"id": str(raw["id"]), "guildId": guild_id},
            annotations=_image_memory(icon, raw),
        )

    def resolve(self, mr: ManagedResource, attempt: Attempt) -> Resolution:
        """Find out what became of an attempt to create."""
        visit = self._visit
        guild_id = visit.guild_id()
        parameters = self._parameters(mr)
        snapshot = visit.look(guild_id, anew=True)
        candidates = (
            [match.id for match in self._matches(parameters, snapshot)] if parameters is not None else []
        )
        possible = {role_id: raw for role_id, raw in _ordinary(snapshot).items() if role_id not in candidates}
        entries = creations_of(visit, snapshot, attempt, action=Action.ROLE_CREATE)
        evidence = Evidence(
            what=f"role {parameters.name if parameters else mr.name}",
            candidates=candidates,
            entries=None if entries is None else entries.found,
            others=unaccounted_for(visit, guild_id, attempt, things=possible, answers=_answers),
            truncated=entries is not None and not entries.complete,
            visible=attempt.is_of(mr),
        )
        return decide(attempt, evidence, wall=visit.equipment.wall(), timings=visit.timings)

    def update(self, mr: ManagedResource, observation: Observation) -> Change:
        """Send one PATCH with what differs, then see to the role's place."""
        visit, plan = self._visit, observation.plan
        assert isinstance(plan, RolePlan)
        guild_id, role_id = visit.guild_id(), str(plan.raw["id"])
        change = Change(wrote=False)
        if plan.body:
            answer = self._patch(guild_id, role_id, plan)
            icon = {}
            if "icon" in plan.body:
                icon = _image_memory(self._icon(mr, visit.parse(ROLE, RoleParameters)), answer)
            change = Change(annotations=icon)
        change = with_order(change, visit, _ORDER, guild_id, object_id=role_id, position=plan.position)
        put_back(visit, observation.diff)
        return change

    def delete(self, mr: ManagedResource, observation: Observation) -> Change:
        """Delete the role, unless members have it, or it is none that a bot may delete."""
        del observation
        visit = self._visit
        guild_id, role_id = visit.guild_id(), mr.external_name
        if role_id is None or role_id == guild_id:
            return Change(wrote=False)
        snapshot = visit.look(guild_id, decisive=True)
        raw = snapshot.roles.get(role_id)
        if raw is None or raw.get("managed"):
            return Change(wrote=False)
        missing = foresight.missing_for_role_delete(snapshot, raw)
        if missing is not None:
            visit.doubt_member(guild_id)
            raise Blocked(visit.with_way_out(missing), reason="MissingPermission")
        if mr.for_provider.get("allowDelete") is not True:
            self._guard_members(guild_id, role_id, raw)
        with visit.deletion(f"deleting role {role_id}"):
            try:
                with visit.writing(guild_id):
                    visit.client.delete_role(guild_id, role_id, options=visit.options(writing=True))
            except discord.NotFound as error:
                if error.code != UNKNOWN_ROLE:
                    raise  # The guild is unknown, say, to a bot that was thrown out: the role may be there.
                visit.snapshots.forget_role(guild_id, role_id)
                return Change(wrote=False)
        visit.snapshots.forget_role(guild_id, role_id)
        return Change()

    # Looking.

    def _parameters(self, mr: ManagedResource) -> RoleParameters | None:
        """Parse the manifest; None for one that is wrong while the object is being deleted, which it must not hinder."""
        try:
            return self._visit.parse(ROLE, RoleParameters)
        except Blocked:
            if mr.deleting:
                return None
            raise

    def _bound(
        self, mr: ManagedResource, parameters: RoleParameters | None, snapshot: GuildSnapshot
    ) -> Json | None:
        """Return the role that the external name stands for; None: there is no such name, or it is gone for certain."""
        if mr.external_name is None:
            return None
        everyone = parameters is not None and _means_everyone(parameters)
        if everyone and mr.external_name != snapshot.guild_id and not mr.deleting:
            msg = (
                f"spec.forProvider says that this is @everyone, but the annotation crossplane.io/external-name holds "
                f"{mr.external_name}: remove the annotation, or everyone"
            )
            raise Blocked(msg, reason="ExternalNameInvalid", field="forProvider.everyone")
        return self._find(mr, snapshot, mr.external_name)

    def _adopted(
        self, parameters: RoleParameters | None, snapshot: GuildSnapshot, *, creating: bool = False
    ) -> str | None:
        """Return the id that an object without a role adopts; None: there is nothing to adopt."""
        if parameters is not None and _means_everyone(parameters):
            return snapshot.guild_id
        own = own_by_status(self._visit, snapshot.roles.keys() - {snapshot.guild_id}, creating=creating)
        return own if own is not None else self._same_name(parameters, snapshot, creating=creating)

    def _find(self, mr: ManagedResource, snapshot: GuildSnapshot, role_id: str) -> Json | None:
        """Return the role; None: it is gone for certain."""
        visit = self._visit
        raw = snapshot.roles.get(role_id)
        if raw is None and not visit.polling:
            snapshot = visit.look(snapshot.guild_id, decisive=True)
            raw = snapshot.roles.get(role_id)
        if raw is not None or mr.deleting:
            return raw
        if role_id not in snapshot.channels and (
            was_there(visit, snapshot.guild_id, role_id, listed=_ordinary)
            or self._was_deleted(snapshot, role_id)
        ):
            return None
        msg = (
            f"guild {snapshot.guild_id} has no role {role_id}, and never had it as far as can be told: correct the "
            f"annotation crossplane.io/external-name, or remove it to make a new role"
        )
        raise Blocked(msg, reason="ExternalNameInvalid")

    def _was_deleted(self, snapshot: GuildSnapshot, role_id: str) -> bool:
        """Tell whether the audit log shows the role's deletion."""
        visibility = self._visit.connection.visibility
        if visibility.known(role_id) is None:
            take_in_deletions(
                self._visit, snapshot, role_id, action=Action.ROLE_DELETE, listed=snapshot.roles
            )
        return visibility.known(role_id) is not None

    def _plan(
        self, mr: ManagedResource, parameters: RoleParameters, raw: Json, snapshot: GuildSnapshot
    ) -> RolePlan:
        if str(raw["id"]) == snapshot.guild_id:
            return role_plan.plan_everyone(parameters, raw)
        plan = role_plan.plan_update(parameters, raw, icon=self._icon(mr, parameters))
        misplaced = position_diff(self._visit, _ORDER, snapshot, str(raw["id"]), parameters.position)
        if misplaced is None:
            return plan
        return replace(plan, diffs=(*plan.diffs, misplaced), position=parameters.position)

    def _why_not_create(
        self, mr: ManagedResource, parameters: RoleParameters | None, snapshot: GuildSnapshot
    ) -> ManagedError | None:
        """Return what forbids to create the role, as far as it can be told now."""
        if parameters is None or mr.deleting:
            return None
        try:
            body = role_plan.create_body(parameters, icon=self._icon(mr, parameters))
            self._foresee(snapshot, {}, body)
        except ManagedError as refusal:
            return refusal
        return None

    def _why_not_update(self, plan: RolePlan, snapshot: GuildSnapshot) -> ManagedError | None:
        """Return what forbids to put the role right."""
        if plan.body:
            try:
                self._foresee(snapshot, plan.raw, plan.body)
            except Blocked as refusal:
                return refusal
        if plan.position is not None:
            missing = foresight.missing_for_role_order(snapshot, plan.raw)
            if missing is not None:
                self._visit.doubt_member(snapshot.guild_id)
                return Blocked(missing, reason="MissingPermission", field="forProvider.position")
        return None

    def _icon(self, mr: ManagedResource, parameters: RoleParameters) -> RoleImage:
        managed, image = given_image(
            self._visit,
            field="icon",
            value=parameters.icon,
            source=parameters.icon_from,
            max_bytes=images.MAX_ROLE_ICON_BYTES,
        )
        remembered = images.decode(mr.annotations.get(IMAGES_ANNOTATION)).get("icon")
        return RoleImage(managed=managed, image=image, remembered=remembered)

    def _matches(self, parameters: RoleParameters, snapshot: GuildSnapshot) -> list[Match]:
        if parameters.name is None:
            return []
        return [
            Match(role_id, str(raw.get("name")))
            for role_id, raw in snapshot.roles.items()
            if role_id != snapshot.guild_id
            and names.same_role_name(parameters.name, str(raw.get("name") or ""))
            and not self._visit.claimed_by_others(role_id)
        ]

    def _same_name(
        self, parameters: RoleParameters | None, snapshot: GuildSnapshot, *, creating: bool
    ) -> str | None:
        if parameters is None:
            return None
        found = self._matches(parameters, snapshot)
        return same_name_check(self._visit, found, what="role", name=parameters.name or "", creating=creating)

    # Writing.

    def _foresee(self, snapshot: GuildSnapshot, raw: Json, body: Json) -> None:
        """Refuse what Discord would refuse, and what would take from the bot what it needs."""
        missing = foresight.missing_for_role_write(snapshot, raw or None, body)
        if missing is not None:
            self._visit.doubt_member(snapshot.guild_id)
            raise Blocked(missing, reason="MissingPermission")
        if raw and "permissions" in body:
            locked = foresight.role_would_lock_out(snapshot, raw, int(body["permissions"]))
            if locked is not None:
                raise Blocked(locked, reason="WouldLockOut", field="forProvider.permissions")

    def _patch(self, guild_id: str, role_id: str, plan: RolePlan) -> Json:
        visit = self._visit
        with translated(f"changing role {role_id}", terms=TERMS):
            try:
                with visit.writing(guild_id):
                    answer = visit.client.modify_role(
                        guild_id, role_id, plan.body, options=visit.options(writing=True)
                    )
            except discord.NotFound as error:
                msg = f"changing role {role_id}: it is not there any more: {error.message}"
                raise ExternalFailure(msg) from error
        visit.snapshots.record_role(guild_id, answer)
        visit.wrote(role_id)
        return answer

    def _guard_members(self, guild_id: str, role_id: str, raw: Json) -> None:
        """Refuse to delete a role that members have; when that can't be told, it counts as held."""
        visit = self._visit
        held: int | None
        why = ""
        try:
            counts = visit.client.role_member_counts(guild_id, options=visit.options())
            # Left out, it has no members - unless roles without members are shown, for then that says nothing.
            held = counts.get(role_id, None if 0 in counts.values() else 0)
        except (discord.Forbidden, discord.NotFound, discord.BadRequest) as error:
            held, why = None, f": Discord says: {error.message}"
        except discord.DiscordError:
            with translated(f"counting the members of role {role_id}"):
                raise
        if held == 0:
            return
        if held is None:
            count = "it can't be told whether members have it"
        else:
            count = f"{held} members have it" if held > 1 else "a member has it"
        msg = (
            f"role {role_id} ({raw.get('name')}) is not deleted, because {count}: to delete it all the same, set "
            f"spec.forProvider.allowDelete: true{why}"
        )
        raise Blocked(visit.with_way_out(msg), reason="DeletionGuarded", field="forProvider.allowDelete")


def _means_everyone(parameters: RoleParameters) -> bool:
    return bool(parameters.everyone) or (parameters.everyone is None and parameters.name == EVERYONE)


def _ordinary(snapshot: GuildSnapshot) -> dict[str, Json]:
    """Return the roles that somebody has made: neither @everyone nor those of bots and integrations."""
    return {
        role_id: raw
        for role_id, raw in snapshot.roles.items()
        if role_id != snapshot.guild_id and not raw.get("managed")
    }


def _answers(mr: ManagedResource, raw: Json) -> bool:
    """Tell whether a role answers to another object's manifest."""
    name = mr.for_provider.get("name")
    return isinstance(name, str) and names.same_role_name(name, str(raw.get("name") or ""))


def _image_memory(icon: RoleImage, raw: Json) -> dict[str, str | None]:
    if not icon.managed:
        return {}
    return {IMAGES_ANNOTATION: images.encode({"icon": images.remember(icon.image, raw.get("icon"))})}
