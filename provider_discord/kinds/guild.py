"""The Guild kind: settings of a guild that the bot was invited to.

Discord lets no bot create or delete a guild, so an object adopts one, by the external-name annotation or by an exact
name, and deleting the object leaves the guild as it is. A guild's channel references may come later than the guild
itself, since the channels need the guild first; turning Community on waits for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from provider_discord.apis.fields import fields_of
from provider_discord.apis.guild import GUILD_FEATURES, GUILD_IMAGES, GUILD_OBSERVED, GuildParameters
from provider_discord.apis.kinds import GUILD
from provider_discord.discord import errors as discord
from provider_discord.discord import snowflake
from provider_discord.discord.permissions import is_owner
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds import foresight, images, table
from provider_discord.kinds.caution import (
    considered,
    fought_over,
    left_alone,
    put_back,
    told,
    with_fights,
)
from provider_discord.kinds.image_source import IMAGES_ANNOTATION, given_image
from provider_discord.kinds.outcomes import camel, translated
from provider_discord.kinds.visit import Visit
from provider_discord.managed import meta
from provider_discord.managed.errors import Blocked, ExternalFailure, Waiting
from provider_discord.managed.external import (
    Attempt,
    Change,
    Creation,
    FieldDiff,
    Observation,
    Readiness,
    Resolution,
    Verdict,
)
from provider_discord.managed.resource import ManagedResource

Json = Mapping[str, Any]
TERMS: Final = table.terms_of(GuildParameters)
_COMMUNITY: Final = "COMMUNITY"
_COMMUNITY_NEEDS: Final = ("rules_channel_id", "public_updates_channel_id")
_KEYS: Final = {field.attribute: field.key for field in fields_of(GuildParameters)}


@dataclass(frozen=True, slots=True, kw_only=True)
class GuildPlan:
    """How a guild differs, and what settles it.

    Attributes:
        raw: The guild as observed.
        body: The PATCH with only what differs; empty: nothing to send.
        diffs: What differs, to show.
        sent_images: The images of the body, by attribute.
        waits_for: What Community can't be turned on without yet; "" for nothing.
    """

    raw: Json
    body: dict[str, Any] = field(default_factory=dict)
    diffs: tuple[FieldDiff, ...] = ()
    sent_images: Mapping[str, images.Image | None] = field(default_factory=dict)
    waits_for: str = ""


class GuildExternal:
    """Adoption and update of one guild, for one pass."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    def observe(self, mr: ManagedResource) -> Observation:
        """Compare the guild with its manifest; never writes."""
        visit = self._visit
        if mr.deleting:
            return Observation(exists=False)  # The guild stays; the object may go.
        parameters = visit.parse(GUILD, GuildParameters)
        adopted = self._by_name(parameters) if mr.external_name is None else None
        guild_id = adopted or mr.external_name or ""
        visit.check_allowed(guild_id)
        snapshot = visit.look(guild_id)
        plan, alone = self._plan(mr, parameters, snapshot), left_alone(visit)
        fought = fought_over(alone, plan.diffs)
        if fought:
            plan = self._plan(mr, visit.parse(GUILD, GuildParameters, leaving=alone), snapshot)
        lacking = foresight.missing_for_guild_write(snapshot, plan.body) if plan.body else None
        shown = visit.settled_status(_status(snapshot), volatile=("memberCount", "premiumSubscriptionCount"))
        found = Observation(
            exists=True,
            external_name=adopted,
            diff=plan.diffs,
            at_provider=shown,
            readiness=Readiness(available=True),
            plan=plan,
            refusal=None if lacking is None else visit.lacking(guild_id, lacking),
            connection_details={
                "guildId": guild_id.encode(),
                "guildName": str(snapshot.guild.get("name") or "").encode(),
            },
        )
        found = told(visit, snapshot, considered(visit, snapshot, found))
        return with_fights(visit, found, alone=alone, fought=fought)

    def create(self, mr: ManagedResource, attempt: Attempt) -> Creation:
        """Refuse: observe either finds the guild or says what to do."""
        del attempt
        raise self._no_guild(mr.name)

    def resolve(self, mr: ManagedResource, attempt: Attempt) -> Resolution:
        """Answer that nothing was made: no attempt is ever sent."""
        del mr, attempt
        return Resolution(verdict=Verdict.MISSED, message="guilds are never created")

    def update(self, mr: ManagedResource, observation: Observation) -> Change:
        """Send one PATCH with what differs."""
        plan = observation.plan
        assert isinstance(plan, GuildPlan)
        guild_id = str(plan.raw["id"])
        annotations: dict[str, str | None] = {}
        if plan.body:
            answer = self._patch(guild_id, plan)
            put_back(self._visit, observation.diff)
            if plan.sent_images:
                annotations[IMAGES_ANNOTATION] = _image_memory(mr, plan, answer)
        if plan.waits_for and not plan.body:
            msg = f"spec.forProvider.community waits: {plan.waits_for}"
            raise Waiting(msg, quiet=True)
        # What waits is told by the next pass, which is due at once: until then the object is not settled.
        again = 0.0 if plan.waits_for else None
        return Change(wrote=bool(plan.body), annotations=annotations, requeue_after_seconds=again)

    def delete(self, mr: ManagedResource, observation: Observation) -> Change:
        """Leave the guild as it is."""
        del mr, observation
        return Change(wrote=False)

    # Adopting.

    def _by_name(self, parameters: GuildParameters) -> str:
        """Return the id of the only guild of the manifest's name that the bot is in.

        Raises:
            Blocked: There is none, or more than one.
        """
        visit = self._visit
        if parameters.name is None:
            msg = (
                "a guild can't be created, only adopted: set the annotation crossplane.io/external-name to its id, or "
                "spec.forProvider.name to its exact name"
            )
            raise Blocked(msg, reason="NoSuchGuild", field="forProvider.name")
        age = (
            visit.timings.guild_list_age_seconds
            if visit.polling
            else visit.timings.change_snapshot_age_seconds
        )
        with translated("listing the bot's guilds"):
            guilds = visit.connection.guilds.all(
                lambda: visit.client.current_guilds(options=visit.options()), max_age_seconds=age
            )
        wanted = parameters.name.strip()
        found = [str(guild["id"]) for guild in guilds if str(guild.get("name") or "").strip() == wanted]
        allowed = visit.rules.allowed_guilds
        reachable = [guild_id for guild_id in found if allowed is None or guild_id in allowed]
        if len(reachable) == 1:
            return reachable[0]
        if reachable:
            msg = (
                f"the bot is in {len(reachable)} guilds named {wanted!r}: set the annotation "
                f"crossplane.io/external-name to the id of the one that is meant: {', '.join(reachable)}"
            )
            raise Blocked(msg, reason="AmbiguousName", field="forProvider.name")
        if found:
            visit.check_allowed(found[0])
        raise self._no_guild(wanted)

    def _no_guild(self, name: str) -> Blocked:
        msg = (
            f"the bot is in no guild named {name!r}, and no bot can create one: make it in the Discord app if need be, "
            f"add the bot to it, then set the annotation crossplane.io/external-name to its id or use its exact name; "
            f"the bot's invite link: {self._visit.invite()}"
        )
        return Blocked(msg, reason="NoSuchGuild", field="forProvider.name")

    # Comparing and writing.

    def _plan(self, mr: ManagedResource, parameters: GuildParameters, snapshot: GuildSnapshot) -> GuildPlan:
        raw = snapshot.guild
        diffs, body = table.differences(table.wanted(parameters), raw)
        all_diffs = list(diffs)
        sent_images: dict[str, images.Image | None] = {}
        remembered = images.decode(mr.annotations.get(IMAGES_ANNOTATION))
        for attribute in GUILD_IMAGES:
            managed, image = given_image(
                self._visit,
                field=_KEYS[attribute],
                value=getattr(parameters, attribute),
                source=getattr(parameters, f"{attribute}_from"),
            )
            if managed and images.needs_sending(image, raw.get(attribute), remembered.get(attribute)):
                body[attribute] = image.data_uri if image is not None else None
                sent_images[attribute] = image
                shown = "another image" if image is not None else "none"
                own = images.is_another(image, remembered.get(attribute))
                all_diffs.append(
                    FieldDiff(_KEYS[attribute], str(raw.get(attribute) or "none"), shown, own=own)
                )
        feature_diffs, features, waits_for = _features(mr, parameters, raw, body)
        all_diffs += feature_diffs
        if features is not None:
            body["features"] = features
        return GuildPlan(
            raw=raw, body=body, diffs=tuple(all_diffs), sent_images=sent_images, waits_for=waits_for
        )

    def _patch(self, guild_id: str, plan: GuildPlan) -> Json:
        visit = self._visit
        with translated(f"changing guild {guild_id}", terms=TERMS):
            try:
                with visit.writing(guild_id):
                    answer = visit.client.modify_guild(
                        guild_id, plan.body, options=visit.options(writing=True)
                    )
            except discord.NotFound as error:
                msg = f"changing guild {guild_id}: it, or something that it names, is gone: {error.message}"
                raise ExternalFailure(msg) from error
        visit.snapshots.record_guild(guild_id, answer)
        visit.wrote(guild_id)
        return answer


def _features(
    mr: ManagedResource, parameters: GuildParameters, raw: Json, body: Json
) -> tuple[list[FieldDiff], list[str] | None, str]:
    """Compare the features that have a field; all others are kept.

    Returns:
        The differences, the whole array to send or None, and what Community still waits for.
    """
    observed = [str(feature) for feature in raw.get("features") or ()]
    target = list(observed)
    diffs: list[FieldDiff] = []
    waits_for = ""
    for attribute, feature in GUILD_FEATURES.items():
        value = getattr(parameters, attribute)
        if value is None or value is (feature in observed):
            continue
        if value and feature == _COMMUNITY:
            waits_for = _community_waits(mr, raw, body)
        waits = bool(waits_for) and feature == _COMMUNITY
        diffs.append(FieldDiff(_KEYS[attribute], str(not value).lower(), str(value).lower(), own=waits))
        if waits:
            continue
        if value:
            target.append(feature)
        else:
            target.remove(feature)
    return diffs, (target if target != observed else None), waits_for


def _community_waits(mr: ManagedResource, raw: Json, body: Json) -> str:
    """Return which of the channels that Community demands are not known yet, and why."""
    missing = [camel(name) for name in _COMMUNITY_NEEDS if not body.get(name, raw.get(name))]
    return "; ".join(
        f"{name} ({mr.unresolved[name]})" if name in mr.unresolved else f"{name} is not given"
        for name in missing
    )


def _image_memory(mr: ManagedResource, plan: GuildPlan, answer: Json) -> str | None:
    memory: dict[str, images.Remembered | None] = dict(images.decode(mr.annotations.get(IMAGES_ANNOTATION)))
    for attribute, image in plan.sent_images.items():
        memory[attribute] = images.remember(image, answer.get(attribute))
    return images.encode(memory)


def _status(snapshot: GuildSnapshot) -> dict[str, Any]:
    raw = snapshot.guild
    shown = table.at_provider(GuildParameters, GUILD_OBSERVED, raw)
    features = set(raw.get("features") or ())
    for attribute, feature in GUILD_FEATURES.items():
        shown[_KEYS[attribute]] = feature in features
    shown["botIsOwner"] = is_owner(snapshot)
    shown["createdAt"] = meta.to_rfc3339(snowflake.created_at(raw["id"]))
    return shown
