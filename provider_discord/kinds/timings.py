"""Every constant of this room; defaults are for production, whole-system tests scale them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KindTimings:
    """How old what we look at may be, and how long we wait for what Discord does late.

    Attributes:
        poll_snapshot_age_seconds: Oldest guild snapshot that a poll looks at. The poll interval: so a guild
            costs one refresh (two GETs) a poll, however many objects it has.
        retry_snapshot_age_seconds: The same for a retry.
        change_snapshot_age_seconds: The same for a changed manifest.
        decisive_snapshot_age_seconds: The same before something is created, deleted or taken for gone.
        probe_seconds: At most one probe for hidden or gone channels per guild in this time, and how long an
            undecided verdict holds.
        guild_list_age_seconds: How long the list of the bot's guilds, and that a guild is out of reach, holds.
        claim_seconds: How long something made by this process counts as claimed by its maker in any case.
        order_quiet_seconds: Order changes of a guild are gathered until none came for this long ...
        order_max_wait_seconds: ... or the first has waited for this long.
        order_refused_seconds: How long an object whose position Discord refused is left out of bulk requests.
        hold_window_seconds: How long what began to differ counts towards a hold: a poll, and the reading before it.
        hold_start_seconds: How long a new process waits for the list of every kind before it counts a guild without.
        hold_resume_seconds: How long an object that was paused waits before it puts anything back, for those that are
            resumed with it.
        audit_skew_seconds: How far our clock and Discord's may lie apart when times are compared.
        pass_deadline_seconds: How long after a pass began its requests may still be sent; the managed room's.
        late_commit_seconds: How long after an attempt's end Discord may still carry it out.
        audit_lag_seconds: How long after its creation a thing's audit log entry may still be missing.
        audit_retry_seconds: When to look at a lagging audit log again.
        audit_pages: How many pages of 100 entries are read at most for one question.
    """

    poll_snapshot_age_seconds: float = 60.0
    retry_snapshot_age_seconds: float = 10.0
    change_snapshot_age_seconds: float = 5.0
    decisive_snapshot_age_seconds: float = 2.0
    probe_seconds: float = 60.0
    guild_list_age_seconds: float = 60.0
    claim_seconds: float = 60.0
    order_quiet_seconds: float = 1.0
    order_max_wait_seconds: float = 10.0
    order_refused_seconds: float = 300.0
    hold_window_seconds: float = 90.0
    hold_start_seconds: float = 60.0
    hold_resume_seconds: float = 5.0
    audit_skew_seconds: float = 15.0
    pass_deadline_seconds: float = 60.0
    late_commit_seconds: float = 30.0
    audit_lag_seconds: float = 120.0
    audit_retry_seconds: float = 10.0
    audit_pages: int = 5
