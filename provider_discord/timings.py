"""Every time constant of the process in one value, so that a whole-system test can run the same process faster.

Each room declares its own constants, with the field's defaults (Crossplane's, client-go's, Discord's); here they
are put together. ``scaled`` multiplies what is *our choice to wait*. What it leaves alone are facts about
somebody else (Discord's limits, its windows, how late it may commit) and network timeouts, which are about how
slow a machine may be and not about how patient we are.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Self

from provider_discord.discord.timings import DiscordTimings
from provider_discord.kinds.timings import KindTimings
from provider_discord.kube.timings import KubeTimings
from provider_discord.managed.timings import ManagedTimings
from provider_discord.telemetry.timings import TelemetryTimings

__all__ = ["Timings"]

_NOT_OURS: Final = frozenset(
    {
        # Network: how slow a connection may be.
        "connect_timeout_seconds",
        "read_timeout_seconds",
        "write_timeout_seconds",
        "pool_timeout_seconds",
        "request_timeout_seconds",
        "lease_request_timeout_seconds",
        "deadline_seconds",
        "pass_deadline_seconds",
        "stop_grace_seconds",
        "watch_timeout_min_seconds",
        "watch_timeout_max_seconds",
        "watch_inactivity_seconds",
        "watch_healthy_seconds",
        "tcp_keepalive_idle_seconds",
        "tcp_keepalive_interval_seconds",
        "keepalive_seconds",
        # Discord's own: windows and limits that the server counts in real time.
        "global_hold_seconds",
        "reset_margin_seconds",
        "invalid_window_seconds",
        "max_wait_seconds",
        "retry_initial_seconds",
        "retry_maximum_seconds",
        "audit_skew_seconds",
        # Retries of a few milliseconds against a conflict.
        "critical_retry_seconds",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """All constants of the contract.

    Attributes:
        kube: Lists, watches, the work queue, the lease, events.
        managed: The managed-resource contract.
        discord: Discord's client.
        kinds: How old what we look at may be.
        telemetry: What is told now and then.
    """

    kube: KubeTimings = field(default_factory=KubeTimings)
    managed: ManagedTimings = field(default_factory=ManagedTimings)
    discord: DiscordTimings = field(default_factory=DiscordTimings)
    kinds: KindTimings = field(default_factory=KindTimings)
    telemetry: TelemetryTimings = field(default_factory=TelemetryTimings)

    @classmethod
    def with_poll(cls, *, poll_seconds: float, jitter_percentage: int) -> Self:
        """Return the defaults with the user's poll interval; a guild is read anew once a poll."""
        plain = cls()
        return replace(
            plain,
            managed=replace(
                plain.managed,
                poll_interval_seconds=poll_seconds,
                min_poll_interval_seconds=min(plain.managed.min_poll_interval_seconds, poll_seconds),
                poll_jitter=jitter_percentage / 100,
                config_poll_seconds=min(plain.managed.config_poll_seconds, poll_seconds),
            ),
            kinds=replace(
                plain.kinds,
                poll_snapshot_age_seconds=poll_seconds,
                probe_seconds=poll_seconds,
                hold_window_seconds=1.5 * poll_seconds,
            ),
        )

    def scaled(self, factor: float) -> Self:
        """Return a copy in which every wait of ours takes ``factor`` as long. Raises ValueError unless positive."""
        if factor <= 0:
            msg = f"a time scale must be positive, not {factor}"
            raise ValueError(msg)
        if factor == 1:
            return self
        return replace(
            self,
            kube=_scaled(self.kube, factor),
            managed=_scaled(self.managed, factor),
            discord=_scaled(self.discord, factor),
            kinds=_scaled(self.kinds, factor),
            telemetry=_scaled(self.telemetry, factor),
        )


def _scaled(timings: Any, factor: float) -> Any:
    ours = [f.name for f in fields(timings) if f.name.endswith("_seconds") and f.name not in _NOT_OURS]
    return replace(timings, **{name: getattr(timings, name) * factor for name in ours})
