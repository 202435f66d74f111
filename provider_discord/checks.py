"""What `/readyz` and `/healthz` tell: one check for each part that can be unwell, made from what is known.

Ready is a process whose caches are filled: who leads, and Discord, play no part, or an outage there would block every
rollout. A kind that is not served counts as filled: with Crossplane's safe-start, one that nobody has activated has
no CRD.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from provider_discord.discord.routes import ResourceType
from provider_discord.kube.lease import LeaderElector
from provider_discord.kube.reflector import Reflector
from provider_discord.managed.gate import ConfigState
from provider_discord.telemetry.health import CheckResult

__all__ = ["caches", "discord", "leader", "tokens", "watches"]

_ASKED_FIRST = frozenset({ResourceType.USER, ResourceType.GUILD})


def caches(reflectors: Iterable[Reflector]) -> Iterator[CheckResult]:
    """Check that every kind that is served has been listed."""
    for reflector in reflectors:
        name, message = f"cache-{reflector.resource.plural}", ""
        ok = reflector.missing or reflector.synced.is_set()
        if reflector.missing:
            message = f"not served: there is no CRD {reflector.resource}"
        elif not ok:
            message = f"not listed yet: {reflector.last_error or 'in progress'}"
        yield CheckResult(name, ok=ok, message=message)


def watches(reflectors: Iterable[Reflector]) -> Iterator[CheckResult]:
    """Tell the kinds that were listed once and can't be followed now."""
    for reflector in reflectors:
        error = reflector.last_error
        if reflector.synced.is_set() and error is not None and not reflector.missing:
            yield CheckResult(f"watch-{reflector.resource.plural}", ok=False, message=str(error))


def discord(open_circuits: Sequence[str]) -> CheckResult:
    """Check that Discord answers.

    It does not where it fails at what every pass asks first: who the bot is, and its guild. Any other circuit that is
    open (of the audit log, of messages) is told and is no outage: the rest goes on.
    """
    message = f"circuit open for {', '.join(open_circuits)}" if open_circuits else ""
    return CheckResult("discord", ok=_ASKED_FIRST.isdisjoint(open_circuits), message=message)


def tokens(states: Mapping[str, ConfigState]) -> CheckResult:
    """Check that of all ProviderConfigs at least one has a token that works."""
    bad = [f"{name}: {state.problem}" for name, state in states.items() if not state.connected]
    message = "; ".join(bad) if states else "no ProviderConfig yet"
    return CheckResult("tokens", ok=not states or len(bad) < len(states), message=message)


def leader(elector: LeaderElector, *, now: float) -> CheckResult:
    """Tell who leads; either way all is well."""
    who = "this copy" if elector.holds(now) else elector.holder or "nobody"
    return CheckResult("leader", ok=True, message=who)
