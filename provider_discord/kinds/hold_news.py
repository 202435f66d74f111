"""Telling of holds: the log line and the event when one begins or ends, who is woken, and what it says in words.

A hold is told once for the guild, not for each object that it holds back: hundreds of events in the middle of a raid
help nobody.
"""

from __future__ import annotations

import structlog

from provider_discord.apis.kinds import PROVIDER_CONFIG
from provider_discord.kinds.hold import Cause, Hold
from provider_discord.kinds.hold_links import HoldLinks
from provider_discord.kinds.siblings import Siblings
from provider_discord.managed import meta
from provider_discord.managed.announce import EventType

_log = structlog.get_logger()


class HoldNews:
    """Tells of the holds of all guilds. Thread-safe."""

    def __init__(self, siblings: Siblings, links: HoldLinks) -> None:
        self._siblings = siblings
        self._links = links

    def way_out(self, guild_id: str, config: str, hold: Hold) -> str:
        """Return the command that releases a hold."""
        said = f"{meta.RELEASE_HOLD}={hold.id} --overwrite"
        for resource, one in self._siblings.guild_objects(guild_id):
            return f"kubectl annotate {resource} {one.key.name} -n {one.key.namespace} {said}"
        return f"kubectl annotate {PROVIDER_CONFIG.crd_name} {config} {said}"

    def began(self, guild_id: str, config: str, hold: Hold) -> None:
        """Tell that a guild is held for a ProviderConfig's objects, by log and event."""
        _log.warning(
            "security: unexpected actor or change, nothing is put back until the hold is released",
            guild=guild_id,
            hold=hold.id,
            cause=hold.cause.value,
            differing=hold.differing,
            vanished=hold.vanished,
            objects=hold.total,
            actors=hold.actors or None,
        )
        said = f"{described(hold)}; {self.way_out(guild_id, config, hold)}"
        self._record(guild_id, config, EventType.WARNING, "Held", said)

    def ended(self, guild_id: str, hold: Hold, *, by_hand: bool) -> None:
        """Tell that a hold is over, and wake all whom it held back."""
        why = "it was released" if by_hand else "nothing differs any more, or the incident is over"
        _log.info("security: a hold is over", guild=guild_id, hold=hold.id, reason=why)
        said = f"{hold.mark} is over: {why}; drift is put back again"
        self._record(guild_id, "", EventType.NORMAL, "HoldReleased", said)
        self._links.wake((resource, one.key) for resource, one in self._siblings.all_of(guild_id))

    def _record(self, guild_id: str, config: str, type_: EventType, reason: str, message: str) -> None:
        """Record an event about the Guild objects, or where there are none, the ProviderConfig."""
        recorder = self._links.recorder
        if recorder is None:
            return
        guilds, stores = self._siblings.guild_objects(guild_id), self._siblings.stores
        about = [stores[resource].get(one.key) for resource, one in guilds]
        if not about and config:
            about = [self._links.config(config)]
        for obj in about:
            if obj is not None:
                recorder.event(obj, type_, reason, message)


def described(hold: Hold) -> str:
    """Say what a hold is about, for the Guild's condition."""
    what = f"{hold.differing} of the guild's {hold.total} objects differ at Discord though their manifests did not change"
    gone = f" ({hold.vanished} of them are gone)" if hold.vanished else ""
    if hold.counted > hold.differing:
        gone += f"; {hold.counted} began to within the last poll, some of them are put back"
    by = f", changed by {hold.actors}" if hold.actors else ""
    if hold.cause is Cause.INCIDENT:
        end = meta.to_rfc3339(hold.until) if hold.until is not None else "they end"
        return f"{hold.mark}: Discord's incident actions are active until {end}; {what}{gone}{by}; only changed manifests are applied"
    return f"{hold.mark}: {what}{gone}{by}; only changed manifests are applied, until nothing differs any more or the hold is released"
