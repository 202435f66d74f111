"""`spec.managementPolicies`: which of the four verbs an object allows.

Only the sets that crossplane-runtime accepts are accepted (`pkg/reconciler/managed/policies.go`). LateInitialize
is accepted and means nothing: this provider never writes observed values into a spec.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """One management action."""

    OBSERVE = "Observe"
    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"
    LATE_INITIALIZE = "LateInitialize"
    ALL = "*"


_LETTERS = {
    "O": Action.OBSERVE,
    "C": Action.CREATE,
    "U": Action.UPDATE,
    "D": Action.DELETE,
    "L": Action.LATE_INITIALIZE,
    "*": Action.ALL,
}
_ACCEPTED = (
    "*",
    "",
    "OCUDL",
    "O",
    "OL",
    "OU",
    "OUL",
    "OD",
    "OC",
    "OCD",
    "OCL",
    "OCU",
    "OCUD",
    "OCUL",
    "OCDL",
)

ACCEPTED_SETS: frozenset[frozenset[str]] = frozenset(
    frozenset(_LETTERS[letter].value for letter in letters) for letters in _ACCEPTED
)


@dataclass(frozen=True, slots=True)
class Policies:
    """The set of allowed actions, with the predicates that the reconciler asks."""

    actions: frozenset[str]

    @classmethod
    def of(cls, given: Iterable[str] | None) -> Policies:
        """Read `spec.managementPolicies`; None, as for an object older than the field, means `["*"]`."""
        return cls(frozenset({Action.ALL.value} if given is None else (str(action) for action in given)))

    @property
    def valid(self) -> bool:
        """Tell whether this is one of the accepted sets."""
        return self.actions in ACCEPTED_SETS

    @property
    def default(self) -> bool:
        """Tell whether this is the set that an object has if it names none."""
        return self.actions == {Action.ALL.value}

    @property
    def paused(self) -> bool:
        """An empty set pauses."""
        return not self.actions

    @property
    def observe_only(self) -> bool:
        """Only looked at, never written."""
        return self.actions == {Action.OBSERVE.value}

    @property
    def creates(self) -> bool:
        """A missing external resource is created."""
        return self._allows(Action.CREATE)

    @property
    def updates(self) -> bool:
        """Drift is put back."""
        return self._allows(Action.UPDATE)

    @property
    def deletes(self) -> bool:
        """The external resource goes with the object."""
        return self._allows(Action.DELETE)

    @property
    def writes(self) -> bool:
        """Any verb but observe is allowed."""
        return self.creates or self.updates or self.deletes

    def _allows(self, action: Action) -> bool:
        return action.value in self.actions or Action.ALL.value in self.actions

    def __str__(self) -> str:
        return "[" + ", ".join(sorted(self.actions)) + "]"
