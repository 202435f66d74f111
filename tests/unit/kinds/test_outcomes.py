"""What each of Discord's errors means for an object."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provider_discord.discord import errors as discord
from provider_discord.kinds.outcomes import managed_error, manifest_path, translated, when
from provider_discord.managed.errors import (
    AmbiguousCreate,
    Blocked,
    ExternalFailure,
    ManagedError,
    NotConnected,
    Waiting,
)

_TERMS = {"parent_id": "parentId", "available_tags": "availableTags", "name": "name"}
_AT = datetime(2026, 11, 22, tzinfo=UTC)


def _api(status: int, code: int, message: str, errors: dict[str, Any] | None = None) -> discord.ApiError:
    return discord.api_error(
        status=status, body={"code": code, "message": message, "errors": errors or {}}, route="PATCH /x"
    )


@pytest.mark.parametrize(
    ("error", "becomes", "ends_with", "reason"),
    [
        (_api(403, 50013, "Missing Permissions"), Blocked, "Missing Permissions (50013)", "a permission or the rank"),
        (_api(403, 50001, "Missing Access"), Blocked, "Missing Access (50001)", "a hidden channel"),
        (_api(400, 30013, "Maximum number of guild channels reached (500)"), Blocked, "(500) (30013)", "a limit"),
        (_api(400, 50074, "Cannot delete a channel required for Community guilds"), Blocked, "(50074)", "a guard"),
        (_api(404, 10003, "Unknown Channel"), ExternalFailure, "Unknown Channel (10003)", "gone meanwhile"),
        (_api(400, 20001, "Bots cannot use this endpoint"), Blocked, "endpoint (20001)", "anything else with 400"),
        (discord.TokenInvalid(), NotConnected, "Secret", "the token"),
        (discord.Unavailable(retry_after=5, route="GET /x", cause="timed out"), ExternalFailure, "timed out", "an outage"),
        (discord.CircuitOpen(retry_after=20, resource_type="channel"), Waiting, "within a minute", "an open circuit"),
        (discord.Banned(retry_after=60), Waiting, "within a minute", "a ban"),
    ],
)  # fmt: skip
def test_each_error_says_what_to_do_and_ends_with_discords_reason(
    error: discord.DiscordError, becomes: type[ManagedError], ends_with: str, reason: str
) -> None:
    result = managed_error(error, doing="changing channel 1", terms=_TERMS, now=_AT)
    assert type(result) is becomes, reason
    assert str(result).startswith("changing channel 1")
    assert str(result).endswith(ends_with)
    assert result.retry_after == error.retry_after


def test_a_refused_field_is_named_as_the_manifest_names_it() -> None:
    leaf = {"_errors": [{"code": "X", "message": "Must be 20 or fewer in length."}]}
    error = _api(400, 50035, "Invalid Form Body", {"available_tags": {"2": {"name": leaf}}})
    result = managed_error(error, doing="changing channel 1", terms=_TERMS, now=_AT)
    assert isinstance(result, Blocked)
    assert result.field == "forProvider.availableTags[2].name"
    assert "forProvider.availableTags[2].name: Must be 20 or fewer in length." in str(result)


@pytest.mark.parametrize(
    ("path", "manifest"),
    [
        ("parent_id", "forProvider.parentId"),
        ("permission_overwrites.0.allow", "forProvider.permissionOverwrites[0].allow"),
        ("rate_limit_per_user", "forProvider.rateLimitPerUser"),
        ("", "the request"),
    ],
)
def test_paths_are_translated(path: str, manifest: str) -> None:
    assert manifest_path(path, _TERMS) == manifest


def test_a_rate_limit_waits_quietly_and_names_the_fields_that_it_is_about() -> None:
    error = discord.RateLimited(
        retry_after=580.0, scope=discord.Scope.SUBLIMIT, route="PATCH /x", fields=("name",)
    )
    result = managed_error(error, doing="changing channel 1", terms=_TERMS, now=_AT)
    assert isinstance(result, Waiting)
    assert result.quiet
    assert result.retry_after == 580.0
    assert (
        str(result)
        == "changing channel 1 waits for Discord's rate limit on changes of name, next try at 00:10 UTC"
    )


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (discord.CircuitOpen(retry_after=20, resource_type="role"), "circuit breaker of role open"),
        (
            discord.RateLimited(retry_after=300, scope=discord.Scope.GUARD, route="GET /x"),
            "in ten minutes and would soon refuse this address, next try at 00:05 UTC",
        ),
        (
            discord.RateLimited(retry_after=2, scope=discord.Scope.GLOBAL, route="GET /x"),
            "the bot's rate limit over all of Discord, next try in a few seconds",
        ),
        (
            discord.RateLimited(retry_after=170_000, scope=discord.Scope.USER, route="POST /x"),
            "Discord's rate limit, next try at 2026-11-23 23:14 UTC",
        ),
    ],
)
def test_a_wait_says_what_for_and_until_when(error: discord.DiscordError, says: str) -> None:
    assert says in str(managed_error(error, doing="creating the role", terms=_TERMS, now=_AT))


def test_an_ambiguous_create_keeps_its_times() -> None:
    error = discord.AmbiguousOutcome(route="POST /x", sent_at=_AT, ended_at=_AT, cause="dropped")
    with pytest.raises(AmbiguousCreate) as ambiguous, translated("creating it"):
        raise error
    assert (ambiguous.value.started, ambiguous.value.ended) == (_AT, _AT)
    assert ambiguous.value.__cause__ is error


def test_waits_are_told_so_that_the_text_stays_the_same_while_they_last() -> None:
    end = 580.0
    texts = {when(end - passed, now=_AT + timedelta(seconds=passed)) for passed in range(500)}
    assert texts == {"at 00:10 UTC"}
    assert when(None, now=_AT) == when(3, now=_AT) == "in a few seconds"
    assert when(59, now=_AT) == "within a minute"
