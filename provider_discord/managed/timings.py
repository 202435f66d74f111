"""Every constant of this room that has to do with time, with Crossplane's own defaults where it has one.

Sources: crossplane-runtime `pkg/reconciler/managed/reconciler.go` (deadline, grace, poll), `managed/api.go`
(critical updater), `pkg/reconciler/providerconfig/reconciler.go`; provider-kubernetes (jitter).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ManagedTimings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedTimings:
    """All durations are seconds."""

    pass_deadline_seconds: float = 60.0
    """A pass's external calls must be over by then."""
    creation_grace_seconds: float = 30.0
    """So long after a create, "does not exist" is taken for Discord's lag."""
    poll_interval_seconds: float = 60.0
    min_poll_interval_seconds: float = 10.0
    """The annotation `crossplane.io/poll-interval` is clamped up to this."""
    poll_jitter: float = 0.1
    """Share of the interval by which a poll is early or late."""

    resolution_delay_seconds: float = 30.0
    """A create of unknown outcome counts as not carried out only if it is missing so long after it ended."""
    resolution_retry_seconds: float = 5.0
    """While an attempt's outcome is unknown it is looked for at least so often."""

    critical_attempts: int = 5
    critical_retry_seconds: float = 0.01
    """Annotations that tell what was created are written with so many tries, so far apart."""

    refused_max_seconds: float = 600.0
    """A create that the provider refuses is sent again at polls so seldom at last; a change tries it at once."""

    log_fold_seconds: float = 60.0
    """What every object's pass finds out again, such as that the API server is away, is logged so often."""

    event_repeat_seconds: float = 1800.0
    """A warning that stays the same is said again so often; events live an hour by default."""
    reference_patience_seconds: float = 30.0
    """An unresolved reference is worth a warning event only so long after the object was made."""

    quiet_wait_seconds: float = 10.0
    """A write that waits for a limit no longer than this is not worth a change of the conditions."""

    settle_seconds: float = 0.5
    """How soon a pass that had to wait for its own process to start is tried again."""

    in_use_retry_seconds: float = 30.0
    """A config whose deletion waits for its users is looked at so often, should a usage's end go unnoticed."""
    secret_retry_seconds: float = 3.0
    """A Secret that is missing or whose token was rejected is looked at so often."""
    config_poll_seconds: float = 60.0
    """A Secret that works is looked at so often."""
    verify_seconds: float = 600.0
    """A token that works is verified so often."""
    usage_settle_seconds: float = 3.0
    """Changes of usages are gathered for so long before a config's user count is written."""
    session_linger_seconds: float = 90.0
    """A replaced session is closed so much later: longer than the passes that use it can last."""

    leader_check_seconds: float = 0.5
    """An idle worker asks so often whether it may go on, and a stopped one notices so soon."""
    stop_grace_seconds: float = 10.0
    """How long passes that run may take to finish when the process stops."""
    initial_spread: float = 1.0
    """Objects that were settled when the process started are looked at over this share of the poll interval."""
