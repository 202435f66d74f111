"""Snowflakes, routes and errors: small things that everything else relies on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provider_discord.discord import routes
from provider_discord.discord.errors import (
    AmbiguousOutcome,
    Banned,
    CircuitOpen,
    RateLimited,
    Scope,
    Unavailable,
    api_error,
    flatten_errors,
)
from provider_discord.discord.routes import ROUTES, Route, RouteParameter
from provider_discord.discord.snowflake import created_at, first_at, is_snowflake
from provider_discord.discord.timings import DiscordTimings


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [
        ("175928847299117063", True, "the documentation's example"),
        ("1000000000000000000", True, "19 digits"),
        ("81384788765712384", True, "17 digits, of 2015"),
        ("18446744073709551615", True, "the largest"),
        ("18446744073709551616", False, "more than 64 bits"),
        ("0175928847299117063", False, "a leading zero"),
        ("12345", False, "too short"),
        ("my-channel", False, "a name"),
        ("", False, "nothing"),
        ("١٧٥٩٢٨٨٤٧٢٩٩١١٧٠٦٣", False, "digits, but not ours"),
        ("175928847299117063\n", False, "a line break"),
    ],
)
def test_what_can_be_a_snowflake(text: str, expected: bool, reason: str) -> None:
    assert is_snowflake(text) is expected


def test_a_snowflake_tells_its_time() -> None:
    assert created_at("175928847299117063") == datetime(2016, 4, 30, 11, 18, 25, 796000, tzinfo=UTC)


@settings(derandomize=True, deadline=None)
@given(st.datetimes(datetime(2015, 1, 2), datetime(2080, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis
def test_first_at_is_the_smallest_id_of_its_millisecond(instant: datetime) -> None:
    smallest = first_at(instant)
    assert created_at(smallest) <= instant < created_at(smallest) + timedelta(milliseconds=1)
    assert created_at(smallest - 1) < created_at(smallest)


def test_before_the_epoch_is_the_epoch() -> None:
    assert first_at(datetime(2014, 1, 1, tzinfo=UTC)) == 0


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_route_knows_its_major_parameter(route: Route) -> None:
    expected = {"channels": "channel_id", "guilds": "guild_id"}.get(route.template.split("/")[1])
    assert route.major_parameter == expected
    assert route.idempotent is (route.method in {"GET", "PUT", "PATCH", "DELETE"})


def test_only_writes_take_a_reason_and_bulk_channel_positions_do_not() -> None:
    without = {route.name for route in ROUTES if route.method != "GET" and not route.audit_reason}
    assert without == {routes.MODIFY_CHANNEL_POSITIONS.name}
    assert not any(route.audit_reason for route in ROUTES if route.method == "GET")


def test_compiling_fills_in_what_is_needed() -> None:
    compiled = routes.MODIFY_ROLE.compile(guild_id="1", role_id=2)
    assert (compiled.path, compiled.major) == ("/guilds/1/roles/2", "1")
    for parameters in ({}, {"guild_id": ""}, {"guild_id": "1", "role_id": "2"}):
        with pytest.raises(RouteParameter, match=r"GET /guilds/\{guild_id\} needs ids"):
            routes.GET_GUILD.compile(**parameters)


@pytest.mark.parametrize("value", ["..", "../users/@me", "1/messages", "1?x=y", "a b", "1\n", "%2e"])
def test_an_id_never_reaches_another_path(value: str) -> None:
    with pytest.raises(RouteParameter):
        routes.DELETE_CHANNEL.compile(channel_id=value)


def test_nested_errors_are_flattened() -> None:
    leaves = flatten_errors(
        {
            "_errors": [{"code": "A", "message": "whole"}],
            "tags": {"1": {"name": {"_errors": [{"code": "B", "message": "b"}, "odd"]}}},
            "plain": "sentence",
            "odd": 3,
        }
    )
    assert [str(leaf) for leaf in leaves] == ["whole", "tags.1.name: b", "plain: sentence"]


@pytest.mark.parametrize(
    ("error", "retry_after", "text"),
    [
        (
            RateLimited(retry_after=9.0, scope=Scope.SUBLIMIT, route="PATCH /c", fields=("name",)),
            9.0,
            "Rate limit: PATCH /c (name) has to wait 9.0 s: Discord limits changes of these fields",
        ),
        (
            CircuitOpen(retry_after=9.0, resource_type="role"),
            9.0,
            "Circuit breaker open for role: Discord kept failing; next try in 9.0 s",
        ),
        (
            Unavailable(retry_after=5.0, route="GET /g", cause="the answer timed out"),
            5.0,
            "Discord is unavailable for GET /g: the answer timed out",
        ),
        (Banned(retry_after=60.0), 60.0, "Cloudflare refuses requests from this address; next try in 60 s"),
        (
            AmbiguousOutcome(
                route="POST /g", sent_at=datetime.now(UTC), ended_at=datetime.now(UTC), cause="reset"
            ),
            None,
            "The outcome of POST /g is unknown, it may have been created: reset",
        ),
        (
            api_error(status=502, body="<html>bad</html>", route="GET /g"),
            None,
            "Discord failed at GET /g (HTTP 502): an HTML page",
        ),
    ],
)
def test_errors_say_what_and_why_in_one_line(error: Exception, retry_after: float | None, text: str) -> None:
    assert str(error) == text
    assert getattr(error, "retry_after") == retry_after  # noqa: B009 - of several classes


def test_the_contracts_constants() -> None:
    """Changing one of these is a decision, not a refactoring."""
    t = DiscordTimings()
    assert (t.global_per_second, t.global_hold_seconds) == (50, 1.0)
    assert (t.max_wait_seconds, t.deadline_seconds, t.max_attempts) == (1.0, 30.0, 3)
    assert (t.breaker_failures, t.breaker_successes) == (10, 2)
    assert (t.breaker_first_reset_seconds, t.breaker_reset_seconds) == (1.0, 20.0)
    assert (t.invalid_stop_polls, t.invalid_users_only, t.invalid_stop_all) == (1_000, 5_000, 8_000)
    assert t.invalid_window_seconds == 600.0
    assert t.ban_minimum_seconds == 60.0
    assert t.ageing_seconds == 30.0
    assert t.max_in_flight == t.global_per_second  # fewer would hold up a burst
