"""The Role kind: roles of a guild, @everyone among them; what all that is made in a guild has in common is ``in_guild``.

The list of roles in the guild's snapshot is complete, so a role that is not in it does not exist. @everyone, whose
id is the guild's, and the roles that belong to bots and integrations can be managed as far as Discord lets a bot
change them; they are never made, and an object that stands for one goes without touching it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from provider_discord.apis.kinds import ROLE
from provider_discord.apis.role import RoleParameters
from provider_discord.discord import errors as discord
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds import foresight, images, names, role_plan
from provider_discord.kinds.audit_log import Action
from provider_discord.kinds.deletion_log import take_in_deletions
from provider_discord.kinds.image_source import IMAGES_ANNOTATION, given_image
from provider_discord.kinds.kind_in_guild import Annotations, KindInGuild
from provider_discord.kinds.missing import was_there
from provider_discord.kinds.outcomes import UNKNOWN_ROLE, translated
from provider_discord.kinds.plan import Plan
from provider_discord.kinds.reorder import RoleOrder
from provider_discord.kinds.role_plan import EVERYONE, RoleImage, RolePlan
from provider_discord.managed.errors import Blocked
from provider_discord.managed.external import Attempt, Observation
from provider_discord.managed.resource import ManagedResource

Json = Mapping[str, Any]


class RoleKind(KindInGuild[RoleParameters]):
    """What is a role's own, for one role and one pass."""

    definition = ROLE
    model = RoleParameters
    noun = "role"
    terms = role_plan.TERMS
    created_as = Action.ROLE_CREATE
    order = RoleOrder()

    # Looking.

    def things(self, snapshot: GuildSnapshot) -> Mapping[str, Json]:
        """Return all roles."""
        return snapshot.roles

    def find(
        self,
        mr: ManagedResource,
        external_name: str,
        parameters: RoleParameters | None,
        snapshot: GuildSnapshot,
    ) -> Json | None:
        """Return the role of an id; None: it is gone for certain, or stays where its object goes."""
        visit = self._visit
        everyone = parameters is not None and _means_everyone(parameters)
        if everyone and external_name != snapshot.guild_id and not mr.deleting:
            msg = (
                f"spec.forProvider says that this is @everyone, but the annotation crossplane.io/external-name holds "
                f"{external_name}: remove the annotation, or everyone"
            )
            raise Blocked(msg, reason="ExternalNameInvalid", field="forProvider.everyone")
        raw = snapshot.roles.get(external_name)
        if raw is None and not visit.polling:
            snapshot = visit.look(snapshot.guild_id, decisive=True)
            raw = snapshot.roles.get(external_name)
        if mr.deleting:
            return None if raw is None or raw.get("managed") else raw
        if raw is None:
            self._check_gone(external_name, snapshot)
        return raw

    def stays(self, external_name: str, guild_id: str) -> bool:
        """Tell whether the role is @everyone."""
        return external_name == guild_id

    def known_id(self, wanted: RoleParameters, snapshot: GuildSnapshot) -> str | None:
        """Return @everyone's id, if that is meant."""
        return snapshot.guild_id if _means_everyone(wanted) else None

    def answers(self, wanted: RoleParameters, raw: Json, guild_id: str) -> bool:
        """Tell whether a role has a manifest's name."""
        if wanted.name is None or str(raw["id"]) == guild_id:
            return False
        return names.same_role_name(wanted.name, str(raw.get("name") or ""))

    def same(self, wanted: RoleParameters, raw: Json) -> bool:
        """Tell whether a role is called so."""
        return self.answers(wanted, raw, self._visit.guild_id())

    def adoptable(self, wanted: RoleParameters, snapshot: GuildSnapshot) -> Collection[str]:
        """Return all roles but @everyone."""
        del wanted
        return snapshot.roles.keys() - {snapshot.guild_id}

    def ordinary(self, parameters: RoleParameters | None, snapshot: GuildSnapshot) -> Mapping[str, Json]:
        """Return the roles that somebody has made."""
        del parameters
        return _ordinary(snapshot)

    def _check_gone(self, role_id: str, snapshot: GuildSnapshot) -> None:
        """Refuse an external name that is not known to have been a role's."""
        visit, visibility = self._visit, self._visit.connection.visibility
        if role_id not in snapshot.channels:
            if was_there(visit, snapshot.guild_id, role_id, listed=_ordinary):
                return
            if visibility.known(role_id) is None:
                take_in_deletions(visit, snapshot, role_id, action=Action.ROLE_DELETE, listed=snapshot.roles)
            if visibility.known(role_id) is not None:
                return
        msg = (
            f"guild {snapshot.guild_id} has no role {role_id}, and never had it as far as can be told: correct the "
            f"annotation crossplane.io/external-name, or remove it to make a new role"
        )
        raise Blocked(msg, reason="ExternalNameInvalid")

    # Comparing.

    def status(self, raw: Json, snapshot: GuildSnapshot) -> Json:
        """Return ``status.atProvider``."""
        return role_plan.status(raw, guild_id=snapshot.guild_id)

    def sort_key(self, wanted: RoleParameters, raw: Json) -> int | None:
        """Return the manifest's position; @everyone stands below all."""
        return None if str(raw["id"]) == self._visit.guild_id() else wanted.position

    def plan_create(self, mr: ManagedResource, wanted: RoleParameters, snapshot: GuildSnapshot) -> RolePlan:
        """Return the body of the create call."""
        del snapshot
        icon = self._icon(mr, wanted)
        return RolePlan(raw={}, body=role_plan.create_body(wanted, icon=icon), icon=icon)

    def plan_update(
        self, mr: ManagedResource, wanted: RoleParameters, raw: Json, snapshot: GuildSnapshot
    ) -> RolePlan:
        """Compare a role with its manifest."""
        if str(raw["id"]) == snapshot.guild_id:
            return role_plan.plan_everyone(wanted, raw)
        return role_plan.plan_update(wanted, raw, icon=self._icon(mr, wanted))

    def memory(self, mr: ManagedResource, plan: Plan, answer: Json) -> Annotations:
        """Return what to remember of the icon that was sent."""
        del mr
        assert isinstance(plan, RolePlan)
        if not plan.icon.managed or (plan.raw and "icon" not in plan.body):
            return {}
        remembered = images.remember(plan.icon.image, answer.get("icon"))
        return {IMAGES_ANNOTATION: images.encode({"icon": remembered})}

    def _icon(self, mr: ManagedResource, wanted: RoleParameters) -> RoleImage:
        managed, image = given_image(
            self._visit,
            field="icon",
            value=wanted.icon,
            source=wanted.icon_from,
            max_bytes=images.MAX_ROLE_ICON_BYTES,
        )
        remembered = images.decode(mr.annotations.get(IMAGES_ANNOTATION)).get("icon")
        return RoleImage(managed=managed, image=image, remembered=remembered)

    # Writing.

    def foresee(self, plan: Plan, snapshot: GuildSnapshot) -> None:
        """Refuse what Discord would refuse, and what would take from the bot what it needs."""
        raw, body = plan.raw, plan.body
        missing = foresight.missing_for_role_write(snapshot, raw or None, body)
        if missing is not None:
            raise self._visit.lacking(snapshot.guild_id, missing)
        if raw and "permissions" in body:
            locked = foresight.role_would_lock_out(snapshot, raw, int(body["permissions"]))
            if locked is not None:
                raise Blocked(locked, reason="WouldLockOut", field="forProvider.permissions")

    def missing_for_order(self, raw: Json, snapshot: GuildSnapshot) -> str | None:
        """Tell why the bot cannot move the role."""
        return foresight.missing_for_role_order(snapshot, raw)

    def missing_for_delete(self, raw: Json, snapshot: GuildSnapshot) -> str | None:
        """Tell why the bot cannot delete the role."""
        return foresight.missing_for_role_delete(snapshot, raw)

    def send_create(self, guild_id: str, body: Json, attempt: Attempt) -> Json:
        """POST the role."""
        visit = self._visit
        return visit.client.create_role(guild_id, body, options=visit.options(attempt=attempt))

    def send_update(self, guild_id: str, external_name: str, body: Json) -> Json:
        """PATCH the role."""
        visit = self._visit
        return visit.client.modify_role(guild_id, external_name, body, options=visit.options(writing=True))

    def send_delete(self, external_name: str, snapshot: GuildSnapshot) -> None:
        """DELETE the role."""
        visit = self._visit
        visit.client.delete_role(snapshot.guild_id, external_name, options=visit.options(writing=True))

    def record(self, guild_id: str, raw: Json) -> None:
        """Put the role into the picture of the guild."""
        self._visit.snapshots.record_role(guild_id, raw)

    def forget(self, guild_id: str, external_name: str) -> None:
        """Take the role out of the picture of the guild."""
        self._visit.snapshots.forget_role(guild_id, external_name)

    # Deleting.

    def to_delete(self, external_name: str, observation: Observation, snapshot: GuildSnapshot) -> Json | None:
        """Return the role, if it is there and one that somebody has made."""
        del observation
        return _ordinary(snapshot).get(external_name)

    def check_gone(self, external_name: str, error: discord.NotFound) -> None:
        """Raise where not the role is unknown but the guild, say to a bot that was thrown out: the role may be there."""
        del external_name
        if error.code != UNKNOWN_ROLE:
            raise error

    def guard(self, guild_id: str, raw: Json) -> None:
        """Refuse to delete a role that members have; when that can't be told, it counts as held."""
        visit, role_id = self._visit, str(raw["id"])
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
