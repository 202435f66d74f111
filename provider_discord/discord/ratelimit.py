"""The limiter of one token: who may send now, who waits, and what an answer teaches. Pure decisions, no threads.

Discord limits requests in *buckets*. Which bucket a route belongs to is only known from the hash in an answer;
the bucket proper is (hash, major parameter), the major parameter being the channel or guild in the path. Above
all buckets stands the global limit of 50 requests a second.

* A (route, major) of which nothing is known sends one *probe*; the others wait for what its answer says. Probes of
  different majors run side by side.
* ``GlobalLimit`` holds each slot so long that no second at the server sees more than the limit, whatever the
  latency does, and spreads polls.
* A 429 is answered here and nowhere else: the ticket goes back to its old place, and what is blocked is what the
  429 was about: everything (global), one bucket (user), one route and major (shared), or some fields of it
  (*sub-limit*: a 429 with Remaining > 0, such as two changes of a channel's name in ten minutes).
* Classes go before each other (``Priority``); a ticket moves up one class for every ``ageing_seconds`` waited, so
  that nothing starves. Polls leave a reserve: the last token of a bucket and the last of what is global.

Instants are monotonic seconds handed in as ``now``; ``waiting`` is the thread shell around this.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Mapping

from .bucket import Booking, Bucket, RateHeaders
from .directory import Directory, Move
from .errors import Scope
from .global_limit import GlobalLimit
from .line import Line
from .parking import Parked, Parking
from .priority import Priority
from .tickets import Demand, Estimate, Refusal, Ticket, TicketState
from .timings import DiscordTimings

_SWEEP_SECONDS = 30.0


class Limiter:
    """Decides who may send. Not safe for threads; see ``waiting.Turns``."""

    def __init__(self, *, timings: DiscordTimings) -> None:
        self._timings = timings
        self._numbers = itertools.count()
        self._directory = Directory(timings=timings)
        self._lines: dict[Bucket, Line] = {}
        self._in_flight: set[Ticket] = set()
        self._oldest: list[tuple[int, int, Ticket]] = []
        self._queued = 0
        self._urgent = 0
        self._parking = Parking()
        self._global = GlobalLimit(timings=timings)
        self._swept_at = -math.inf

    # Numbers for metrics

    @property
    def in_flight(self) -> int:
        """Requests granted and not ended."""
        return self._global.in_flight

    @property
    def waiting(self) -> int:
        """Tickets waiting."""
        return self._queued

    @property
    def buckets(self) -> int:
        """Buckets known."""
        return len(self._directory.buckets)

    def parked(self, now: float) -> int:
        """Return how many sub-limits and shared limits are in force."""
        return self._parking.count(now)

    def global_free(self, now: float) -> int:
        """Return how many requests the limit over all buckets would let through now."""
        self._global.sweep(now)
        return 0 if now < self._global.blocked_until else self._global.free

    # The way of a ticket

    def submit(self, demand: Demand, now: float) -> Ticket:
        """Queue a demand. Call ``pump`` next."""
        bucket = self._directory.assign(demand.route, demand.major)
        booking = None if demand.identity is None else bucket.booked.pop(demand.identity, None)
        if booking is not None and now <= booking.lapses_at:
            ticket = Ticket(demand, booking.number, booking.arrived_at, bucket)
        else:
            ticket = Ticket(demand, next(self._numbers), now, bucket)
        self._enqueue(ticket)
        return ticket

    def pump(self, now: float) -> list[Ticket]:
        """Grant what can be granted now, best first; the caller sends it."""
        self._sweep(now)
        if not self._lines:
            self._oldest.clear()
            return []
        while self._oldest and self._oldest[0][-1].state is not TicketState.WAITING:
            heapq.heappop(self._oldest)
        granted: list[Ticket] = []
        if self._held_up(now):
            return granted
        if not self._urgent and self._first_in_line(now, granted):
            return granted
        heap = [entry for bucket in self._lines if (entry := self._candidate(bucket, now))]
        heapq.heapify(heap)
        while heap and self._global.room(now, heap[0][0]):
            level, _, ticket = heapq.heappop(heap)
            self._grant(ticket, level, now)
            granted.append(ticket)
            entry = self._candidate(ticket.bucket, now)
            if entry:
                heapq.heappush(heap, entry)
        return granted

    def next_at(self, now: float) -> float | None:
        """Return when ``pump`` can grant more without anything coming back; None when never."""
        if not self._lines:
            return None
        over_all = self._global.next_at(now)
        instants = [] if over_all is None else [over_all]
        if self._held_up(now):  # whatever the buckets may do before
            if self._oldest and self._global.room(now):
                instants.append(self._oldest[0][-1].arrived_at + self._timings.ageing_seconds)
            return min(instants, default=None)
        for bucket, line in self._lines.items():
            for need in (1, 2) if line.queues[Priority.POLL] else (1,):  # a poll leaves the last token
                free_at = bucket.free_at(now, need)
                if free_at is not None:
                    instants.append(free_at)
            for priority, queue in line.queues.items():
                if queue and priority is not Priority.USER:  # he cannot rise
                    ages = self._ages(queue[0], now) + 1
                    instants.append(queue[0].arrived_at + ages * self._timings.ageing_seconds)
            if self._parking:
                for member in bucket.members:
                    instants.extend(self._parking.ends(*member))
        later = [instant for instant in instants if instant > now]
        return min(later, default=None)

    def estimate(self, ticket: Ticket, now: float) -> Estimate:
        """Return when a waiting ticket's turn can come, counting those before it. A lower bound, mostly close."""
        bucket = ticket.bucket
        best = Estimate(0.0, ticket.refused_by or Scope.USER)
        parked = self._blocking(ticket.demand, now)
        if parked is not None:
            best = Estimate(parked.until - now, parked.scope, parked.fields)
        ahead = self._lines[bucket].ahead_of(ticket) + bucket.booked_by_others(ticket.demand.identity, now)
        free_at = bucket.free_at(now, ahead + 1)
        if free_at is not None and free_at - now > best.seconds:
            best = Estimate(free_at - now, Scope.USER)
        over_all = self._global.wait(now)
        if over_all > best.seconds:
            best = Estimate(over_all, Scope.GLOBAL)
        return best

    def book(self, ticket: Ticket, until: float) -> None:
        """Somebody was told to come back then: count it as ahead of who asks meanwhile, and keep its place."""
        demand = ticket.demand
        bucket = self._directory.assigned.get((demand.route, demand.major))
        if bucket is not None and demand.identity is not None:
            bucket.booked[demand.identity] = Booking(
                until=until,
                lapses_at=until + self._timings.ageing_seconds,
                number=ticket.number,
                arrived_at=ticket.arrived_at,
            )

    def cancel(self, ticket: Ticket, now: float) -> None:
        """Leave the queue, or give back an unused grant: nothing was sent. Does nothing for a done ticket."""
        if ticket.state is TicketState.WAITING:
            self._dequeue(ticket)
        elif ticket.state is TicketState.GRANTED:
            ticket.bucket.give_back()
            self._global.give_back()
            self._in_flight.discard(ticket)
        ticket.state = TicketState.DONE
        ticket.bucket.used_at = now

    def complete(
        self,
        ticket: Ticket,
        *,
        now: float,
        headers: Mapping[str, str] | None,
        ok: bool,
        sent_at: float,
    ) -> None:
        """A granted request ended other than by 429.

        Args:
            ticket: Its ticket.
            now: When the answer's headers were there, or the failure was noticed.
            headers: The answer's, names in lower case; None when none came.
            ok: Whether it was a success (2xx).
            sent_at: Just before its first byte.
        """
        told = RateHeaders.parse(headers) if headers is not None else None
        rate = None if told is None else self._learn(ticket, told, sent_at=sent_at, now=now)
        self._release(ticket, now)
        ticket.state = TicketState.DONE
        if rate is not None:
            ticket.bucket.answered(rate, sent_at=sent_at, received_at=now, epoch=ticket.epoch)
        else:
            ticket.bucket.ended(now=now, counted=told is None, unlimited=ok and told is None)

    def refused(self, ticket: Ticket, *, now: float, headers: Mapping[str, str], refusal: Refusal) -> None:
        """A granted request was answered 429; it waits again, at its old place."""
        rate = RateHeaders.parse(headers)
        if rate is not None:
            rate = self._learn(ticket, rate, sent_at=ticket.granted_at, now=now, refused_by=refusal.scope)
        self._release(ticket, now)
        ticket.refused_by = refusal.scope
        until = now + refusal.retry_after + self._timings.reset_margin_seconds
        bucket, demand = ticket.bucket, ticket.demand
        match refusal.scope:
            case Scope.GLOBAL:
                self._global.block(until)
                bucket.ended(now=now, counted=False, unlimited=False)
            case Scope.SHARED | Scope.SUBLIMIT:
                sublimit = refusal.scope is Scope.SUBLIMIT
                fields = demand.suspects or demand.fields if sublimit else frozenset[str]()
                self._parking.park(demand.route, demand.major, Parked(fields, until, refusal.scope))
                bucket.ended(now=now, counted=True, unlimited=False)
            case _:
                bucket.exhausted(retry_after=refusal.retry_after, now=now, headers=rate)
        ticket.state = TicketState.WAITING
        self._enqueue(ticket)

    def parked_fields(self, route: str, major: str, now: float) -> list[tuple[frozenset[str], float]]:
        """Return the sub-limits in force on a route and major: the fields and the seconds left."""
        return self._parking.sublimits(route, major, now)

    # Inside

    def _held_up(self, now: float) -> bool:
        """Tell without a look at any bucket that nothing can be sent: there is no room, or none for polls alone."""
        if not self._global.room(now):
            return True
        if self._urgent or self._global.room(now, Priority.POLL):
            return False
        return not self._oldest or self._ages(self._oldest[0][-1], now) == 0

    def _first_in_line(self, now: float, granted: list[Ticket]) -> bool:
        """Grant to who came first while all who wait are polls, so that hundreds of buckets are not looked at for one.

        Returns:
            Whether nothing more can be granted; else the first in line has to wait for something of his own.
        """
        while self._oldest and not self._held_up(now):
            ticket = self._oldest[0][-1]
            if ticket.state is TicketState.WAITING:
                best = self._candidate(ticket.bucket, now)
                if best is None or best[2] is not ticket:
                    return False
                self._grant(ticket, best[0], now)
                granted.append(ticket)
            heapq.heappop(self._oldest)
        return True

    def _candidate(self, bucket: Bucket, now: float) -> tuple[int, int, Ticket] | None:
        line = self._lines.get(bucket)
        if line is None or (tokens := bucket.tokens(now)) < 1:
            return None
        restricted = bool(self._parking) and any(member in self._parking for member in bucket.members)
        best: tuple[int, int, Ticket] | None = None
        for queue in line.queues.values():
            for ticket in queue:
                if restricted and self._blocking(ticket.demand, now) is not None:
                    continue
                level = self._level(ticket, now)
                last = tokens == 1 and (bucket.capacity or 1) > 1
                if level >= Priority.POLL and last:
                    break
                if best is None or (level, ticket.number) < best[:2]:
                    best = (level, ticket.number, ticket)
                break
        return best

    def _level(self, ticket: Ticket, now: float) -> int:
        ages = self._ages(ticket, now)
        return max(0, ticket.demand.priority - ages) if ages else ticket.demand.priority

    def _ages(self, ticket: Ticket, now: float) -> int:
        # The small addition lets an age be reached at the very instant that next_at names.
        return int((now - ticket.arrived_at) / self._timings.ageing_seconds + 1e-6)

    def _grant(self, ticket: Ticket, level: int, now: float) -> None:
        self._dequeue(ticket)
        ticket.state = TicketState.GRANTED
        ticket.granted_at = now
        ticket.bucket.take(now)
        ticket.epoch = ticket.bucket.epoch
        self._global.take(now, level)
        self._in_flight.add(ticket)

    def _release(self, ticket: Ticket, now: float) -> None:
        self._in_flight.discard(ticket)
        self._global.ended(now)
        ticket.bucket.used_at = now

    def _enqueue(self, ticket: Ticket) -> None:
        self._queued += 1
        self._urgent += ticket.demand.priority < Priority.POLL
        heapq.heappush(self._oldest, (ticket.number, id(ticket), ticket))
        self._line_up(ticket)

    def _line_up(self, ticket: Ticket) -> None:
        line = self._lines.get(ticket.bucket)
        if line is None:
            line = self._lines[ticket.bucket] = Line()
        line.push(ticket)

    def _dequeue(self, ticket: Ticket) -> None:
        self._queued -= 1
        self._urgent -= ticket.demand.priority < Priority.POLL
        line = self._lines[ticket.bucket]
        line.remove(ticket)
        if not line:
            del self._lines[ticket.bucket]

    def _blocking(self, demand: Demand, now: float) -> Parked | None:
        return self._parking.blocking(demand.route, demand.major, demand.fields, now)

    def _learn(
        self,
        ticket: Ticket,
        rate: RateHeaders,
        *,
        sent_at: float,
        now: float,
        refused_by: Scope | None = None,
    ) -> RateHeaders | None:
        """Learn from bucket headers which buckets there are.

        Returns:
            What to tell the ticket's bucket; None when they are about another one.
        """
        known, moves = self._directory.learn(ticket, rate, now)
        if moves:
            self._follow(moves)
        if known and refused_by in {None, Scope.USER}:
            rate, moves = self._directory.compare(
                ticket, rate, sent_at=sent_at, received_at=now, accepted=refused_by is None
            )
            if moves:
                self._follow(moves)
        return rate if known else None

    def _follow(self, moves: list[Move]) -> None:
        """Take those who wait and those under way along to their new bucket."""
        where = {(move.old, *move.member): move.new for move in moves}

        def new_bucket(ticket: Ticket) -> Bucket | None:
            return where.get((ticket.bucket, ticket.demand.route, ticket.demand.major))

        for old in {move.old for move in moves}:
            line = self._lines.get(old)
            if line is not None:
                for ticket in line.take_out(lambda ticket: new_bucket(ticket) is not None):
                    ticket.bucket = new_bucket(ticket) or old
                    self._line_up(ticket)
                if not line:
                    del self._lines[old]
        for ticket in self._in_flight:
            new = new_bucket(ticket)
            if new is not None:
                ticket.bucket.give_back()
                new.take(new.used_at)
                ticket.bucket, ticket.epoch = new, new.epoch
        for move in moves:
            if move.old not in self._lines:
                self._directory.drop(move.old)

    def _sweep(self, now: float) -> None:
        self._global.sweep(now)
        if now - self._swept_at < _SWEEP_SECONDS:
            return
        self._swept_at = now
        self._parking.sweep(now)
        moves = self._directory.sweep(now, self._lines)
        if moves:
            self._follow(moves)
