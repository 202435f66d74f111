"""Holds of all guilds: who asks, who is told, and how a hold goes on in another process.

Before an object whose manifest has not changed writes anything, it asks here. The guild is counted once for each
reading of it (``census``), and the decision (``hold``) holds for all who look at the same reading. A hold stands in
the conditions of the objects that it holds back and of the Guild, so a new process goes on with it; it is released
by the annotation that these conditions name, on the Guild, or on the ProviderConfig where there is no Guild object.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from provider_discord.discord.errors import DiscordError
from provider_discord.discord.snapshot import GuildSnapshot
from provider_discord.kinds.actors import NOBODY, actors_of
from provider_discord.kinds.census import Census, Known, digest
from provider_discord.kinds.hold import Cause, GuildWatch, Hold, incident_end, incident_id
from provider_discord.kinds.hold_links import Asker, HoldLinks
from provider_discord.kinds.hold_news import HoldNews
from provider_discord.kinds.recent import Recent
from provider_discord.kinds.siblings import Siblings, was_paused
from provider_discord.kinds.timings import KindTimings
from provider_discord.kinds.visibility import Presence
from provider_discord.kube.resource import Resource
from provider_discord.managed import meta
from provider_discord.managed.errors import Starting
from provider_discord.managed.resource import ManagedResource

_ASKS: Final = 3
_log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Guild:
    """The watch over a guild, for the objects of one ProviderConfig: what another bot can see is not known to it.

    It is counted under the lock: who asks meanwhile needs the answer anyway.
    """

    lock: threading.RLock = field(default_factory=threading.RLock)
    watch: GuildWatch = field(default_factory=GuildWatch)


class Holds:
    """Every guild's hold. Thread-safe."""

    def __init__(
        self,
        *,
        siblings: Siblings,
        now: Callable[[], float],
        wall: Callable[[], datetime],
        timings: KindTimings,
        new_id: Callable[[], str],
    ) -> None:
        """Make it; ``links`` are set afterwards.

        Args:
            siblings: The objects of every guild.
            now: Monotonic clock.
            wall: Wall clock (UTC).
            timings: This room's constants.
            new_id: Makes the id of a hold: lower-case letters and digits.
        """
        self.links = HoldLinks()
        self.news = HoldNews(siblings, self.links)
        self._siblings = siblings
        self._now = now
        self._wall = wall
        self._timings = timings
        self._new_id = new_id
        self._lock = threading.Lock()
        self._guilds: dict[tuple[str, str], _Guild] = {}
        self._known: Recent[Known] = Recent()
        self._resumed: Recent[float] = Recent()
        self._born = now()

    # What a pass asks.

    def ask(self, asker: Asker, snapshot: GuildSnapshot, *, gone: str = "") -> Hold | None:
        """Return the hold that keeps an object from writing what its manifest has said before; None: go on.

        Args:
            asker: The pass of an object of the guild that is about to write.
            snapshot: What it decided by.
            gone: Its UID, if what it stands for is gone. That may have become certain since the same picture was
                counted, so unless it was counted it is counted anew.

        Raises:
            Starting: Not every kind has been listed yet, so nobody can be counted.
        """
        if asker.rules.hold.disabled:
            self._drop(snapshot.guild_id, asker.rules.config)
            return None
        self._check_synced()
        guild = self._guild(snapshot.guild_id, asker.rules.config)
        with guild.lock:
            before = guild.watch.hold
            self._bring_up_to_date(guild.watch, asker, snapshot, gone=gone)
            after = guild.watch.hold
            begins, guild.watch.untold = guild.watch.untold, False
        self._follow(asker, snapshot.guild_id, before, after, begins=begins)
        if begins:
            self._name_actors(guild, asker, snapshot)
            with guild.lock:
                hold = guild.watch.hold or after
            if hold is not None:
                self.news.began(snapshot.guild_id, asker.rules.config, hold)
        return after

    def look(self, asker: Asker, snapshot: GuildSnapshot) -> Hold | None:
        """Return the guild's hold for its own object, at every look; this is where one ends that nobody asks about.

        Raises:
            Starting: See ``ask``.
        """
        guild_id = snapshot.guild_id
        guild = self._guild(guild_id, asker.rules.config)
        idle = self.current(asker, guild_id) is None and not incident_end(snapshot.guild, wall=self._wall())
        if idle or self.ask(asker, snapshot) is None:
            return None
        with guild.lock:
            hold = guild.watch.hold
            unnamed = hold is not None and hold.actors in {"", NOBODY} and hold.differing
            again = unnamed and guild.watch.asks < _ASKS
        if again:
            self._name_actors(guild, asker, snapshot)
        return self.peek(guild_id, asker.rules.config)

    def peek(self, guild_id: str, config: str) -> Hold | None:
        """Return the hold of a guild, for a ProviderConfig's objects, as far as it is known, without counting."""
        with self._lock:
            guild = self._guilds.get((guild_id, config))
        return guild.watch.hold if guild is not None else None

    def current(self, asker: Asker, guild_id: str) -> Hold | None:
        """Return the hold without counting; one that another process left, too.

        Raises:
            Starting: See ``ask``.
        """
        self._check_synced()
        guild = self._guild(guild_id, asker.rules.config)
        with guild.lock:
            self._recover(guild.watch, asker, guild_id)
            return guild.watch.hold

    def noticed(self, mr: ManagedResource, guild_id: str) -> None:
        """Take note that an object differs, whatever becomes of it."""
        guild = self._guild(guild_id, mr.config_name)
        with guild.lock:
            guild.watch.noticed(mr.uid, now=self._now())

    def resuming(self, mr: ManagedResource) -> float:
        """Return for how long an object that was paused until now waits before it puts anything back (seconds).

        Many are mostly resumed by one command, and the first of them is looked at before the others are. All that
        differ count, so it waits for them.
        """
        wait, now = self._timings.hold_resume_seconds, self._now()
        since = self._resumed.get(mr.uid)
        if since is None or now - since >= wait:
            if not was_paused(mr.obj):
                return 0.0
            since = now
            self._resumed.put(mr.uid, now)
        return since + wait - now

    def well(self, mr: ManagedResource, guild_id: str) -> None:
        """Take note that an object is as its manifest says."""
        self._known.put(mr.uid, Known(mr.generation, digest(mr.for_provider)))
        guild = self._guild(guild_id, mr.config_name)
        ended = None
        with guild.lock:
            watch = guild.watch
            watch.well(mr.uid)
            if (
                watch.hold is not None
                and watch.hold.cause is Cause.MASS_DRIFT
                and (watch.counted and watch.complete)
                and not watch.roots
            ):
                ended = watch.hold
                watch.end()
        if ended is not None:
            self._ended(guild_id, ended)

    def begin_anew(self) -> None:
        """Forget what is known: another copy of this program may have led meanwhile. The objects' conditions tell."""
        with self._lock:
            self._guilds.clear()
            self._known = Recent()
            self._born = self._now()
        self._measure()

    # Deciding.

    def _check_synced(self) -> None:
        """Wait for every list at first; a kind that can't be listed at all must not hold up the others for ever."""
        missing = self._not_listed()
        if missing and self._now() - self._born < self._timings.hold_start_seconds:
            msg = f"waiting for the list of {missing[0]}"
            raise Starting(msg)

    def _not_listed(self) -> list[Resource]:
        return [resource for resource, store in self._siblings.stores.items() if not store.has_synced]

    def _drop(self, guild_id: str, config: str) -> None:
        """End a hold that its config wants no more."""
        hold = self.peek(guild_id, config)
        if hold is None:
            return
        guild = self._guild(guild_id, config)
        with guild.lock:
            guild.watch.release()
        self._ended(guild_id, hold, by_hand=True)

    def _guild(self, guild_id: str, config: str) -> _Guild:
        with self._lock:
            return self._guilds.setdefault((guild_id, config), _Guild())

    def _bring_up_to_date(
        self, watch: GuildWatch, asker: Asker, snapshot: GuildSnapshot, *, gone: str
    ) -> None:
        released = self._released(asker, snapshot.guild_id)
        self._recover(watch, asker, snapshot.guild_id)
        if watch.hold is not None and released(watch.hold.id):
            self._count(watch, asker, snapshot)  # What differs now is what is released.
            watch.release()
            watch.reading = (
                None  # Another reason to hold may be left, and what this picture shows is put back by it.
            )
        # A pass that took long asks with an older picture; that tells nothing any more.
        newer = watch.reading is None or snapshot.taken_at > watch.reading
        news = snapshot.taken_at == watch.reading and gone and gone not in watch.roots
        if newer or news or (watch.hold is not None and not watch.counted):
            self._count(watch, asker, snapshot)

    def _count(self, watch: GuildWatch, asker: Asker, snapshot: GuildSnapshot) -> None:
        released = self._released(asker, snapshot.guild_id)
        incident = incident_end(snapshot.guild, wall=self._wall())
        if incident is not None and released(incident_id(incident)):
            incident = None
        census = Census(
            siblings=self._siblings,
            resolve=self.links.resolve,
            snapshot=snapshot,
            bot_id=asker.bot_id,
            config=asker.rules.config,
            known=self._known,
            released=released,
            gone=lambda channel_id: _is_gone(asker, channel_id),
            hold="" if watch.hold is None else watch.hold.id,
        )
        watch.count(
            census.take(),
            rules=asker.rules.hold,
            now=self._now(),
            wall=self._wall(),
            window_seconds=self._timings.hold_window_seconds,
            incident=incident,
            complete=not self._not_listed(),
            new_id=self._new_id,
        )
        watch.reading = snapshot.taken_at

    def _recover(self, watch: GuildWatch, asker: Asker, guild_id: str) -> None:
        if watch.recovered:
            return
        # The Guild's condition is kept up to date; another object's may be left over from a hold that ended. But a
        # Guild that was made anew, or was not told yet, knows nothing of a hold that others tell of.
        config = asker.rules.config
        guilds = [one for _, one in self._siblings.guild_objects(guild_id) if one.config == config]
        marks = [one.held for one in guilds if one.held is not None]
        if not marks:
            over = max((one.freed_at for one in guilds if one.freed_at is not None), default=None)
            about = [one.held for _, one in self._siblings.all_of(guild_id) if one.config == config]
            marks = [mark for mark in about if mark is not None and (over is None or mark.since > over)]
        watch.recover(marks, released=self._released(asker, guild_id))
        if watch.hold is not None:
            _log.info(
                "security: a hold goes on", guild=guild_id, hold=watch.hold.id, cause=watch.hold.cause.value
            )
            self._measure()

    def _released(self, asker: Asker, guild_id: str) -> Callable[[str], bool]:
        """Return what tells of a hold's id whether a human has released it."""
        ids = {sibling.release for _, sibling in self._siblings.guild_objects(guild_id)}
        config = self.links.config(asker.rules.config)
        if config is not None:
            ids.add(meta.annotations_of(config).get(meta.RELEASE_HOLD, ""))
        return (ids - {""}).__contains__

    # Telling.

    def _follow(
        self, asker: Asker, guild_id: str, before: Hold | None, after: Hold | None, *, begins: bool
    ) -> None:
        """Wake whom a change of the hold concerns."""
        if before is not None and (after is None or after.id != before.id):
            by_hand = self._released(asker, guild_id)(before.id)
            self._ended(guild_id, before, by_hand=by_hand)
        if begins and after is not None:
            self.links.metrics.hold_began(after.cause.value)
            self.links.wake((resource, one.key) for resource, one in self._siblings.guild_objects(guild_id))
        if before != after:
            self._measure()

    def _ended(self, guild_id: str, hold: Hold, *, by_hand: bool = False) -> None:
        self.news.ended(guild_id, hold, by_hand=by_hand)
        self._measure()

    def _name_actors(self, guild: _Guild, asker: Asker, snapshot: GuildSnapshot) -> None:
        """Ask the audit log, a few times a hold at most, and outside the lock: others need not wait for it."""
        with guild.lock:
            hold, names = guild.watch.hold, guild.watch.names
            if hold is None or not names:
                return
            guild.watch.asks += 1
        lately = timedelta(seconds=2 * self._timings.hold_window_seconds + self._timings.audit_skew_seconds)
        try:
            actors = actors_of(asker, snapshot, targets=names, since=hold.since - lately)
        except DiscordError as error:
            _log.info("could not ask who changed the guild", guild=snapshot.guild_id, cause=str(error))
            return
        with guild.lock:
            now = guild.watch.hold
            if now is not None and now.id == hold.id:
                guild.watch.hold = replace(now, actors=actors)

    def _measure(self) -> None:
        with self._lock:
            holds = {(guild_id, guild.watch.hold) for (guild_id, _), guild in self._guilds.items()}
        counts = Counter(
            cause for _, cause in {(guild_id, hold.cause) for guild_id, hold in holds if hold is not None}
        )
        for cause in Cause:
            self.links.metrics.held(cause.value, guilds=counts[cause])


def _is_gone(asker: Asker, channel_id: str) -> bool:
    finding = asker.connection.visibility.known(channel_id)
    return finding is not None and finding.presence in {Presence.GONE, Presence.ABSENT}
