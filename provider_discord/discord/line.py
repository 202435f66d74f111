"""Who waits for one bucket: by class, and in the order of arrival."""

from __future__ import annotations

import bisect
from collections.abc import Callable

from .priority import Priority
from .tickets import Ticket


class Line:
    """The tickets that wait for a bucket. Not safe for threads.

    Attributes:
        queues: Those of each class, first come first.
    """

    def __init__(self) -> None:
        self.queues: dict[Priority, list[Ticket]] = {priority: [] for priority in Priority}

    def __bool__(self) -> bool:
        return any(self.queues.values())

    def push(self, ticket: Ticket) -> None:
        """Put a ticket in its class, in the order of its number (a requeued one keeps its place)."""
        bisect.insort(self.queues[ticket.demand.priority], ticket, key=_number)

    def remove(self, ticket: Ticket) -> None:
        """Take a ticket out."""
        self.queues[ticket.demand.priority].remove(ticket)

    def take_out(self, leaves: Callable[[Ticket], bool]) -> list[Ticket]:
        """Take out all tickets that leave, and return them."""
        leaving: list[Ticket] = []
        for priority, queue in self.queues.items():
            leaving += [ticket for ticket in queue if leaves(ticket)]
            self.queues[priority] = [ticket for ticket in queue if not leaves(ticket)]
        return leaving

    def ahead_of(self, ticket: Ticket) -> int:
        """Return how many would be served before this ticket."""
        mine = ticket.demand.priority
        ahead = sum(len(queue) for priority, queue in self.queues.items() if priority < mine)
        return ahead + bisect.bisect_left(self.queues[mine], ticket.number, key=_number)


def _number(ticket: Ticket) -> int:
    return ticket.number
