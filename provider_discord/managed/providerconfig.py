"""ProviderConfigs: which session a pass gets, and the pass over a config itself.

A config's pass connects it (``login``), opens the gate, and tells and wakes whom that concerns. A token may be refused
in any pass: the session's latch is asked at the gate before every pass, and the config is looked at again every few
seconds until it is well.

After a token change to another bot user, writes wait until a human acknowledges it: the new bot may see less,
and what it does not see must not be taken for gone and made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog

from provider_discord.kube.access import ObjectAccess
from provider_discord.kube.errors import Conflict, NotFound
from provider_discord.kube.resource import Key, Obj, Resource
from provider_discord.kube.store import Store
from provider_discord.managed import conditions, meta, results
from provider_discord.managed.announce import Announcer
from provider_discord.managed.errors import Blocked, NotConnected, Paused, Starting
from provider_discord.managed.gate import ConfigState, Gate, Hindrance
from provider_discord.managed.lingering import Lingering
from provider_discord.managed.login import Login
from provider_discord.managed.references import Referrer
from provider_discord.managed.resource import ManagedResource
from provider_discord.managed.results import Result
from provider_discord.managed.sessions import Session, SessionFactory
from provider_discord.managed.timings import ManagedTimings
from provider_discord.managed.usage import CONFIG_KINDS, Usages

log = structlog.get_logger()

_NOT_YET = ("garbageCollection", "deduplication")


@dataclass(slots=True)
class Wake:
    """Whom a config's pass wakes; the controller sets these when it is made."""

    objects: Callable[[Iterable[Referrer]], None] = lambda _who: None
    """Look at these objects now."""
    users: Callable[[str], None] = lambda _name: None
    """Look at every object that refers to the config."""
    config: Callable[[str], None] = lambda _name: None
    """Look at the config now."""


class ProviderConfigs:
    """Reconciles ProviderConfigs and is the gate to their sessions."""

    def __init__(
        self,
        *,
        access: ObjectAccess,
        resource: Resource,
        store: Store,
        usages: Usages,
        factory: SessionFactory,
        announcer: Announcer,
        timings: ManagedTimings,
        now: Callable[[], float],
        wall: Callable[[], datetime],
        register_secret: Callable[[str], None] = lambda _token: None,
    ) -> None:
        self.resource = resource
        self.wake = Wake()
        self._access = access
        self._store = store
        self._usages = usages
        self._factory = factory
        self._announcer = announcer
        self._timings = timings
        self._wall = wall
        self._login = Login(
            access=access, factory=factory, timings=timings, now=now, register_secret=register_secret
        )
        self._lingering = Lingering(
            close=factory.close, linger_seconds=timings.session_linger_seconds, now=now
        )
        self._gate = Gate()

    # For the passes over managed objects.

    def session_for(self, mr: ManagedResource) -> Session:
        """Return the session for an object.

        Raises:
            Starting: the config has not been looked at yet.
            NotConnected: there is no usable session; the message names the config.
            Blocked: the config does not serve this object.
            Paused: the config is paused.
        """
        name = mr.config_name
        kind = (mr.spec.get("providerConfigRef") or {}).get("kind") or CONFIG_KINDS[0]
        if kind not in CONFIG_KINDS:
            msg = f'spec.providerConfigRef.kind is "{kind}": say ProviderConfig or ClusterProviderConfig'
            raise Blocked(msg, reason="CannotConnectToProvider")
        if not self._store.has_synced:
            msg = "waiting for the list of ProviderConfigs"
            raise Starting(msg)
        state = self._gate.state(name)
        config = self._store.get(Key("", name))
        if config is None:
            self._turn_away(mr, Hindrance.NOT_CONNECTED, state)
            msg = f'ProviderConfig "{name}" does not exist: create it, or name another in spec.providerConfigRef'
            raise NotConnected(msg)
        self._check_config(mr, config, state)
        if state is None:
            self._turn_away(mr, Hindrance.NOT_CONNECTED, state)
            msg = f'ProviderConfig "{name}" is being connected'
            raise Starting(msg)
        if state.session is not None and self._factory.rejected(state.session):
            self._turn_away(mr, Hindrance.NOT_CONNECTED, state)
            self.wake.config(name)
            msg = f'ProviderConfig "{name}": its bot token was rejected: put a valid one into its Secret'
            raise NotConnected(msg)
        if state.session is None:
            self._turn_away(mr, Hindrance.NOT_CONNECTED, state)
            msg = f'ProviderConfig "{name}" is not ready: {state.problem}'
            raise NotConnected(msg)
        return state.session

    def check_paused(self, mr: ManagedResource) -> None:
        """Raise `Paused` while the object's config is paused; the object is woken when it no longer is."""
        name = mr.config_name
        state, config = self._gate.state(name), self._store.get(Key("", name))
        if config is not None and meta.is_paused(config):
            self._turn_away(mr, Hindrance.PAUSED, state)
            msg = f'ProviderConfig "{name}" is paused by the annotation {meta.PAUSED}'
            raise Paused(msg)

    def serves(self, mr: ManagedResource) -> bool:
        """Tell whether the object's config serves its namespace; also while there is no such config."""
        config = self._store.get(Key("", mr.config_name))
        return config is None or _serves(config, mr)

    def check_write(self, mr: ManagedResource) -> None:
        """Raise `Blocked` while nothing may be written with the object's config although it is connected."""
        state = self._gate.state(mr.config_name)
        if state is not None and state.write_refusal is not None:
            self._turn_away(mr, Hindrance.NOT_WRITABLE, state)
            raise Blocked(str(state.write_refusal), reason=state.write_refusal.reason)

    def suspect(self, name: str) -> None:
        """Take note that a pass lost its connection: look at the config if its token was rejected."""
        state = self._gate.state(name)
        if state is not None and state.session is not None and self._factory.rejected(state.session):
            self.wake.config(name)

    def states(self) -> Mapping[str, ConfigState]:
        """Return what is known of every config, for health checks and metrics."""
        return self._gate.states()

    def _check_config(self, mr: ManagedResource, config: Obj, state: ConfigState | None) -> None:
        name = mr.config_name
        if not _serves(config, mr):
            self._turn_away(mr, Hindrance.NOT_ALLOWED, state)
            msg = (
                f'ProviderConfig "{name}" does not serve namespace {mr.namespace}: '
                "add it to the config's spec.allowedNamespaces, or use another config"
            )
            raise Blocked(msg, reason="NotAllowed")

    def _turn_away(self, mr: ManagedResource, why: Hindrance, seen: ConfigState | None) -> None:
        if not self._gate.turn_away(mr.config_name, Referrer(mr.resource, mr.key), why, seen=seen):
            msg = f'ProviderConfig "{mr.config_name}" has just changed'
            raise Starting(msg)

    # The pass over a config.

    def reconcile(self, name: str) -> Result:
        """Make one pass over a ProviderConfig.

        Raises:
            KubeError: the API server refused or did not answer.
        """
        self._lingering.close_due()
        config = self._store.get(Key("", name))
        if config is None:
            self._drop(name)
            return self._after_the_end()
        if meta.is_deleting(config):
            users = self._usages.users(name) if self._usages.has_synced else None
            if users is not None and not users:
                return self._finish(config)
        try:
            return self._look(config)
        except Conflict:
            return results.requeue()
        except NotFound:
            return results.forget()

    def stop(self) -> None:
        """Close every session."""
        self._lingering.close_all()
        for name in self._gate.states():
            state = self._gate.drop(name)
            if state is not None and state.session is not None:
                self._factory.close(state.session)

    def _look(self, config: Obj) -> Result:
        name = config["metadata"]["name"]
        before = self._gate.state(name)
        if not meta.is_deleting(config) and meta.CONFIG_FINALIZER not in meta.finalizers_of(config):
            config = self._write(meta.with_finalizer(config, meta.CONFIG_FINALIZER, present=True))
        self._warn_of_what_is_not_here_yet(config)
        state, result = self._login.connect(config, before or ConfigState())
        try:
            if state.identity is not None and state.connected:
                config, state = self._check_bot(config, state)
        except Exception:
            # It comes again, and opens another one.
            if state.session is not None and (before is None or before.session is not state.session):
                self._factory.close(state.session)
            raise
        self._gate.put(name, state)
        if before is not None and before.session is not None and before.session is not state.session:
            self._lingering.retire(before.session)
        self._tell(config, before, state)
        self._wake_waiting(config, before, state)
        self._write_status(config, state)
        if meta.is_deleting(config):
            return results.after(
                min(self._timings.in_use_retry_seconds, result.requeue_after_seconds or float("inf"))
            )
        return result

    def _check_bot(self, config: Obj, state: ConfigState) -> tuple[Obj, ConfigState]:
        """Remember the first bot; of another one, refuse writes until it is acknowledged."""
        assert state.identity is not None
        bot, name = state.identity, config["metadata"]["name"]
        acknowledged = meta.annotations_of(config).get(meta.ACKNOWLEDGED_BOT)
        if acknowledged == bot.id:
            return config, replace(state, write_refusal=None)
        if not acknowledged:
            config = self._write(meta.with_annotations(config, {meta.ACKNOWLEDGED_BOT: bot.id}))
            return config, replace(state, write_refusal=None)
        refusal = Blocked(
            f'ProviderConfig "{name}": its token now belongs to another bot, {bot.name} ({bot.id}) instead of '
            f"{acknowledged}; nothing is written at Discord until that is acknowledged: "
            f"kubectl annotate {self.resource} {name} {meta.ACKNOWLEDGED_BOT}={bot.id} --overwrite",
            reason="BotNotAcknowledged",
        )
        return config, replace(state, write_refusal=refusal)

    # What follows from a state.

    def _tell(self, config: Obj, before: ConfigState | None, state: ConfigState) -> None:
        name = config["metadata"]["name"]
        bot = state.identity
        problem = state.problem or (str(state.write_refusal) if state.write_refusal else "")
        if before is not None and before.credential and before.credential != state.credential:
            log.info("security: the bot token was changed", config=name)
        if problem:
            reason = "CannotConnectToProvider" if state.problem else "BotNotAcknowledged"
            self._announcer.warning(config, reason, problem)
            if state.write_refusal and (before is None or before.write_refusal is None):
                log.warning("security: the bot token belongs to another bot, nothing is written", config=name)
            return
        self._announcer.well(str(config["metadata"].get("uid", "")))
        if bot is not None and (before is None or not before.connected or before.identity != bot):
            self._announcer.normal(config, "ConnectedToProvider", f"connected as bot {bot.name} ({bot.id})")
            log.info("connected", config=name, bot=bot.name, bot_id=bot.id)

    def _wake_waiting(self, config: Obj, before: ConfigState | None, state: ConfigState) -> None:
        name = config["metadata"]["name"]
        if before is not None and before.generation != state.generation:
            self.wake.users(name)
        reasons = [Hindrance.NOT_ALLOWED] if before is None or before.generation != state.generation else []
        if state.connected or before is None or before.problem != state.problem:
            reasons.append(Hindrance.NOT_CONNECTED)
        if state.connected and state.write_refusal is None:
            reasons.append(Hindrance.NOT_WRITABLE)
        if not meta.is_paused(config):
            reasons.append(Hindrance.PAUSED)
        waiting = self._gate.take_waiting(name, reasons)
        if waiting:
            self.wake.objects(waiting)

    def _write_status(self, config: Obj, state: ConfigState) -> None:
        name, bot = config["metadata"]["name"], state.identity
        status = dict(config.get("status") or {})
        if self._usages.has_synced:
            status["users"] = len(self._usages.users(name))
        if bot is not None:
            status["bot"] = {"id": bot.id, "name": bot.name, **bot.details}
        asked = meta.annotations_of(config).get(meta.RECONCILE_REQUESTED_AT)
        if asked:
            # The Secret was read after this: whoever has changed it can wait for what comes of it.
            status["lastHandledReconcileAt"] = asked
        problem = state.problem or (str(state.write_refusal) if state.write_refusal else "")
        new = [conditions.unavailable(problem) if problem else conditions.available()]
        removed = []
        if meta.is_paused(config):
            message = f"nothing is done for objects that use it: it is paused by the annotation {meta.PAUSED}"
            new.append(conditions.reconcile_paused(message))
        else:
            removed.append(conditions.SYNCED)
        if meta.is_deleting(config):
            message = f"in use by {status.get('users', 'some')} managed resources: delete or move them first"
            new.append(conditions.terminating(message))
            self._announcer.warning(config, "UsageAccounting", f'ProviderConfig "{name}" is {message}')
        else:
            removed.append(conditions.TERMINATING)
        status["conditions"] = conditions.merge(
            status.get("conditions"),
            new,
            generation=meta.generation_of(config),
            now=self._wall(),
            remove=removed,
        )
        if status != (config.get("status") or {}):
            self._store.put_written(self._access.replace_status(self.resource, {**config, "status": status}))

    def _finish(self, config: Obj) -> Result:
        """Let go of a config that nobody uses any more."""
        if meta.CONFIG_FINALIZER in meta.finalizers_of(config):
            try:
                self._write(meta.with_finalizer(config, meta.CONFIG_FINALIZER, present=False))
            except Conflict:
                return results.requeue()
            except NotFound:
                pass
        self._drop(config["metadata"]["name"])
        return self._after_the_end()

    def _drop(self, name: str) -> None:
        state = self._gate.drop(name)
        if state is not None and state.session is not None:
            self._lingering.retire(state.session)
        if state is None:
            return  # It never was: whoever waits goes on waiting for it.
        # They say in their conditions that the config is gone.
        self.wake.objects(self._gate.take_waiting(name, Hindrance))
        self.wake.users(name)

    def _after_the_end(self) -> Result:
        """Come back once more for a config that is gone, to close its sessions."""
        return results.after(self._timings.session_linger_seconds) if self._lingering else results.forget()

    def _write(self, config: Obj) -> Obj:
        written = self._access.replace(self.resource, config)
        self._store.put_written(written)
        return written

    def _warn_of_what_is_not_here_yet(self, config: Obj) -> None:
        for block in _NOT_YET:
            if (config.get("spec") or {}).get(block):
                self._announcer.once(
                    config,
                    generation=meta.generation_of(config),
                    reason="NotSupported",
                    message=f"spec.{block} has no effect in this release",
                )


def _serves(config: Mapping[str, Any], mr: ManagedResource) -> bool:
    allowed = (config.get("spec") or {}).get("allowedNamespaces")
    return allowed is None or mr.namespace in allowed
