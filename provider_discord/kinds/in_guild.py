"""What everything that is made in a guild has in common: the four verbs, and the resolution of a create.

Observed from the guild's shared snapshot; adopted rather than made twice; created with all of its manifest in one call;
put right by one PATCH of what differs; ordered in bulk; deleted only if nothing is lost by it. The order of the checks
is what keeps data safe, so it stands here once. What is a kind's own (how its things are found, compared, sent and
guarded) is in ``kind_in_guild`` and in the kind's file.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import replace
from typing import Any, Generic

from provider_discord.apis.errors import InvalidField
from provider_discord.apis.parse import parse_parameters
from provider_discord.discord import errors as discord
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds.adoption import Match, own_by_status, same_name_check
from provider_discord.kinds.caution import (
    check_creation,
    considered,
    fought_over,
    left_alone,
    put_back,
    with_fights,
)
from provider_discord.kinds.creation import Evidence, decide
from provider_discord.kinds.evidence import creations_of, unaccounted_for
from provider_discord.kinds.kind_in_guild import KindInGuild, Wanted
from provider_discord.kinds.namesakes import alone, check_alone, check_namesakes, check_unsettled, name_key
from provider_discord.kinds.outcomes import translated
from provider_discord.kinds.plan import Plan
from provider_discord.kinds.reorder import position_diff, with_order
from provider_discord.kinds.visit import Visit
from provider_discord.managed.errors import Blocked, ExternalFailure, ManagedError, Waiting
from provider_discord.managed.external import (
    Attempt,
    Change,
    Creation,
    Observation,
    Readiness,
    Resolution,
)
from provider_discord.managed.resource import ManagedResource

Json = Mapping[str, Any]


class ExternalInGuild(Generic[Wanted]):
    """The external client of one thing in a guild, for one pass."""

    def __init__(self, visit: Visit, kind: KindInGuild[Wanted]) -> None:
        self._visit = visit
        self._kind = kind

    # The verbs.

    def observe(self, mr: ManagedResource) -> Observation:
        """Compare the thing with its manifest; never writes."""
        visit, kind = self._visit, self._kind
        if mr.external_name is None and mr.deleting:
            return Observation(exists=False)
        guild_id = visit.guild_id()
        if mr.deleting and kind.stays(str(mr.external_name), guild_id):
            return Observation(exists=False)  # The object may go.
        parameters = self._parameters(mr)
        wanted = None if mr.deleting else parameters
        snapshot = kind.look(guild_id, parameters)
        adopted: str | None = None
        raw = None if mr.external_name is None else kind.find(mr, mr.external_name, parameters, snapshot)
        if raw is None and wanted is not None:
            # Never made, or gone for certain. Somebody may have made another one by hand.
            try:
                adopted = self._adopted(wanted, snapshot)
            except (Blocked, Waiting) as refusal:
                return considered(visit, snapshot, Observation(exists=False, refusal=refusal))
            raw = None if adopted is None else kind.things(snapshot)[adopted]
        if raw is None:
            why_not = None if wanted is None else self._why_not_create(mr, wanted, snapshot)
            return considered(visit, snapshot, Observation(exists=False, refusal=why_not))
        alone = left_alone(visit)
        shown = visit.settled_status(kind.status(raw, snapshot), volatile=kind.volatile)
        plan = Plan(raw=raw) if wanted is None else self._planned(mr, wanted, raw, snapshot)
        fought = fought_over(alone, plan.diffs)
        if fought:
            plan = self._planned(mr, self._parse(leaving=alone), raw, snapshot)
        found = Observation(
            exists=True,
            external_name=adopted,
            diff=plan.diffs,
            at_provider=shown,
            annotations=plan.annotations,
            readiness=Readiness(available=True),
            plan=plan,
            warnings=plan.warnings,
            requeue_after_seconds=visit.second_look(
                guild_id, None if wanted is None else kind.sort_key(wanted, raw)
            ),
            refusal=self._why_not_update(plan, snapshot),
        )
        return with_fights(visit, considered(visit, snapshot, found), alone=alone, fought=fought)

    def create(self, mr: ManagedResource, attempt: Attempt) -> Creation:
        """Create the thing with all that its manifest gives, in one call, and nothing else like it meanwhile."""
        wanted = self._parse()
        with alone(self._visit, self._making(wanted)):
            return self._create(mr, wanted, attempt)

    def _create(self, mr: ManagedResource, wanted: Wanted, attempt: Attempt) -> Creation:
        visit, kind = self._visit, self._kind
        guild_id = visit.guild_id()
        snapshot = visit.look(guild_id, decisive=True)
        if mr.external_name in kind.things(snapshot):
            msg = f"{kind.noun} {mr.external_name} is there after all"
            raise Waiting(msg, retry_after=1.0, quiet=True)
        check_creation(visit, snapshot)
        self._adopted(wanted, snapshot, creating=True)
        plan = kind.plan_create(mr, wanted, snapshot)
        kind.foresee(plan, snapshot)
        doing = f"creating {kind.noun} {wanted.name}{kind.remark(wanted, snapshot)}"
        with translated(doing, terms=kind.terms), visit.writing(guild_id):
            raw = kind.send_create(guild_id, plan.body, attempt)
        external_name = str(raw["id"])
        visit.made(external_name)
        kind.record(guild_id, raw)
        try:
            annotations = kind.memory(mr, plan, raw)
        except Blocked:
            # An error would mean that nothing was made; observe meets the same trouble and tells it.
            annotations = {}
        return Creation(
            external_name=external_name,
            at_provider={"id": external_name, "guildId": guild_id},
            annotations=annotations,
        )

    def resolve(self, mr: ManagedResource, attempt: Attempt) -> Resolution:
        """Find out what became of an attempt to create."""
        visit, kind = self._visit, self._kind
        guild_id = visit.guild_id()
        parameters = self._parameters(mr)
        snapshot = visit.look(guild_id, anew=True)
        candidates: list[str] = []
        visible = attempt.is_of(mr)
        if parameters is not None:
            candidates = [match.id for match in self._matches(parameters, snapshot)]
            visible = visible and kind.would_be_visible(parameters, snapshot)
        ordinary = kind.ordinary(parameters, snapshot)
        possible = {found: raw for found, raw in ordinary.items() if found not in candidates}
        entries = creations_of(visit, snapshot, attempt, action=kind.created_as)
        evidence = Evidence(
            what=f"{kind.noun} {parameters.name if parameters else mr.name}",
            candidates=candidates,
            entries=None if entries is None else entries.found,
            others=unaccounted_for(visit, guild_id, attempt, things=possible, answers=self._answers),
            truncated=entries is not None and not entries.complete,
            visible=visible,
        )
        resolution = decide(attempt, evidence, wall=visit.equipment.wall(), timings=visit.timings)
        made = kind.things(snapshot).get(resolution.external_name or "")
        return resolution if made is None else replace(resolution, annotations=kind.memory_at_birth(made))

    def update(self, mr: ManagedResource, observation: Observation) -> Change:
        """Send one PATCH with what differs, then see to the thing's place."""
        visit, kind, plan = self._visit, self._kind, observation.plan
        assert isinstance(plan, Plan)
        guild_id, external_name = visit.guild_id(), str(plan.raw["id"])
        change = Change(wrote=False, annotations=plan.annotations)
        if plan.body:
            answer = self._patch(guild_id, external_name, plan)
            change = Change(annotations=kind.memory(mr, plan, answer))
        if kind.order is not None:
            change = with_order(
                change, visit, kind.order, guild_id, object_id=external_name, position=plan.position
            )
        put_back(visit, observation.diff)
        return change

    def delete(self, mr: ManagedResource, observation: Observation) -> Change:
        """Delete the thing, unless something would be lost or the guild needs it."""
        visit, kind, external_name = self._visit, self._kind, mr.external_name
        guild_id = visit.guild_id()
        if external_name is None:
            return Change(wrote=False)
        guarded = mr.for_provider.get("allowDelete") is not True
        if guarded:
            kind.guard_by_sight(observation.plan.raw, visit.look(guild_id))
        snapshot = visit.look(guild_id, decisive=True)
        raw = kind.to_delete(external_name, observation, snapshot)
        if raw is None:
            return Change(wrote=False)
        missing = kind.missing_for_delete(raw, snapshot)
        if missing is not None:
            raise visit.lacking(guild_id, missing)
        with visit.deletion(f"deleting {kind.noun} {external_name}"):
            try:
                with visit.writing(guild_id):
                    if guarded:
                        kind.guard(guild_id, raw)
                    kind.send_delete(external_name, snapshot)
            except discord.NotFound as error:
                kind.check_gone(external_name, error)
                kind.forget(guild_id, external_name)
                return Change(wrote=False)
        kind.forget(guild_id, external_name)
        return Change()

    # Deciding.

    def _adopted(self, wanted: Wanted, snapshot: GuildSnapshot, *, creating: bool = False) -> str | None:
        """Return the id that an object without a thing of its own adopts; None: there is nothing to adopt.

        Args:
            wanted: The manifest.
            snapshot: The guild.
            creating: The create call comes next: nothing can be adopted any more in this pass.

        Raises:
            Blocked: Something of the same name is there, and nothing may be created.
            Waiting: Look again and adopt.
        """
        known = self._kind.known_id(wanted, snapshot)
        if known is not None:
            return known
        own = own_by_status(self._visit, self._kind.adoptable(wanted, snapshot), creating=creating)
        if own is not None:
            return own
        noun, found = self._kind.noun, self._matches(wanted, snapshot)
        check_unsettled(
            self._visit,
            {match.id: self._kind.things(snapshot)[match.id] for match in found},
            what=f"{noun} named {wanted.name!r}",
            answers=self._answers,
            rivals=lambda other: self._rivals(wanted, other),
            creating=creating,
        )
        adopted = same_name_check(self._visit, found, what=noun, name=wanted.name or "", creating=creating)
        if adopted is None:
            if not creating:
                check_alone(self._visit, self._making(wanted))
            like = (raw for raw in self._kind.things(snapshot).values() if self._kind.same(wanted, raw))
            check_namesakes(self._visit, like, what=noun, wants=self._answers)
        return adopted

    def _parse(self, *, leaving: Collection[str] = ()) -> Wanted:
        parameters: Wanted = self._visit.parse(self._kind.definition, self._kind.model, leaving=leaving)
        return parameters

    def _parameters(self, mr: ManagedResource) -> Wanted | None:
        """Parse the manifest; None for one that is wrong while the object is being deleted, which it must not hinder."""
        try:
            return self._parse()
        except Blocked:
            if mr.deleting:
                return None
            raise

    def _matches(self, wanted: Wanted, snapshot: GuildSnapshot) -> list[Match]:
        return [
            Match(found, f"{raw.get('name')}")
            for found, raw in self._kind.things(snapshot).items()
            if self._kind.answers(wanted, raw, snapshot.guild_id) and not self._visit.claimed_by_others(found)
        ]

    def _answers(self, other: ManagedResource, raw: Json) -> bool:
        """Tell whether a thing answers to another object's manifest."""
        try:
            wanted: Any = parse_parameters(self._kind.definition, other.for_provider)
        except InvalidField:
            return False
        return self._kind.answers(wanted, raw, self._visit.guild_id())

    def _rivals(self, wanted: Wanted, other: ManagedResource) -> bool:
        """Tell whether another object's manifest asks for the very same thing."""
        try:
            theirs: Any = parse_parameters(self._kind.definition, other.for_provider)
        except InvalidField:
            return False
        return theirs.name is not None and self._kind.rivals(wanted, theirs)

    def _making(self, wanted: Wanted) -> Hashable:
        """Return what manifests that ask for the very same thing have in common."""
        name = name_key(wanted.name or "")
        return self._kind.definition.kind, self._visit.guild_id(), name, self._kind.place(wanted)

    def _planned(self, mr: ManagedResource, wanted: Wanted, raw: Json, snapshot: GuildSnapshot) -> Plan:
        plan, position = self._kind.plan_update(mr, wanted, raw, snapshot), self._kind.sort_key(wanted, raw)
        misplaced = (
            None
            if self._kind.order is None
            else position_diff(self._visit, self._kind.order, snapshot, str(raw["id"]), position)
        )
        if misplaced is None:
            return plan
        return replace(plan, diffs=(*plan.diffs, misplaced), position=position)

    def _why_not_create(
        self, mr: ManagedResource, wanted: Wanted, snapshot: GuildSnapshot
    ) -> ManagedError | None:
        """Return what forbids to create the thing, as far as it can be told now."""
        try:
            self._kind.foresee(self._kind.plan_create(mr, wanted, snapshot), snapshot)
        except ManagedError as refusal:
            return refusal
        return None

    def _why_not_update(self, plan: Plan, snapshot: GuildSnapshot) -> ManagedError | None:
        """Return what forbids to put the thing right."""
        if plan.body:
            try:
                self._kind.foresee(plan, snapshot)
            except (Blocked, Waiting) as refusal:
                return refusal
        if plan.position is not None:
            missing = self._kind.missing_for_order(plan.raw, snapshot)
            if missing is not None:
                return self._visit.lacking(snapshot.guild_id, missing, field="forProvider.position")
        return None

    def _patch(self, guild_id: str, external_name: str, plan: Plan) -> Json:
        visit, kind = self._visit, self._kind
        doing = f"changing {kind.noun} {external_name}"
        with translated(doing, terms=kind.terms):
            try:
                with visit.writing(guild_id):
                    answer = kind.send_update(guild_id, external_name, plan.body)
            except discord.RateLimited as error:
                if error.applied:
                    kind.record(guild_id, error.applied)
                    visit.wrote(external_name)
                raise
            except discord.NotFound as error:
                msg = f"{doing}: it is not there any more: {error.message}"
                raise ExternalFailure(msg) from error
        kind.record(guild_id, answer)
        visit.wrote(external_name)
        kind.patched(guild_id, plan)
        return answer
