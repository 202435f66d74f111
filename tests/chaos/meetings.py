"""Which point meets which fault. Everything does but what is listed here, each with its reason.

`test_every_point.py` holds both sides: what is not listed must die as often as it shall and be struck by its fault, and
what is listed must not.
"""

from __future__ import annotations

from typing import Final

from tests.chaos.faults import Fault
from tests.chaos.lives import NOWHERE, Phase

_METHODS: Final = {"POST": {Phase.MAKE}, "PATCH": {Phase.CHANGE}, "DELETE": {Phase.DELETE}}
_WRITES: Final = {
    "finalizer": {Phase.MAKE},
    "intent": {Phase.MAKE},
    "record": {Phase.MAKE},
    "outcome": {Phase.MAKE},
    "status": set(Phase),
    "deletion": {Phase.DELETE},
    "let go": {Phase.DELETE},
}
"""The phases in which a write is made."""
_AFTER_THE_ANSWER: Final = frozenset({"create.sent", "create.persisted"})
_ADOPTS: Final = frozenset({"adopt.before-persist", "adopt.persisted"})
_LOST_WITH_IT: Final = {
    ("create.persisted", "outcome: away"): "it is not persisted, but found by the next pass",
    ("create.failed", "record: away"): "that it failed is not persisted by its pass",
    ("adopt.persisted", "outcome: lost"): "it is persisted, and its pass does not know",
    ("delete.finalizer-removed", "let go: lost"): "it is removed, and its pass does not know",
    ("delete.sent", "DELETE: never an answer, log forbidden"): "what has no answer ends before that label",
    ("delete.sent", "status: "): "what is deleted has no status to write any more",
    ("in flight: DELETE", "status: "): "what is deleted has no status to write any more",
}
"""Points and the beginnings of faults' names."""
_SILENT: Final = frozenset({(Phase.MAKE, NOWHERE[0]), *((Phase.CHANGE, where) for where in NOWHERE)})
"""Where nothing is read any more after people came in between."""
_TIMES: Final = {
    (Phase.MAKE, "adopt.persisted"): 1,
    (Phase.MAKE, "in flight: POST"): 1,
    (Phase.MAKE, "create.sent"): 1,
    (Phase.MAKE, "create.persisted"): 1,
    (Phase.MAKE, "resolve.persisted"): 1,
    (Phase.MAKE, "status.written"): 2,
    (Phase.CHANGE, "in flight: PATCH"): 2,
    (Phase.CHANGE, "update.sent"): 2,
    (Phase.CHANGE, "update.persisted"): 1,
    (Phase.CHANGE, "status.written"): 1,
    (Phase.DELETE, "in flight: DELETE"): 1,
    (Phase.DELETE, "delete.sent"): 1,
    (Phase.DELETE, "delete.finalizer-removed"): 1,
}
"""How often a point can be died at: once what was to be done there is done, no life comes there again."""


def deaths_of(phase: Phase, point: str, fault: Fault) -> int:
    """Return how often the process dies at a point, if it meets the fault."""
    return 0 if point in NOWHERE else min(fault.deaths, _TIMES.get((phase, point), fault.deaths))


def why_not(phase: Phase, point: str, fault: Fault, *, kind: str) -> str:
    """Return why a point does not meet a fault; "" if it does."""
    if phase not in _phases(fault) and not (point in _ADOPTS and _corrects(fault, kind)):
        return "what the fault befalls is not done in this phase"
    if point in _ADOPTS and _is_about_a_create(fault):
        return "what is adopted is not made, and its finalizer comes in the one write with its name"
    if point in NOWHERE and (fault.pause or fault.deaths > 1):
        return "nobody dies"
    if fault.after and (phase, point) in _SILENT:
        return "nothing is read any more"
    if point in _AFTER_THE_ANSWER and any(
        one.method == "POST" and one.commits != "lost" for one in fault.mishaps
    ):
        return "what was made without an answer is adopted, and no create is answered"
    for (where, name), why in _LOST_WITH_IT.items():
        if point == where and fault.name.startswith(name):
            return why
    return ""


def _phases(fault: Fault) -> set[Phase]:
    """Return the phases in which there is something for a fault to befall."""
    phases = set(Phase)
    for mishap in fault.mishaps:
        phases &= _METHODS.get(mishap.method, phases)
    for trouble in fault.trouble:
        phases &= _WRITES[trouble.of]
    if fault.meanwhile in {"hide", "give a role"}:
        phases &= {Phase.DELETE}
    return phases


def _is_about_a_create(fault: Fault) -> bool:
    return any(one.method == "POST" for one in fault.mishaps) or any(
        one.of in {"finalizer", "intent", "record"} for one in fault.trouble
    )


def _corrects(fault: Fault, kind: str) -> bool:
    """Tell whether a fault befalls the PATCH that makes an adopted channel what its manifest says; a role is so."""
    return kind == "Channel" and any(one.method == "PATCH" for one in fault.mishaps)
