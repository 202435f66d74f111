"""The constants of the contract: what they are, and what scaling may touch."""

from __future__ import annotations

from dataclasses import asdict, fields

import pytest

from provider_discord.timings import Timings

CONTRACT = {
    # crossplane-runtime pkg/reconciler/managed/reconciler.go
    ("managed", "poll_interval_seconds"): 60.0,
    ("managed", "pass_deadline_seconds"): 60.0,
    ("kinds", "pass_deadline_seconds"): 60.0,
    ("managed", "creation_grace_seconds"): 30.0,
    # crossplane-runtime pkg/reconciler/managed/api.go
    ("managed", "critical_attempts"): 5,
    ("managed", "critical_retry_seconds"): 0.01,
    # crossplane-runtime pkg/ratelimiter/default.go
    ("kube", "queue_backoff_min_seconds"): 1.0,
    ("kube", "queue_backoff_max_seconds"): 60.0,
    # provider-kubernetes cmd/provider/main.go
    ("kube", "lease_duration_seconds"): 60.0,
    ("kube", "lease_renew_deadline_seconds"): 50.0,
    ("kube", "lease_retry_seconds"): 2.0,
    ("managed", "poll_jitter"): 0.1,
    # client-go tools/cache/reflector.go
    ("kube", "reflector_backoff_min_seconds"): 0.8,
    ("kube", "reflector_backoff_max_seconds"): 30.0,
    # Discord docs, topics/rate-limits
    ("discord", "global_per_second"): 50,
    ("discord", "invalid_window_seconds"): 600.0,
    # docs/design: a create is made again only so long after its outcome was lost
    ("managed", "resolution_delay_seconds"): 30.0,
}


def test_the_defaults_are_the_contracts() -> None:
    found = asdict(Timings())
    assert {place: found[place[0]][place[1]] for place in CONTRACT} == CONTRACT


def test_every_wait_of_ours_is_scaled_and_nobody_elses() -> None:
    plain, scaled = Timings(), Timings().scaled(0.1)
    assert scaled.managed.poll_interval_seconds == pytest.approx(6.0)
    assert scaled.kube.lease_duration_seconds == pytest.approx(6.0)
    assert scaled.kinds.order_quiet_seconds == pytest.approx(plain.kinds.order_quiet_seconds / 10)
    assert scaled.discord.breaker_reset_seconds == pytest.approx(plain.discord.breaker_reset_seconds / 10)
    for untouched in (
        "global_hold_seconds",
        "read_timeout_seconds",
        "invalid_window_seconds",
        "deadline_seconds",
    ):
        assert getattr(scaled.discord, untouched) == getattr(plain.discord, untouched)
    assert scaled.kube.request_timeout_seconds == plain.kube.request_timeout_seconds
    assert scaled.kube.list_page_size == plain.kube.list_page_size


def test_a_scale_that_is_no_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        Timings().scaled(-1)


def test_the_poll_interval_decides_how_old_a_polled_guild_may_be() -> None:
    timings = Timings.with_poll(poll_seconds=10, jitter_percentage=25)
    assert timings.managed.poll_interval_seconds == 10
    assert timings.managed.poll_jitter == 0.25
    assert timings.kinds.poll_snapshot_age_seconds == 10
    assert timings.managed.min_poll_interval_seconds <= 10


def test_every_constant_is_in_one_of_the_rooms() -> None:
    assert {f.name for f in fields(Timings)} == {"kube", "managed", "discord", "kinds", "telemetry"}
