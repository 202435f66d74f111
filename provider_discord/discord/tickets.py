"""What the limiter is told and what it gives out: demands, tickets, refusals, estimates."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum

from .bucket import Bucket
from .errors import Scope
from .priority import Priority


@dataclass(frozen=True, slots=True)
class Demand:
    """What somebody wants to send.

    Attributes:
        route: Method and template.
        major: Value of the major parameter.
        fields: Fields of the body; empty where the body is all or nothing.
        suspects: Those of them that a sub-limit would be about; empty means all of them.
        priority: Class.
        identity: Tells this piece of work from others, so that being told to come back twice counts once.
    """

    route: str
    major: str
    fields: frozenset[str] = frozenset()
    suspects: frozenset[str] = frozenset()
    priority: Priority = Priority.RETRY
    identity: Hashable = None


class TicketState(Enum):
    """Where a ticket is."""

    WAITING = "waiting"
    GRANTED = "granted"
    DONE = "done"


@dataclass(eq=False, slots=True)
class Ticket:
    """A place in the queue, then leave to send.

    Attributes:
        demand: What for.
        number: Order of arrival.
        arrived_at: When.
        bucket: Where it waits or what it took from.
        state: Where it is.
        granted_at: When it was last granted.
        epoch: The bucket's when it was granted.
        refused_by: Scope of the last 429 that it met.
    """

    demand: Demand
    number: int
    arrived_at: float
    bucket: Bucket
    state: TicketState = TicketState.WAITING
    granted_at: float = -math.inf
    epoch: int = 0
    refused_by: Scope | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A 429 of Discord.

    Attributes:
        scope: USER, GLOBAL, SHARED or SUBLIMIT.
        retry_after: Seconds.
    """

    scope: Scope
    retry_after: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """When a ticket's turn can come at the earliest.

    Attributes:
        seconds: From now.
        scope: What it waits for.
        fields: For a sub-limit.
    """

    seconds: float
    scope: Scope
    fields: frozenset[str] = frozenset()
