"""Every constant of this room that is a time or a count over time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DiscordTimings:
    """Times (seconds) and limits of the client.

    Attributes:
        connect_timeout_seconds: For a TCP and TLS connection.
        read_timeout_seconds: Between two pieces of an answer.
        write_timeout_seconds: For sending a piece of a request.
        pool_timeout_seconds: For a free connection. The limiter's cap makes it never happen.
        deadline_seconds: For a whole call, retries and waiting included, unless the call says otherwise.
        max_wait_seconds: How long a call may wait for a rate limit, unless it says otherwise.
        keepalive_seconds: How long an idle connection is kept; less than Cloudflare's 400.
        max_in_flight: Requests at a time, and size of the connection pool. 50 a second at 0.2 s are 10; with as many
            as the global limit allows a burst at the beginning of a second leaves at once.
        max_attempts: Tries of an idempotent request on transport errors and 5xx.
        retry_initial_seconds: First pause between tries; doubles, with jitter.
        retry_maximum_seconds: Longest pause between tries.
        unavailable_retry_seconds: What Unavailable suggests.
        global_per_second: Discord's global limit of a bot (topics/rate-limits). Lower it when the bot's token
            is used elsewhere too.
        global_hold_seconds: How long a global slot stays taken after the answer came.
        reset_margin_seconds: Added to a bucket's reset.
        unlimited_concurrency: Requests at a time on a route that shows no limit.
        ageing_seconds: A waiting call moves up one class after each of these.
        bucket_idle_seconds: After which an unused bucket is forgotten.
        shared_bucket_seconds: For how long all majors of a hash are taken for one bucket after anything bore it out.
        ban_minimum_seconds: Shortest pause after a Cloudflare page.
        breaker_first_reset_seconds: How long an open circuit waits before a probe, at first.
        breaker_reset_seconds: ... at most.
        breaker_failures: Failures in a row that open a circuit.
        breaker_successes: Successes in a row that close it again.
        invalid_window_seconds: Window of Discord's invalid-request limit.
        invalid_stop_polls: Invalid requests in the window at which polls stop.
        invalid_users_only: ... at which only users' changes go on.
        invalid_stop_all: ... at which everything stops. Discord bans at 10,000.
        forbidden_initial_seconds: Pause of one object's request after its second 403; doubles.
        forbidden_maximum_seconds: Longest such pause.
        snapshot_max_age_seconds: How old a guild's snapshot may be for an ordinary reconcile.
        snapshot_share_seconds: How long a caller waits for a refresh that another one began; past that it comes
            back later, so that one slow guild does not park everybody.
        member_max_age_seconds: How old the bot's own member may be.
    """

    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 15.0
    write_timeout_seconds: float = 10.0
    pool_timeout_seconds: float = 5.0
    deadline_seconds: float = 30.0
    max_wait_seconds: float = 1.0
    keepalive_seconds: float = 120.0
    max_in_flight: int = 50
    max_attempts: int = 3
    retry_initial_seconds: float = 0.2
    retry_maximum_seconds: float = 1.0
    unavailable_retry_seconds: float = 5.0
    global_per_second: int = 50
    global_hold_seconds: float = 1.0
    reset_margin_seconds: float = 0.02
    unlimited_concurrency: int = 8
    ageing_seconds: float = 30.0
    bucket_idle_seconds: float = 300.0
    shared_bucket_seconds: float = 3_600.0
    ban_minimum_seconds: float = 60.0
    breaker_first_reset_seconds: float = 1.0
    breaker_reset_seconds: float = 20.0
    breaker_failures: int = 10
    breaker_successes: int = 2
    invalid_window_seconds: float = 600.0
    invalid_stop_polls: int = 1_000
    invalid_users_only: int = 5_000
    invalid_stop_all: int = 8_000
    forbidden_initial_seconds: float = 10.0
    forbidden_maximum_seconds: float = 600.0
    snapshot_max_age_seconds: float = 5.0
    snapshot_share_seconds: float = 5.0
    member_max_age_seconds: float = 3_600.0
