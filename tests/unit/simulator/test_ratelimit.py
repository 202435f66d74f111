"""The limits, on virtual time: what a client is told, and when it may come again."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_discord.simulator import BucketRule, Kind, LimitsConfig, Mode, SubLimit
from provider_discord.simulator.ratelimit import Arrival, RateLimiter, Scope, Verdict

ROUTE = "PATCH /channels/{channel_id}"
OTHER = "DELETE /channels/{channel_id}"


def limiter(
    *rules: BucketRule, sublimits: tuple[SubLimit, ...] = (), per_second: int = 0, invalid: int = 10_000
) -> RateLimiter:
    return RateLimiter(
        LimitsConfig(
            mode=Mode.CUSTOM,
            buckets=rules,
            sublimits=sublimits,
            global_per_second=per_second,
            invalid_limit=invalid,
            ban_seconds=60,
        )
    )


def arrive(
    limits: RateLimiter, now: float, *, major: str = "1", whose: str = "t", fields: str = ""
) -> Verdict:
    arrival = Arrival(token=whose, route=ROUTE, major=major, counted_fields=frozenset(fields.split()))
    return limits.arrive(arrival, now=now, wall=1000 + now)


def test_a_fixed_bucket_refills_at_the_end_of_its_window() -> None:
    limits = limiter(BucketRule((ROUTE,), 2, 5))
    first = arrive(limits, 10.0)
    assert first.headers["X-RateLimit-Limit"] == "2"
    assert first.headers["X-RateLimit-Remaining"] == "1"
    assert first.headers["X-RateLimit-Reset-After"] == "5.000"
    assert first.headers["X-RateLimit-Reset"] == "1015.000"
    assert arrive(limits, 12.0).headers["X-RateLimit-Reset-After"] == "3.000"

    refused = arrive(limits, 12.5)
    assert refused.refusal is not None
    assert refused.refusal.scope is Scope.USER
    assert refused.refusal.retry_after == pytest.approx(2.5)
    assert refused.refusal.headers() == {"Retry-After": "3", "X-RateLimit-Scope": "user"}
    assert refused.refusal.body()["retry_after"] == 2.5

    assert arrive(limits, 15.0).refusal is None


def test_a_sliding_bucket_regains_one_token_at_a_time() -> None:
    limits = limiter(BucketRule((ROUTE,), 2, 4, Kind.SLIDING))
    assert arrive(limits, 0.0).headers["X-RateLimit-Reset-After"] == "2.000"
    assert arrive(limits, 0.0).refusal is None
    refused = arrive(limits, 1.0).refusal
    assert refused is not None
    assert refused.retry_after == pytest.approx(1.0)
    assert arrive(limits, 2.0).refusal is None
    assert arrive(limits, 2.0).refusal is not None


@given(st.lists(st.floats(0.01, 1.0), min_size=20, max_size=60), st.sampled_from(Kind), st.integers(1, 6))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_refusal_tells_exactly_when_to_come_again(gaps: list[float], kind: Kind, limit: int) -> None:
    limits = limiter(BucketRule((ROUTE,), limit, 2.0, kind))
    now, admitted = 0.0, []
    for gap in gaps:
        now += gap
        refusal = arrive(limits, now).refusal
        if refusal is None:
            admitted.append(now)
            continue
        assert arrive(limits, now + refusal.retry_after * 0.99 - 1e-6).refusal is not None
        now += refusal.retry_after + 1e-6
        assert arrive(limits, now).refusal is None
        admitted.append(now)
    # Twice the limit is the most that any window of this length can see of either kind.
    for start in admitted:
        assert sum(start <= at < start + 2.0 for at in admitted) <= 2 * limit


def test_buckets_are_apart_by_major_and_token_and_shared_by_routes() -> None:
    limits = limiter(BucketRule((ROUTE, OTHER), 1, 5))
    assert arrive(limits, 0.0).refusal is None
    assert arrive(limits, 0.0, major="2").refusal is None
    assert arrive(limits, 0.0, whose="u").refusal is None
    shared = limits.arrive(Arrival(token="t", route=OTHER, major="1"), now=0.0, wall=0.0)
    assert shared.refusal is not None


def test_a_bucket_can_span_all_majors() -> None:
    limits = limiter(BucketRule((ROUTE,), 1, 5, all_majors=True))
    assert arrive(limits, 0.0).refusal is None
    assert arrive(limits, 0.0, major="2").refusal is not None


def test_a_sub_limit_hides_behind_a_bucket_with_room() -> None:
    limits = limiter(BucketRule((ROUTE,), 10, 5), sublimits=(SubLimit(ROUTE, "name", 2, 600),))
    for now in (0.0, 10.0):
        assert arrive(limits, now, fields="name nsfw").refusal is None
    refused = arrive(limits, 20.0, fields="name")
    assert refused.refusal is not None
    assert refused.refusal.retry_after == pytest.approx(580.0)
    assert int(refused.headers["X-RateLimit-Remaining"]) > 0
    assert arrive(limits, 20.0, fields="nsfw").refusal is None
    assert arrive(limits, 20.0, major="2", fields="name").refusal is None
    assert arrive(limits, 600.0, fields="name").refusal is None


def test_the_global_limit_holds_for_any_second() -> None:
    limits = limiter(per_second=3)
    assert [arrive(limits, now).refusal for now in (0.0, 0.5, 0.9)] == [None] * 3
    refused = arrive(limits, 0.95).refusal
    assert refused is not None
    assert refused.headers()["X-RateLimit-Global"] == "true"
    assert refused.body()["global"] is True
    assert refused.retry_after == pytest.approx(0.05)
    assert arrive(limits, 1.0).refusal is None
    assert arrive(limits, 1.01).refusal is not None
    assert arrive(limits, 1.01, whose="u").refusal is None


def test_too_many_invalid_requests_are_a_ban() -> None:
    limits = limiter(invalid=3)
    for scope in (None, Scope.USER, Scope.SHARED):
        limits.leave(429, scope, now=0.0)
    limits.leave(404, None, now=0.0)
    assert limits.invalid_requests == 2
    assert not arrive(limits, 0.0).banned
    limits.leave(403, None, now=1.0)
    verdict = arrive(limits, 1.0)
    assert verdict.banned
    assert verdict.refusal is not None
    assert verdict.refusal.retry_after == 60.0
    assert not arrive(limits, 61.0).banned


def test_invalid_requests_are_forgotten_after_the_window() -> None:
    limits = limiter(invalid=3)
    for now in (0.0, 1.0, 700.0):
        limits.leave(401, None, now=now)
    assert limits.invalid_requests == 1


def test_off_is_off() -> None:
    limits = RateLimiter(LimitsConfig(mode=Mode.OFF))
    verdicts = [arrive(limits, 0.0, fields="name") for _ in range(200)]
    assert {verdict.refusal for verdict in verdicts} == {None}
    assert verdicts[0].headers == {}


def test_limits_survive_the_control_api() -> None:
    config = LimitsConfig.from_json(
        {
            "buckets": [{"routes": [ROUTE], "limit": 1, "window_seconds": 2, "kind": "sliding"}],
            "sublimits": [{"route": ROUTE, "field": "name", "limit": 2, "window_seconds": 600}],
        }
    )
    assert config.mode is Mode.CUSTOM
    assert config.active_buckets == (BucketRule((ROUTE,), 1, 2, Kind.SLIDING),)


def test_realistic_limits_let_thirty_channels_be_made_in_seconds() -> None:
    limits, now = RateLimiter(LimitsConfig()), 0.0
    for _ in range(30):
        arrival = Arrival(token="t", route="POST /guilds/{guild_id}/channels", major="1")
        refusal = limits.arrive(arrival, now=now, wall=0.0).refusal
        if refusal is not None:
            now += refusal.retry_after
    assert now < 15


def test_fault_free_hashes_are_distinct() -> None:
    hashes = sorted(rule.hash for rule in LimitsConfig().active_buckets)
    assert all(one != other for one, other in pairwise(hashes))
