"""Scenarios with something wrong, one thing at a time, and with arrivals that are no burst.

Titles say what is wrong and which 429s nobody can avoid. The outage is met by persistent callers, who come back after
an error as a reconciler does: after what the error says, else after five seconds; the same for all contestants.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from bench.ratelimit.jobs import Operation, Verb
from bench.ratelimit.scenarios import (
    CHANNELS,
    Disturbance,
    Guild,
    Scenario,
    edit_channels,
    edit_roles,
    rule_of,
)
from provider_discord.simulator import Effect, Fault, SubLimit

_PER_SECOND = 20.0
_ROLE = "/guilds/{guild_id}/roles/{role_id}"
_ROLES = rule_of(Verb.EDIT_ROLE, limit=10, window_seconds=2)
_QUICK_ROLES = rule_of(Verb.EDIT_ROLE, limit=10, window_seconds=1)
_SLOW_ROLES = rule_of(Verb.EDIT_ROLE, limit=10, window_seconds=4)
Work = Callable[[Guild, random.Random], list[Operation]]


def _arriving(work: Work) -> Work:
    """Let people ask one after the other, twenty a second on average, each waiting for his answer."""

    def arriving(guild: Guild, rng: random.Random) -> list[Operation]:
        at = 0.0
        found = []
        for operation in work(guild, rng):
            found.append(Operation(operation.number, operation.verb, operation.target, at=at, user=True))
            at += rng.expovariate(_PER_SECOND)
        return found

    return arriving


def _one_gives_up(guild: Guild, rng: random.Random) -> list[Operation]:
    """One caller in a hundred, while others wait before and behind him."""
    found = edit_roles(guild, rng)
    found[50] = Operation(50, Verb.EDIT_ROLE, guild.roles[50], patience=2.0)
    return found


def _all_but_the_last(guild: Guild, rng: random.Random) -> list[Operation]:
    """The last role is somebody else's."""
    return edit_roles(guild, rng)[:-1]


def _renames(guild: Guild, _: random.Random) -> list[Operation]:
    renames = [Operation(n, Verb.RENAME_CHANNEL, guild.channels[0]) for n in range(3)]
    edits = [Operation(3 + n, Verb.EDIT_CHANNEL, guild.channels[n % 20]) for n in range(60)]
    return renames + edits


PERTURBED: tuple[Scenario, ...] = (
    Scenario(
        "roles-poisson",
        "100 role edits arriving at 20 a second (Poisson), fixed bucket (10 per 1 s)",
        (_QUICK_ROLES,),
        _arriving(edit_roles),
        roles=100,
    ),
    Scenario(
        "channels-poisson",
        "200 channels edited, arriving at 20 a second (Poisson), cold (5 per 5 s each)",
        (CHANNELS,),
        _arriving(edit_channels),
        channels=200,
    ),
    Scenario(
        "clock-behind",
        "60 role edits, fixed bucket (10 per 2 s), the client's clock 3 s behind",
        (_ROLES,),
        edit_roles,
        roles=60,
        skew_seconds=3.0,
    ),
    Scenario(
        "clock-ahead",
        "60 role edits, fixed bucket (10 per 2 s), the client's clock 3 s ahead",
        (_ROLES,),
        edit_roles,
        roles=60,
        skew_seconds=-3.0,
    ),
    Scenario(
        "jitter-roles",
        "60 role edits, fixed bucket (10 per 2 s), up to 150 ms more on each way (300 ms of jitter)",
        (_ROLES,),
        edit_roles,
        roles=60,
        jitter_seconds=0.15,
    ),
    Scenario(
        "jitter-channels",
        "200 channels edited, cold (5 per 5 s each), up to 150 ms more on each way (300 ms of jitter)",
        (CHANNELS,),
        edit_channels,
        channels=200,
        jitter_seconds=0.15,
    ),
    Scenario(
        "restart",
        "40 role edits, fixed bucket (10 per 4 s), killed at 5 s and started anew onto the empty bucket "
        "(one 429 cannot be avoided)",
        (_SLOW_ROLES,),
        edit_roles,
        roles=40,
        restart_at=5.0,
        unavoidable=1,
    ),
    Scenario(
        "cancelled",
        "100 role edits, fixed bucket (10 per 1 s), one caller in a hundred gives up after 2 s",
        (_QUICK_ROLES,),
        _one_gives_up,
        roles=100,
    ),
    Scenario(
        "sublimit",
        "3 renames of a channel (2 per 6 s, shown in no header) among 60 other edits of 20 channels "
        "(one 429 cannot be avoided)",
        (CHANNELS,),
        _renames,
        channels=20,
        sublimits=(SubLimit("PATCH /channels/{channel_id}", "name", 2, 6.0),),
        unavoidable=1,
    ),
    Scenario(
        "shared",
        "60 role edits, fixed bucket (10 per 2 s), refused with scope shared for 2 s "
        "(up to ten 429s, all in flight at once, cannot be avoided)",
        (_ROLES,),
        edit_roles,
        roles=60,
        disturbance=Disturbance(
            1.5, 2.0, Fault(Effect.RATE_LIMIT, route=_ROLE, times=0, scope="shared", seconds=2.0)
        ),
        unavoidable=10,
    ),
    Scenario(
        "foreign",
        "60 role edits, fixed bucket (10 per 2 s) of which somebody else takes a fifth",
        (_ROLES,),
        _all_but_the_last,
        roles=61,
        foreign=2,
    ),
    Scenario(
        "outage",
        "60 role edits, fixed bucket (10 per 2 s), every answer a 503 for 30 s; callers come back after errors",
        (_ROLES,),
        edit_roles,
        roles=60,
        disturbance=Disturbance(1.5, 30.0, Fault(Effect.STATUS, route=_ROLE, times=0, status=503)),
        persistent=True,
    ),
)
