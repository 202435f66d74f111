"""Which bucket a request belongs to: by route at first, by the hash in answers later.

A bucket proper is (hash, major parameter). What is learnt of a route is guessed for its other majors, until their own
answers tell; a hash whose majors turn out to be one (``siblings``) has a single bucket. Everything learnt can move a
(route, major) from one bucket to another; who waits or is under way is moved after it by the limiter.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

from .bucket import Bucket, RateHeaders
from .siblings import Siblings
from .tickets import Ticket
from .timings import DiscordTimings

_EVERY = "*"
"""The major of a bucket of all majors; no id is like that."""


@dataclass(frozen=True, slots=True)
class Move:
    """A (route, major) has another bucket now."""

    member: tuple[str, str]
    old: Bucket
    new: Bucket


class Directory:
    """All buckets, and whose they are. Not safe for threads.

    Attributes:
        buckets: By name (a hash, or a route whose hash is not known) and major.
        assigned: The bucket of each (route, major) that was asked for.
    """

    def __init__(self, *, timings: DiscordTimings) -> None:
        self.buckets: dict[tuple[str, str], Bucket] = {}
        self.assigned: dict[tuple[str, str], Bucket] = {}
        self._timings = timings
        self._hashes: dict[str, str] = {}
        self._learnt_at: dict[tuple[str, str], float] = {}
        self._siblings: dict[str, Siblings] = {}

    @property
    def shared(self) -> Collection[str]:
        """The hashes whose majors are one bucket."""
        return [name for name, siblings in self._siblings.items() if siblings.shared]

    def assign(self, route: str, major: str) -> Bucket:
        """Return the bucket to use."""
        bucket = self.assigned.get((route, major))
        if bucket is None:
            known = self._hashes.get(route)
            bucket = self._bucket(known or route, hashed=known is not None, major=major)
            self.assigned[route, major] = bucket
            bucket.members.add((route, major))
        return bucket

    def learn(self, ticket: Ticket, rate: RateHeaders, now: float) -> tuple[bool, list[Move]]:
        """Learn a route's hash from an answer, and guess the same for its other majors.

        Returns:
            Whether the answer is about the ticket's bucket, and what moves. An answer to something sent before the
            present hash was learnt does not bring an older hash back; it tells of a bucket that is no longer used.
        """
        route, major = ticket.demand.route, ticket.demand.major
        if ticket.bucket.name == rate.bucket:
            return True, []
        if ticket.bucket.hashed and ticket.granted_at < self._learnt_at.get((route, major), -math.inf):
            return False, []
        news = self._hashes.get(route) != rate.bucket
        self._hashes[route] = rate.bucket
        self._learnt_at[route, major] = now
        members = [(route, major)]
        if news:
            members += [key for key, bucket in self.assigned.items() if key[0] == route and not bucket.hashed]
        return True, self._move(members, rate.bucket)

    def compare(
        self, ticket: Ticket, rate: RateHeaders, *, sent_at: float, received_at: float, accepted: bool
    ) -> tuple[RateHeaders, list[Move]]:
        """Learn from an answer about the ticket's bucket whether its hash has one bucket for all majors.

        Call it before the bucket itself is told.

        Returns:
            What to tell it (other majors' answers may have shown less Remaining already), and what moves.
        """
        major = ticket.demand.major
        siblings = self._siblings.get(rate.bucket)
        if siblings is None:
            siblings = self._siblings[rate.bucket] = Siblings()
        used = rate.limit - rate.remaining
        witness = 2 * used >= rate.limit and self._bears_witness(
            ticket, rate, siblings, sent_at=sent_at, received_at=received_at, accepted=accepted
        )
        before = siblings.shared
        siblings.saw(
            rate, major=major, sent_at=sent_at, received_at=received_at, accepted=accepted, witness=witness
        )
        if siblings.shared is before:
            return rate, []
        if siblings.shared:
            rate = replace(rate, remaining=min(rate.remaining, siblings.least_remaining))
        return rate, self._regroup(rate.bucket)

    def _bears_witness(
        self,
        ticket: Ticket,
        rate: RateHeaders,
        siblings: Siblings,
        *,
        sent_at: float,
        received_at: float,
        accepted: bool,
    ) -> bool:
        """Tell whether an answer shows that half the bucket was used by others, as much as we sent by other majors."""
        bucket = ticket.bucket
        if siblings.shared:
            used = rate.limit - rate.remaining
            surplus = used - siblings.counted_of(ticket.demand.major) - bucket.in_flight
        else:
            surplus = bucket.surplus(rate, sent_at=sent_at, epoch=ticket.epoch)
        surplus += not accepted  # what was refused was not counted
        others = siblings.lately(received_at) + self._in_flight(rate.bucket) - bucket.in_flight
        return rate.limit <= 2 * surplus and surplus <= others

    def drop(self, bucket: Bucket) -> None:
        """Forget a bucket that nothing belongs to any more."""
        if not bucket.members and not bucket.in_flight:
            self.buckets.pop((bucket.name, bucket.major), None)

    def sweep(self, now: float, busy: Collection[Bucket]) -> list[Move]:
        """Forget buckets that were not used for long and are not busy, and what nothing bore out for long.

        Returns:
            What moves.
        """
        for name, bucket in list(self.buckets.items()):
            if bucket not in busy and bucket.idle(now, self._timings.bucket_idle_seconds):
                del self.buckets[name]
                for member in bucket.members:
                    self.assigned.pop(member, None)
                    self._learnt_at.pop(member, None)
        moves: list[Move] = []
        oldest = now - self._timings.shared_bucket_seconds
        for hashed, siblings in list(self._siblings.items()):
            if siblings.shared and siblings.borne_out_at < oldest:
                self._siblings[hashed] = Siblings()
                moves += self._regroup(hashed)
            elif siblings.seen_at < oldest:
                del self._siblings[hashed]
        return moves

    def _bucket(self, name: str, *, hashed: bool, major: str) -> Bucket:
        # A route holds a space and a hash does not, so the names cannot meet.
        siblings = self._siblings.get(name)
        key = (name, _EVERY if siblings is not None and siblings.shared else major)
        bucket = self.buckets.get(key)
        if bucket is None:
            bucket = Bucket(name=name, hashed=hashed, major=key[1], timings=self._timings)
            self.buckets[key] = bucket
        return bucket

    def _in_flight(self, hashed: str) -> int:
        return sum(bucket.in_flight for (name, _), bucket in self.buckets.items() if name == hashed)

    def _regroup(self, hashed: str) -> list[Move]:
        """Put all majors of a hash into one bucket, or each into its own."""
        return self._move([key for key, bucket in self.assigned.items() if bucket.name == hashed], hashed)

    def _move(self, members: list[tuple[str, str]], hashed: str) -> list[Move]:
        moves: list[Move] = []
        for member in members:
            old = self.assigned[member]
            new = self._bucket(hashed, hashed=True, major=member[1])
            if old is not new:
                self.assigned[member] = new
                old.members.discard(member)
                new.members.add(member)
                new.used_at = max(new.used_at, old.used_at)
                if new.major == _EVERY:  # what one of them was refused until, all are
                    new.blocked_until = max(new.blocked_until, old.blocked_until)
                moves.append(Move(member, old, new))
        return moves
