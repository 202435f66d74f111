"""What a kind must say of its things, for ``in_guild`` to observe, make, put right and delete them.

Nothing here decides when: these are the questions that the verbs ask, in the order in which a new kind is best written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable, Mapping
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from provider_discord.apis.kinds import KindDefinition
from provider_discord.discord import errors as discord
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds.audit_log import Action
from provider_discord.kinds.plan import Plan
from provider_discord.kinds.reorder import Orderly
from provider_discord.kinds.visit import Visit
from provider_discord.managed.external import Attempt, Observation
from provider_discord.managed.resource import ManagedResource

Json = Mapping[str, Any]
Annotations = Mapping[str, str | None]


class Named(Protocol):
    """What the parameters of every such kind have."""

    @property
    def name(self) -> str | None:
        """The name in the manifest; None: unmanaged."""


Wanted = TypeVar("Wanted", bound=Named)


class KindInGuild(ABC, Generic[Wanted]):
    """One kind's answers about one thing in a guild, for one pass.

    Attributes:
        definition: The kind.
        model: The model of its parameters.
        noun: The thing in words: "channel".
        terms: Discord's names of its fields to the manifest's.
        created_as: What the audit log calls its making.
        order: How such things are ordered; None: they have no order.
        volatile: The fields of ``status.atProvider`` that change without anybody's doing.
    """

    definition: ClassVar[KindDefinition]
    model: ClassVar[type[Any]]
    noun: ClassVar[str]
    terms: ClassVar[Mapping[str, str]]
    created_as: ClassVar[Action]
    order: ClassVar[Orderly | None] = None
    volatile: ClassVar[tuple[str, ...]] = ()

    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    # What a kind must say.

    @abstractmethod
    def things(self, snapshot: GuildSnapshot) -> Mapping[str, Json]:
        """Return what is listed, by id."""

    @abstractmethod
    def find(
        self, mr: ManagedResource, external_name: str, parameters: Wanted | None, snapshot: GuildSnapshot
    ) -> Json | None:
        """Return what an external name stands for; None: it is gone for certain, or stays where its object goes.

        Raises:
            Blocked: It can't be told, or the name is that of something else.
        """

    @abstractmethod
    def answers(self, wanted: Wanted, raw: Json, guild_id: str) -> bool:
        """Tell whether a thing answers to a manifest, so that it might be meant."""

    @abstractmethod
    def same(self, wanted: Wanted, raw: Json) -> bool:
        """Tell whether a thing is what would be made after a manifest: its name, its type and its place."""

    @abstractmethod
    def adoptable(self, wanted: Wanted, snapshot: GuildSnapshot) -> Collection[str]:
        """Return the ids of what an object may adopt whose status shows it."""

    @abstractmethod
    def ordinary(self, parameters: Wanted | None, snapshot: GuildSnapshot) -> Mapping[str, Json]:
        """Return what an attempt to create may have made, whatever it is called now, by id."""

    @abstractmethod
    def status(self, raw: Json, snapshot: GuildSnapshot) -> Json:
        """Return ``status.atProvider``."""

    @abstractmethod
    def plan_create(self, mr: ManagedResource, wanted: Wanted, snapshot: GuildSnapshot) -> Plan:
        """Return the whole body of the create call.

        Raises:
            ManagedError: It can't be created so, or not yet.
        """

    @abstractmethod
    def plan_update(self, mr: ManagedResource, wanted: Wanted, raw: Json, snapshot: GuildSnapshot) -> Plan:
        """Compare a thing with its manifest; its place is not looked at here.

        Raises:
            ManagedError: The manifest asks for what can't be.
        """

    @abstractmethod
    def foresee(self, plan: Plan, snapshot: GuildSnapshot) -> None:
        """Raise Blocked for what Discord would refuse, and for what would take from the bot what it needs."""

    @abstractmethod
    def missing_for_delete(self, raw: Json, snapshot: GuildSnapshot) -> str | None:
        """Tell why the bot cannot delete it."""

    @abstractmethod
    def guard(self, guild_id: str, raw: Json) -> None:
        """Raise Blocked if by the deletion something would be lost that ``allowDelete`` does not give up."""

    @abstractmethod
    def send_create(self, guild_id: str, body: Json, attempt: Attempt) -> Json:
        """Create; return the thing."""

    @abstractmethod
    def send_update(self, guild_id: str, external_name: str, body: Json) -> Json:
        """Modify; return the thing."""

    @abstractmethod
    def send_delete(self, external_name: str, snapshot: GuildSnapshot) -> None:
        """Delete."""

    @abstractmethod
    def record(self, guild_id: str, raw: Json) -> None:
        """Put a thing that was written into the picture of the guild."""

    @abstractmethod
    def forget(self, guild_id: str, external_name: str) -> None:
        """Take a thing that was deleted out of the picture of the guild."""

    # What a kind may say.

    def rivals(self, wanted: Wanted, other: Wanted) -> bool:
        """Tell whether another manifest asks for the very same thing; also where that can't be told."""
        return self.same(wanted, {"id": "", "name": other.name})

    def place(self, wanted: Wanted) -> Hashable:
        """Return what, beside the name, manifests that are rivals have in common."""
        del wanted
        return None

    def look(self, guild_id: str, parameters: Wanted | None) -> GuildSnapshot:
        """Return the guild to observe by."""
        del parameters
        return self._visit.look(guild_id)

    def stays(self, external_name: str, guild_id: str) -> bool:
        """Tell of a thing whose object is being deleted whether it is one that is never deleted, whatever becomes of it."""
        del external_name, guild_id
        return False

    def known_id(self, wanted: Wanted, snapshot: GuildSnapshot) -> str | None:
        """Return the id of the one thing that a manifest can only mean; None: it is told by its name."""
        del wanted, snapshot
        return None

    def would_be_visible(self, wanted: Wanted, snapshot: GuildSnapshot) -> bool:
        """Tell whether the bot could see, in the list, a thing made after this manifest; False: it can't be told."""
        del wanted, snapshot
        return True

    def remark(self, wanted: Wanted, snapshot: GuildSnapshot) -> str:
        """Return what to add to Discord's refusal of a create, "" for nothing."""
        del wanted, snapshot
        return ""

    def memory(self, mr: ManagedResource, plan: Plan, answer: Json) -> Annotations:
        """Return what to remember of a thing after it was written; only what changes."""
        del mr, plan, answer
        return {}

    def memory_at_birth(self, raw: Json) -> Annotations:
        """Return what to remember of a thing that a lost create turns out to have made."""
        del raw
        return {}

    def patched(self, guild_id: str, plan: Plan) -> None:
        """Note what else a PATCH has changed."""

    def sort_key(self, wanted: Wanted, raw: Json) -> int | None:
        """Return by what the thing is ordered among its siblings; None: its place is unmanaged."""
        del wanted, raw
        return None

    def missing_for_order(self, raw: Json, snapshot: GuildSnapshot) -> str | None:
        """Tell why the bot cannot move it."""
        del raw, snapshot
        return None

    def to_delete(self, external_name: str, observation: Observation, snapshot: GuildSnapshot) -> Json | None:
        """Return what is to be deleted; None: nothing is, and the object goes at once.

        Raises:
            Blocked: The guild needs it.
        """
        del observation
        return self.things(snapshot).get(external_name)

    def guard_by_sight(self, raw: Json, snapshot: GuildSnapshot) -> None:
        """Raise Blocked as ``guard`` would, where what the guild was like not long ago tells already."""
        del raw, snapshot

    def check_gone(self, external_name: str, error: discord.NotFound) -> None:
        """Raise, unless the 404 that answers a delete means that the thing is gone for certain."""
        del external_name
        raise error
